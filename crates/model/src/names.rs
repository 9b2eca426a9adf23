//! The names by which the Lambda API addresses a function: name, partial ARN, full ARN, with or without a qualifier.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{AccountId, Error, ErrorKind, Region};

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidParameterValue, message)
}

/// A function's own name: 1 to 64 letters, digits, hyphens and underscores.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FunctionName(String);

impl FunctionName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FunctionName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let legal = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        if (1..=64).contains(&text.len()) && text.bytes().all(legal) {
            Ok(FunctionName(text.to_owned()))
        } else if text.len() > 64 {
            // AWS's words for what the modelled pattern, made for whole ARNs, lets through.
            Err(invalid(format!(
                "1 validation error detected: Value '{text}' at 'functionName' failed to satisfy constraint: \
                 Member must have length less than or equal to 64"
            )))
        } else {
            Err(invalid(format!("Invalid function name: {text}")))
        }
    }
}

impl TryFrom<String> for FunctionName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<FunctionName> for String {
    fn from(name: FunctionName) -> String {
        name.0
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which state of a function: the mutable one, or a published one that never changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Version {
    /// `$LATEST`.
    #[default]
    Latest,
    /// A published version, from 1.
    Number(u64),
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Latest => f.write_str("$LATEST"),
            Version::Number(number) => write!(f, "{number}"),
        }
    }
}

/// What a request names beside the function: a version or an alias.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Qualifier {
    /// A version.
    Version(Version),
    /// An alias: letters, digits, hyphens, underscores, not only digits, at most 128.
    Alias(String),
}

impl FromStr for Qualifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "$LATEST" {
            return Ok(Qualifier::Version(Version::Latest));
        }
        if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
            return text
                .parse()
                .map(|number| Qualifier::Version(Version::Number(number)))
                .map_err(|_| invalid(format!("Invalid qualifier: {text}")));
        }
        let legal = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        if (1..=128).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Qualifier::Alias(text.to_owned()))
        } else {
            Err(invalid(format!("Invalid qualifier: {text}")))
        }
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Qualifier::Version(version) => version.fmt(f),
            Qualifier::Alias(name) => f.write_str(name),
        }
    }
}

/// The full name of a function, without a qualifier:
/// `arn:aws:lambda:REGION:ACCOUNT:function:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FunctionArn {
    /// Where the function is.
    pub region: Region,
    /// Whose it is.
    pub account: AccountId,
    /// What it is called.
    pub name: FunctionName,
}

impl FunctionArn {
    /// The ARN with a qualifier at its end.
    pub fn qualified(&self, qualifier: impl fmt::Display) -> String {
        format!("{self}:{qualifier}")
    }
}

impl fmt::Display for FunctionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:aws:lambda:{}:{}:function:{}", self.region, self.account, self.name)
    }
}

/// What a request's `FunctionName` says: any of the forms that the Lambda API accepts.
///
/// | form | example |
/// | --- | --- |
/// | name | `my-function`, `my-function:v1` |
/// | partial ARN | `123456789012:function:my-function` |
/// | full ARN | `arn:aws:lambda:us-west-2:123456789012:function:my-function:PROD` |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionReference {
    /// The region, when the form names one.
    pub region: Option<Region>,
    /// The account, when the form names one.
    pub account: Option<AccountId>,
    /// The function's own name.
    pub name: FunctionName,
    /// The qualifier at the end, when there is one.
    pub qualifier: Option<Qualifier>,
}

impl FromStr for FunctionReference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts: Vec<&str> = text.split(':').collect();
        let (mut region, mut account) = (None, None);
        if parts.len() >= 7 && parts[0] == "arn" && parts[2] == "lambda" && parts[5] == "function" {
            region = Some(parts[3].parse()?);
            account = Some(parts[4].parse()?);
            parts.drain(..6);
        } else if parts.len() >= 3 && parts[1] == "function" {
            account = Some(parts[0].parse()?);
            parts.drain(..2);
        } else if parts.len() >= 2 && parts[0] == "function" {
            parts.drain(..1);
        }
        let (name, qualifier) = match parts[..] {
            [name] => (name, None),
            [name, qualifier] => (name, Some(qualifier.parse()?)),
            _ => return Err(invalid(format!("Invalid function name: {text}"))),
        };
        Ok(FunctionReference { region, account, name: name.parse()?, qualifier })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_in_every_form() {
        let table = [
            ("my-function", None, None, None),
            ("my-function:v1", None, None, Some("v1")),
            ("function:my-function", None, None, None),
            ("123456789012:function:my-function", None, Some("123456789012"), None),
            ("123456789012:function:my-function:7", None, Some("123456789012"), Some("7")),
            (
                "arn:aws:lambda:us-west-2:123456789012:function:my-function",
                Some("us-west-2"),
                Some("123456789012"),
                None,
            ),
            (
                "arn:aws:lambda:us-west-2:123456789012:function:my-function:$LATEST",
                Some("us-west-2"),
                Some("123456789012"),
                Some("$LATEST"),
            ),
        ];
        for (text, region, account, qualifier) in table {
            let reference: FunctionReference = text.parse().unwrap();
            assert_eq!(reference.name.as_str(), "my-function", "{text}");
            assert_eq!(reference.region.as_ref().map(Region::as_str), region, "{text}");
            assert_eq!(reference.account.as_ref().map(AccountId::as_str), account, "{text}");
            assert_eq!(reference.qualifier.map(|q| q.to_string()).as_deref(), qualifier, "{text}");
        }
        for text in ["", "a b", "a:b:c", "arn:aws:lambda:us-west-2:12:function:f", "f:", &"x".repeat(65)] {
            assert!(text.parse::<FunctionReference>().is_err(), "{text}");
        }
    }
}
