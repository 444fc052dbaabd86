//! A topic as service token: CloudFormation's requests, each wrapped in a notification.
//!
//! See <https://docs.aws.amazon.com/sns/latest/dg/sns-lambda-as-subscriber.html>.

use serde_json::value::RawValue;

use super::{Fields, Unrecognized, cloudformation::Envelope};

/// Whether a record is a topic's.
#[must_use]
pub fn is_one(record: &Fields<'_>) -> bool {
    record.text("EventSource").as_deref() == Some("aws:sns")
}

/// The requests in the records, in turn.
#[must_use]
pub fn read(records: &[&RawValue]) -> Vec<Result<Envelope, Unrecognized>> {
    records.iter().map(|record| unwrapped(record).ok_or(Unrecognized::NoRequestInside)).collect()
}

fn unwrapped(record: &RawValue) -> Option<Envelope> {
    let message = Fields::of(Fields::of(record.get())?.get("Sns")?.get())?.text("Message")?;
    let fields = Fields::of(&message)?;
    fields.get("ResponseURL").map(|_| Envelope::read(&fields))
}
