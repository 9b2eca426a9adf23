//! Archives and code images: stored once, deleted when nothing names them, gone after a reset.

use std::time::{Duration, Instant};

use bojagi_engine::CodeImageForm;
use bojagi_model::ErrorKind::AccessDenied;

use crate::support::*;

/// No background: the test decides when orphans are collected.
async fn quiet(parent: &std::path::Path, code_images: CodeImageForm) -> Plane {
    Plane::open(parent, Options { background: false, code_images, ..Options::default() }).await
}

#[tokio::test]
async fn the_same_archive_is_stored_once_and_goes_with_its_last_function() {
    for form in [CodeImageForm::File, CodeImageForm::Directory] {
        let parent = tempfile::tempdir().unwrap();
        let plane = quiet(parent.path(), form).await;
        let control = &plane.control;
        let first = control.create_function(&caller(), create("a")).await.unwrap();
        let once = plane.content();
        assert_eq!(once.len(), if form == CodeImageForm::Directory { 3 } else { 2 }, "{once:?}");
        control.create_function(&caller(), create("b")).await.unwrap();
        assert_eq!(plane.content(), once);
        assert_eq!(control.collect_orphans().await.unwrap(), 0);
        control.delete_function(&caller(), target("a")).await.unwrap();
        assert_eq!(control.collect_orphans().await.unwrap(), 0, "another function has it");
        control.delete_function(&caller(), target("b")).await.unwrap();
        assert_eq!(control.collect_orphans().await.unwrap(), 2, "archive and image");
        assert!(plane.content().is_empty(), "{:?}", plane.content());
        let again = control.create_function(&caller(), create("a")).await.unwrap();
        assert_eq!((again.package, plane.content()), (first.package, once), "the same archive makes the same image");
        plane.close().await;
    }
}

#[tokio::test]
async fn uploads_and_collections_do_not_harm_each_other() {
    let parent = tempfile::tempdir().unwrap();
    let plane = quiet(parent.path(), CodeImageForm::File).await;
    let control = &plane.control;
    let churn = async {
        for round in 0..10 {
            let names = ["a", "b", "c"].map(|name| format!("{name}{round}"));
            let who = caller();
            let [a, b, c] = names.each_ref().map(|name| control.create_function(&who, create(name)));
            tokio::try_join!(a, b, c).unwrap();
            for name in &names {
                control.delete_function(&caller(), target(name)).await.unwrap();
            }
        }
        control.create_function(&caller(), create("last")).await.unwrap()
    };
    let collect = async {
        for _ in 0..60 {
            control.collect_orphans().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (last, ()) = tokio::join!(churn, collect);
    control.collect_orphans().await.unwrap();
    assert!(plane.images.exists(last.package.image), "a function's image is there");
    assert!(control.open_archive(account(), last.package.code_sha256).await.is_ok());
    assert_eq!(plane.content().len(), 2);
    plane.close().await;
}

#[tokio::test]
async fn a_reset_leaves_nothing_but_the_keys() {
    let parent = tempfile::tempdir().unwrap();
    let plane = Plane::open(parent.path(), Options::default()).await;
    let control = &plane.control;
    let key = control.root_key(account()).await.unwrap();
    for n in 0..5 {
        let mut command = create(&format!("f{n}"));
        command.code = code(archive(&n.to_string()));
        control.create_function(&caller(), command).await.unwrap();
    }
    refused(
        control.reset(&caller_of("111111111111", false)).await,
        AccessDenied,
        "Reset is for development servers: it needs a development key, and a server that accepts one.",
    );
    let started = Instant::now();
    control.reset(&caller()).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1));
    assert!(control.list_functions(&caller(), Default::default()).await.unwrap().functions.is_empty());
    assert!(plane.content().is_empty(), "{:?}", plane.content());
    assert_eq!(control.root_key(account()).await.unwrap(), key);
    control.create_function(&caller(), create("f0")).await.unwrap();
    plane.settled("f0").await;
    plane.close().await;
}
