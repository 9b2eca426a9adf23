//! Which invocations reach the engine.

use bojagi_model::ErrorKind::{InvalidRuntime, ResourceConflict, ResourceNotFound};

use crate::support::*;

#[tokio::test]
async fn what_cannot_be_run_says_why() {
    let parent = tempfile::tempdir().unwrap();
    let plane = Plane::open(parent.path(), Options { background: false, ..Options::default() }).await;
    refused(
        plane.control.resolve(&caller(), &target("f")).await,
        ResourceNotFound,
        "Function not found: arn:aws:lambda:us-east-1:111111111111:function:f",
    );
    plane.control.create_function(&caller(), create("f")).await.unwrap();
    refused(
        plane.control.resolve(&caller(), &target("f")).await,
        ResourceConflict,
        "The operation cannot be performed at this time. The function is currently in the following state: Pending",
    );
    plane.control.invoke_dry_run(&caller(), &target("f")).await.unwrap();
    plane.close().await;

    let plane = Plane::open(parent.path(), Options::default()).await;
    plane.settled("f").await;
    let error = plane.control.resolve(&caller(), &target("f")).await.unwrap_err();
    assert_eq!(error.kind(), InvalidRuntime);
    assert!(error.message().starts_with("The base image of the runtime python3.13 (x86_64) "), "{}", error.message());
    plane.close().await;
}
