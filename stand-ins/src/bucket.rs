//! The response bucket: takes the document that a presigned URL is for, as S3 and CloudFormation do.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    fault::{Fault, Faults},
    server::{Reply, Seen},
};

/// A PUT that arrived.
#[derive(Clone, Debug)]
pub struct Put {
    pub key: String,
    pub body: String,
    pub accepted: bool,
    pub at: Instant,
}

impl Put {
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.body).expect("a response is JSON")
    }
}

#[derive(Debug, Default)]
pub struct Bucket {
    pub faults: Faults,
    puts: Mutex<Vec<Put>>,
    /// How many of them have been checked.
    checked: AtomicUsize,
    arrived: Notify,
}

impl Bucket {
    /// The PUTs so far, which are forgotten.
    pub fn take(&self) -> Vec<Put> {
        self.checked.store(0, Ordering::SeqCst);
        std::mem::take(&mut self.puts.lock().unwrap())
    }

    /// All PUTs under a key, in the order of arrival.
    pub fn puts(&self, key: &str) -> Vec<Put> {
        self.puts.lock().unwrap().iter().filter(|put| put.key == key).cloned().collect()
    }

    /// Waits until a PUT has arrived under the key.
    pub async fn arrival(&self, key: &str) -> Put {
        loop {
            let next = self.arrived.notified();
            if let Some(put) = self.puts(key).into_iter().next() {
                return put;
            }
            next.await;
        }
    }

    /// As at the start: empty, with no faults.
    pub fn reset(&self) {
        self.faults.clear();
        self.puts.lock().unwrap().clear();
        self.checked.store(0, Ordering::SeqCst);
    }

    /// Ends the test where one invocation sent two different documents, or one that CloudFormation would not take.
    pub fn check(&self) {
        let puts = self.puts.lock().unwrap();
        let mut sent: HashMap<&str, &str> = HashMap::new();
        let checked = self.checked.swap(puts.len(), Ordering::SeqCst);
        for (number, put) in puts.iter().enumerate() {
            let first = sent.entry(put.key.as_str()).or_insert(&put.body);
            assert_eq!(*first, put.body, "one invocation has sent two different documents");
            if number < checked {
                continue;
            }
            assert!(
                put.body.len() <= 4096,
                "Response object is too long: {} bytes",
                put.body.len()
            );
            let document = put.document();
            for member in
                ["Status", "PhysicalResourceId", "StackId", "RequestId", "LogicalResourceId"]
            {
                assert!(document[member].is_string(), "{member} is missing in {document}");
            }
            assert_ne!(document["PhysicalResourceId"], "", "an empty PhysicalResourceId");
        }
    }

    pub(crate) async fn answer(&self, seen: Seen) -> Reply {
        let key = seen.path.trim_start_matches("/response/").to_owned();
        if seen.method == "GET" {
            // For people and scripts: what CloudFormation got.
            let put = self.puts(&key).into_iter().rfind(|put| put.accepted);
            return put
                .map_or_else(|| error(404, "NoSuchKey"), |put| Reply::json(200, &put.document()));
        }
        let fault = self.faults.next("PUT");
        let refused = if seen.method != "PUT" {
            Some((405, "MethodNotAllowed"))
        } else if seen.header("content-type").is_some_and(|value| !value.is_empty()) {
            // The presigned URL is signed over an empty Content-Type.
            Some((403, "SignatureDoesNotMatch"))
        } else if seen.header("content-length").is_none() {
            Some((411, "MissingContentLength"))
        } else {
            None
        };
        let before = matches!(
            fault,
            Some(Fault::LoseBefore | Fault::Refuse(..) | Fault::Throttle | Fault::Hang)
        );
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        self.puts.lock().unwrap().push(Put {
            key,
            body,
            accepted: refused.is_none() && !before,
            at: Instant::now(),
        });
        self.arrived.notify_waiters();
        if let Some(Fault::Slow(time)) = fault {
            tokio::time::sleep(time).await;
        }
        match (fault, refused) {
            (Some(Fault::LoseBefore | Fault::LoseAfter), _) => Reply::Lost,
            (Some(Fault::Hang | Fault::HangAfter), _) => Reply::Never,
            (Some(Fault::FailAfter), _) => error(500, "InternalError"),
            // Accepted, with a body that is announced and never comes.
            (Some(Fault::Garbage), _) => Reply::stalled(200),
            (Some(Fault::Throttle), _) => error(503, "SlowDown"),
            (Some(Fault::Refuse(status, code)), _) | (_, Some((status, code))) => {
                error(status, code)
            }
            _ => Reply::text(200, &[], ""),
        }
    }
}

fn error(status: u16, code: &str) -> Reply {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
    Reply::text(
        status,
        &[("location", "http://127.0.0.1:1/elsewhere"), ("content-type", "application/xml")],
        &body,
    )
}
