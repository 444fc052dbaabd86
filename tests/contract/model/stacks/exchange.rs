//! How a request is sent and redelivered, and what holds of every response.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};
use stand_ins::{
    iot::{Action, Call, Iot, action_type},
    stack::{Exchange, merged},
};

use super::{
    super::{FaultKind, InjectedFault, TestCaseResult, ensure, is_same},
    Stacks, actions,
    request::{Request, Response, SentRequest, Verb},
    template::{Delivery, Key},
};

const TIMEOUT: Duration = Duration::from_secs(20);
/// A hang takes all of it.
const TIMEOUT_OF_HANG: Duration = Duration::from_secs(5);

impl Stacks {
    /// Sends a request with its faults, and redelivers it if `delivery` says so.
    pub(super) async fn send(
        &mut self,
        request: &Request<'_>,
        delivery: &Delivery,
    ) -> Result<Response, TestCaseError> {
        self.requests += 1;
        let event = request.event(self.requests);
        self.record_request(request, delivery);
        let before = actions(&self.world.aws);
        delivery.set(&self.world);
        let has_hang = delivery.faults.iter().any(InjectedFault::is_hang);
        self.world.timeout = if has_hang { TIMEOUT_OF_HANG } else { TIMEOUT };
        let response = self.deliver(&event, request, delivery.put).await?;
        self.world.aws.iot.faults.clear();
        self.world.aws.bucket.faults.clear();
        self.world.timeout = TIMEOUT;
        if delivery.is_undisturbed() {
            check_undisturbed(request, &response, &before)?;
        }
        if delivery.is_redelivered {
            // A transient failure may not repeat. The follow-up then has to remove what the second
            // delivery creates.
            let is_repeated = response.is_success || delivery.is_undisturbed();
            let expected = Some(&response.document).filter(|_| is_repeated);
            self.redeliver(&event, request, expected).await?;
        }
        self.last.remove(request.key);
        if response.is_success {
            let sent = SentRequest::new(event, request);
            self.last.insert(request.key.clone(), (sent, response.document.clone()));
        }
        Ok(response)
    }

    /// Redelivers the last request of a resource, if it succeeded.
    pub(super) async fn repeat(&mut self, key: &Key) -> TestCaseResult {
        let Some((sent, document)) = self.last.get(key).cloned() else { return Ok(()) };
        self.transcript.push(format!("redelivered: {}", sent.event["RequestId"]));
        self.redeliver(&sent.event, &sent.request(key), Some(&document)).await
    }

    /// Redelivers a request. If a response is expected, the request must change nothing.
    async fn redeliver(
        &mut self,
        event: &Value,
        request: &Request<'_>,
        expected: Option<&Value>,
    ) -> TestCaseResult {
        let before = actions(&self.world.aws);
        let second = self.deliver(event, request, None).await?;
        let Some(expected) = expected else { return Ok(()) };
        ensure(second.document == *expected, || format!("the redelivery got {}", second.document))?;
        let after = actions(&self.world.aws);
        let is_unchanged = before.len() == after.len()
            && before
                .iter()
                .all(|(name, old)| after.get(name).is_some_and(|new| is_same(old, new)));
        ensure(is_unchanged, || "the redelivery changed something".to_owned())
    }

    /// Delivers a request once, and checks the response, the calls and the changes.
    async fn deliver(
        &mut self,
        event: &Value,
        request: &Request<'_>,
        put_fault: Option<FaultKind>,
    ) -> Result<Response, TestCaseError> {
        let aws = self.world.aws.clone();
        let stray = aws.iot.take_calls();
        ensure(stray.is_empty(), || format!("calls after the function returned: {stray:?}"))?;
        let before = actions(&aws);
        let (key, url) = self.world.response_url("");
        let event_with_url = merged(event.clone(), &json!({ "ResponseURL": url }));
        let exchange = self.world.send_to(&key, event_with_url).await;
        self.record_exchange(&exchange);
        let document = exchange.response().clone();
        let responded = self.check_puts(&key, put_fault)?;
        ensure(exchange.returned.as_ref() == Ok(&document), || {
            format!("the function returned {:?}", exchange.returned)
        })?;
        check_late_calls(&exchange, &document, responded)?;
        let after = actions(&aws);
        check_changes(request, &before, &after)?;
        let (is_success, id) = check_document(&document, event, request, &after)?;
        let operations = exchange.calls.iter().map(|call| call.operation).collect();
        Ok(Response { is_success, id, document, operations })
    }

    /// One PUT was accepted, and every other, if a fault caused one, sent the same. Returns when it
    /// was accepted.
    fn check_puts(
        &self,
        key: &str,
        put_fault: Option<FaultKind>,
    ) -> Result<Instant, TestCaseError> {
        let puts = self.world.aws.bucket.puts(key);
        let accepted = puts.iter().find(|put| put.accepted);
        let Some(accepted) = accepted.filter(|_| put_fault.is_some() || puts.len() == 1) else {
            return Err(TestCaseError::fail(format!("expected one accepted PUT: {puts:?}")));
        };
        ensure(puts.iter().all(|put| put.body == accepted.body), || {
            format!("different documents: {puts:?}")
        })?;
        Ok(accepted.at)
    }

    fn record_request(&mut self, request: &Request<'_>, delivery: &Delivery) {
        let Request { key: (stack, resource), verb, id, properties, old } = request;
        self.transcript.push(format!(
            "{}: {verb:?} {resource} of stack {stack}, {id:?}: {properties:?}, before {old:?}",
            self.requests
        ));
        if !delivery.is_undisturbed() || delivery.put.is_some() {
            let Delivery { faults, put, .. } = delivery;
            self.transcript.push(format!("  with {faults:?}, the PUT {put:?}"));
        }
    }

    fn record_exchange(&mut self, exchange: &Exchange) {
        for call in &exchange.calls {
            self.transcript.push(format!("  {} {} {}", call.operation, call.name(), call.status));
        }
        let [status, id, reason] = ["Status", "PhysicalResourceId", "Reason"]
            .map(|member| exchange.response()[member].as_str().unwrap_or_default());
        self.transcript.push(format!("  -> {status} {id:?} {reason}"));
    }
}

/// Without a fault, a Create of a free name takes one call, and the state decides the response.
fn check_undisturbed(
    request: &Request<'_>,
    response: &Response,
    before: &BTreeMap<String, Action>,
) -> TestCaseResult {
    let is_free = request.verb == Verb::Create && !before.contains_key(&request.action_name());
    ensure(!is_free || response.operations == ["CreateMitigationAction"], || {
        format!("a Create of a free name called {:?}", response.operations)
    })?;
    ensure(response.is_success == request.can_succeed(before), || {
        format!("without a fault it got {}", response.document)
    })
}

/// No call begins after the response was accepted, except one that was being sent when time ran
/// out.
fn check_late_calls(exchange: &Exchange, document: &Value, responded: Instant) -> TestCaseResult {
    let late: Vec<&Call> = exchange.calls.iter().filter(|call| call.at > responded).collect();
    let is_timeout =
        document["Reason"].as_str().is_some_and(|reason| reason.contains("time ran out"));
    let was_being_sent =
        |call: &&Call| is_timeout && call.at.duration_since(responded) < Duration::from_millis(50);
    ensure(late.len() <= 1 && late.iter().all(was_being_sent), || {
        format!("calls after the response: {late:?}")
    })
}

fn check_changes(
    request: &Request<'_>,
    before: &BTreeMap<String, Action>,
    after: &BTreeMap<String, Action>,
) -> TestCaseResult {
    for name in before.keys().chain(after.keys()) {
        let (old, new) = (before.get(name), after.get(name));
        let is_unchanged = matches!((old, new), (Some(old), Some(new)) if is_same(old, new));
        ensure(is_unchanged || request.may_change(name, old, new), || {
            format!("the request may not do this: {old:?} became {new:?}")
        })?;
    }
    Ok(())
}

/// What a response says of its request and of the action is true. Returns whether it is a success,
/// and the physical id.
fn check_document(
    document: &Value,
    event: &Value,
    request: &Request<'_>,
    actions: &BTreeMap<String, Action>,
) -> Result<(bool, String), TestCaseError> {
    for echo in ["StackId", "RequestId", "LogicalResourceId"] {
        ensure(document[echo] == event[echo], || format!("{echo} is not echoed: {document}"))?;
    }
    let is_success = document["Status"] == "SUCCESS";
    let id = document["PhysicalResourceId"].as_str().unwrap_or_default().to_owned();
    let is_right = match (request.verb, is_success) {
        (Verb::Create, false) => id.starts_with("not-created:"),
        (Verb::Delete, _) | (Verb::Update, false) => id == request.id,
        (Verb::Create | Verb::Update, true) => {
            id == request.action_name()
                && actions.get(&id).is_some_and(|action| {
                    request.owns(action)
                        && request.properties.definition.matches(action)
                        && has_data(document, &id, action)
                })
        }
    };
    let has_code = || {
        let reason = document["Reason"].as_str();
        reason.is_some_and(|reason| reason.split_once("Exception: ").is_some())
    };
    ensure(is_right && (is_success || has_code()), || {
        format!("not a response to the request: {document}")
    })?;
    Ok((is_success, id))
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
