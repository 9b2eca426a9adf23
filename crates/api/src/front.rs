//! One request from its head to its answer: door, authentication, operation, log line.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use bojagi_aws::sigv4::{self, RequestHead, SignatureError};
use bojagi_aws::{Form, iam, lambda, sts};
use bojagi_control::Caller;
use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HOST, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::authentication::{Authenticator, Verified};
use crate::body::{Body, BodyBudget, BodyError, Inbound};
use crate::config::ServerConfig;
use crate::context::Context;
use crate::dispatch::{self, Door, Reader, Service};
use crate::errors::{Failure, query, rest_json};
use crate::log::Record;
use crate::own::{self, code::CodeLinks};
use crate::server::Connection;

/// A form of the query protocol, in bytes. IAM's largest is a policy document of 128 KiB, percent-encoded.
const FORM_BYTES: u64 = 1 << 20;

/// What answers requests, whichever connection they come by.
pub struct Front {
    config: ServerConfig,
    links: Arc<CodeLinks>,
    authenticator: Authenticator,
    budget: BodyBudget,
    tasks: TaskTracker,
}

/// The head of one request, and its name.
struct Call<'a> {
    id: Uuid,
    id_text: String,
    parts: &'a Parts,
    connection: &'a Connection,
}

impl Call<'_> {
    fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }
}

impl Front {
    /// Everything but the connections. `tasks` gets the operations, which outlive a client that goes away.
    pub fn new(config: ServerConfig, tasks: TaskTracker) -> Front {
        Front {
            links: Arc::new(CodeLinks::default()),
            authenticator: Authenticator::new(config.control.clone(), config.hosts.clone()),
            budget: BodyBudget::new(config.body_bytes),
            config,
            tasks,
        }
    }

    /// Answers one request and writes its line in the log.
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>, connection: Connection) -> Response<Body> {
        let started = Instant::now();
        let id = Uuid::new_v4();
        let span = tracing::info_span!("request", request_id = %id);
        let answering = async {
            let (mut parts, body) = request.into_parts();
            let (mut body, mut record) = (Inbound::new(body), Record::default());
            let host = one_host(&mut parts);
            let call = Call { id, id_text: id.to_string(), parts: &parts, connection: &connection };
            let mut response = match host {
                Ok(()) => self.answer(&call, &mut body, &mut record).await,
                Err(failure) => refuse(&call, dispatch::reader(&parts.headers), &failure, &mut record),
            };
            let waits = parts.headers.contains_key(EXPECT);
            if !body.drain(waits).await && parts.version < Version::HTTP_2 {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            stamp(&mut response, &call.id_text);
            record.write(&parts.method, parts.uri.path(), response.status(), started);
            response
        };
        answering.instrument(span).await
    }

    async fn answer(&self, call: &Call<'_>, body: &mut Inbound, record: &mut Record) -> Response<Body> {
        let (answer, reader) = match dispatch::door(call.parts) {
            Door::Service(Service::Lambda) => (self.lambda(call, body, record).await, Reader::Json),
            Door::Service(service) => (self.query(service, call, body, record).await, Reader::Query),
            Door::Own => {
                return own::handle(&self.config, &self.links, call.parts, call.connection, call.id, record).await;
            }
            Door::Browser => return own::redirect(),
            Door::Unknown(service) => (Err(Failure::UnknownService(service)), dispatch::reader(&call.parts.headers)),
            Door::Unsigned => (Err(unsigned(call.parts)), dispatch::reader(&call.parts.headers)),
        };
        match answer {
            Ok(response) => response.map(Body::Full),
            Err(failure) => refuse(call, reader, &failure, record),
        }
    }

    async fn lambda(
        &self,
        call: &Call<'_>,
        body: &mut Inbound,
        record: &mut Record,
    ) -> Result<Response<Bytes>, Failure> {
        let Parts { method, uri, headers, .. } = call.parts;
        let route = lambda::route(method.as_str(), uri.path(), call.query());
        let (limit, operation) = match &route {
            Some(route) => crate::lambda::limit(route.operation, self.config.control.limits()),
            None => (FORM_BYTES, "unknown"),
        };
        record.operation = route.as_ref().map(|route| route.operation.name());
        let verified = self.verify(Service::Lambda, call, body, record, (limit, operation)).await?;
        let Some(route) = route else {
            let (method, path) = (method.to_string(), uri.path().to_owned());
            return Err(Failure::UnknownOperation { service: "lambda", method, path });
        };
        let context = self.context(call, &verified);
        let input = lambda::parse(route.operation, &route.labels, call.query(), headers, verified.body)?;
        let room = verified.room;
        let output = match input {
            // The engine sees it to its end whether or not the client waits. The room is given back first: functions that invoke
            // each other with large payloads would else wait for room that they themselves take.
            lambda::Input::Invoke(_) => {
                drop(room);
                crate::lambda::call(&context, input).await?
            }
            _ => {
                let calling = async move {
                    let output = crate::lambda::call(&context, input).await;
                    drop(room);
                    output
                };
                self.detached(calling).await?
            }
        };
        Ok(output.into_response(&call.id_text))
    }

    async fn query(
        &self,
        service: Service,
        call: &Call<'_>,
        body: &mut Inbound,
        record: &mut Record,
    ) -> Result<Response<Bytes>, Failure> {
        let verified = self.verify(service, call, body, record, (FORM_BYTES, "query")).await?;
        let context = self.context(call, &verified);
        let form = Form::parse(call.query(), &verified.body);
        if service == Service::Sts {
            let operation = sts::route(&form)?;
            record.operation = Some(operation.name());
            let sts::Input::GetCallerIdentity(_) = sts::parse(operation, &form)?;
            let output = sts::Output::GetCallerIdentity(Box::new(crate::sts::get_caller_identity(&context)));
            return Ok(output.into_response(&call.id_text));
        }
        let operation = iam::route(&form)?;
        record.operation = Some(operation.name());
        let input = iam::parse(operation, &form)?;
        let output = self.detached(async move { crate::iam::call(&context, input).await }).await?;
        Ok(output.into_response(&call.id_text))
    }

    /// Who asks, and the body; in the log from here on.
    async fn verify(
        &self,
        service: Service,
        call: &Call<'_>,
        body: &mut Inbound,
        record: &mut Record,
        (limit, operation): (u64, &'static str),
    ) -> Result<Verified, Failure> {
        record.service = Some(service.as_str());
        let verified = self.authenticator.verify(service, call.parts, call.connection, body, limit, &self.budget).await;
        let verified = verified.map_err(|failure| match failure {
            Failure::Body(BodyError::TooLarge { limit }) => Failure::TooLarge { limit, operation },
            other => other,
        })?;
        record.account = Some(verified.principal.account);
        Ok(verified)
    }

    fn context(&self, call: &Call<'_>, verified: &Verified) -> Context {
        let header = |name| call.parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Context {
            control: self.config.control.clone(),
            caller: Caller {
                principal: verified.principal.clone(),
                region: verified.region.clone(),
                request_id: call.id,
            },
            trace_id: header("x-amzn-trace-id"),
            scheme: call.connection.scheme(),
            host: header(HOST.as_str()).unwrap_or_default(),
            links: self.links.clone(),
        }
    }

    /// Runs an operation to its end even when the client goes away, so that none is left half done.
    async fn detached<T: Send + 'static>(
        &self,
        operation: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        self.tasks.spawn(operation.in_current_span()).await.map_err(Failure::Panicked)?
    }
}

/// What is wrong with a signature that names no service; most often there is none.
fn unsigned(parts: &Parts) -> Failure {
    sigv4::parse(&RequestHead::from(parts)).err().unwrap_or(SignatureError::MissingAuthenticationToken).into()
}

/// Makes sure that the request names one host: signatures, links and the check for foreign pages rest on it.
fn one_host(parts: &mut Parts) -> Result<(), Failure> {
    let authority = parts.uri.authority().map(|authority| authority.as_str().to_owned());
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    match (authority, first) {
        _ if second.is_some() => Err(Failure::BadRequest("The request has more than one Host header.")),
        (Some(authority), Some(host)) if host != authority.as_str() => {
            Err(Failure::BadRequest("The request's target and its Host header differ."))
        }
        (Some(authority), None) => {
            let host = HeaderValue::from_str(&authority);
            parts.headers.insert(HOST, host.map_err(|_| Failure::BadRequest("The request's target is not a host."))?);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn refuse(call: &Call<'_>, reader: Reader, failure: &Failure, record: &mut Record) -> Response<Body> {
    let response = match reader {
        Reader::Json => {
            let reply = rest_json::error_reply(failure);
            record.fail(reply.code, failure);
            lambda::error_response(&reply, &call.id_text)
        }
        Reader::Query => {
            let reply = query::error_reply(failure);
            record.fail(reply.code, failure);
            match record.service {
                Some("iam") => iam::error_response(&reply, &call.id_text),
                _ => sts::error_response(&reply, &call.id_text),
            }
        }
    };
    response.map(Body::Full)
}

/// The request's id, under both names that AWS's services use.
fn stamp(response: &mut Response<Body>, id: &str) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(id)
        && !headers.contains_key("x-amzn-requestid")
    {
        headers.insert("x-amz-request-id", value.clone());
        headers.insert("x-amzn-requestid", value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
