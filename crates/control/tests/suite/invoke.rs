//! Which invocations reach the engine.

use std::sync::Arc;

use bojagi_engine::CodeImageForm;
use bojagi_model::Digest;
use bojagi_model::ErrorKind::{InvalidParameterValue, ResourceConflict, ResourceNotFound};

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
    assert_eq!(error.kind(), InvalidParameterValue);
    assert_eq!(
        error.message(),
        "The function cannot run: the base image of python3.13 is not there; `bojagi base-image build python3.13` makes it"
    );
    plane.close().await;
}

/// What a finished build leaves in the directory of base images.
fn put_base_image(plane: &Plane, digest_byte: u8) -> String {
    let digest = Digest::from_bytes([digest_byte; 32]);
    let home = plane.directory.base_images().join("python3.13-x86_64");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join(format!("image-{}.erofs", digest.to_hex())), b"image").unwrap();
    let metadata = serde_json::json!({
        "digest": digest, "image_bytes": 5, "unpacked_bytes": 5, "built_at": "2026-11-22T18:00:00Z",
        "source": "test", "differences": [], "has_tree": false, "recipe": "",
    });
    let draft = home.join("metadata.new");
    std::fs::write(&draft, metadata.to_string()).unwrap();
    std::fs::rename(draft, home.join("metadata.json")).unwrap();
    digest.to_string()
}

#[tokio::test]
async fn a_resolved_version_is_kept_until_it_changes() {
    let parent = tempfile::tempdir().unwrap();
    let plane = Plane::open(parent.path(), Options::default()).await;
    let (control, who) = (&plane.control, caller());
    let base = put_base_image(&plane, 7);
    control.create_function(&who, create("f")).await.unwrap();
    let active = plane.settled("f").await;
    let first = control.resolve(&who, &target("f")).await.unwrap();
    assert_eq!((&first.function, &first.root[0].digest), (&active, &base));
    assert_eq!(first.mounts[0].at.to_str(), Some("/var/task"));
    assert_eq!(first.mounts[0].images[0].path, plane.images.path(active.package.image));
    assert!(first.mounts[0].images[0].path.is_file() && !first.command.is_empty());
    for name in ["f", "f:$LATEST", "111111111111:function:f", "arn:aws:lambda:us-east-1:111111111111:function:f"] {
        let again = control.resolve(&who, &target(name)).await.unwrap();
        assert!(Arc::ptr_eq(&first, &again), "{name} is resolved from memory");
    }
    assert!(control.resolve(&caller_of("222222222222", true), &target("f")).await.is_err());

    control.update_function_code(&who, update_code("f", "two")).await.unwrap();
    let updated = plane.settled("f").await;
    let second = control.resolve(&who, &target("f")).await.unwrap();
    assert_eq!(second.function, updated, "an update takes effect with the next invocation");
    control.collect_orphans().await.unwrap();
    assert!(first.mounts[0].images[0].path.is_file(), "what may still be about to start keeps its image");
    drop(first);
    control.collect_orphans().await.unwrap();
    assert_eq!(plane.content().len(), 2, "{:?}", plane.content());

    control.delete_function(&who, target("f")).await.unwrap();
    assert!(control.resolve(&who, &target("f")).await.is_err());
    plane.close().await;
}

#[tokio::test]
async fn a_custom_runtime_starts_its_own_bootstrap() {
    let parent = tempfile::tempdir().unwrap();
    let plane =
        Plane::open(parent.path(), Options { code_images: CodeImageForm::Directory, ..Options::default() }).await;
    put_base_image(&plane, 7);
    let from = plane.directory.base_images().join("python3.13-x86_64");
    std::fs::rename(from, plane.directory.base_images().join("provided.al2023-x86_64")).unwrap();
    let mut command = create("f");
    command.configuration.runtime = Some("provided.al2023".to_owned());
    command.code = code(zip(&[("bootstrap", b"#!/bin/sh\n")]));
    let package = plane.control.create_function(&caller(), command).await.unwrap().package;
    plane.settled("f").await;
    // A tree is derived: it is made again where it is missing.
    std::fs::remove_dir_all(plane.images.tree_path(package.image)).unwrap();
    let deployable = plane.control.resolve(&caller(), &target("f")).await.unwrap();
    assert_eq!(deployable.command, ["/var/task/bootstrap"]);
    let image = &deployable.mounts[0].images[0];
    assert_eq!((image.form, &image.digest), (CodeImageForm::Directory, &package.image.to_string()));
    assert_eq!(std::fs::read(image.path.join("bootstrap")).unwrap(), b"#!/bin/sh\n");
    plane.close().await;
}
