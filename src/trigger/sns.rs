//! SNS: notifications, as Lambda delivers them and as a subscribed queue holds them.
//!
//! See <https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html> and
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>.

use serde_json::value::RawValue;

use super::{
    json::Fields,
    message::{Content, MessageSource},
    unrecognized::Unrecognized,
};

/// The source of plain requests that came in a notification.
const SOURCE: &str = "aws:sns";

/// The most notifications that an event holds: Lambda delivers one.
const MAX_RECORDS: usize = 100;

/// Whether a record is a notification.
pub(super) fn is_record(record: &RawValue) -> bool {
    let record = Fields::read(record.get(), &["EventSource"]).unwrap_or_default();
    record.string("EventSource").as_deref() == Some(SOURCE)
}

/// Reads the records of an event, each by itself.
///
/// # Errors
/// Where there are too many.
pub(super) fn read_records(records: &[&RawValue]) -> Result<Vec<Content>, Unrecognized> {
    if records.len() > MAX_RECORDS {
        return Err(Unrecognized::TooManyRecords);
    }
    Ok(records.iter().map(|record| read_record(record)).collect())
}

fn read_record(record: &RawValue) -> Content {
    let notification = Fields::read(record.get(), &["Sns"])
        .ok()
        .and_then(|record| record.object("Sns", &["Message", "MessageId"]));
    notification
        .and_then(|notification| read_message(&notification))
        .unwrap_or(Content::Unrecognized(Unrecognized::NoRequestInside))
}

/// What the notification in the body of a queue's message says; `None` where the body is none.
pub(super) fn read_body(body: &str) -> Option<Content> {
    let fields = Fields::read(body, &["Type", "Message", "MessageId"]).ok()?;
    if fields.string("Type").as_deref() != Some("Notification") {
        return None;
    }
    read_message(&fields)
}

fn read_message(notification: &Fields<'_>) -> Option<Content> {
    let message = notification.string("Message")?;
    let id = notification.string("MessageId").unwrap_or_default().into_owned();
    Some(Content::read(&message, MessageSource { id, id_member: "MessageId", source: SOURCE }))
}
