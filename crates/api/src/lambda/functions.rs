//! CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions, UpdateFunctionCode, UpdateFunctionConfiguration,
//! DeleteFunction.

use bojagi_aws::lambda::types;
use bojagi_control::functions::ListFunctions;
use bojagi_model::{Function, Result};

use super::conversion::{self, function_configuration, listed_function, target};
use crate::context::Context;

/// `CreateFunction`.
pub async fn create(context: &Context, request: types::CreateFunctionRequest) -> Result<types::FunctionConfiguration> {
    let command = conversion::create_function(request)?;
    context.control.create_function(&context.caller, command).await.map(function_configuration)
}

/// `GetFunction`.
pub async fn get(context: &Context, request: types::GetFunctionRequest) -> Result<types::GetFunctionResponse> {
    let target = target(request.function_name, request.qualifier)?;
    let qualified = target.is_qualified();
    let details = context.control.get_function(&context.caller, target).await?;
    let location = context.code_url(&details.function, details.archive);
    Ok(types::GetFunctionResponse {
        configuration: Some(with_arn(qualified, details.function, function_configuration)),
        code: Some(types::FunctionCodeLocation {
            repository_type: Some("S3".to_owned()),
            location: Some(location),
            ..Default::default()
        }),
        tags: conversion::tags(details.tags),
        ..Default::default()
    })
}

/// `GetFunctionConfiguration`.
pub async fn get_configuration(
    context: &Context,
    request: types::GetFunctionConfigurationRequest,
) -> Result<types::FunctionConfiguration> {
    let target = target(request.function_name, request.qualifier)?;
    let qualified = target.is_qualified();
    let function = context.control.get_function_configuration(&context.caller, target).await?;
    Ok(with_arn(qualified, function, function_configuration))
}

/// `ListFunctions`.
pub async fn list(context: &Context, request: types::ListFunctionsRequest) -> Result<types::ListFunctionsResponse> {
    let command = ListFunctions {
        all_versions: request.function_version.is_some(),
        marker: request.marker,
        max_items: request.max_items.and_then(|items| u32::try_from(items).ok()),
    };
    let all_versions = command.all_versions;
    let page = context.control.list_functions(&context.caller, command).await?;
    let listed = |function| with_arn(all_versions, function, listed_function);
    Ok(types::ListFunctionsResponse {
        next_marker: page.next_marker,
        functions: Some(page.functions.into_iter().map(listed).collect()),
    })
}

/// `UpdateFunctionCode`.
pub async fn update_code(
    context: &Context,
    request: types::UpdateFunctionCodeRequest,
) -> Result<types::FunctionConfiguration> {
    let command = conversion::update_function_code(request)?;
    context.control.update_function_code(&context.caller, command).await.map(function_configuration)
}

/// `UpdateFunctionConfiguration`.
pub async fn update_configuration(
    context: &Context,
    request: types::UpdateFunctionConfigurationRequest,
) -> Result<types::FunctionConfiguration> {
    let command = conversion::update_function_configuration(request)?;
    context.control.update_function_configuration(&context.caller, command).await.map(function_configuration)
}

/// `DeleteFunction`.
pub async fn delete(context: &Context, request: types::DeleteFunctionRequest) -> Result<types::DeleteFunctionResponse> {
    let target = target(request.function_name, request.qualifier)?;
    context.control.delete_function(&context.caller, target).await?;
    Ok(types::DeleteFunctionResponse { status_code: Some(204) })
}

/// The answer, with the version in the ARN where the request named a qualifier or asked for all versions.
fn with_arn(
    qualified: bool,
    function: Function,
    answer: impl FnOnce(Function) -> types::FunctionConfiguration,
) -> types::FunctionConfiguration {
    let arn = qualified.then(|| function.qualified_arn());
    let mut answer = answer(function);
    answer.function_arn = arn.or(answer.function_arn);
    answer
}
