//! Content in use by an operation that has not written its record yet.
//!
//! Collecting orphans compares what is stored with what records name. Between storing content and naming it lies a moment in which it
//! looks like an orphan. An operation pins the digest before it stores or reuses the content, and unpins it after its record is
//! committed. A collection spares what is pinned *or was unpinned since the collection began*: such a one may be named by a record that
//! the collection has not seen. What it does not spare is condemned while it is being deleted; who wants to pin it then waits.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bojagi_model::Digest;
use tokio::sync::Notify;

/// The digests that are pinned now.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    state: Mutex<State>,
    deleted: Notify,
}

#[derive(Debug, Default)]
struct State {
    pinned: HashMap<Digest, usize>,
    /// Unpinned since the collection under way began; none when there is none.
    released: Option<HashSet<Digest>>,
    /// Being deleted.
    condemned: HashSet<Digest>,
}

/// Keeps a digest from being collected.
#[derive(Debug)]
pub(crate) struct Pin {
    pins: Arc<Pins>,
    digest: Digest,
}

/// A collection under way.
pub(crate) struct Collection<'a> {
    pins: &'a Pins,
}

/// A digest that nobody relies on and nobody can begin to rely on while this lives.
pub(crate) struct Condemned<'a> {
    pins: &'a Pins,
    digest: Digest,
}

impl Pins {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pins a digest; waits while it is being deleted.
    pub(crate) async fn pin(self: &Arc<Self>, digest: Digest) -> Pin {
        loop {
            let deleted = self.deleted.notified();
            if let Some(pin) = self.try_pin(digest) {
                return pin;
            }
            deleted.await;
        }
    }

    fn try_pin(self: &Arc<Self>, digest: Digest) -> Option<Pin> {
        let mut state = self.state();
        if state.condemned.contains(&digest) {
            return None;
        }
        *state.pinned.entry(digest).or_default() += 1;
        Some(Pin { pins: Arc::clone(self), digest })
    }

    /// Begins a collection, before it reads the records. There is one at a time.
    pub(crate) fn collect(&self) -> Collection<'_> {
        self.state().released = Some(HashSet::new());
        Collection { pins: self }
    }
}

impl Collection<'_> {
    /// Condemns a digest, unless somebody relies on it.
    pub(crate) fn condemn(&self, digest: Digest) -> Option<Condemned<'_>> {
        let mut state = self.pins.state();
        let released = state.released.as_ref().is_some_and(|released| released.contains(&digest));
        if released || state.pinned.contains_key(&digest) || !state.condemned.insert(digest) {
            return None;
        }
        Some(Condemned { pins: self.pins, digest })
    }
}

impl Drop for Condemned<'_> {
    fn drop(&mut self) {
        self.pins.state().condemned.remove(&self.digest);
        self.pins.deleted.notify_waiters();
    }
}

impl Drop for Collection<'_> {
    fn drop(&mut self) {
        self.pins.state().released = None;
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.pins.state();
        if let Some(count) = state.pinned.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                state.pinned.remove(&self.digest);
            }
        }
        if let Some(released) = &mut state.released {
            released.insert(self.digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_was_pinned_during_a_collection_survives_it() {
        let pins = Arc::new(Pins::default());
        let [pinned, released, orphan] = [1, 2, 3].map(|byte| Digest::from_bytes([byte; 32]));
        let first = pins.pin(pinned).await;
        let second = pins.pin(pinned).await;
        let short = pins.pin(released).await;
        let collection = pins.collect();
        drop(short);
        drop(first);
        assert_eq!([pinned, released].map(|digest| collection.condemn(digest).is_some()), [false, false]);
        let condemned = collection.condemn(orphan).unwrap();
        let waiting = pins.pin(orphan);
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none(), "what is being deleted cannot be relied on");
        drop(condemned);
        let late = waiting.await;
        assert!(collection.condemn(orphan).is_none());
        drop((late, collection, second));
        let collection = pins.collect();
        assert_eq!([pinned, released].map(|digest| collection.condemn(digest).is_some()), [true, true]);
    }
}
