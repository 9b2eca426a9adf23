//! A root file system with the probing program, and a launcher to run it with.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bojagi_sandbox::{
    CodeImage, CodeImageForm, Exit, LaunchError, Launcher, LauncherClient, LauncherConfig, Limits, Mount, Network,
    Process, Sandbox, SandboxSpec,
};

/// No step of a test takes longer.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The launcher's configuration for tests.
pub fn config(data_dir: &Path) -> LauncherConfig {
    let mut config = LauncherConfig::new(data_dir);
    config.executable = Some(PathBuf::from(env!("CARGO_BIN_EXE_bojagi-launcher")));
    config.pool_size = 2;
    config.tmp_sizes = vec![TMP_BYTES];
    config
}

pub const TMP_BYTES: u64 = 32 << 20;

/// A launcher with a data directory of its own.
pub struct Host {
    pub client: Arc<LauncherClient>,
    pub launcher_pid: u32,
    pub data_dir: tempfile::TempDir,
}

impl Host {
    pub fn start() -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let process = bojagi_sandbox::start(config(data_dir.path())).unwrap();
        let launcher_pid = process.pid();
        announce(process.info().cgroup_version);
        Self { client: LauncherClient::new(process).unwrap(), launcher_pid, data_dir }
    }

    pub async fn launch(&self, spec: SandboxSpec) -> Sandbox {
        tokio::time::timeout(PATIENCE, self.client.launch(spec)).await.unwrap().unwrap()
    }

    pub async fn try_launch(&self, spec: SandboxSpec) -> Result<Sandbox, LaunchError> {
        tokio::time::timeout(PATIENCE, self.client.launch(spec)).await.unwrap()
    }

    /// Runs the probing program to its end; returns what it printed.
    pub async fn run(&self, arguments: &[&str]) -> (String, Exit) {
        finish(self.launch(spec(arguments)).await).await
    }
}

/// Says once which version was proved, past the capture of the test harness.
fn announce(cgroup_version: u8) {
    static SAID: OnceLock<()> = OnceLock::new();
    SAID.get_or_init(|| {
        let mut error = std::io::stderr().lock();
        error.write_all(format!("limits are enforced by cgroup v{cgroup_version}\n").as_bytes()).unwrap();
    });
}

/// Waits for the sandbox's end and returns its output.
pub async fn finish(sandbox: Sandbox) -> (String, Exit) {
    let exit = tokio::time::timeout(PATIENCE, sandbox.control.wait()).await.unwrap();
    let output = fs::File::from(sandbox.output);
    let text = tokio::task::spawn_blocking(move || read_all(output)).await.unwrap();
    (text, exit)
}

fn read_all(mut output: fs::File) -> String {
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    text
}

/// Reads the output until `marker` came.
pub async fn read_until(output: &std::os::fd::OwnedFd, marker: &'static str) -> String {
    let mut file = fs::File::from(output.try_clone().unwrap());
    let read = tokio::task::spawn_blocking(move || {
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        while !text.contains(marker) {
            let length = file.read(&mut buffer).unwrap();
            assert_ne!(length, 0, "the output ended before {marker:?}: {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        text
    });
    tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap()
}

/// Directory trees and their EROFS images, made once.
pub struct Fixtures {
    directory: tempfile::TempDir,
}

impl Fixtures {
    pub fn image(&self, name: &str, form: CodeImageForm) -> CodeImage {
        let path = match form {
            CodeImageForm::Directory => self.directory.path().join(name),
            CodeImageForm::File | CodeImageForm::Loop => self.directory.path().join(format!("{name}.erofs")),
        };
        CodeImage { digest: format!("sha256:{name}"), path, form }
    }
}

pub fn fixtures() -> &'static Fixtures {
    static FIXTURES: OnceLock<Fixtures> = OnceLock::new();
    FIXTURES.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let probe = directory.path().join("probe");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox/probe.c");
        check(Command::new("cc").args(["-static", "-O1", "-w", "-o"]).arg(&probe).arg(source));
        // A whole root, one that lacks every mount point, code, and two layers.
        let trees: [(&str, &[&str], &[&str]); 5] = [
            ("root", &["proc", "dev", "tmp", "etc", "var/task", "opt", "open"], &["etc/hosts", "etc/resolv.conf"]),
            ("bare", &[], &[]),
            ("code", &["open"], &["handler"]),
            ("layer-1", &["bin"], &["one", "both"]),
            ("layer-2", &["bin"], &["two", "both"]),
        ];
        for (name, directories, files) in trees {
            let tree = directory.path().join(name);
            fs::create_dir(&tree).unwrap();
            for path in directories {
                fs::create_dir_all(tree.join(path)).unwrap();
            }
            for path in files {
                fs::write(tree.join(path), name).unwrap();
            }
            if ["root", "bare"].contains(&name) {
                fs::copy(&probe, tree.join("probe")).unwrap();
            }
            // Anybody may write here, were it not for the mount.
            if tree.join("open").exists() {
                fs::set_permissions(tree.join("open"), fs::Permissions::from_mode(0o777)).unwrap();
            }
            check(Command::new("mkfs.erofs").arg(directory.path().join(format!("{name}.erofs"))).arg(&tree));
        }
        Fixtures { directory }
    })
}

fn check(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A sandbox that runs the probing program.
pub fn spec(arguments: &[&str]) -> SandboxSpec {
    spec_of(arguments, CodeImageForm::Loop)
}

pub fn spec_of(arguments: &[&str], form: CodeImageForm) -> SandboxSpec {
    let fixtures = fixtures();
    SandboxSpec {
        root: vec![fixtures.image("root", form)],
        mounts: vec![Mount { at: "/var/task".into(), images: vec![fixtures.image("code", form)] }],
        process: Process {
            command: std::iter::once("/probe").chain(arguments.iter().copied()).map(str::to_owned).collect(),
            environment: vec![("GREETING".into(), "hello".into())],
            working_directory: "/var/task".into(),
        },
        limits: Limits {
            memory_bytes: 128 << 20,
            cpu_millis: 2000,
            processes: 1024,
            file_descriptors: 1024,
            tmp_bytes: TMP_BYTES,
        },
        network: Network::None,
    }
}
