//! One line of a segment.

use bytes::Bytes;

use super::LogRecord;

/// Appends a record as a line. A stream's tabs and newlines would break the line; Lambda's streams have none.
pub(super) fn write(record: &LogRecord, line: &mut Vec<u8>) {
    line.extend_from_slice(record.timestamp_ms.to_string().as_bytes());
    line.push(b'\t');
    line.extend(record.stream.bytes().map(|byte| if byte.is_ascii_control() { b'?' } else { byte }));
    line.push(b'\t');
    for &byte in &record.message {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            other => line.push(other),
        }
    }
    line.push(b'\n');
}

/// Reads a line without its newline; none when it is not one of ours.
pub(super) fn parse(line: &[u8]) -> Option<LogRecord> {
    let mut parts = line.splitn(3, |&byte| byte == b'\t');
    let timestamp_ms = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let stream = std::str::from_utf8(parts.next()?).ok()?.to_owned();
    let escaped = parts.next()?;
    let mut message = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(&byte) = bytes.next() {
        message.push(match byte {
            b'\\' => match bytes.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                other => *other,
            },
            other => other,
        });
    }
    Some(LogRecord { timestamp_ms, stream, message: Bytes::from(message) })
}
