//! One instance through a great many invocations of every kind, with faults: its memory and its descriptors stay flat, and
//! nothing is lost. Each of a few actions lives its life again and again through a trigger of its own.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use fastrand::Rng;
use serde_json::{Value, json};
use stand_ins::{
    Function, OWNER_TAG,
    bus::Event,
    fault::{Fault, Faults},
    lambda::{Lambda, Returned},
    queue::{Message, Queue},
    stack::merged,
};

use crate::{
    sample,
    subject::{Stage, memory},
};

const TRIGGERS: [Trigger; 5] =
    [Trigger::Stack, Trigger::Topic, Trigger::Event, Trigger::Queue, Trigger::Call];
const LIVES: usize = 15;
/// How often memory and descriptors are looked at.
const LOOKS: u32 = 10;
/// How much more memory there may be at the end than at the first look, in KiB.
const MOST_GROWTH: u64 = 256;
/// Of how many invocations one meets a fault, and one hangs to its deadline.
const ONE_IN: u32 = 50;
const ONE_HANGS_IN: u32 = 5000;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Trigger {
    Stack,
    Topic,
    Event,
    Queue,
    Call,
}

/// An action's life: through which trigger, and the role that it has where it is there.
struct Life {
    trigger: Trigger,
    name: String,
    role: Option<String>,
}

struct Endurance {
    stage: Stage,
    rng: Rng,
    played: u32,
    again: u32,
}

/// Plays so many invocations and prints what the instance held meanwhile.
pub async fn run(binary: &Path, invocations: u32) -> ExitCode {
    let seed = std::env::var("ENDURE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("seed {seed} (ENDURE_SEED plays it again)\n");
    let stage = Stage::start().await;
    let mut settings: Vec<(&str, &str)> = stage.tls.settings().into();
    settings
        .extend([("RESULT_EVENT_BUS", "results"), ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")]);
    let mut function = Function::start(binary, &stage.aws, &settings);
    let mut endurance = Endurance { stage, rng: Rng::with_seed(seed), played: 0, again: 0 };
    let mut lives: Vec<Life> = (0..LIVES)
        .map(|number| Life {
            trigger: TRIGGERS[number % TRIGGERS.len()],
            name: format!("life-{number}"),
            role: None,
        })
        .collect();
    println!("| invocations | resident, KiB | descriptors | invocations a second |");
    println!("|--:|--:|--:|--:|");
    let mut looks = Vec::new();
    let mut began = (Instant::now(), 0);
    for look in 1..=LOOKS {
        while endurance.played < invocations / LOOKS * look {
            let life = &mut lives[endurance.rng.usize(..LIVES)];
            // The queue's calls are paced: were they as many as the others, all would wait for them.
            if life.trigger != Trigger::Queue || endurance.rng.u8(..20) == 0 {
                endurance.live(life).await;
            }
            if endurance.rng.u8(..10) == 0 {
                endurance.play_nonsense().await;
            }
            // What it printed is not kept: the driver would grow.
            function.clear_output();
        }
        let rate = f64::from(endurance.played - began.1) / began.0.elapsed().as_secs_f64();
        began = (Instant::now(), endurance.played);
        let (resident, descriptors) = held(function.id());
        println!("| {} | {resident} | {descriptors} | {rate:.0} |", endurance.played);
        looks.push((resident, descriptors));
        let there: BTreeSet<String> = endurance.stage.aws.iot.actions().into_keys().collect();
        let expected =
            lives.iter().filter(|life| life.role.is_some()).map(|life| life.name.clone()).collect();
        assert_eq!(there, expected, "the account holds something else than what was asked for");
    }
    assert!(function.is_running());
    println!(
        "\n{} calls met a fault, {} requests were delivered again; every one was answered and reported, and after each the account held what it asked for",
        endurance.faults().map(Faults::injected).iter().sum::<usize>(),
        endurance.again
    );
    let (first, last) = (looks[0], looks[looks.len() - 1]);
    if last.0 > first.0 + MOST_GROWTH || last.1 > first.1 + 2 {
        println!(
            "memory or descriptors have grown: {first:?} after the first {}, {last:?} at the end",
            invocations / LOOKS
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

impl Endurance {
    fn faults(&self) -> [&Faults; 3] {
        [&self.stage.aws.iot.faults, &self.stage.aws.bucket.faults, &self.stage.aws.bus.faults]
    }

    /// The next step of a life: made where it is not there, else changed or deleted.
    async fn live(&mut self, life: &mut Life) {
        let operation = match (&life.role, self.rng.u8(..3)) {
            (None, _) => "Create",
            (Some(_), 0) => "Delete",
            (Some(_), _) => "Update",
        };
        let role = format!("arn:aws:iam::123456789012:role/role-{}", self.rng.u8(..9));
        match life.trigger {
            Trigger::Stack | Trigger::Topic => self.request(life, operation, &role).await,
            Trigger::Event | Trigger::Queue | Trigger::Call => {
                self.ask(life, operation, &role).await;
            }
        }
        life.role = (operation != "Delete").then_some(role);
        let action = self.stage.aws.iot.action(&life.name);
        let has_owner = action.as_ref().is_none_or(|action| {
            let kind = match life.trigger {
                Trigger::Stack | Trigger::Topic => "stack/",
                Trigger::Event | Trigger::Queue => "event/",
                Trigger::Call => "request/",
            };
            action.tags.get(OWNER_TAG).is_some_and(|tag| tag.starts_with(kind))
        });
        assert!(
            action.as_ref().map(|action| &action.role_arn) == life.role.as_ref() && has_owner,
            "{operation} of {} came to {action:?}",
            life.name
        );
    }

    /// A custom resource's request; one that failed is followed up as CloudFormation and an operator do.
    async fn request(&mut self, life: &Life, operation: &str, role: &str) {
        let id = if operation == "Create" { Value::Null } else { json!(life.name) };
        let envelope = json!({
            "RequestType": operation, "LogicalResourceId": life.name, "PhysicalResourceId": id,
            "ResourceProperties": { "ActionName": life.name, "RoleArn": role },
        });
        let request = merged(sample("create-add-things-to-thing-group.json"), &envelope);
        self.disturb(operation, "PUT");
        let document = self.answered(life.trigger, &request).await;
        if document["Status"] == "SUCCESS" {
            return;
        }
        self.again += 1;
        if operation == "Create" {
            let id = json!({ "RequestType": "Delete", "PhysicalResourceId": document["PhysicalResourceId"] });
            let follow_up = self.answered(life.trigger, &merged(request.clone(), &id)).await;
            assert_eq!(follow_up["Status"], "SUCCESS", "{follow_up}");
        }
        let document = self.answered(life.trigger, &request).await;
        assert_eq!(document["Status"], "SUCCESS", "{document}");
    }

    /// Sends a request to a URL of its own, and returns the one document that is accepted there.
    async fn answered(&mut self, trigger: Trigger, request: &Value) -> Value {
        let key = format!("{:032x}", self.rng.u128(..));
        let url = json!({ "ResponseURL": format!("{}/response/{key}", self.stage.tls.bucket.url), "RequestId": key });
        let mut event = merged(request.clone(), &url);
        if trigger == Trigger::Topic {
            let mut notification = sample("notification.json");
            notification["Records"][0]["Sns"]["Message"] = json!(event.to_string());
            event = notification;
        }
        drop(self.invoke(&event).await);
        self.stage.aws.bucket.check();
        let accepted: Vec<Value> = self
            .stage
            .aws
            .bucket
            .take()
            .into_iter()
            .filter(|put| put.key == key && put.accepted)
            .map(|put| put.response())
            .collect();
        // A lost reply makes it come twice, the same.
        assert!(accepted.windows(2).all(|pair| pair[0] == pair[1]), "{accepted:?}");
        accepted.into_iter().next().unwrap_or_else(|| panic!("no answer to {event}"))
    }

    /// An event, a message or a direct call; what may pass is delivered again.
    async fn ask(&mut self, life: &Life, operation: &str, role: &str) {
        let id = format!("{:032x}", self.rng.u128(..));
        let named =
            json!({ "actionName": life.name, "operation": format!("{operation}MitigationAction") });
        let role = json!({ "roleArn": role });
        let detail = match operation {
            "Create" => {
                merged(merged(sample("event-create.json")["detail"].clone(), &role), &named)
            }
            "Update" => merged(role, &named),
            _ => named,
        };
        let mut event = sample("event-create.json");
        (event["detail"], event["id"]) = (detail.clone(), json!(id));
        let event = match life.trigger {
            Trigger::Call => merged(detail, &json!({ "requestId": id })),
            Trigger::Queue => Queue::event(&[Message {
                id: id.clone(),
                body: event.to_string(),
                sent: 1,
                receive_count: 1,
            }]),
            _ => event,
        };
        let over = if life.trigger == Trigger::Call { "none" } else { "PutEvents" };
        self.disturb(operation, over);
        let is_done = |returned: &Returned| {
            returned
                .as_ref()
                .is_ok_and(|value| value["batchItemFailures"].as_array().is_none_or(Vec::is_empty))
        };
        let mut returned = self.invoke(&event).await;
        if !is_done(&returned) {
            self.again += 1;
            returned = self.invoke(&event).await;
        }
        assert!(is_done(&returned), "{event}: {returned:?}");
        let results = self.stage.aws.bus.take();
        if life.trigger != Trigger::Call {
            let of_this = |result: &&Event| {
                result.detail["requestId"] == id && result.detail["status"] == "SUCCEEDED"
            };
            assert!(
                results.iter().filter(of_this).count() >= 1,
                "no result of {event}: {results:?}"
            );
        }
    }

    /// What is no request, or one that is refused: answered as well, and nothing comes of it.
    async fn play_nonsense(&mut self) {
        let allowed = format!("{}/response/nonsense", self.stage.tls.bucket.url);
        let unread =
            json!({ "Records": [{ "eventSource": "aws:sqs", "messageId": "m", "body": "{" }] });
        let another = json!({ "detail-type": "Another", "source": "s", "detail": {} });
        let foreign = merged(
            sample("create-invalid.json"),
            &json!({ "ResponseURL": "https://example.com/" }),
        );
        let invalid = merged(sample("create-invalid.json"), &json!({ "ResponseURL": allowed }));
        let broken = json!({ "ResponseURL": allowed, "ResourceProperties": "x".repeat(100_000) });
        let long = merged(
            sample("direct-invalid.json"),
            &json!({ "tags": [{ "Key": "k".repeat(10_000) }] }),
        );
        let cases = [
            (json!({}), "UnrecognizedEvent"),
            (json!([[[["deep"]]]]), "UnrecognizedEvent"),
            (unread, "m"),
            (another, "UnrecognizedEvent"),
            (foreign, "ForbiddenResponseUrl"),
            (invalid, "FAILED"),
            (broken, "FAILED"),
            (long, "InvalidRequestException"),
        ];
        let (event, expected) = &cases[self.rng.usize(..cases.len())];
        let said = match self.invoke(event).await {
            Ok(value) if value["Status"].is_string() => {
                self.stage.aws.bucket.check();
                let puts = self.stage.aws.bucket.take();
                assert!(
                    matches!(puts.as_slice(), [put] if put.accepted && put.response() == value),
                    "{event}: {puts:?}"
                );
                value["Status"].clone()
            }
            Ok(value) => value["batchItemFailures"][0]["itemIdentifier"].clone(),
            Err(error) => error["errorType"].clone(),
        };
        assert_eq!(said, *expected, "{event}");
        assert!(
            self.stage.aws.bucket.take().is_empty() && self.stage.aws.bus.take().is_empty(),
            "{event}"
        );
    }

    async fn invoke(&mut self, event: &Value) -> Returned {
        self.played += 1;
        let returned = self
            .stage
            .aws
            .lambda
            .invoke(event.to_string().into_bytes(), Duration::from_secs(3), &Lambda::arn())
            .await;
        assert!(
            returned.as_ref().err().is_none_or(|error| error["errorType"] != "Timeout"),
            "no answer in time to {event}"
        );
        self.faults().into_iter().for_each(Faults::clear);
        self.stage.aws.iot.take_calls();
        returned
    }

    /// Sometimes sets a fault for the next invocation: of a call of AWS IoT that it makes, or of the way that its result takes.
    fn disturb(&mut self, operation: &str, way: &str) {
        let proof =
            if operation == "Create" { "CreateMitigationAction" } else { "ListTagsForResource" };
        let call =
            if self.rng.bool() { proof.to_owned() } else { format!("{operation}MitigationAction") };
        let aws = &self.stage.aws;
        if self.rng.u32(..ONE_HANGS_IN) == 0 {
            aws.iot.faults.set(
                &call,
                if self.rng.bool() { Fault::Hang } else { Fault::HangAfter },
                1000,
            );
        } else if self.rng.u32(..ONE_IN) == 0 {
            let fault = match self.rng.u8(..7) {
                0 => Fault::Throttle,
                1 => Fault::LoseBefore,
                2 => Fault::LoseAfter,
                3 => Fault::FailAfter,
                4 => Fault::Refuse(503, "ServiceUnavailableException"),
                5 => Fault::Slow(Duration::from_millis(5)),
                _ => Fault::Garbage,
            };
            match (self.rng.bool(), way) {
                (true, "PUT") => aws.bucket.faults.set(way, fault, 1),
                (true, "PutEvents") if self.rng.bool() => {
                    aws.bus.faults.set("entry", Fault::Refuse(0, "InternalFailure"), 1);
                }
                (true, "PutEvents") => aws.bus.faults.set(way, fault, 1),
                _ => aws.iot.faults.set(&call, fault, 1),
            }
        }
    }
}

/// KiB that a process has resident, and its open descriptors.
fn held(process: u32) -> (u64, usize) {
    (memory(process, "VmRSS"), fs::read_dir(format!("/proc/{process}/fd")).unwrap().count())
}
