//! Requests of every supported operation, as botocore makes them, are routed and parsed.

use std::collections::BTreeSet;

use bojagi_aws::{Form, WireError, iam, lambda, sts};
use http::HeaderMap;
use proptest::prelude::*;

use super::{Request, requests};

fn parse_lambda(request: &Request) -> Result<lambda::Input, WireError> {
    let route = lambda::route(&request.method, &request.path, &request.query).expect("the path is routed");
    assert_eq!(route.operation.name(), request.operation);
    lambda::parse(route.operation, &route.labels, &request.query, &request.headers, request.body[..].into())
}

#[test]
fn every_supported_operation_is_parsed() {
    let mut seen = BTreeSet::new();
    for request in requests().iter().filter(|request| request.service != "s3" && !request.presigned) {
        let form = Form::parse(&request.query, &request.body);
        let debug = match request.service.as_str() {
            "lambda" => format!("{:?}", parse_lambda(request)),
            "iam" => format!("{:?}", iam::route(&form).and_then(|operation| iam::parse(operation, &form))),
            _ => format!("{:?}", sts::route(&form).and_then(|operation| sts::parse(operation, &form))),
        };
        assert!(debug.starts_with(&format!("Ok({}(", request.operation)), "{}: {debug}", request.operation);
        seen.insert(request.operation.clone());
    }
    let lambda = lambda::Operation::ALL
        .into_iter()
        .filter(|operation| operation.is_supported())
        .map(|operation| operation.name());
    let iam =
        iam::Operation::ALL.into_iter().filter(|operation| operation.is_supported()).map(|operation| operation.name());
    let sts =
        sts::Operation::ALL.into_iter().filter(|operation| operation.is_supported()).map(|operation| operation.name());
    for name in lambda.chain(iam).chain(sts) {
        assert!(seen.contains(name), "there is no request of {name} in the data");
    }
}

#[test]
fn members_arrive_from_every_place() {
    let requests = requests();
    let inputs = requests
        .iter()
        .filter(|request| request.service == "lambda")
        .map(|request| parse_lambda(request).expect("it is valid"));
    for input in inputs {
        match input {
            lambda::Input::CreateFunction(request) if request.description.is_none() => {
                let expected: Vec<u8> = (0..=255).cycle().take(256 * 40).collect();
                assert_eq!(request.code.and_then(|code| code.zip_file).as_deref(), Some(&expected[..]));
            }
            lambda::Input::CreateFunction(request) => {
                let description = "quote \" backslash \\ slash / line\nü \u{1f600}";
                assert_eq!(request.description.as_deref(), Some(description));
                let environment =
                    request.environment.clone().and_then(|environment| environment.variables).unwrap_or_default();
                assert_eq!(environment["KEY"], "value");
                assert!(!format!("{request:?}").contains("OTHER_1"), "environment variables are sensitive");
                let vpc = request.vpc_config.unwrap_or_default();
                assert_eq!((vpc.security_group_ids, vpc.ipv6_allowed_for_dual_stack), (Some(Vec::new()), Some(false)));
            }
            lambda::Input::ListFunctions(request) if request.marker.is_some() => {
                assert_eq!((request.marker.as_deref(), request.max_items), (Some("a+b/c=&"), Some(50)));
            }
            lambda::Input::Invoke(request) if request.payload.is_some() => {
                assert_eq!(request.payload.as_deref(), Some(&b"{\"a\": 1}"[..]));
                assert_eq!(request.function_name.as_deref(), Some("000000000000:f"));
                assert_eq!(request.log_type.as_deref(), Some("Tail"));
            }
            lambda::Input::UntagResource(request) => {
                let keys = ["k", "other key", "a+b"].map(str::to_owned).to_vec();
                assert_eq!(request.tag_keys, Some(keys));
                assert_eq!(request.resource.as_deref(), Some("arn:aws:lambda:eu-central-1:000000000000:function:f"));
            }
            _ => {}
        }
    }
    let roles = requests.iter().filter(|request| request.operation == "CreateRole").filter_map(|request| {
        let form = Form::parse("", &request.body);
        match iam::parse(iam::Operation::CreateRole, &form) {
            Ok(iam::Input::CreateRole(role)) => role.tags,
            other => panic!("{other:?}"),
        }
    });
    for tags in roles {
        let keys: Vec<_> = tags.into_iter().map(|tag| tag.key.unwrap_or_default()).collect();
        assert_eq!(keys, (0..12).map(|number| format!("k{number}")).collect::<Vec<_>>(), "in numeric order");
    }
}

#[test]
fn a_blob_shares_the_bodys_buffer() {
    let body = bytes::BytesMut::from(&br#"{"ZipFile": "aGVsbG8gd29ybGQ="}"#[..]);
    let buffer = body.as_ptr_range();
    let route = lambda::route("PUT", "/2015-03-31/functions/f/code", "").expect("the path is routed");
    let input = lambda::parse(route.operation, &route.labels, "", &HeaderMap::new(), body).expect("it is valid");
    let lambda::Input::UpdateFunctionCode(request) = input else { panic!("another operation") };
    let zip = request.zip_file.expect("it is there");
    assert_eq!(zip, "hello world");
    assert!(buffer.contains(&zip.as_ptr()));
}

#[test]
fn the_query_protocol_refuses_what_it_does_not_know() {
    let route =
        |body: &str| iam::route(&Form::parse("", body.as_bytes())).map_err(|error| (error.code(), error.to_string()));
    assert_eq!(route("Action=GetRole&Version=2010-05-08"), Ok(iam::Operation::GetRole));
    assert_eq!(route("Version=2010-05-08"), Err(("MissingAction", "Missing Action".to_owned())));
    let unknown = |text: &str| Err(("InvalidAction", text.to_owned()));
    assert_eq!(
        route("Action=Nothing&Version=2010-05-08"),
        unknown("Could not find operation Nothing for version 2010-05-08")
    );
    assert_eq!(route("Action=GetRole"), unknown("Could not find operation GetRole for version NO_VERSION_SPECIFIED"));
    let form = Form::parse("", b"Action=CreateUser&Version=2010-05-08");
    let error = iam::parse(iam::Operation::CreateUser, &form).expect_err("it is not supported");
    assert_eq!(
        (error.status(), error.to_string().as_str()),
        (501, "The operation CreateUser is not supported by Bojagi.")
    );
}

#[test]
fn an_index_costs_no_memory() {
    let form = Form::parse(
        "",
        b"RoleName=r&TagKeys.member.4294967295=b&TagKeys.member.7=a&TagKeys.member.x=c&TagKeys.member.=d",
    );
    let Ok(iam::Input::UntagRole(request)) = iam::parse(iam::Operation::UntagRole, &form) else {
        panic!("it is valid")
    };
    assert_eq!(request.tag_keys, Some(vec!["a".to_owned(), "b".to_owned()]));
}

proptest! {
    #[test]
    fn no_form_and_no_path_panics(
        body in "([A-Za-z]{1,9}(\\.member|\\.entry|\\.[0-9]{1,11}|\\.Key|\\.|%[0-9a-fA-F]{2}|\\+)*=[ -~]{0,5}&){0,6}",
        tags in "((Tags|RoleName)(\\.member)?(\\.[0-9]{0,3})?(\\.Key|\\.Value)?=[ -~]{0,5}&){0,6}",
        path in "/[ -~]{0,40}|/2015-03-31/functions/[ -~]{0,20}",
    ) {
        for body in [body, tags] {
            let form = Form::parse(&body, body.as_bytes());
            for operation in iam::Operation::ALL.into_iter().filter(|operation| operation.is_supported()) {
                if let Err(error) = iam::parse(operation, &form) {
                    prop_assert_eq!(error.status(), 400, "{}", error);
                }
            }
        }
        for method in ["GET", "POST", "PUT", "DELETE"] {
            if let Some(route) = lambda::route(method, &path, &path) {
                prop_assert_eq!(route.operation.method(), method);
            }
        }
    }
}
