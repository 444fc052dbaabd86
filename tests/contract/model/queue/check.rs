//! What holds of every delivery, of one that is predicted, and of a whole history.

use std::collections::BTreeMap;

use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};
use stand_ins::{
    bus::Event,
    iot::{Action, Call, Iot},
    queue::Message,
};

use super::{
    super::{TestCaseResult, ensure, is_same},
    Messages, Outcome,
    request::{Isolation, Posted},
};

/// The actions after a batch, and the outcome of each request.
struct Prediction {
    actions: BTreeMap<String, Action>,
    outcomes: Vec<(String, Outcome)>,
}

impl Messages {
    /// Checks the changes and the results of a delivery. Returns the results.
    pub(super) fn check(
        &mut self,
        batch: &[Message],
        failed: &[String],
        isolation: Isolation,
    ) -> Result<Vec<(String, Outcome)>, TestCaseError> {
        let calls = self.world.aws.iot.take_calls();
        let events = self.world.aws.bus.take();
        self.record_delivery(&calls, &events, failed);
        let requests: Vec<&Posted> =
            batch.iter().filter_map(|message| self.posted[&message.id].as_ref()).collect();
        for call in &calls {
            check_change(call, &requests, isolation)?;
        }
        let results = events
            .iter()
            .map(|event| check_result(event, &requests))
            .collect::<Result<Vec<_>, _>>()?;
        self.published.extend(results.iter().map(|(id, _)| id.clone()));
        for message in batch.iter().filter(|message| !failed.contains(&message.id)) {
            // The result must come from this delivery, even if an earlier one published one.
            let is_published = self.posted[&message.id]
                .as_ref()
                .is_some_and(|posted| results.iter().any(|(id, _)| *id == posted.id));
            ensure(is_published, || format!("{} succeeded without a result", message.id))?;
        }
        Ok(results)
    }

    fn record_delivery(&mut self, calls: &[Call], events: &[Event], failed: &[String]) {
        let calls = calls
            .iter()
            .map(|call| format!("  {} {} {}", call.operation, call.name(), call.status));
        self.transcript.extend(calls);
        self.transcript.extend(events.iter().map(|event| format!("  -> {}", event.detail)));
        self.transcript.push(format!("  failed messages: {failed:?}"));
    }

    /// Checks a delivery that had no fault and ran alone against what its messages come to, one
    /// after another.
    pub(super) fn check_prediction(
        &mut self,
        batch: &[Message],
        failed: &[String],
        before: &BTreeMap<String, Action>,
        results: &[(String, Outcome)],
    ) -> TestCaseResult {
        let Prediction { actions, mut outcomes } = self.predict(batch, failed, before)?;
        let mut results = results.to_vec();
        results.sort();
        outcomes.sort();
        ensure(results == outcomes, || format!("expected {outcomes:?}: {results:?}"))?;
        let after = self.world.aws.iot.actions();
        let is_as_predicted = |(name, action): (&String, &Action)| {
            after.get(name).is_some_and(|found| {
                is_same(&Action { id: found.id.clone(), ..action.clone() }, found)
            })
        };
        ensure(actions.len() == after.len() && actions.iter().all(is_as_predicted), || {
            format!("expected {actions:?}: {after:?}")
        })?;
        self.check_repetitions(&outcomes, before, &after)
    }

    /// Executes the messages of a batch in their order. All but noise succeed.
    fn predict(
        &self,
        batch: &[Message],
        failed: &[String],
        before: &BTreeMap<String, Action>,
    ) -> Result<Prediction, TestCaseError> {
        let mut in_order: Vec<&Message> = batch.iter().collect();
        in_order.sort_by_key(|message| message.sent);
        let mut actions = before.clone();
        let mut outcomes = Vec::new();
        for Message { id, .. } in in_order {
            let Some(posted) = &self.posted[id] else {
                ensure(failed.contains(id), || format!("{id} is noise, and succeeded"))?;
                continue;
            };
            let name = &posted.request.name;
            let mut action = actions.remove(name);
            outcomes.push((posted.id.clone(), posted.execute(&mut action).to_owned()));
            actions.extend(action.map(|action| (name.clone(), action)));
            ensure(!failed.contains(id), || format!("{id} failed without a fault"))?;
        }
        Ok(Prediction { actions, outcomes })
    }

    /// A redelivered request has the same outcome as before, if its action has not changed since.
    /// The exceptions: what it deleted is absent now, and it owns what it overwrote and nobody
    /// owned.
    fn check_repetitions(
        &mut self,
        outcomes: &[(String, Outcome)],
        before: &BTreeMap<String, Action>,
        after: &BTreeMap<String, Action>,
    ) -> TestCaseResult {
        let requests = self.posted.values().flatten();
        let names: BTreeMap<&str, &str> =
            requests.map(|posted| (posted.id.as_str(), posted.request.name.as_str())).collect();
        for (id, outcome) in outcomes {
            let name = names[id.as_str()];
            if outcomes.iter().filter(|(other, _)| names[other.as_str()] == name).count() > 1 {
                continue;
            }
            let is_unchanged = |last: &Option<Action>| match (last, before.get(name)) {
                (Some(last), Some(found)) => is_same(last, found),
                (last, found) => last.is_none() && found.is_none(),
            };
            if let Some((last, _)) = self.last.get(id).filter(|(_, last)| is_unchanged(last)) {
                let is_exception = [("DELETED", "ABSENT"), ("UPDATED", "CREATED")]
                    .contains(&(last.as_str(), outcome.as_str()));
                ensure(last == outcome || is_exception, || {
                    format!("{id} got {last}, and later to {outcome}")
                })?;
            }
            self.last.insert(id.clone(), (outcome.clone(), after.get(name).cloned()));
        }
        Ok(())
    }

    /// Every request has a result, and only noise is in the dead-letter queue.
    pub(super) fn check_all_are_done(&self) -> TestCaseResult {
        let dead: Vec<String> =
            self.queue.dead_letters().into_iter().map(|message| message.id).collect();
        for (message, posted) in &self.posted {
            let is_done = match posted {
                Some(posted) => self.published.contains(&posted.id) && !dead.contains(message),
                None => dead.contains(message),
            };
            ensure(is_done, || format!("{message} is not done; the dead letters: {dead:?}"))?;
        }
        let calls = self.world.aws.iot.take_calls();
        ensure(calls.is_empty(), || format!("calls after the function returned: {calls:?}"))
    }
}

/// One of the requests may make the change of a call.
fn check_change(call: &Call, requests: &[&Posted], isolation: Isolation) -> TestCaseResult {
    let Some(change) = &call.change else { return Ok(()) };
    let (before, after) = change.as_ref();
    let mut of_name = requests.iter().filter(|posted| posted.request.name == call.name());
    let may = of_name.any(|posted| posted.may_change(before.as_ref(), after.as_ref(), isolation));
    ensure(may, || format!("no request makes {} turn {before:?} into {after:?}", call.operation))
}

/// A result event belongs to a request of the batch and is consistent. Returns the request's id and
/// the outcome.
fn check_result(event: &Event, requests: &[&Posted]) -> Result<(String, Outcome), TestCaseError> {
    let Event { detail, detail_type, .. } = event;
    let id = detail["requestId"].as_str().unwrap_or_default();
    let Some(posted) = requests.iter().find(|posted| posted.id == id) else {
        return Err(TestCaseError::fail(format!("a result of no request: {detail}")));
    };
    let source = if posted.owner.starts_with("event/") { "com.example" } else { "aws:sqs" };
    let is_success = detail["status"] == "SUCCEEDED";
    let is_right = detail["requestSource"] == source
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
