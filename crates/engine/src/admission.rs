//! Who may run: account concurrency, and the machine's memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bojagi_model::error::ThrottleReason;
use bojagi_model::{AccountId, Error, ErrorKind, FunctionArn, Region};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// AWS's answer when concurrency is used up.
pub fn throttled() -> Error {
    Error::new(ErrorKind::TooManyRequests(ThrottleReason::ConcurrentInvocationLimitExceeded), "Rate Exceeded.")
}

/// Concurrent executions of each account and region.
#[derive(Default)]
pub struct Concurrency {
    accounts: Mutex<HashMap<AccountId, HashMap<Region, Arc<AtomicUsize>>>>,
}

/// One concurrent execution, until dropped.
#[derive(Debug)]
pub struct Execution(Arc<AtomicUsize>);

impl Drop for Execution {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Concurrency {
    /// Begins an execution.
    ///
    /// # Errors
    /// `TooManyRequests` when the account has `limit` of them in its region.
    pub fn enter(&self, arn: &FunctionArn, limit: u32) -> Result<Execution, Error> {
        let counter = {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            let regions = accounts.entry(arn.account).or_default();
            match regions.get(&arn.region) {
                Some(counter) => Arc::clone(counter),
                None => Arc::clone(regions.entry(arn.region.clone()).or_default()),
            }
        };
        let before = counter.fetch_add(1, Ordering::AcqRel);
        let execution = Execution(counter);
        if before < limit as usize { Ok(execution) } else { Err(throttled()) }
    }
}

/// The machine's memory, in MiB of `MemorySize`. Whoever waits is served in order.
pub struct Memory {
    total_mib: u32,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Somebody waits for memory, until dropped.
pub struct WaitingForMemory<'a>(&'a AtomicUsize);

impl Drop for WaitingForMemory<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Memory {
    /// All of it free.
    pub fn new(budget_bytes: u64) -> Memory {
        let total_mib = u32::try_from(budget_bytes >> 20).unwrap_or(u32::MAX);
        Memory { total_mib, free: Arc::new(Semaphore::new(total_mib as usize)), waiting: AtomicUsize::new(0) }
    }

    /// Whether this much can ever be had.
    ///
    /// # Errors
    /// `Service`, saying how much there is.
    pub fn check(&self, memory_mib: u32) -> Result<(), Error> {
        if memory_mib <= self.total_mib {
            return Ok(());
        }
        let message = format!(
            "The function's MemorySize is {memory_mib} MB and this machine gives {} MB to all functions together.",
            self.total_mib
        );
        Err(Error::new(ErrorKind::Service, message))
    }

    /// What is in use, in bytes.
    pub fn used_bytes(&self) -> u64 {
        (u64::from(self.total_mib) - self.free.available_permits() as u64) << 20
    }

    /// What must be freed before this much can be had, in MiB.
    pub fn shortage_mib(&self, memory_mib: u32) -> u64 {
        u64::from(memory_mib).saturating_sub(self.free.available_permits() as u64)
    }

    /// Takes memory if it is there and nobody waits for it.
    pub fn try_take(&self, memory_mib: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_many_owned(memory_mib).ok()
    }

    /// Waits for memory, in order. Never None while the engine lives.
    pub async fn take(&self, memory_mib: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_many_owned(memory_mib).await.ok()
    }

    /// Marks that somebody waits, so that environments that become idle make room.
    pub fn wait(&self) -> WaitingForMemory<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        WaitingForMemory(&self.waiting)
    }

    /// Whether somebody waits.
    pub fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::fixtures::arn;

    #[test]
    fn an_account_has_its_limit_and_gets_places_back() {
        let concurrency = Concurrency::default();
        let function = arn("f");
        let first = concurrency.enter(&function, 2).unwrap();
        let _second = concurrency.enter(&function, 2).unwrap();
        let refused = concurrency.enter(&function, 2).unwrap_err();
        assert_eq!(refused.message(), "Rate Exceeded.");
        let mut elsewhere = arn("f");
        elsewhere.region = "eu-west-1".parse().unwrap();
        drop(concurrency.enter(&elsewhere, 2).unwrap());
        drop(first);
        drop(concurrency.enter(&function, 2).unwrap());
    }

    #[test]
    fn memory_is_counted() {
        let memory = Memory::new(256 << 20);
        assert!(memory.check(257).unwrap_err().message().contains("256 MB"));
        let taken = memory.try_take(200).unwrap();
        assert!(memory.try_take(100).is_none());
        assert_eq!((memory.shortage_mib(100), memory.used_bytes()), (44, 200 << 20));
        drop(taken);
        assert!(memory.try_take(256).is_some());
    }
}
