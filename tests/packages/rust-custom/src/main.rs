//! Answers with what it was told, through AWS's Rust library.

use lambda_runtime::{run, service_fn, Error, LambdaEvent};
use serde_json::{json, Value};

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    if event.payload["fail"] == json!(true) {
        return Err("asked to fail".into());
    }
    Ok(json!({
        "echo": event.payload,
        "arn": event.context.invoked_function_arn,
        "request": event.context.request_id,
        "memory": event.context.env_config.memory,
    }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(handle)).await
}
