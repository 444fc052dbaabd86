//! Batches of a standard or a FIFO queue, with and without a result bus: once a message has to be
//! redelivered, no later message that shares its name or group is executed.
//!
//! A message may fail because its create or update is rejected or gets no response, or because its
//! result is not published. Redriven messages have new ids, and are recognized by their
//! `requestId`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use proptest::{prelude::*, sample::select};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stand_ins::{
    bus::Event,
    iot::Call,
    stack::{World, merged},
};

use super::{FaultKind, InjectedFault, Model, Params, TestCaseResult, ensure, role_arn};
use crate::world_with;

const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Step {
    queue: Queue,
    has_bus: bool,
    messages: Vec<Message>,
    faults: Vec<InjectedFault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Queue {
    Standard,
    Fifo,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Message {
    name: String,
    group: String,
    asks: Asks,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Asks {
    Create(Params),
    Update(Params),
    Delete,
    /// Nothing that can be read.
    Noise,
}

/// A message on its way.
#[derive(Clone, Debug)]
struct Posted {
    id: String,
    request_id: String,
    message: Message,
}

pub(super) struct Order {
    with_bus: World,
    without_bus: World,
    posted: usize,
    transcript: Vec<String>,
}

impl Model for Order {
    type Step = Step;
    const NAME: &'static str = "order";
    const HISTORIES: u64 = 300;
    const STEPS: usize = 3;
    const LANES: usize = 24;

    fn step() -> BoxedStrategy<Step> {
        let asks = prop_oneof![
            4 => Params::any().prop_map(Asks::Create),
            2 => Params::any().prop_map(Asks::Update),
            3 => Just(Asks::Delete),
            1 => Just(Asks::Noise),
        ];
        let message = (select(vec!["a", "b", "c"]), select(vec!["g", "h", "i"]), asks).prop_map(
            |(name, group, asks)| Message { name: name.to_owned(), group: group.to_owned(), asks },
        );
        let calls = vec![
            ("CreateMitigationAction", FaultKind::Denied),
            ("CreateMitigationAction", FaultKind::Hung),
            ("UpdateMitigationAction", FaultKind::Denied),
            ("DeleteMitigationAction", FaultKind::Denied),
            ("entry", FaultKind::FailedBefore),
            ("PutEvents", FaultKind::Denied),
        ];
        let fault = (select(calls), 1..=2_usize).prop_map(|((call, kind), times)| InjectedFault {
            call: call.to_owned(),
            kind,
            times,
        });
        (
            select(vec![Queue::Standard, Queue::Fifo]),
            any::<bool>(),
            prop::collection::vec(message, 2..=8),
            prop::collection::vec(fault, 0..=2),
        )
            .prop_map(|(queue, has_bus, messages, faults)| Step {
                queue,
                has_bus,
                messages,
                faults,
            })
            .boxed()
    }

    async fn start() -> Self {
        Self {
            with_bus: world_with(&[("RESULT_EVENT_BUS", "results")]).await.with_timeout(TIMEOUT),
            without_bus: world_with(&[]).await.with_timeout(TIMEOUT),
            posted: 0,
            transcript: Vec::new(),
        }
    }

    async fn play(&mut self, history: &[Step]) -> TestCaseResult {
        self.posted = 0;
        self.transcript.clear();
        for step in history {
            self.transcript.push(format!("{step:?}"));
            let world = if step.has_bus { &self.with_bus } else { &self.without_bus };
            world.aws.reset();
            world.aws.iot.take_calls();
            for fault in &step.faults {
                let is_of_bus = ["entry", "PutEvents"].contains(&fault.call.as_str());
                let aws = &world.aws;
                fault.set(if is_of_bus { &aws.bus.faults } else { &aws.iot.faults });
            }
            self.drain(step).await?;
        }
        Ok(())
    }

    fn transcript(&self) -> String {
        self.transcript.join("\n")
    }
}

impl Message {
    fn body(&self, request_id: &str) -> String {
        let params = |params: Params, operation: &str| {
            json!({
                "operation": operation, "actionName": self.name, "roleArn": role_arn("role"),
                "actionParams": params.to_api(), "requestId": request_id,
            })
        };
        match self.asks {
            Asks::Create(given) => params(given, "CreateMitigationAction").to_string(),
            Asks::Update(given) => params(given, "UpdateMitigationAction").to_string(),
            Asks::Delete => json!({
                "operation": "DeleteMitigationAction", "actionName": self.name,
                "requestId": request_id,
            })
            .to_string(),
            Asks::Noise => "no request".to_owned(),
        }
    }

    /// What it may share with others.
    fn keys(&self, queue: Queue) -> Vec<String> {
        let name = (self.asks != Asks::Noise).then(|| format!("name {}", self.name));
        let group = (queue == Queue::Fifo).then(|| format!("group {}", self.group));
        name.into_iter().chain(group).collect()
    }
}

impl Order {
    /// Delivers the messages until each is done, or has been redelivered thrice.
    async fn drain(&mut self, step: &Step) -> TestCaseResult {
        let mut waiting: VecDeque<Posted> = VecDeque::new();
        for message in &step.messages {
            self.posted += 1;
            let request_id = format!("request {}", self.posted);
            waiting.push_back(Posted { id: String::new(), request_id, message: message.clone() });
        }
        for round in 0..4 {
            // Each delivery is as after a redrive: the messages have new ids.
            for posted in &mut waiting {
                posted.id = format!("{} in round {round}", posted.request_id);
            }
            let batch: Vec<Posted> = waiting.iter().cloned().collect();
            if batch.is_empty() {
                break;
            }
            let redelivered = self.deliver(step, &batch).await?;
            waiting.retain(|posted| redelivered.contains(&posted.id));
        }
        Ok(())
    }

    /// Delivers a batch and checks what comes of it; returns the ids of what is redelivered.
    async fn deliver(
        &mut self,
        step: &Step,
        batch: &[Posted],
    ) -> Result<BTreeSet<String>, proptest::test_runner::TestCaseError> {
        let world = if step.has_bus { &self.with_bus } else { &self.without_bus };
        let event = event(batch, step.queue).to_string().into_bytes();
        let returned = world.aws.lambda.invoke(event, world.timeout, &world.arn).await;
        let calls = world.aws.iot.take_calls();
        let events = world.aws.bus.take();
        let failures =
            returned.as_ref().ok().and_then(|value| value["batchItemFailures"].as_array());
        ensure(failures.is_some(), || format!("the function returned {returned:?}"))?;
        let id = |failure: &Value| failure["itemIdentifier"].as_str().unwrap().to_owned();
        let redelivered: BTreeSet<String> = failures.into_iter().flatten().map(id).collect();
        self.transcript.push(format!("redelivered: {redelivered:?}"));
        self.transcript.extend(
            calls
                .iter()
                .map(|call| format!("  {} {} {}", call.operation, call.name(), call.status)),
        );
        check(step, batch, &redelivered, &calls, &events)?;
        Ok(redelivered)
    }
}

/// The event of a batch. A FIFO queue's is in order; a standard queue's has its order in the
/// timestamps, and is reversed.
fn event(batch: &[Posted], queue: Queue) -> Value {
    let record = |(index, posted): (usize, &Posted)| {
        let record = json!({
            "messageId": posted.id, "eventSource": "aws:sqs", "awsRegion": "eu-west-1",
            "body": posted.message.body(&posted.request_id),
            "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:requests",
            "attributes": { "SentTimestamp": (1000 + index).to_string() },
        });
        let patch = json!({
            "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:requests.fifo",
            "attributes": { "SentTimestamp": "1", "MessageGroupId": posted.message.group },
        });
        if queue == Queue::Fifo { merged(record, &patch) } else { record }
    };
    let mut records: Vec<Value> = batch.iter().enumerate().map(record).collect();
    if queue == Queue::Standard {
        records.reverse();
    }
    json!({ "Records": records })
}

fn check(
    step: &Step,
    batch: &[Posted],
    redelivered: &BTreeSet<String>,
    calls: &[Call],
    events: &[Event],
) -> TestCaseResult {
    let results: BTreeMap<&str, &Value> = events
        .iter()
        .map(|event| (event.detail["requestId"].as_str().unwrap_or_default(), &event.detail))
        .collect();
    let mut blocked: BTreeSet<String> = BTreeSet::new();
    let mut executed: BTreeSet<&str> = BTreeSet::new();
    for posted in batch {
        let keys = posted.message.keys(step.queue);
        let is_blocked = keys.iter().any(|key| blocked.contains(key));
        let is_redelivered = redelivered.contains(&posted.id);
        ensure(is_redelivered || !is_blocked, || {
            format!("{} is done, and an earlier one that shares a key is not", posted.id)
        })?;
        let has_result = results.contains_key(posted.request_id.as_str());
        ensure(!is_blocked || !has_result, || format!("{} was executed", posted.id))?;
        ensure(is_redelivered || has_result || !step.has_bus, || {
            format!("{} is done and not reported", posted.id)
        })?;
        if is_redelivered {
            blocked.extend(keys);
        }
        if !is_blocked && posted.message.asks != Asks::Noise {
            executed.insert(&posted.message.name);
        }
    }
    check_deletes(batch, redelivered, calls)?;
    let stray = calls.iter().find(|call| !executed.contains(call.name()));
    ensure(stray.is_none(), || format!("an unexpected call: {stray:?}"))
}

/// A delete that follows a redelivered message of its name is not executed.
fn check_deletes(
    batch: &[Posted],
    redelivered: &BTreeSet<String>,
    calls: &[Call],
) -> TestCaseResult {
    for name in ["a", "b", "c"] {
        let of_name = || {
            batch
                .iter()
                .filter(|posted| posted.message.name == name && posted.message.asks != Asks::Noise)
        };
        let before = of_name().take_while(|posted| !redelivered.contains(&posted.id));
        let first = of_name().find(|posted| redelivered.contains(&posted.id));
        let asked =
            before.chain(first).filter(|posted| posted.message.asks == Asks::Delete).count();
        let done = calls
            .iter()
            .filter(|call| call.operation == "DeleteMitigationAction" && call.name() == name)
            .filter(|call| call.status == 200)
            .count();
        ensure(done <= asked, || format!("{name} was deleted {done} times"))?;
    }
    Ok(())
}
