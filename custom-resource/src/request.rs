//! A request: the members that CloudFormation sends for any resource type.
//!
//! Reading accepts any value, so that every request with a usable `ResponseURL` gets a response.

use std::{
    borrow::Cow,
    fmt,
    time::{Duration, SystemTime},
};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::{
    Failure, RequestDigest,
    deadlines::Deadlines,
    failure::truncate,
    json::{self, Fields},
    response_url::{ForbiddenUrl, ResponseUrl, Signature},
};

/// What CloudFormation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestType {
    /// Create the resource.
    Create,
    /// Change the resource, or replace it: a response with another physical id makes CloudFormation
    /// delete the old one.
    Update,
    /// Delete the resource.
    Delete,
}

/// A request of CloudFormation. It has no `Debug` of its properties, which may hold secrets, or of
/// its `ResponseURL`, which is one.
///
/// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html>.
pub struct Request {
    /// `StackId`; empty if it is missing, as are the following.
    pub stack_id: String,
    /// `RequestId`. CloudFormation may use it again, for a deployment that is retried.
    pub request_id: String,
    /// `LogicalResourceId`: the resource's name in its template.
    pub logical_resource_id: String,
    /// `PhysicalResourceId`: the id in the last response. A Create has none.
    pub physical_resource_id: String,
    /// `RequestType`; `None` if it is missing or unknown.
    pub request_type: Option<RequestType>,
    /// When CloudFormation sent the request: the date in the `ResponseURL`, or else when it was
    /// read. Of two requests for a resource, the one that was sent later is what the stack wants.
    pub sent: SystemTime,
    /// The same for all deliveries of the request, and different for every other request.
    pub digest: RequestDigest,
    /// Until when CloudFormation waits for the response: the end of `ServiceTimeout` (3600 seconds
    /// if it is not given), or the expiry of the `ResponseURL` if that is earlier.
    pub waits_until: SystemTime,
    /// When work on the request has to end, so that its response is delivered in time. It is known
    /// once [`Provider::serve`](crate::Provider::serve) serves the request; until then it is when
    /// the request was read.
    pub deadline: Instant,
    response_url: String,
    raw_request_type: Option<Box<RawValue>>,
    properties: Option<Box<RawValue>>,
    old_properties: Option<Box<RawValue>>,
}

impl Request {
    /// The members that are read.
    pub const MEMBERS: [&'static str; 9] = [
        "ResponseURL",
        "RequestType",
        "StackId",
        "RequestId",
        "LogicalResourceId",
        "PhysicalResourceId",
        "ResourceProperties",
        "OldResourceProperties",
        "ServiceTimeout",
    ];

    /// The most bytes that are kept of an id; no response can repeat more.
    const MAX_ID: usize = 4096;

    /// The most bytes of a URL that can be parsed.
    const MAX_URL: usize = 65_534;

    /// Reads a request, which is an object with a `ResponseURL`; `None` if `event` is something
    /// else.
    #[must_use]
    pub fn read(event: &str) -> Option<Self> {
        Self::from_fields(&Fields::read(event, &Self::MEMBERS).ok()?)
    }

    /// As [`Request::read`], of an object whose [members](Self::MEMBERS) have been read.
    #[must_use]
    pub fn from_fields(fields: &Fields<'_>) -> Option<Self> {
        let text = |name: &str| fields.get(name).and_then(json::scalar).unwrap_or_default();
        let id = |name: &str| truncate(&text(name), Self::MAX_ID);
        let raw = |name: &str| fields.get(name).map(RawValue::to_owned);
        fields.get("ResponseURL")?;
        let response_url = Some(text("ResponseURL")).filter(|url| url.len() <= Self::MAX_URL);
        let response_url = response_url.unwrap_or_default().into_owned();
        let (request_id, received) = (id("RequestId"), SystemTime::now());
        let signature = Signature::of(&response_url);
        Some(Self {
            stack_id: id("StackId"),
            logical_resource_id: id("LogicalResourceId"),
            physical_resource_id: id("PhysicalResourceId"),
            request_type: RequestType::parse(&text("RequestType")),
            sent: signature.sent_at().unwrap_or(received),
            digest: RequestDigest::new(&request_id, signature.date()),
            deadline: Instant::now(),
            waits_until: waits_until(&signature, received, service_timeout(fields)),
            raw_request_type: raw("RequestType"),
            properties: raw("ResourceProperties"),
            old_properties: raw("OldResourceProperties"),
            request_id,
            response_url,
        })
    }

    /// The requests in an event: the event itself, or the messages of notifications of a topic;
    /// `None` for one that is none.
    pub(crate) fn read_all(event: &str) -> Vec<Option<Self>> {
        let mut requests = Vec::new();
        let fields = Fields::read(event, &["Records"]).unwrap_or_default();
        if let Some(records) = fields.get("Records") {
            let read = json::each_item(records.get(), &mut |record| {
                let record = Fields::read(record.get(), &["Sns"]).unwrap_or_default();
                let message = record.object("Sns", &["Message"]);
                let message = message.and_then(|notification| notification.string("Message"));
                requests.push(message.and_then(|message| Self::read(&message)));
            });
            if read.is_ok() && !requests.is_empty() {
                return requests;
            }
        }
        vec![Self::read(event)]
    }

    /// `RequestType` as given, in JSON.
    #[must_use]
    pub fn raw_request_type(&self) -> Option<&RawValue> {
        self.raw_request_type.as_deref()
    }

    /// `ResourceProperties`, with `ServiceToken` and `ServiceTimeout` among them. See
    /// [`scalar`](crate::scalar) for booleans and numbers.
    ///
    /// # Errors
    /// If they do not fit `T`: the path of the first value that does not, and what is expected. As
    /// the texts of serde do, it may repeat that value.
    pub fn properties<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        read_properties("ResourceProperties", self.raw_properties())
    }

    /// `OldResourceProperties`, of an Update.
    ///
    /// # Errors
    /// As [`Request::properties`]. An Update must not fail for its old properties alone, because
    /// then the resource could never be updated again.
    pub fn old_properties<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        read_properties("OldResourceProperties", self.raw_old_properties())
    }

    /// `ResourceProperties` in JSON, whatever they are.
    #[must_use]
    pub fn raw_properties(&self) -> Option<&RawValue> {
        self.properties.as_deref()
    }

    /// `OldResourceProperties` in JSON, whatever they are.
    #[must_use]
    pub fn raw_old_properties(&self) -> Option<&RawValue> {
        self.old_properties.as_deref()
    }

    /// The `ResponseURL`, if it is one of CloudFormation's in `region`, or of an allowed host.
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

    /// The deadlines of the request in an invocation that ends `until`, the first of which is then
    /// [`Request::deadline`]; `None` if CloudFormation no longer waits.
    pub(crate) fn begin(&mut self, until: SystemTime) -> Option<Deadlines> {
        let now = SystemTime::now();
        let deadlines = Deadlines::new(now, [until, self.waits_until]);
        self.deadline = deadlines.work;
        (self.waits_until > now).then_some(deadlines)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("request_type", &self.request_type)
            .field("stack_id", &self.stack_id)
            .field("request_id", &self.request_id)
            .field("logical_resource_id", &self.logical_resource_id)
            .field("physical_resource_id", &self.physical_resource_id)
            .finish_non_exhaustive()
    }
}

impl RequestType {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "Create" => Some(Self::Create),
            "Update" => Some(Self::Update),
            "Delete" => Some(Self::Delete),
            _ => None,
        }
    }
}

/// `ServiceTimeout`, 1 to 3600 s: a property, or else beside the properties.
fn service_timeout(fields: &Fields<'_>) -> Duration {
    const NAME: &str = "ServiceTimeout";
    const DEFAULT: Duration = Duration::from_hours(1);

    let properties = fields.object("ResourceProperties", &[NAME]);
    let given = properties.and_then(|properties| properties.get(NAME)).or(fields.get(NAME));
    let seconds = given.and_then(json::scalar);
    let seconds = seconds.and_then(|seconds| seconds.trim().parse().ok());
    seconds.filter(|seconds| (1..=3600).contains(seconds)).map_or(DEFAULT, Duration::from_secs)
}

fn waits_until(signature: &Signature<'_>, received: SystemTime, timeout: Duration) -> SystemTime {
    let began = signature.signed_at().unwrap_or(received);
    let end = began.checked_add(timeout).unwrap_or(received);
    signature.expires_at().map_or(end, |expires| expires.min(end))
}

fn read_properties<T: DeserializeOwned>(
    member: &str,
    properties: Option<&RawValue>,
) -> Result<T, Failure> {
    let Some(properties) = properties else {
        return Err(Failure::new(format_args!("{member}: missing: expected an object")));
    };
    let mut deserializer = serde_json::Deserializer::from_str(properties.get());
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { Cow::Borrowed(member) } else { Cow::Owned(path) };
        // "at line 1 column 2" says nothing to the author of a template.
        let text = error.into_inner().to_string();
        let text = text.split(" at line ").next().unwrap_or_default();
        Failure::new(format_args!("{path}: {text}"))
    })
}
