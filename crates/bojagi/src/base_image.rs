//! `bojagi base-image`: prepare and list what functions run on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bojagi_control::base_images::{
    BaseImage, BaseImages, BuildOptions, Form, Mode, Origin, Progress, PublicImages, Settings, required_debian_packages,
};
use bojagi_model::runtime::Runtime;
use bojagi_model::{Architecture, runtime};
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use crate::cli::{BaseImageCommand, BaseImageOrigin, DataArgs, RegistryArgs};
use crate::configuration::Places;
use crate::units::format_bytes;

/// Carries the command out.
///
/// # Errors
/// A sentence that says what to do.
pub fn run(command: BaseImageCommand) -> anyhow::Result<()> {
    match command {
        BaseImageCommand::Build { data, registry, from, names, force } => {
            let origin = match from {
                None => Origin::Any,
                Some(BaseImageOrigin::Aws) => Origin::Aws,
                Some(BaseImageOrigin::Debian) => Origin::Debian,
            };
            build(&data, public_images(&registry)?, &names, BuildOptions { force, origin })
        }
        BaseImageCommand::List { data, json } => list(&data, json),
        BaseImageCommand::Requirements { names } => requirements(&names),
    }
}

/// Where AWS's public images are pulled from, if they are.
///
/// # Errors
/// It is no registry.
pub fn public_images(registry: &RegistryArgs) -> anyhow::Result<Option<PublicImages>> {
    match registry.base_image_registry.as_str() {
        "none" => Ok(None),
        text => text.parse().map(Some).map_err(|error| anyhow!("--base-image-registry: {error}")),
    }
}

fn open(data: &DataArgs, registry: Option<PublicImages>, shutdown: &CancellationToken) -> anyhow::Result<BaseImages> {
    let directory = Places::of(data)?.base_image_dir;
    let settings = Settings { directory, mode: Mode::Manual, form: Form::Image, registry };
    Ok(BaseImages::open(settings, shutdown.clone())?)
}

fn machine() -> anyhow::Result<Architecture> {
    Architecture::of_this_machine().ok_or_else(|| anyhow!("Lambda has no name for this machine's instruction set"))
}

#[expect(clippy::print_stdout, reason = "the command line's own output")]
fn build(
    data: &DataArgs,
    registry: Option<PublicImages>,
    names: &[String],
    options: BuildOptions,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let images = open(data, registry, &shutdown)?;
        let architecture = machine()?;
        for name in names {
            let line = spinner(name)?;
            let report = |progress: Progress| line.set_message(progress.step);
            let building = images.build(name, architecture, options, report);
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

fn list(data: &DataArgs, json: bool) -> anyhow::Result<()> {
    let images = open(data, None, &CancellationToken::new())?.list();
    let text = if json { as_json(&images)? } else { as_text(&images)? };
    match std::io::stdout().write_all(text.as_bytes()) {
        // Who reads has seen enough: `| head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn as_json(images: &[BaseImage]) -> anyhow::Result<String> {
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
    Ok(serde_json::to_string_pretty(&documents)? + "\n")
}

fn as_text(images: &[BaseImage]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    if images.is_empty() {
        writeln!(text, "No base image is there yet. `bojagi base-image build python3.13` prepares one.")?;
    } else {
        writeln!(text, "{:<16} {:<7} {:>10} {:>10}  {:<10}  SOURCE", "RUNTIME", "ARCH", "SIZE", "UNPACKED", "MADE")?;
    }
    for image in images {
        let metadata = &image.metadata;
        let (size, unpacked) = (format_bytes(metadata.image_bytes), format_bytes(metadata.unpacked_bytes));
        let (made, arch) = (metadata.built_at.date().to_string(), image.architecture.as_str());
        let source = &metadata.source;
        writeln!(text, "{:<16} {arch:<7} {size:>10} {unpacked:>10}  {made:<10}  {source}", image.runtime)?;
    }
    let missing = runtime::all().iter().filter(|entry| !images.iter().any(|image| image.runtime == entry.identifier));
    let (from_debian, from_aws): (Vec<&Runtime>, Vec<&Runtime>) = missing
        .filter(|entry| entry.recipe.is_some() || entry.image.is_some())
        .partition(|entry| entry.recipe.is_some());
    for (how, entries) in [("Can be built here", from_debian), ("Can be pulled from AWS's registry only", from_aws)] {
        if !entries.is_empty() {
            let names: Vec<&str> = entries.iter().map(|entry| entry.identifier.as_str()).collect();
            writeln!(text, "\n{how}: {}", names.join(", "))?;
        }
    }
    let differing = by_difference(images);
    if !differing.is_empty() {
        writeln!(text, "\nHow they differ from AWS's images:")?;
    }
    for (runtimes, sentences) in differing {
        let all = runtimes.len() == images.len() && images.len() > 1;
        writeln!(text, "  {}", if all { "all of them".to_owned() } else { runtimes.join(", ") })?;
        for sentence in sentences {
            writeln!(text, "    {sentence}")?;
        }
    }
    Ok(text)
}

/// The sentences about differences, those that hold for the same runtimes together, and those that hold for most first.
fn by_difference(images: &[BaseImage]) -> Vec<(Vec<&str>, Vec<&str>)> {
    let mut runtimes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for image in images {
        for sentence in &image.metadata.differences {
            let of = runtimes.entry(sentence).or_default();
            if !of.contains(&image.runtime.as_str()) {
                of.push(&image.runtime);
            }
        }
    }
    let mut groups: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
    for (sentence, of) in runtimes {
        groups.entry(of).or_default().push(sentence);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(of, _)| std::cmp::Reverse(of.len()));
    groups
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
