//! The floor: a function that does nothing, on the runtime that the provider uses.

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde_json::{Value, json};

async fn handle(_: LambdaEvent<Value>) -> Result<Value, Error> {
    Ok(json!({ "Status": "SUCCESS" }))
}

fn main() -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(Runtime::new(service_fn(handle)).run())
}
