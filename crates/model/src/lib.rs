//! The domain of Bojagi: names, ARNs, digests, limits, functions, runtimes and the one error.
//!
//! What always holds here: no I/O, no clock, no knowledge of any wire format. A name that exists has been parsed
//! once by its only constructor; after that nobody checks it again.

pub mod account;
pub mod architecture;
pub mod digest;
pub mod error;
pub mod function;
pub mod identity;
pub mod limits;
pub mod names;
pub mod runtime;

pub use account::{AccountId, Region};
pub use architecture::Architecture;
pub use digest::Digest;
pub use error::{Error, ErrorKind, Result};
pub use function::{Function, FunctionConfiguration, ZipPackage};
pub use names::{FunctionArn, FunctionName, FunctionReference, Qualifier, Version};
