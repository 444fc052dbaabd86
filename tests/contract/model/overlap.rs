//! One resource of a stack, whose requests overlap at several instances. While a request waits for
//! its new role, CloudFormation cancels it and sends the rollback, or redelivers it. Failed creates
//! are retried before they are cleaned up, and tags lag behind.
//!
//! Excluded is what the README does not promise under "Guarantees and limits": a delivery that
//! arrives after a later request (no canceled request is redelivered after its cancellation), a
//! call that is being sent when a later request responds ([`Overlap::is_race`]), and a create that
//! is repeated after a lost response (none is lost here). The Delete of a canceled Create responds
//! once it has deleted what the Create made ("Nothing left behind, nothing else taken"), so a
//! Create that is redelivered is not canceled.

mod request;

use std::time::Duration;

use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};
use stand_ins::{
    Function, OWNER_TAG,
    iot::{Action, Call},
    stack::{Exchange, World, merged},
};
use tokio::time::sleep;

use super::{Model, TestCaseResult, ensure};
use crate::{function, world_with};
use request::{Declaration, Properties, Resource, Step};

const SETTINGS: [(&str, &str); 1] = [("ROLE_PROPAGATION_SECONDS", "3")];
const TIMEOUT: Duration = Duration::from_secs(8);
const OWNER: &str = "stack/stack/00000000-0000-4000-8000-0000000000aa/One";

pub(super) struct Overlap {
    world: World,
    _others: [Function; 2],
    resource: Option<Resource>,
    requests: usize,
    /// The calls of the step.
    calls: Vec<Call>,
    transcript: Vec<String>,
}

/// The deliveries of one request, and its rollback if it was canceled.
struct Deliveries {
    first: Exchange,
    second: Option<Exchange>,
    rollback: Option<Exchange>,
}

impl Model for Overlap {
    type Step = Step;
    const NAME: &'static str = "overlap";
    const HISTORIES: u64 = 150;
    const STEPS: usize = 3;
    const LANES: usize = 32;

    fn step() -> BoxedStrategy<Step> {
        Step::any()
    }

    async fn start() -> Self {
        let world = world_with(&SETTINGS).await.with_timeout(TIMEOUT);
        let others = [(); 2].map(|()| function(&world.aws, &SETTINGS));
        Self {
            world,
            _others: others,
            resource: None,
            requests: 0,
            calls: Vec::new(),
            transcript: Vec::new(),
        }
    }

    async fn play(&mut self, history: &[Step]) -> TestCaseResult {
        self.world.aws.reset();
        (self.resource, self.requests) = (None, 0);
        self.transcript.clear();
        for step in history {
            self.transcript.push(format!("{step:?}"));
            self.calls.clear();
            match step {
                Step::Declare(declaration) => self.declare(declaration).await?,
                Step::Remove => {
                    if let Some(old) = self.resource.take() {
                        self.delete(&old.id, &old.properties).await?;
                    }
                }
            }
            self.check()?;
        }
        Ok(())
    }

    fn transcript(&self) -> String {
        self.transcript.join("\n")
    }
}

impl Overlap {
    async fn declare(&mut self, declaration: &Declaration) -> TestCaseResult {
        let Declaration { desired, role_after, repeat_after, retry, tag_lag, .. } = declaration;
        let desired = Properties { role: self.requests, ..desired.clone() };
        let iot = &self.world.aws.iot;
        iot.set_new_role(&desired.role_arn(), milliseconds(*role_after));
        iot.set_tag_lag(milliseconds(*tag_lag));
        let request = self.request(&desired);
        let rollback = self.rollback(&desired);
        let Deliveries { first, second, rollback: rolled_back } =
            self.deliver(declaration, &request, &rollback).await;
        self.record("", &request, &first);
        if let Some(second) = &second {
            self.record("redelivered", &request, second);
        }
        if let Some(exchange) = rolled_back {
            self.record("canceled", &rollback, &exchange);
            return check_rollback(&exchange);
        }
        self.world.aws.iot.set_new_role(&desired.role_arn(), Duration::ZERO);
        let accepted = match second {
            Some(second) if finished(&second, *repeat_after) < finished(&first, Some(0)) => second,
            _ => first,
        };
        self.settle(desired, &request, &accepted, *retry).await
    }

    /// Sends a request, its second delivery and its rollback at their times, to one instance each.
    async fn deliver(
        &self,
        declaration: &Declaration,
        request: &Value,
        rollback: &Value,
    ) -> Deliveries {
        let iot = &self.world.aws.iot;
        let changes = iot.changes();
        let repeat = async || {
            let after = self.redelivered_after(declaration)?;
            sleep(milliseconds(after)).await;
            Some(self.world.send(request).await)
        };
        // The request has begun when it is canceled: one that arrives later is excluded.
        let cancel = async || {
            sleep(milliseconds(declaration.cancel_after?)).await;
            while iot.changes() == changes {
                sleep(Duration::from_millis(5)).await;
            }
            Some(self.world.send(rollback).await)
        };
        let (first, second, rollback) = tokio::join!(self.world.send(request), repeat(), cancel());
        Deliveries { first, second, rollback }
    }

    /// Does what CloudFormation does after the response to a request that it did not cancel.
    async fn settle(
        &mut self,
        desired: Properties,
        request: &Value,
        accepted: &Exchange,
        is_retried: bool,
    ) -> TestCaseResult {
        let id = accepted.physical_id().to_owned();
        match (self.resource.take(), is_success(accepted)) {
            (None, true) => self.resource = Some(Resource { id, properties: desired }),
            (None, false) => {
                if is_retried {
                    self.retry(&desired, request).await;
                }
                self.delete(&id, &desired).await?;
            }
            (Some(old), true) => {
                if old.id != id {
                    self.delete(&old.id, &old.properties).await?;
                }
                self.resource = Some(Resource { id, properties: desired });
            }
            (Some(old), false) => {
                ensure(id == old.id, || format!("a failed update changed the id to {id}"))?;
                let reverse = self.reverse(&old, &desired);
                let exchange = self.world.send(&reverse).await;
                self.record("rolled back", &reverse, &exchange);
                check_rollback(&exchange)?;
                self.resource = Some(old);
            }
        }
        Ok(())
    }

    /// Sends a failed Create again, as another request.
    async fn retry(&mut self, desired: &Properties, request: &Value) {
        let request = merged(request.clone(), &json!({ "RequestId": self.next_id() }));
        let exchange = self.world.send(&request).await;
        self.record("retried", &request, &exchange);
        if is_success(&exchange) {
            let id = exchange.physical_id().to_owned();
            self.resource = Some(Resource { id, properties: desired.clone() });
        }
    }

    async fn delete(&mut self, id: &str, properties: &Properties) -> TestCaseResult {
        let patch = json!({ "RequestType": "Delete", "PhysicalResourceId": id });
        let event = merged(self.event(properties), &patch);
        let exchange = self.world.send(&event).await;
        self.record("deleted", &event, &exchange);
        ensure(is_success(&exchange), || format!("a Delete got {}", exchange.response()))
    }

    fn record(&mut self, what: &str, event: &Value, exchange: &Exchange) {
        let [request_type, id] = ["RequestType", "PhysicalResourceId"].map(|name| &event[name]);
        let response = exchange.response();
        self.calls.extend(exchange.calls.iter().cloned());
        self.transcript.push(format!(
            "  {what} {request_type} {id} {} -> {} {} {}",
            event["ResourceProperties"],
            response["Status"],
            response["PhysicalResourceId"],
            response["Reason"]
        ));
    }

    /// The account holds the action of the resource, and no other.
    fn check(&mut self) -> TestCaseResult {
        let actions = self.world.aws.iot.actions();
        self.calls.sort_by_key(|call| call.at);
        let expected = self.resource.clone();
        let is_right = |(name, action): (&String, &Action)| {
            action.tags.get(OWNER_TAG).is_some_and(|tag| tag == OWNER)
                && expected.as_ref().is_some_and(|resource| {
                    resource.id == *name && resource.properties.matches(action)
                })
        };
        let holds =
            actions.len() == usize::from(expected.is_some()) && actions.iter().all(is_right);
        if holds || self.is_race() {
            return Ok(());
        }
        let calls: Vec<String> = self
            .calls
            .iter()
            .map(|call| format!("{} {} {}", call.operation, call.name(), call.status))
            .collect();
        self.transcript.push(calls.join("\n"));
        Err(TestCaseError::fail(format!("the stack has {expected:?}, the account {actions:?}")))
    }

    /// Whether the last update was being sent when the rollback made its own. If so, the next step
    /// begins with an empty account.
    fn is_race(&mut self) -> bool {
        let mut updates =
            self.calls.iter().rev().filter(|call| call.operation == "UpdateMitigationAction");
        let (Some(last), Some(before)) = (updates.next(), updates.next()) else { return false };
        let is_race = last.at.duration_since(before.at) < Duration::from_millis(20)
            && last.status == 200
            && before.status == 200;
        if is_race {
            self.world.aws.iot.reset();
            self.resource = None;
        }
        is_race
    }
}

fn is_success(exchange: &Exchange) -> bool {
    exchange.response()["Status"] == "SUCCESS"
}

fn check_rollback(exchange: &Exchange) -> TestCaseResult {
    ensure(is_success(exchange), || format!("a rollback got {}", exchange.response()))
}

fn milliseconds(milliseconds: u16) -> Duration {
    Duration::from_millis(milliseconds.into())
}

/// When a delivery got its response, if it began after so many milliseconds.
fn finished(exchange: &Exchange, began_after: Option<u16>) -> Duration {
    milliseconds(began_after.unwrap_or_default()) + exchange.response_time.unwrap_or(TIMEOUT)
}
