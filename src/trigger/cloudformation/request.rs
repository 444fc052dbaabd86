//! A request for a custom resource: the members that CloudFormation sends for any resource type.
//!
//! See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html>.
//! Parsing accepts any value, so that every request with a usable `ResponseURL` gets a response;
//! validation comes later.

use std::time::Duration;

use serde_json::value::RawValue;

use super::response_url::{ForbiddenUrl, ResponseUrl};
use crate::{
    mitigation::{Problem, Problems, RequestDigest, StackId, truncate},
    trigger::{json::Fields, location::FunctionLocation, reader::Casing},
};

string_enum! {
    /// What CloudFormation asks for.
    pub enum RequestType {
        /// Create the resource.
        Create = "Create",
        /// Change the resource, or replace it.
        Update = "Update",
        /// Delete the resource.
        Delete = "Delete",
    }
}

/// A request from CloudFormation.
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
    /// The most bytes that are kept of a member; no response can repeat more.
    const MAX_TEXT: usize = 4096;

    /// The default of `ServiceTimeout`.
    const DEFAULT_TIMEOUT: Duration = Duration::from_hours(1);

    /// The members that are read.
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

    /// Parses the members.
    pub(in crate::trigger) fn read(fields: &Fields<'_>) -> Self {
        let text = |name: &str| {
            let text = fields.get(name).and_then(|value| Casing::CloudFormation.text(value));
            text.unwrap_or_default().into_owned()
        };
        let short = |name: &str| truncate(&text(name), Self::MAX_TEXT);
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

    /// Parses `ResponseURL`.
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
    /// If it is missing or unknown.
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
    /// if it is missing or invalid.
    #[must_use]
    pub fn service_timeout(&self) -> Duration {
        let given = property(self.properties.as_deref(), "ServiceTimeout");
        let seconds = given.and_then(|given| Casing::CloudFormation.text(given));
        let seconds = seconds.and_then(|seconds| seconds.trim().parse().ok());
        seconds
            .filter(|seconds| (1..=3600).contains(seconds))
            .map_or(Self::DEFAULT_TIMEOUT, Duration::from_secs)
    }

    /// The stack of the resource, which has to be where `function` is.
    ///
    /// # Errors
    /// If `StackId` or `LogicalResourceId` is missing or invalid, because without both no action
    /// can be the resource's; or if the stack is in another account or region.
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

    /// Distinguishes this request from the others of its resource.
    pub(super) fn digest(&self, url: &ResponseUrl) -> RequestDigest {
        RequestDigest::new(&self.request_id, url.date())
    }
}

/// A property, whether or not the others are valid; `None` if there are no properties, or no such
/// one.
pub(super) fn property<'t>(of: Option<&'t RawValue>, name: &'static str) -> Option<&'t RawValue> {
    Fields::read(of?.get(), &[name]).ok()?.get(name)
}
