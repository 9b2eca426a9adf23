//! Answers of the query protocol: XML, in the service's namespace.

use std::borrow::Cow;

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use time::OffsetDateTime;

use crate::error::ErrorReply;
use crate::node::Node;
use crate::rest_json::{set_header, set_status};
use crate::schema::{Kind, Location, Operation, Service, Shape, Structure};

/// What RFC 3986 leaves unencoded.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The answer to a successful request.
pub(crate) fn respond(service: &Service, operation: &Operation, output: &Node, request_id: &str) -> Response<Bytes> {
    let mut xml = Writer(String::with_capacity(1024));
    let (name, namespace) = (operation.name, service.xml_namespace);
    xml.0.push_str(&format!("<{name}Response xmlns=\"{namespace}\">"));
    if let (Some(structure), Node::Structure(members)) = (operation.output, output) {
        match operation.result_wrapper {
            Some(wrapper) => xml.element(wrapper, |xml| xml.members(structure, members)),
            None => xml.members(structure, members),
        }
    }
    xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    xml.0.push_str(&format!("</{name}Response>"));
    xml.response(operation.status, request_id)
}

/// An error: `Sender` where the client is to blame, else `Receiver`.
pub(crate) fn error_response(service: &Service, error: &ErrorReply<'_>, request_id: &str) -> Response<Bytes> {
    let status = service.error(error.code).map(|shape| shape.status).or(error.status).unwrap_or(400);
    let mut xml = Writer(String::with_capacity(512));
    xml.0.push_str(&format!("<ErrorResponse xmlns=\"{}\">", service.xml_namespace));
    xml.element("Error", |xml| {
        xml.text("Type", if status < 500 { "Sender" } else { "Receiver" });
        xml.text("Code", error.code);
        xml.text("Message", &error.message);
    });
    xml.text("RequestId", request_id);
    xml.0.push_str("</ErrorResponse>");
    xml.response(status, request_id)
}

struct Writer(String);

impl Writer {
    fn response(self, status: u16, request_id: &str) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(self.0));
        set_status(&mut response, status);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
        set_header(headers, "x-amzn-requestid", request_id);
        response
    }

    fn element(&mut self, name: &str, content: impl FnOnce(&mut Writer)) {
        self.0.extend(["<", name, ">"]);
        content(self);
        self.0.extend(["</", name, ">"]);
    }

    fn text(&mut self, name: &str, text: &str) {
        self.element(name, |xml| xml.escaped(text));
    }

    /// Characters that XML 1.0 cannot hold at all become U+FFFD, so that the document stays readable.
    fn escaped(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\r' => self.0.push_str("&#xD;"),
                '\0'..'\t' | '\u{B}' | '\u{C}' | '\u{E}'..' ' | '\u{FFFE}' | '\u{FFFF}' => self.0.push('\u{FFFD}'),
                _ => self.0.push(letter),
            }
        }
    }

    fn members(&mut self, structure: &Structure, members: &[Node]) {
        for (member, node) in structure.members.iter().zip(members) {
            if let (Location::Body(name), true) = (&member.location, *node != Node::Null) {
                self.element(name, |xml| xml.value(member.shape, node));
            }
        }
    }

    fn value(&mut self, shape: &Shape, node: &Node) {
        match (&shape.kind, node) {
            (Kind::Structure(structure), Node::Structure(members)) => self.members(structure, members),
            (Kind::List { member, .. }, Node::List(items)) => {
                for item in items {
                    self.element("member", |xml| xml.value(member, item));
                }
            }
            (Kind::Map { value, .. }, Node::Map(entries)) => {
                for (key, item) in entries {
                    self.element("entry", |xml| {
                        xml.text("key", key);
                        xml.element("value", |xml| xml.value(value, item));
                    });
                }
            }
            (_, Node::String(text)) if shape.url_encoded => self.escaped(&percent_encode(text)),
            (_, Node::String(text)) => self.escaped(text),
            (_, Node::Boolean(value)) => self.0.push_str(&value.to_string()),
            (_, Node::Integer(value)) => self.0.push_str(&value.to_string()),
            (_, Node::Double(value)) => self.0.push_str(&value.to_string()),
            (_, Node::Timestamp(time)) => self.0.push_str(&timestamp(*time)),
            (_, Node::Blob(bytes)) => {
                use base64::Engine;
                self.0.push_str(&base64::engine::general_purpose::STANDARD.encode(bytes));
            }
            _ => {}
        }
    }
}

fn percent_encode(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, UNRESERVED).into()
}

/// `2026-01-31T12:00:00Z`, whole seconds, as IAM and STS write it.
fn timestamp(time: OffsetDateTime) -> String {
    let time = time.to_offset(time::UtcOffset::UTC);
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
