//! Sends custom resource requests as CloudFormation does, and keeps the responses.

use std::{
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};

use crate::{
    ACCOUNT, Aws, Function, REGION,
    iot::Call,
    lambda::{Lambda, Returned},
};

/// The stack of every test.
pub fn stack_id() -> String {
    let uuid = "6f0c2b1e-1d2c-4b7a-9a53-0a1b2c3d4e5f";
    format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/fleet-security/{uuid}")
}

/// Reads an event from a file.
pub fn read_event(path: &Path) -> Value {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Merges `patch` into `value` by the rules of RFC 7396.
pub fn merged(mut value: Value, patch: &Value) -> Value {
    match (&mut value, patch) {
        (Value::Object(map), Value::Object(patch)) => {
            for (key, patch) in patch {
                if patch.is_null() {
                    map.remove(key);
                } else {
                    let old = map.remove(key).unwrap_or_default();
                    map.insert(key.clone(), merged(old, patch));
                }
            }
            value
        }
        (_, Value::Object(_)) => merged(json!({}), patch),
        _ => patch.clone(),
    }
}

/// The `X-Amz-Date` that is `seconds` from now.
pub fn amz_date(seconds: i64) -> String {
    Dates::start().of(seconds)
}

fn amz_date_of(then: u64) -> String {
    let (days, second) = (then / 86_400, then % 86_400);
    let mut year = 1970;
    let mut day = days;
    let length = |year: u64| {
        if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) {
            366
        } else {
            365
        }
    };
    while day >= length(year) {
        day -= length(year);
        year += 1;
    }
    let february = if length(year) == 366 { 29 } else { 28 };
    let mut month = 0;
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    format!(
        "{year:04}{:02}{:02}T{:02}{:02}{:02}Z",
        month + 1,
        day + 1,
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// The results of one custom resource request.
#[derive(Debug)]
pub struct Exchange {
    response: Option<Value>,
    /// The function's return value, or its error.
    pub returned: Returned,
    /// The calls to AWS IoT.
    pub calls: Vec<Call>,
    /// The time from the invocation to the first PUT.
    pub response_time: Option<Duration>,
    /// The number of PUTs.
    pub puts: usize,
}

impl Exchange {
    /// The response. Panics if there is none.
    #[track_caller]
    pub fn response(&self) -> &Value {
        self.response
            .as_ref()
            .unwrap_or_else(|| panic!("no response; the function returned {:?}", self.returned))
    }

    #[track_caller]
    pub fn succeeded(&self) -> &Self {
        assert_eq!(self.response()["Status"], "SUCCESS", "{}", self.response());
        self
    }

    /// Asserts a failure whose reason begins with `code`.
    #[track_caller]
    pub fn failed(&self, code: &str) -> &Self {
        assert_eq!(self.response()["Status"], "FAILED", "{}", self.response());
        let reason = self.reason();
        assert!(reason.starts_with(&format!("{code}: ")), "expected {code}: {reason}");
        self
    }

    #[track_caller]
    pub fn reason(&self) -> &str {
        self.response()["Reason"].as_str().unwrap_or_default()
    }

    #[track_caller]
    pub fn physical_id(&self) -> &str {
        self.response()["PhysicalResourceId"].as_str().unwrap()
    }

    /// The names of the calls.
    pub fn operations(&self) -> Vec<&str> {
        self.calls.iter().map(|call| call.operation).collect()
    }

    #[track_caller]
    pub fn called(&self, operations: &[&str]) -> &Self {
        assert_eq!(self.operations(), operations, "{:?}", self.response);
        self
    }

    /// Asserts that the only change attempted was a create, which met a conflict.
    #[track_caller]
    pub fn changed_nothing_but_the_create(&self) -> &Self {
        let changes: Vec<&Call> = self.calls.iter().filter(|call| call.is_change()).collect();
        assert!(
            matches!(
                changes.as_slice(),
                [Call { operation: "CreateMitigationAction", status: 409, .. }]
            ),
            "{changes:?}"
        );
        self
    }

    #[track_caller]
    pub fn changed_nothing(&self) -> &Self {
        let changes: Vec<&Call> = self.calls.iter().filter(|call| call.is_change()).collect();
        assert!(changes.is_empty(), "{changes:?}");
        self
    }
}

/// AWS, an instance of the function, and a stack.
pub struct World {
    pub aws: Aws,
    pub function: Function,
    pub timeout: Duration,
    pub arn: String,
    requests: AtomicU64,
    /// The requests sent, in order.
    sent: Mutex<Vec<String>>,
    dates: Dates,
}

/// When the first request of a world is sent, in seconds from its start: there is room for many
/// before any is sent in the future.
const FIRST_SENT: i64 = -15;

/// Dates relative to a fixed one.
#[derive(Clone, Copy)]
struct Dates(u64);

impl Dates {
    fn start() -> Self {
        Self(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    }

    fn of(self, seconds: i64) -> String {
        amz_date_of(self.0.checked_add_signed(seconds).unwrap())
    }
}

impl World {
    pub async fn start(binary: &Path, settings: &[(&str, &str)]) -> Self {
        let aws = Aws::start().await;
        let function = Function::start(binary, &aws, settings);
        Self::new(aws, function)
    }

    /// A world of stand-ins and a function that have started.
    pub fn new(aws: Aws, function: Function) -> Self {
        Self {
            aws,
            function,
            timeout: Duration::from_secs(20),
            arn: Lambda::arn(),
            requests: AtomicU64::default(),
            sent: Mutex::default(),
            dates: Dates::start(),
        }
    }

    /// Plants an action with the definition of `create-add-things-to-thing-group.json`.
    pub fn plant_identical(&self, name: &str, tags: &[(&str, &str)]) {
        let groups = json!({ "thingGroupNames": ["quarantine"], "overrideDynamicGroups": true });
        let params = json!({ "addThingsToThingGroupParams": groups });
        self.aws.iot.plant(
            name,
            "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things",
            params,
            tags,
        );
    }

    /// Plants an action with another role and other parameters.
    pub fn plant_different(&self, name: &str, tags: &[(&str, &str)]) {
        let params = json!({ "updateDeviceCertificateParams": { "action": "DEACTIVATE" } });
        self.aws.iot.plant(name, "arn:aws:iam::123456789012:role/made-by-hand", params, tags);
    }

    /// Sets the timeout of the function.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The key and the URL of a new response in the stand-ins' bucket.
    pub fn response_url(&self, parameters: &str) -> (String, String) {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let key = format!("{number}-{:016x}", fastrand::u64(..));
        let url = format!(
            "{}/response/{key}?X-Amz-Signature=5ec4e75167a7u4e&{parameters}",
            self.aws.url()
        );
        (key, url)
    }

    /// Sends a request with a `ResponseURL` of the stand-ins' bucket, and waits for the function to
    /// return. As with CloudFormation, each request is sent a second after the one before, and all
    /// deliveries of a request have the same `X-Amz-Date`.
    pub async fn send(&self, event: &Value) -> Exchange {
        let sent = self.sent(event);
        self.send_at(sent, event).await
    }

    /// As [`World::send`], for a request that was sent so many seconds from now.
    pub async fn send_at(&self, sent: i64, event: &Value) -> Exchange {
        let (key, url) = self.response_url(&format!("X-Amz-Date={}", self.dates.of(sent)));
        self.send_to(&key, merged(event.clone(), &json!({ "ResponseURL": url }))).await
    }

    /// When the request was sent, in seconds from now. Its `ResponseURL` plays no part: it is
    /// replaced.
    fn sent(&self, event: &Value) -> i64 {
        let mut sent = self.sent.lock().unwrap();
        let text = merged(event.clone(), &json!({ "ResponseURL": null })).to_string();
        let number = sent.iter().position(|other| *other == text).unwrap_or_else(|| {
            sent.push(text);
            sent.len() - 1
        });
        FIRST_SENT + i64::try_from(number).unwrap()
    }

    /// As [`World::send`], with the event's own `ResponseURL`.
    pub async fn send_to(&self, key: &str, event: Value) -> Exchange {
        self.aws.iot.take_calls();
        let began = Instant::now();
        let returned =
            self.aws.lambda.invoke(event.to_string().into_bytes(), self.timeout, &self.arn).await;
        self.aws.bucket.check();
        let puts = self.aws.bucket.puts(key);
        Exchange {
            response: puts.first().map(crate::bucket::Put::response),
            returned,
            calls: self.aws.iot.take_calls(),
            response_time: puts.first().map(|put| put.at.duration_since(began)),
            puts: puts.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::merged;

    #[test]
    fn merging_replaces_members_and_removes_those_that_are_null() {
        let value = json!({ "a": { "b": 1, "c": 2 }, "d": [1] });
        let patch = json!({ "a": { "b": null, "e": 3 }, "d": { "f": null }, "g": 4 });
        assert_eq!(merged(value, &patch), json!({ "a": { "c": 2, "e": 3 }, "d": {}, "g": 4 }));
    }
}
