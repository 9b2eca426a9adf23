//! The Lambda API, version 2015-03-31. Every operation of the model is routed; one that is not supported is refused by name.

mod account_settings;
pub mod conversion;
mod functions;
mod invoke;
mod tags;

use bojagi_aws::lambda::{Input, Operation, Output};
use bojagi_model::limits::Limits;

use crate::context::Context;
use crate::errors::Failure;

/// A request of an operation that does not carry a package, in bytes. AWS publishes no figure.
const REQUEST_BYTES: u64 = 1 << 20;

/// How long a request's body may be, in bytes, and how AWS's message names the operation.
pub fn limit(operation: Operation, limits: &Limits) -> (u64, &'static str) {
    match operation {
        Operation::CreateFunction | Operation::UpdateFunctionCode | Operation::PublishLayerVersion => {
            (limits.code_request_bytes, operation.name())
        }
        Operation::UpdateFunctionConfiguration => (limits.configuration_request_bytes, operation.name()),
        // The limit of the answer, which the operator sets, is 100 bytes above that of the payload (both recorded).
        Operation::Invoke | Operation::InvokeAsync | Operation::InvokeWithResponseStream => {
            (limits.payload_bytes.saturating_sub(100), "InvokeFunction")
        }
        other => (REQUEST_BYTES, other.name()),
    }
}

/// Calls the one operation of `control` that the request asks for.
pub async fn call(context: &Context, input: Input) -> Result<Output, Failure> {
    Ok(match input {
        Input::CreateFunction(request) => Output::CreateFunction(Box::new(functions::create(context, *request).await?)),
        Input::DeleteFunction(request) => Output::DeleteFunction(Box::new(functions::delete(context, *request).await?)),
        Input::GetAccountSettings(_) => Output::GetAccountSettings(Box::new(account_settings::get(context).await?)),
        Input::GetFunction(request) => Output::GetFunction(Box::new(functions::get(context, *request).await?)),
        Input::GetFunctionConfiguration(request) => {
            Output::GetFunctionConfiguration(Box::new(functions::get_configuration(context, *request).await?))
        }
        Input::Invoke(request) => Output::Invoke(Box::new(invoke::invoke(context, *request).await?)),
        Input::ListFunctions(request) => Output::ListFunctions(Box::new(functions::list(context, *request).await?)),
        Input::ListTags(request) => Output::ListTags(Box::new(tags::list(context, *request).await?)),
        Input::TagResource(request) => {
            tags::tag(context, *request).await?;
            Output::TagResource
        }
        Input::UntagResource(request) => {
            tags::untag(context, *request).await?;
            Output::UntagResource
        }
        Input::UpdateFunctionCode(request) => {
            Output::UpdateFunctionCode(Box::new(functions::update_code(context, *request).await?))
        }
        Input::UpdateFunctionConfiguration(request) => {
            Output::UpdateFunctionConfiguration(Box::new(functions::update_configuration(context, *request).await?))
        }
    })
}
