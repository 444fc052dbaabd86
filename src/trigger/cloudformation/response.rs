//! The response to a custom resource's request, within CloudFormation's limit.
//!
//! See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html>.

use aws_lambda_events::event::cloudformation::CloudFormationCustomResourceResponseStatus as Status;
use serde::Serialize;

use super::request::CustomResourceRequest;
use crate::mitigation::{Failure, truncate};

/// The longest response that CloudFormation takes, in bytes.
pub const MAX_RESPONSE: usize = 4096;

/// The document that is PUT.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a, D> {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a D>,
}

/// What a response repeats of its request, and the physical id.
struct Echo<'a> {
    stack: &'a str,
    request: &'a str,
    logical: &'a str,
    physical: &'a str,
}

/// The response as JSON: a success with `data`, or a failure. Where it would be longer than
/// [`MAX_RESPONSE`], the reason is cut; where that is not enough, which only texts longer than
/// CloudFormation's own bring about, so is what it repeats.
pub(super) fn to_json<D: Serialize>(
    request: &CustomResourceRequest,
    physical_id: &str,
    result: Result<Option<&D>, &Failure>,
) -> String {
    const MIN_REASON: usize = 128;

    let CustomResourceRequest { stack_id, request_id, logical_id, .. } = request;
    let whole =
        Echo { stack: stack_id, request: request_id, logical: logical_id, physical: physical_id };
    let bare = write(result, &whole, 0);
    if result.is_ok() && bare.len() <= MAX_RESPONSE {
        return bare;
    }
    if bare.len() + MIN_REASON <= MAX_RESPONSE {
        return write(result, &whole, MAX_RESPONSE - bare.len());
    }
    let [stack, request, logical] =
        [stack_id, request_id, logical_id].map(|text| truncate(text, 512));
    let physical = truncate(physical_id, 1024);
    let short = Echo { stack: &stack, request: &request, logical: &logical, physical: &physical };
    let budget = MAX_RESPONSE.saturating_sub(write(result, &short, 0).len());
    write(result, &short, budget)
}

fn write<D: Serialize>(
    result: Result<Option<&D>, &Failure>,
    echo: &Echo<'_>,
    reason_budget: usize,
) -> String {
    let response = Response {
        status: if result.is_ok() { Status::Success } else { Status::Failed },
        reason: result.err().map(|failure| failure.reason(reason_budget)),
        physical_resource_id: echo.physical,
        stack_id: echo.stack,
        request_id: echo.request,
        logical_resource_id: echo.logical,
        data: result.ok().flatten(),
    };
    serde_json::to_string(&response).unwrap_or_default()
}
