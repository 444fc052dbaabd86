//! Lambda: the Runtime API for the function, and the Invoke API for its callers.
//!
//! See <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

use crate::{
    ACCOUNT, FUNCTION, REGION,
    server::{HttpRequest, HttpResponse},
};

/// The function's return value, or its error.
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
    last_poll: AtomicU64,
    ids: AtomicU64,
    is_traced: AtomicBool,
}

impl Lambda {
    /// The ARN of the function.
    pub fn arn() -> String {
        format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FUNCTION}")
    }

    /// Invokes the function and waits for its result. After the timeout it is an error with
    /// `errorType` `Timeout`.
    pub async fn invoke(&self, payload: Vec<u8>, timeout: Duration, arn: &str) -> Returned {
        let id = format!("00000000-0000-4000-8000-{:012}", self.ids.fetch_add(1, Ordering::SeqCst));
        self.invoke_with_id(&id, payload, timeout, arn).await
    }

    /// As [`Lambda::invoke`], with a request id of the caller's.
    pub async fn invoke_with_id(
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
        if let Ok(Ok(returned)) = tokio::time::timeout(timeout, receiver).await {
            return returned;
        }
        let message = format!("Task timed out after {timeout:?}");
        Err(json!({ "errorType": "Timeout", "errorMessage": message }))
    }

    /// From now on each invocation has a trace header, which the AWS SDK sends along with its calls,
    /// so that a call tells its invocation.
    pub fn trace(&self) {
        self.is_traced.store(true, Ordering::SeqCst);
    }

    /// The invocation that made a call.
    pub(crate) fn traced(request: &HttpRequest) -> Option<String> {
        Some(request.header("x-amzn-trace-id")?.strip_prefix("Root=")?.to_owned())
    }

    /// Closes the connection of the poll that follows `events` more events. The instance exits.
    pub fn disconnect_after(&self, events: u64) {
        self.last_poll.store(self.polls.load(Ordering::SeqCst) + events + 1, Ordering::SeqCst);
    }

    /// Waits until an instance has polled for its first event.
    pub async fn ready(&self) {
        while self.polls.load(Ordering::SeqCst) == 0 {
            let polled = self.polled.notified();
            if self.polls.load(Ordering::SeqCst) > 0 {
                break;
            }
            polled.await;
        }
    }

    pub(crate) async fn respond(&self, request: HttpRequest) -> HttpResponse {
        let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            ["2018-06-01", "runtime", "invocation", "next"] => self.next().await,
            ["2018-06-01", "runtime", "invocation", id, "response"] => {
                self.complete(id, Ok(request.json()))
            }
            ["2018-06-01", "runtime", "invocation", id, "error"] => {
                self.complete(id, Err(request.json()))
            }
            ["2018-06-01", "runtime", "init", "error"] => {
                HttpResponse::json(202, &json!({ "status": "OK" }))
            }
            ["2015-03-31", "functions", _, "invocations"] => self.invoke_api(request).await,
            _ => HttpResponse::json(404, &json!({ "Type": "User", "message": "no such path" })),
        }
    }

    async fn next(&self) -> HttpResponse {
        let poll = self.polls.fetch_add(1, Ordering::SeqCst) + 1;
        self.polled.notify_waiters();
        if poll == self.last_poll.load(Ordering::SeqCst) {
            return HttpResponse::Disconnect;
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
                let trace = format!("Root={}", invocation.id);
                let mut headers = vec![
                    ("lambda-runtime-aws-request-id", invocation.id.as_str()),
                    ("lambda-runtime-deadline-ms", &deadline),
                    ("lambda-runtime-invoked-function-arn", &invocation.arn),
                    ("content-type", "application/json"),
                ];
                if self.is_traced.load(Ordering::SeqCst) {
                    headers.push(("lambda-runtime-trace-id", &trace));
                }
                return raw(200, &headers, invocation.payload);
            }
            arrived.await;
        }
    }

    fn complete(&self, id: &str, returned: Returned) -> HttpResponse {
        match self.waiting.lock().unwrap().remove(id) {
            Some(caller) => {
                drop(caller.send(returned));
                HttpResponse::json(202, &json!({ "status": "OK" }))
            }
            None => HttpResponse::json(
                410,
                &json!({ "errorType": "Gone", "errorMessage": "the invocation has timed out" }),
            ),
        }
    }

    /// `Invoke`: <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>.
    async fn invoke_api(&self, request: HttpRequest) -> HttpResponse {
        if serde_json::from_slice::<Value>(&request.body).is_err() {
            let body =
                json!({ "Type": "User", "message": "Could not parse request body into json" });
            let headers = [
                ("x-amzn-errortype", "InvalidRequestContentException"),
                ("content-type", "application/json"),
            ];
            return HttpResponse::text(400, &headers, &body.to_string());
        }
        match self.invoke(request.body.to_vec(), Duration::from_mins(1), &Self::arn()).await {
            Ok(value) => HttpResponse::json(200, &value),
            Err(error) => HttpResponse::text(
                200,
                &[("x-amz-function-error", "Unhandled"), ("content-type", "application/json")],
                &error.to_string(),
            ),
        }
    }
}

fn raw(status: u16, headers: &[(&str, &str)], body: Vec<u8>) -> HttpResponse {
    let mut response = hyper::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    HttpResponse::Complete(response.body(http_body_util::Full::new(body.into())).unwrap())
}
