//! Which door a request goes to: by the service in its credential scope, then by path. Never by its body.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method};

use crate::own;

/// A service that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// AWS Lambda.
    Lambda,
    /// AWS Security Token Service.
    Sts,
    /// AWS Identity and Access Management.
    Iam,
}

impl Service {
    /// As the credential scope spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Service::Lambda => "lambda",
            Service::Sts => "sts",
            Service::Iam => "iam",
        }
    }
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// To a service.
    Service(Service),
    /// Signed for a service that is not here.
    Unknown(String),
    /// To one of our own paths.
    Own,
    /// A browser that asks for the server itself.
    Browser,
    /// Nowhere: it is not signed.
    Unsigned,
}

/// The form in which a client of an unknown service can read an error. Told from headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// JSON.
    Json,
    /// XML as IAM and STS write it.
    Query,
}

/// Decides.
pub fn door(parts: &Parts) -> Door {
    match scope_service(parts) {
        Some("lambda") => Door::Service(Service::Lambda),
        Some("sts") => Door::Service(Service::Sts),
        Some("iam") => Door::Service(Service::Iam),
        Some(other) => Door::Unknown(other.chars().filter(|c| !c.is_control()).take(64).collect()),
        None if parts.uri.path().starts_with(own::PREFIX) => Door::Own,
        None if parts.uri.path() == "/" && accepts_html(parts) => Door::Browser,
        None => Door::Unsigned,
    }
}

/// The last part but one of `KEY/DATE/REGION/SERVICE/aws4_request`, in the header or the presigned query.
fn scope_service(parts: &Parts) -> Option<&str> {
    if let Some(header) = parts.headers.get(AUTHORIZATION) {
        let header = header.to_str().ok()?;
        let credential = header.strip_prefix("AWS4-HMAC-SHA256")?.split_once("Credential=")?.1;
        let credential = credential.split([',', ' ']).next()?;
        return scope_part(credential.rsplit('/'));
    }
    let query = parts.uri.query()?;
    let credential = query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Credential="))?;
    if credential.contains("%2F") { scope_part(credential.rsplit("%2F")) } else { scope_part(credential.rsplit('/')) }
}

/// The service, of the parts from the end, where all five are there.
fn scope_part<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let [_, service, _, _, _] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    (!service.is_empty()).then_some(service)
}

fn accepts_html(parts: &Parts) -> bool {
    let accept = parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    (parts.method == Method::GET || parts.method == Method::HEAD) && accept.contains("text/html")
}

/// What the sender of a request for no service of ours can read.
pub fn reader(headers: &HeaderMap) -> Reader {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type.starts_with("application/x-www-form-urlencoded") { Reader::Query } else { Reader::Json }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door_of(method: &str, uri: &str, headers: &[(&'static str, &str)]) -> Door {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        door(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn the_scope_decides_then_the_path() {
        let signed = |service: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00"
            )
        };
        let lambda = Door::Service(Service::Lambda);
        assert_eq!(door_of("GET", "/anything", &[("authorization", &signed("lambda"))]), lambda);
        assert_eq!(door_of("GET", "/_bojagi/health", &[("authorization", &signed("lambda"))]), lambda);
        assert_eq!(door_of("POST", "/", &[("authorization", &signed("sts"))]), Door::Service(Service::Sts));
        assert_eq!(door_of("POST", "/", &[("authorization", &signed("iam"))]), Door::Service(Service::Iam));
        assert_eq!(door_of("POST", "/", &[("authorization", &signed("sqs"))]), Door::Unknown("sqs".to_owned()));
        let presigned = "/2015-03-31/functions?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20260101%2Fus-east-1%2Flambda%2Faws4_request";
        assert_eq!(door_of("GET", presigned, &[]), lambda);
        assert_eq!(door_of("GET", &presigned.replace("%2F", "/"), &[]), lambda);
    }

    #[test]
    fn unsigned_requests_reach_our_own_paths_only() {
        let html = [("accept", "text/html,application/xhtml+xml")];
        assert_eq!(door_of("GET", "/_bojagi/health", &[]), Door::Own);
        assert_eq!(door_of("GET", "/", &html), Door::Browser);
        for (method, uri, headers) in [
            ("GET", "/", &[][..]),
            ("POST", "/", &html[..]),
            ("GET", "/2015-03-31/functions", &html[..]),
            ("GET", "/_bojagi", &[][..]),
            ("GET", "/", &[("authorization", "Bearer x")][..]),
            ("GET", "/", &[("authorization", "AWS4-HMAC-SHA256 Credential=a/b")][..]),
        ] {
            assert_eq!(door_of(method, uri, headers), Door::Unsigned, "{method} {uri} {headers:?}");
        }
    }
}
