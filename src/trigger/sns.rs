//! SNS: notifications, delivered by Lambda or in the messages of a subscribed queue.
//!
//! See <https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html> and
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>.

use cloudformation_custom_resource::json::{self, Fields};
use serde_json::value::RawValue;

use super::{MessageSource, Trigger, Unrecognized};

/// The `EventSource` of a record, and the source of a request without an event around it.
const SOURCE: &str = "aws:sns";

/// The most notifications in an event; Lambda delivers one.
const MAX_RECORDS: usize = 100;

pub(super) fn is_record(record: &RawValue) -> bool {
    let record = Fields::read(record.get(), &["EventSource"]).unwrap_or_default();
    record.string("EventSource").as_deref() == Some(SOURCE)
}

/// Parses the records of an event. An invalid one does not affect the others.
pub(super) fn read_records(
    records: &[&RawValue],
) -> Result<Vec<Result<Trigger, Unrecognized>>, Unrecognized> {
    if records.len() > MAX_RECORDS {
        return Err(Unrecognized::TooManyRecords);
    }
    Ok(records.iter().map(|record| read_record(record)).collect())
}

fn read_record(record: &RawValue) -> Result<Trigger, Unrecognized> {
    let notification = Fields::read(record.get(), &["Sns"])
        .ok()
        .and_then(|record| record.object("Sns", &["Message", "MessageId"]));
    notification
        .and_then(|notification| read_message(&notification))
        .unwrap_or(Err(Unrecognized::NoRequestInside))
}

/// The content of a notification in the body of an SQS message; `None` if the body is not one.
pub(super) fn read_body(body: &str) -> Option<Result<Trigger, Unrecognized>> {
    let body = json::raw(body)?.get();
    let fields = Fields::read(body, &["Type", "Message", "MessageId"]).ok()?;
    if fields.string("Type").as_deref() != Some("Notification") {
        return None;
    }
    read_message(&fields)
}

fn read_message(notification: &Fields<'_>) -> Option<Result<Trigger, Unrecognized>> {
    let message = notification.string("Message")?;
    let id = notification.string("MessageId").unwrap_or_default().into_owned();
    let from = MessageSource { id, id_member: "MessageId", source: SOURCE };
    Some(Trigger::recognize_message(&message, from))
}
