//! The tokens of JSON, read from a byte slice; RFC 8259 to the letter, problems in Jackson's words, which AWS passes on.

use std::borrow::Cow;
use std::fmt;

/// How deep arrays and objects may nest. Jackson, which AWS uses, stops at 1,000 as well.
const MAX_DEPTH: usize = 1000;

/// What is wrong, and where.
#[derive(Debug)]
pub(crate) struct Problem {
    text: String,
    line: usize,
    column: usize,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n at [Source: UNKNOWN; line: {}, column: {}]", self.text, self.line, self.column)
    }
}

/// A position in a JSON text.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Scanner<'a> {
        Scanner { bytes, position: 0 }
    }

    /// Takes up the reading at `position`.
    pub(crate) fn at(bytes: &'a [u8], position: usize) -> Scanner<'a> {
        Scanner { bytes, position }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The next byte that is not white space; it is not consumed.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.position) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.position += 1;
        }
        None
    }

    /// Consumes `expected` after white space, if it comes next.
    pub(crate) fn accept(&mut self, expected: u8) -> bool {
        let found = self.peek() == Some(expected);
        self.position += usize::from(found);
        found
    }

    pub(crate) fn expect(&mut self, expected: u8, wanted: &str) -> Result<(), Problem> {
        if self.accept(expected) { Ok(()) } else { Err(self.unexpected(wanted)) }
    }

    /// That what comes next is not `wanted`.
    pub(crate) fn unexpected(&mut self, wanted: &str) -> Problem {
        match self.peek() {
            None => self.problem("Unexpected end-of-input".to_owned()),
            Some(byte) if byte.is_ascii_graphic() => {
                self.problem(format!("Unexpected character ('{}' (code {byte})): {wanted}", char::from(byte)))
            }
            Some(byte) if byte < 0x80 => {
                self.problem(format!("Unexpected character ((CTRL-CHAR, code {byte})): {wanted}"))
            }
            Some(byte @ (0x80..0xC2 | 0xF5..)) => self.problem(format!("Invalid UTF-8 start byte 0x{byte:x}")),
            Some(byte) => self.problem(format!("Unexpected character (code {byte}): {wanted}")),
        }
    }

    /// A problem at the present position.
    pub(crate) fn problem(&self, text: String) -> Problem {
        let before = &self.bytes[..self.position.min(self.bytes.len())];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|&&byte| byte != b'\n').count();
        Problem { text, line, column }
    }

    /// The whole text is one value.
    pub(crate) fn skip_document(&mut self) -> Result<(), Problem> {
        self.skip_value(0)?;
        self.end()
    }

    /// Nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), Problem> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected("Expected space separating root-level values")) }
    }

    /// Passes over one value, checking it.
    pub(crate) fn skip_value(&mut self, depth: usize) -> Result<(), Problem> {
        self.check_depth(depth)?;
        match self.peek() {
            Some(b'{') => self.skip_object(depth),
            Some(b'[') => self.skip_array(depth),
            Some(b'"') => self.skip_string(),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            _ => self.literal().map(drop),
        }
    }

    pub(crate) fn check_depth(&self, depth: usize) -> Result<(), Problem> {
        if depth < MAX_DEPTH {
            return Ok(());
        }
        Err(self.problem(format!("Document nesting depth ({}) exceeds the maximum allowed ({MAX_DEPTH})", depth + 1)))
    }

    fn skip_object(&mut self, depth: usize) -> Result<(), Problem> {
        self.position += 1;
        if self.accept(b'}') {
            return Ok(());
        }
        loop {
            self.field_name_start()?;
            self.skip_string()?;
            self.colon()?;
            self.skip_value(depth + 1)?;
            if self.accept(b'}') {
                return Ok(());
            }
            self.expect(b',', "was expecting comma to separate Object entries")?;
        }
    }

    fn skip_array(&mut self, depth: usize) -> Result<(), Problem> {
        self.position += 1;
        if self.accept(b']') {
            return Ok(());
        }
        loop {
            self.skip_value(depth + 1)?;
            if self.accept(b']') {
                return Ok(());
            }
            self.expect(b',', "was expecting comma to separate Array entries")?;
        }
    }

    /// A field's name comes next; it is not consumed.
    pub(crate) fn field_name_start(&mut self) -> Result<(), Problem> {
        if self.peek() == Some(b'"') {
            return Ok(());
        }
        Err(self.unexpected("was expecting double-quote to start field name"))
    }

    pub(crate) fn colon(&mut self) -> Result<(), Problem> {
        self.expect(b':', "was expecting a colon to separate field name and value")
    }

    /// `true`, `false` or `null`.
    pub(crate) fn literal(&mut self) -> Result<Option<bool>, Problem> {
        let wanted = "expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
        if !self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
            return Err(self.unexpected(wanted));
        }
        let rest = &self.bytes[self.position..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let value = match &rest[..length] {
            b"true" => Some(true),
            b"false" => Some(false),
            b"null" => None,
            token => {
                let token = String::from_utf8_lossy(&token[..token.len().min(256)]).into_owned();
                self.position += length;
                let wanted = "was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
                return Err(self.problem(format!("Unrecognized token '{token}': {wanted}")));
            }
        };
        self.position += length;
        Ok(value)
    }

    /// The text of a number.
    pub(crate) fn number(&mut self) -> Result<&'a str, Problem> {
        let start = self.position;
        self.position += usize::from(self.bytes.get(start) == Some(&b'-'));
        let leading_zero = self.bytes.get(self.position) == Some(&b'0');
        if self.digits()? > 1 && leading_zero {
            return Err(self.problem("Invalid numeric value: Leading zeroes not allowed".to_owned()));
        }
        if self.bytes.get(self.position) == Some(&b'.') {
            self.position += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.position), Some(b'e' | b'E')) {
            self.position += 1;
            self.position += usize::from(matches!(self.bytes.get(self.position), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(std::str::from_utf8(&self.bytes[start..self.position]).unwrap_or_default())
    }

    fn digits(&mut self) -> Result<usize, Problem> {
        let count = self.bytes[self.position..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.position += count;
        if count > 0 { Ok(count) } else { Err(self.unexpected("Expected digit (0-9) in a number")) }
    }

    fn skip_string(&mut self) -> Result<(), Problem> {
        let start = self.position + 1;
        let (end, escaped) = self.string_end()?;
        let raw = self.utf8(start, end)?;
        if escaped {
            self.unescape(raw, start)?;
        }
        Ok(())
    }

    /// The string that starts here.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Problem> {
        let start = self.position + 1;
        let (end, escaped) = self.string_end()?;
        let raw = self.utf8(start, end)?;
        if escaped { self.unescape(raw, start).map(Cow::Owned) } else { Ok(Cow::Borrowed(raw)) }
    }

    /// Moves behind the string that starts here; where its closing quote is, and whether it has escapes.
    fn string_end(&mut self) -> Result<(usize, bool), Problem> {
        let mut escaped = false;
        self.position += 1;
        loop {
            self.position = next_special(self.bytes, self.position);
            match self.bytes.get(self.position) {
                Some(b'"') => {
                    self.position += 1;
                    return Ok((self.position - 1, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    self.position += 2;
                }
                Some(b' ') => self.position += 1,
                Some(byte) => {
                    let text = "has to be escaped using backslash to be included in string value";
                    return Err(self.problem(format!("Illegal unquoted character ((CTRL-CHAR, code {byte})): {text}")));
                }
                None => {
                    self.position = self.bytes.len();
                    return Err(self.problem("Unexpected end-of-input in VALUE_STRING".to_owned()));
                }
            }
        }
    }

    fn utf8(&self, start: usize, end: usize) -> Result<&'a str, Problem> {
        let bytes = self.bytes;
        std::str::from_utf8(&bytes[start..end]).map_err(|error| {
            let at = start + error.valid_up_to();
            let scanner = Scanner::at(bytes, at);
            scanner.problem(format!("Invalid UTF-8 start byte 0x{:x}", bytes[at]))
        })
    }

    fn unescape(&self, raw: &str, start: usize) -> Result<String, Problem> {
        let mut text = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(backslash) = rest.find('\\') {
            text.push_str(&rest[..backslash]);
            let escape = &rest[backslash..];
            match unescape_one(escape.as_bytes()) {
                Some((letter, length)) => {
                    text.push(letter);
                    rest = &escape[length..];
                }
                None => {
                    let at = Scanner::at(self.bytes, start + raw.len() - escape.len());
                    return Err(at.problem("Unrecognized character escape".to_owned()));
                }
            }
        }
        text.push_str(rest);
        Ok(text)
    }
}

/// The character that an escape (with its backslash) stands for, and the escape's length. A lone surrogate becomes U+FFFD.
pub(super) fn unescape_one(escape: &[u8]) -> Option<(char, usize)> {
    let letter = match escape.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{C}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unescape_unicode(escape),
        _ => return None,
    };
    Some((letter, 2))
}

fn unescape_unicode(escape: &[u8]) -> Option<(char, usize)> {
    let first = hex_digits(escape.get(2..6)?)?;
    if let Some(letter) = char::from_u32(first) {
        return Some((letter, 6));
    }
    let second = match escape.get(6..8) {
        Some(b"\\u") => escape.get(8..12).and_then(hex_digits),
        _ => None,
    };
    match second {
        Some(second) if first < 0xDC00 && (0xDC00..0xE000).contains(&second) => {
            let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            char::from_u32(code).map(|letter| (letter, 12))
        }
        _ => Some((char::REPLACEMENT_CHARACTER, 6)),
    }
}

fn hex_digits(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |code, &digit| char::from(digit).to_digit(16).map(|digit| code << 4 | digit))
}

/// The next quote, backslash, space or control character at or after `position`, or the end. Blocks without any are
/// passed over in one step, which the compiler turns into vector instructions.
pub(super) fn next_special(bytes: &[u8], mut position: usize) -> usize {
    let special = |byte: u8| byte <= b' ' || byte == b'"' || byte == b'\\';
    while let Some(block) = bytes.get(position..position + 64) {
        if block.iter().fold(false, |found, &byte| found | special(byte)) {
            break;
        }
        position += 64;
    }
    let rest = bytes.get(position..).unwrap_or_default();
    rest.iter().position(|&byte| special(byte)).map_or(bytes.len(), |offset| position + offset)
}
