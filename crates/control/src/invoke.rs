//! From a name and a qualifier to what the engine runs, from memory.
//!
//! A version is resolved once: record, code image, base image, command. After that an invocation makes no store call, until a change
//! withdraws the version. An update under way does not: what was before serves until the update is `Successful`.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bojagi_engine::{CodeImage, CodeImageForm, Deployable, Invocation, Mount, Outcome};
use bojagi_model::function::State;
use bojagi_model::runtime::{self, Runtime};
use bojagi_model::{Digest, Error, ErrorKind, Function, FunctionArn, Result, Version};

use bojagi_package::erofs::reader::Image;
use bojagi_package::error::ImageError;
use bytes::Bytes;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::base_images::{Availability, BaseImage, Form};
use crate::functions::{Target, target, transition};
use crate::{Caller, Control};

/// How long an invocation waits for a base image that is being made, before it says so. Well below the 60 seconds after which AWS's
/// clients give up.
const BASE_IMAGE_WAIT: Duration = Duration::from_secs(20);

/// `Invoke` with `InvocationType=RequestResponse`.
#[derive(Clone, Debug)]
pub struct Invoke {
    /// `FunctionName` and `Qualifier`.
    pub target: Target,
    /// The event.
    pub payload: Bytes,
    /// `X-Amz-Client-Context`, decoded to JSON text.
    pub client_context: Option<String>,
    /// `X-Amzn-Trace-Id`.
    pub trace_id: Option<String>,
    /// `LogType=Tail`.
    pub log_tail: bool,
}

/// Versions that are ready to run.
#[derive(Default)]
pub(crate) struct Resolved {
    versions: RwLock<HashMap<(FunctionArn, Version), Arc<Deployable>>>,
    /// Counts withdrawals. Who resolves notes it before reading the record and keeps nothing when it has moved on: the record may have
    /// changed after it was read.
    withdrawals: Mutex<u64>,
}

impl Resolved {
    fn get(&self, key: &(FunctionArn, Version)) -> Option<Arc<Deployable>> {
        self.versions.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// How many withdrawals there have been.
    pub(crate) fn withdrawals(&self) -> u64 {
        *self.withdrawals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, key: (FunctionArn, Version), deployable: &Arc<Deployable>, noted: u64) {
        let withdrawals = self.withdrawals.lock().unwrap_or_else(PoisonError::into_inner);
        if *withdrawals == noted {
            self.versions.write().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(deployable));
        }
    }

    fn remove(&self, remove: impl Fn(&(FunctionArn, Version), &Deployable) -> bool) -> Vec<(FunctionArn, Version)> {
        let mut withdrawals = self.withdrawals.lock().unwrap_or_else(PoisonError::into_inner);
        *withdrawals += 1;
        let mut versions = self.versions.write().unwrap_or_else(PoisonError::into_inner);
        versions.extract_if(|key, deployable| remove(key, deployable)).map(|(key, _)| key).collect()
    }
}

impl Control {
    /// Finds what the target names, ready to run. No store call when it was found before and has not changed since.
    ///
    /// # Errors
    /// No such function; it is not ready (409); its base image is not there.
    pub async fn resolve(&self, caller: &Caller, target: &Target) -> Result<Arc<Deployable>> {
        let (arn, qualifier) = target.locate(caller, "InvokeFunction")?;
        let version = target::version_of(&arn, qualifier.as_ref())?;
        let key = (arn, version);
        if let Some(deployable) = self.resolved.get(&key) {
            return Ok(deployable);
        }
        let noted = self.resolved.withdrawals();
        let found = self.config.metadata.function(&key.0, version).await?;
        let function = found.ok_or_else(|| target::not_found(&key.0, qualifier.as_ref()))?;
        if matches!(function.state, State::Pending | State::Failed) {
            transition::refuse_if_busy(&function)?;
        }
        let deployable = Arc::new(self.deployable(function).await?);
        self.hand_out(key, &deployable, noted);
        Ok(deployable)
    }

    /// Resolves a version that has just become ready, whose record was written when there had been `noted` withdrawals: its first
    /// invocation, which has a start to wait for, then needs no store call either. Only where that takes no waiting; otherwise, and when
    /// it fails, the first invocation does it and hears why.
    pub(crate) async fn resolve_ahead(&self, function: Function, noted: u64) {
        let base = self.config.base_images.resolve(&function.configuration.runtime, function.architecture);
        if base.is_none() || self.config.code_images == CodeImageForm::Directory {
            return;
        }
        let key = (function.arn.clone(), function.version);
        match self.deployable(function).await {
            Ok(deployable) => self.hand_out(key, &Arc::new(deployable), noted),
            Err(error) => {
                tracing::debug!(function = %key.0, error = &error as &dyn std::error::Error, "not resolved ahead");
            }
        }
    }

    fn hand_out(&self, key: (FunctionArn, Version), deployable: &Arc<Deployable>, noted: u64) {
        self.handed_out.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(deployable));
        self.resolved.keep(key, deployable, noted);
    }

    /// `InvocationType=DryRun`: whether the caller could invoke it.
    ///
    /// # Errors
    /// No such function.
    pub async fn invoke_dry_run(&self, caller: &Caller, target: &Target) -> Result<()> {
        self.find(caller, target, "InvokeFunction").await.map(drop)
    }

    /// Runs it and waits for the answer.
    ///
    /// # Errors
    /// Those of [`Control::resolve`], and the engine's when it cannot be run. A failure in the function is an outcome.
    pub async fn invoke(&self, caller: &Caller, command: Invoke) -> Result<Outcome> {
        let deployable = self.resolve(caller, &command.target).await?;
        let arn = &deployable.function.arn;
        let qualifier = command.target.qualifier.as_ref().or(command.target.function.qualifier.as_ref());
        let invocation = Invocation {
            request_id: caller.request_id,
            payload: command.payload,
            client_context: command.client_context,
            trace_id: command.trace_id,
            invoked_function_arn: qualifier.map_or_else(|| arn.to_string(), |qualifier| arn.qualified(qualifier)),
            log_tail: command.log_tail,
        };
        self.config.engine.invoke(deployable, invocation).await
    }

    /// Makes the next invocation of a version read its record again, and ends environments of other revisions than `keep`.
    pub(crate) fn withdraw(&self, arn: &FunctionArn, version: Version, keep: Option<Uuid>) {
        self.resolved.remove(|key, _| key.1 == version && key.0 == *arn);
        self.config.engine.retire(arn, version, keep);
    }

    /// The same for every version of everybody.
    pub(crate) fn withdraw_all(&self) {
        for (arn, version) in self.resolved.remove(|_, _| true) {
            self.config.engine.retire(&arn, version, None);
        }
    }

    /// Drops resolved versions whose base image was made anew since.
    pub(crate) fn drop_outdated_bases(&self) {
        self.resolved.remove(|_, deployable| {
            let function = &deployable.function;
            let base = self.config.base_images.resolve(&function.configuration.runtime, function.architecture);
            let digest = base.map(|base| base.digest.to_string());
            deployable.root.first().map(|image| &image.digest) != digest.as_ref()
        });
    }

    /// Digests of code images that the engine uses, or may be about to.
    pub(crate) fn images_in_use(&self) -> Vec<Digest> {
        let mut handed_out = self.handed_out.lock().unwrap_or_else(PoisonError::into_inner);
        handed_out.retain(|deployable| deployable.strong_count() > 0);
        let handed: Vec<Digest> =
            handed_out.iter().filter_map(|deployable| Some(deployable.upgrade()?.function.package.image)).collect();
        let running = self.config.engine.in_use();
        handed.into_iter().chain(running.iter().filter_map(|digest| digest.parse().ok())).collect()
    }

    async fn deployable(&self, function: Function) -> Result<Deployable> {
        let identifier = &function.configuration.runtime;
        let unknown = || Error::new(ErrorKind::InvalidRuntime, format!("The runtime {identifier} is not known."));
        let runtime = runtime::find(identifier).ok_or_else(unknown)?;
        let base = self.base_image(&function).await?;
        let root = vec![CodeImage {
            digest: base.digest.to_string(),
            form: match base.form {
                Form::Directory => CodeImageForm::Directory,
                Form::Image => self.config.code_images,
            },
            path: base.path,
        }];
        let mounts = vec![Mount { at: PathBuf::from("/var/task"), images: vec![self.code_image(&function).await?] }];
        let catalogued = runtime.environment.iter().map(|(name, value)| (name.clone(), value.clone()));
        // The image knows better than the catalogue, which speaks of images made here.
        let runtime_environment = catalogued.chain(base.metadata.environment).collect();
        let command = match base.metadata.command {
            Some(command) => command,
            None => command(runtime, &mounts[0].images[0]).map_err(Error::service)?,
        };
        Ok(Deployable { command, function, root, mounts, runtime_environment })
    }

    async fn code_image(&self, function: &Function) -> Result<CodeImage> {
        let image = function.package.image;
        let form = self.config.code_images;
        let path = if form == CodeImageForm::Directory {
            self.ensure_tree(&function.package).await?;
            self.config.images.tree_path(image)
        } else {
            self.config.images.path(image)
        };
        Ok(CodeImage { digest: image.to_string(), path, form })
    }

    /// The function's base image. Where it is being made, waits a little; where nobody makes it, starts that if it may.
    async fn base_image(&self, function: &Function) -> Result<BaseImage> {
        let (identifier, architecture) = (function.configuration.runtime.as_str(), function.architecture);
        let images = &self.config.base_images;
        // First, for a base image that cannot run here is no cure.
        bojagi_engine::check_architecture(architecture)?;
        if let Some(base) = images.resolve(identifier, architecture) {
            return Ok(base);
        }
        images.prepare(identifier, architecture);
        let settled = tokio::time::timeout(BASE_IMAGE_WAIT, images.settled(identifier, architecture)).await;
        let availability = settled.unwrap_or_else(|_| images.availability(identifier, architecture));
        let reason = match availability {
            Availability::Ready(base) => return Ok(*base),
            Availability::Building { since, step } => {
                let seconds = (OffsetDateTime::now_utc() - since).whole_seconds().max(0);
                let message = format!("The base image of {identifier} is being made for {seconds} s now ({step}).");
                return Err(Error::new(ErrorKind::ResourceNotReady, message));
            }
            Availability::Missing { how: reason } | Availability::Failed { reason, .. } => reason,
        };
        // Lambda's InvalidRuntimeException would say it, but is a 502 in AWS's model, and AWS's clients repeat a 502 for seconds before
        // they show it. Repeating does not help here: somebody has to do something. A 400 is shown at once, and this one is
        // modelled for Invoke, too.
        Err(Error::new(ErrorKind::InvalidParameterValue, format!("The function cannot run: {reason}")))
    }
}

/// What is started: the runtime's own command, or a `provided` runtime's `bootstrap`, which is the package's own. Lambda looks in the
/// deployment package first and in layers then, and there are no layers yet. Nothing where there is no `bootstrap`: the engine
/// reports that as AWS does.
fn command(runtime: &Runtime, code: &CodeImage) -> Result<Vec<String>, ImageError> {
    if !runtime.is_provided() {
        return Ok(runtime.command.clone());
    }
    let is_there = match code.form {
        CodeImageForm::Directory => std::fs::symlink_metadata(code.path.join("bootstrap")).is_ok(),
        CodeImageForm::File | CodeImageForm::Loop => {
            let image = Image::open(File::open(&code.path)?)?;
            match image.lookup_no_follow(b"bootstrap") {
                Ok(_) => true,
                Err(ImageError::NotFound) => false,
                Err(error) => return Err(error),
            }
        }
    };
    Ok(if is_there { vec!["/var/task/bootstrap".to_owned()] } else { Vec::new() })
}
