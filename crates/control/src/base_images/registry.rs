//! The base images of this machine: what is there, in memory, and what is being made.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bojagi_model::{Architecture, runtime};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::image::{BaseImage, Form};
use super::prepare::Flight;
use super::pull::{PublicImages, Unreachable};
use super::source::{Origin, Sources};
use super::{BuildError, Progress, store};

/// Whether a missing base image is made when a function first needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the background, when [`BaseImages::prepare`] is called.
    OnDemand,
    /// Only by [`BaseImages::build`].
    Manual,
}

/// Where base images are and how they are used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Their directory; several processes may share it.
    pub directory: PathBuf,
    /// Whether [`BaseImages::prepare`] builds.
    pub mode: Mode,
    /// In which form [`BaseImages::resolve`] answers.
    pub form: Form,
    /// Where AWS's public images are pulled from; none: they are not.
    pub registry: Option<PublicImages>,
}

/// How [`BaseImages::build`] is to go about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuildOptions {
    /// Whether an image that is there and up to date is made again.
    pub force: bool,
    /// What it is to be made from. An image that is there and comes from elsewhere is replaced.
    pub origin: Origin,
}

/// The base images of this machine. Cheap to clone.
#[derive(Clone)]
pub struct BaseImages {
    pub(super) inner: Arc<Inner>,
}

pub(super) type Key = (String, Architecture);

pub(super) struct Inner {
    pub(super) settings: Settings,
    pub(super) shutdown: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// What was read of metadata files, and which file it was.
    known: Mutex<HashMap<Key, (FileIdentity, BaseImage)>>,
    pub(super) flights: Mutex<HashMap<Key, Flight>>,
    pub(super) unreachable: Arc<Unreachable>,
}

/// Metadata is replaced by rename, so another inode or time is another image.
type FileIdentity = (u64, i64, i64);

/// A poisoned lock still guards consistent maps: every change to them is one insertion or removal.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BaseImages {
    /// Opens the directory, making it if need be. Background builds end when `shutdown` is cancelled.
    ///
    /// # Errors
    ///
    /// The directory cannot be made.
    pub fn open(settings: Settings, shutdown: CancellationToken) -> Result<BaseImages, BuildError> {
        fs::create_dir_all(&settings.directory).map_err(BuildError::storage("make", &settings.directory))?;
        // Recipes run elsewhere: paths that they are told are absolute.
        let directory =
            fs::canonicalize(&settings.directory).map_err(BuildError::storage("open", &settings.directory))?;
        let settings = Settings { directory, ..settings };
        let (known, flights, unreachable) = Default::default();
        let inner = Inner { settings, shutdown, tasks: TaskTracker::new(), known, flights, unreachable };
        Ok(BaseImages { inner: Arc::new(inner) })
    }

    /// The base image of a runtime, if it is there in the form that is used here. Sees images built by other processes;
    /// costs one `stat`.
    pub fn resolve(&self, runtime: &str, architecture: Architecture) -> Option<BaseImage> {
        // Only names of the catalogue become paths.
        runtime::find(runtime)?;
        let settings = &self.inner.settings;
        let target = settings.directory.join(store::name(runtime, architecture));
        let stat = fs::metadata(target.join(store::METADATA)).ok()?;
        let identity = (stat.ino(), stat.mtime(), stat.mtime_nsec());
        let key = (runtime.to_owned(), architecture);
        if let Some((known, image)) = locked(&self.inner.known).get(&key)
            && *known == identity
        {
            return Some(image.clone());
        }
        let metadata = store::read_metadata(&target)?;
        let path = match settings.form {
            Form::Image => store::image_path(&target, &metadata.digest),
            Form::Directory => store::tree_path(&target, &metadata.digest),
        };
        if !path.exists() {
            return None;
        }
        let (digest, form) = (metadata.digest, settings.form);
        let image = BaseImage { runtime: runtime.to_owned(), architecture, digest, form, path, metadata };
        locked(&self.inner.known).insert(key, (identity, image.clone()));
        Some(image)
    }

    /// Whether the base image is there, be it in another form than the one used here.
    pub(super) fn is_there_in_any_form(&self, runtime: &str, architecture: Architecture) -> bool {
        let target = self.inner.settings.directory.join(store::name(runtime, architecture));
        runtime::find(runtime).is_some() && store::read_metadata(&target).is_some()
    }

    /// All base images that are there, by name.
    pub fn list(&self) -> Vec<BaseImage> {
        let entries = match fs::read_dir(&self.inner.settings.directory) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, "the directory of base images cannot be read");
                return Vec::new();
            }
        };
        let mut images: Vec<_> = entries
            .filter_map(|entry| store::parse_name(entry.ok()?.file_name().to_str()?))
            .filter_map(|(runtime, architecture)| self.resolve(&runtime, architecture))
            .collect();
        images.sort_by(|one, other| one.runtime.cmp(&other.runtime).then(one.architecture.cmp(&other.architecture)));
        images
    }

    /// The ways to make an image here.
    pub(super) fn sources(
        &self,
        runtime: &str,
        architecture: Architecture,
        options: BuildOptions,
    ) -> Result<Sources, BuildError> {
        Sources::of(runtime, architecture, self.inner.settings.registry.as_ref(), options.origin)
    }

    /// Makes the base image of a runtime, unless it is there, up to date, and not to be made again. Joins a build of it that
    /// is going on in this process and waits for one in another. When the future is dropped and nobody else waits, the
    /// build ends with everything it started.
    ///
    /// # Errors
    ///
    /// Every [`BuildError`].
    pub async fn build(
        &self,
        runtime: &str,
        architecture: Architecture,
        options: BuildOptions,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<BaseImage, Arc<BuildError>> {
        let sources = self.sources(runtime, architecture, options)?;
        let mut flight = self.start(sources, options.force);
        flight.follow(|step| progress(Progress { runtime: runtime.to_owned(), step })).await?;
        self.resolve(runtime, architecture).ok_or_else(|| {
            let path = self.inner.settings.directory.join(store::name(runtime, architecture));
            let source = std::io::ErrorKind::NotFound.into();
            Arc::new(BuildError::Storage { doing: "find what was just written to", path, source })
        })
    }

    /// Waits until background builds have ended, after `shutdown` was cancelled.
    pub async fn closed(&self) {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use bojagi_model::Digest;
    use time::OffsetDateTime;

    use super::super::Availability;
    use super::super::image::Metadata;
    use super::*;

    fn open(directory: &std::path::Path, mode: Mode, form: Form) -> BaseImages {
        let settings = Settings { directory: directory.to_owned(), mode, form, registry: None };
        BaseImages::open(settings, CancellationToken::new()).expect("it opens")
    }

    /// What a build in another process leaves behind.
    fn put(directory: &std::path::Path, runtime: &str, byte: u8) -> Digest {
        let target = directory.join(store::name(runtime, Architecture::X86_64));
        let digest = Digest::from_bytes([byte; 32]);
        fs::create_dir_all(&target).expect("a directory");
        fs::write(store::image_path(&target, &digest), "image").expect("an image");
        let metadata = Metadata {
            digest,
            image_bytes: 5,
            unpacked_bytes: 5,
            built_at: OffsetDateTime::UNIX_EPOCH,
            source: String::new(),
            differences: Vec::new(),
            command: None,
            environment: Vec::new(),
            has_tree: false,
            recipe: String::new(),
        };
        store::write_metadata(&target, &metadata).expect("metadata");
        digest
    }

    #[test]
    fn images_that_another_process_built_are_seen_at_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let images = open(directory.path(), Mode::Manual, Form::Image);
        let resolve = || images.resolve("python3.13", Architecture::X86_64).map(|image| image.digest);
        assert_eq!(resolve(), None);
        for byte in 1..4 {
            let digest = put(directory.path(), "python3.13", byte);
            assert_eq!(resolve(), Some(digest));
        }
        assert!(images.resolve("python3.13", Architecture::Arm64).is_none());
        assert!(images.resolve("../python3.13", Architecture::X86_64).is_none());
        put(directory.path(), "java21", 9);
        fs::create_dir(directory.path().join(".work-python3.11-x86_64")).expect("a directory");
        let names: Vec<_> = images.list().into_iter().map(|image| image.runtime).collect();
        assert_eq!(names, ["java21", "python3.13"]);
    }

    #[test]
    fn an_image_without_a_tree_does_not_serve_where_trees_are_needed() {
        let directory = tempfile::tempdir().expect("a directory");
        put(directory.path(), "python3.13", 1);
        let images = open(directory.path(), Mode::Manual, Form::Directory);
        assert!(images.resolve("python3.13", Architecture::X86_64).is_none());
    }

    #[tokio::test]
    async fn what_cannot_be_had_says_why() {
        let directory = tempfile::tempdir().expect("a directory");
        let images = open(directory.path(), Mode::OnDemand, Form::Image);
        for (runtime, expected) in [
            ("dotnet8", "cannot be built from Debian's packages"),
            ("python3.12", "cannot be built from Debian's packages"),
            ("cobol74", "there is no runtime cobol74"),
            ("python3.11", "`bojagi base-image build python3.11` makes it"),
        ] {
            if runtime != "python3.11" {
                images.prepare(runtime, Architecture::X86_64);
                let error = images
                    .build(runtime, Architecture::X86_64, BuildOptions::default(), |_| {})
                    .await
                    .expect_err(runtime);
                assert!(error.to_string().contains(expected), "{error}");
            }
            let availability = images.availability(runtime, Architecture::X86_64);
            let Availability::Missing { how } = availability else { panic!("{runtime}: {availability:?}") };
            assert!(how.contains(expected), "{how}");
        }
    }
}
