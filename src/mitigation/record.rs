//! The records of the requests that created or claimed an action, which give the requests of a
//! stack's resource their order: the later one decides. A record does not establish ownership.

use std::fmt;

use cloudformation_custom_resource::RequestDigest;

string_enum! {
    /// The type of a request that leaves a record.
    pub enum RecordType {
        Create = "Create",
        /// An Update, in place or with a new name.
        Update = "Update",
    }
}

/// One request of a resource: `<sent>/<digest>/<Create or Update>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When CloudFormation sent the request: seconds since 1970.
    pub sent: u64,
    /// The request, in all of its deliveries.
    pub request: RequestDigest,
    pub request_type: RecordType,
}

impl Record {
    /// Parses the value of a tag; `None` if the provider did not write it, or if the request was
    /// sent more than a minute after `now`, in seconds since 1970.
    pub fn parse(value: &str, now: u64) -> Option<Self> {
        const CLOCK_SKEW: u64 = 60;

        let mut parts = value.split('/');
        let sent = parts.next()?.parse().ok()?;
        let request = RequestDigest::parse(parts.next()?)?;
        let request_type = RecordType::from_word(parts.next()?)?;
        let is_valid = parts.next().is_none() && sent <= now.saturating_add(CLOCK_SKEW);
        is_valid.then_some(Self { sent, request, request_type })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.sent, self.request, self.request_type)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The request that created the action; `None` if the provider took it over.
    pub created: Option<Record>,
    /// The last request that took the action over or set out to change it.
    pub claimed: Option<Record>,
}

impl Records {
    /// The last record: an action is claimed after it was created.
    pub fn last(&self) -> Option<&Record> {
        self.claimed.as_ref().or(self.created.as_ref())
    }
}
