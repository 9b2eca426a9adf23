//! Functions through the front door: AWS's fields, statuses and messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::*;

const FUNCTIONS: &str = "/2015-03-31/functions";
/// An archive of `app.py`.
const ARCHIVE: &str = "UEsDBBQAAAAAAAAAIVy0CHBpLgAAAC4AAAAGAAAAYXBwLnB5ZGVmIGhhbmRsZXIoZXZlbnQsIGNvbnRleHQpOgogICAgcmV0dXJuIGV2ZW50ClBLAQIUAxQAAAAAAAAAIVy0CHBpLgAAAC4AAAAGAAAAAAAAAAAAAACkAQAAAABhcHAucHlQSwUGAAAAAAEAAQA0AAAAUgAAAAAA";

pub fn create(name: &str) -> String {
    serde_json::json!({
        "FunctionName": name, "Runtime": "python3.13", "Role": ROLE, "Handler": "app.handler",
        "Code": { "ZipFile": ARCHIVE }, "Environment": { "Variables": { "MODE": "b" } }, "Tags": { "team": "x" },
    })
    .to_string()
}

#[tokio::test]
async fn create_function_answers_every_field_that_aws_does() {
    let harness = Harness::start().await;
    let answer = harness.lambda("POST", FUNCTIONS, &create("f")).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let mut body = answer.json();
    let fields = body.as_object_mut().unwrap();
    let revision = fields.remove("RevisionId").unwrap();
    assert_eq!(revision.as_str().unwrap().len(), 36);
    let modified = fields.remove("LastModified").unwrap();
    assert!(modified.as_str().unwrap().ends_with("+0000") && modified.as_str().unwrap().len() == 28, "{modified}");
    let runtime = fields.remove("RuntimeVersionConfig").unwrap();
    assert!(runtime["RuntimeVersionArn"].as_str().unwrap().starts_with("arn:aws:lambda:us-east-1::runtime:"));
    let archive = STANDARD.decode(ARCHIVE).unwrap();
    let hash = STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, &archive));
    let expected = serde_json::json!({
        "Architectures": ["x86_64"], "CodeSha256": hash, "CodeSize": archive.len(), "Description": "",
        "Environment": { "Variables": { "MODE": "b" } }, "EphemeralStorage": { "Size": 512 },
        "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f", "FunctionName": "f", "Handler": "app.handler",
        "LoggingConfig": { "LogFormat": "Text", "LogGroup": "/aws/lambda/f" }, "MemorySize": 128, "PackageType": "Zip",
        "Role": ROLE, "Runtime": "python3.13", "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
        "State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating", "Timeout": 3,
        "TracingConfig": { "Mode": "PassThrough" }, "Version": "$LATEST",
    });
    assert_eq!(body, expected);
    let again = harness.lambda("POST", FUNCTIONS, &create("f")).await;
    again.refused(409, "ResourceConflictException", "Function already exist: f");
    assert_eq!(again.json()["Type"], "User");
    harness.stop().await;
}

#[tokio::test]
async fn code_location_downloads_the_identical_bytes() {
    let harness = Harness::start().await;
    assert_eq!(harness.lambda("POST", FUNCTIONS, &create("f")).await.status, 201);
    let got = harness.lambda("GET", &format!("{FUNCTIONS}/f"), "").await.json();
    assert_eq!((&got["Code"]["RepositoryType"], &got["Tags"]["team"]), (&"S3".into(), &"x".into()));
    let location = got["Code"]["Location"].as_str().unwrap();
    let target = location.strip_prefix(&format!("http://{}", harness.address)).expect(location);
    let answer = harness.send(&Request::new("GET", target)).await;
    let archive = STANDARD.decode(ARCHIVE).unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/zip"));
    assert_eq!(answer.body, archive);
    let head = harness.send(&Request::new("HEAD", target)).await;
    assert_eq!(head.header("content-length"), archive.len().to_string());
    let (path, _) = target.split_once('?').unwrap();
    let unsigned = harness.send(&Request::new("GET", path)).await;
    assert_eq!((unsigned.status, unsigned.element("Code")), (403, "SignatureDoesNotMatch"));
    let put = harness.send(&Request::new("PUT", target)).await;
    assert_eq!(put.status, 405);
    harness.stop().await;
}

#[tokio::test]
async fn a_function_lives() {
    let harness = Harness::start().await;
    assert_eq!(harness.lambda("POST", FUNCTIONS, &create("life")).await.status, 201);
    let path = format!("{FUNCTIONS}/life");
    active(&harness, &path).await;
    let update = r#"{"MemorySize": 256, "Environment": {"Variables": {}}}"#;
    let updated = harness.lambda("PUT", &format!("{path}/configuration"), update).await;
    assert_eq!((updated.status, &updated.json()["MemorySize"]), (200, &256.into()), "{}", updated.text());
    assert_eq!(updated.json()["LastUpdateStatus"], "InProgress");
    let current = active(&harness, &path).await;
    assert_eq!((&current["MemorySize"], &current["LastUpdateStatus"]), (&256.into(), &"Successful".into()));
    let dry = serde_json::json!({ "ZipFile": ARCHIVE, "DryRun": true }).to_string();
    assert_eq!(harness.lambda("PUT", &format!("{path}/code"), &dry).await.status, 200);
    let wrong = serde_json::json!({ "ZipFile": ARCHIVE, "RevisionId": "x" }).to_string();
    let wrong = harness.lambda("PUT", &format!("{path}/code"), &wrong).await;
    wrong.refused(
        412,
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id.",
    );

    let listed = harness.lambda("GET", &format!("{FUNCTIONS}/"), "").await.json();
    let function = listed["Functions"][0].as_object().unwrap();
    assert_eq!(function["FunctionName"], "life");
    for absent in ["State", "LastUpdateStatus", "RuntimeVersionConfig"] {
        assert!(!function.contains_key(absent), "{absent}");
    }
    let arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Alife";
    let tags = format!("/2017-03-31/tags/{arn}");
    assert_eq!(harness.lambda("POST", &tags, r#"{"Tags": {"k": "v"}}"#).await.status, 204);
    assert_eq!(harness.lambda("DELETE", &format!("{tags}?tagKeys=team"), "").await.status, 204);
    assert_eq!(harness.lambda("GET", &tags, "").await.text(), r#"{"Tags":{"k":"v"}}"#);
    let settings = harness.lambda("GET", "/2016-08-19/account-settings/", "").await.json();
    assert_eq!(
        (&settings["AccountUsage"]["FunctionCount"], &settings["AccountLimit"]["ConcurrentExecutions"]),
        (&1.into(), &1000.into())
    );

    let dry = Request::new("POST", &format!("{path}/invocations")).header("x-amz-invocation-type", "DryRun");
    assert_eq!(harness.call("lambda", dry).await.status, 204);
    assert_eq!(harness.lambda("DELETE", &path, "").await.status, 204);
    let gone = harness.lambda("GET", &path, "").await;
    gone.refused(
        404,
        "ResourceNotFoundException",
        "Function not found: arn:aws:lambda:us-east-1:000000000000:function:life",
    );
    assert_eq!(gone.json()["Type"], "User");
    harness.stop().await;
}

/// The function's configuration once it is ready.
pub async fn active(harness: &Harness, path: &str) -> serde_json::Value {
    for _ in 0..2_000 {
        let body = harness.lambda("GET", &format!("{path}/configuration"), "").await.json();
        if body["State"] == "Active" && body["LastUpdateStatus"] == "Successful" {
            return body;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{path} does not become active");
}

#[tokio::test]
async fn what_is_wrong_is_said_in_aws_words() {
    let harness = Harness::start().await;
    let with = |change: fn(&mut serde_json::Value)| {
        let mut body: serde_json::Value = serde_json::from_str(&create("f")).unwrap();
        change(&mut body);
        body.to_string()
    };
    let table = [
        (
            with(|body| body["SnapStart"] = serde_json::json!({ "ApplyOn": "x" })),
            400,
            "ValidationException",
            "1 validation error detected: Value 'x' at 'snapStart.applyOn' failed to satisfy constraint",
        ),
        (
            with(|body| body["Code"]["ZipFile"] = "bm8gemlw".into()),
            400,
            "InvalidParameterValueException",
            "Could not unzip uploaded file.",
        ),
        (
            with(|body| body["DurableConfig"] = serde_json::json!({ "ExecutionTimeout": 3 })),
            501,
            "NotImplementedException",
            "The parameter DurableConfig is not supported by Bojagi.",
        ),
        ("{".to_owned(), 400, "InvalidRequestContentException", "Could not parse request body into json"),
    ];
    for (body, status, code, message) in table {
        harness.lambda("POST", FUNCTIONS, &body).await.refused(status, code, message);
    }
    let event = Request::new("POST", &format!("{FUNCTIONS}/f/invocations")).header("x-amz-invocation-type", "Event");
    harness.call("lambda", event).await.refused(
        501,
        "NotImplementedException",
        "The InvocationType Event is not supported",
    );
    let context =
        Request::new("POST", &format!("{FUNCTIONS}/f/invocations")).header("x-amz-client-context", "nonsense");
    let answer = harness.call("lambda", context).await;
    answer.refused(400, "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object.");
    harness.stop().await;
}
