//! The response, within CloudFormation's size limit.
//!
//! See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html>.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{Failure, Request, Resource, failure::truncate};

/// The most bytes of a response.
const MAX_RESPONSE: usize = 4096;

/// The JSON document that is sent to the `ResponseURL`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// The response as JSON: a success, with the resource unless it was deleted; or a failure with
/// `physical_id`. If it would be longer than [`MAX_RESPONSE`], the reason is truncated; if that is
/// not enough, which happens only with ids longer than CloudFormation's, the ids of the request are
/// truncated too.
///
/// # Errors
/// If the attributes cannot be written, or do not fit.
pub(crate) fn to_json<A: Serialize>(
    request: &Request,
    physical_id: &str,
    result: Result<Option<&Resource<A>>, &Failure>,
) -> Result<String, Failure> {
    const MIN_REASON: usize = 128;

    let resource = result.ok().flatten();
    let data = resource.map(|resource| data_of(&resource.attributes)).transpose()?.flatten();
    let mut response = Response {
        status: if result.is_ok() { "SUCCESS" } else { "FAILED" },
        reason: result.is_err().then_some(""),
        physical_resource_id: physical_id,
        stack_id: &request.stack_id,
        request_id: &request.request_id,
        logical_resource_id: &request.logical_resource_id,
        data: data.as_deref(),
    };
    let bare = write(&response)?;
    let min_reason = if result.is_ok() { 0 } else { MIN_REASON };
    let [stack, id, logical] =
        [&request.stack_id, &request.request_id, &request.logical_resource_id]
            .map(|text| truncate(text, 512));
    let physical = truncate(physical_id, 1024);
    let bare = if bare.len() + min_reason <= MAX_RESPONSE {
        bare
    } else {
        (response.stack_id, response.request_id) = (&stack, &id);
        response.logical_resource_id = &logical;
        if resource.is_none() {
            response.physical_resource_id = &physical;
        }
        write(&response)?
    };
    let too_long = || Failure::new("the attributes of the resource are too long for a response");
    let left = MAX_RESPONSE.checked_sub(bare.len()).ok_or_else(too_long)?;
    let Err(failure) = result else { return Ok(bare) };
    let reason = failure.reason(left);
    // CloudFormation rejects a failure without a reason.
    response.reason = Some(if reason.is_empty() { "no reason was given" } else { &reason });
    write(&response)
}

/// `Data`; none if the attributes are null, as those of the type `()` are.
fn data_of(attributes: &impl Serialize) -> Result<Option<Box<RawValue>>, Failure> {
    let data = to_raw_value(attributes)
        .map_err(|error| Failure::new(format_args!("the attributes cannot be written: {error}")))?;
    match data.get().as_bytes().first() {
        Some(b'{') => Ok(Some(data)),
        Some(b'n') => Ok(None),
        _ => Err(Failure::new("the attributes cannot be written: they are not an object")),
    }
}

fn write(response: &Response<'_>) -> Result<String, Failure> {
    serde_json::to_string(response).map_err(Failure::new)
}
