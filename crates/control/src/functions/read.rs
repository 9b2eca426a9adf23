//! `GetFunction`, `GetFunctionConfiguration`, `ListFunctions`.

use bojagi_model::{AccountId, Digest, Error, Function, Result};
use bojagi_store::blobs::Blob;

use super::{FunctionDetails, FunctionsPage, ListFunctions, Target};
use crate::{Caller, Control};

impl Control {
    /// `GetFunction`.
    ///
    /// # Errors
    /// No such function or version.
    pub async fn get_function(&self, _caller: &Caller, _target: Target) -> Result<FunctionDetails> {
        Err(Error::service("not there yet"))
    }

    /// `GetFunctionConfiguration`.
    ///
    /// # Errors
    /// No such function or version.
    pub async fn get_function_configuration(&self, _caller: &Caller, _target: Target) -> Result<Function> {
        Err(Error::service("not there yet"))
    }

    /// `ListFunctions`.
    ///
    /// # Errors
    /// The marker is not one of ours.
    pub async fn list_functions(&self, _caller: &Caller, _command: ListFunctions) -> Result<FunctionsPage> {
        Err(Error::service("not there yet"))
    }

    /// The bytes behind `Code.Location`: the archive, when a function of that account still has it.
    ///
    /// # Errors
    /// No function of the account has this archive.
    pub async fn open_archive(&self, _account: AccountId, _archive: Digest) -> Result<Blob> {
        Err(Error::service("not there yet"))
    }
}
