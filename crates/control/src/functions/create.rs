//! `CreateFunction`.

use bojagi_model::function::{LastUpdateStatus, State};
use bojagi_model::{Architecture, Error, ErrorKind, Function, FunctionArn, FunctionConfiguration, Result, Version};
use bojagi_store::StoreError;
use bytes::Bytes;
use uuid::Uuid;

use super::{CodeSource, CreateFunction, PackageType, configuration, target};
use crate::tags::check_tags;
use crate::{Caller, Control};

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidParameterValue, message)
}

impl Control {
    /// Makes a function; it answers `Pending` and becomes `Active` in the background.
    ///
    /// # Errors
    /// AWS's for every case: the name is taken, the runtime is not accepted, the archive is bad, …
    pub async fn create_function(&self, caller: &Caller, command: CreateFunction) -> Result<Function> {
        let arn = target::locate_latest(caller, &command.function, "CreateFunction")?;
        check_package_type(command.package_type.unwrap_or_default(), &command.code)?;
        let architecture = architecture(&command.architectures)?.unwrap_or_default();
        let configuration = self.new_configuration(&arn, command.configuration)?;
        check_tags(&command.tags)?;
        let archive = archive(command.code)?;
        let exists = || Error::new(ErrorKind::ResourceConflict, format!("Function already exist: {}", arn.name));
        if self.config.metadata.function(&arn, Version::Latest).await?.is_some() {
            return Err(exists());
        }

        let _content = self.content.read().await;
        let stored = self.ingest(caller, archive).await?;
        let latest = Function {
            arn: arn.clone(),
            version: Version::Latest,
            revision_id: Uuid::new_v4(),
            last_modified: self.config.clock.now(),
            configuration,
            package: stored.package.clone(),
            architecture,
            state: State::Pending,
            state_reason: Some(super::being_created()),
            last_update_status: LastUpdateStatus::Successful,
            last_update_status_reason: None,
        };
        match self.config.metadata.create_function(&latest, command.publish, &command.tags).await {
            Ok(published) => {
                self.transition.notify_one();
                self.config.base_images.prepare(&latest.configuration.runtime, architecture);
                Ok(published.unwrap_or(latest))
            }
            Err(StoreError::Exists) => {
                self.orphans.notify_one();
                Err(exists())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn new_configuration(
        &self,
        arn: &FunctionArn,
        request: super::ConfigurationRequest,
    ) -> Result<FunctionConfiguration> {
        if request.runtime.is_none() || request.handler.is_none() {
            let message =
                "Runtime and Handler are mandatory parameters for functions created with deployment packages.";
            return Err(invalid(message));
        }
        let mut made = configuration::defaults(arn);
        configuration::apply(&mut made, request, arn, &self.config.limits)?;
        Ok(made)
    }
}

fn check_package_type(package_type: PackageType, code: &CodeSource) -> Result<()> {
    match (package_type, &code.image_uri) {
        (PackageType::Zip, None) => Ok(()),
        (PackageType::Zip, Some(_)) => {
            Err(invalid("Please don't provide ImageUri when creating a function with packageType Zip."))
        }
        (PackageType::Image, None) => {
            Err(invalid("Please provide ImageUri when creating a function with packageType Image."))
        }
        (PackageType::Image, Some(_)) => Err(image_not_supported()),
    }
}

fn image_not_supported() -> Error {
    Error::new(
        ErrorKind::NotSupported,
        "Functions with packageType Image are not supported by this version of Bojagi. Use a .zip deployment package.",
    )
}

/// The one instruction set that a request names, if any.
///
/// # Errors
/// More than one.
pub(super) fn architecture(architectures: &[Architecture]) -> Result<Option<Architecture>> {
    match architectures {
        [] => Ok(None),
        [architecture] => Ok(Some(*architecture)),
        _ => Err(invalid("Architectures list can only contain one architecture.")),
    }
}

/// The archive that a request brings.
///
/// # Errors
/// None, more than one source, or a source that is not supported.
pub(super) fn archive(code: CodeSource) -> Result<Bytes> {
    match (code.zip, code.s3) {
        (Some(_), Some(_)) => {
            Err(invalid("Please do not provide other FunctionCode parameters when providing a ZipFile."))
        }
        (Some(archive), None) => Ok(archive),
        (None, Some(_)) => Err(Error::new(
            ErrorKind::NotSupported,
            "Code from S3Bucket and S3Key is not supported by this version of Bojagi. Upload the .zip archive in ZipFile.",
        )),
        (None, None) => Err(invalid("Please provide a source for function code.")),
    }
}
