//! SQS: batches of messages, and the response with the ids of those to be redelivered.
//!
//! See <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>.

use cloudformation_custom_resource::json::Fields;
use std::collections::BTreeMap;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use serde_json::value::RawValue;

use super::{MessageSource, Trigger, Unrecognized, sns};

/// The `eventSource` of a record, and the source of a request without an event around it.
const SOURCE: &str = "aws:sqs";

pub struct Batch {
    messages: Vec<Message>,
    queue: QueueType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QueueType {
    /// Messages that name the same action are ordered by `SentTimestamp`.
    Standard,
    /// All messages are in the order of the array.
    Fifo,
}

/// A message. The body is parsed twice, for the action's name when the batch is read and again when
/// the message is served, and what it holds is not kept in between. So a batch needs little more
/// memory than its text.
pub struct Message {
    /// `messageId`, which reports the message for redelivery.
    pub id: String,
    body: Option<String>,
    sent: u64,
}

impl Batch {
    pub(super) const MAX_MESSAGES: usize = 10_000;

    pub(super) fn is_record(record: &RawValue) -> bool {
        let record = Fields::read(record.get(), &["eventSource"]).unwrap_or_default();
        record.string("eventSource").as_deref() == Some(SOURCE)
    }

    /// Parses the records of an event. An invalid one does not affect the others.
    pub(super) fn read(records: &[&RawValue]) -> Result<Self, Unrecognized> {
        if records.len() > Self::MAX_MESSAGES {
            return Err(Unrecognized::TooManyRecords);
        }
        let mut batch = Self { messages: Vec::new(), queue: QueueType::Standard };
        for record in records {
            let names = ["eventSourceARN", "messageId", "body", "attributes"];
            let record = Fields::read(record.get(), &names).unwrap_or_default();
            if record.string("eventSourceARN").is_some_and(|arn| arn.ends_with(".fifo")) {
                batch.queue = QueueType::Fifo;
            }
            batch.messages.push(Message::read(&record));
        }
        Ok(batch)
    }

    /// Groups the messages; those of a group are served in order, and once one is redelivered, so
    /// is every later one. A FIFO queue has one group; a standard queue has one for each action.
    pub fn groups(self) -> Vec<Vec<Message>> {
        let Self { mut messages, queue } = self;
        if queue == QueueType::Fifo {
            return vec![messages];
        }
        messages.sort_by_key(|message| message.sent);
        let mut groups: Vec<Vec<Message>> = Vec::new();
        let mut group_of_name: BTreeMap<String, usize> = BTreeMap::new();
        for message in messages {
            let index = match message.action_name() {
                Some(name) => *group_of_name.entry(name).or_insert(groups.len()),
                None => groups.len(),
            };
            match groups.get_mut(index) {
                Some(group) => group.push(message),
                None => groups.push(vec![message]),
            }
        }
        groups
    }
}

impl Message {
    fn read(record: &Fields<'_>) -> Self {
        let text = |name: &str| record.string(name).map(std::borrow::Cow::into_owned);
        let attributes = record.object("attributes", &["SentTimestamp"]);
        let sent = attributes.as_ref().and_then(|found| found.get("SentTimestamp"));
        // A string of milliseconds; events written by hand may have a number.
        let sent = sent.and_then(|sent| sent.get().trim_matches('"').parse().ok());
        Self {
            id: text("messageId").unwrap_or_default(),
            body: text("body"),
            sent: sent.unwrap_or(u64::MAX),
        }
    }

    pub fn content(&self) -> Result<Trigger, Unrecognized> {
        let body = self.body.as_ref().ok_or(Unrecognized::NoRequestInside)?;
        sns::read_body(body).unwrap_or_else(|| {
            let (id, id_member) = (self.id.clone(), "messageId");
            Trigger::recognize_message(body, MessageSource { id, id_member, source: SOURCE })
        })
    }

    fn action_name(&self) -> Option<String> {
        let Ok(Trigger::EventBridge(request)) = self.content() else { return None };
        request.api_request.action_name().map(str::to_owned)
    }
}

/// The response to a batch, with the ids of the messages to be redelivered.
pub fn batch_item_failures(
    ids: impl IntoIterator<Item = String>,
) -> Result<Box<RawValue>, serde_json::Error> {
    let mut response = SqsBatchResponse::default();
    response.set_failures(ids);
    serde_json::value::to_raw_value(&response)
}
