//! The rest-json protocol: members travel in the URI, the query, headers, the status code, and the body, which is JSON or
//! one member as it is.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use percent_encoding::percent_decode;

use crate::error::{ErrorReply, WireError};
use crate::json;
use crate::node::Node;
use crate::schema::{Kind, Location, Operation, Service, Shape, Structure};
use crate::service::Labels;
use crate::validate::validate;

/// A request's members, validated.
pub(crate) fn parse(
    service: &Service,
    operation: &Operation,
    labels: &Labels<'_>,
    query: &str,
    headers: &HeaderMap,
    body: BytesMut,
) -> Result<Node, WireError> {
    let Some(structure) = operation.input else {
        let not_supported = WireError::NotSupported { operation: operation.name };
        return if operation.supported { Ok(Node::Structure(Vec::new())) } else { Err(not_supported) };
    };
    let mut members = vec![Node::Null; structure.members.len()];
    for (member, node) in structure.members.iter().zip(&mut members) {
        *node = match member.location {
            Location::Uri(name) => labels.get(name).map_or(Ok(Node::Null), |text| scalar(member.shape, text))?,
            Location::Query(name) => from_query(member.shape, query, name)?,
            Location::Header(name) => from_header(member.shape, headers, name)?,
            Location::Headers(prefix) => from_headers(headers, prefix),
            Location::Body(_) | Location::StatusCode => Node::Null,
        };
    }
    read_body(structure, &mut members, body)?;
    validate(service, structure, &members)?;
    Ok(Node::Structure(members))
}

fn read_body(structure: &Structure, members: &mut [Node], mut body: BytesMut) -> Result<(), WireError> {
    let payload = structure.payload.map(|index| (index, &structure.members[index].shape.kind));
    match payload {
        Some((index, Kind::Blob)) => {
            members[index] = if body.is_empty() { Node::Null } else { Node::Blob(body.freeze()) };
            return Ok(());
        }
        Some((index, Kind::Structure(inner))) if !body.is_empty() => {
            let mut nodes = vec![Node::Null; inner.members.len()];
            json::decode_structure(&mut body, inner, &mut nodes)?;
            members[index] = Node::Structure(nodes);
        }
        Some(_) => return Ok(()),
        None if structure.members.iter().any(|member| matches!(member.location, Location::Body(_))) => {
            json::decode_structure(&mut body, structure, members)?;
        }
        None => return Ok(()),
    }
    let buffer = body.freeze();
    members.iter_mut().for_each(|node| node.resolve_spans(&buffer));
    Ok(())
}

/// A value written as text.
fn scalar(shape: &Shape, text: &str) -> Result<Node, WireError> {
    let unfit = |wanted| WireError::Serialization(format!("STRING_VALUE can not be converted to {wanted}"));
    match shape.kind {
        Kind::Integer => text.parse::<i32>().map(|value| Node::Integer(value.into())).map_err(|_| unfit("an Integer")),
        Kind::Long => text.parse().map(Node::Integer).map_err(|_| unfit("a Long")),
        Kind::Double => text.parse().map(Node::Double).map_err(|_| unfit("a Double")),
        Kind::Boolean => match text {
            "true" => Ok(Node::Boolean(true)),
            "false" => Ok(Node::Boolean(false)),
            _ => Err(unfit("a Boolean")),
        },
        _ => Ok(Node::String(text.to_owned())),
    }
}

fn from_query(shape: &Shape, query: &str, name: &str) -> Result<Node, WireError> {
    if query.is_empty() {
        return Ok(Node::Null);
    }
    let mut values = pairs(query.as_bytes()).filter(|(found, _)| found == name).map(|(_, value)| value);
    match shape.kind {
        Kind::List { member, .. } => {
            let items = values.map(|value| scalar(member, &value)).collect::<Result<Vec<_>, _>>()?;
            Ok(if items.is_empty() { Node::Null } else { Node::List(items) })
        }
        _ => values.next().map_or(Ok(Node::Null), |value| scalar(shape, &value)),
    }
}

/// Names and values of a query or form, decoded.
pub(crate) fn pairs(text: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        (decode(&pair[..equals]), decode(pair.get(equals + 1..).unwrap_or_default()))
    })
}

fn decode(text: &[u8]) -> Cow<'_, str> {
    if !text.contains(&b'+') {
        return percent_decode(text).decode_utf8_lossy();
    }
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaced).decode_utf8_lossy().into_owned())
}

fn from_header(shape: &Shape, headers: &HeaderMap, name: &str) -> Result<Node, WireError> {
    match headers.get(name) {
        Some(value) => scalar(shape, &String::from_utf8_lossy(value.as_bytes())),
        None => Ok(Node::Null),
    }
}

fn from_headers(headers: &HeaderMap, prefix: &str) -> Node {
    let entries = headers.iter().filter_map(|(name, value)| {
        let key = name.as_str().strip_prefix(prefix)?.to_owned();
        Some((key, Node::String(String::from_utf8_lossy(value.as_bytes()).into_owned())))
    });
    let entries: Vec<_> = entries.collect();
    if entries.is_empty() { Node::Null } else { Node::Map(entries) }
}

/// The answer to a successful request.
pub(crate) fn respond(operation: &Operation, output: Node, request_id: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    set_status(&mut response, operation.status);
    set_header(response.headers_mut(), "x-amzn-requestid", request_id);
    if let (Some(structure), Node::Structure(members)) = (operation.output, output) {
        write_members(&mut response, structure, members);
    }
    response
}

fn write_members(response: &mut Response<Bytes>, structure: &Structure, mut members: Vec<Node>) {
    for (member, node) in structure.members.iter().zip(&members) {
        match (&member.location, node) {
            (Location::StatusCode, Node::Integer(status)) => {
                set_status(response, u16::try_from(*status).unwrap_or(500));
            }
            (Location::Header(name), node) => {
                if let Some(text) = header_text(node) {
                    set_header(response.headers_mut(), name, &text);
                }
            }
            _ => {}
        }
    }
    let body = match structure.payload {
        Some(index) => match (&structure.members[index].shape.kind, std::mem::replace(&mut members[index], Node::Null))
        {
            (_, Node::Blob(bytes)) => bytes,
            (Kind::Structure(inner), Node::Structure(nodes)) => encode(inner, &nodes),
            _ => Bytes::new(),
        },
        None if structure.members.iter().any(|member| matches!(member.location, Location::Body(_))) => {
            encode(structure, &members)
        }
        None => return,
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = body;
}

fn encode(structure: &Structure, members: &[Node]) -> Bytes {
    let mut target = Vec::with_capacity(1024);
    json::encode_structure(&mut target, structure, members);
    target.into()
}

fn header_text(node: &Node) -> Option<Cow<'_, str>> {
    match node {
        Node::String(text) => Some(Cow::Borrowed(text)),
        Node::Integer(value) => Some(value.to_string().into()),
        Node::Boolean(value) => Some(value.to_string().into()),
        Node::Double(value) => Some(value.to_string().into()),
        _ => None,
    }
}

/// An error as the modelled shape has it: `Message` or `message`, `Type`, other members, and AWS's headers.
pub(crate) fn error_response(service: &Service, error: &ErrorReply<'_>, request_id: &str) -> Response<Bytes> {
    let shape = service.error(error.code);
    let status = shape.map(|shape| shape.status).or(error.status).unwrap_or(400);
    let mut response = Response::new(Bytes::new());
    set_status(&mut response, status);
    let mut members = Vec::new();
    if shape.is_some_and(|shape| shape.has_type) {
        members.push(("Type", if status < 500 { "User" } else { "Service" }));
    }
    // Recorded from AWS: the few errors outside the model spell it with a small letter, but this one.
    let unmodelled = if error.code == "SerializationException" { "Message" } else { "message" };
    members.push((shape.map_or(unmodelled, |shape| shape.message), &error.message));
    for (name, header) in shape.map_or(&[][..], |shape| shape.extras) {
        let Some((_, value)) = error.extras.iter().find(|(extra, _)| extra == name) else { continue };
        match header {
            Some(header) => set_header(response.headers_mut(), header, value),
            None => members.push((name, value)),
        }
    }
    let mut body = Vec::with_capacity(256);
    for (index, (name, value)) in members.into_iter().enumerate() {
        body.push(if index == 0 { b'{' } else { b',' });
        json::encode_string(&mut body, name);
        body.push(b':');
        json::encode_string(&mut body, value);
    }
    body.push(b'}');
    *response.body_mut() = body.into();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    set_header(headers, "x-amzn-requestid", request_id);
    set_header(headers, "x-amzn-errortype", error.code);
    response
}

pub(crate) fn set_status(response: &mut Response<Bytes>, status: u16) {
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
}

/// Sets a header; what a header cannot carry becomes `?`.
pub(crate) fn set_header(headers: &mut HeaderMap, name: &str, value: &str) {
    let legal = |byte: u8| if byte == b'\t' || (b' '..0x7F).contains(&byte) { byte } else { b'?' };
    let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes());
    let value = HeaderValue::from_str(value)
        .or_else(|_| HeaderValue::from_bytes(&value.bytes().map(legal).collect::<Vec<_>>()));
    if let (Ok(name), Ok(value)) = (name, value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Member;

    static TEXT: Shape = Shape {
        kind: Kind::String,
        sensitive: false,
        url_encoded: false,
        min: None,
        max: None,
        pattern: None,
        values: &[],
    };
    static MAP: Shape = Shape { kind: Kind::Map { key: &TEXT, value: &TEXT, not_null: false }, ..TEXT };
    static INPUT: Structure = Structure {
        name: "Input",
        payload: None,
        members: &[Member { label: "metadata", location: Location::Headers("x-meta-"), required: false, shape: &MAP }],
    };
    static OPERATION: Operation = Operation {
        name: "Put",
        method: "PUT",
        uri: "/",
        segments: &[],
        query: &[],
        status: 200,
        errors: &[],
        supported: true,
        input: Some(&INPUT),
        output: None,
        result_wrapper: None,
    };
    static SERVICE: Service = Service {
        api_version: "",
        xml_namespace: "",
        validation_code: "",
        hide_values: false,
        operations: &[],
        errors: &[],
    };

    #[test]
    fn headers_with_a_prefix_are_a_map() {
        let parse = |headers: &HeaderMap| {
            parse(&SERVICE, &OPERATION, &Labels::default(), "", headers, BytesMut::new()).expect("it is valid")
        };
        assert_eq!(parse(&HeaderMap::new()), Node::Structure(vec![Node::Null]));
        let mut headers = HeaderMap::new();
        set_header(&mut headers, "X-Meta-Key", "value\u{e9}");
        set_header(&mut headers, "other", "x");
        let expected = Node::Map(vec![("key".to_owned(), Node::String("value\u{e9}".to_owned()))]);
        assert_eq!(parse(&headers), Node::Structure(vec![expected]));
        set_header(&mut headers, "other", "line\nbreak");
        assert_eq!(headers["other"], "line?break");
    }
}
