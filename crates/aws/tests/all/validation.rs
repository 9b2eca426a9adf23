//! Constraint violations, in the words recorded from AWS.

use bojagi_aws::{Form, WireError, iam, lambda};
use http::HeaderMap;
use serde_json::{Value, json};

/// The violation that a request of that operation is refused with; members in URIs come as labels.
fn refuse(operation: &str, labels: &Value, query: &str, body: &Value) -> WireError {
    let operation = lambda::Operation::from_name(operation).expect("an operation");
    let template = operation.uri();
    let path = labels.as_object().into_iter().flatten().fold(template.to_owned(), |path, (label, value)| {
        path.replace(&format!("{{{label}}}"), &value.as_str().unwrap_or_default().replace('/', "%2F"))
    });
    let route = lambda::route(operation.method(), &path, query).expect("the path is routed");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    lambda::parse(operation, &route.labels, query, &HeaderMap::new(), body.as_bytes().into())
        .expect_err("it is refused")
}

fn violations(body: Value) -> String {
    refuse("CreateFunction", &Value::Null, "", &body).to_string()
}

#[test]
fn recorded_violations_are_worded_the_same() {
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("../data/recorded-violations.json")).expect("the data is JSON");
    assert!(rows.len() > 15);
    for row in rows {
        let operation = row["operation"].as_str().expect("text");
        let (error, code) = match row["form"].as_str() {
            Some(form) => {
                let operation = iam::Operation::from_name(operation).expect("an operation");
                (
                    iam::parse(operation, &Form::parse("", form.as_bytes())).expect_err("it is refused"),
                    "ValidationError",
                )
            }
            None => {
                let query = row["query"].as_str().unwrap_or_default();
                (refuse(operation, &row["labels"], query, &row["body"]), "ValidationException")
            }
        };
        let (message, expected) = (error.to_string(), row["message"].as_str().expect("text"));
        // Where the model is newer than the recording, a pattern goes on otherwise.
        let same = if row["prefix"] == true { message.starts_with(expected) } else { message == expected };
        assert!(same, "{operation}:\n {message}\n {expected}");
        assert_eq!((error.code(), error.status()), (code, 400));
    }
}

#[test]
fn several_violations_are_joined() {
    let nothing = "3 validation errors detected: \
        Value null at 'functionName' failed to satisfy constraint: Member must not be null; \
        Value null at 'role' failed to satisfy constraint: Member must not be null; \
        Value null at 'code' failed to satisfy constraint: Member must not be null";
    assert_eq!(violations(json!({})), nothing);
    assert_eq!(violations(Value::Null), nothing);
    let role = "arn:aws:iam::000000000000:role/r";
    let both = "2 validation errors detected: \
        Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1; \
        Value '[a, null]' at 'architectures' failed to satisfy constraint: Member must have length less than or equal to 1";
    let message =
        violations(json!({"FunctionName": "f", "Role": role, "Code": {}, "Timeout": 0, "Architectures": ["a", null]}));
    assert!(message.starts_with(&both.replace('2', "3")), "{message}");
    let bracket = "; Value '[a, null]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: \
        [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]";
    assert!(message.ends_with(bracket), "{message}");
}

#[test]
fn members_of_structures_in_lists_are_numbered_from_one() {
    let body = json!({"FunctionName": "f", "Role": "arn:aws:iam::000000000000:role/r", "Code": {},
        "FileSystemConfigs": [{"LocalMountPath": "/mnt/x"}]});
    let expected = "1 validation error detected: Value null at 'fileSystemConfigs.1.member.arn' failed to satisfy constraint: \
        Member must not be null";
    assert_eq!(violations(body), expected);
}

#[test]
fn bounds_are_those_of_the_model() {
    let update = |member: &str, value: Value| {
        let operation = lambda::Operation::UpdateFunctionConfiguration;
        let route = lambda::route("PUT", "/2015-03-31/functions/f/configuration", "").expect("the path is routed");
        let body = json!({ member: value }).to_string();
        lambda::parse(operation, &route.labels, "", &HeaderMap::new(), body.as_bytes().into()).is_ok()
    };
    for (member, least, most) in [("MemorySize", 128, 32768), ("Timeout", 1, 5400)] {
        assert!(update(member, json!(least)) && update(member, json!(most)), "{member}");
        assert!(!update(member, json!(least - 1)) && !update(member, json!(most + 1)), "{member}");
    }
    assert!(update("Description", json!("ü".repeat(256))), "code points are counted");
    assert!(!update("Description", json!("ü".repeat(257))));
    assert!(update("Runtime", json!("no-such-runtime")), "the service refuses it, in other words");
    assert!(!update("TracingConfig", json!({"Mode": "active"})));
}
