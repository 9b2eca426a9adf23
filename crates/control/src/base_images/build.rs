//! One build, from nothing to an image under its name.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bojagi_model::Digest;
use bojagi_package::tree::{self, Times};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::error::BuildError;
use super::image::{Form, Metadata};
use super::recipe::Plan;
use super::step::{self, Outcome};
use super::{host, store};

/// How often a build asks whether another process has finished the same one.
const LOCK_POLL: Duration = Duration::from_millis(200);

/// What is asked for.
pub(super) struct Build {
    pub(super) plan: Plan,
    /// The directory of base images.
    pub(super) directory: PathBuf,
    /// Whether the tree is kept beside the image.
    pub(super) form: Form,
    /// Whether an image that is there and up to date is made again.
    pub(super) force: bool,
}

impl Build {
    /// Makes the image, unless it is there and up to date. Whatever happens, the scratch directory is gone afterwards.
    pub(super) async fn run(
        self,
        cancelled: &CancellationToken,
        mut report: impl FnMut(String),
    ) -> Result<(), BuildError> {
        let name = store::name(&self.plan.runtime.identifier, self.plan.architecture);
        let target = self.directory.join(&name);
        if self.is_there(&target) {
            return Ok(());
        }
        self.check_host().await?;
        report("waiting for another build of the same image".to_owned());
        let Some(_lock) = lock(&self.directory.join(format!(".lock-{name}")), cancelled).await? else {
            return Err(BuildError::Cancelled);
        };
        // Another process may have made it meanwhile.
        if self.is_there(&target) {
            return Ok(());
        }
        let work = Scratch::new(self.directory.join(format!(".work-{name}")))?;
        self.make_tree(&work.0, cancelled, &mut report).await?;
        report("writing the code image".to_owned());
        let path = target.clone();
        let commit = tokio::task::spawn_blocking(move || self.commit(&work.0, &target));
        commit.await.map_err(io::Error::other).map_err(BuildError::storage("write", path))?
    }

    fn is_there(&self, target: &Path) -> bool {
        !self.force
            && store::read_metadata(target).is_some_and(|metadata| {
                let path = match self.form {
                    Form::Image => store::image_path(target, &metadata.digest),
                    Form::Directory => store::tree_path(target, &metadata.digest),
                };
                metadata.recipe == self.plan.digest() && path.exists()
            })
    }

    async fn check_host(&self) -> Result<(), BuildError> {
        let Plan { runtime, architecture, .. } = self.plan;
        let identifier = runtime.identifier.clone();
        let native = bojagi_model::Architecture::of_this_machine() == Some(architecture);
        if self.plan.runs_its_own_programs() && !native {
            return Err(BuildError::ForeignArchitecture { runtime: identifier, architecture });
        }
        if !rustix::process::geteuid().is_root() {
            return Err(BuildError::NotRoot);
        }
        let packages = host::missing_debian_packages(runtime).await;
        if packages.is_empty() { Ok(()) } else { Err(BuildError::MissingTools { runtime: identifier, packages }) }
    }

    async fn make_tree(
        &self,
        work: &Path,
        cancelled: &CancellationToken,
        report: &mut impl FnMut(String),
    ) -> Result<(), BuildError> {
        let storage = |doing| BuildError::storage(doing, work);
        self.plan.write_files(work).map_err(storage("write the recipe to"))?;
        let environment = self.plan.environment(work, host::mirrors().await);
        let outcome = step::run(&work.join("files"), &environment, cancelled, report).await;
        match outcome.map_err(storage("run the recipe in"))? {
            Outcome::Done => Ok(()),
            Outcome::Cancelled => Err(BuildError::Cancelled),
            Outcome::Failed { step, status, output } => {
                let runtime = self.plan.runtime.identifier.clone();
                Err(BuildError::Step { runtime, step, status: status.to_string(), output })
            }
        }
    }

    /// Makes the tree an image and puts it into place: first everything is durable, then metadata names it.
    fn commit(&self, work: &Path, target: &Path) -> Result<(), BuildError> {
        let root = work.join("root");
        let describe = |source: io::Error| BuildError::Storage { doing: "describe", path: root.clone(), source };
        let description = self.plan.description(work).map_err(describe)?;
        fs::write(root.join("usr/share/bojagi/base-image.json"), description).map_err(describe)?;

        let scratch = work.join("image.erofs");
        let image = File::options().read(true).write(true).create_new(true).open(&scratch);
        let image = image.map_err(BuildError::storage("make", &scratch))?;
        let made = tree::ingest(&root, &image, Times::Fixed(0)).map_err(|source| BuildError::Image {
            runtime: self.plan.runtime.identifier.clone(),
            source: Box::new(source),
        })?;
        image.sync_all().map_err(BuildError::storage("write", &scratch))?;

        let storage = |doing| BuildError::storage(doing, target);
        fs::create_dir_all(target).map_err(storage("make"))?;
        fs::rename(&scratch, store::image_path(target, &made.image)).map_err(storage("write"))?;
        if self.form == Form::Directory {
            keep_tree(&root, &store::tree_path(target, &made.image)).map_err(storage("write"))?;
        }
        let metadata = Metadata {
            digest: made.image,
            image_bytes: made.image_bytes,
            unpacked_bytes: made.unzipped_bytes,
            built_at: OffsetDateTime::now_utc(),
            source: self.plan.source(),
            differences: self.plan.differences(),
            has_tree: self.form == Form::Directory,
            recipe: self.plan.digest(),
        };
        let previous = store::read_metadata(target).map(|metadata| metadata.digest);
        store::write_metadata(target, &metadata).map_err(storage("write"))?;
        remove_others(target, &[Some(made.image), previous]).map_err(storage("tidy"))
    }
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
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the scratch directory of a build could not be removed");
        }
    }
}
