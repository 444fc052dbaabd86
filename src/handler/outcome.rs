//! The log line and the metrics of an outcome.

use super::FunctionError;
use crate::{
    iot::Session,
    logs,
    metrics::{Metric, Metrics},
    mitigation::{ErrorCode, Failure, Operation, Outcome, Success},
    trigger::TriggerName,
};

/// A request, as the log and the metrics name it.
#[derive(Clone, Copy)]
pub struct Label<'a> {
    /// Its trigger.
    pub trigger: TriggerName,
    /// Its operation, if that is known.
    pub operation: Option<Operation>,
    /// Its operation, as given.
    pub operation_text: &'a str,
    /// The logical id of a resource, or the name of an action.
    pub subject: &'a str,
    /// The request's own id.
    pub id: &'a str,
    /// Lambda's request id.
    pub request_id: &'a str,
    /// The X-Ray trace id, where there is one.
    pub trace_id: Option<&'a str>,
}

/// Logs and counts what came of a request.
pub fn record(
    label: Label<'_>,
    result: &Result<Success, Failure>,
    session: &Session<'_>,
    metrics: &Metrics,
) {
    log(label, result, session);
    metrics.add(Metric::Requests, 1);
    if let Some(operation) = label.operation {
        metrics.add(operation_metric(operation), 1);
    }
    metrics.add(result_metric(result), 1);
    if result.as_ref().is_err_and(|failure| is_callers_mistake(failure.code)) {
        metrics.add(Metric::CallerMistakes, 1);
    }
    metrics.add(Metric::ServiceCalls, session.calls());
    metrics.add(Metric::Throttles, session.throttles());
}

fn log(label: Label<'_>, result: &Result<Success, Failure>, session: &Session<'_>) {
    let Label { trigger, operation_text: operation, subject, id, request_id, trace_id, .. } = label;
    let trigger = trigger.as_str();
    for warning in session.take_warnings() {
        tracing::warn!(trigger, operation, subject, id, request_id, warning, "warning");
    }
    let (calls, throttles) = (session.calls(), session.throttles());
    let milliseconds = u64::try_from(session.age().as_millis()).unwrap_or(u64::MAX);
    // The level is part of a statement, so each has one.
    macro_rules! line {
        ($level:ident, $message:literal, $($field:tt)*) => {
            tracing::$level!(
                trigger, operation, subject, id, $($field)*, calls, throttles, milliseconds,
                request_id, xray_trace_id = trace_id, $message
            )
        };
    }
    match result {
        Ok(Success { outcome, action, notice }) => {
            let outcome = outcome.as_str();
            let action = action.as_ref().map(|action| action.name.as_str());
            if let Some(notice) = notice {
                line!(warn, "request succeeded", action, outcome, notice);
            } else {
                line!(info, "request succeeded", action, outcome);
            }
        }
        Err(failure) => {
            let (outcome, reason) = ("FAILED", failure.reason(logs::MAX_REASON));
            line!(error, "request failed", outcome, reason);
        }
    }
}

/// Logs an error that ends an invocation, fails a notification, or sends a message back to its
/// queue.
pub fn record_error(label: Label<'_>, error: &FunctionError, consequence: &'static str) {
    let Label { trigger, operation_text: operation, subject, id, request_id, trace_id, .. } = label;
    let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
    let (operation, subject) = (given(operation), given(subject));
    tracing::error!(
        trigger = trigger.as_str(),
        operation,
        subject,
        id,
        error_type = error.error_type.as_str(),
        error_message = error.message,
        request_id,
        xray_trace_id = trace_id,
        "{consequence}"
    );
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
        Err(failure) if failure.code.is_transient() => Metric::TransientFailures,
        Err(_) => Metric::PermanentFailures,
    }
}
