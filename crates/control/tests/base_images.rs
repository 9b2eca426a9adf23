//! Base images are really built, from Debian's packages and the clients' registries: one by default, all of them with `SOAK=1`. And one
//! is really pulled, from a registry on this machine.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bojagi_control::base_images::{
    Availability, BaseImages, BuildOptions, Form, Mode, Origin, Progress, PublicImages, Settings,
};
use bojagi_model::{Architecture, runtime};
use bojagi_package::tree::{self, Times};
use tokio_util::sync::CancellationToken;

const ARCHITECTURE: Architecture =
    if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::X86_64 };

fn open(directory: &Path, mode: Mode, registry: Option<PublicImages>) -> (BaseImages, CancellationToken) {
    let shutdown = CancellationToken::new();
    let settings = Settings { directory: directory.to_owned(), mode, form: Form::Directory, registry };
    (BaseImages::open(settings, shutdown.clone()).expect("it opens"), shutdown)
}

fn scratch_directories(directory: &Path) -> Vec<String> {
    let names = std::fs::read_dir(directory).expect("the directory");
    let names = names.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(".work")).collect()
}

/// The build itself ends with the finished runtime answering an event; here is checked what surrounds it.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "times and sizes of a soak run are worth a line each")]
async fn privileged_base_images_are_built_whole() {
    let all = std::env::var_os("SOAK").is_some();
    let directory = tempfile::tempdir().expect("a directory");
    let (images, _) = open(directory.path(), Mode::Manual, None);
    for runtime in runtime::all() {
        let name = runtime.identifier.as_str();
        let Some(recipe) = &runtime.recipe else { continue };
        if name != "python3.11" && !all {
            continue;
        }
        let steps = Mutex::new(Vec::new());
        let started = Instant::now();
        let report = |progress: Progress| steps.lock().expect("steps").push(progress.step);
        let built = images.build(name, ARCHITECTURE, BuildOptions::default(), report).await;
        let image = built.unwrap_or_else(|error| panic!("{error}"));
        let (size, seconds) = (image.metadata.image_bytes >> 20, started.elapsed().as_secs_f32());
        eprintln!("{name}: {size} MiB in {seconds:.1} s");
        let steps = steps.into_inner().expect("steps");
        assert!(steps.iter().any(|step| step.starts_with("downloading Debian packages")), "{steps:?}");
        assert_eq!(image.metadata.source, images.resolve(name, ARCHITECTURE).expect("it is there").metadata.source);
        assert!(scratch_directories(directory.path()).is_empty());

        for place in ["var/task", "var/runtime", "var/lang/bin", "opt", "tmp", "proc", "dev", "sys"] {
            assert!(image.path.join(place).is_dir(), "{name}: {place}");
        }
        for file in ["lambda-entrypoint.sh", "etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt", "etc/passwd"] {
            assert!(image.path.join(file).is_file(), "{name}: {file}");
        }
        assert!(std::fs::read_dir(image.path.join("var/task")).expect("a directory").next().is_none());
        let described = std::fs::read(image.path.join("usr/share/bojagi/base-image.json")).expect("its description");
        let described: serde_json::Value = serde_json::from_slice(&described).expect("JSON");
        let packages = described["debianPackages"].as_array().expect("a list");
        for package in recipe.packages.iter().map(String::as_str).chain(["bash", "tzdata"]) {
            let there = packages.iter().any(|file| file.as_str().is_some_and(|file| file.starts_with(package)));
            assert!(there, "{name}: {package} is not listed");
        }
    }

    let image = images.resolve("python3.11", ARCHITECTURE).expect("it is there");
    let mut python = Command::new("/usr/sbin/chroot");
    python.arg(&image.path).args(["/var/lang/bin/python3.11", "-c"]);
    let program = "import awslambdaric, boto3, ctypes, lzma, sqlite3, ssl; print(len(ssl.create_default_context().get_ca_certs()) > 50)";
    let output = python.arg(program).env_clear().env("PYTHONPATH", "/var/runtime").output().expect("chroot");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "True\n", "{}", String::from_utf8_lossy(&output.stderr));

    // What is there and up to date is not made again; what is forced is the same image again.
    let started = Instant::now();
    images.build("python3.11", ARCHITECTURE, BuildOptions::default(), |_| {}).await.expect("it is there");
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    if all {
        let options = BuildOptions { force: true, ..BuildOptions::default() };
        let again = images.build("python3.11", ARCHITECTURE, options, |_| {}).await.expect("it is built again");
        assert_eq!(again.digest, image.digest, "the same packages make the same image");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn privileged_a_build_that_nobody_waits_for_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let (images, shutdown) = open(directory.path(), Mode::OnDemand, None);

    // In the foreground: the future is dropped in the middle of a step.
    let cancelled = CancellationToken::new();
    let stop = cancelled.clone();
    let build = images.build("provided.al2023", ARCHITECTURE, BuildOptions::default(), move |progress| {
        if progress.step.starts_with("downloading") {
            stop.cancel();
        }
    });
    tokio::select! {
        () = cancelled.cancelled() => {}
        result = build => panic!("it ended: {result:?}"),
    }
    images.settled("provided.al2023", ARCHITECTURE).await;
    assert!(scratch_directories(directory.path()).is_empty());

    // In the background: the server stops.
    images.prepare("provided.al2", ARCHITECTURE);
    let availability = images.availability("provided.al2", ARCHITECTURE);
    assert!(matches!(availability, Availability::Building { .. }), "{availability:?}");
    shutdown.cancel();
    images.closed().await;
    assert!(scratch_directories(directory.path()).is_empty());
    assert!(images.list().is_empty());
    let path = directory.path().to_str().expect("a path").to_owned();
    let left = std::fs::read_dir("/proc").expect("proc").filter_map(Result::ok).any(|process| {
        std::fs::read(process.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&path))
    });
    assert!(!left, "a process of the build is left");
}

/// A registry on a port of its own, as AWS's is to the rest of the world.
struct Registry {
    process: Child,
    address: String,
    /// Keeps its log flowing: a process that cannot write ends.
    _log: std::thread::JoinHandle<()>,
}

impl Registry {
    fn start(directory: &Path) -> Registry {
        let storage = directory.join("registry");
        let configuration = format!(
            "version: 0.1\nlog:\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n",
            storage.display()
        );
        let file = directory.join("registry.yml");
        std::fs::write(&file, configuration).expect("its configuration");
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry is installed (scripts/install test)");
        let mut lines = BufReader::new(process.stderr.take().expect("its log")).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let rest = line.split_once("listening on ")?.1;
            Some(rest.chars().take_while(|letter| letter.is_ascii_digit() || ".:".contains(*letter)).collect())
        });
        let log = std::thread::spawn(move || lines.for_each(drop));
        Registry { process, address: address.expect("it listens"), _log: log }
    }

    fn images(&self) -> PublicImages {
        format!("{}/lambda", self.address).parse().expect("an address")
    }

    /// Puts a tree there under a name, with AWS's entry point; its digest.
    fn push(&self, scratch: &Path, tree: &Path, name: &str) -> String {
        let (layout, digest) = (scratch.join("layout"), scratch.join("digest"));
        let image = format!("{}:base", layout.display());
        if layout.exists() {
            std::fs::remove_dir_all(&layout).expect("it goes");
        }
        let oci_architecture = if ARCHITECTURE == Architecture::Arm64 { "arm64" } else { "amd64" };
        let tree = tree.to_str().expect("a path");
        run("umoci", &["init", "--layout", layout.to_str().expect("a path")]);
        run("umoci", &["new", "--image", &image]);
        run("umoci", &["insert", "--image", &image, tree, "/"]);
        let options = ["config", "--image", &image, "--architecture", oci_architecture, "--os", "linux"];
        let says = ["--config.entrypoint", "/lambda-entrypoint.sh", "--config.env", "SSL_CERT_FILE=/etc/ca.crt"];
        run("umoci", &[&options[..], &says, &["--config.env", "LAMBDA_TASK_ROOT=/var/task"]].concat());
        let (from, to) = (format!("oci:{image}"), format!("docker://{}/lambda/{name}", self.address));
        let digest_file = digest.to_str().expect("a path");
        run("skopeo", &["copy", "--quiet", "--dest-tls-verify=false", "--digestfile", digest_file, &from, &to]);
        std::fs::read_to_string(&digest).expect("a digest").trim().to_owned()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().expect("it is killed");
        self.process.wait().expect("it ends");
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A tree in the layout of AWS's images, with what an image may bring and a base image must not.
fn aws_tree(directory: &Path) -> PathBuf {
    let root = directory.join("tree");
    for place in ["var/task", "var/runtime", "var/lang/bin", "opt", "tmp", "etc"] {
        std::fs::create_dir_all(root.join(place)).expect("a directory");
    }
    for (file, mode) in [("var/runtime/bootstrap", 0o755), ("lambda-entrypoint.sh", 0o755), ("etc/setuid", 0o4755)] {
        std::fs::write(root.join(file), "#!/bin/sh\n").expect("a file");
        std::fs::set_permissions(root.join(file), PermissionsExt::from_mode(mode)).expect("its mode");
    }
    symlink("/etc/passwd", root.join("etc/link")).expect("a link");
    std::os::unix::fs::chown(root.join("etc/setuid"), Some(4711), Some(4711)).expect("an owner");
    root
}

#[tokio::test(flavor = "multi_thread")]
async fn privileged_awss_image_is_pulled_where_its_registry_answers() {
    let (directory, scratch) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let registry = Registry::start(scratch.path());
    let digest = registry.push(scratch.path(), &aws_tree(scratch.path()), "python:3.13");
    let host_file = std::fs::metadata("/etc/passwd").expect("the host's");

    // On demand, without a word about where from.
    let (images, _) = open(directory.path(), Mode::OnDemand, Some(registry.images()));
    images.prepare("python3.13", ARCHITECTURE);
    let availability = images.settled("python3.13", ARCHITECTURE).await;
    let Availability::Ready(image) = availability else { panic!("{availability:?}") };
    let metadata = &image.metadata;
    assert_eq!(metadata.source, format!("pulled from {}/lambda/python:3.13@{digest}", registry.address));
    assert_eq!(metadata.command.as_deref(), Some(&["/var/runtime/bootstrap".to_owned()][..]));
    assert_eq!(metadata.environment, [("SSL_CERT_FILE".to_owned(), "/etc/ca.crt".to_owned())]);
    assert_eq!(metadata.differences.len(), 1, "a registry that is not AWS's is said to be one");
    assert!(scratch_directories(directory.path()).is_empty());
    let stat = rustix::fs::stat(image.path.join("etc/setuid")).expect("it is there");
    assert_eq!((stat.st_uid, stat.st_gid, stat.st_mode & 0o7777), (0, 0, 0o755));
    assert_eq!(std::fs::read_link(image.path.join("etc/link")).expect("a link"), Path::new("/etc/passwd"));
    let host_file_now = std::fs::metadata("/etc/passwd").expect("the host's");
    assert_eq!(host_file.permissions(), host_file_now.permissions());

    // It is not pulled again, and a server that needs the tree takes it out of the image.
    let steps = Mutex::new(Vec::new());
    let report = |progress: Progress| steps.lock().expect("steps").push(progress.step);
    std::fs::remove_dir_all(&image.path).expect("the tree goes");
    let again = images.build("python3.13", ARCHITECTURE, BuildOptions::default(), report).await.expect("it is there");
    let said = steps.lock().expect("steps").join("; ");
    assert!(said.contains("unpacking the code image") && !said.contains("pulling"), "{said}");
    let output = tempfile::tempfile().expect("a file");
    let same = tree::ingest(&again.path, &output, Times::Keep).expect("a tree");
    assert_eq!(same.image, image.digest);

    // A pull that nobody waits for any more leaves what was there, and nothing else.
    let (force, stop) = (BuildOptions { force: true, ..BuildOptions::default() }, CancellationToken::new());
    let report = |progress: Progress| {
        if progress.step.starts_with("pulling") {
            stop.cancel();
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        result = images.build("python3.13", ARCHITECTURE, force, report) => panic!("it ended: {result:?}"),
    }
    images.settled("python3.13", ARCHITECTURE).await;
    assert!(scratch_directories(directory.path()).is_empty());
    assert_eq!(images.resolve("python3.13", ARCHITECTURE).expect("it is there").digest, image.digest);

    // A tag that is not there, and one that is no base image: neither makes an image, neither leaves anything.
    let aws = BuildOptions { origin: Origin::Aws, ..BuildOptions::default() };
    let empty = scratch.path().join("empty");
    std::fs::create_dir(&empty).expect("a directory");
    registry.push(scratch.path(), &empty, "nodejs:22");
    for (name, expected) in
        [("python3.12", "manifest unknown"), ("nodejs22.x", "it has no program /var/runtime/bootstrap")]
    {
        let error = images.build(name, ARCHITECTURE, aws, |_| {}).await.expect_err(name).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let names: Vec<_> = images.list().into_iter().map(|image| image.runtime).collect();
    assert_eq!(names, ["python3.13"]);
    assert!(scratch_directories(directory.path()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn privileged_debian_is_taken_where_no_registry_answers() {
    let (directory, scratch) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let gone = Registry::start(scratch.path()).images();
    let (images, _) = open(directory.path(), Mode::OnDemand, Some(gone));

    // Up to its first step, which says what was chosen.
    let (steps, chosen) = (Mutex::new(Vec::new()), CancellationToken::new());
    let report = |progress: Progress| {
        if progress.step.starts_with("downloading Debian packages") {
            chosen.cancel();
        }
        steps.lock().expect("steps").push(progress.step);
    };
    tokio::select! {
        () = chosen.cancelled() => {}
        result = images.build("python3.11", ARCHITECTURE, BuildOptions::default(), report) => panic!("it ended: {result:?}"),
    }
    images.settled("python3.11", ARCHITECTURE).await;
    let said = steps.lock().expect("steps").join("; ");
    assert!(said.contains("asking for 127.0.0.1:") && !said.contains("pulling"), "{said}");
    assert!(scratch_directories(directory.path()).is_empty());

    // Where there is no other way, the reason is the answer, and who asks for AWS's image gets no other.
    images.prepare("dotnet8", ARCHITECTURE);
    let availability = images.settled("dotnet8", ARCHITECTURE).await;
    let Availability::Failed { reason, .. } = availability else { panic!("{availability:?}") };
    assert!(reason.contains("cannot be built from Debian's packages") && reason.contains("refused"), "{reason}");
    assert!(reason.contains("`bojagi base-image build dotnet8` gets it"), "{reason}");
    let aws = BuildOptions { origin: Origin::Aws, ..BuildOptions::default() };
    let error = images.build("python3.11", ARCHITECTURE, aws, |_| {}).await.expect_err("nobody answers").to_string();
    assert!(error.contains("cannot be pulled") && !error.contains("Debian"), "{error}");
    assert!(images.list().is_empty());
}
