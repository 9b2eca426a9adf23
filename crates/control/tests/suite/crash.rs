//! `kill -9` at any instant loses nothing that was acknowledged and leaves nothing behind.
//!
//! The test starts itself again as a child that creates functions and prints each name after its acknowledgement; the parent kills it in
//! the middle of that and opens what is left.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use crate::support::*;

const DIRECTORY: &str = "BOJAGI_CRASH_TEST_DIRECTORY";

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    if let Ok(directory) = std::env::var(DIRECTORY) {
        create_forever(directory.as_ref()).await;
    }
    for acknowledged_before in [3, 8, 17] {
        let parent = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::nothing_acknowledged_is_lost_when_the_process_is_killed", "--nocapture"])
            .env(DIRECTORY, parent.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged = |line: String| line.strip_prefix("acknowledged ").map(str::to_owned);
        let mut names = Vec::new();
        while names.len() < acknowledged_before {
            names.extend(lines.next().unwrap().ok().and_then(acknowledged));
        }
        // Into the middle of whatever it does now: the next creation is under way.
        child.kill().unwrap();
        child.wait().unwrap();
        names.extend(lines.map_while(Result::ok).filter_map(acknowledged));

        let plane = Plane::open(parent.path(), Options::default()).await;
        for name in &names {
            let function = plane.settled(name).await;
            assert!(plane.images.exists(function.package.image), "{name} has lost its image");
            assert!(plane.control.open_archive(account(), function.package.code_sha256).await.is_ok(), "{name}");
        }
        plane.control.collect_orphans().await.unwrap();
        let all = plane.control.list_functions(&caller(), Default::default()).await.unwrap().functions;
        assert!((names.len()..=names.len() + 1).contains(&all.len()), "at most one was not yet acknowledged");
        assert_eq!(plane.content().len(), 2 * all.len(), "archive and image of each, and nothing else");
        plane.close().await;
    }
}

async fn create_forever(parent: &std::path::Path) {
    let plane = Plane::open(parent, Options::default()).await;
    for number in 0..40 {
        let name = format!("f{number}");
        let mut command = create(&name);
        command.code = code(archive(&name));
        plane.control.create_function(&caller(), command).await.unwrap();
        std::io::stdout().write_all(format!("\nacknowledged {name}\n").as_bytes()).unwrap();
    }
    std::future::pending::<()>().await;
}
