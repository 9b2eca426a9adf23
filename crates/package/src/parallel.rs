//! The same work on several threads, all of which are gone when it is done.

use std::sync::{Mutex, MutexGuard};

/// More threads than this gain nothing: by then the memory's or the disk's bandwidth is the limit.
const WORKERS: usize = 16;

/// How many threads may work on one package.
pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS)
}

/// Runs `work` on this thread and on `threads - 1` others, until all have returned. A panic is passed on.
pub(crate) fn run(threads: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(&work)).collect();
        work();
        // A scope waits for the closures; joining waits for the threads, with what they keep for themselves.
        for other in others {
            other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

/// Locks what no panic leaves half-changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
