//! The physical id: what the one in a request means, and which one a response gives.
//!
//! CloudFormation deletes the resource of the old id when an Update gives a new one, so a response
//! keeps the id of its request wherever it can.

use super::request::{CustomResourceRequest, RequestType};
use crate::mitigation::RequestDigest;

/// The prefix of a placeholder. The colon ensures that it is not the name of an action.
const NOT_CREATED: &str = "not-created:";

/// The meaning of `PhysicalResourceId`.
pub(super) enum PhysicalId<'a> {
    /// The request has none.
    Missing,
    /// The placeholder of a failed Create: its name and its digest, `None` if the provider did not
    /// write it.
    Placeholder(Option<(&'a str, RequestDigest)>),
    /// The id of a resource, or one that CloudFormation generated for a canceled Create.
    Resource(&'a str),
}

impl<'a> PhysicalId<'a> {
    pub(super) fn parse(id: &'a str) -> Self {
        if id.is_empty() {
            return Self::Missing;
        }
        let Some(name_and_digest) = id.strip_prefix(NOT_CREATED) else { return Self::Resource(id) };
        let parts = name_and_digest.split_once(':');
        Self::Placeholder(
            parts.and_then(|(name, digest)| Some((name, RequestDigest::parse(digest)?))),
        )
    }
}

/// The id of the request, if the response keeps it: not for a Create, nor for an Update with a
/// placeholder.
pub(super) fn kept(
    request: &CustomResourceRequest,
    request_type: Option<RequestType>,
) -> Option<&str> {
    match (request_type, PhysicalId::parse(&request.physical_id)) {
        (_, PhysicalId::Missing)
        | (Some(RequestType::Create), PhysicalId::Placeholder(_) | PhysicalId::Resource(_))
        | (Some(RequestType::Update), PhysicalId::Placeholder(_)) => None,
        (Some(RequestType::Update), PhysicalId::Resource(_))
        | (
            Some(RequestType::Delete) | None,
            PhysicalId::Placeholder(_) | PhysicalId::Resource(_),
        ) => Some(&request.physical_id),
    }
}

/// The id of what was not created, `not-created:<name>:<digest>`.
pub(super) fn placeholder(name: Option<&str>, digest: &RequestDigest) -> String {
    format!("{NOT_CREATED}{}:{}", name.unwrap_or("unknown"), digest.as_str())
}
