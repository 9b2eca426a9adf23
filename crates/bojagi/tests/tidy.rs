//! The rules that hold for the whole tree, as tests: which crate may know which, where `unsafe` may stand, and what
//! never stands anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace's root").to_owned()
}

/// All Rust files of the workspace's crates, with their text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                files.push((path, text));
            }
        }
    }
    assert!(files.len() > 20, "the sources were found");
    files
}

/// The edges of the picture in ARCHITECTURE.md. Those of `[dev-dependencies]` are free.
#[test]
fn crates_know_only_what_they_may() {
    let allowed = BTreeMap::from([
        ("model", vec![]),
        ("sandbox", vec![]),
        ("aws", vec!["model"]),
        ("package", vec!["model"]),
        ("store", vec!["model"]),
        ("engine", vec!["model", "store", "sandbox"]),
        ("control", vec!["model", "store", "package", "engine"]),
        ("api", vec!["model", "aws", "control", "engine"]),
        ("bojagi", vec!["model", "aws", "package", "sandbox", "store", "engine", "control", "api"]),
    ]);
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("crates")).expect("crates/") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
        let manifest: toml::Table = manifest.parse().expect("TOML");
        let edges: Vec<String> = manifest["dependencies"]
            .as_table()
            .expect("a table")
            .keys()
            .filter_map(|dependency| dependency.strip_prefix("bojagi-").map(str::to_owned))
            .collect();
        let may = allowed.get(name.as_str()).unwrap_or_else(|| panic!("crate {name} is not in the picture"));
        for edge in edges {
            assert!(may.contains(&edge.as_str()), "{name} → {edge} is not in the picture of ARCHITECTURE.md");
        }
        seen.insert(name);
    }
    assert_eq!(seen.len(), allowed.len(), "every crate of the picture exists");
}

#[test]
fn unsafe_stands_only_in_the_sandboxs_system_calls() {
    let home = root().join("crates/sandbox/src/sys");
    for (path, text) in sources() {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let has = code
            .filter(|line| ["unsafe {", "unsafe fn ", "unsafe impl "].iter().any(|mark| line.contains(mark)))
            .count();
        assert!(has == 0 || path.starts_with(&home) || path.ends_with("tidy.rs"), "unsafe in {}", path.display());
    }
}

#[test]
fn nothing_unfinished_and_no_sleep_stands_anywhere() {
    // Written in two halves, so that this file does not name what it forbids.
    let marks = [
        ("todo", "!("),
        ("unimplemented", "!("),
        ("dbg", "!("),
        ("FIX", "ME"),
        ("#[ign", "ore"),
        ("thread::sl", "eep"),
    ];
    for (path, text) in sources() {
        for (a, b) in marks {
            let mark = format!("{a}{b}");
            assert!(!text.contains(&mark), "{mark} in {}", path.display());
        }
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{} does not open with what it is for", path.display());
    }
}

#[test]
fn the_korean_readme_has_the_same_sections() {
    let count = |name: &str| {
        let text = std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut fenced = false;
        let mut headings = 0;
        for line in text.lines() {
            if line.starts_with("```") {
                fenced = !fenced;
            } else if line.starts_with('#') && !fenced {
                headings += 1;
            }
        }
        headings
    };
    assert_eq!(count("README.md"), count("README.ko.md"));
}
