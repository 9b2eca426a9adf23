//! The contract of [`Metadata`].

use std::collections::BTreeMap;

use bojagi_model::function::{LastUpdateStatus, LoggingConfig, State, TracingMode};
use bojagi_model::identity::Role;
use bojagi_model::{
    AccountId, Architecture, Digest, Function, FunctionArn, FunctionConfiguration, Region, Version, ZipPackage,
};
use time::macros::datetime;
use uuid::Uuid;

use crate::{AccessKey, CodeUsage, Metadata, StoreError};

pub(super) const SECRET: &str = "wJalrXUtnFEMI-not-in-the-clear";

fn account(digit: u8) -> AccountId {
    char::from(b'0' + digit).to_string().repeat(12).parse().unwrap()
}

fn region() -> Region {
    "eu-west-1".parse().unwrap()
}

pub(super) fn function(account: AccountId, name: &str, code: u8) -> Function {
    Function {
        arn: FunctionArn { region: region(), account, name: name.parse().unwrap() },
        version: Version::Latest,
        revision_id: Uuid::new_v4(),
        last_modified: datetime!(2026-11-22 18:00:00.123 UTC),
        configuration: FunctionConfiguration {
            runtime: "python3.13".to_owned(),
            handler: "app.handler".to_owned(),
            role: "arn:aws:iam::111111111111:role/r".to_owned(),
            description: String::new(),
            timeout_seconds: 3,
            memory_mib: 128,
            ephemeral_storage_mib: 512,
            environment: Some(BTreeMap::from([("SECRET".to_owned(), SECRET.to_owned())])),
            tracing: TracingMode::PassThrough,
            layers: Vec::new(),
            logging: LoggingConfig {
                format: "Text".to_owned(),
                application_level: None,
                system_level: None,
                log_group: format!("/aws/lambda/{name}"),
            },
            dead_letter_target: None,
            kms_key_arn: None,
            snap_start_apply_on: "None".to_owned(),
            vpc: None,
        },
        package: ZipPackage {
            code_sha256: Digest::from_bytes([code; 32]),
            code_size: 100,
            image: Digest::from_bytes([code + 100; 32]),
            unzipped_bytes: 1_000,
        },
        architecture: Architecture::X86_64,
        state: State::Pending,
        state_reason: Some(("The function is being created.".to_owned(), "Creating".to_owned())),
        last_update_status: LastUpdateStatus::InProgress,
        last_update_status_reason: None,
    }
}

fn role(name: &str, path: &str) -> Role {
    Role {
        account: account(1),
        path: path.to_owned(),
        name: name.to_owned(),
        role_id: "AROAEXAMPLE".to_owned(),
        create_date: datetime!(2026-11-22 18:00 UTC),
        assume_role_policy_document: "{}".to_owned(),
        description: None,
        max_session_duration_seconds: 3_600,
        tags: BTreeMap::new(),
        attached_policies: Vec::new(),
        inline_policies: BTreeMap::new(),
    }
}

fn tags(value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("team".to_owned(), value.to_owned())])
}

/// A function with a published version, and an access key: three sealed values.
pub(super) async fn fill(store: &dyn Metadata) {
    store.create_function(&function(account(1), "filled", 1), true, &tags("a")).await.unwrap();
    let key = AccessKey {
        access_key_id: "AKIAFILLED".to_owned(),
        account: account(1),
        secret_access_key: SECRET.to_owned(),
        root: true,
    };
    assert_eq!(store.root_key_or(&key).await.unwrap(), key);
}

pub(super) async fn check_filled(store: &dyn Metadata) {
    let expected = function(account(1), "filled", 1);
    for version in [Version::Latest, Version::Number(1)] {
        let found = store.function(&expected.arn, version).await.unwrap().unwrap();
        assert_eq!(found.configuration, expected.configuration);
        assert_eq!((found.version, found.last_modified), (version, expected.last_modified));
    }
    assert_eq!(store.access_key("AKIAFILLED").await.unwrap().unwrap().secret_access_key, SECRET);
}

pub(super) async fn check(store: &dyn Metadata) {
    functions(store).await;
    versions(store).await;
    listing(store).await;
    role_records(store).await;
    keys(store).await;
    fill(store).await;
    store.reset().await.unwrap();
    assert!(store.list_functions(account(1), &region(), true, None, 10).await.unwrap().is_empty());
    assert!(store.role(account(1), "Deployer").await.unwrap().is_none());
    assert!(store.access_key("AKIAFILLED").await.unwrap().is_some(), "access keys outlive a reset");
}

async fn functions(store: &dyn Metadata) {
    let mut latest = function(account(2), "life", 1);
    assert!(store.function(&latest.arn, Version::Latest).await.unwrap().is_none());
    assert_eq!(store.create_function(&latest, false, &tags("a")).await.unwrap(), None);
    assert!(matches!(store.create_function(&latest, true, &tags("b")).await, Err(StoreError::Exists)));
    assert_eq!(store.function(&latest.arn, Version::Latest).await.unwrap().as_ref(), Some(&latest));
    assert_eq!(store.functions_in_transition(10).await.unwrap().len(), 1);

    let expected = latest.revision_id;
    latest.revision_id = Uuid::new_v4();
    (latest.state, latest.last_update_status) = (State::Active, LastUpdateStatus::Successful);
    latest.configuration.environment = None;
    store.update_function(&latest, expected, false).await.unwrap();
    let late = store.update_function(&latest, expected, true).await;
    assert!(matches!(late, Err(StoreError::Changed)), "the second of two updates from one revision fails");
    assert_eq!(store.function(&latest.arn, Version::Latest).await.unwrap().as_ref(), Some(&latest));
    assert!(store.functions_in_transition(10).await.unwrap().is_empty());

    assert_eq!(store.tags(&latest.arn).await.unwrap(), Some(tags("a")));
    store.replace_tags(&latest.arn, &tags("a"), &tags("c")).await.unwrap();
    let late = store.replace_tags(&latest.arn, &tags("a"), &tags("d")).await;
    assert!(matches!(late, Err(StoreError::Changed)));
    assert_eq!(store.tags(&latest.arn).await.unwrap(), Some(tags("c")));

    assert_eq!(store.delete_function(&latest.arn).await.unwrap(), [Version::Latest]);
    assert!(store.delete_function(&latest.arn).await.unwrap().is_empty());
    assert_eq!(store.tags(&latest.arn).await.unwrap(), None);
    assert!(matches!(store.update_function(&latest, latest.revision_id, false).await, Err(StoreError::Changed)));
}

async fn versions(store: &dyn Metadata) {
    let mut latest = function(account(3), "versions", 7);
    let first = store.create_function(&latest, true, &BTreeMap::new()).await.unwrap().unwrap();
    assert_eq!(first.version, Version::Number(1));
    let expected = latest.revision_id;
    latest.revision_id = Uuid::new_v4();
    latest.package = function(account(3), "versions", 8).package;
    let second = store.update_function(&latest, expected, true).await.unwrap().unwrap();
    assert_eq!((second.version, second.package.image), (Version::Number(2), latest.package.image));
    let kept = store.function(&latest.arn, Version::Number(1)).await.unwrap();
    assert_eq!(kept, Some(first.clone()), "a published version never changes");

    let usage = store.code_usage(account(3), &region()).await.unwrap();
    assert_eq!(usage, CodeUsage { functions: 1, code_bytes: 300, unzipped_bytes: 3_000 });
    assert_eq!(store.package(first.package.code_sha256).await.unwrap(), Some(first.package.clone()));
    assert_eq!(store.package(Digest::from_bytes([99; 32])).await.unwrap(), None);
    assert!(store.account_has_archive(account(3), first.package.code_sha256).await.unwrap());
    assert!(!store.account_has_archive(account(4), first.package.code_sha256).await.unwrap());
    assert_eq!(store.referenced_digests().await.unwrap().len(), 4);

    assert!(store.delete_function_version(&latest.arn, 2).await.unwrap());
    assert!(!store.delete_function_version(&latest.arn, 2).await.unwrap());
    assert!(!store.delete_function_version(&latest.arn, 0).await.unwrap(), "$LATEST is no published version");
    let third = store.update_function(&latest, latest.revision_id, true).await.unwrap().unwrap();
    assert_eq!(third.version, Version::Number(3), "numbers are not given out again");
    let mut gone = store.delete_function(&latest.arn).await.unwrap();
    gone.sort_unstable();
    assert_eq!(gone, [Version::Latest, Version::Number(1), Version::Number(3)]);
    assert!(store.referenced_digests().await.unwrap().is_empty());
}

async fn listing(store: &dyn Metadata) {
    for name in ["b", "a", "c"] {
        store.create_function(&function(account(5), name, 1), name == "b", &BTreeMap::new()).await.unwrap();
    }
    store.create_function(&function(account(6), "d", 1), false, &BTreeMap::new()).await.unwrap();
    for (all, expected) in [
        (false, vec!["a:$LATEST", "b:$LATEST", "c:$LATEST"]),
        (true, vec!["a:$LATEST", "b:$LATEST", "b:1", "c:$LATEST"]),
    ] {
        for limit in 1..=5 {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = store.list_functions(account(5), &region(), all, after.as_ref(), limit).await.unwrap();
                let Some(last) = page.last() else { break };
                after = Some((last.arn.name.clone(), last.version));
                found.extend(page.iter().map(|one| format!("{}:{}", one.arn.name, one.version)));
            }
            assert_eq!(found, expected, "limit {limit}");
        }
    }
    let elsewhere = "us-east-1".parse().unwrap();
    assert!(store.list_functions(account(5), &elsewhere, true, None, 10).await.unwrap().is_empty());
}

async fn role_records(store: &dyn Metadata) {
    let deployer = role("Deployer", "/ci/");
    store.create_role(&deployer).await.unwrap();
    store.create_role(&role("runner", "/")).await.unwrap();
    assert!(matches!(store.create_role(&role("DEPLOYER", "/")).await, Err(StoreError::Exists)));
    assert_eq!(store.role(account(1), "deployer").await.unwrap().as_ref(), Some(&deployer));
    assert_eq!(store.role(account(2), "Deployer").await.unwrap(), None);
    let changed = Role { description: Some("changed".to_owned()), ..deployer.clone() };
    store.replace_role(&deployer, &changed).await.unwrap();
    assert!(matches!(store.replace_role(&deployer, &changed).await, Err(StoreError::Changed)));
    assert!(matches!(store.delete_role(&deployer).await, Err(StoreError::Changed)));
    let names = |roles: Vec<Role>| roles.into_iter().map(|role| role.name).collect::<Vec<_>>();
    assert_eq!(names(store.list_roles(account(1), "/", None, 10).await.unwrap()), ["Deployer", "runner"]);
    assert_eq!(names(store.list_roles(account(1), "/", Some("deployer"), 10).await.unwrap()), ["runner"]);
    assert_eq!(names(store.list_roles(account(1), "/ci/", None, 10).await.unwrap()), ["Deployer"]);
    assert_eq!(names(store.list_roles(account(1), "/", None, 1).await.unwrap()), ["Deployer"]);
}

async fn keys(store: &dyn Metadata) {
    let key = |id: &str, root| AccessKey {
        access_key_id: id.to_owned(),
        account: account(7),
        secret_access_key: format!("secret of {id}"),
        root,
    };
    store.create_access_key(&key("AKIA1", false)).await.unwrap();
    assert!(matches!(store.create_access_key(&key("AKIA1", false)).await, Err(StoreError::Exists)));
    assert_eq!(store.root_key_or(&key("AKIA2", true)).await.unwrap(), key("AKIA2", true));
    assert_eq!(store.root_key_or(&key("AKIA3", true)).await.unwrap(), key("AKIA2", true));
    assert_eq!(store.list_access_keys(account(7)).await.unwrap(), [key("AKIA1", false), key("AKIA2", true)]);
    assert!(store.delete_access_key("AKIA1").await.unwrap());
    assert!(!store.delete_access_key("AKIA1").await.unwrap());
    assert_eq!(store.access_key("AKIA1").await.unwrap(), None);
}
