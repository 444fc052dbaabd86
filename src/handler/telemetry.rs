//! The log lines and the metrics of requests.

use std::borrow::Cow;

use super::FunctionError;
use crate::{
    iot::Session,
    logs,
    metrics::{Metric, Metrics},
    mitigation::{ErrorCode, Failure, Operation, Outcome, Success},
    trigger::TriggerName,
};

/// A request, as the log and the metrics name it.
pub struct Label<'a> {
    pub trigger: TriggerName,
    pub operation: Option<Operation>,
    /// Its operation, as given.
    pub operation_text: Cow<'a, str>,
    /// The logical id of a resource, or the name of an action.
    pub subject: &'a str,
    pub action: Option<&'a str>,
    /// The request's own id.
    pub id: &'a str,
    /// Lambda's request id.
    pub request_id: &'a str,
    pub trace_id: Option<&'a str>,
}

/// Logs and counts the outcome of a request.
pub fn record(
    label: &Label<'_>,
    result: &Result<Success, Failure>,
    session: &Session<'_>,
    metrics: &Metrics,
) {
    if let Some(operation) = label.operation {
        metrics.add(operation_metric(operation), 1);
    }
    log(label, result, session);
    metrics.add(Metric::Requests, 1);
    metrics.add(result_metric(result), 1);
    if result
        .as_ref()
        .is_err_and(|failure| !failure.is_transient() && is_callers_mistake(failure.code))
    {
        metrics.add(Metric::CallerMistakes, 1);
    }
    metrics.add(Metric::ServiceCalls, session.calls());
    metrics.add(Metric::Throttles, session.throttles());
}

fn log(label: &Label<'_>, result: &Result<Success, Failure>, session: &Session<'_>) {
    let Label { subject, action, id, request_id, trace_id, .. } = *label;
    let (trigger, operation) = (label.trigger.as_str(), &*label.operation_text);
    for warning in session.take_warnings() {
        tracing::warn!(trigger, operation, subject, action, id, request_id, warning, "warning");
    }
    let found = result.as_ref().ok().and_then(|success| success.action.as_ref());
    let action = found.map(|found| found.name.as_str()).or(action);
    let (calls, throttles) = (session.calls(), session.throttles());
    let milliseconds = u64::try_from(session.age().as_millis()).unwrap_or(u64::MAX);
    // The level is part of a statement, so each has one.
    macro_rules! log_line {
        ($level:ident, $message:literal, $($field:tt)*) => {
            tracing::$level!(
                trigger, operation, subject, action, id, $($field)*, calls, throttles,
                milliseconds, request_id, xray_trace_id = trace_id, $message
            )
        };
    }
    match result {
        Ok(Success { outcome, notice, .. }) => {
            let outcome = outcome.as_str();
            if let Some(notice) = notice {
                log_line!(warn, "request succeeded", outcome, notice);
            } else {
                log_line!(info, "request succeeded", outcome);
            }
        }
        Err(failure) => {
            let (outcome, reason) = ("FAILED", failure.reason(logs::MAX_REASON));
            log_line!(error, "request failed", outcome, reason);
        }
    }
}

/// Logs and counts a request that is not executed, because CloudFormation no longer waits for its
/// response.
pub fn record_expired(label: &Label<'_>, metrics: &Metrics) {
    tracing::warn!(
        trigger = label.trigger.as_str(),
        operation = &*label.operation_text,
        subject = label.subject,
        action = label.action,
        id = label.id,
        outcome = "EXPIRED",
        calls = 0,
        throttles = 0,
        milliseconds = 0,
        request_id = label.request_id,
        xray_trace_id = label.trace_id,
        "the ResponseURL or the ServiceTimeout has expired, so the request is not executed"
    );
    metrics.add(Metric::Expired, 1);
}

/// Logs an error that ends an invocation, fails a notification, or sends a message back to its
/// queue.
pub fn record_error(label: &Label<'_>, error: &FunctionError, consequence: &'static str) {
    tracing::error!(
        trigger = label.trigger.as_str(),
        operation = given(&label.operation_text),
        subject = given(label.subject),
        id = label.id,
        error_type = error.error_type.as_str(),
        error_message = error.message,
        request_id = label.request_id,
        xray_trace_id = label.trace_id,
        "{consequence}"
    );
}

/// Logs why a message is sent back to its queue without an error.
pub fn record_redelivery(label: &Label<'_>, why: &'static str) {
    tracing::warn!(
        trigger = label.trigger.as_str(),
        operation = given(&label.operation_text),
        subject = given(label.subject),
        id = label.id,
        warning = why,
        request_id = label.request_id,
        xray_trace_id = label.trace_id,
        "the message is redelivered"
    );
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// Whether only the caller can do anything about it.
fn is_callers_mistake(code: ErrorCode) -> bool {
    match code {
        ErrorCode::InvalidRequest
        | ErrorCode::ResourceAlreadyExists
        | ErrorCode::ResourceNotFound => true,
        ErrorCode::LimitExceeded
        | ErrorCode::AccessDenied
        | ErrorCode::Throttling
        | ErrorCode::InternalFailure
        | ErrorCode::InvalidSetting => false,
    }
}

fn operation_metric(operation: Operation) -> Metric {
    match operation {
        Operation::Create => Metric::CreateRequests,
        Operation::Update => Metric::UpdateRequests,
        Operation::Delete => Metric::DeleteRequests,
        Operation::Describe => Metric::DescribeRequests,
    }
}

fn result_metric(result: &Result<Success, Failure>) -> Metric {
    match result.as_ref().map(|success| &success.outcome) {
        Ok(Outcome::Created) => Metric::Created,
        Ok(Outcome::Adopted) => Metric::Adopted,
        Ok(Outcome::Updated) => Metric::Updated,
        Ok(Outcome::Deleted) => Metric::Deleted,
        Ok(Outcome::Absent) => Metric::Absent,
        Ok(Outcome::Released) => Metric::Released,
        Ok(Outcome::Skipped) => Metric::DeletesSkipped,
        Ok(Outcome::Described(_)) => Metric::Described,
        Err(failure) if failure.is_transient() => Metric::TransientFailures,
        Err(_) => Metric::PermanentFailures,
    }
}
