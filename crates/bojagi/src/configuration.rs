//! Configuration in three steps: raw (file, environment, flags), checked, built.
//!
//! The file's keys are the flags' names, and so are the environment variables' (`--data-dir`, `data-dir = …`,
//! `BOJAGI_DATA_DIR`). A flag wins over the environment, the environment over the file, the file over the default. The file's values become clap's
//! defaults, so one parser checks all three and no key can be read in one place and not in another.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use bojagi_model::limits::Limits;
use clap::{Command, CommandFactory};

use crate::cli::{Cli, DataArgs};
use crate::units::parse_bytes;

/// The file read when none is named.
const DEFAULT_FILE: &str = "/etc/bojagi/bojagi.toml";

/// The command line with the configuration file's values as defaults.
///
/// # Errors
/// The file cannot be read, is not TOML, or has a key or value that no flag accepts.
pub fn command(arguments: &[OsString]) -> anyhow::Result<Command> {
    let command = Cli::command();
    let Some(file) = file_named(arguments) else { return Ok(command) };
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    apply(command, &text).with_context(|| format!("in the configuration file {}", file.display()))
}

/// Which file to read: `--config`, else `BOJAGI_CONFIG`, else the default file if it exists.
fn file_named(arguments: &[OsString]) -> Option<PathBuf> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let Some(argument) = argument.to_str() else { continue };
        if argument == "--config" {
            return arguments.next().map(PathBuf::from);
        }
        if let Some(file) = argument.strip_prefix("--config=") {
            return Some(PathBuf::from(file));
        }
    }
    std::env::var_os("BOJAGI_CONFIG").map(PathBuf::from).or_else(|| {
        let default = PathBuf::from(DEFAULT_FILE);
        default.exists().then_some(default)
    })
}

fn apply(command: Command, text: &str) -> anyhow::Result<Command> {
    let table: toml::Table = text.parse()?;
    let up = command.find_subcommand("up").ok_or_else(|| anyhow!("no `up` command"))?;
    let known: Vec<String> = up.get_arguments().filter_map(|a| a.get_long()).map(str::to_owned).collect();
    let mut command = command;
    for (key, value) in table {
        if key == "config" || !known.contains(&key) {
            bail!("unknown key `{key}`{}", suggestion(&key, &known));
        }
        let values = texts(&value)
            .ok_or_else(|| anyhow!("`{key}` must be a string, a number, true, false, or a list of those"))?;
        let id = key.replace('-', "_");
        command = with_default(command, &id, &values);
    }
    Ok(command)
}

/// Gives the flag of that id a default wherever a command has it, so that `base-image` and `key` read the same file as `up`.
fn with_default(command: Command, id: &str, values: &[String]) -> Command {
    let has = command.get_arguments().any(|argument| argument.get_id() == id);
    let command = if has {
        let values: Vec<clap::builder::OsStr> = values.iter().map(|v| v.clone().into()).collect();
        command.mut_arg(id, |argument| argument.default_values(values).hide_default_value(true))
    } else {
        command
    };
    command.mut_subcommands(|subcommand| with_default(subcommand, id, values))
}

fn texts(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text.clone()]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Boolean(truth) => Some(vec![truth.to_string()]),
        toml::Value::Array(items) => {
            items.iter().map(texts).collect::<Option<Vec<_>>>().map(|lists| lists.into_iter().flatten().collect())
        }
        _ => None,
    }
}

fn suggestion(key: &str, known: &[String]) -> String {
    known
        .iter()
        .map(|name| (strsim::jaro_winkler(key, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!("; did you mean `{name}`?"))
        .unwrap_or_default()
}

/// Where state lives, with the defaults filled in.
#[derive(Clone, Debug)]
pub struct Places {
    /// All state.
    pub data_dir: PathBuf,
    /// Base images.
    pub base_image_dir: PathBuf,
    /// The sealing keys.
    pub key_file: PathBuf,
}

impl Places {
    /// Fills in the defaults: the system's directories for root, the XDG base directories for everybody else
    /// (XDG Base Directory Specification 0.8).
    ///
    /// # Errors
    /// Neither `HOME` nor the directory is known, or the key file would lie inside the data directory.
    pub fn of(data: &DataArgs) -> anyhow::Result<Places> {
        let root = rustix::process::geteuid().is_root();
        let home = |variable: &str, fallback: &str| -> anyhow::Result<PathBuf> {
            if let Some(dir) = std::env::var_os(variable).filter(|dir| Path::new(dir).is_absolute()) {
                return Ok(PathBuf::from(dir).join("bojagi"));
            }
            let home =
                std::env::var_os("HOME").ok_or_else(|| anyhow!("HOME is not set; name the place with a flag"))?;
            Ok(PathBuf::from(home).join(fallback).join("bojagi"))
        };
        let data_dir = match &data.data_dir {
            Some(dir) => std::path::absolute(dir)?,
            None if root => PathBuf::from("/var/lib/bojagi"),
            None => home("XDG_DATA_HOME", ".local/share")?,
        };
        let key_file = match &data.key_file {
            Some(file) => std::path::absolute(file)?,
            None if root => PathBuf::from("/etc/bojagi/keys"),
            None => home("XDG_CONFIG_HOME", ".config")?.join("keys"),
        };
        if resolved(&key_file).starts_with(resolved(&data_dir)) {
            bail!(
                "the key file {} lies inside the data directory, where a stolen backup would carry both the secrets and their key; \
                 name another place with --key-file",
                key_file.display()
            );
        }
        let base_image_dir = match &data.base_image_dir {
            Some(dir) => std::path::absolute(dir)?,
            None => data_dir.join("base-images"),
        };
        Ok(Places { data_dir, base_image_dir, key_file })
    }
}

/// Where a path leads: symbolic links are followed as far as the path exists, and `..` in the rest goes up.
fn resolved(path: &Path) -> PathBuf {
    for existing in path.ancestors() {
        let (Ok(found), Ok(rest)) = (existing.canonicalize(), path.strip_prefix(existing)) else { continue };
        return rest.components().fold(found, |mut found, component| {
            if component == Component::ParentDir {
                found.pop();
            } else {
                found.push(component);
            }
            found
        });
    }
    path.to_owned()
}

/// The limits in force: AWS's, changed by `--limit NAME=VALUE`.
///
/// # Errors
/// An unknown name (with a suggestion) or a value that is no amount.
pub fn limits(changes: &[String]) -> anyhow::Result<Limits> {
    let defaults = toml::Table::try_from(Limits::default())?;
    let known: Vec<String> = defaults.keys().cloned().collect();
    let mut table = defaults;
    for change in changes {
        let (name, value) = change.split_once('=').ok_or_else(|| anyhow!("--limit {change}: write NAME=VALUE"))?;
        if !known.iter().any(|known| known == name) {
            bail!(
                "--limit {change}: there is no limit `{name}`{}; the limits are {}",
                suggestion(name, &known),
                known.join(", ")
            );
        }
        let amount = parse_bytes(value).map_err(|error| anyhow!("--limit {change}: {error}"))?;
        table.insert(name.to_owned(), toml::Value::Integer(i64::try_from(amount)?));
    }
    table.try_into().context("--limit")
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;
    use crate::cli;

    fn up(file: &str, arguments: &[&str]) -> anyhow::Result<cli::UpArgs> {
        let command = apply(Cli::command(), file)?;
        let matches = command.try_get_matches_from([&["bojagi", "up"], arguments].concat())?;
        match Cli::from_arg_matches(&matches)?.command {
            cli::Command::Up(up) => Ok(*up),
            other => bail!("{other:?}"),
        }
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file = "region = \"eu-central-1\"\nidle-timeout = 5\nhost = [\"a.example\", \"b.example\"]\ninsecure-http = true\n";
        let args = up(file, &["--idle-timeout", "7"]).unwrap();
        assert_eq!(args.region, "eu-central-1");
        assert_eq!(args.idle_timeout, 7);
        assert_eq!(args.host, ["a.example", "b.example"]);
        assert!(args.insecure_http);
        assert_eq!(args.listen.port(), 4566);
    }

    #[test]
    fn unknown_keys_are_refused_with_a_suggestion() {
        let error = up("regoin = \"eu-central-1\"\n", &[]).unwrap_err();
        assert_eq!(error.to_string(), "unknown key `regoin`; did you mean `region`?");
        assert!(up("network = \"bridge\"\n", &[]).unwrap_err().to_string().contains("[possible values: nat, none]"));
    }

    #[test]
    fn limits_are_awss_unless_changed() {
        assert_eq!(limits(&[]).unwrap(), Limits::default());
        assert_eq!(limits(&["unzipped-bytes=1GiB".into()]).unwrap().unzipped_bytes, 1 << 30);
        let error = limits(&["unziped-bytes=1".into()]).unwrap_err().to_string();
        assert!(error.contains("did you mean `unzipped-bytes`?"), "{error}");
    }

    #[test]
    fn the_key_file_stays_out_of_the_data_directory() {
        let top = tempfile::tempdir().unwrap();
        let data = top.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink(&data, top.path().join("link")).unwrap();
        let places = |data_dir: &Path, key_file: &str| {
            let (data_dir, key_file) = (Some(data_dir.to_owned()), Some(top.path().join(key_file)));
            Places::of(&DataArgs { config: None, data_dir, base_image_dir: None, key_file })
        };
        for inside in ["data/keys", "data/not/yet/keys", "other/../data/keys", "link/keys", "data/../link/./keys"] {
            assert!(places(&data, inside).is_err(), "{inside}");
            assert!(places(&top.path().join("link"), inside).is_err(), "{inside}, data directory by its link");
        }
        for outside in ["keys", "data.keys", "data/../keys", "link/../keys"] {
            assert!(places(&data, outside).is_ok(), "{outside}");
        }
        assert!(places(&top.path().join("new"), "new/keys").is_err());
    }
}
