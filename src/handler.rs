//! One invocation from start to finish. That a request is answered exactly once is decided here and nowhere else.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, SystemTime},
};

use futures_util::{FutureExt as _, future::join_all};
use hyper::StatusCode;
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::Instrument as _;

use crate::{
    bus::Bus,
    http::Http,
    iot::{Iot, Session},
    lifecycle,
    mitigation::{Code, Failure, Outcome, Owner, Request, Task, Verdict, beginning},
    retry::{attempt_time, backoff},
    settings::Settings,
    telemetry::{Metric, Metrics},
    trigger::{
        Home, Payload, Trigger, Unrecognized,
        api::{self, Call},
        batch::{self, Batch, Content, Message},
        cloudformation::{Ask, Envelope, ResponseUrl},
        eventbridge::{Event, Requested, ResultEvent},
    },
};

/// The function: what every invocation shares.
pub struct Handler<'s> {
    settings: &'s Settings,
    http: Http,
    iot: Iot<'s>,
    bus: Bus<'s>,
}

/// A failed invocation: what Lambda reports as a function error.
#[derive(Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// `errorType`.
    pub kind: &'static str,
    /// `errorMessage`.
    pub message: String,
}

impl From<FunctionError> for Diagnostic {
    fn from(error: FunctionError) -> Self {
        Self { error_type: error.kind.to_owned(), error_message: error.message }
    }
}

impl From<Unrecognized> for FunctionError {
    fn from(unrecognized: Unrecognized) -> Self {
        Self { kind: "UnrecognizedEvent", message: unrecognized.to_string() }
    }
}

impl From<&Failure> for FunctionError {
    fn from(failure: &Failure) -> Self {
        Self { kind: failure.code.as_str(), message: api::message(failure) }
    }
}

impl<'s> Handler<'s> {
    /// A handler with `settings`, whose calls all go over `http`.
    #[must_use]
    pub fn new(settings: &'s Settings, http: Http) -> Self {
        Self {
            settings,
            http: http.clone(),
            iot: Iot::new(settings, http.clone()),
            bus: Bus::new(settings, http),
        }
    }

    /// Where an event waits, does ahead what it would wait for: a start has a whole CPU, and an event on a small function a part of one.
    pub async fn ready(&self) {
        if self.settings.event_waits && self.settings.failure().is_none() {
            self.iot.connect(&self.http).await;
        }
    }

    /// Answers one event.
    ///
    /// # Errors
    /// Where nobody waits for an answer elsewhere, or it could not be delivered.
    pub async fn handle(
        &self,
        event: LambdaEvent<Payload>,
    ) -> Result<Box<RawValue>, FunctionError> {
        let LambdaEvent { payload, context } = event;
        let began = Instant::now();
        let span = tracing::info_span!("invocation", request_id = context.request_id);
        let trigger = Trigger::recognise(&payload);
        let invocation = Invocation {
            trigger: trigger.as_ref().map_or("unrecognized", Trigger::name),
            home: Home::new(&context.invoked_function_arn, &self.settings.region),
            end: context.deadline(),
            id: context.request_id,
            metrics: Metrics::default(),
        };
        let result = async {
            match trigger? {
                Trigger::CloudFormation(envelope) => {
                    self.answer(&envelope, &invocation, invocation.end).await
                }
                Trigger::Notification(requests) => self.answer_in_turn(requests, &invocation).await,
                Trigger::Event(Event::Requested(requested)) => {
                    self.serve(&requested, &invocation).await
                }
                Trigger::Event(Event::OwnResult) => {
                    written(&serde_json::json!({ "status": "IGNORED" }))
                }
                Trigger::Batch(batch) => self.serve_batch(batch, &invocation).await,
                Trigger::Direct(call) => self.call(&call, &invocation).await,
            }
        };
        let result = result.instrument(span.clone()).await;
        if let Err(FunctionError { kind, message }) = &result {
            tracing::error!(parent: &span, trigger = invocation.trigger, error_type = kind, error_message = message, "invocation failed");
        }
        invocation.metrics.write(invocation.trigger, began.elapsed());
        result
    }

    /// Answers the requests of a notification one after another; the time that is left is shared among those still to come.
    async fn answer_in_turn(
        &self,
        requests: Vec<Result<Envelope, Unrecognized>>,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let mut documents = Vec::new();
        let mut failed = None;
        let mut left = u32::try_from(requests.len()).unwrap_or(u32::MAX);
        for request in requests {
            let now = SystemTime::now();
            let share = invocation.end.duration_since(now).unwrap_or_default() / left.max(1);
            left = left.saturating_sub(1);
            let answered = match request {
                Ok(envelope) => self.answer(&envelope, invocation, now + share).await,
                Err(unrecognized) => Err(unrecognized.into()),
            };
            match answered {
                Ok(document) => documents.push(document),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match (failed, documents.pop()) {
            (Some(error), _) => Err(error),
            (None, Some(only)) if documents.is_empty() => Ok(only),
            (None, last) => {
                documents.extend(last);
                written(&documents)
            }
        }
    }

    /// Works a custom resource's request and delivers its answer: one document, whatever happens on the way to it.
    async fn answer(
        &self,
        envelope: &Envelope,
        invocation: &Invocation,
        end: SystemTime,
    ) -> Result<Box<RawValue>, FunctionError> {
        let url = envelope.response_url(&self.settings.response_hosts).map_err(|fault| {
            FunctionError {
                kind: "ForbiddenResponseUrl",
                message: format!("the ResponseURL is not answered and no work is done: {fault}"),
            }
        })?;
        let now = SystemTime::now();
        if url.expires_at().is_some_and(|expires| expires <= now) {
            tracing::warn!(
                trigger = invocation.trigger,
                logical_id = envelope.logical_id(),
                "the ResponseURL has expired, so nobody waits and nothing is done"
            );
            invocation.metrics.add(Metric::Expired, 1);
            return written(&serde_json::json!({ "status": "EXPIRED" }));
        }
        let service = envelope
            .service_timeout()
            .and_then(|timeout| url.signed_at().unwrap_or(now).checked_add(timeout));
        let deadlines = Deadlines::new(now, [Some(end), service, url.expires_at()]);
        let session = self.iot.session(deadlines.work);
        let work = self.work(envelope, &invocation.home, &session);
        let result = in_time(work, &session, deadlines.work).await;
        let request_type = beginning(&envelope.request_type(), 64);
        Line {
            operation: &request_type,
            subject: envelope.logical_id(),
            id: envelope.request_id(),
        }
        .tell(&result, &session, invocation);
        let document = envelope.answer(&result);
        self.deliver(&url, &document, deadlines.answer)
            .await
            .inspect_err(|_| invocation.metrics.add(Metric::ResponsesUndelivered, 1))?;
        RawValue::from_string(document)
            .map_err(|error| undeliverable(&format!("it is not JSON: {error}")))
    }

    async fn work(
        &self,
        envelope: &Envelope,
        home: &Home,
        session: &Session<'_>,
    ) -> Result<Outcome, Failure> {
        if let Some(failure) = self.settings.failure() {
            return Err(failure);
        }
        match envelope.ask(home) {
            Ask::Work(request) => {
                if matches!(request.task, Task::Create(_) | Task::Update(_)) {
                    // The stack may have made the role moments ago.
                    session.wait_for_role();
                }
                lifecycle::carry_out(&request, session).await
            }
            Ask::Settled(result) => result,
        }
    }

    /// Works an event and publishes its result. What may pass is an error, so that the event is delivered again; what can
    /// never succeed is one only where there is no bus to report it on.
    async fn serve(
        &self,
        requested: &Requested,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let deadlines = invocation.deadlines();
        let session = self.iot.session(deadlines.work).that_comes_again();
        let result = self.perform(requested, invocation, &session, deadlines.work).await;
        if let Err(failure) = &result
            && self.comes_again(failure)
        {
            return Err(failure.into());
        }
        match self.bus.publish(&[requested.result(&result)], deadlines.answer).await.pop().flatten()
        {
            Some(fault) => {
                invocation.metrics.add(Metric::ResultsUnpublished, 1);
                Err(unpublished(&fault))
            }
            None => written(&requested.call.document(&result)),
        }
    }

    /// Works the messages of a batch, all at once but those that name the same action, and publishes their results together.
    async fn serve_batch(
        &self,
        batch: Batch,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let deadlines = invocation.deadlines();
        let lanes = batch.lanes().into_iter().map(|lane| async move {
            let mut ends = Vec::with_capacity(lane.len());
            for message in lane {
                let end = self.serve_message(&message, invocation, deadlines.work).await;
                ends.push((message.id, end));
            }
            ends
        });
        let mut failed = Vec::new();
        let mut results = Vec::new();
        for (id, end) in join_all(lanes).await.into_iter().flatten() {
            match end {
                End::Done => {}
                End::Result(event) => results.push((id, event)),
                End::Again => failed.push(id),
            }
        }
        let (ids, events): (Vec<String>, Vec<ResultEvent>) = results.into_iter().unzip();
        for (id, fault) in ids.into_iter().zip(self.bus.publish(&events, deadlines.answer).await) {
            if let Some(fault) = fault {
                invocation.metrics.add(Metric::ResultsUnpublished, 1);
                tracing::error!(
                    message_id = id,
                    fault,
                    "the result was not published, so the message comes again"
                );
                failed.push(id);
            }
        }
        batch::failures(failed).map_err(|error| unpublished(&error.to_string()))
    }

    async fn serve_message(
        &self,
        message: &Message,
        invocation: &Invocation,
        until: Instant,
    ) -> End {
        let requested = match &message.content {
            Content::Requested(requested) => requested,
            Content::OwnResult => return End::Done,
            Content::Unreadable => {
                tracing::error!(
                    message_id = message.id,
                    "the message is no request, so it goes to the dead-letter queue"
                );
                return End::Again;
            }
        };
        let session = self.iot.session(until).that_comes_again().paced();
        match self.perform(requested, invocation, &session, until).await {
            Err(failure) if self.comes_again(&failure) => End::Again,
            result => End::Result(requested.result(&result)),
        }
    }

    /// Works a direct call: its result is the return value, its failure a function error of the API's name.
    async fn call(
        &self,
        call: &Call,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let deadlines = invocation.deadlines();
        let session = self.iot.session(deadlines.work).that_comes_again();
        let id = call.request_id().unwrap_or(&invocation.id);
        let work = self.carry_out(call.task(), Owner::request(id), invocation, &session);
        let result = in_time(work, &session, deadlines.work).await;
        Line { operation: call.operation(), subject: call.action_name().unwrap_or_default(), id }
            .tell(&result, &session, invocation);
        match &result {
            Ok(_) => written(&call.document(&result)),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Works a request whose result is an event, and logs what came of it.
    async fn perform(
        &self,
        requested: &Requested,
        invocation: &Invocation,
        session: &Session<'_>,
        until: Instant,
    ) -> Result<Outcome, Failure> {
        let Requested { call, owner, .. } = requested;
        let result = in_time(
            self.carry_out(call.task(), owner.clone(), invocation, session),
            session,
            until,
        )
        .await;
        let subject = call.action_name().unwrap_or_default();
        Line { operation: call.operation(), subject, id: requested.id() }
            .tell(&result, session, invocation);
        result
    }

    async fn carry_out(
        &self,
        task: Result<Task, Failure>,
        owner: Owner,
        invocation: &Invocation,
        session: &Session<'_>,
    ) -> Result<Outcome, Failure> {
        if let Some(failure) = self.settings.failure() {
            return Err(failure);
        }
        let request =
            Request { task: task?, owner, place: invocation.home.place().cloned(), leftover: None };
        lifecycle::carry_out(&request, session).await
    }

    /// Whether a request that failed is to be delivered again, to be worked or at the end to be kept for a person.
    fn comes_again(&self, failure: &Failure) -> bool {
        failure.code.is_retryable() || failure.code == Code::InvalidSetting || !self.bus.is_set()
    }

    /// PUTs the one document until it is accepted once.
    async fn deliver(
        &self,
        url: &ResponseUrl,
        document: &str,
        by: Instant,
    ) -> Result<(), FunctionError> {
        let mut tries = 0;
        loop {
            let room = by.saturating_duration_since(Instant::now());
            tries += 1;
            let fault =
                match timeout(attempt_time(room), self.http.put(url.expose(), document.to_owned()))
                    .await
                {
                    Ok(Ok(status)) if status.is_success() => return Ok(()),
                    Ok(Ok(status)) if !is_passing(status) => {
                        return Err(undeliverable(&format!("it was refused with status {status}")));
                    }
                    Ok(Ok(status)) => {
                        format!("the last of {tries} attempts was answered with status {status}")
                    }
                    Ok(Err(none)) => format!("the last of {tries} attempts failed: {none}"),
                    Err(_) => format!("the last of {tries} attempts was not answered"),
                };
            let Some(wait) = backoff(tries, by.saturating_duration_since(Instant::now())) else {
                return Err(undeliverable(&fault));
            };
            tracing::debug!(fault, "response not delivered yet");
            sleep(wait).await;
        }
    }
}

/// What the work of one invocation shares.
struct Invocation {
    trigger: &'static str,
    /// Lambda's request id.
    id: String,
    home: Home,
    end: SystemTime,
    metrics: Metrics,
}

impl Invocation {
    /// The deadlines of a request that has no other end than the invocation's.
    fn deadlines(&self) -> Deadlines {
        Deadlines::new(SystemTime::now(), [Some(self.end), None, None])
    }
}

/// What becomes of a message.
enum End {
    /// It is done, and nobody is to be told.
    Done,
    /// It is done, and this is to be published.
    Result(ResultEvent),
    /// It goes back to its queue.
    Again,
}

/// The result of `work`, which ends by `until`; a panic is a failure like any other.
async fn in_time(
    work: impl Future<Output = Result<Outcome, Failure>>,
    session: &Session<'_>,
    until: Instant,
) -> Result<Outcome, Failure> {
    let cut = |_| Err(session.out_of_time());
    timeout_at(until, caught(work)).await.unwrap_or_else(cut)
}

async fn caught(work: impl Future<Output = Result<Outcome, Failure>>) -> Result<Outcome, Failure> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        let text = "the provider panicked, which is a defect of it: its log says where";
        Err(Failure::new(Code::InternalFailure, text))
    })
}

/// Until when to work, and until when the answer has to be accepted.
struct Deadlines {
    work: Instant,
    answer: Instant,
}

impl Deadlines {
    /// Of the time until the earliest of `ends`, a fifth, or a second if that is less, is kept free behind the answer, and as
    /// much again up to three seconds for delivering it.
    fn new(now: SystemTime, ends: [Option<SystemTime>; 3]) -> Self {
        let left = |end: SystemTime| end.duration_since(now).unwrap_or_default();
        let time = ends.into_iter().flatten().map(left).min().unwrap_or_default();
        let now = Instant::now();
        if time.is_zero() {
            // Whoever waited does not any more; one attempt at an answer does no harm, and work would.
            return Self { work: now, answer: now + Duration::from_secs(1) };
        }
        let answer = time.saturating_sub((time / 5).min(Duration::from_secs(1)));
        let work = answer.saturating_sub((time / 5).min(Duration::from_secs(3)));
        Self { work: now + work, answer: now + answer }
    }
}

/// Whether a response that was refused with `status` may be taken later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

fn undeliverable(fault: &str) -> FunctionError {
    let message = format!("the response could not be delivered: {fault}");
    FunctionError { kind: "UndeliverableResponse", message }
}

fn unpublished(fault: &str) -> FunctionError {
    let message = format!("the work is done, but its result could not be published: {fault}");
    FunctionError { kind: "UndeliverableResult", message: beginning(&message, 4096) }
}

fn written(document: &impl Serialize) -> Result<Box<RawValue>, FunctionError> {
    serde_json::value::to_raw_value(document).map_err(|error| unpublished(&error.to_string()))
}

/// What the log says of an outcome besides the outcome.
struct Line<'a> {
    operation: &'a str,
    /// The logical id of a resource, the name of an action.
    subject: &'a str,
    id: &'a str,
}

impl Line<'_> {
    /// Tells what came of a request: one line, and what it counts for.
    fn tell(
        &self,
        result: &Result<Outcome, Failure>,
        session: &Session<'_>,
        invocation: &Invocation,
    ) {
        let &Self { operation, subject, id } = self;
        let Invocation { trigger, metrics, .. } = invocation;
        let tally = session.tally();
        let (calls, throttles) = (tally.calls.get(), tally.throttles.get());
        let milliseconds = u64::try_from(session.age().as_millis()).unwrap_or(u64::MAX);
        for metric in [Some(Metric::Requests), metric_of(operation), Some(metric_of_result(result))]
            .into_iter()
            .flatten()
        {
            metrics.add(metric, 1);
        }
        metrics.add(Metric::ServiceCalls, calls);
        metrics.add(Metric::Throttles, throttles);
        match result {
            Ok(Outcome { verdict, action, notice }) => {
                let outcome = verdict.as_str();
                let action = action.as_ref().map(|action| action.name.as_str());
                if let Some(notice) = notice {
                    tracing::warn!(
                        trigger,
                        operation,
                        subject,
                        id,
                        action,
                        outcome,
                        calls,
                        throttles,
                        milliseconds,
                        notice,
                        "request done"
                    );
                } else {
                    tracing::info!(
                        trigger,
                        operation,
                        subject,
                        id,
                        action,
                        outcome,
                        calls,
                        throttles,
                        milliseconds,
                        "request done"
                    );
                }
            }
            Err(failure) => {
                let (outcome, reason) = ("FAILED", failure.reason(4096));
                tracing::error!(
                    trigger,
                    operation,
                    subject,
                    id,
                    outcome,
                    calls,
                    throttles,
                    milliseconds,
                    reason,
                    "request failed"
                );
            }
        }
    }
}

fn metric_of(operation: &str) -> Option<Metric> {
    match operation {
        "Create" | "CreateMitigationAction" => Some(Metric::CreateRequests),
        "Update" | "UpdateMitigationAction" => Some(Metric::UpdateRequests),
        "Delete" | "DeleteMitigationAction" => Some(Metric::DeleteRequests),
        "DescribeMitigationAction" => Some(Metric::DescribeRequests),
        _ => None,
    }
}

fn metric_of_result(result: &Result<Outcome, Failure>) -> Metric {
    match result.as_ref().map(|outcome| &outcome.verdict) {
        Ok(Verdict::Created) => Metric::Created,
        Ok(Verdict::Adopted) => Metric::Adopted,
        Ok(Verdict::Updated) => Metric::Updated,
        Ok(Verdict::Deleted) => Metric::Deleted,
        Ok(Verdict::Absent) => Metric::Absent,
        Ok(Verdict::Left) => Metric::DeletesSkipped,
        Ok(Verdict::Described(_)) => Metric::Described,
        Err(failure) if failure.code.is_retryable() => Metric::FailedForNow,
        Err(_) => Metric::Failed,
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::{Code, Failure, Outcome, caught};

    #[tokio::test]
    #[expect(clippy::panic, clippy::unwrap_used, reason = "what is tested")]
    async fn a_panic_becomes_a_failure() {
        let work =
            std::future::poll_fn(|_| -> Poll<Result<Outcome, Failure>> { panic!("of any kind") });
        assert_eq!(caught(work).await.unwrap_err().code, Code::InternalFailure);
    }
}
