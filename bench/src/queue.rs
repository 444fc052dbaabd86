//! The throughput of one warm instance, against a service without a rate limit.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use stand_ins::{
    Function,
    lambda::Lambda,
    queue::{Message, Queue},
    stack::merged,
};

use crate::{
    sample,
    subject::{Stage, cpu},
};

/// The number of requests measured.
const REQUESTS: usize = 100;

/// Prints the table: single events, which are not paced, and SQS batches, which are paced to the
/// rate of the service.
pub async fn print(binary: &Path) {
    println!("| | requests per second | CPU per request, ms |");
    println!("|---|--:|--:|");
    row(binary, "events, one per invocation", None).await;
    for batch in [1, 10, 100] {
        row(binary, &format!("messages, {batch} per invocation"), Some(batch)).await;
    }
}

async fn row(binary: &Path, name: &str, batch: Option<usize>) {
    let stage = Stage::start().await;
    stage.aws.iot.set_limit(usize::MAX);
    let mut settings: Vec<(&str, &str)> = stage.tls.settings().into();
    settings.push(("RESULT_EVENT_BUS", "results"));
    let function = Function::start(binary, &stage.aws, &settings);
    invoke(&stage, &request(REQUESTS)).await;
    let (began, had) = (std::time::Instant::now(), cpu(function.id()));
    let requests: Vec<Value> = (0..REQUESTS).map(request).collect();
    match batch {
        None => {
            for request in &requests {
                invoke(&stage, request).await;
            }
        }
        Some(batch) => {
            for requests in requests.chunks(batch) {
                let messages: Vec<Message> = requests.iter().map(message).collect();
                let returned = invoke(&stage, &Queue::event(&messages)).await;
                assert_eq!(returned["batchItemFailures"], json!([]));
            }
        }
    }
    let took = began.elapsed().as_secs_f64();
    let count = f64::from(u32::try_from(REQUESTS).unwrap());
    assert_eq!(stage.aws.iot.actions().len(), REQUESTS + 1);
    println!("| {name} | {:.1} | {:.2} |", count / took, (cpu(function.id()) - had) / count);
}

fn request(number: usize) -> Value {
    let detail = json!({ "actionName": format!("action-{number}") });
    let patch = json!({ "id": format!("event-{number}"), "detail": detail });
    merged(sample("event-create.json"), &patch)
}

fn message(request: &Value) -> Message {
    Message { id: request["id"].to_string(), body: request.to_string(), sent: 0, receive_count: 1 }
}

async fn invoke(stage: &Stage, event: &Value) -> Value {
    stage
        .aws
        .lambda
        .invoke(event.to_string().into_bytes(), Duration::from_mins(1), &Lambda::arn())
        .await
        .expect("no error")
}
