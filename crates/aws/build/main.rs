//! Turns AWS's service models into Rust: one file per service in `OUT_DIR`, included by the module of that name.
//!
//! What is generated: every operation's name, method, URI, status and errors; for the operations listed in
//! `models/supported.json`, the structures they reach, and a static schema of each. What is *not* generated is code that
//! parses, validates or writes: the crate does that once, over the schema. That keeps the output small and quick to compile.

mod emit_operations;
mod emit_schema;
mod emit_types;
mod model;
mod names;
mod pattern;
mod reach;

use std::path::{Path, PathBuf};
use std::{env, fs};

use model::{Corrections, Model, Supported};
use reach::Reach;

const SERVICES: [&str; 3] = ["lambda", "sts", "iam"];

#[expect(clippy::print_stdout, reason = "how a build script speaks to cargo")]
fn rerun_if_changed(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

fn main() {
    let models = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("models");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    rerun_if_changed(Path::new("build"));
    rerun_if_changed(&models);
    let supported: Supported = read(&models.join("supported.json"));
    let corrections: Corrections = read(&models.join("corrections.json"));
    for service in SERVICES {
        let model: Model = read(&models.join(format!("{service}.json")));
        let operations = supported.get(service).unwrap_or_else(|| panic!("supported.json does not list {service}"));
        let corrections = corrections.get(service).unwrap_or_else(|| panic!("corrections.json has no {service}"));
        for name in corrections.shapes.keys() {
            assert!(model.shapes.contains_key(name), "corrections.json: {service} has no shape {name}");
        }
        let reach = Reach::of(&model, operations);
        let mut code = String::new();
        emit_operations::emit(&mut code, service, &model, &reach, corrections);
        emit_types::emit(&mut code, &model, &reach);
        emit_schema::emit(&mut code, &model, &reach, corrections);
        fs::write(out.join(format!("{service}.rs")), code).expect("OUT_DIR is writable");
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
