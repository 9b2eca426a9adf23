//! How long a sandbox takes to start and end, beside plain fork and exec of the same static program. Run it as root, built for release.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bojagi_sandbox::{
    CodeImage, CodeImageForm, Launcher, LauncherClient, LauncherConfig, Limits, Network, Process, SandboxSpec,
};

const ROUNDS: usize = 300;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    bojagi_sandbox::run_if_launcher();
    let directory = tempfile::tempdir()?;
    let form = bojagi_sandbox::probe(directory.path())?;
    let mut config = LauncherConfig::new(directory.path().join("data"));
    if std::env::args().any(|argument| argument == "nat") {
        config.network = Network::Nat;
    }
    let network = config.network;
    let process = bojagi_sandbox::start(config)?;
    let tree = directory.path().join("tree");
    make_tree(&tree)?;
    let image = directory.path().join("root.erofs");
    run(Command::new("mkfs.erofs").arg(&image).arg(&tree))?;
    let path = if form == CodeImageForm::Directory { tree.clone() } else { image };
    let spec = SandboxSpec {
        root: vec![CodeImage { digest: "sha256:root".into(), path, form }],
        mounts: Vec::new(),
        process: Process { command: vec!["/true".into()], environment: Vec::new(), working_directory: "/".into() },
        limits: Limits {
            memory_bytes: 128 << 20,
            cpu_millis: 2000,
            processes: 1024,
            file_descriptors: 1024,
            tmp_bytes: 512 << 20,
        },
        network,
    };
    let mut out = std::io::stdout();
    writeln!(out, "code image form {form:?}, network {network:?}, cgroup v{}", process.info().cgroup_version)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (plain, launched, ended) = runtime.block_on(async {
        let client = LauncherClient::new(process)?;
        let (mut plain, mut launched, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS + 10 {
            let start = Instant::now();
            Command::new(tree.join("true")).status()?;
            let plain_time = start.elapsed();
            let start = Instant::now();
            let sandbox = client.launch(spec.clone()).await?;
            let launch_time = start.elapsed();
            sandbox.control.wait().await;
            // The first ones find nothing prepared.
            if round >= 10 {
                plain.push(plain_time);
                launched.push(launch_time);
                ended.push(start.elapsed());
            }
            // Between two cold starts there is time to refill.
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        let start = Instant::now();
        let burst = futures_util::future::join_all((0..100).map(|_| client.launch(spec.clone()))).await;
        writeln!(std::io::stdout(), "100 at once, none prepared but the pool: {:?}", start.elapsed())?;
        for sandbox in burst {
            sandbox?.control.wait().await;
        }
        client.shutdown().await?;
        Ok::<_, Box<dyn std::error::Error>>((plain, launched, ended))
    })?;
    for (what, mut times) in [("plain fork, exec, wait", plain), ("launch to exec", launched), ("launch to end", ended)]
    {
        times.sort_unstable();
        let at = |share: usize| times[times.len() * share / 100];
        writeln!(out, "{what:<24} p50 {:>9.3?}  p90 {:>9.3?}  p99 {:>9.3?}", at(50), at(90), at(99))?;
    }
    Ok(())
}

/// A root with a static program that does nothing.
fn make_tree(tree: &Path) -> Result<(), Box<dyn std::error::Error>> {
    for path in ["proc", "dev", "tmp", "etc"] {
        std::fs::create_dir_all(tree.join(path))?;
    }
    for path in ["etc/hosts", "etc/resolv.conf"] {
        std::fs::write(tree.join(path), "")?;
    }
    let source = tree.with_extension("c");
    std::fs::write(&source, "int main(void) { return 0; }\n")?;
    run(Command::new("cc").args(["-static", "-o"]).arg(tree.join("true")).arg(&source))
}

fn run(command: &mut Command) -> Result<(), Box<dyn std::error::Error>> {
    let output = command.output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}
