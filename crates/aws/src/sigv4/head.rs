//! The head of a request, as far as a signature needs it.

use std::borrow::Cow;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

/// The head of a request, as it came.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, percent-encoded as the client sent it.
    pub path: &'a str,
    /// The query without `?`; empty where there is none.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// What stands for a missing `host` header: HTTP/2's `:authority`.
    pub authority: Option<&'a str>,
}

impl<'a> From<&'a http::request::Parts> for RequestHead<'a> {
    fn from(parts: &'a http::request::Parts) -> RequestHead<'a> {
        RequestHead {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            authority: parts.uri.authority().map(|authority| authority.as_str()),
        }
    }
}

impl<'a> RequestHead<'a> {
    /// All values of a header, in their order.
    pub(super) fn header_values(&self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        let authority = self.authority.filter(|_| name == "host" && !self.headers.contains_key("host"));
        let values = self.headers.get_all(name).into_iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        values.chain(authority.map(Cow::Borrowed))
    }

    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A query parameter, decoded.
    pub(super) fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| percent_decode_str(value).decode_utf8_lossy())
    }
}
