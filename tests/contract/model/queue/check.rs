//! What holds of every delivery, of one that is predicted, and of a whole history.

use std::collections::{BTreeMap, BTreeSet};

use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};
use stand_ins::{
    bus::Event,
    iot::{Action, Call, Iot},
    queue::Message,
    stack::World,
};

use super::{
    super::{TestCaseResult, ensure, is_same, owner_of},
    State, actions,
    request::{Outcome, Posted, without_digest, without_owner},
    step::QueueType,
};

/// The ids of requests, and their outcomes.
type Results = Vec<(String, Outcome)>;

impl State {
    /// The messages of a batch in the order in which they are executed, if they share a name.
    fn in_order<'b>(&self, batch: &'b [Message]) -> Vec<&'b Message> {
        let mut batch: Vec<&Message> = batch.iter().collect();
        if self.queue_type == QueueType::Standard {
            batch.sort_by_key(|message| message.sent);
        }
        batch
    }

    /// The messages that come after one that fails: in a FIFO queue all, else those of its name.
    pub(super) fn behind(&self, batch: &[Message], failed: &BTreeSet<String>) -> BTreeSet<String> {
        let mut blocked = BTreeSet::new();
        let mut behind = BTreeSet::new();
        for message in self.in_order(batch) {
            let posted = self.posted[&message.id].as_ref();
            let key = match self.queue_type {
                QueueType::Standard => posted.map(|posted| posted.request.name.as_str()),
                QueueType::Fifo => Some(""),
            };
            if key.is_some_and(|key| blocked.contains(key)) {
                behind.insert(message.id.clone());
            }
            blocked.extend(key.filter(|_| failed.contains(&message.id)));
        }
        behind
    }

    /// Checks a batch that ran alone: what is behind a message that failed fails too, unworked.
    pub(super) fn check_order(
        &mut self,
        world: &World,
        batch: &[Message],
        failed: &BTreeSet<String>,
    ) -> Result<Results, TestCaseError> {
        let behind = self.behind(batch, failed);
        let overtaking = behind.difference(failed).next();
        ensure(overtaking.is_none(), || format!("{overtaking:?} overtook one that failed"))?;
        let worked: Vec<&Message> =
            batch.iter().filter(|message| !behind.contains(&message.id)).collect();
        self.check_changes(world, &worked, failed)
    }

    /// Checks the calls and the results of the messages that were worked. Returns the results.
    pub(super) fn check_changes(
        &mut self,
        world: &World,
        worked: &[&Message],
        failed: &BTreeSet<String>,
    ) -> Result<Results, TestCaseError> {
        let (calls, events) = (world.aws.iot.take_calls(), world.aws.bus.take());
        self.record_delivery(&calls, &events, failed);
        ensure(world.aws.bucket.take().is_empty(), || "a stack got a response".to_owned())?;
        let requests: Vec<&Posted> =
            worked.iter().filter_map(|message| self.posted[&message.id].as_ref()).collect();
        self.is_excluded |= self.runs_beside && calls.iter().any(|call| is_race(call, &requests));
        for call in &calls {
            check_call(call, &requests)?;
        }
        let results: Results =
            events.iter().map(|event| check_result(event, &requests)).collect::<Result<_, _>>()?;
        for message in worked.iter().filter(|message| !failed.contains(&message.id)) {
            // The result must come from this delivery, even if an earlier one published one.
            let is_done = self.posted[&message.id].as_ref().is_some_and(|posted| {
                !self.has_bus || results.iter().any(|(id, _)| *id == posted.id)
            });
            ensure(is_done, || format!("{} succeeded without a result", message.id))?;
        }
        self.published.extend(results.iter().map(|(id, _)| id.clone()));
        Ok(results)
    }

    fn record_delivery(&mut self, calls: &[Call], events: &[Event], failed: &BTreeSet<String>) {
        let calls = calls
            .iter()
            .map(|call| format!("  {} {} {}", call.operation, call.name(), call.status));
        self.transcript.extend(calls);
        self.transcript.extend(events.iter().map(|event| format!("  -> {}", event.detail)));
        self.transcript.push(format!("  failed: {failed:?}"));
    }

    /// Checks a delivery that had no fault and ran alone against what its messages come to, one
    /// after another.
    pub(super) fn check_prediction(
        &mut self,
        world: &World,
        batch: &[Message],
        failed: &BTreeSet<String>,
        before: &BTreeMap<String, Action>,
        mut results: Results,
    ) -> TestCaseResult {
        let mut expected = before.clone();
        let mut outcomes = Results::new();
        let mut failing = BTreeSet::new();
        for message in self.in_order(batch) {
            // One message at a time, as what is behind another depends on whether that fails.
            let is_behind = self.behind(batch, &failing).contains(&message.id);
            let outcome = self.posted[&message.id].as_ref().filter(|_| !is_behind).map(|posted| {
                let name = &posted.request.name;
                let mut action = expected.remove(name);
                let outcome = posted.execute(&mut action).to_owned();
                expected.extend(action.map(|action| (name.clone(), action)));
                outcomes.push((posted.id.clone(), outcome.clone()));
                outcome
            });
            // Without a bus, a permanent failure has to reach the dead-letter queue.
            let is_done = |outcome: &String| self.has_bus || !outcome.ends_with("Exception");
            if !outcome.as_ref().is_some_and(is_done) {
                failing.insert(message.id.clone());
            }
        }
        ensure(failing == *failed, || format!("expected to fail: {failing:?}, not {failed:?}"))?;
        results.sort();
        outcomes.sort();
        ensure(!self.has_bus || results == outcomes, || {
            format!("expected {outcomes:?}: {results:?}")
        })?;
        let after = actions(world);
        let is_as_expected = |(name, action): (&String, &Action)| {
            after.get(name).is_some_and(|found| {
                is_same(&Action { id: found.id.clone(), ..action.clone() }, found)
            })
        };
        ensure(expected.len() == after.len() && expected.iter().all(is_as_expected), || {
            format!("expected {expected:?}: {after:?}")
        })
    }

    /// Every request has a result, if there is a bus to publish it on. The queue is empty.
    pub(super) fn check_all_are_done(&self, world: &World) -> TestCaseResult {
        for posted in self.posted.values().flatten().filter(|_| self.has_bus) {
            ensure(self.published.contains(&posted.id), || format!("{} is not done", posted.id))?;
        }
        let calls = world.aws.iot.take_calls();
        ensure(calls.is_empty(), || format!("calls after the function returned: {calls:?}"))
    }
}

/// One of the requests may make the call.
fn check_call(call: &Call, requests: &[&Posted]) -> TestCaseResult {
    let mut of_name = requests.iter().filter(|posted| posted.request.name == call.name());
    let change = call.change.as_deref().cloned();
    let is_expected =
        match change.map(|(old, new)| (old.map(without_digest), new.map(without_digest))) {
            None => of_name.next().is_some(),
            Some((old, new)) => of_name.any(|posted| posted.may_change(old.as_ref(), new.as_ref())),
        };
    ensure(is_expected, || format!("no request makes this call: {call:?}"))
}

/// Whether a request took an action over that another, which ran at the same time, had just taken
/// from nobody. A change between the proof of ownership and a change is not seen.
fn is_race(call: &Call, requests: &[&Posted]) -> bool {
    let Some((Some(old), Some(new))) = call.change.as_deref().cloned() else { return false };
    let (old, new) = (without_digest(old), without_digest(new));
    let is_of = |posted: &&Posted, action: &Action| owner_of(&action.tags) == Some(&posted.owner);
    let takes_over = |posted: &&Posted| {
        is_of(posted, &new)
            && posted.request.name == call.name()
            && posted.may_change(Some(&without_owner(&old)), Some(&new))
    };
    owner_of(&old.tags) != owner_of(&new.tags)
        && requests.iter().any(|posted| is_of(posted, &old))
        && requests.iter().any(takes_over)
}

/// A result event belongs to a request of the batch and is consistent. Returns the request's id and
/// the outcome.
fn check_result(event: &Event, requests: &[&Posted]) -> Result<(String, Outcome), TestCaseError> {
    let Event { detail, detail_type, .. } = event;
    let id = detail["requestId"].as_str().unwrap_or_default();
    let Some(posted) = requests.iter().find(|posted| posted.id == id) else {
        return Err(TestCaseError::fail(format!("a result of no request: {detail}")));
    };
    let is_success = detail["status"] == "SUCCEEDED";
    let is_right = detail["requestSource"] == posted.source
        && detail["actionName"] == posted.request.name
        && detail["operation"] == posted.request.to_json()["operation"]
        && if is_success { is_success_event(event, posted) } else { is_failure_event(event) };
    ensure(is_right, || format!("{detail_type}: {detail} is no result of {}", posted.body))?;
    let outcome = if is_success { &detail["outcome"] } else { &detail["error"]["code"] };
    Ok((id.to_owned(), outcome.as_str().unwrap_or_default().to_owned()))
}

fn is_success_event(event: &Event, posted: &Posted) -> bool {
    let Event { detail, detail_type, resources, .. } = event;
    let arn = if detail["outcome"] == "ABSENT" {
        Value::Null
    } else {
        json!(Iot::arn(&posted.request.name))
    };
    detail_type == "Mitigation Action Request Succeeded"
        && detail["actionArn"] == arn
        && resources.iter().map(String::as_str).eq(arn.as_str())
}

fn is_failure_event(event: &Event) -> bool {
    event.detail_type == "Mitigation Action Request Failed"
        && event.detail["status"] == "FAILED"
        && event.detail["error"]["retryable"] == false
}
