//! The command line: every command, flag and help text, and nothing that acts.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs AWS Lambda deployment packages on machines you own.
///
/// The unmodified AWS CLI, SDKs and SAM CLI work against it. Start it with `bojagi up`.
#[derive(Debug, Parser)]
#[command(name = "bojagi", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server in the foreground until SIGTERM or Ctrl-C
    Up(Box<UpArgs>),
    /// Prepare and list base images: the operating system, runtime and interface client that functions run on
    #[command(subcommand)]
    BaseImage(BaseImageCommand),
    /// Wipe the state of a running development server: functions, roles, code, logs (base images stay)
    Reset(ResetArgs),
    /// Manage the keys that seal environment variables and secrets at rest
    #[command(subcommand)]
    Key(KeyCommand),
    /// Print a completion script for your shell to standard output
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Where state lives; shared by the commands that touch it.
#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    /// Configuration file (TOML); its keys are the flags' names [default: /etc/bojagi/bojagi.toml if it exists]
    #[arg(long, value_name = "FILE", env = "BOJAGI_CONFIG")]
    pub config: Option<PathBuf>,

    /// Directory that holds all state; it is created [default: /var/lib/bojagi for root, else
    /// $XDG_DATA_HOME/bojagi]
    #[arg(long, value_name = "DIR", env = "BOJAGI_DATA_DIR")]
    pub data_dir: Option<PathBuf>,

    /// Directory of base images; several servers may share one [default: DATA_DIR/base-images]
    #[arg(long, value_name = "DIR", env = "BOJAGI_BASE_IMAGE_DIR")]
    pub base_image_dir: Option<PathBuf>,

    /// File of the keys that seal secrets at rest; keep it off the data directory's backups [default:
    /// /etc/bojagi/keys for root, else $XDG_CONFIG_HOME/bojagi/keys]
    #[arg(long, value_name = "FILE", env = "BOJAGI_KEY_FILE")]
    pub key_file: Option<PathBuf>,
}

/// Where AWS's public base images are pulled from; shared by the commands that prepare base images.
#[derive(Clone, Debug, Args)]
pub struct RegistryArgs {
    /// Registry and path of AWS's public base images, which are taken where it can be reached, or `none`: always
    /// build from Debian's packages
    #[arg(long, value_name = "HOST/PATH", default_value = bojagi_control::base_images::PublicImages::AWS, env = "BOJAGI_BASE_IMAGE_REGISTRY")]
    pub base_image_registry: String,
}

/// `bojagi up`.
#[derive(Clone, Debug, Args)]
pub struct UpArgs {
    /// Where state lives.
    #[command(flatten)]
    pub data: DataArgs,

    /// Where AWS's public base images are.
    #[command(flatten)]
    pub registry: RegistryArgs,

    /// Address and port to listen on; everything is on this one port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4566", env = "BOJAGI_LISTEN")]
    pub listen: SocketAddr,

    /// Region of requests that name none
    #[arg(long, default_value = "us-east-1", env = "BOJAGI_REGION")]
    pub region: String,

    /// Accept the conventional keys that everybody knows: `test`/`test` and any 12-digit key id with the secret
    /// `test` [default: only when listening on a loopback address, the only place where they are allowed]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", env = "BOJAGI_DEVELOPMENT_KEYS")]
    pub development_keys: Option<bool>,

    /// Further host names by which clients reach this server
    #[arg(long = "host", value_name = "NAME", env = "BOJAGI_HOST", value_delimiter = ',')]
    pub host: Vec<String>,

    /// Certificate chain (PEM) to serve HTTPS with
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "BOJAGI_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,

    /// Private key (PEM) of the certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "BOJAGI_TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// Listen on an address that is not loopback without TLS
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", default_value = "false", env = "BOJAGI_INSECURE_HTTP")]
    pub insecure_http: bool,

    /// What functions can reach: the internet by NAT (never this host or private networks), or nothing
    #[arg(long, value_enum, default_value_t = NetworkMode::Nat, env = "BOJAGI_NETWORK")]
    pub network: NetworkMode,

    /// How code images are made visible: EROFS straight from a file, through a loop device, or as directory trees
    #[arg(long, value_enum, default_value_t = CodeImages::Auto, env = "BOJAGI_CODE_IMAGES")]
    pub code_images: CodeImages,

    /// Whether a missing base image is prepared in the background when a function first needs it
    #[arg(long, value_enum, default_value_t = BaseImageMode::OnDemand, env = "BOJAGI_BASE_IMAGES")]
    pub base_images: BaseImageMode,

    /// Memory for all execution environments together, such as 8GiB [default: four fifths of this machine's]
    #[arg(long, value_name = "BYTES", value_parser = crate::units::parse_bytes, env = "BOJAGI_MEMORY")]
    pub memory: Option<u64>,

    /// Seconds after which an idle execution environment is ended
    #[arg(long, value_name = "SECONDS", default_value_t = 600, env = "BOJAGI_IDLE_TIMEOUT")]
    pub idle_timeout: u64,

    /// Raise (or lower) one of AWS's limits, such as unzipped-bytes=1GiB; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", env = "BOJAGI_LIMIT", value_delimiter = ',')]
    pub limit: Vec<String>,

    /// Seconds that requests in flight are given to finish when the server is stopped
    #[arg(long, value_name = "SECONDS", default_value_t = 30, env = "BOJAGI_DRAIN")]
    pub drain: u64,

    /// Form of the log on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text, env = "BOJAGI_LOG_FORMAT")]
    pub log_format: LogFormat,

    /// What to log: error, warn, info, debug, trace, or a filter such as info,bojagi_engine=debug
    #[arg(long, value_name = "FILTER", default_value = "info", env = "BOJAGI_LOG")]
    pub log: String,
}

/// `bojagi base-image`.
#[derive(Debug, Subcommand)]
pub enum BaseImageCommand {
    /// Prepare the base image of a runtime, such as python3.13: AWS's public one, or from Debian's packages
    Build {
        /// Where state lives.
        #[command(flatten)]
        data: DataArgs,
        /// Where AWS's public base images are.
        #[command(flatten)]
        registry: RegistryArgs,
        /// What to make it from [default: AWS's image where the registry can be reached, else Debian's packages]
        #[arg(long, value_enum, value_name = "ORIGIN")]
        from: Option<BaseImageOrigin>,
        /// Runtime identifiers, as the Lambda API spells them
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Prepare again although it is there
        #[arg(long)]
        force: bool,
    },
    /// List base images: what is there, its size, its source and how it differs from AWS's
    List {
        /// Where state lives.
        #[command(flatten)]
        data: DataArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the Debian packages that building a base image needs on this machine
    Requirements {
        /// Runtime identifiers
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

/// `bojagi reset`.
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// Address of the server
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4566", env = "BOJAGI_LISTEN")]
    pub listen: SocketAddr,
}

/// `bojagi key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a new key and seal every secret with it again; the server must be stopped
    Rotate {
        /// Where state lives.
        #[command(flatten)]
        data: DataArgs,
    },
}

/// `--network`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NetworkMode {
    /// The internet by NAT
    Nat,
    /// Nothing but Bojagi itself
    None,
}

/// `--code-images`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CodeImages {
    /// The best that works here
    Auto,
    /// EROFS mounted straight from its file (Linux 6.12)
    File,
    /// EROFS mounted through a loop device
    Loop,
    /// Directory trees
    Directory,
}

/// `--base-images`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BaseImageMode {
    /// Prepared when a function first needs them
    OnDemand,
    /// Only by `bojagi base-image build`
    Manual,
}

/// `--from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BaseImageOrigin {
    /// AWS's public image
    Aws,
    /// Debian's packages and the runtime interface client
    Debian,
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}
