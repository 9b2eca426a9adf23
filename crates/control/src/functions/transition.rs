//! `Pending` to `Active`, `InProgress` to `Successful`: what every change of a function goes through.
//!
//! A change is one write that says what is to be and that it is under way; the background takes it to its end with another. Both compare the
//! revision id, so that of two changes made from one state the second fails. After a crash between the two the background finds the
//! version in transition and ends it.

use bojagi_model::function::{LastUpdateStatus, State};
use bojagi_model::{Error, ErrorKind, Function, FunctionArn, Result, Version};
use bojagi_store::StoreError;
use uuid::Uuid;

use super::{being_created, target};
use crate::Control;

/// How many versions one pass takes to their end.
const BATCH: u32 = 100;

/// AWS's refusal of a change to a function that is not ready for one.
pub(crate) fn refuse_if_busy(function: &Function) -> Result<()> {
    let conflict = |message: String| {
        let message = format!("The operation cannot be performed at this time. {message}");
        Err(Error::new(ErrorKind::ResourceConflict, message))
    };
    match (function.state, function.last_update_status) {
        (State::Pending | State::Failed, _) => {
            conflict(format!("The function is currently in the following state: {:?}", function.state))
        }
        (_, LastUpdateStatus::InProgress) => {
            conflict(format!("An update is in progress for resource: {}", function.arn))
        }
        _ => Ok(()),
    }
}

impl Control {
    /// `$LATEST`, if it can be updated now.
    ///
    /// # Errors
    /// No such function; another revision id; an update under way.
    pub(super) async fn latest_to_update(&self, arn: &FunctionArn, revision_id: Option<&str>) -> Result<Function> {
        let latest = self.config.metadata.function(arn, Version::Latest).await?;
        let latest = latest.ok_or_else(|| target::not_found(arn, None))?;
        if revision_id.is_some_and(|expected| expected != latest.revision_id.to_string()) {
            return Err(Error::new(
                ErrorKind::PreconditionFailed,
                "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve \
                 the latest Revision Id",
            ));
        }
        refuse_if_busy(&latest)?;
        Ok(latest)
    }

    /// Writes an update of `$LATEST`, whose revision id is still that of the state it was made from.
    ///
    /// # Errors
    /// Another update came first.
    pub(super) async fn commit_update(&self, mut updated: Function, publish: bool) -> Result<Function> {
        let expected = std::mem::replace(&mut updated.revision_id, Uuid::new_v4());
        updated.last_modified = self.config.clock.now();
        updated.last_update_status = LastUpdateStatus::InProgress;
        updated.last_update_status_reason = Some(being_created());
        match self.config.metadata.update_function(&updated, expected, publish).await {
            Ok(published) => {
                self.transition.notify_one();
                Ok(published.unwrap_or(updated))
            }
            Err(StoreError::Changed) => Err(self.lost_race(&updated.arn).await?),
            Err(error) => Err(error.into()),
        }
    }

    /// Why an update did not find the state it was made from.
    async fn lost_race(&self, arn: &FunctionArn) -> Result<Error> {
        Ok(match self.config.metadata.function(arn, Version::Latest).await? {
            None => target::not_found(arn, None),
            Some(_) => Error::new(
                ErrorKind::ResourceConflict,
                format!("The operation cannot be performed at this time. An update is in progress for resource: {arn}"),
            ),
        })
    }

    /// Takes every version in transition to its end.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn finish_transitions(&self) -> Result<()> {
        loop {
            let versions = self.config.metadata.functions_in_transition(BATCH).await?;
            let (count, mut ended) = (versions.len(), 0);
            for version in versions {
                ended += usize::from(self.finish_transition(version).await?);
            }
            // Nothing ended means that all were changed by others, who will wake this again.
            if count < BATCH as usize || ended == 0 {
                return Ok(());
            }
        }
    }

    async fn finish_transition(&self, mut function: Function) -> Result<bool> {
        let expected = std::mem::replace(&mut function.revision_id, Uuid::new_v4());
        function.state = State::Active;
        function.state_reason = None;
        function.last_update_status = LastUpdateStatus::Successful;
        function.last_update_status_reason = None;
        let noted = self.resolved.withdrawals();
        match self.config.metadata.update_function(&function, expected, false).await {
            Ok(_) => {
                self.withdraw(&function.arn, function.version, Some(function.revision_id));
                tracing::debug!(function = %function.arn, version = %function.version, "function is active");
                // The withdrawal just made is the only one that may have come between.
                self.resolve_ahead(function, noted + 1).await;
                Ok(true)
            }
            Err(StoreError::Changed) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
