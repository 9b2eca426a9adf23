//! `bojagi up`: checks what can be checked, starts the launcher while there is one thread, then wires and runs the server.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use bojagi_api::{Endpoint, HostNames, Server, ServerConfig};
use bojagi_control::base_images::{BaseImages, Form, Mode, PublicImages, Settings};
use bojagi_control::{Control, ControlConfig, FunctionCredentials, SystemClock};
use bojagi_engine::{Engine, EngineConfig, host_resolvers};
use bojagi_model::AccountId;
use bojagi_model::limits::Limits;
use bojagi_sandbox::{CodeImageForm, LauncherClient, LauncherConfig, LauncherProcess, Network};
use bojagi_store::blobs::directory::DirectoryBlobs;
use bojagi_store::logs::{LogSettings, LogStore};
use bojagi_store::{DataDirectory, Images, Keyring};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::adapters::Logs;
use crate::base_image::public_images;
use crate::cli::{BaseImageMode, CodeImages, LogFormat, NetworkMode, UpArgs};
use crate::configuration::{Places, limits};
use crate::key;

/// The services that function code can call at the endpoint inside its sandbox, as the SDKs' variables spell them.
const ENDPOINT_SERVICES: [&str; 3] = ["LAMBDA", "STS", "IAM"];
/// How long an invocation waits for memory before it is throttled.
const ADMISSION_WAIT: Duration = Duration::from_secs(5);

/// What the command line came to after checking.
struct Plan {
    listen: SocketAddr,
    limits: Limits,
    places: Places,
    development_keys: bool,
    memory_budget_bytes: u64,
    code_images: CodeImageForm,
    registry: Option<PublicImages>,
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// A sentence that says what is missing and what to do.
pub fn run(arguments: &UpArgs) -> anyhow::Result<()> {
    start_log(arguments)?;
    let plan = plan(arguments)?;
    let directory = DataDirectory::open(&plan.places.data_dir)?;
    let keyring = key::keyring(&directory, &plan.places)?;
    // Bound before anything is started, so that a port in use costs nothing.
    let listener = bind(plan.listen)?;
    let mut config = LauncherConfig::new(&plan.places.data_dir);
    config.network = network(arguments);
    let launcher = bojagi_sandbox::start(config)?;
    bojagi_sandbox::raise_descriptor_limit().context("cannot raise the limit of open files")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(arguments, plan, directory, keyring, listener, launcher))
}

fn start_log(arguments: &UpArgs) -> anyhow::Result<()> {
    let filter =
        tracing_subscriber::EnvFilter::try_new(&arguments.log).with_context(|| format!("--log {}", arguments.log))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

fn network(arguments: &UpArgs) -> Network {
    match arguments.network {
        NetworkMode::Nat => Network::Nat,
        NetworkMode::None => Network::None,
    }
}

fn plan(arguments: &UpArgs) -> anyhow::Result<Plan> {
    if !rustix::process::geteuid().is_root() {
        bail!("sandboxes need root (namespaces, mounts, cgroups); run it with sudo");
    }
    let loopback = arguments.listen.ip().to_canonical().is_loopback();
    let development_keys = arguments.development_keys.unwrap_or(loopback);
    if development_keys && !loopback {
        bail!(
            "--development-keys with --listen {}: keys that everybody knows are accepted on a loopback address only",
            arguments.listen
        );
    }
    if !loopback && arguments.tls_cert.is_none() && !arguments.insecure_http {
        bail!(
            "--listen {} is reached from other machines: give --tls-cert and --tls-key, or say --insecure-http to send everything in the clear",
            arguments.listen
        );
    }
    let _: bojagi_model::Region = arguments.region.parse().map_err(|error| anyhow!("--region: {error}"))?;
    let places = Places::of(&arguments.data)?;
    let code_images = match arguments.code_images {
        CodeImages::Auto => bojagi_sandbox::probe(&places.data_dir)
            .with_context(|| format!("cannot write to the data directory {}", places.data_dir.display()))?,
        CodeImages::File => CodeImageForm::File,
        CodeImages::Loop => CodeImageForm::Loop,
        CodeImages::Directory => CodeImageForm::Directory,
    };
    Ok(Plan {
        listen: arguments.listen,
        limits: limits(&arguments.limit)?,
        places,
        development_keys,
        memory_budget_bytes: arguments.memory.map_or_else(|| machine_memory().map(|total| total / 5 * 4), Ok)?,
        code_images,
        registry: public_images(&arguments.registry)?,
    })
}

fn bind(address: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow!(
            "{address} is in use: stop what listens there (`ss -ltnp 'sport = :{}'` names it) or choose another with --listen",
            address.port()
        ),
        std::io::ErrorKind::AddrNotAvailable => anyhow!("{address} is no address of this machine; choose another with --listen"),
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address}")),
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// This machine's memory, in bytes (proc(5): `MemTotal`).
fn machine_memory() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    total.map(|kib| kib << 10).ok_or_else(|| anyhow!("/proc/meminfo has no MemTotal; give --memory"))
}

async fn serve(
    arguments: &UpArgs,
    plan: Plan,
    directory: DataDirectory,
    keyring: Arc<Keyring>,
    listener: std::net::TcpListener,
    launcher: LauncherProcess,
) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let tasks = TaskTracker::new();
    let directory = Arc::new(directory);
    let first_start = !directory.metadata().exists();
    let metadata = Arc::new(key::metadata(&directory, keyring.clone(), &plan.places).await?);
    let (logs, log_writer) = LogStore::open(LogSettings::new(directory.logs()))?;
    let logs = Arc::new(logs);
    // Logs have a token of their own: what drains still writes them.
    let logged = CancellationToken::new();
    tasks.spawn(log_writer.run(logged.clone()));
    let launcher = LauncherClient::new(launcher)?;
    let endpoint = Arc::new(Endpoint::default());
    let credentials = Arc::new(FunctionCredentials::new(keyring.clone(), Arc::new(SystemClock)));
    let engine = Engine::new(EngineConfig {
        launcher: launcher.clone(),
        credentials,
        logs: Arc::new(Logs(logs.clone())),
        endpoint: endpoint.clone(),
        limits: plan.limits.clone(),
        memory_budget_bytes: plan.memory_budget_bytes,
        idle_timeout: Duration::from_secs(arguments.idle_timeout),
        admission_wait: ADMISSION_WAIT,
        network: network(arguments),
        endpoint_services: ENDPOINT_SERVICES.map(str::to_owned).to_vec(),
        resolvers: host_resolvers(),
    });
    let base_images = BaseImages::open(
        Settings {
            directory: plan.places.base_image_dir.clone(),
            mode: match arguments.base_images {
                BaseImageMode::OnDemand => Mode::OnDemand,
                BaseImageMode::Manual => Mode::Manual,
            },
            registry: plan.registry.clone(),
            form: if plan.code_images == CodeImageForm::Directory { Form::Directory } else { Form::Image },
        },
        shutdown.clone(),
    )?;
    let control = Control::new(ControlConfig {
        images: Images::new(&directory),
        blobs: Arc::new(DirectoryBlobs::new(&directory)),
        directory: directory.clone(),
        metadata: metadata.clone(),
        logs,
        keyring,
        engine: engine.clone(),
        base_images: base_images.clone(),
        limits: plan.limits.clone(),
        clock: Arc::new(SystemClock),
        code_images: plan.code_images,
        development_keys: plan.development_keys,
        concurrent_ingestions: 2,
    });
    control.start(&tasks, &shutdown);

    let drain = Duration::from_secs(arguments.drain);
    let mut config = ServerConfig::new(control.clone());
    config.hosts = HostNames::new(arguments.host.iter().cloned());
    config.drain_deadline = drain;
    config.version = env!("CARGO_PKG_VERSION");
    if let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) {
        config.tls = Some(bojagi_api::tls::acceptor(Path::new(certificate), Path::new(key))?);
    }
    let server = Server::new(config);
    endpoint.attach(server.clone());
    announce(&plan, &control, arguments, first_start).await?;

    // Without its launcher a server can run nothing: it ends, and its supervisor starts both again.
    let (stopping, watched) = (shutdown.clone(), launcher.clone());
    let stopped = tasks.spawn(async move {
        let launcher_lives = tokio::select! {
            () = stop_signal() => true,
            ended = watched.ended() => ended.is_err(),
        };
        tracing::info!(launcher_lives, "stopping");
        stopping.cancel();
        (launcher_lives, Instant::now() + drain)
    });
    server.run(vec![tokio::net::TcpListener::from_std(listener)?], shutdown.clone()).await;
    // One deadline for both: what the front door has waited for, the engine need not wait for again.
    let (launcher_lived, deadline) = stopped.await.context("the wait for a signal failed")?;
    tracing::info!("the front door is closed");
    engine.shutdown(deadline.saturating_duration_since(Instant::now())).await;
    tracing::info!("every execution environment has ended");
    launcher.shutdown().await.context("the launcher did not end in order")?;
    logged.cancel();
    tasks.close();
    tasks.wait().await;
    base_images.closed().await;
    metadata.close().await;
    if !launcher_lived {
        bail!("the launcher process ended, and with it every execution environment; start Bojagi again");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Says where the server is, and the root key's secret when it was made just now: it is shown once.
async fn announce(plan: &Plan, control: &Control, arguments: &UpArgs, first_start: bool) -> anyhow::Result<()> {
    let root = control.root_key(AccountId::DEVELOPMENT).await?;
    if first_start {
        print_root_key(&root);
    }
    let scheme = if arguments.tls_cert.is_some() { "https" } else { "http" };
    tracing::info!(
        endpoint = %format_args!("{scheme}://{}", plan.listen),
        region = arguments.region,
        data_dir = %plan.places.data_dir.display(),
        code_images = ?plan.code_images,
        development_keys = plan.development_keys,
        root_access_key_id = root.access_key_id,
        "ready"
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the secret is shown once, to whoever started the server, and never logged")]
fn print_root_key(root: &bojagi_model::identity::Credentials) {
    println!(
        "The root key of account {}, shown this once:\n  AWS_ACCESS_KEY_ID={}\n  AWS_SECRET_ACCESS_KEY={}",
        AccountId::DEVELOPMENT,
        root.access_key_id,
        root.secret_access_key
    );
}

/// Waits for SIGTERM or SIGINT.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("cannot wait for signals");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
