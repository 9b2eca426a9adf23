//! Invoke: the payload goes through untouched, in and out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bojagi_aws::lambda::types;
use bojagi_aws::{WireError, json};
use bojagi_control::invoke::Invoke;
use bojagi_engine::FunctionError;
use bojagi_model::{Error, ErrorKind, Result};
use bytes::Bytes;

use super::conversion::target;
use crate::context::Context;
use crate::errors::Failure;

/// `Invoke`, `RequestResponse` or `DryRun`.
pub async fn invoke(
    context: &Context,
    request: types::InvocationRequest,
) -> Result<types::InvocationResponse, Failure> {
    let target = target(request.function_name, request.qualifier)?;
    if request.tenant_id.is_some() {
        let message = "The invoked function is not enabled with tenancy configuration.";
        return Err(Error::new(ErrorKind::InvalidParameterValue, message).into());
    }
    if request.durable_execution_name.is_some() {
        let message = "The parameter DurableExecutionName is not supported by Bojagi.";
        return Err(Error::new(ErrorKind::NotSupported, message).into());
    }
    match request.invocation_type.as_deref() {
        None | Some("RequestResponse") => {}
        Some("DryRun") => {
            context.control.invoke_dry_run(&context.caller, &target).await?;
            return Ok(types::InvocationResponse { status_code: Some(204), ..Default::default() });
        }
        Some(other) => {
            let message = format!("The InvocationType {other} is not supported by Bojagi.");
            return Err(Error::new(ErrorKind::NotSupported, message).into());
        }
    }
    let command = Invoke {
        target,
        payload: event(request.payload)?,
        client_context: client_context(request.client_context)?,
        trace_id: context.trace_id.clone(),
        log_tail: request.log_type.as_deref() == Some("Tail"),
    };
    let outcome = context.control.invoke(&context.caller, command).await?;
    Ok(types::InvocationResponse {
        status_code: Some(200),
        function_error: outcome.function_error.map(|FunctionError::Unhandled| "Unhandled".to_owned()),
        log_result: outcome.log_tail.map(|tail| STANDARD.encode(tail)),
        payload: Some(outcome.payload),
        executed_version: Some(outcome.executed_version.to_string()),
        ..Default::default()
    })
}

/// The payload, of which AWS makes sure that it is JSON and nothing else. Lambda gives the function an empty object where the
/// request has no body.
fn event(payload: Option<Bytes>) -> Result<Bytes, WireError> {
    let Some(payload) = payload.filter(|payload| !payload.is_empty()) else { return Ok(Bytes::from_static(b"{}")) };
    json::check(&payload)?;
    Ok(payload)
}

/// `X-Amz-Client-Context` as JSON text.
fn client_context(header: Option<String>) -> Result<Option<String>> {
    let Some(encoded) = header.filter(|encoded| !encoded.is_empty()) else { return Ok(None) };
    let json = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let object = json.filter(|json| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).is_ok());
    object.map(Some).ok_or_else(|| {
        let message = "Client context must be a valid Base64-encoded JSON object.";
        Error::new(ErrorKind::InvalidRequestContent, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_context_is_base64_of_a_json_object() {
        assert_eq!(client_context(None).unwrap(), None);
        assert_eq!(client_context(Some("eyJhIjoxfQ==".to_owned())).unwrap().as_deref(), Some(r#"{"a":1}"#));
        for bad in ["not base64", "WzFd", "bm90IGpzb24=", "/w=="] {
            let error = client_context(Some(bad.to_owned())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequestContent, "{bad}");
        }
    }

    #[test]
    fn no_payload_is_an_empty_object() {
        assert_eq!(event(None).unwrap(), "{}");
        assert_eq!(event(Some(Bytes::new())).unwrap(), "{}");
        assert_eq!(event(Some(Bytes::from_static(b"[1]"))).unwrap(), "[1]");
        assert_eq!(event(Some(Bytes::from_static(b"{a"))).unwrap_err().code(), "InvalidRequestContentException");
    }
}
