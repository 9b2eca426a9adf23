//! What every service's module offers, written once over the schema: routes, and the methods of its `Operation`.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::schema::{Operation, Segment};

/// What a request's method, path and query lead to.
#[derive(Clone, Debug, PartialEq)]
pub struct Route<'a, O> {
    /// The operation.
    pub operation: O,
    /// The labels of its URI, decoded.
    pub labels: Labels<'a>,
}

/// The labels of a URI, percent-decoded, by the name they have in the template. At most a handful.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels<'a>(Vec<(&'static str, Cow<'a, str>)>);

impl<'a> Labels<'a> {
    /// The label of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(label, _)| *label == name).map(|(_, value)| value.as_ref())
    }
}

/// The operation's place in the table and its labels: of all templates that match the one with the most literal parts.
pub(crate) fn route<'a>(
    operations: &'static [Operation],
    method: &str,
    path: &'a str,
    query: &str,
) -> Option<(usize, Labels<'a>)> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let candidates = operations.iter().enumerate().filter(|(_, operation)| {
        operation.method == method && matches(operation.segments, path) && demands(operation.query, query)
    });
    let (index, operation) = candidates.max_by_key(|(_, operation)| specificity(operation))?;
    Some((index, labels(operation.segments, path)))
}

fn specificity(operation: &Operation) -> (usize, usize, usize) {
    let literals = operation.segments.iter().filter(|segment| matches!(segment, Segment::Literal(_))).count();
    (operation.query.len(), literals, operation.segments.len())
}

/// Without allocation, as most templates do not match.
fn matches(segments: &[Segment], path: &str) -> bool {
    let mut rest = Some(path);
    for segment in segments {
        let Some(path) = rest else { return false };
        let (part, behind) = path.split_once('/').map_or((path, None), |(part, behind)| (part, Some(behind)));
        match segment {
            Segment::Literal(literal) if *literal == part => rest = behind,
            Segment::Label(_) if !part.is_empty() => rest = behind,
            Segment::Greedy(_) => return !path.is_empty(),
            _ => return false,
        }
    }
    rest.is_none_or(|rest| segments.is_empty() && rest.is_empty())
}

fn labels<'a>(segments: &[Segment], path: &'a str) -> Labels<'a> {
    let mut labels = Vec::new();
    let mut rest = path;
    for segment in segments {
        let (part, behind) = rest.split_once('/').unwrap_or((rest, ""));
        match segment {
            Segment::Literal(_) => {}
            Segment::Label(name) => labels.push((*name, percent_decode_str(part).decode_utf8_lossy())),
            Segment::Greedy(name) => labels.push((*name, percent_decode_str(rest).decode_utf8_lossy())),
        }
        rest = behind;
    }
    Labels(labels)
}

fn demands(demanded: &[(&str, &str)], query: &str) -> bool {
    let has = |name: &str, value: &str| {
        let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.any(|pair| pair.0 == name && (value.is_empty() || pair.1 == value))
    };
    demanded.iter().all(|(name, value)| has(name, value))
}

/// The methods of a service's `Operation`.
macro_rules! impl_operation {
    ($operation:ident) => {
        impl $operation {
            /// As AWS spells it.
            pub fn name(self) -> &'static str {
                self.schema().name
            }

            /// The HTTP method.
            pub fn method(self) -> &'static str {
                self.schema().method
            }

            /// The URI template, for instance `/2015-03-31/functions/{FunctionName}`.
            pub fn uri(self) -> &'static str {
                self.schema().uri
            }

            /// The HTTP status of success.
            pub fn response_code(self) -> u16 {
                self.schema().status
            }

            /// The codes of the errors that the model gives this operation.
            pub fn errors(self) -> &'static [&'static str] {
                self.schema().errors
            }

            /// Whether its requests can be parsed.
            pub fn is_supported(self) -> bool {
                self.schema().supported
            }

            /// The operation of that name.
            pub fn from_name(name: &str) -> Option<$operation> {
                let index = OPERATIONS.binary_search_by(|operation| operation.name.cmp(name)).ok()?;
                Some(Self::ALL[index])
            }
        }

        impl std::fmt::Display for $operation {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(crate) use impl_operation;

#[cfg(test)]
mod tests {
    use super::*;

    const fn operation(segments: &'static [Segment], query: &'static [(&'static str, &'static str)]) -> Operation {
        let (input, output, result_wrapper) = (None, None, None);
        let (name, method, uri, errors) = ("", "GET", "", &[]);
        Operation {
            name,
            method,
            uri,
            segments,
            query,
            status: 200,
            errors,
            supported: true,
            input,
            output,
            result_wrapper,
        }
    }

    static OPERATIONS: [Operation; 4] = [
        operation(&[Segment::Label("Bucket")], &[]),
        operation(&[Segment::Label("Bucket"), Segment::Greedy("Key")], &[]),
        operation(&[Segment::Label("Bucket"), Segment::Greedy("Key")], &[("acl", "")]),
        operation(&[Segment::Literal("fixed"), Segment::Literal("key")], &[]),
    ];

    #[test]
    fn a_greedy_label_takes_the_rest_and_literals_go_first() {
        let found = |path, query| route(&OPERATIONS, "GET", path, query);
        let (index, labels) = found("/b/x/y%20z/w", "").expect("an object");
        assert_eq!((index, labels.get("Bucket"), labels.get("Key")), (1, Some("b"), Some("x/y z/w")));
        assert_eq!(found("/b", "").map(|found| found.0), Some(0));
        assert_eq!(found("/b/x", "acl").map(|found| found.0), Some(2));
        assert_eq!(found("/fixed/key", "").map(|found| found.0), Some(3));
        assert_eq!(found("/fixed/other", "").map(|found| found.0), Some(1));
    }
}
