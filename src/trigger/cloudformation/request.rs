//! A request for a custom resource: the members that CloudFormation sends, whatever the resource.
//!
//! See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html>.
//! Reading takes anything, so that whoever can be responded to is; what is not as it should be is
//! found later.

use std::time::Duration;

use serde_json::value::RawValue;

use super::response_url::{ForbiddenUrl, ResponseUrl};
use crate::{
    mitigation::{Problem, Problems, RequestDigest, StackId, truncate},
    trigger::{json::Fields, location::FunctionLocation, reader::Casing},
};

words! {
    /// What CloudFormation asks for.
    pub enum RequestType {
        /// Make the resource.
        Create = "Create",
        /// Change the resource, or replace it.
        Update = "Update",
        /// Delete the resource.
        Delete = "Delete",
    }
}

/// What CloudFormation sent.
pub struct CustomResourceRequest {
    response_url: String,
    request_type: Option<Box<RawValue>>,
    /// `StackId`.
    pub stack_id: String,
    /// `RequestId`.
    pub request_id: String,
    /// `LogicalResourceId`.
    pub logical_id: String,
    /// `PhysicalResourceId`.
    pub physical_id: String,
    /// `ResourceProperties`.
    pub(super) properties: Option<Box<RawValue>>,
    /// `OldResourceProperties`.
    pub(super) old_properties: Option<Box<RawValue>>,
}

impl CustomResourceRequest {
    /// The longest text that is kept of a member: no response could repeat more.
    const MAX_TEXT: usize = 4096;

    /// How long CloudFormation waits where a request does not say so.
    const DEFAULT_TIMEOUT: Duration = Duration::from_hours(1);

    /// The members that are looked at.
    pub(in crate::trigger) const MEMBERS: [&'static str; 8] = [
        "ResponseURL",
        "RequestType",
        "StackId",
        "RequestId",
        "LogicalResourceId",
        "PhysicalResourceId",
        "ResourceProperties",
        "OldResourceProperties",
    ];

    /// Reads the members that are there.
    pub(in crate::trigger) fn read(fields: &Fields<'_>) -> Self {
        let text = |name: &str| {
            let text = fields.get(name).and_then(|value| Casing::CloudFormation.text(value));
            text.unwrap_or_default().into_owned()
        };
        let short = |name: &str| {
            let text = text(name);
            if text.len() > Self::MAX_TEXT { truncate(&text, Self::MAX_TEXT) } else { text }
        };
        let raw = |name: &str| fields.get(name).map(RawValue::to_owned);
        Self {
            response_url: text("ResponseURL"),
            request_type: raw("RequestType"),
            stack_id: short("StackId"),
            request_id: short("RequestId"),
            logical_id: short("LogicalResourceId"),
            physical_id: short("PhysicalResourceId"),
            properties: raw("ResourceProperties"),
            old_properties: raw("OldResourceProperties"),
        }
    }

    /// Where to send the response.
    ///
    /// # Errors
    /// As [`ResponseUrl::parse`].
    pub fn response_url(
        &self,
        region: &str,
        allowed: &[String],
    ) -> Result<ResponseUrl, ForbiddenUrl> {
        ResponseUrl::parse(&self.response_url, region, allowed)
    }

    /// `RequestType`.
    ///
    /// # Errors
    /// The problem with it, where it is none.
    pub fn request_type(&self) -> Result<RequestType, Problem> {
        const EXPECTED: &str = "Create, Update or Delete";

        let Some(given) = &self.request_type else {
            return Err(Problem::missing("RequestType", EXPECTED));
        };
        let text = Casing::CloudFormation.text(given).unwrap_or_default();
        RequestType::from_word(&text)
            .ok_or_else(|| Problem::invalid("RequestType", given.get(), EXPECTED))
    }

    /// `RequestType` as given, for logs.
    #[must_use]
    pub(crate) fn request_type_text(&self) -> String {
        let given = self.request_type.as_ref();
        let text = given.and_then(|given| Casing::CloudFormation.text(given));
        truncate(&text.unwrap_or_default(), 64)
    }

    /// `ServiceTimeout`: how long CloudFormation waits for the response, 1 to 3600 s; the default
    /// where it is not given, or is none of these.
    #[must_use]
    pub fn service_timeout(&self) -> Duration {
        let fields = self
            .properties
            .as_ref()
            .and_then(|properties| Fields::read(properties.get(), &["ServiceTimeout"]).ok());
        let given = fields.as_ref().and_then(|fields| fields.get("ServiceTimeout"));
        let seconds = given.and_then(|given| Casing::CloudFormation.text(given));
        let seconds = seconds.and_then(|seconds| seconds.trim().parse().ok());
        seconds
            .filter(|seconds| (1..=3600).contains(seconds))
            .map_or(Self::DEFAULT_TIMEOUT, Duration::from_secs)
    }

    /// The stack whose resource this is, where `function` can act on it.
    ///
    /// # Errors
    /// Where there is no stack or no logical id, as without both no action can be the resource's;
    /// and where the stack is in another account or region.
    pub(super) fn stack(&self, function: &FunctionLocation) -> Result<StackId, Problems> {
        let mut problems = Problems::default();
        let stack = StackId::parse(&self.stack_id);
        if stack.is_none() {
            problems.add(|| match self.stack_id.as_str() {
                "" => Problem::missing("StackId", "the ARN of a stack"),
                other => Problem::invalid("StackId", &format!("{other:?}"), "the ARN of a stack"),
            });
        }
        if self.logical_id.is_empty() {
            let expected = "the resource's name in its template";
            problems.add(|| Problem::missing("LogicalResourceId", expected));
        }
        let stack = stack.filter(|_| problems.is_empty()).ok_or(problems)?;
        match function.check(&stack.location) {
            Ok(()) => Ok(stack),
            Err(mismatch) => Err(Problem::other("StackId", &mismatch.to_string()).into()),
        }
    }

    /// What distinguishes this request from the others of its resource.
    pub(super) fn digest(&self, url: &ResponseUrl) -> RequestDigest {
        RequestDigest::new(&self.request_id, url.date())
    }
}
