//! `bojagi`: the binary. It reads the command line, wires the crates together and holds no logic of its own.

use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};

mod adapters;
mod base_image;
mod cli;
mod configuration;
mod key;
mod reset;
mod units;
mod up;

fn main() -> ExitCode {
    // First of all, while there is one thread: this process may have been started to be the launcher.
    bojagi_sandbox::run_if_launcher();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command line's own output")]
fn report(error: &anyhow::Error) {
    eprintln!("bojagi: {error:#}");
}

fn run() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().collect();
    let matches = configuration::command(&arguments)?.get_matches_from(&arguments);
    let parsed = cli::Cli::from_arg_matches(&matches).context("command line")?;
    match parsed.command {
        cli::Command::Up(arguments) => up::run(&arguments),
        cli::Command::BaseImage(command) => base_image::run(command),
        cli::Command::Reset(arguments) => reset::run(&arguments),
        cli::Command::Key(cli::KeyCommand::Rotate { data }) => key::rotate(&data),
        cli::Command::Completions { shell } => {
            clap_complete::generate(shell, &mut cli::Cli::command(), "bojagi", &mut std::io::stdout());
            Ok(())
        }
    }
}
