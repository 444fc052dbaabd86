//! Lambda: the Runtime API for the function, and the Invoke API for whoever calls it.
//!
//! See <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

use crate::{
    ACCOUNT, FUNCTION, REGION,
    server::{Reply, Seen},
};

/// What the function said: its result, or its error.
pub type Returned = Result<Value, Value>;

struct Invocation {
    id: String,
    payload: Vec<u8>,
    timeout: Duration,
    arn: String,
}

#[derive(Default)]
pub struct Lambda {
    queue: Mutex<VecDeque<Invocation>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Returned>>>,
    arrived: Notify,
    polled: Notify,
    polls: AtomicU64,
    last: AtomicU64,
    ids: AtomicU64,
}

impl Lambda {
    /// The ARN that the function has.
    pub fn arn() -> String {
        format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FUNCTION}")
    }

    /// Invokes the function, and waits for what it says; `Err` with `errorType` `Timeout` where it says nothing in time.
    pub async fn invoke(&self, payload: Vec<u8>, timeout: Duration, arn: &str) -> Returned {
        let id = format!("00000000-0000-4000-8000-{:012}", self.ids.fetch_add(1, Ordering::SeqCst));
        self.invoke_as(&id, payload, timeout, arn).await
    }

    /// As [`Lambda::invoke`], under a request id.
    pub async fn invoke_as(
        &self,
        id: &str,
        payload: Vec<u8>,
        timeout: Duration,
        arn: &str,
    ) -> Returned {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id.to_owned(), sender);
        self.queue.lock().unwrap().push_back(Invocation {
            id: id.to_owned(),
            payload,
            timeout,
            arn: arn.to_owned(),
        });
        self.arrived.notify_one();
        match tokio::time::timeout(timeout, receiver).await {
            Ok(Ok(returned)) => returned,
            _ => Err(
                json!({ "errorType": "Timeout", "errorMessage": format!("Task timed out after {timeout:?}") }),
            ),
        }
    }

    /// The poll after `events` more is lost, at which an instance ends.
    pub fn end_after(&self, events: u64) {
        self.last.store(self.polls.load(Ordering::SeqCst) + events + 1, Ordering::SeqCst);
    }

    /// Waits until an instance has asked for its first event.
    pub async fn is_up(&self) {
        while self.polls.load(Ordering::SeqCst) == 0 {
            let polled = self.polled.notified();
            if self.polls.load(Ordering::SeqCst) > 0 {
                break;
            }
            polled.await;
        }
    }

    pub(crate) async fn answer(&self, seen: Seen) -> Reply {
        let parts: Vec<&str> = seen.path.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            ["2018-06-01", "runtime", "invocation", "next"] => self.next().await,
            ["2018-06-01", "runtime", "invocation", id, "response"] => {
                self.settle(id, Ok(seen.json()))
            }
            ["2018-06-01", "runtime", "invocation", id, "error"] => {
                self.settle(id, Err(seen.json()))
            }
            ["2018-06-01", "runtime", "init", "error"] => {
                Reply::json(202, &json!({ "status": "OK" }))
            }
            ["2015-03-31", "functions", _, "invocations"] => self.invoked(seen).await,
            _ => Reply::json(404, &json!({ "Type": "User", "message": "no such path" })),
        }
    }

    async fn next(&self) -> Reply {
        let poll = self.polls.fetch_add(1, Ordering::SeqCst) + 1;
        self.polled.notify_waiters();
        if poll == self.last.load(Ordering::SeqCst) {
            return Reply::Lost;
        }
        loop {
            let arrived = self.arrived.notified();
            let (invocation, more) = {
                let mut queue = self.queue.lock().unwrap();
                (queue.pop_front(), !queue.is_empty())
            };
            if more {
                self.arrived.notify_one();
            }
            if let Some(invocation) = invocation {
                let deadline = SystemTime::now() + invocation.timeout;
                let deadline = deadline.duration_since(UNIX_EPOCH).unwrap().as_millis().to_string();
                let headers = [
                    ("lambda-runtime-aws-request-id", invocation.id.as_str()),
                    ("lambda-runtime-deadline-ms", &deadline),
                    ("lambda-runtime-invoked-function-arn", &invocation.arn),
                    ("content-type", "application/json"),
                ];
                return raw(200, &headers, invocation.payload);
            }
            arrived.await;
        }
    }

    fn settle(&self, id: &str, returned: Returned) -> Reply {
        match self.waiting.lock().unwrap().remove(id) {
            Some(waiting) => {
                drop(waiting.send(returned));
                Reply::json(202, &json!({ "status": "OK" }))
            }
            None => Reply::json(
                410,
                &json!({ "errorType": "Gone", "errorMessage": "nobody waits for this" }),
            ),
        }
    }

    /// `Invoke`: <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>.
    async fn invoked(&self, seen: Seen) -> Reply {
        if serde_json::from_slice::<Value>(&seen.body).is_err() {
            let body =
                json!({ "Type": "User", "message": "Could not parse request body into json" });
            let headers = [
                ("x-amzn-errortype", "InvalidRequestContentException"),
                ("content-type", "application/json"),
            ];
            return Reply::text(400, &headers, &body.to_string());
        }
        match self.invoke(seen.body.to_vec(), Duration::from_mins(1), &Self::arn()).await {
            Ok(value) => Reply::json(200, &value),
            Err(error) => Reply::text(
                200,
                &[("x-amz-function-error", "Unhandled"), ("content-type", "application/json")],
                &error.to_string(),
            ),
        }
    }
}

fn raw(status: u16, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
    let mut response = hyper::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Reply::Answer(response.body(http_body_util::Full::new(body.into())).unwrap())
}
