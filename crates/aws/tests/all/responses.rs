//! Answers and errors as clients get them.

use std::collections::BTreeMap;

use bojagi_aws::{ErrorReply, iam, lambda, sts};
use bytes::Bytes;
use http::Response;
use time::macros::datetime;

fn text(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).expect("text")
}

#[test]
fn json_members_travel_where_the_model_says() {
    let configuration = lambda::types::FunctionConfiguration {
        function_name: Some("f".to_owned()),
        code_size: Some(7),
        last_modified: Some("2026-01-31T12:00:00.000+0000".to_owned()),
        environment: Some(lambda::types::EnvironmentResponse {
            variables: Some(BTreeMap::from([("K".to_owned(), "\"\\\u{1}ü".to_owned())])),
            error: None,
        }),
        architectures: Some(vec!["x86_64".to_owned()]),
        ..Default::default()
    };
    let response = lambda::Output::CreateFunction(Box::new(configuration)).into_response("id");
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-amzn-requestid"]),
        (201, &"id".parse().expect("a value"))
    );
    assert_eq!(response.headers()["content-type"], "application/json");
    let value: serde_json::Value = serde_json::from_str(text(&response)).expect("JSON");
    let expected = serde_json::json!({"FunctionName": "f", "CodeSize": 7, "LastModified": "2026-01-31T12:00:00.000+0000",
        "Environment": {"Variables": {"K": "\"\\\u{1}ü"}}, "Architectures": ["x86_64"]});
    assert_eq!(value, expected);

    let payload = Bytes::from_static(b"{\"ok\":true}");
    let invoked = lambda::types::InvocationResponse {
        status_code: Some(200),
        function_error: Some("Unhandled".to_owned()),
        executed_version: Some("$LATEST".to_owned()),
        payload: Some(payload.clone()),
        ..Default::default()
    };
    let response = lambda::Output::Invoke(Box::new(invoked)).into_response("id");
    assert_eq!(response.body().as_ptr(), payload.as_ptr(), "the payload is not copied");
    assert_eq!(response.headers()["x-amz-function-error"], "Unhandled");
    assert_eq!(response.headers()["x-amz-executed-version"], "$LATEST");

    let event = lambda::types::InvocationResponse { status_code: Some(202), ..Default::default() };
    assert_eq!(lambda::Output::Invoke(Box::new(event)).into_response("id").status(), 202);
    let response = lambda::Output::TagResource.into_response("id");
    assert_eq!((response.status().as_u16(), text(&response)), (204, ""));
}

#[test]
fn json_errors_have_their_modelled_shape() {
    let reply = |code, message| lambda::error_response(&ErrorReply::new(code, message), "id");
    let response = reply("ResourceNotFoundException", "Function not found: f");
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["x-amzn-errortype"], "ResourceNotFoundException");
    assert_eq!(text(&response), r#"{"Type":"User","Message":"Function not found: f"}"#);
    let response = reply("InvalidParameterValueException", "m");
    assert_eq!((response.status().as_u16(), text(&response)), (400, r#"{"Type":"User","message":"m"}"#));
    let response = reply("ServiceException", "m");
    assert_eq!((response.status().as_u16(), text(&response)), (500, r#"{"Type":"Service","Message":"m"}"#));
    let response = reply("ValidationException", "m");
    assert_eq!((response.status().as_u16(), text(&response)), (400, r#"{"message":"m"}"#));
    let large = ErrorReply::new("RequestEntityTooLargeException", "m").with_status(413);
    assert_eq!(lambda::error_response(&large, "id").status(), 413);
    let throttled = ErrorReply::new("TooManyRequestsException", "Rate Exceeded.")
        .with_extra("Reason", "ReservedFunctionConcurrentInvocationLimitExceeded")
        .with_extra("retryAfterSeconds", "1")
        .with_extra("unmodelled", "x");
    let response = lambda::error_response(&throttled, "id");
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"1".parse().expect("a value")));
    let expected =
        r#"{"Type":"User","message":"Rate Exceeded.","Reason":"ReservedFunctionConcurrentInvocationLimitExceeded"}"#;
    assert_eq!(text(&response), expected);
}

#[test]
fn xml_has_the_services_namespace_and_wrapper() {
    let role = iam::types::Role {
        role_name: Some("a<&>\u{0}".to_owned()),
        create_date: Some(datetime!(2026-01-31 12:00:00.5 UTC)),
        assume_role_policy_document: Some("{\"a b\": 1}".to_owned()),
        tags: Some(vec![iam::types::Tag { key: Some("k".to_owned()), value: Some(String::new()) }]),
        ..Default::default()
    };
    let response = iam::Output::GetRole(Box::new(iam::types::GetRoleResponse { role: Some(role) })).into_response("id");
    let expected = "<GetRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><GetRoleResult><Role>\
        <RoleName>a&lt;&amp;&gt;\u{fffd}</RoleName><CreateDate>2026-01-31T12:00:00Z</CreateDate>\
        <AssumeRolePolicyDocument>%7B%22a%20b%22%3A%201%7D</AssumeRolePolicyDocument>\
        <Tags><member><Key>k</Key><Value></Value></member></Tags></Role></GetRoleResult>\
        <ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></GetRoleResponse>";
    assert_eq!(text(&response), expected);
    assert_eq!(response.headers()["content-type"], "text/xml");
    let response = iam::Output::DeleteRole.into_response("id");
    let expected = "<DeleteRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
        <ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></DeleteRoleResponse>";
    assert_eq!(text(&response), expected);
    let identity =
        sts::types::GetCallerIdentityResponse { account: Some("000000000000".to_owned()), ..Default::default() };
    let response = sts::Output::GetCallerIdentity(Box::new(identity)).into_response("id");
    assert!(
        text(&response).contains("<GetCallerIdentityResult><Account>000000000000</Account></GetCallerIdentityResult>")
    );
}

#[test]
fn xml_errors_say_who_is_to_blame() {
    let response = iam::error_response(&ErrorReply::new("NoSuchEntity", "The role with name r cannot be found."), "id");
    let expected = "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
        <Code>NoSuchEntity</Code><Message>The role with name r cannot be found.</Message></Error>\
        <RequestId>id</RequestId></ErrorResponse>";
    assert_eq!((response.status().as_u16(), text(&response)), (404, expected));
    let response = sts::error_response(&ErrorReply::new("InternalFailure", "m").with_status(500), "id");
    assert_eq!(response.status(), 500);
    assert!(text(&response).contains("<Type>Receiver</Type>"));
}
