//! A greeting, with what the function can see of where it runs.
//!
//! ```text
//! Package it:  cargo build --release && zip -j hello.zip target/release/bootstrap
//! Deploy it:   aws lambda create-function --function-name hello --runtime provided.al2023 --handler bootstrap \
//!                  --role arn:aws:iam::000000000000:role/hello --zip-file fileb://hello.zip
//! Invoke it:   aws lambda invoke --function-name hello --payload fileb://event.json answer.json
//! ```

use std::env;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let name = event.payload["name"].as_str().unwrap_or("world");
    eprintln!("greeting {name}, request {}", event.context.request_id);
    let configuration = &event.context.env_config;
    Ok(json!({
        "message": format!("Hello, {name}!"),
        "function": configuration.function_name,
        "version": configuration.version,
        "memory": format!("{} MB", configuration.memory),
        "architecture": env::consts::ARCH,
        "taskRoot": env::var("LAMBDA_TASK_ROOT").ok(),
        "deadline": event.context.deadline,
    }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(handle)).await
}
