//! From JSON to nodes, by schema. Members that the schema does not have are checked and ignored.

use time::OffsetDateTime;

use super::blob::{BlobProblem, decode_in_place};
use super::scanner::{Problem, Scanner};
use crate::WireError;
use crate::node::Node;
use crate::schema::{Kind, Location, Shape, Structure};

/// Reads the document into `members`, of which those that travel in the body are set. Blobs are decoded in `buffer`,
/// and are spans of it.
pub(crate) fn decode_structure(
    buffer: &mut [u8],
    structure: &Structure,
    members: &mut [Node],
) -> Result<(), WireError> {
    let mut decoder = Decoder { buffer, position: 0 };
    match decoder.scan(|scanner| Ok(scanner.peek()))? {
        None => return Ok(()),
        Some(b'{') => decoder.members(structure, members, 0)?,
        Some(_) => decoder.unfit("structure")?,
    }
    decoder.scan(|scanner| scanner.end())
}

struct Decoder<'a> {
    buffer: &'a mut [u8],
    position: usize,
}

impl Decoder<'_> {
    /// Reads with a scanner from the present position on.
    fn scan<T>(&mut self, read: impl FnOnce(&mut Scanner<'_>) -> Result<T, Problem>) -> Result<T, WireError> {
        let mut scanner = Scanner::at(self.buffer, self.position);
        let result = read(&mut scanner);
        self.position = scanner.position();
        result.map_err(|problem| WireError::InvalidRequestContent(problem.to_string()))
    }

    fn value(&mut self, shape: &Shape, depth: usize) -> Result<Node, WireError> {
        let first = self.scan(|scanner| scanner.check_depth(depth).map(|()| scanner.peek()))?;
        if first == Some(b'n') {
            return self.scan(|scanner| scanner.literal()).map(|_| Node::Null);
        }
        match (&shape.kind, first) {
            (Kind::Structure(structure), Some(b'{')) => {
                let mut members = vec![Node::Null; structure.members.len()];
                self.members(structure, &mut members, depth)?;
                Ok(Node::Structure(members))
            }
            (Kind::List { member, .. }, Some(b'[')) => self.list(member, depth),
            (Kind::Map { value, .. }, Some(b'{')) => self.map(value, depth),
            (Kind::String, Some(b'"')) => {
                Ok(Node::String(self.scan(|scanner| scanner.string().map(|text| text.into_owned()))?))
            }
            (Kind::Boolean, Some(b't' | b'f')) => {
                Ok(self.scan(|scanner| scanner.literal())?.map_or(Node::Null, Node::Boolean))
            }
            (Kind::Integer, Some(b'-' | b'0'..=b'9')) => self.integer(i32::MIN.into(), i32::MAX.into(), "int"),
            (Kind::Long, Some(b'-' | b'0'..=b'9')) => self.integer(i64::MIN, i64::MAX, "long"),
            (Kind::Double, Some(b'-' | b'0'..=b'9')) => self.double().map(Node::Double),
            (Kind::Timestamp, Some(b'-' | b'0'..=b'9')) => self.timestamp(),
            (Kind::Blob, Some(b'"')) => self.blob(),
            (kind, _) => {
                self.unfit(java_type(kind))?;
                Ok(Node::Null)
            }
        }
    }

    /// The members of an object whose brace comes next. A name that comes twice counts once, the last time, as with Jackson.
    fn members(&mut self, structure: &Structure, members: &mut [Node], depth: usize) -> Result<(), WireError> {
        self.position += 1;
        if self.scan(|scanner| Ok(scanner.accept(b'}')))? {
            return Ok(());
        }
        loop {
            let found = self.scan(|scanner| {
                scanner.field_name_start()?;
                let name = scanner.string()?;
                let found = structure
                    .members
                    .iter()
                    .position(|member| matches!(member.location, Location::Body(body) if body == name));
                scanner.colon().map(|()| found)
            });
            match found? {
                Some(index) => members[index] = self.value(structure.members[index].shape, depth + 1)?,
                None => self.scan(|scanner| scanner.skip_value(depth + 1))?,
            }
            if self.scan(|scanner| Ok(scanner.accept(b'}')))? {
                return Ok(());
            }
            self.scan(|scanner| scanner.expect(b',', "was expecting comma to separate Object entries"))?;
        }
    }

    fn list(&mut self, member: &Shape, depth: usize) -> Result<Node, WireError> {
        self.position += 1;
        let mut items = Vec::new();
        if self.scan(|scanner| Ok(scanner.accept(b']')))? {
            return Ok(Node::List(items));
        }
        loop {
            items.push(self.value(member, depth + 1)?);
            if self.scan(|scanner| Ok(scanner.accept(b']')))? {
                return Ok(Node::List(items));
            }
            self.scan(|scanner| scanner.expect(b',', "was expecting comma to separate Array entries"))?;
        }
    }

    fn map(&mut self, shape: &Shape, depth: usize) -> Result<Node, WireError> {
        self.position += 1;
        let mut entries = Vec::new();
        if self.scan(|scanner| Ok(scanner.accept(b'}')))? {
            return Ok(Node::Map(entries));
        }
        loop {
            let key = self.scan(|scanner| {
                scanner.field_name_start()?;
                let key = scanner.string()?.into_owned();
                scanner.colon().map(|()| key)
            })?;
            entries.push((key, self.value(shape, depth + 1)?));
            if self.scan(|scanner| Ok(scanner.accept(b'}')))? {
                return Ok(Node::Map(entries));
            }
            self.scan(|scanner| scanner.expect(b',', "was expecting comma to separate Object entries"))?;
        }
    }

    fn integer(&mut self, least: i64, most: i64, name: &str) -> Result<Node, WireError> {
        let text = self.scan(|scanner| scanner.number().map(str::to_owned))?;
        match text.parse::<i64>() {
            Ok(value) if (least..=most).contains(&value) => Ok(Node::Integer(value)),
            _ if text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => {
                Err(WireError::Serialization("NUMBER_VALUE can not be converted to an Integer".to_owned()))
            }
            _ => Err(WireError::Serialization(format!(
                "Numeric value ({text}) out of range of {name} ({least} - {most})"
            ))),
        }
    }

    fn double(&mut self) -> Result<f64, WireError> {
        let text = self.scan(|scanner| scanner.number().map(str::to_owned))?;
        text.parse().map_err(|_| WireError::Serialization("NUMBER_VALUE can not be converted to a Double".to_owned()))
    }

    /// Seconds since 1970, with a fraction.
    fn timestamp(&mut self) -> Result<Node, WireError> {
        let nanoseconds = (self.double()? * 1e9) as i128;
        let timestamp = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds);
        let timestamp =
            timestamp.map_err(|_| WireError::Serialization("NUMBER_VALUE is out of range of a Date".to_owned()));
        timestamp.map(Node::Timestamp)
    }

    fn blob(&mut self) -> Result<Node, WireError> {
        match decode_in_place(self.buffer, self.position) {
            Ok((span, behind)) => {
                self.position = behind;
                Ok(Node::Span(span))
            }
            Err(BlobProblem::Base64) => Err(WireError::Serialization(
                "STRING_VALUE can not be converted to a Blob: it is not base64".to_owned(),
            )),
            Err(BlobProblem::Json(at, text)) => {
                self.position = at;
                self.scan(|scanner| Err(scanner.problem(text.to_owned())))
            }
        }
    }

    /// The error that what comes next, if it is JSON at all, is not a `wanted`.
    fn unfit(&mut self, wanted: &str) -> Result<(), WireError> {
        let first = self.scan(|scanner| {
            let first = scanner.peek();
            if matches!(first, Some(b'{' | b'[')) { Ok(first) } else { scanner.skip_value(0).map(|()| first) }
        })?;
        let found = match first {
            Some(b'{') => return Err(unfit("Start of structure or map found where not expected.")),
            Some(b'[') => return Err(unfit("Start of list found where not expected")),
            _ if matches!(wanted, "list" | "map" | "structure") => {
                return Err(unfit(&format!("Expected {wanted} or null")));
            }
            Some(b'"') => "STRING_VALUE",
            Some(b't') => "TRUE_VALUE",
            Some(b'f') => "FALSE_VALUE",
            _ => "NUMBER_VALUE",
        };
        let article = if wanted == "Integer" { "an" } else { "a" };
        Err(unfit(&format!("{found} can not be converted to {article} {wanted}")))
    }
}

fn unfit(text: &str) -> WireError {
    WireError::Serialization(text.to_owned())
}

fn java_type(kind: &Kind) -> &'static str {
    match kind {
        Kind::Structure(_) => "structure",
        Kind::List { .. } => "list",
        Kind::Map { .. } => "map",
        Kind::String => "String",
        Kind::Boolean => "Boolean",
        Kind::Integer => "Integer",
        Kind::Long => "Long",
        Kind::Double => "Double",
        Kind::Blob => "Blob",
        Kind::Timestamp => "Date",
    }
}
