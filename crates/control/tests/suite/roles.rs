//! IAM roles.

use std::collections::BTreeMap;

use bojagi_control::roles::{CreateRole, PageRequest};
use bojagi_model::ErrorKind::{DeleteConflict, EntityAlreadyExists, MalformedPolicyDocument, NoSuchEntity, Validation};

use crate::support::*;

fn role(name: &str, path: Option<&str>) -> CreateRole {
    CreateRole {
        path: path.map(str::to_owned),
        name: name.to_owned(),
        assume_role_policy_document: r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned(),
        description: None,
        max_session_duration_seconds: None,
        tags: BTreeMap::new(),
    }
}

#[tokio::test]
async fn a_role_lives() {
    let parent = tempfile::tempdir().unwrap();
    let plane = Plane::open(parent.path(), Options::default()).await;
    let control = &plane.control;
    let made = control.create_role(&caller(), role("r", Some("/service/"))).await.unwrap();
    assert_eq!(made.arn(), "arn:aws:iam::111111111111:role/service/r");
    assert_eq!((&made.role_id[..4], made.role_id.len(), made.max_session_duration_seconds), ("AROA", 21, 3_600));
    assert_eq!(control.get_role(&caller(), "r").await.unwrap(), made);
    let taken = control.create_role(&caller(), role("r", None)).await;
    refused(taken, EntityAlreadyExists, "Role with name r already exists.");
    let mut bad = role("bad", None);
    bad.assume_role_policy_document = "no json".to_owned();
    refused(control.create_role(&caller(), bad).await, MalformedPolicyDocument, "This policy contains invalid Json");

    let managed = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    for _ in 0..2 {
        control.attach_role_policy(&caller(), "r", managed).await.unwrap();
    }
    assert_eq!(control.get_role(&caller(), "r").await.unwrap().attached_policies, [managed]);
    let garbage = control.attach_role_policy(&caller(), "r", "garbage").await;
    refused(garbage, Validation, "Invalid ARN:  Could not be parsed!");
    control.put_role_policy(&caller(), "r", "p", "{}").await.unwrap();
    assert_eq!(control.get_role_policy(&caller(), "r", "p").await.unwrap(), "{}");
    refused(
        control.get_role_policy(&caller(), "r", "q").await,
        NoSuchEntity,
        "The role policy with name q cannot be found.",
    );
    refused(
        control.delete_role(&caller(), "r").await,
        DeleteConflict,
        "Cannot delete entity, must detach all policies first.",
    );
    control.detach_role_policy(&caller(), "r", managed).await.unwrap();
    refused(
        control.detach_role_policy(&caller(), "r", managed).await,
        NoSuchEntity,
        &format!("Policy {managed} was not found."),
    );
    refused(
        control.delete_role(&caller(), "r").await,
        DeleteConflict,
        "Cannot delete entity, must delete policies first.",
    );
    control.delete_role_policy(&caller(), "r", "p").await.unwrap();
    control.delete_role(&caller(), "r").await.unwrap();
    refused(control.get_role(&caller(), "r").await, NoSuchEntity, "The role with name r cannot be found.");

    for name in ["a", "b", "c"] {
        control.create_role(&caller(), role(name, None)).await.unwrap();
    }
    let first = PageRequest { max_items: Some(2), ..PageRequest::default() };
    let page = control.list_roles(&caller(), None, first).await.unwrap();
    assert_eq!((page.items.len(), page.next_marker.as_deref()), (2, Some("b")));
    let rest = PageRequest { marker: page.next_marker, max_items: Some(2) };
    let page = control.list_roles(&caller(), None, rest).await.unwrap();
    assert_eq!((page.items[0].name.as_str(), page.next_marker), ("c", None));
    plane.close().await;
}
