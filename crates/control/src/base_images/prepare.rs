//! Builds in this process: one per image, whoever asks; observable by whoever waits.

use std::sync::Arc;
use std::time::Duration;

use bojagi_model::Architecture;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::build::Build;
use super::registry::{BuildOptions, Key, locked};
use super::source::Sources;
use super::{BaseImage, BaseImages, BuildError, Mode};

/// A build that failed in the background is not tried again sooner.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Whether a base image can be used now, and if not, why not.
#[derive(Clone, Debug)]
pub enum Availability {
    /// It is there.
    Ready(Box<BaseImage>),
    /// It is not there and nobody is making it.
    Missing {
        /// A sentence, without a capital, that says how to get it, or why it cannot be had.
        how: String,
    },
    /// It is being made.
    Building {
        /// Since when.
        since: OffsetDateTime,
        /// What is being done.
        step: String,
    },
    /// It could not be made.
    Failed {
        /// When that was.
        at: OffsetDateTime,
        /// Why, in a sentence or more, without a capital. It names the runtime.
        reason: String,
    },
}

/// Where a build is.
#[derive(Clone)]
enum Phase {
    Running(String),
    Done(OffsetDateTime, Result<(), Arc<BuildError>>),
}

/// A build that goes on or has ended. It is cancelled when the last one who is interested in it is gone.
#[derive(Clone)]
pub(super) struct Flight {
    since: OffsetDateTime,
    phase: watch::Receiver<Phase>,
    /// Held by everybody who waits; the map of builds holds none.
    _interest: Option<Arc<DropGuard>>,
    weak: std::sync::Weak<DropGuard>,
}

impl Flight {
    /// Reports the steps and waits for the end.
    pub(super) async fn follow(&mut self, mut report: impl FnMut(String)) -> Result<(), Arc<BuildError>> {
        loop {
            let phase = self.phase.borrow_and_update().clone();
            match phase {
                Phase::Running(step) => report(step),
                Phase::Done(_, result) => return result,
            }
            if self.phase.changed().await.is_err() {
                // The task is gone without a word: the runtime is shutting down.
                return Err(Arc::new(BuildError::Cancelled));
            }
        }
    }

    fn is_running(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Running(_)) && self.phase.has_changed().is_ok()
    }
}

impl BaseImages {
    /// Joins the build of this image that is going on, or starts one.
    pub(super) fn start(&self, sources: Sources, force: bool) -> Flight {
        let key: Key = (sources.runtime.identifier.clone(), sources.architecture);
        let mut flights = locked(&self.inner.flights);
        if let Some(flight) = flights.get(&key).filter(|flight| flight.is_running())
            && let Some(interest) = flight.weak.upgrade()
        {
            return Flight { _interest: Some(interest), ..flight.clone() };
        }
        let cancelled = self.inner.shutdown.child_token();
        let interest = Arc::new(cancelled.clone().drop_guard());
        let (phases, phase) = watch::channel(Phase::Running("starting".to_owned()));
        let flight =
            Flight { since: OffsetDateTime::now_utc(), phase, _interest: None, weak: Arc::downgrade(&interest) };
        flights.insert(key, flight.clone());
        let settings = &self.inner.settings;
        let (directory, form) = (settings.directory.clone(), settings.form);
        let build = Build { sources, directory, form, force, unreachable: self.inner.unreachable.clone() };
        self.inner.tasks.spawn(run(build, cancelled, phases));
        Flight { _interest: Some(interest), ..flight }
    }

    /// Starts making a missing base image in the background (mode on-demand). Does nothing when it is there, is being made,
    /// cannot be made, failed within the last minute, or the mode is manual; an image that lacks only its other form gets that in
    /// either mode, since nothing is fetched for it. To be called within the async runtime.
    pub fn prepare(&self, runtime: &str, architecture: Architecture) {
        let allowed = self.inner.settings.mode == Mode::OnDemand || self.is_there_in_any_form(runtime, architecture);
        if !allowed || self.inner.shutdown.is_cancelled() {
            return;
        }
        match self.availability(runtime, architecture) {
            Availability::Ready(_) | Availability::Building { .. } => return,
            Availability::Failed { at, .. } if OffsetDateTime::now_utc() - at < RETRY_AFTER => return,
            Availability::Failed { .. } | Availability::Missing { .. } => {}
        }
        let Ok(sources) = self.sources(runtime, architecture, BuildOptions::default()) else { return };
        tracing::info!(runtime, %architecture, "preparing a base image in the background");
        let mut flight = self.start(sources, false);
        let (images, runtime) = (self.clone(), runtime.to_owned());
        self.inner.tasks.spawn(async move {
            match flight.follow(|_| {}).await {
                Ok(()) => {
                    let image = images.resolve(&runtime, architecture);
                    let source = image.map(|image| image.metadata.source).unwrap_or_default();
                    tracing::info!(runtime, %architecture, source, "the base image is ready");
                }
                Err(error) => tracing::error!(runtime, %architecture, error = describe(&error), "no base image"),
            }
        });
    }

    /// Whether a base image can be used now, and if not, why not. Cheap.
    pub fn availability(&self, runtime: &str, architecture: Architecture) -> Availability {
        if let Some(image) = self.resolve(runtime, architecture) {
            return Availability::Ready(Box::new(image));
        }
        let key = (runtime.to_owned(), architecture);
        let flight = locked(&self.inner.flights).get(&key).cloned();
        if let Some(flight) = flight {
            let phase = flight.phase.borrow().clone();
            match phase {
                Phase::Running(step) if flight.is_running() => {
                    return Availability::Building { since: flight.since, step };
                }
                Phase::Done(at, Err(error)) => return Availability::Failed { at, reason: describe(&error) },
                Phase::Running(_) | Phase::Done(_, Ok(())) => {}
            }
        }
        let how = match self.sources(runtime, architecture, BuildOptions::default()) {
            Err(error) => error.to_string(),
            Ok(_) => format!("the base image of {runtime} is not there; `bojagi base-image build {runtime}` makes it"),
        };
        Availability::Missing { how }
    }

    /// Waits while the image is being made; what comes after that. Returns at once when it is not.
    pub async fn settled(&self, runtime: &str, architecture: Architecture) -> Availability {
        let flight = locked(&self.inner.flights).get(&(runtime.to_owned(), architecture)).cloned();
        if let Some(mut flight) = flight
            && let Err(error) = flight.follow(|_| {}).await
        {
            tracing::debug!(runtime, %architecture, error = describe(&error), "a base image is not ready");
        }
        self.availability(runtime, architecture)
    }
}

async fn run(build: Build, cancelled: CancellationToken, phases: watch::Sender<Phase>) {
    let result = build.run(&cancelled, |step| drop(phases.send_replace(Phase::Running(step)))).await;
    phases.send_replace(Phase::Done(OffsetDateTime::now_utc(), result.map_err(Arc::new)));
}

/// An error with its causes, for a log line or a client.
fn describe(error: &BuildError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
