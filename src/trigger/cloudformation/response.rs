//! The response to a custom resource request, within CloudFormation's size limit.
//!
//! See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html>.

use aws_lambda_events::event::cloudformation::CloudFormationCustomResourceResponseStatus as Status;
use serde::Serialize;

use super::{
    physical_id,
    request::{CustomResourceRequest, RequestType},
    response_url::ResponseUrl,
};
use crate::mitigation::{Failure, truncate};

/// The most bytes of a response.
const MAX_RESPONSE: usize = 4096;

/// The JSON document that is sent to the `ResponseURL`.
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

/// The ids in a response.
struct Echo<'a> {
    stack: &'a str,
    request: &'a str,
    logical: &'a str,
    physical: &'a str,
}

/// A resource that exists, as a response describes it.
pub(super) struct Resource<'a, D> {
    pub physical_id: &'a str,
    /// The attributes for `!GetAtt`.
    pub data: D,
}

/// The response as JSON. `name` gives the name of the resource for a placeholder.
pub(super) fn respond<D: Serialize>(
    request: &CustomResourceRequest,
    url: &ResponseUrl,
    result: Result<Option<Resource<'_, D>>, &Failure>,
    name: fn(&CustomResourceRequest) -> Option<String>,
) -> String {
    let request_type = request.request_type().ok();
    let result = result.map(|resource| match request_type {
        Some(RequestType::Delete) => None,
        Some(RequestType::Create | RequestType::Update) | None => resource,
    });
    let resource = result.as_ref().ok().and_then(Option::as_ref);
    let placeholder;
    let physical_id = match (resource, physical_id::kept(request, request_type)) {
        (Some(resource), _) => resource.physical_id,
        (None, Some(kept)) => kept,
        (None, None) => {
            let name = name(request);
            placeholder = physical_id::placeholder(name.as_deref(), &request.digest(url));
            &placeholder
        }
    };
    let result = match &result {
        Ok(resource) => Ok(resource.as_ref().map(|resource| &resource.data)),
        Err(failure) => Err(*failure),
    };
    to_json(request, physical_id, result)
}

/// A success with `data`, or a failure. If the response would be longer than [`MAX_RESPONSE`], the
/// reason is truncated; if that is not enough, which happens only with ids longer than
/// CloudFormation's, the ids are truncated too.
fn to_json<D: Serialize>(
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
