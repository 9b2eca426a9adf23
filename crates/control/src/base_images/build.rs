//! One build, from nothing to an image under its name.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bojagi_model::Digest;
use bojagi_package::tree::{self, Times};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::error::BuildError;
use super::image::{Form, Metadata};
use super::pull::{Pull, Start, Unreachable};
use super::recipe::Plan;
use super::source::Sources;
use super::step::{self, Outcome};
use super::unpack::unpack;
use super::{host, store};

/// How often a build asks whether another process has finished the same one.
const LOCK_POLL: Duration = Duration::from_millis(200);

/// What is asked for.
pub(super) struct Build {
    pub(super) sources: Sources,
    /// The directory of base images.
    pub(super) directory: PathBuf,
    /// Whether the tree is kept beside the image.
    pub(super) form: Form,
    /// Whether an image that is there and up to date is made again.
    pub(super) force: bool,
    /// Images that could not be pulled a moment ago.
    pub(super) unreachable: Arc<Unreachable>,
}

/// A tree that is finished, and what its metadata will say.
struct Made {
    source: String,
    differences: Vec<String>,
    recipe: String,
    start: Start,
    times: Times,
}

impl Build {
    /// Makes the image, unless it is there and up to date. Whatever happens, the scratch directory is gone afterwards.
    pub(super) async fn run(
        self,
        cancelled: &CancellationToken,
        mut report: impl FnMut(String),
    ) -> Result<(), BuildError> {
        let name = store::name(&self.sources.runtime.identifier, self.sources.architecture);
        let target = self.directory.join(&name);
        if self.is_there(&target) {
            return Ok(());
        }
        if !rustix::process::geteuid().is_root() {
            return Err(BuildError::NotRoot);
        }
        report("waiting for another build of the same image".to_owned());
        let Some(_lock) = lock(&self.directory.join(format!(".lock-{name}")), cancelled).await? else {
            return Err(BuildError::Cancelled);
        };
        // Another process may have made it meanwhile.
        if self.is_there(&target) {
            return Ok(());
        }
        let work = Scratch::new(self.directory.join(format!(".work-{name}")))?;
        let path = target.clone();
        let committed = if let Some(metadata) = self.image_without_tree(&target) {
            report("unpacking the code image".to_owned());
            tokio::task::spawn_blocking(move || add_tree(&work.0, &target, metadata)).await
        } else {
            let made = self.make(&work.0, cancelled, &mut report).await?;
            report("writing the code image".to_owned());
            tokio::task::spawn_blocking(move || self.commit(&work.0, &target, made)).await
        };
        committed.map_err(io::Error::other).map_err(BuildError::storage("write", path))?
    }

    fn is_there(&self, target: &Path) -> bool {
        self.up_to_date(target).is_some_and(|metadata| match self.form {
            Form::Image => store::image_path(target, &metadata.digest).exists(),
            Form::Directory => store::tree_path(target, &metadata.digest).exists(),
        })
    }

    /// What is known of the image that is there, if nothing else would come of making it again.
    fn up_to_date(&self, target: &Path) -> Option<Metadata> {
        let metadata = store::read_metadata(target).filter(|_| !self.force)?;
        self.sources.recipes().any(|recipe| recipe == metadata.recipe).then_some(metadata)
    }

    /// An image whose tree is all that is missing: it was made where trees are not needed.
    fn image_without_tree(&self, target: &Path) -> Option<Metadata> {
        let metadata = self.up_to_date(target).filter(|_| self.form == Form::Directory)?;
        store::image_path(target, &metadata.digest).exists().then_some(metadata)
    }

    /// Makes the tree in `work/root`: AWS's image where it can be had, else from Debian's packages.
    async fn make(
        &self,
        work: &Path,
        cancelled: &CancellationToken,
        report: &mut impl FnMut(String),
    ) -> Result<Made, BuildError> {
        let refused = match &self.sources.pull {
            Some(pull) => match self.pull(pull, work, cancelled, report).await {
                Err(error) if !matches!(error, BuildError::Cancelled) => Some(error),
                settled => return settled,
            },
            None => None,
        };
        let runtime = &self.sources.runtime.identifier;
        match (&self.sources.plan, refused) {
            (Some(plan), refused) => {
                if let Some(error) = refused {
                    tracing::info!(runtime, %error, "AWS's public image cannot be had; building from Debian's packages");
                    Scratch::clear(work)?;
                }
                self.build(plan, work, cancelled, report).await
            }
            (None, Some(error @ BuildError::NotPulled { .. })) if self.sources.runtime.recipe.is_none() => {
                Err(BuildError::Nowhere { runtime: runtime.clone(), pull: Box::new(error) })
            }
            (None, Some(error)) => Err(error),
            (None, None) => Err(BuildError::NotFromDebian(runtime.clone())),
        }
    }

    async fn pull(
        &self,
        pull: &Pull,
        work: &Path,
        cancelled: &CancellationToken,
        report: &mut impl FnMut(String),
    ) -> Result<Made, BuildError> {
        let runtime = &self.sources.runtime.identifier;
        let packages = host::missing_for_pulling().await;
        if !packages.is_empty() {
            return Err(BuildError::MissingTools { runtime: runtime.clone(), packages });
        }
        let reference = pull.reference();
        // Who asks for AWS's image and nothing else wants it tried.
        let known = self.unreachable.reason(&reference).filter(|_| self.sources.plan.is_some());
        if let Some(reason) = known {
            return Err(BuildError::NotPulled { reference, reason });
        }
        report(format!("asking for {reference}"));
        let answer = tokio::select! {
            () = cancelled.cancelled() => return Err(BuildError::Cancelled),
            answer = pull.digest() => answer,
        };
        if let Err(BuildError::NotPulled { reference, reason }) = &answer {
            self.unreachable.note(reference.clone(), reason.clone());
        }
        let digest = answer?;
        tracing::info!(
            runtime,
            source = pull.source(&digest),
            differences = pull.differences().join(" "),
            "pulling a base image"
        );
        let storage = |doing| BuildError::storage(doing, work);
        pull.write_files(work).map_err(storage("write the recipe to"))?;
        self.run_recipe(work, &pull.environment(work, &digest), cancelled, report).await?;
        let start = pull.start(work)?;
        // Times are kept: Python's compiled files name their sources'.
        let (source, differences, recipe) = (pull.source(&digest), pull.differences(), pull.recipe());
        Ok(Made { source, differences, recipe, start, times: Times::Keep })
    }

    async fn build(
        &self,
        plan: &Plan,
        work: &Path,
        cancelled: &CancellationToken,
        report: &mut impl FnMut(String),
    ) -> Result<Made, BuildError> {
        let (runtime, architecture) = (plan.runtime, plan.architecture);
        let native = bojagi_model::Architecture::of_this_machine() == Some(architecture);
        if plan.runs_its_own_programs() && !native {
            return Err(BuildError::ForeignArchitecture { runtime: runtime.identifier.clone(), architecture });
        }
        let packages = host::missing_for_building(runtime).await;
        if !packages.is_empty() {
            return Err(BuildError::MissingTools { runtime: runtime.identifier.clone(), packages });
        }
        let (source, differences, recipe) = (plan.source(), plan.differences(), plan.digest());
        tracing::info!(
            runtime = runtime.identifier, %architecture, source, differences = differences.join(" "), "building a base image"
        );
        let storage = |doing| BuildError::storage(doing, work);
        plan.write_files(work).map_err(storage("write the recipe to"))?;
        let environment = plan.environment(work, host::mirrors().await);
        self.run_recipe(work, &environment, cancelled, report).await?;
        let description = plan.description(work).map_err(storage("describe"))?;
        let place = work.join("root/usr/share/bojagi/base-image.json");
        fs::write(place, description).map_err(storage("describe"))?;
        let start = Start { command: None, environment: Vec::new() };
        Ok(Made { source, differences, recipe, start, times: Times::Fixed(0) })
    }

    async fn run_recipe(
        &self,
        work: &Path,
        environment: &[(String, String)],
        cancelled: &CancellationToken,
        report: &mut impl FnMut(String),
    ) -> Result<(), BuildError> {
        let outcome = step::run(&work.join("files"), environment, cancelled, report).await;
        match outcome.map_err(BuildError::storage("run the recipe in", work))? {
            Outcome::Done => Ok(()),
            Outcome::Cancelled => Err(BuildError::Cancelled),
            Outcome::Failed { step, status, output } => {
                let runtime = self.sources.runtime.identifier.clone();
                Err(BuildError::Step { runtime, step, status: status.to_string(), output })
            }
        }
    }

    /// Makes the tree an image and puts it into place: first everything is durable, then metadata names it.
    fn commit(&self, work: &Path, target: &Path, made: Made) -> Result<(), BuildError> {
        let root = work.join("root");
        let scratch = work.join("image.erofs");
        let image = File::options().read(true).write(true).create_new(true).open(&scratch);
        let image = image.map_err(BuildError::storage("make", &scratch))?;
        let ingested = tree::ingest(&root, &image, made.times).map_err(|source| BuildError::Image {
            runtime: self.sources.runtime.identifier.clone(),
            source: Box::new(source),
        })?;
        image.sync_all().map_err(BuildError::storage("write", &scratch))?;

        let storage = |doing| BuildError::storage(doing, target);
        fs::create_dir_all(target).map_err(storage("make"))?;
        fs::rename(&scratch, store::image_path(target, &ingested.image)).map_err(storage("write"))?;
        if self.form == Form::Directory {
            keep_tree(&root, &store::tree_path(target, &ingested.image)).map_err(storage("write"))?;
        }
        let metadata = Metadata {
            digest: ingested.image,
            image_bytes: ingested.image_bytes,
            unpacked_bytes: ingested.unzipped_bytes,
            built_at: OffsetDateTime::now_utc(),
            source: made.source,
            differences: made.differences,
            command: made.start.command,
            environment: made.start.environment,
            has_tree: self.form == Form::Directory,
            recipe: made.recipe,
        };
        let previous = store::read_metadata(target).map(|metadata| metadata.digest);
        store::write_metadata(target, &metadata).map_err(storage("write"))?;
        remove_others(target, &[Some(ingested.image), previous]).map_err(storage("tidy"))
    }
}

/// Unpacks the image that is there and puts the tree beside it.
fn add_tree(work: &Path, target: &Path, metadata: Metadata) -> Result<(), BuildError> {
    let storage = |doing| BuildError::storage(doing, target);
    let root = work.join("root");
    unpack(&store::image_path(target, &metadata.digest), &metadata.digest, &root).map_err(storage("unpack"))?;
    keep_tree(&root, &store::tree_path(target, &metadata.digest)).map_err(storage("write"))?;
    store::write_metadata(target, &Metadata { has_tree: true, ..metadata }).map_err(storage("write"))
}

fn keep_tree(root: &Path, place: &Path) -> io::Result<()> {
    if place.exists() {
        // The same content from an earlier build.
        fs::remove_dir_all(place)?;
    }
    fs::rename(root, place)?;
    rustix::fs::syncfs(File::open(place)?)?;
    Ok(())
}

/// Removes images and trees but the current one and the one before it, which running functions may still name.
fn remove_others(target: &Path, keep: &[Option<Digest>]) -> io::Result<()> {
    let kept: Vec<PathBuf> = keep
        .iter()
        .flatten()
        .flat_map(|digest| [store::image_path(target, digest), store::tree_path(target, digest)])
        .chain([target.join(store::METADATA)])
        .collect();
    for entry in fs::read_dir(target)? {
        let path = entry?.path();
        if kept.contains(&path) {
            continue;
        }
        if path.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
    }
    Ok(())
}

/// Takes the lock of an image; `None` when told to stop. Polls, because a thread that waits in flock(2) cannot be told.
async fn lock(path: &Path, cancelled: &CancellationToken) -> Result<Option<File>, BuildError> {
    let storage = |doing| BuildError::storage(doing, path);
    let options = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = options.map_err(storage("make the lock file"))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(error)) => return Err(storage("lock")(error)),
        }
        tokio::select! {
            () = cancelled.cancelled() => return Ok(None),
            () = tokio::time::sleep(LOCK_POLL) => {}
        }
    }
}

/// A directory that goes when the build ends, however it ends. What a crash left is swept first; the lock is held.
struct Scratch(PathBuf);

impl Scratch {
    fn new(path: PathBuf) -> Result<Scratch, BuildError> {
        if path.exists() {
            fs::remove_dir_all(&path).map_err(BuildError::storage("sweep", &path))?;
        }
        fs::create_dir(&path).map_err(BuildError::storage("make", &path))?;
        Ok(Scratch(path))
    }

    /// Empties one, for another attempt.
    fn clear(path: &Path) -> Result<(), BuildError> {
        fs::remove_dir_all(path).and_then(|()| fs::create_dir(path)).map_err(BuildError::storage("sweep", path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the scratch directory of a build could not be removed");
        }
    }
}
