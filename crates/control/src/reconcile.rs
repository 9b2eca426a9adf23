//! Background work: what a crash left unfinished, what a request left for later. Each pass takes no input, may be repeated, and is woken by
//! a signal or a timer.
//!
//! | pass | woken by | does |
//! | --- | --- | --- |
//! | transitions | every change of a function | takes `Pending` and `InProgress` to their end |
//! | orphans | deletions, updates, lost races | deletes archives and code images that nothing names or runs |
//! | trash | reset | deletes what was moved away |
//! | base images | timer | drops resolved versions whose base image was made anew |

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bojagi_model::{Digest, Error, Result};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Control;

const TRANSITIONS_EVERY: Duration = Duration::from_secs(5);
const ORPHANS_EVERY: Duration = Duration::from_secs(600);
const TRASH_EVERY: Duration = Duration::from_secs(3_600);
const BASE_IMAGES_EVERY: Duration = Duration::from_secs(30);

impl Control {
    /// Starts the background work on the tracker; it ends when the token is cancelled.
    pub fn start(self: &Arc<Self>, tracker: &TaskTracker, shutdown: &CancellationToken) {
        let control = Arc::clone(self);
        tracker.spawn(repeat(
            shutdown.clone(),
            "transitions",
            TRANSITIONS_EVERY,
            control,
            |c| &c.transition,
            |c| Box::pin(async move { c.finish_transitions().await }),
        ));
        let control = Arc::clone(self);
        tracker.spawn(repeat(
            shutdown.clone(),
            "orphans",
            ORPHANS_EVERY,
            control,
            |c| &c.orphans,
            |c| Box::pin(async move { c.collect_orphans().await.map(drop) }),
        ));
        let control = Arc::clone(self);
        tracker.spawn(repeat(
            shutdown.clone(),
            "trash",
            TRASH_EVERY,
            control,
            |c| &c.trash,
            |c| Box::pin(async move { c.empty_trash().await }),
        ));
        let control = Arc::clone(self);
        tracker.spawn(repeat(
            shutdown.clone(),
            "base images",
            BASE_IMAGES_EVERY,
            control,
            |c| &c.rebased,
            |c| {
                Box::pin(async move {
                    c.drop_outdated_bases();
                    Ok(())
                })
            },
        ));
    }

    /// Deletes archives and code images that no record names, no operation relies on and no environment uses. Returns how many.
    ///
    /// # Errors
    /// A store's.
    pub async fn collect_orphans(&self) -> Result<usize> {
        let _one_at_a_time = self.collecting.lock().await;
        let collection = self.pins.collect();
        let mut used = self.config.metadata.referenced_digests().await?;
        used.extend(self.images_in_use());
        let (blobs, images) = (&self.config.blobs, self.config.images.clone());
        let archives: HashSet<Digest> = blobs.list().await?.into_iter().collect();
        let listed = images.clone();
        let images_there = spawn_blocking(move || listed.list()).await.map_err(Error::service)??;
        let images_there: HashSet<Digest> = images_there.into_iter().collect();
        let there: HashSet<Digest> = images_there.union(&archives).copied().collect();
        let mut deleted = 0;
        for digest in there.difference(&used).copied() {
            let Some(_condemned) = collection.condemn(digest) else { continue };
            if archives.contains(&digest) {
                blobs.delete(digest).await?;
            }
            let images = images.clone();
            if images_there.contains(&digest) {
                self.config.engine.forget(vec![digest.to_string()]).await;
            }
            spawn_blocking(move || images.delete(digest)).await.map_err(Error::service)??;
            deleted += 1;
        }
        if deleted > 0 {
            tracing::debug!(deleted, "archives and code images that nothing named are gone");
        }
        Ok(deleted)
    }

    async fn empty_trash(&self) -> Result<()> {
        let directory = Arc::clone(&self.config.directory);
        Ok(spawn_blocking(move || directory.empty_trash()).await.map_err(Error::service)??)
    }
}

type Pass<'a> = futures_util::future::BoxFuture<'a, Result<()>>;

/// One pass now, then one for each signal and at least one in each interval. A pass that fails is logged and comes again.
async fn repeat(
    shutdown: CancellationToken,
    name: &'static str,
    interval: Duration,
    control: Arc<Control>,
    signal: fn(&Control) -> &Notify,
    pass: for<'a> fn(&'a Control) -> Pass<'a>,
) {
    loop {
        let done = tokio::select! {
            () = shutdown.cancelled() => return,
            done = pass(&control) => done,
        };
        if let Err(error) = done {
            tracing::error!(pass = name, error = &error as &dyn std::error::Error, "a background pass failed");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = signal(&control).notified() => {}
            () = tokio::time::sleep(interval) => {}
        }
    }
}
