//! CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions, UpdateFunctionCode, UpdateFunctionConfiguration,
//! DeleteFunction.

use bojagi_aws::lambda::types;
use bojagi_control::functions::ListFunctions;
use bojagi_model::Result;

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
    let details = context.control.get_function(&context.caller, target).await?;
    let location = context.code_url(&details.function, details.archive);
    Ok(types::GetFunctionResponse {
        configuration: Some(function_configuration(details.function)),
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
    context.control.get_function_configuration(&context.caller, target).await.map(function_configuration)
}

/// `ListFunctions`.
pub async fn list(context: &Context, request: types::ListFunctionsRequest) -> Result<types::ListFunctionsResponse> {
    let command = ListFunctions {
        all_versions: request.function_version.is_some(),
        marker: request.marker,
        max_items: request.max_items.and_then(|items| u32::try_from(items).ok()),
    };
    let page = context.control.list_functions(&context.caller, command).await?;
    Ok(types::ListFunctionsResponse {
        next_marker: page.next_marker,
        functions: Some(page.functions.into_iter().map(listed_function).collect()),
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
