//! The response, within CloudFormation's size limit.
//!
//! See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html>.

use std::borrow::Cow;

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
    physical_resource_id: Cow<'a, str>,
    stack_id: Cow<'a, str>,
    request_id: Cow<'a, str>,
    logical_resource_id: Cow<'a, str>,
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
) -> Result<Box<RawValue>, Failure> {
    const MIN_REASON: usize = 128;

    let resource = result.ok().flatten();
    let data = resource.map(|resource| data_of(&resource.attributes)).transpose()?.flatten();
    let mut response = Response {
        status: if result.is_ok() { "SUCCESS" } else { "FAILED" },
        reason: result.is_err().then_some(""),
        physical_resource_id: physical_id.into(),
        stack_id: (&request.stack_id).into(),
        request_id: (&request.request_id).into(),
        logical_resource_id: (&request.logical_resource_id).into(),
        data: data.as_deref(),
    };
    let min_reason = if result.is_ok() { 0 } else { MIN_REASON };
    let mut bare = write(&response)?;
    if bare.get().len() + min_reason > MAX_RESPONSE {
        // The id of a resource is not truncated, because it would be another one.
        response.truncate_ids(if resource.is_some() { usize::MAX } else { 1024 });
        bare = write(&response)?;
    }
    let left = MAX_RESPONSE.checked_sub(bare.get().len()).ok_or_else(|| {
        Failure::new("the attributes of the resource are too long for a response")
    })?;
    let Err(failure) = result else { return Ok(bare) };
    let reason = failure.reason(left);
    // CloudFormation rejects a failure without a reason.
    response.reason = Some(if reason.is_empty() { "no reason was given" } else { &reason });
    write(&response)
}

impl Response<'_> {
    fn truncate_ids(&mut self, max_physical: usize) {
        self.physical_resource_id = truncate(&self.physical_resource_id, max_physical).into();
        for id in [&mut self.stack_id, &mut self.request_id, &mut self.logical_resource_id] {
            *id = truncate(id, 512).into();
        }
    }
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

fn write(response: &Response<'_>) -> Result<Box<RawValue>, Failure> {
    to_raw_value(response).map_err(Failure::new)
}
