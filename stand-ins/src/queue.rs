//! A queue as Lambda's event source mapping empties it: batches, partial failures, redelivery, and a dead-letter queue.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::{Aws, lambda::Lambda};

#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub body: String,
    pub sent: u64,
    pub receives: u32,
}

#[derive(Default)]
pub struct Queue {
    messages: Mutex<VecDeque<Message>>,
    dead: Mutex<Vec<Message>>,
    sent: AtomicU64,
}

impl Queue {
    /// As often as the template lets a message be received.
    const MOST_RECEIVES: u32 = 10;

    pub fn send(&self, id: &str, body: &Value) {
        self.send_text(id, body.to_string());
    }

    pub fn send_text(&self, id: &str, body: String) {
        let sent = 1_700_000_000_000 + self.sent.fetch_add(1, Ordering::SeqCst);
        self.messages.lock().unwrap().push_back(Message {
            id: id.to_owned(),
            body,
            sent,
            receives: 0,
        });
    }

    /// What has been given up.
    pub fn dead(&self) -> Vec<Message> {
        self.dead.lock().unwrap().clone()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.lock().unwrap().is_empty()
    }

    /// Takes the next messages, `most` of them.
    pub fn receive(&self, most: usize) -> Vec<Message> {
        let mut messages = self.messages.lock().unwrap();
        let count = most.min(messages.len());
        messages
            .drain(..count)
            .map(|message| Message { receives: message.receives + 1, ..message })
            .collect()
    }

    /// Puts a message back, or to the dead where it has been received too often.
    pub fn give_back(&self, message: Message) {
        if message.receives >= Self::MOST_RECEIVES {
            self.dead.lock().unwrap().push(message);
        } else {
            self.messages.lock().unwrap().push_back(message);
        }
    }

    /// The event that a batch arrives as.
    pub fn event(messages: &[Message]) -> Value {
        let record = |message: &Message| {
            json!({
                "messageId": message.id, "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a", "body": message.body,
                "attributes": { "ApproximateReceiveCount": message.receives.to_string(), "SentTimestamp": message.sent.to_string() },
                "messageAttributes": {}, "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3", "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:mitigation-action-requests", "awsRegion": "eu-west-1",
            })
        };
        json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })
    }

    /// Empties the queue in batches of ten, `pollers` at once; each delivers a batch again where `again` says so.
    pub async fn drain(
        &self,
        aws: &Aws,
        pollers: usize,
        timeout: Duration,
        again: impl Fn() -> bool + Copy,
    ) {
        let poll = async || {
            loop {
                let batch = self.receive(10);
                if batch.is_empty() {
                    return;
                }
                self.deliver(aws, &batch, timeout).await;
                if again() {
                    // Delivered twice: at least once is what a queue promises.
                    Self::hand_over(aws, &batch, timeout).await;
                }
            }
        };
        futures_util::future::join_all((0..pollers).map(|_| poll())).await;
    }

    /// Delivers a batch and puts back what failed; returns the ids of that.
    pub async fn deliver(&self, aws: &Aws, batch: &[Message], timeout: Duration) -> Vec<String> {
        let failed = Self::hand_over(aws, batch, timeout).await;
        for message in batch.iter().filter(|message| failed.contains(&message.id)) {
            self.give_back(message.clone());
        }
        failed
    }

    /// Delivers a batch that the queue has forgotten, or will deliver another time; returns the ids of what failed.
    pub async fn hand_over(aws: &Aws, batch: &[Message], timeout: Duration) -> Vec<String> {
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
