//! `bojagi`: the binary. It reads the command line, wires the crates together and holds no logic of its own.

use std::process::ExitCode;

use anyhow::Context;
use clap::FromArgMatches;

mod cli;
mod configuration;
mod units;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
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

fn run() -> anyhow::Result<ExitCode> {
    let arguments: Vec<_> = std::env::args_os().collect();
    let matches = configuration::command(&arguments)?.get_matches_from(&arguments);
    let parsed = cli::Cli::from_arg_matches(&matches).context("command line")?;
    match parsed.command {
        cli::Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut <cli::Cli as clap::CommandFactory>::command(),
                "bojagi",
                &mut std::io::stdout(),
            );
            Ok(ExitCode::SUCCESS)
        }
        _ => unreachable!(),
    }
}
