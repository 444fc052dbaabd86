//! One resource of a stack, whose requests overlap at several instances: a request waits for its new role,
//! and meanwhile CloudFormation cancels it and sends what follows, or delivers it once more. Failed
//! creates are retried before they are cleaned up, and tags lag behind.
//!
//! Excluded is what section 7 of the contract does not promise: a delivery that arrives after a later
//! request (no cancelled request is repeated after its cancellation), a call that is already sent when
//! a later request responds ([`Overlap::is_sent_before`]), and a create that is repeated after a lost
//! answer (no answer is lost here). And the Delete of a cancelled Create responds once it has deleted
//! what the Create made (invariant 4), so a Create that is delivered twice is not cancelled.

use std::time::Duration;

use proptest::{prelude::*, sample::select, test_runner::TestCaseError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stand_ins::{
    Function, OWNER_TAG,
    iot::{Action, Call},
    stack::{Exchange, World, merged},
};
use tokio::time::sleep;

use super::{Model, Params, TestCaseResult, ensure, role_arn};
use crate::{function, world_with};

const SETTINGS: [(&str, &str); 1] = [("ROLE_PROPAGATION_SECONDS", "3")];
const TIMEOUT: Duration = Duration::from_secs(8);
const STACK: &str = "arn:aws:cloudformation:eu-west-1:123456789012:stack/stack/00000000-0000-4000-8000-0000000000aa";
const OWNER: &str = "stack/stack/00000000-0000-4000-8000-0000000000aa/One";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Step {
    /// The template declares the resource: it is created, or updated.
    Declare {
        wish: Properties,
        /// When the role becomes known, after the request: milliseconds.
        role_after: u16,
        /// When the request is cancelled, if it is.
        cancel_after: Option<u16>,
        /// When it is delivered once more, if it is.
        repeat_after: Option<u16>,
        /// Whether a failed create is retried before its clean-up.
        retry: bool,
        tag_lag: u16,
    },
    /// The template has the resource no more.
    Remove,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Properties {
    /// Empty for a generated one.
    name: String,
    params: Params,
    /// The number of the step that makes the role, set as it is played.
    #[serde(default)]
    role: usize,
}

/// The resource as the stack has it.
#[derive(Clone, Debug)]
struct Resource {
    id: String,
    properties: Properties,
}

pub(super) struct Overlap {
    world: World,
    _others: [Function; 2],
    resource: Option<Resource>,
    requests: usize,
    /// The calls of the step.
    calls: Vec<Call>,
    told: Vec<String>,
}

impl Model for Overlap {
    type Step = Step;
    const NAME: &'static str = "overlap";
    const HISTORIES: u64 = 150;
    const STEPS: usize = 3;
    const LANES: usize = 32;

    fn step() -> BoxedStrategy<Step> {
        let params = Params::any();
        let wish = (select(vec!["a", "b", ""]), params).prop_map(|(name, params)| Properties {
            name: name.to_owned(),
            params,
            role: 0,
        });
        let role_after = prop_oneof![2 => Just(0_u16), 5 => 0..2900_u16, 1 => Just(60_000)];
        let sometime = || 0..3500_u16;
        let declare = (
            wish,
            role_after,
            prop::option::weighted(0.5, sometime()),
            prop::option::weighted(0.3, sometime()),
            any::<bool>(),
            prop_oneof![3 => Just(0_u16), 1 => 0..1500_u16],
        )
            .prop_map(|(wish, role_after, cancel_after, repeat_after, retry, tag_lag)| {
                Step::Declare { wish, role_after, cancel_after, repeat_after, retry, tag_lag }
            });
        prop_oneof![8 => declare, 1 => Just(Step::Remove)].boxed()
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
            told: Vec::new(),
        }
    }

    async fn play(&mut self, history: &[Step]) -> TestCaseResult {
        self.world.aws.reset();
        (self.resource, self.requests) = (None, 0);
        self.told.clear();
        for step in history {
            self.told.push(format!("{step:?}"));
            self.calls.clear();
            self.step(step).await?;
            self.check()?;
        }
        Ok(())
    }

    fn told(&self) -> String {
        self.told.join("\n")
    }
}

impl Properties {
    fn role_arn(&self) -> String {
        role_arn(&format!("role-{}", self.role))
    }

    fn to_json(&self) -> Value {
        let params = match self.params {
            Params::Device => {
                json!({ "UpdateDeviceCertificateParams": { "Action": "DEACTIVATE" } })
            }
            Params::Ca => json!({ "UpdateCACertificateParams": { "Action": "DEACTIVATE" } }),
            Params::Groups => {
                json!({ "AddThingsToThingGroupParams": { "ThingGroupNames": ["g"], "OverrideDynamicGroups": "true" } })
            }
        };
        json!({ "ActionName": self.name, "RoleArn": self.role_arn(), "ActionParams": params })
    }

    fn is_of(&self, action: &Action) -> bool {
        action.role_arn == self.role_arn() && action.params == self.params.of_api()
    }
}

impl Overlap {
    async fn step(&mut self, step: &Step) -> TestCaseResult {
        let Step::Declare { wish, role_after, cancel_after, repeat_after, retry, tag_lag } = step
        else {
            return match self.resource.take() {
                Some(old) => self.delete(&old.id, &old.properties).await,
                None => Ok(()),
            };
        };
        let wish = Properties { role: self.requests, ..wish.clone() };
        let known = Duration::from_millis((*role_after).into());
        self.world.aws.iot.set_new_role(&wish.role_arn(), known);
        self.world.aws.iot.set_tag_lag(Duration::from_millis((*tag_lag).into()));
        let forward = self.forward(&wish);
        let follow_up = self.cancellation(&wish);
        let deliver = async |event: &Value, after: Option<u16>| match after {
            None => None,
            Some(after) => {
                sleep(Duration::from_millis(after.into())).await;
                Some(self.world.send(event).await)
            }
        };
        let changes = self.world.aws.iot.changes();
        // What is cancelled has begun: a delivery that arrives later is excluded.
        let cancel = async || {
            let after = (*cancel_after)?;
            sleep(Duration::from_millis(after.into())).await;
            while self.world.aws.iot.changes() == changes {
                sleep(Duration::from_millis(5)).await;
            }
            Some(self.world.send(&follow_up).await)
        };
        // See what is excluded.
        let is_create = self.resource.is_none();
        let is_repeated = |repeat: &u16| match cancel_after {
            None => true,
            Some(cancel) => !is_create && repeat < cancel,
        };
        let repeat_after = repeat_after.filter(is_repeated);
        let (first, repeated, cancelled) =
            tokio::join!(deliver(&forward, Some(0)), deliver(&forward, repeat_after), cancel(),);
        let first = first.unwrap();
        for (what, played) in [("", Some(&first)), ("again", repeated.as_ref())] {
            self.tell(what, &forward, played);
        }
        if let Some(cancelled) = &cancelled {
            self.tell("cancelled", &follow_up, Some(cancelled));
            let is_success = cancelled.response()["Status"] == "SUCCESS";
            return ensure(is_success, || format!("a rollback came to {}", cancelled.response()));
        }
        self.world.aws.iot.set_new_role(&wish.role_arn(), Duration::ZERO);
        let accepted = match repeated {
            Some(repeated) if finished(&repeated, repeat_after) < finished(&first, Some(0)) => {
                repeated
            }
            _ => first,
        };
        self.settle(wish, &forward, &accepted, *retry).await
    }

    /// What CloudFormation does once it has the response to a request that it did not cancel.
    async fn settle(
        &mut self,
        wish: Properties,
        forward: &Value,
        accepted: &Exchange,
        retry: bool,
    ) -> TestCaseResult {
        let id = accepted.physical_id().to_owned();
        let is_success = accepted.response()["Status"] == "SUCCESS";
        match (self.resource.take(), is_success) {
            (None, true) => self.resource = Some(Resource { id, properties: wish }),
            (None, false) => {
                if retry {
                    let again = merged(forward.clone(), &json!({ "RequestId": self.next_id() }));
                    let played = self.world.send(&again).await;
                    self.tell("retried", &again, Some(&played));
                    if played.response()["Status"] == "SUCCESS" {
                        let id = played.physical_id().to_owned();
                        self.resource = Some(Resource { id, properties: wish.clone() });
                    }
                }
                self.delete(&id, &wish).await?;
            }
            (Some(old), true) => {
                if old.id != id {
                    self.delete(&old.id, &old.properties).await?;
                }
                self.resource = Some(Resource { id, properties: wish });
            }
            (Some(old), false) => {
                ensure(id == old.id, || format!("a failed update changed the id to {id}"))?;
                let back = self.reverse(&old, &wish);
                let played = self.world.send(&back).await;
                self.tell("rolled back", &back, Some(&played));
                let is_restored = played.response()["Status"] == "SUCCESS";
                ensure(is_restored, || format!("a rollback came to {}", played.response()))?;
                self.resource = Some(old);
            }
        }
        Ok(())
    }

    async fn delete(&mut self, id: &str, properties: &Properties) -> TestCaseResult {
        let patch = json!({ "RequestType": "Delete", "PhysicalResourceId": id });
        let event = merged(self.event(properties), &patch);
        let played = self.world.send(&event).await;
        self.tell("deleted", &event, Some(&played));
        let is_success = played.response()["Status"] == "SUCCESS";
        ensure(is_success, || format!("a Delete came to {}", played.response()))
    }

    fn next_id(&mut self) -> String {
        self.requests += 1;
        self.requests.to_string()
    }

    fn event(&mut self, properties: &Properties) -> Value {
        json!({
            "StackId": STACK, "RequestId": self.next_id(), "LogicalResourceId": "One",
            "ResourceType": "Custom::IoTMitigationAction", "ResourceProperties": properties.to_json(),
        })
    }

    /// The request that makes the resource as `wish` says.
    fn forward(&mut self, wish: &Properties) -> Value {
        let event = self.event(wish);
        match &self.resource {
            None => merged(event, &json!({ "RequestType": "Create" })),
            Some(old) => merged(
                event,
                &json!({
                    "RequestType": "Update", "PhysicalResourceId": old.id,
                    "OldResourceProperties": old.properties.to_json(),
                }),
            ),
        }
    }

    /// What CloudFormation sends after it has cancelled that request.
    fn cancellation(&mut self, wish: &Properties) -> Value {
        match self.resource.clone() {
            None => merged(
                self.event(wish),
                &json!({ "RequestType": "Delete", "PhysicalResourceId": "stack-One-1A2B3C4D5E6F" }),
            ),
            Some(old) => self.reverse(&old, wish),
        }
    }

    /// The Update that rolls the resource back from `wish`.
    fn reverse(&mut self, old: &Resource, wish: &Properties) -> Value {
        merged(
            self.event(&old.properties),
            &json!({
                "RequestType": "Update", "PhysicalResourceId": old.id,
                "OldResourceProperties": wish.to_json(),
            }),
        )
    }

    fn tell(&mut self, what: &str, event: &Value, played: Option<&Exchange>) {
        let Some(played) = played else { return };
        let [request_type, id] = ["RequestType", "PhysicalResourceId"].map(|name| &event[name]);
        let answer = played.response();
        self.calls.extend(played.calls.iter().cloned());
        self.told.push(format!(
            "  {what} {request_type} {id} {} -> {} {} {}",
            event["ResourceProperties"],
            answer["Status"],
            answer["PhysicalResourceId"],
            answer["Reason"]
        ));
    }

    /// The account holds the action that the stack has, and no other of its.
    fn check(&mut self) -> TestCaseResult {
        let actions = self.world.aws.iot.actions();
        self.calls.sort_by_key(|call| call.at);
        let expected = self.resource.clone();
        let is_right = |(name, action): (&String, &Action)| {
            action.tags.get(OWNER_TAG).is_some_and(|tag| tag == OWNER)
                && expected.as_ref().is_some_and(|resource| {
                    resource.id == *name && resource.properties.is_of(action)
                })
        };
        let holds =
            actions.len() == usize::from(expected.is_some()) && actions.iter().all(is_right);
        if holds || self.is_sent_before() {
            return Ok(());
        }
        let log: Vec<String> = self
            .calls
            .iter()
            .map(|call| format!("{} {} {}", call.operation, call.name(), call.status))
            .collect();
        self.told.push(log.join("\n"));
        Err(TestCaseError::fail(format!("the stack has {expected:?}, the account {actions:?}")))
    }

    /// Whether the last change of the definition was on its way when the rollback made its own.
    fn is_sent_before(&mut self) -> bool {
        let mut updates =
            self.calls.iter().rev().filter(|call| call.operation == "UpdateMitigationAction");
        let (Some(last), Some(before)) = (updates.next(), updates.next()) else { return false };
        let is_excluded = last.at.duration_since(before.at) < Duration::from_millis(20)
            && last.status == 200
            && before.status == 200;
        if is_excluded {
            // The next step begins with what the stack has.
            self.world.aws.iot.reset();
            self.resource = None;
        }
        is_excluded
    }
}

/// When a delivery that began after so many milliseconds had its response.
fn finished(played: &Exchange, began_after: Option<u16>) -> Duration {
    let began = Duration::from_millis(began_after.unwrap_or_default().into());
    began + played.response_time.unwrap_or(TIMEOUT)
}
