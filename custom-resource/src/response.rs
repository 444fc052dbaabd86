//! The response, within CloudFormation's size limit.
//!
//! See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html>.

use serde::Serialize;

use crate::{Failure, Request, Resource, failure::truncate};

/// The most bytes of a response.
const MAX_RESPONSE: usize = 4096;

/// The JSON document that is sent to the `ResponseURL`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a, A> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a A>,
}

/// The ids in a response.
struct Ids<'a> {
    stack: &'a str,
    request: &'a str,
    logical: &'a str,
    physical: &'a str,
}

/// The response as JSON: a success, with the resource unless it was deleted; or a failure with
/// `physical_id`. If it would be longer than [`MAX_RESPONSE`], the reason is truncated; if that is
/// not enough, which happens only with ids longer than CloudFormation's, the ids are truncated too.
///
/// # Errors
/// If the attributes cannot be serialized, or do not fit.
pub(crate) fn to_json<A: Serialize>(
    request: &Request,
    physical_id: &str,
    result: Result<Option<&Resource<A>>, &Failure>,
) -> Result<String, Failure> {
    const MIN_REASON: usize = 128;

    let attributes = result.map(|resource| resource.map(|resource| &resource.attributes));
    let whole = Ids {
        stack: &request.stack_id,
        request: &request.request_id,
        logical: &request.logical_resource_id,
        physical: physical_id,
    };
    let bare = write(attributes, &whole, 0)?;
    if result.is_ok() && bare.len() <= MAX_RESPONSE {
        return Ok(bare);
    }
    if result.is_err() && bare.len() + MIN_REASON <= MAX_RESPONSE {
        return write(attributes, &whole, MAX_RESPONSE - bare.len());
    }
    let [stack, id, logical] =
        [whole.stack, whole.request, whole.logical].map(|text| truncate(text, 512));
    let physical = truncate(physical_id, 1024);
    let short = Ids { stack: &stack, request: &id, logical: &logical, physical: &physical };
    let bare = write(attributes, &short, 0)?;
    match MAX_RESPONSE.checked_sub(bare.len()) {
        Some(left) => write(attributes, &short, left),
        None => Err(Failure::new("the attributes of the resource are too long for a response")),
    }
}

fn write<A: Serialize>(
    result: Result<Option<&A>, &Failure>,
    ids: &Ids<'_>,
    reason_bytes: usize,
) -> Result<String, Failure> {
    let response = Response {
        status: if result.is_ok() { "SUCCESS" } else { "FAILED" },
        reason: result.err().map(|failure| failure.reason(reason_bytes)),
        physical_resource_id: ids.physical,
        stack_id: ids.stack,
        request_id: ids.request,
        logical_resource_id: ids.logical,
        data: result.ok().flatten(),
    };
    serde_json::to_string(&response)
        .map_err(|error| Failure::new(format_args!("the attributes cannot be written: {error}")))
}
