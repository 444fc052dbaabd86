//! An SQS queue with Lambda's event source mapping: batches, partial batch responses, redelivery
//! and a dead-letter queue.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::{ACCOUNT, Aws, REGION, lambda::Lambda};

#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub body: String,
    pub sent: u64,
    pub receive_count: u32,
}

#[derive(Default)]
pub struct Queue {
    messages: Mutex<VecDeque<Message>>,
    dead_letters: Mutex<Vec<Message>>,
    sent: AtomicU64,
}

impl Queue {
    /// The `maxReceiveCount` of the template.
    const MAX_RECEIVE_COUNT: u32 = 10;

    pub fn send(&self, id: &str, body: &Value) {
        self.send_text(id, body.to_string());
    }

    pub fn send_text(&self, id: &str, body: String) {
        let sent = 1_700_000_000_000 + self.sent.fetch_add(1, Ordering::SeqCst);
        self.messages.lock().unwrap().push_back(Message {
            id: id.to_owned(),
            body,
            sent,
            receive_count: 0,
        });
    }

    /// The messages in the dead-letter queue.
    pub fn dead_letters(&self) -> Vec<Message> {
        self.dead_letters.lock().unwrap().clone()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.lock().unwrap().is_empty()
    }

    /// Receives at most `max` messages.
    pub fn receive(&self, max: usize) -> Vec<Message> {
        let mut messages = self.messages.lock().unwrap();
        let count = max.min(messages.len());
        messages
            .drain(..count)
            .map(|message| Message { receive_count: message.receive_count + 1, ..message })
            .collect()
    }

    /// Returns a message to the queue, or to the dead-letter queue after too many receives.
    pub fn put_back(&self, message: Message) {
        if message.receive_count >= Self::MAX_RECEIVE_COUNT {
            self.dead_letters.lock().unwrap().push(message);
        } else {
            self.messages.lock().unwrap().push_back(message);
        }
    }

    /// The event of a batch.
    pub fn event(messages: &[Message]) -> Value {
        let queue = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:mitigation-action-requests");
        let record = |message: &Message| {
            json!({
                "messageId": message.id,
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
                "body": message.body,
                "attributes": {
                    "ApproximateReceiveCount": message.receive_count.to_string(),
                    "SentTimestamp": message.sent.to_string(),
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": queue,
                "awsRegion": REGION,
            })
        };
        json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })
    }

    /// Delivers all messages in batches of ten, with `pollers` pollers. A batch is delivered a
    /// second time if `is_redelivered` returns true.
    pub async fn drain(
        &self,
        aws: &Aws,
        pollers: usize,
        timeout: Duration,
        is_redelivered: impl Fn() -> bool + Copy,
    ) {
        let poll = async || {
            loop {
                let batch = self.receive(10);
                if batch.is_empty() {
                    return;
                }
                self.deliver(aws, &batch, timeout).await;
                if is_redelivered() {
                    // A standard queue delivers at least once.
                    Self::invoke(aws, &batch, timeout).await;
                }
            }
        };
        futures_util::future::join_all((0..pollers).map(|_| poll())).await;
    }

    /// Delivers a batch and returns the failed messages to the queue. Returns their ids.
    pub async fn deliver(&self, aws: &Aws, batch: &[Message], timeout: Duration) -> Vec<String> {
        let failed = Self::invoke(aws, batch, timeout).await;
        for message in batch.iter().filter(|message| failed.contains(&message.id)) {
            self.put_back(message.clone());
        }
        failed
    }

    /// Invokes the function with a batch and leaves the queue alone. Returns the ids of the failed
    /// messages.
    pub async fn invoke(aws: &Aws, batch: &[Message], timeout: Duration) -> Vec<String> {
        let returned = aws
            .lambda
            .invoke(Self::event(batch).to_string().into_bytes(), timeout, &Lambda::arn())
            .await;
        match &returned {
            Ok(value) => {
                let failures = value["batchItemFailures"]
                    .as_array()
                    .unwrap_or_else(|| panic!("no batchItemFailures in {value}"));
                failures
                    .iter()
                    .map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned())
                    .collect()
            }
            Err(_) => batch.iter().map(|message| message.id.clone()).collect(),
        }
    }
}
