//! The response bucket: accepts the response at a presigned URL, as S3 and CloudFormation do.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use serde_json::Value;

use crate::{
    fault::{Fault, Faults},
    server::{HttpRequest, HttpResponse},
};

/// A PUT request.
#[derive(Clone, Debug)]
pub struct Put {
    pub key: String,
    pub body: String,
    pub accepted: bool,
    pub at: Instant,
}

impl Put {
    pub fn response(&self) -> Value {
        serde_json::from_str(&self.body).expect("a response is JSON")
    }
}

#[derive(Debug)]
pub struct Bucket {
    pub faults: Faults,
    puts: Mutex<Vec<Put>>,
    /// The number of PUTs that [`Bucket::check`] has seen.
    checked: AtomicUsize,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            faults: Faults::new(|call, fault| {
                call == "PUT" && !matches!(fault, Fault::RefuseWith(..) | Fault::Empty)
            }),
            puts: Mutex::default(),
            checked: AtomicUsize::default(),
        }
    }
}

impl Bucket {
    /// Takes the PUTs so far.
    pub fn take(&self) -> Vec<Put> {
        self.checked.store(0, Ordering::SeqCst);
        std::mem::take(&mut self.puts.lock().unwrap())
    }

    /// All PUTs under a key, in the order of arrival.
    pub fn puts(&self, key: &str) -> Vec<Put> {
        self.puts.lock().unwrap().iter().filter(|put| put.key == key).cloned().collect()
    }

    /// Removes all PUTs and faults.
    pub fn reset(&self) {
        self.faults.clear();
        self.puts.lock().unwrap().clear();
        self.checked.store(0, Ordering::SeqCst);
    }

    /// Panics if an invocation sent two different responses, or one that CloudFormation would
    /// reject.
    pub fn check(&self) {
        let puts = self.puts.lock().unwrap();
        let mut sent: HashMap<&str, &str> = HashMap::new();
        let checked = self.checked.swap(puts.len(), Ordering::SeqCst);
        for (number, put) in puts.iter().enumerate() {
            let first = sent.entry(put.key.as_str()).or_insert(&put.body);
            assert_eq!(*first, put.body, "one invocation sent two different responses");
            if number < checked {
                continue;
            }
            assert!(
                put.body.len() <= 4096,
                "Response object is too long: {} bytes",
                put.body.len()
            );
            let response = put.response();
            for member in
                ["Status", "PhysicalResourceId", "StackId", "RequestId", "LogicalResourceId"]
            {
                assert!(response[member].is_string(), "{member} is missing in {response}");
            }
            assert_ne!(response["PhysicalResourceId"], "", "an empty PhysicalResourceId");
        }
    }

    pub(crate) async fn respond(&self, request: HttpRequest) -> HttpResponse {
        let key = request.path.trim_start_matches("/response/").to_owned();
        if request.method == "GET" {
            // For people and scripts: the response that CloudFormation received.
            let put = self.puts(&key).into_iter().rfind(|put| put.accepted);
            return put.map_or_else(
                || error(404, "NoSuchKey"),
                |put| HttpResponse::json(200, &put.response()),
            );
        }
        let fault = self.faults.next("PUT");
        let rejection = reject(&request);
        let is_lost = matches!(
            fault,
            Some(
                Fault::LoseBefore
                    | Fault::Refuse(..)
                    | Fault::Proxy(_)
                    | Fault::Throttle
                    | Fault::Hang
            )
        );
        let body = String::from_utf8_lossy(&request.body).into_owned();
        self.puts.lock().unwrap().push(Put {
            key,
            body,
            accepted: rejection.is_none() && !is_lost,
            at: Instant::now(),
        });
        if let Some(Fault::Slow(time)) = fault {
            tokio::time::sleep(time).await;
        }
        fault.as_ref().and_then(response_to).unwrap_or_else(|| match rejection {
            Some((status, code)) => error(status, code),
            None => HttpResponse::text(200, &[], ""),
        })
    }
}

/// The response to a PUT that meets a fault; `None` if it is as without the fault.
fn response_to(fault: &Fault) -> Option<HttpResponse> {
    Some(match *fault {
        Fault::LoseBefore | Fault::LoseAfter => HttpResponse::Disconnect,
        Fault::Hang | Fault::HangAfter => HttpResponse::Hang,
        Fault::FailAfter => error(500, "InternalError"),
        // Accepted, with a body that is announced and never sent.
        Fault::Garbage => HttpResponse::stalled(200),
        Fault::Throttle => error(503, "SlowDown"),
        Fault::Refuse(status, code) | Fault::RefuseWith(status, code, _) => error(status, code),
        Fault::Proxy(status) => HttpResponse::proxy(status),
        Fault::Slow(_) | Fault::Empty => return None,
    })
}

/// The error with which S3 rejects a request.
fn reject(request: &HttpRequest) -> Option<(u16, &'static str)> {
    if request.method != "PUT" {
        Some((405, "MethodNotAllowed"))
    } else if request.header("content-type").is_some_and(|value| !value.is_empty()) {
        // The presigned URL is signed with an empty Content-Type.
        Some((403, "SignatureDoesNotMatch"))
    } else if request.header("content-length").is_none() {
        Some((411, "MissingContentLength"))
    } else {
        None
    }
}

fn error(status: u16, code: &str) -> HttpResponse {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
    HttpResponse::text(
        status,
        &[("location", "http://127.0.0.1:1/elsewhere"), ("content-type", "application/xml")],
        &body,
    )
}
