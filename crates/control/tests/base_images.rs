//! Base images are really built, from Debian's packages and the clients' registries: one by default, all of them with `SOAK=1`.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bojagi_control::base_images::{Availability, BaseImages, Form, Mode, Settings};
use bojagi_model::{Architecture, runtime};
use tokio_util::sync::CancellationToken;

const ARCHITECTURE: Architecture =
    if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::X86_64 };

fn open(directory: &Path, mode: Mode) -> (BaseImages, CancellationToken) {
    let shutdown = CancellationToken::new();
    let settings = Settings { directory: directory.to_owned(), mode, form: Form::Directory };
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
    let (images, _) = open(directory.path(), Mode::Manual);
    for runtime in runtime::all() {
        let name = runtime.identifier.as_str();
        let Some(recipe) = &runtime.recipe else { continue };
        if name != "python3.11" && !all {
            continue;
        }
        let steps = Mutex::new(Vec::new());
        let started = Instant::now();
        let built =
            images.build(name, ARCHITECTURE, false, |progress| steps.lock().expect("steps").push(progress.step)).await;
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
    images.build("python3.11", ARCHITECTURE, false, |_| {}).await.expect("it is there");
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let again = images.build("python3.11", ARCHITECTURE, true, |_| {}).await.expect("it is built again");
    assert_eq!(again.digest, image.digest, "the same packages make the same image");
}

#[tokio::test(flavor = "multi_thread")]
async fn privileged_a_build_that_nobody_waits_for_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let (images, shutdown) = open(directory.path(), Mode::OnDemand);

    // In the foreground: the future is dropped in the middle of a step.
    let cancelled = CancellationToken::new();
    let stop = cancelled.clone();
    let build = images.build("provided.al2023", ARCHITECTURE, false, move |progress| {
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
