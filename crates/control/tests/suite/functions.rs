//! Functions, from their creation to their end.

use std::collections::BTreeMap;

use bojagi_control::functions::{
    CodeSource, ConfigurationRequest, CreateFunction, ListFunctions, PackageType, S3Location,
};
use bojagi_model::ErrorKind::{
    AccessDenied, CodeStorageExceeded, InvalidParameterValue, NotSupported, PreconditionFailed, RequestEntityTooLarge,
    ResourceConflict, ResourceNotFound,
};
use bojagi_model::function::{LastUpdateStatus, State};
use bojagi_model::limits::Limits;
use bojagi_model::{Architecture, ErrorKind, Version};
use tokio::io::AsyncReadExt as _;

use crate::support::*;

const ARN: &str = "arn:aws:lambda:us-east-1:111111111111:function";

#[tokio::test]
async fn a_function_lives() {
    let parent = tempfile::tempdir().unwrap();
    let plane = Plane::open(parent.path(), Options::default()).await;
    let control = &plane.control;
    let created = control.create_function(&caller(), create("life")).await.unwrap();
    assert_eq!((created.state, created.version), (State::Pending, Version::Latest));
    let reason = ("The function is being created.".to_owned(), "Creating".to_owned());
    assert_eq!(created.state_reason, Some(reason.clone()));
    assert_eq!((created.configuration.timeout_seconds, created.configuration.memory_mib), (3, 128));
    assert_eq!((created.architecture, created.package.code_size), (Architecture::X86_64, archive("one").len() as u64));
    refused(control.create_function(&caller(), create("life")).await, ResourceConflict, "Function already exist: life");
    let active = plane.settled("life").await;
    assert_eq!((active.state_reason, &active.package), (None, &created.package));
    assert_ne!(active.revision_id, created.revision_id, "every change of the state is a revision");

    let details = control.get_function(&caller(), target("life")).await.unwrap();
    let mut blob = control.open_archive(account(), details.archive).await.unwrap();
    let mut bytes = Vec::new();
    blob.reader.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, archive("one"), "the archive comes back byte for byte");
    let stranger = control.open_archive("222222222222".parse().unwrap(), details.archive).await;
    assert!(stranger.is_err(), "an archive belongs to the account whose function has it");

    let changed = control.update_function_code(&caller(), update_code("life", "two")).await.unwrap();
    assert_eq!(
        (changed.last_update_status, changed.last_update_status_reason),
        (LastUpdateStatus::InProgress, Some(reason))
    );
    assert_eq!(changed.state, State::Active);
    assert_ne!(changed.package.code_sha256, created.package.code_sha256);
    plane.settled("life").await;
    let request = ConfigurationRequest {
        memory_mib: Some(256),
        environment: Some(BTreeMap::from([("A".to_owned(), "b".to_owned())])),
        ..ConfigurationRequest::default()
    };
    control.update_function_configuration(&caller(), update_configuration("life", request)).await.unwrap();
    let configured = plane.settled("life").await;
    assert_eq!((configured.configuration.memory_mib, configured.configuration.timeout_seconds), (256, 3));
    assert_eq!(configured.package, changed.package);
    let nothing = ConfigurationRequest { environment: Some(BTreeMap::new()), ..ConfigurationRequest::default() };
    control.update_function_configuration(&caller(), update_configuration("life", nothing)).await.unwrap();
    assert_eq!(plane.settled("life").await.configuration.environment, None);

    let settings = control.account_settings(&caller()).await.unwrap();
    assert_eq!((settings.function_count, settings.total_code_size), (1, archive("two").len() as u64));
    control.delete_function(&caller(), target("life")).await.unwrap();
    let gone = format!("Function not found: {ARN}:life");
    refused(control.get_function(&caller(), target("life")).await, ResourceNotFound, &gone);
    refused(control.delete_function(&caller(), target("life")).await, ResourceNotFound, &gone);
    plane.close().await;
}

#[tokio::test]
async fn what_create_function_refuses() {
    let parent = tempfile::tempdir().unwrap();
    let limits =
        Limits { zipped_bytes: 10_000, unzipped_bytes: 20_000, code_storage_bytes: 30_000, ..Limits::default() };
    let plane = Plane::open(parent.path(), Options { limits, ..Options::default() }).await;
    let control = &plane.control;
    let before = plane.content();
    let with = |change: &dyn Fn(&mut CreateFunction)| {
        let mut command = create("f");
        change(&mut command);
        command
    };
    let big = vec![b'x'; 9_000];
    let table: Vec<(CreateFunction, ErrorKind, String)> = vec![
        (
            with(&|c| c.configuration.runtime = Some("python3.7".to_owned())),
            InvalidParameterValue,
            "The runtime parameter of python3.7 is no longer supported for creating or updating AWS Lambda functions. We \
             recommend you use a supported runtime while creating or updating functions."
                .to_owned(),
        ),
        (
            with(&|c| c.configuration.handler = None),
            InvalidParameterValue,
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.".to_owned(),
        ),
        (
            with(&|c| c.code = code("no archive".into())),
            InvalidParameterValue,
            "Could not unzip uploaded file. Please check your file, then try to upload again.".to_owned(),
        ),
        (
            with(&|c| c.code = code(zip(&[("../evil", b"x")]))),
            InvalidParameterValue,
            "Could not unzip uploaded file. Please check your file, then try to upload again.".to_owned(),
        ),
        (
            with(&|c| c.code = code(vec![0; 10_001].into())),
            RequestEntityTooLarge,
            "Zipped size must be smaller than 10000 bytes".to_owned(),
        ),
        (
            with(&|c| c.code = CodeSource::default()),
            InvalidParameterValue,
            "Please provide a source for function code.".to_owned(),
        ),
        (
            with(&|c| {
                c.code = CodeSource {
                    s3: Some(S3Location { bucket: Some("b".to_owned()), key: Some("k".to_owned()), version: None }),
                    ..CodeSource::default()
                }
            }),
            NotSupported,
            "Code from S3Bucket and S3Key is not supported by this version of Bojagi. Upload the .zip archive in ZipFile."
                .to_owned(),
        ),
        (
            with(&|c| {
                c.package_type = Some(PackageType::Image);
                c.code = CodeSource { image_uri: Some("i".to_owned()), ..CodeSource::default() };
            }),
            NotSupported,
            "Functions with packageType Image are not supported by this version of Bojagi. Use a .zip deployment package."
                .to_owned(),
        ),
        (
            with(&|c| c.tags = (0..51).map(|n| (n.to_string(), String::new())).collect()),
            InvalidParameterValue,
            "Number of tags exceeds resource tag limit.".to_owned(),
        ),
        (
            with(&|c| c.function = "arn:aws:lambda:eu-west-1:111111111111:function:f".parse().unwrap()),
            ResourceNotFound,
            "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')".to_owned(),
        ),
        (
            with(&|c| c.function = "222222222222:function:f".parse().unwrap()),
            AccessDenied,
            "User: arn:aws:iam::111111111111:root is not authorized to perform: lambda:CreateFunction on resource: \
             arn:aws:lambda:us-east-1:222222222222:function:f because no resource-based policy allows the \
             lambda:CreateFunction action"
                .to_owned(),
        ),
    ];
    for (command, kind, message) in table {
        refused(control.create_function(&caller(), command).await, kind, &message);
        assert_eq!(plane.content(), before, "left behind after: {message}");
    }
    for (name, size) in [("a", 9_000), ("b", 9_001), ("c", 9_002)] {
        let mut command = create(name);
        command.code = code(zip(&[("x", &big[..]), (&"y".repeat(size - 8_999), b"")]));
        assert!(control.create_function(&caller(), command).await.is_ok(), "{name}");
    }
    let mut command = create("d");
    command.code = code(zip(&[("z", &big[..])]));
    let there = plane.content();
    refused(control.create_function(&caller(), command).await, CodeStorageExceeded, "Code storage limit exceeded.");
    assert_eq!(plane.content(), there);
    plane.close().await;
}

#[tokio::test]
async fn updates_exclude_each_other_and_survive_a_restart() {
    let parent = tempfile::tempdir().unwrap();
    let paused = || Options { background: false, ..Options::default() };
    let plane = Plane::open(parent.path(), paused()).await;
    let created = plane.control.create_function(&caller(), create("f")).await.unwrap();
    refused(
        plane.control.update_function_code(&caller(), update_code("f", "two")).await,
        ResourceConflict,
        "The operation cannot be performed at this time. The function is currently in the following state: Pending",
    );
    plane.close().await;

    // What was acknowledged and not finished is finished after a restart.
    let plane = Plane::open(parent.path(), Options::default()).await;
    let active = plane.settled("f").await;
    assert_eq!(active.package, created.package);
    plane.close().await;

    let plane = Plane::open(parent.path(), paused()).await;
    let control = &plane.control;
    let mut stale = update_code("f", "two");
    stale.revision_id = Some(created.revision_id.to_string());
    refused(
        control.update_function_code(&caller(), stale).await,
        PreconditionFailed,
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the \
         latest Revision Id",
    );
    let mut dry = update_code("f", "two");
    dry.dry_run = true;
    let files = plane.content();
    let would_be = control.update_function_code(&caller(), dry).await.unwrap();
    assert_eq!((would_be.revision_id, plane.content()), (active.revision_id, files), "a dry run changes nothing");
    let mut fresh = update_code("f", "two");
    fresh.revision_id = Some(active.revision_id.to_string());
    let updated = control.update_function_code(&caller(), fresh).await.unwrap();
    assert_eq!(updated.package, would_be.package);
    let busy = "The operation cannot be performed at this time. An update is in progress for resource: \
                arn:aws:lambda:us-east-1:111111111111:function:f";
    refused(control.update_function_code(&caller(), update_code("f", "three")).await, ResourceConflict, busy);
    let nothing = update_configuration("f", ConfigurationRequest::default());
    refused(control.update_function_configuration(&caller(), nothing).await, ResourceConflict, busy);
    let mut image = update_code("f", "two");
    image.code = CodeSource { image_uri: Some("i".to_owned()), ..CodeSource::default() };
    plane.close().await;
    let plane = Plane::open(parent.path(), Options::default()).await;
    plane.settled("f").await;
    refused(
        plane.control.update_function_code(&caller(), image).await,
        InvalidParameterValue,
        "Please don't provide ImageUri when updating a function with packageType Zip.",
    );
    plane.close().await;
}

#[tokio::test]
async fn versions_are_published_addressed_and_deleted() {
    let parent = tempfile::tempdir().unwrap();
    let plane = Plane::open(parent.path(), Options::default()).await;
    let control = &plane.control;
    let command = CreateFunction { publish: true, ..create("f") };
    let first = control.create_function(&caller(), command).await.unwrap();
    assert_eq!(first.function_arn(), format!("{ARN}:f:1"));
    plane.settled("f").await;
    let mut second = update_code("f", "two");
    second.publish = true;
    let second = control.update_function_code(&caller(), second).await.unwrap();
    assert_eq!(second.version, Version::Number(2));
    let latest = plane.settled("f").await;
    assert_eq!(latest.package, second.package);
    let old = control.get_function(&caller(), qualified("f", "1")).await.unwrap().function;
    assert_ne!(old.package, latest.package);
    assert_eq!(control.get_function(&caller(), target("f:1")).await.unwrap().function, old);
    refused(
        control.get_function(&caller(), qualified("f:1", "2")).await,
        InvalidParameterValue,
        "The derived qualifier from the function name does not match the specified qualifier.",
    );
    for qualifier in ["7", "live"] {
        refused(
            control.get_function(&caller(), qualified("f", qualifier)).await,
            ResourceNotFound,
            &format!("Function not found: {ARN}:f:{qualifier}"),
        );
    }
    refused(
        control.delete_function(&caller(), qualified("f", "$LATEST")).await,
        InvalidParameterValue,
        "$LATEST version cannot be deleted without deleting the function.",
    );
    control.delete_function(&caller(), qualified("f", "1")).await.unwrap();
    assert!(control.get_function(&caller(), qualified("f", "1")).await.is_err());
    let all = ListFunctions { all_versions: true, ..ListFunctions::default() };
    let versions: Vec<Version> =
        control.list_functions(&caller(), all).await.unwrap().functions.iter().map(|f| f.version).collect();
    assert_eq!(versions, [Version::Latest, Version::Number(2)]);
    plane.close().await;
}

#[tokio::test]
async fn functions_are_listed_in_pages() {
    let parent = tempfile::tempdir().unwrap();
    let plane = Plane::open(parent.path(), Options { background: false, ..Options::default() }).await;
    let names: Vec<String> = (0..7).map(|n| format!("f{n}")).collect();
    for name in &names {
        plane.control.create_function(&caller(), create(name)).await.unwrap();
    }
    let (mut found, mut marker, mut pages) = (Vec::new(), None, 0);
    loop {
        let command = ListFunctions { marker, max_items: Some(3), ..ListFunctions::default() };
        let page = plane.control.list_functions(&caller(), command).await.unwrap();
        found.extend(page.functions.iter().map(|function| function.arn.name.to_string()));
        pages += 1;
        match page.next_marker {
            Some(next) => marker = Some(next),
            None => break,
        }
    }
    assert_eq!((found, pages), (names, 3));
    let forged = ListFunctions { marker: Some("?".to_owned()), ..ListFunctions::default() };
    assert!(plane.control.list_functions(&caller(), forged).await.is_err());
    let stranger = caller_of("222222222222", true);
    assert!(plane.control.list_functions(&stranger, ListFunctions::default()).await.unwrap().functions.is_empty());
    plane.close().await;
}
