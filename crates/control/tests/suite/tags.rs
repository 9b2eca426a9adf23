//! Tags of functions.

use std::collections::BTreeMap;

use bojagi_model::ErrorKind::{InvalidParameterValue, ResourceNotFound};

use crate::support::*;

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn tags_are_added_replaced_and_removed() {
    let parent = tempfile::tempdir().unwrap();
    let plane = Plane::open(parent.path(), Options::default()).await;
    let control = &plane.control;
    let mut command = create("f");
    command.tags = tags(&[("a", "1")]);
    let arn = control.create_function(&caller(), command).await.unwrap().arn.to_string();
    control.tag_resource(&caller(), &arn, tags(&[("a", "2"), ("b", "3")])).await.unwrap();
    control.untag_resource(&caller(), &arn, &["b".to_owned(), "not there".to_owned()]).await.unwrap();
    assert_eq!(control.list_tags(&caller(), &arn).await.unwrap(), tags(&[("a", "2")]));
    assert_eq!(control.get_function(&caller(), target("f")).await.unwrap().tags, tags(&[("a", "2")]));

    let many: BTreeMap<String, String> = (0..50).map(|n| (format!("k{n}"), String::new())).collect();
    refused(
        control.tag_resource(&caller(), &arn, many).await,
        InvalidParameterValue,
        "Number of tags exceeds resource tag limit.",
    );
    refused(
        control.list_tags(&caller(), &format!("{arn}:1")).await,
        InvalidParameterValue,
        "Tags on function aliases and versions are not supported. Please specify a function ARN.",
    );
    let missing = "arn:aws:lambda:us-east-1:111111111111:function:missing";
    let not_found = format!("Function not found: {missing}");
    refused(control.tag_resource(&caller(), missing, tags(&[])).await, ResourceNotFound, &not_found);
    let mapping = "arn:aws:lambda:us-east-1:111111111111:event-source-mapping:3e3b4cf2-0000-4000-8000-000000000000";
    refused(
        control.list_tags(&caller(), mapping).await,
        ResourceNotFound,
        &format!("Event source mapping not found: {mapping}"),
    );
    assert!(control.tag_resource(&caller(), &arn, tags(&[("aws:x", "")])).await.is_err());
    assert_eq!(
        control.list_tags(&caller(), &arn).await.unwrap(),
        tags(&[("a", "2")]),
        "what was refused changed nothing"
    );
    plane.close().await;
}
