//! CloudFormation's protocol for custom resources, and `Custom::IoTMitigationAction`.
//!
//! See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>. `request`,
//! `physical_id`, `response` and `response_url` implement the protocol for any resource type.
//! `resource` maps properties to a request, and an outcome to a physical id and the attributes for
//! `!GetAtt`. A second resource type would be a second mapping.

mod physical_id;
mod request;
mod resource;
mod response;
mod response_url;

pub use request::{CustomResourceRequest, RequestType};
pub use resource::{name_of_create, plan, respond};
pub use response_url::{ForbiddenUrl, ResponseUrl};
