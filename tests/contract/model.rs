//! A model of CloudFormation: random stacks over random histories, with faults at every call, played as CloudFormation
//! plays them, follow-ups included. After each step the account holds exactly what the stacks say.
//!
//! `MODEL_HISTORIES` sets how many histories are played; a failure prints its seed, and `MODEL_SEED` plays it again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fastrand::Rng;
use serde_json::{Value, json};

use crate::{
    lifecycle::OWNER_TAG,
    support::{
        fault::Fault,
        stack::{Played, World},
    },
    world,
};

const LOGICAL_IDS: [&str; 3] = ["One", "Two", "Three"];
const STEPS: usize = 12;
/// Histories that are played at once: most of the time is spent waiting.
const LANES: u64 = 6;
const NAMES: [&str; 4] = ["a", "b", "c", ""];

/// A resource as the stack has it: its physical id, the properties of its last success, and whether it is adopted.
#[derive(Clone, Debug)]
struct Resource {
    id: String,
    properties: Value,
}

struct Model {
    rng: Rng,
    world: World,
    /// By stack and logical id.
    resources: BTreeMap<(usize, &'static str), Resource>,
    /// Actions that are nobody's here, as they were made, tags included.
    foreign: BTreeMap<String, (Value, BTreeMap<String, String>)>,
    /// Foreign actions that were adopted or overwritten since, which may have changed.
    taken: BTreeSet<String>,
    history: Vec<String>,
    requests: u64,
}

/// What a request came to, in CloudFormation's eyes.
enum Answer {
    Success(String),
    Failed(String),
}

impl Answer {
    fn id(&self) -> &str {
        match self {
            Self::Success(id) | Self::Failed(id) => id,
        }
    }
}

impl Model {
    fn stack(number: usize) -> String {
        format!("arn:aws:cloudformation:eu-west-1:123456789012:stack/stack-{number}/0000000{number}-0000-4000-8000-000000000000")
    }

    fn properties(&mut self) -> Value {
        let name = NAMES[self.rng.usize(..NAMES.len())];
        let params = match self.rng.u8(..3) {
            0 => json!({ "UpdateDeviceCertificateParams": { "Action": "DEACTIVATE" } }),
            1 => json!({ "AddThingsToThingGroupParams": { "ThingGroupNames": ["g"], "OverrideDynamicGroups": "true" } }),
            _ => json!({ "UpdateCACertificateParams": { "Action": "DEACTIVATE" } }),
        };
        let mut tags = Vec::new();
        for key in ["x", "y", "z"] {
            if self.rng.bool() {
                tags.push(json!({ "Key": key, "Value": self.rng.u8(..2).to_string() }));
            }
        }
        let on_conflict = ["Fail", "Adopt", "Overwrite"][self.rng.usize(..3)];
        let role = format!("arn:aws:iam::123456789012:role/role-{}", self.rng.u8(..2));
        json!({ "ActionName": name, "RoleArn": role, "ActionParams": params, "Tags": tags, "OnConflict": on_conflict })
    }

    /// Sets a few faults for the next request; what is left of them is cleared by [`Model::calm`].
    fn disturb(&mut self) {
        let operations = [
            "CreateMitigationAction",
            "UpdateMitigationAction",
            "DeleteMitigationAction",
            "ListTagsForResource",
            "TagResource",
            "UntagResource",
            "DescribeMitigationAction",
        ];
        while self.rng.u8(..3) == 0 {
            let operation = operations[self.rng.usize(..operations.len())];
            let fault = match self.rng.u8(..7) {
                0 => Fault::Throttle,
                1 => Fault::LoseBefore,
                2 => Fault::LoseAfter,
                3 => Fault::FailAfter,
                4 => Fault::Refuse(500, "InternalFailureException"),
                5 => Fault::Refuse(403, "AccessDeniedException"),
                _ => Fault::Refuse(410, "LimitExceededException"),
            };
            self.history.push(format!("  {operation}: {fault:?}"));
            self.world.aws.iot.faults.set(operation, fault, 1 + self.rng.usize(..2));
        }
        if self.rng.u8(..20) == 0 {
            // To the deadline, with or without the work done.
            let fault = if self.rng.bool() { Fault::Hang } else { Fault::HangAfter };
            let operation = operations[self.rng.usize(..operations.len())];
            self.history.push(format!("  {operation}: {fault:?} to the end"));
            self.world.aws.iot.faults.set(operation, fault, 1000);
        }
        self.world.aws.iot.set_takes_replays(self.rng.bool());
    }

    fn calm(&self) {
        self.world.aws.iot.faults.clear();
    }

    async fn send(&mut self, stack: usize, logical_id: &str, event: Value) -> Answer {
        self.requests += 1;
        let envelope = json!({
            "StackId": Self::stack(stack), "RequestId": self.requests.to_string(), "LogicalResourceId": logical_id,
            "ResourceType": "Custom::IoTMitigationAction",
        });
        let event = crate::support::stack::merged(event, &envelope);
        self.history.push(format!("{stack} {event}"));
        let played = self.world.play(&event).await;
        let answer = self.answered(&played);
        if self.rng.u8(..4) == 0 && matches!(answer, Answer::Success(_)) {
            // Delivered twice: the same answer, and nothing changes.
            let before = self.world.aws.iot.actions();
            self.calm();
            let again = self.world.play(&event).await;
            assert_eq!(self.answered(&again).id(), answer.id(), "{}", self.told());
            let strip = |actions: BTreeMap<String, crate::support::iot::Action>| -> Vec<_> {
                actions.into_iter().map(|(name, action)| (name, action.id, action.role_arn, action.params, action.tags)).collect()
            };
            assert_eq!(strip(self.world.aws.iot.actions()), strip(before), "a replay has changed something\n{}", self.told());
        }
        answer
    }

    fn answered(&mut self, played: &Played) -> Answer {
        let document = played.answer();
        self.history.push(format!("  -> {} {} {}", document["Status"], document["PhysicalResourceId"], document["Reason"]));
        let id = document["PhysicalResourceId"].as_str().unwrap().to_owned();
        if document["Status"] == "SUCCESS" { Answer::Success(id) } else { Answer::Failed(id) }
    }

    /// As often as an operator would: what fails for now is sent again without faults.
    async fn delete(&mut self, stack: usize, logical_id: &'static str, id: &str, properties: &Value) {
        let event = json!({ "RequestType": "Delete", "PhysicalResourceId": id, "ResourceProperties": properties });
        self.disturb();
        if let Answer::Failed(_) = self.send(stack, logical_id, event.clone()).await {
            self.calm();
            let Answer::Success(_) = self.send(stack, logical_id, event).await else {
                panic!("a Delete without faults has failed\n{}", self.told())
            };
        }
        self.calm();
    }

    async fn step(&mut self) {
        let stack = self.rng.usize(..2);
        let logical_id = LOGICAL_IDS[self.rng.usize(..3)];
        let key = (stack, logical_id);
        match self.resources.get(&key).cloned() {
            None => self.create(key).await,
            Some(resource) if self.rng.u8(..4) == 0 => {
                self.delete(stack, logical_id, &resource.id, &resource.properties).await;
                self.resources.remove(&key);
            }
            Some(resource) => self.update(key, resource).await,
        }
        self.calm();
        self.check();
    }

    async fn create(&mut self, key: (usize, &'static str)) {
        let properties = self.properties();
        self.disturb();
        let answer = self.send(key.0, key.1, json!({ "RequestType": "Create", "ResourceProperties": properties })).await;
        self.calm();
        match answer {
            // Cancelled: CloudFormation does not look at the answer and sends a Delete with an id of its own.
            Answer::Success(_) if self.rng.u8(..6) == 0 => self.delete(key.0, key.1, "stack-Logical-1A2B3C4D5E6F", &properties).await,
            Answer::Success(id) => {
                self.resources.insert(key, Resource { id, properties });
            }
            Answer::Failed(id) => self.delete(key.0, key.1, &id, &properties).await,
        }
    }

    async fn update(&mut self, key: (usize, &'static str), old: Resource) {
        let properties = self.properties();
        let update = |new: &Value, old_properties: &Value, id: &str| json!({ "RequestType": "Update", "PhysicalResourceId": id, "ResourceProperties": new, "OldResourceProperties": old_properties });
        self.disturb();
        let answer = self.send(key.0, key.1, update(&properties, &old.properties, &old.id)).await;
        self.calm();
        match answer {
            // Another resource of the stack failed: rolled back, and what the update made is deleted.
            Answer::Success(id) if self.rng.u8(..5) == 0 => {
                let back = self.send(key.0, key.1, update(&old.properties, &properties, &id)).await;
                let Answer::Success(restored) = back else { panic!("a rollback without faults has failed\n{}", self.told()) };
                if restored != id {
                    self.delete(key.0, key.1, &id, &properties).await;
                }
                self.resources.insert(key, Resource { id: restored, properties: old.properties });
            }
            Answer::Success(id) => {
                if id != old.id {
                    self.delete(key.0, key.1, &old.id, &old.properties).await;
                }
                self.resources.insert(key, Resource { id, properties });
            }
            Answer::Failed(id) => {
                assert_eq!(id, old.id, "a failed update keeps the physical id\n{}", self.told());
                let back = self.send(key.0, key.1, update(&old.properties, &properties, &old.id)).await;
                assert!(matches!(&back, Answer::Success(id) if *id == old.id), "a rollback without faults has failed\n{}", self.told());
            }
        }
    }

    /// The account holds exactly what the stacks say, and what is nobody's is as it was.
    fn check(&mut self) {
        let actions = self.world.aws.iot.actions();
        let of_stacks: BTreeSet<&str> = self.resources.values().map(|resource| resource.id.as_str()).collect();
        assert_eq!(of_stacks.len(), self.resources.len(), "two resources have one action\n{}", self.told());
        for (&(stack, logical_id), resource) in &self.resources {
            let Some(action) = actions.get(&resource.id) else { panic!("{} is gone\n{}", resource.id, self.told()) };
            let owner = action.tags.get(OWNER_TAG).map_or("", String::as_str);
            let suffix = format!("/stack-{stack}/0000000{stack}-0000-4000-8000-000000000000/{logical_id}");
            assert!(owner == format!("stack{suffix}") || owner == format!("adopted{suffix}"), "{owner} is not {suffix}\n{}", self.told());
            assert_eq!(action.role_arn, resource.properties["RoleArn"].as_str().unwrap(), "{}", self.told());
            for tag in resource.properties["Tags"].as_array().unwrap() {
                assert_eq!(action.tags.get(tag["Key"].as_str().unwrap()).map(String::as_str), tag["Value"].as_str(), "{}", self.told());
            }
            if self.foreign.contains_key(&resource.id) {
                self.taken.insert(resource.id.clone());
            }
        }
        for (name, action) in &actions {
            if of_stacks.contains(name.as_str()) {
                continue;
            }
            let Some((params, tags)) = self.foreign.get(name) else { panic!("{name} is left behind\n{}", self.told()) };
            if !self.taken.contains(name) {
                // An overwrite that failed after its update has changed the definition; nothing may have changed the tags.
                assert!(action.params == *params || self.history.iter().any(|line| line.contains("Overwrite")), "{}", self.told());
            }
            assert_eq!(action.tags.get(OWNER_TAG), tags.get(OWNER_TAG), "{name} keeps a tag of ours\n{}", self.told());
        }
        self.foreign.retain(|name, _| actions.contains_key(name));
        self.taken.retain(|name| actions.contains_key(name));
    }

    fn plant(&mut self) {
        for name in ["b", "c"] {
            if self.rng.bool() && self.world.aws.iot.action(name).is_none() {
                let params = json!({ "updateDeviceCertificateParams": { "action": "DEACTIVATE" } });
                let owner = ["", "stack/elsewhere/0/X"][self.rng.usize(..2)];
                let tags: Vec<(&str, &str)> = if owner.is_empty() { vec![] } else { vec![(OWNER_TAG, owner)] };
                self.world.aws.iot.plant(name, "arn:aws:iam::123456789012:role/role-0", params.clone(), &tags);
                let tags = tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
                self.foreign.insert(name.to_owned(), (params, tags));
            }
        }
    }

    fn told(&self) -> String {
        self.history.join("\n")
    }
}

#[tokio::test]
async fn after_any_history_the_account_holds_exactly_what_the_stacks_say() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let first = number("MODEL_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    let histories = number("MODEL_HISTORIES").unwrap_or(if number("MODEL_SEED").is_some() { 1 } else { 400 });
    let lanes = (0..LANES).map(|lane| async move {
        for seed in (first..first + histories).filter(|seed| seed % LANES == lane) {
            play(seed).await;
        }
    });
    futures_util::future::join_all(lanes).await;
}

async fn play(seed: u64) {
    let mut model = Model {
        rng: Rng::with_seed(seed),
        world: world().await.with_timeout(Duration::from_secs(1)),
        resources: BTreeMap::new(),
        foreign: BTreeMap::new(),
        taken: BTreeSet::new(),
        history: vec![format!("MODEL_SEED={seed}")],
        requests: 0,
    };
    model.plant();
    for _ in 0..STEPS {
        model.step().await;
    }
}
