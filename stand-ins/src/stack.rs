//! A stack's side of the conversation: sends requests as CloudFormation does and keeps what comes back.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    ACCOUNT, Aws, Function, REGION,
    iot::Call,
    lambda::{Lambda, Returned},
};

/// The stack of every test.
pub fn stack_id() -> String {
    format!(
        "arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/fleet-security/6f0c2b1e-1d2c-4b7a-9a53-0a1b2c3d4e5f"
    )
}

/// The event in a file.
pub fn read_event(path: &Path) -> Value {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `value` with `patch` merged into it, as RFC 7396 has it.
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

/// What a request came to.
#[derive(Debug)]
pub struct Played {
    /// The document that was PUT, if any was.
    pub document: Option<Value>,
    /// What the function returned.
    pub returned: Returned,
    /// The calls it took.
    pub calls: Vec<Call>,
    /// From the invocation to the first PUT.
    pub answered_after: Option<Duration>,
    /// How many PUTs there were.
    pub puts: usize,
}

impl Played {
    /// The document, which there must be.
    #[track_caller]
    pub fn answer(&self) -> &Value {
        self.document
            .as_ref()
            .unwrap_or_else(|| panic!("there was no answer, but {:?}", self.returned))
    }

    #[track_caller]
    pub fn succeeded(&self) -> &Self {
        assert_eq!(self.answer()["Status"], "SUCCESS", "{}", self.answer());
        self
    }

    /// Failed, with a reason that begins with `code`.
    #[track_caller]
    pub fn failed(&self, code: &str) -> &Self {
        assert_eq!(self.answer()["Status"], "FAILED", "{}", self.answer());
        assert!(self.reason().starts_with(&format!("{code}: ")), "not {code}: {}", self.reason());
        self
    }

    #[track_caller]
    pub fn reason(&self) -> &str {
        self.answer()["Reason"].as_str().unwrap_or_default()
    }

    #[track_caller]
    pub fn physical_id(&self) -> &str {
        self.answer()["PhysicalResourceId"].as_str().unwrap()
    }

    /// The names of the operations called.
    pub fn operations(&self) -> Vec<&str> {
        self.calls.iter().map(|call| call.operation).collect()
    }

    #[track_caller]
    pub fn called(&self, operations: &[&str]) -> &Self {
        assert_eq!(self.operations(), operations, "{:?}", self.document);
        self
    }

    /// Only tried to create, which what was there prevented.
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
}

impl World {
    pub async fn start(binary: &Path, settings: &[(&str, &str)]) -> Self {
        let aws = Aws::start().await;
        let function = Function::start(binary, &aws, settings);
        Self::of(aws, function)
    }

    /// A world of stand-ins and a function that are there.
    pub fn of(aws: Aws, function: Function) -> Self {
        Self {
            aws,
            function,
            timeout: Duration::from_secs(20),
            arn: Lambda::arn(),
            requests: AtomicU64::default(),
        }
    }

    /// Plants what the samples' creates of a quarantine would make under that name, with no tags but these.
    pub fn plant_identical(&self, name: &str, tags: &[(&str, &str)]) {
        let params = json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["quarantine"], "overrideDynamicGroups": true } });
        self.aws.iot.plant(name, "arn:aws:iam::123456789012:role/quarantine-things", params, tags);
    }

    /// Plants what differs from that in role and parameters.
    pub fn plant_different(&self, name: &str, tags: &[(&str, &str)]) {
        let params = json!({ "updateDeviceCertificateParams": { "action": "DEACTIVATE" } });
        self.aws.iot.plant(name, "arn:aws:iam::123456789012:role/made-by-hand", params, tags);
    }

    /// The same with another time-out of the function.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// A response URL that has not been used, for the bucket of these stand-ins.
    pub fn response_url(&self, parameters: &str) -> (String, String) {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let key = format!("{number}-{:016x}", fastrand::u64(..));
        let url = format!(
            "{}/response/{key}?X-Amz-Signature=5ec4e75167a7u4e&{parameters}",
            self.aws.url()
        );
        (key, url)
    }

    /// Sends a request to the stand-ins' bucket and waits for the function to return.
    pub async fn play(&self, event: &Value) -> Played {
        let (key, url) = self.response_url("");
        self.play_to(&key, merged(event.clone(), &json!({ "ResponseURL": url }))).await
    }

    /// As [`World::play`], with the event's own `ResponseURL`.
    pub async fn play_to(&self, key: &str, event: Value) -> Played {
        self.aws.iot.take_calls();
        let began = Instant::now();
        let returned =
            self.aws.lambda.invoke(event.to_string().into_bytes(), self.timeout, &self.arn).await;
        self.aws.bucket.check();
        let puts = self.aws.bucket.puts(key);
        Played {
            document: puts.first().map(crate::bucket::Put::document),
            returned,
            calls: self.aws.iot.take_calls(),
            answered_after: puts.first().map(|put| put.at.duration_since(began)),
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
