//! The control plane as one value, shared by every front door.

use std::sync::{Arc, Mutex, Weak};

use bojagi_engine::{CodeImageForm, Deployable, Engine};
use bojagi_model::limits::Limits;
use bojagi_store::logs::LogStore;
use bojagi_store::{Blobs, DataDirectory, Images, Keyring, Metadata};
use tokio::sync::{Notify, RwLock, Semaphore};

use crate::Clock;
use crate::base_images::BaseImages;
use crate::identity::KeyCache;
use crate::invoke::Resolved;
use crate::pins::Pins;

/// What a control plane is made of.
pub struct ControlConfig {
    /// The data directory, held for as long as the control plane lives.
    pub directory: Arc<DataDirectory>,
    /// Records.
    pub metadata: Arc<dyn Metadata>,
    /// Archives.
    pub blobs: Arc<dyn Blobs>,
    /// Code images of this machine.
    pub images: Images,
    /// Log segments of this machine; emptied by a reset.
    pub logs: Arc<LogStore>,
    /// Seals session tokens.
    pub keyring: Arc<Keyring>,
    /// Runs what is resolved here.
    pub engine: Arc<Engine>,
    /// Operating systems and language runtimes.
    pub base_images: BaseImages,
    /// The limits in force.
    pub limits: Limits,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// How code images are made visible.
    pub code_images: CodeImageForm,
    /// Whether the keys that everybody knows (`test`) are accepted, and a reset is possible. Loopback only.
    pub development_keys: bool,
    /// How many archives are ingested at once; each uses all cores and memory of its own.
    pub concurrent_ingestions: usize,
}

/// The control plane. Held in an `Arc`; every operation is a method, in the file of its resource.
pub struct Control {
    pub(crate) config: ControlConfig,
    /// Digests that an operation under way relies on, which no collection may delete.
    pub(crate) pins: Arc<Pins>,
    /// Versions ready to run.
    pub(crate) resolved: Resolved,
    /// What was handed to the engine and may still be used by it.
    pub(crate) handed_out: Mutex<Vec<Weak<Deployable>>>,
    /// Access keys looked up before.
    pub(crate) keys: KeyCache,
    /// Bounds ingestion.
    pub(crate) ingestions: Semaphore,
    /// Shared by whoever stores content and then names it in a record, exclusive for a reset.
    pub(crate) content: RwLock<()>,
    /// There is a version in transition.
    pub(crate) transition: Notify,
    /// There may be orphans.
    pub(crate) orphans: Notify,
    /// There is trash to empty.
    pub(crate) trash: Notify,
    /// A base image was made anew.
    pub(crate) rebased: Notify,
    /// Held by the one collection of orphans at a time.
    pub(crate) collecting: tokio::sync::Mutex<()>,
}

impl Control {
    /// A control plane over these stores and this engine. [`crate::reconcile`] must run beside it.
    pub fn new(config: ControlConfig) -> Arc<Control> {
        let ingestions = Semaphore::new(config.concurrent_ingestions.max(1));
        Arc::new(Control {
            config,
            pins: Arc::default(),
            resolved: Resolved::default(),
            handed_out: Mutex::default(),
            keys: KeyCache::default(),
            ingestions,
            content: RwLock::new(()),
            transition: Notify::new(),
            orphans: Notify::new(),
            trash: Notify::new(),
            rebased: Notify::new(),
            collecting: tokio::sync::Mutex::new(()),
        })
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// The engine that invocations go to.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.config.engine
    }

    /// The base images of this machine.
    pub fn base_images(&self) -> &BaseImages {
        &self.config.base_images
    }
}
