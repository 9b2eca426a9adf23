//! AWS's public images: where they are, whether one can be had now, and what the script that fetches it is told.
//!
//! `skopeo` fetches and `umoci` unpacks, where they are installed: they know every registry's manners (tokens, mirrors, proxies,
//! resuming, digests) and run in the same namespaces as every other build. The tag is resolved to a digest once; what is fetched then is
//! that digest, verified by `skopeo` layer by layer, and what is recorded is that digest.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::process::Stdio;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bojagi_model::Architecture;
use bojagi_model::runtime::Runtime;
use ring::digest::{SHA256, digest};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use serde::Deserialize;
use tokio::process::Command;

use super::error::BuildError;
use super::host;
use super::registry::locked;

const SCRIPT: &str = include_str!("recipes/pull.sh");
const RUN: &str = include_str!("recipes/run.sh");
/// What `skopeo` accepts where the machine's owner has said nothing: the policy that Debian's package has, too. Content is held to the
/// digest in every case.
const POLICY: &str = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;
/// How long a registry is given to name an image's digest. An invocation may be waiting.
const ANSWER: Duration = Duration::from_secs(6);
/// How long it is remembered that a registry gave no answer.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Manifests are a few KB; OCI's registries refuse more than 4 MB.
const MANIFEST_BYTES: usize = 4 << 20;
/// What AWS's images start: `/lambda-entrypoint.sh` runs it where it finds a Runtime API.
const BOOTSTRAP: &str = "/var/runtime/bootstrap";

/// The registry and path below which AWS's public images are: `HOST[:PORT]/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicImages(String);

impl PublicImages {
    /// Where AWS publishes them.
    pub const AWS: &str = "public.ecr.aws/lambda";

    /// Whether it is this machine, which is spoken to without TLS.
    fn is_loopback(&self) -> bool {
        let host = self.0.split('/').next().unwrap_or_default();
        let host = match host.strip_prefix('[') {
            Some(address) => address.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }
}

impl FromStr for PublicImages {
    type Err = String;

    fn from_str(text: &str) -> Result<PublicImages, String> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:/[]".contains(&byte);
        let parts_are_there = text.split('/').all(|part| !part.is_empty() && part != "..");
        if !parts_are_there || !text.bytes().all(known) {
            return Err(format!("`{text}` is no registry: write HOST/PATH, such as {}", PublicImages::AWS));
        }
        Ok(PublicImages(text.to_owned()))
    }
}

/// AWS's image of one runtime.
#[derive(Clone, Debug)]
pub(super) struct Pull {
    runtime: &'static Runtime,
    architecture: Architecture,
    registry: PublicImages,
    /// Such as `public.ecr.aws/lambda/python`.
    repository: String,
    tag: String,
}

/// What an image says of itself (OCI image specification, "image configuration").
#[derive(Debug, Default, Deserialize)]
struct Configuration {
    architecture: String,
    #[serde(default)]
    config: Execution,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Execution {
    #[serde(default)]
    env: Option<Vec<String>>,
}

/// How functions are run on it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) command: Option<Vec<String>>,
    pub(super) environment: Vec<(String, String)>,
}

impl Pull {
    /// The image of a runtime, if AWS has one.
    pub(super) fn of(runtime: &'static Runtime, architecture: Architecture, registry: &PublicImages) -> Option<Pull> {
        let (repository, tag) = runtime.image.as_deref()?.split_once(':')?;
        let repository = format!("{}/{repository}", registry.0);
        Some(Pull { runtime, architecture, registry: registry.clone(), repository, tag: tag.to_owned() })
    }

    /// What it is called there.
    pub(super) fn reference(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }

    /// Stands for where the image comes from and what is done to it, in hexadecimal. A tag that moves on does not make an image out
    /// of date: what runs does not change by itself.
    pub(super) fn recipe(&self) -> String {
        let text = format!("{}\n{SCRIPT}", self.reference());
        digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Where an image comes from, in a few words.
    pub(super) fn source(&self, digest: &str) -> String {
        format!("pulled from {}@{digest}", self.reference())
    }

    /// How it differs from AWS's, in sentences.
    pub(super) fn differences(&self) -> Vec<String> {
        if self.registry.0 == PublicImages::AWS {
            return Vec::new();
        }
        vec![format!("It was pulled from {}: whether that has AWS's own image is not checked.", self.registry.0)]
    }

    /// Asks the registry for the digest of what the tag names now; the digest that `docker pull` shows.
    pub(super) async fn digest(&self) -> Result<String, BuildError> {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["inspect", "--raw"]);
        if let Some(argument) = skopeo_tls(self.registry.is_loopback()) {
            skopeo.arg(argument);
        }
        skopeo.arg(format!("docker://{}", self.reference()));
        skopeo.stdin(Stdio::null()).kill_on_drop(true);
        let answer = tokio::time::timeout(ANSWER, skopeo.output()).await;
        let reason = match answer {
            Err(_) => format!("no answer within {} s", ANSWER.as_secs()),
            Ok(Err(error)) => format!("skopeo cannot be run: {error}"),
            Ok(Ok(output)) if output.status.success() && output.stdout.len() <= MANIFEST_BYTES => {
                let hash = digest(&SHA256, &output.stdout);
                return Ok(hash.as_ref().iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}")));
            }
            Ok(Ok(output)) => complaint(&String::from_utf8_lossy(&output.stderr)),
        };
        Err(BuildError::NotPulled { reference: self.reference(), reason })
    }

    /// Writes the scripts into `work/files`.
    pub(super) fn write_files(&self, work: &Path) -> io::Result<()> {
        let files = work.join("files");
        std::fs::create_dir(&files)?;
        for (name, text) in [("run.sh", RUN), ("recipe.sh", SCRIPT), ("policy.json", POLICY)] {
            std::fs::write(files.join(name), text)?;
        }
        Ok(())
    }

    /// What `pull.sh` lists at its beginning.
    pub(super) fn environment(&self, work: &Path, digest: &str) -> Vec<(String, String)> {
        [
            ("REFERENCE", self.reference()),
            ("IMAGE", format!("{}@{digest}", self.repository)),
            ("TLS", skopeo_tls(self.registry.is_loopback()).map(|_| "no").unwrap_or_default().to_owned()),
            ("OCI_ARCH", host::debian_architecture(self.architecture).to_owned()),
            ("WORK", work.display().to_string()),
            ("FILES", work.join("files").display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// What was unpacked in `work`: whether it is what was asked for, and how functions are run on it.
    pub(super) fn start(&self, work: &Path) -> Result<Start, BuildError> {
        let wrong = |reason: String| BuildError::NotPulled { reference: self.reference(), reason };
        let path = work.join("config.json");
        let text = std::fs::read(&path).map_err(BuildError::storage("read", &path))?;
        let configuration: Configuration = serde_json::from_slice(&text)
            .map_err(|error| wrong(format!("its configuration cannot be read: {error}")))?;
        let wanted = host::debian_architecture(self.architecture);
        if configuration.architecture != wanted {
            return Err(wrong(format!("it is for {}, not for {wanted}", configuration.architecture)));
        }
        let command = if self.runtime.is_provided() {
            None
        } else {
            if !is_program(&work.join("root"), BOOTSTRAP) {
                return Err(wrong(format!("it has no program {BOOTSTRAP}, which every image of AWS's has")));
            }
            Some(vec![BOOTSTRAP.to_owned()])
        };
        Ok(Start { command, environment: variables(configuration.config.env.unwrap_or_default()) })
    }
}

/// The image's variables but those that Lambda gives every function itself, with other values than an image alone would have.
fn variables(lines: Vec<String>) -> Vec<(String, String)> {
    let split =
        lines.into_iter().filter_map(|line| Some(line.split_once('=')?).map(|(n, v)| (n.to_owned(), v.to_owned())));
    split.filter(|(name, _)| name != "TZ" && !name.starts_with("AWS_") && !name.starts_with("LAMBDA_")).collect()
}

/// What tells `skopeo` to speak without TLS, and only to this machine.
fn skopeo_tls(loopback: bool) -> Option<&'static str> {
    loopback.then_some("--tls-verify=false")
}

/// Whether there is an executable file, with links followed as inside the root.
fn is_program(root: &Path, path: &str) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let Ok(root) = rustix::fs::open(root, flags, Mode::empty()) else { return false };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let Ok(file) = rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve) else { return false };
    rustix::fs::statat(&file, c"", AtFlags::EMPTY_PATH)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file() && stat.st_mode & 0o111 != 0)
}

/// The last of what `skopeo` says, without its time stamp: `time="…" level=fatal msg="…"`.
fn complaint(text: &str) -> String {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("skopeo gave no reason");
    let message = line.split_once("msg=\"").map_or(line, |(_, message)| message.trim_end_matches('"'));
    let message = message.replace("\\\"", "\"");
    // It repeats the name that was asked for, which the error says already, before what is wrong.
    let message = match message.strip_prefix("Error parsing image name ") {
        Some(rest) => rest.split_once("\": ").map_or(rest, |(_, reason)| reason),
        None => &message,
    };
    message.chars().take(400).collect()
}

/// Images that could not be had a moment ago: nobody waits for the same silence again and again.
#[derive(Default)]
pub(super) struct Unreachable(Mutex<HashMap<String, (Instant, String)>>);

impl Unreachable {
    /// Why the image cannot be had, if that was found out within the last minutes.
    pub(super) fn reason(&self, reference: &str) -> Option<String> {
        let mut known = locked(&self.0);
        known.retain(|_, (since, _)| since.elapsed() < REMEMBERED);
        known.get(reference).map(|(_, reason)| reason.clone())
    }

    pub(super) fn note(&self, reference: String, reason: String) {
        locked(&self.0).insert(reference, (Instant::now(), reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        for (text, loopback) in [
            ("public.ecr.aws/lambda", false),
            ("localhost:5000/lambda", true),
            ("localhost.example/lambda", false),
            ("127.0.0.1:5000", true),
            ("127.0.0.1.example", false),
            ("[::1]:5000/x", true),
            ("[2001:db8::1]/x", false),
        ] {
            let registry: PublicImages = text.parse().expect(text);
            assert_eq!(registry.is_loopback(), loopback, "{text}");
        }
        for text in ["", "/", "a//b", "a/../b", "https://a/b c", "a@b", "a b", "a/$(id)"] {
            assert!(text.parse::<PublicImages>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_image_says_how_it_is_started() {
        let directory = tempfile::tempdir().expect("a directory");
        let work = directory.path();
        std::fs::create_dir_all(work.join("root/var/runtime")).expect("a directory");
        let registry: PublicImages = "mirror.example/lambda".parse().expect("a registry");
        let pull = |name: &str| {
            let runtime = bojagi_model::runtime::find(name).expect(name);
            Pull::of(runtime, Architecture::X86_64, &registry).expect(name)
        };
        let python = pull("python3.13");
        assert_eq!(python.reference(), "mirror.example/lambda/python:3.13");
        assert_eq!(python.differences().len(), 1);
        let failure = |pull: &Pull| pull.start(work).expect_err("it is no base image").to_string();
        let configure = |text: &str| std::fs::write(work.join("config.json"), text).expect("write");

        configure("{}");
        assert!(failure(&python).contains("configuration cannot be read"));
        configure(r#"{"architecture": "arm64", "config": {}}"#);
        assert!(failure(&python).contains("for arm64, not for amd64"));
        configure(r#"{"architecture": "amd64", "config": {"Env": ["A=b=c", "TZ=x", "LAMBDA_TASK_ROOT=/", "odd"]}}"#);
        // A link is followed within the image, so this one leads nowhere.
        std::os::unix::fs::symlink("/bin/sh", work.join("root/var/runtime/bootstrap")).expect("a link");
        assert!(failure(&python).contains("no program /var/runtime/bootstrap"));
        std::fs::create_dir(work.join("root/bin")).expect("a directory");
        std::fs::copy("/bin/sh", work.join("root/bin/sh")).expect("copy");
        let environment = vec![("A".to_owned(), "b=c".to_owned())];
        let command = Some(vec!["/var/runtime/bootstrap".to_owned()]);
        assert_eq!(
            python.start(work).expect("it is a base image"),
            Start { command, environment: environment.clone() }
        );
        // The package brings the program itself.
        assert_eq!(pull("provided.al2023").start(work).expect("it is one"), Start { command: None, environment });
    }

    #[test]
    fn the_reason_is_what_a_person_wants_to_read() {
        let text = "time=\"2026-11-22T19:00:00Z\" level=fatal msg=\"Error parsing image name \\\"docker://x\\\": dial tcp: refused\"\n";
        assert_eq!(complaint(text), "dial tcp: refused");
        assert_eq!(complaint(""), "skopeo gave no reason");
        let unreachable = Unreachable::default();
        assert_eq!(unreachable.reason("a"), None);
        unreachable.note("a".to_owned(), "refused".to_owned());
        assert_eq!(unreachable.reason("a").as_deref(), Some("refused"));
    }
}
