//! What holds of every delivery, of every call, and of the account; and what is not promised.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use proptest::test_runner::TestCaseError;
use serde_json::Value;
use stand_ins::{
    bucket::Put,
    iot::{Action, Call, Iot, action_type},
};

use super::{
    super::{TestCaseResult, ensure},
    Delivered, Resource, Response, State,
    request::{Kind, Request, is_of_failed, is_owned},
    step::OtherId,
};

impl State {
    pub(super) fn take_calls(&mut self, iot: &Iot) {
        self.calls.extend(iot.take_calls());
    }

    /// Checks what does not depend on the moment. All deliveries have ended.
    pub(super) fn check(&self, actions: &BTreeMap<String, Action>) -> TestCaseResult {
        for delivered in &self.delivered {
            self.check_delivery(delivered)?;
        }
        for call in &self.calls {
            self.check_call(call)?;
        }
        if self.is_stuck { Ok(()) } else { self.check_account(actions) }
    }

    /// Without a fault, a Create of a free name takes one call, and the account decides the
    /// response.
    pub(super) fn check_undisturbed(
        &self,
        number: usize,
        response: &Response,
        found: Option<&Action>,
    ) -> TestCaseResult {
        let request = &self.sent[number];
        ensure(response.is_success == request.can_succeed(found), || {
            format!("the undisturbed {number} ends as {}", response.id)
        })?;
        let calls = self.calls.iter().filter(|call| number_of(call) == Some(number)).count();
        ensure(request.kind != Kind::Create || found.is_some() || calls == 1, || {
            format!("the Create {number} of a free name took {calls} calls")
        })
    }

    fn check_delivery(&self, delivered: &Delivered) -> TestCaseResult {
        let accepted = delivered.check_puts()?;
        ensure(self.has_put_fault || delivered.puts.len() == 1, || {
            format!("more than one PUT: {:?}", delivered.puts)
        })?;
        let (number, document) = (delivered.request, accepted.response());
        ensure(delivered.returned.as_ref() == Ok(&document), || {
            format!("{number} returned {:?}, not {document}", delivered.returned)
        })?;
        ensure(is_response(&document, number, &self.sent[number]), || {
            format!("not a response to {number}: {document}")
        })?;
        // One call may be on its way when time runs out.
        let is_timeout =
            document["Reason"].as_str().is_some_and(|why| why.contains("time ran out"));
        let on_the_way = Duration::from_millis(if is_timeout { 50 } else { 0 });
        let late: Vec<&Call> = self
            .calls
            .iter()
            .filter(|call| call.invocation.as_ref() == Some(&delivered.invocation))
            .filter(|call| call.at > accepted.at)
            .collect();
        let is_on_the_way = |call: &&Call| call.at.duration_since(accepted.at) < on_the_way;
        ensure(late.len() <= 1 && late.iter().all(is_on_the_way), || {
            format!("calls of {number} after its response: {late:?}")
        })
    }

    fn check_call(&self, call: &Call) -> TestCaseResult {
        let Some(change) = &call.change else { return Ok(()) };
        let (before, after) = change.as_ref();
        let number = number_of(call)
            .ok_or_else(|| TestCaseError::fail(format!("a call of no invocation: {call:?}")))?;
        let is_allowed = self.sent[number].may_change(call.name(), before.as_ref(), after.as_ref());
        ensure(is_allowed, || format!("{number} may not turn {before:?} into {after:?}"))
    }

    /// The account holds the action of the resource, what was retained, and what others made.
    fn check_account(&self, actions: &BTreeMap<String, Action>) -> TestCaseResult {
        let resource = self.resource.as_ref().filter(|resource| resource.action.is_some());
        let id = self.resource.as_ref().map(|resource| resource.id.as_str());
        for (name, action) in actions {
            let is_theirs = self.foreign.contains(&action.id) || self.untagged.contains(&action.id);
            let is_right = match resource.filter(|resource| resource.id == *name) {
                Some(resource) => self.is_of(resource, action),
                None if self.retained.contains(name) || self.left.contains(name) => true,
                // A later delivery of its Create succeeded. Its Delete cleans up.
                None if id.is_some_and(|id| is_of_failed(id, name, action)) => true,
                None => !is_owned(action) && is_theirs,
            };
            ensure(is_right, || format!("{name} should not be {action:?}; {resource:?}"))?;
        }
        let names = self.retained.iter().chain(resource.map(|resource| &resource.id));
        let missing: Vec<_> = names.filter(|name| !actions.contains_key(*name)).collect();
        ensure(missing.is_empty(), || format!("{missing:?} should be there"))
    }

    fn is_of(&self, resource: &Resource, action: &Action) -> bool {
        resource.action.as_ref() == Some(&action.id)
            && (resource.failed.is_some() || resource.properties.definition.matches(action))
            && (is_owned(action) || self.untagged.contains(&action.id))
    }

    /// Whether something happened that the contract excludes, and nothing else excuses a failure:
    /// a change beside a later request, or after it.
    pub(super) fn is_excluded(&self) -> bool {
        self.changes().any(|(number, call, before, after)| {
            self.is_race(number, call) || self.is_revival(number, call, before, after)
        })
    }

    /// Whether the call was being sent, or sent within a second of the look before it, when a later
    /// request began, changed something or responded; or was executed between the first look of a
    /// later request and its claim.
    fn is_race(&self, number: usize, call: &Call) -> bool {
        let mut earlier: Vec<&Call> = self
            .calls
            .iter()
            .filter(|other| other.invocation == call.invocation && other.at < call.at)
            .collect();
        earlier.sort_by_key(|call| call.at);
        let look_at = |name: &str| {
            let is_other = |other: &&&Call| other.is_change() || other.name() != name;
            let looks = earlier.iter().rev().skip_while(is_other);
            let looks = looks.take_while(|other| !other.is_change());
            looks.filter(|other| other.name() == name).map(|look| look.at).last()
        };
        let names = [call.name(), &self.sent[number].id];
        let look = names.into_iter().filter_map(look_at).min().unwrap_or(call.at);
        let since = look.max(call.at.checked_sub(Duration::from_millis(1100)).unwrap());
        (number + 1..self.sent.len()).any(|later| {
            let calls = self.calls.iter().filter(|call| number_of(call) == Some(later));
            let began = calls.clone().map(|call| call.at).min();
            let changed = calls.filter(|call| call.change.is_some()).map(|call| call.executed);
            let claimed = changed.clone().min().filter(|_| self.sent[later].kind != Kind::Delete);
            let is_unclaimed = began.is_some_and(|began| began <= call.executed)
                && claimed.is_some_and(|claimed| call.executed <= claimed);
            let mut events = changed.chain(began).chain(self.responded(later));
            is_unclaimed || events.any(|at| since < at && at <= call.executed)
        })
    }

    /// Whether the call makes or takes over what a later request has deleted or released, or what
    /// a later Delete, or a rollback from another implementation's id, did not find and no longer
    /// looks for; or if that is the action with the physical id: where there is no action, there is
    /// no record.
    fn is_revival(
        &self,
        number: usize,
        call: &Call,
        before: Option<&Action>,
        after: Option<&Action>,
    ) -> bool {
        let is_own = |action: Option<&Action>| action.is_some_and(is_owned);
        // There is no action with the physical id that a rollback could claim.
        let is_from_elsewhere = OtherId::ALL.iter().any(|id| id.text() == self.sent[number].id);
        let names = [call.name(), &self.sent[number].id];
        let is_removed = self.changes().any(|(by, removal, before, after)| {
            by > number
                && names.contains(&removal.name())
                && removal.executed < call.executed
                && is_own(before)
                && !is_own(after)
        });
        let is_deleted = (number + 1..self.sent.len()).any(|later| {
            let request = &self.sent[later];
            (request.kind == Kind::Delete || is_from_elsewhere)
                && names.iter().any(|name| request.may_remove(name))
                && self.last_look(later).is_some_and(|at| at < call.executed)
        });
        !is_own(before) && after.is_some() && (is_removed || is_deleted)
    }

    /// The calls that changed something, and the numbers of their requests.
    fn changes(&self) -> impl Iterator<Item = (usize, &Call, Option<&Action>, Option<&Action>)> {
        self.calls.iter().filter_map(|call| {
            let (before, after) = call.change.as_deref()?;
            Some((number_of(call)?, call, before.as_ref(), after.as_ref()))
        })
    }

    /// When the last call was sent of the delivery that responded first.
    fn last_look(&self, number: usize) -> Option<Instant> {
        let responded = self.responded(number)?;
        let calls = self.calls.iter().filter(|call| number_of(call) == Some(number));
        calls.map(|call| call.at).filter(|at| *at < responded).max()
    }

    /// When a request responded first.
    fn responded(&self, number: usize) -> Option<Instant> {
        let deliveries = self.delivered.iter().filter(|delivered| delivered.request == number);
        deliveries.filter_map(|delivered| delivered.accepted()).map(|put| put.at).min()
    }

    /// What happened, in its order, with the milliseconds since the first event.
    pub(super) fn transcript(&self) -> String {
        let mut lines = self.events.clone();
        for call in &self.calls {
            let Call { operation, status, .. } = call;
            let who = call.invocation.as_deref().unwrap_or_default();
            lines.push((call.executed, format!("  {who}: {operation} {} {status}", call.name())));
        }
        for Delivered { invocation, puts, .. } in &self.delivered {
            lines
                .extend(puts.iter().map(|put| (put.at, format!("  {invocation} -> {}", put.body))));
        }
        lines.sort_by_key(|(at, _)| *at);
        let began = lines.first().map_or_else(Instant::now, |(at, _)| *at);
        let line = |(at, text): &(Instant, String)| {
            format!("{:6} {text}", at.duration_since(began).as_millis())
        };
        lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// A success is true when CloudFormation reads it.
pub(super) fn check_success(
    request: &Request,
    document: &Value,
    action: Option<&Action>,
) -> TestCaseResult {
    let name = request.action_name();
    let is_true = request.kind == Kind::Delete
        || action.is_some_and(|action| {
            request.is_fulfilled_by(action) && has_data(document, &name, action)
        });
    ensure(is_true, || format!("{document}, but {name} is {action:?}"))
}

/// The number of the request that made a call.
fn number_of(call: &Call) -> Option<usize> {
    call.invocation.as_ref()?.split_once('-')?.1.parse().ok()
}

impl Delivered {
    fn accepted(&self) -> Option<&Put> {
        self.puts.iter().find(|put| put.accepted)
    }

    /// The PUT that was accepted. Every other sent the same.
    pub(super) fn check_puts(&self) -> Result<&Put, TestCaseError> {
        let Self { request, puts, .. } = self;
        self.accepted()
            .filter(|accepted| puts.iter().all(|put| put.body == accepted.body))
            .ok_or_else(|| TestCaseError::fail(format!("{request} responded with {puts:?}")))
    }
}

/// Whether the document can be the response to the request, however it went.
fn is_response(document: &Value, number: usize, request: &Request) -> bool {
    let event = request.event(number, "");
    let Response { is_success, id, .. } = Response::read(document);
    let is_echoed = ["StackId", "RequestId", "LogicalResourceId"]
        .iter()
        .all(|member| document[member] == event[member]);
    let is_new = request.kind == Kind::Create || request.id.starts_with("not-created:");
    let is_right_id = if request.kind == Kind::Delete || !(is_success || is_new) {
        id == request.id
    } else if is_success {
        id == request.action_name()
    } else {
        id.starts_with(&format!("not-created:{}:", request.action_name())) && id != request.id
    };
    let has_code = || document["Reason"].as_str().is_some_and(|why| why.contains("Exception: "));
    is_echoed && is_right_id && (is_success || has_code())
}

/// Whether the attributes are those of the action.
fn has_data(document: &Value, name: &str, action: &Action) -> bool {
    let data = &document["Data"];
    let arn = Iot::arn(name);
    data["ActionArn"] == arn
        && data["MitigationActionArn"] == arn
        && data["ActionName"] == name
        && data["ActionId"] == action.id
        && data["MitigationActionId"] == action.id
        && data["ActionType"] == action_type(&action.params)
}
