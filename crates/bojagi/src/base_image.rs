//! `bojagi base-image`: build and list what functions run on.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bojagi_control::base_images::{BaseImages, Form, Mode, Progress, Settings, required_debian_packages};
use bojagi_model::{Architecture, runtime};
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use crate::cli::{BaseImageCommand, DataArgs};
use crate::configuration::Places;
use crate::units::format_bytes;

/// Carries the command out.
///
/// # Errors
/// A sentence that says what to do.
pub fn run(command: BaseImageCommand) -> anyhow::Result<()> {
    match command {
        BaseImageCommand::Build { data, names, force } => build(&data, &names, force),
        BaseImageCommand::List { data, json } => list(&data, json),
        BaseImageCommand::Requirements { names } => requirements(&names),
    }
}

fn open(data: &DataArgs, shutdown: &CancellationToken) -> anyhow::Result<BaseImages> {
    let directory = Places::of(data)?.base_image_dir;
    Ok(BaseImages::open(Settings { directory, mode: Mode::Manual, form: Form::Image }, shutdown.clone())?)
}

fn machine() -> anyhow::Result<Architecture> {
    Architecture::of_this_machine().ok_or_else(|| anyhow!("Lambda has no name for this machine's instruction set"))
}

#[expect(clippy::print_stdout, reason = "the command line's own output")]
fn build(data: &DataArgs, names: &[String], force: bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let images = open(data, &shutdown)?;
        let architecture = machine()?;
        for name in names {
            let line = spinner(name)?;
            let report = |progress: Progress| line.set_message(progress.step);
            let building = images.build(name, architecture, force, report);
            let image = tokio::select! {
                built = building => built?,
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted.context("cannot wait for Ctrl-C")?;
                    bail!("interrupted; nothing is left of the build of {name}");
                }
            };
            line.finish_and_clear();
            println!(
                "{name}: {} ({}), {}",
                image.digest,
                format_bytes(image.metadata.image_bytes),
                image.metadata.source
            );
        }
        Ok(())
    })
}

/// A line that shows the step a build is at; on something that is no terminal, nothing moves.
fn spinner(name: &str) -> anyhow::Result<ProgressBar> {
    let line = ProgressBar::new_spinner().with_prefix(name.to_owned());
    line.set_style(ProgressStyle::with_template("{spinner} {prefix}: {msg} ({elapsed})")?);
    line.enable_steady_tick(Duration::from_millis(100));
    Ok(line)
}

#[expect(clippy::print_stdout, reason = "the command line's own output")]
fn list(data: &DataArgs, json: bool) -> anyhow::Result<()> {
    let images = open(data, &CancellationToken::new())?.list();
    if json {
        let documents: Vec<_> = images
            .iter()
            .map(|image| {
                serde_json::json!({
                    "runtime": image.runtime,
                    "architecture": image.architecture.as_str(),
                    "digest": image.digest.to_string(),
                    "imageBytes": image.metadata.image_bytes,
                    "unpackedBytes": image.metadata.unpacked_bytes,
                    "source": image.metadata.source,
                    "differences": image.metadata.differences,
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&documents)?);
        return Ok(());
    }
    println!("{:<18} {:<8} {:>10}  SOURCE", "RUNTIME", "ARCH", "SIZE");
    for image in &images {
        let size = format_bytes(image.metadata.image_bytes);
        println!("{:<18} {:<8} {size:>10}  {}", image.runtime, image.architecture.as_str(), image.metadata.source);
    }
    let buildable: Vec<&str> = runtime::all()
        .iter()
        .filter(|entry| entry.recipe.is_some() && !images.iter().any(|image| image.runtime == entry.identifier))
        .map(|entry| entry.identifier.as_str())
        .collect();
    if !buildable.is_empty() {
        println!("\nCan be built: {}", buildable.join(", "));
    }
    if !images.is_empty() {
        println!("\nHow they differ from AWS's images:");
        let mut said = std::collections::BTreeSet::new();
        for difference in images.iter().flat_map(|image| &image.metadata.differences) {
            if said.insert(difference) {
                println!("  {difference}");
            }
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the command line's own output")]
fn requirements(names: &[String]) -> anyhow::Result<()> {
    let mut packages = std::collections::BTreeSet::new();
    for name in names {
        let entry = runtime::find(name).ok_or_else(|| anyhow!("there is no runtime {name}"))?;
        packages.extend(required_debian_packages(entry));
    }
    println!("{}", packages.into_iter().collect::<Vec<_>>().join(" "));
    Ok(())
}
