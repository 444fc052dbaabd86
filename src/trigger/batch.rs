//! A batch of messages from a queue: events or plain requests in, the ids of those that are to come again out.
//!
//! See <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>.

use std::collections::BTreeMap;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use serde_json::value::RawValue;

use super::{
    Fields,
    api::Call,
    eventbridge::{Event, Requested},
    json::value_of,
};

/// The messages of a batch.
pub struct Batch(Vec<Message>);

/// A message.
pub struct Message {
    /// Its id, by which its failure is reported.
    pub id: String,
    /// What it asks.
    pub content: Content,
    sent: u64,
}

/// What a message turns out to be.
pub enum Content {
    /// A request.
    Requested(Box<Requested>),
    /// A result of the provider's own.
    OwnResult,
    /// Nothing that could be read as a request.
    Unreadable,
}

impl Batch {
    /// Whether a record is a queue's.
    #[must_use]
    pub fn is_of_one(record: &Fields<'_>) -> bool {
        record.text("eventSource").as_deref() == Some("aws:sqs")
    }

    /// Reads the records; each stands for itself, so that one that is broken does not take the rest along.
    #[must_use]
    pub fn read(records: &[&RawValue]) -> Self {
        Self(records.iter().map(|record| Message::read(record)).collect())
    }

    /// The messages in lanes: those that name the same action are in one, in the order in which they were sent.
    #[must_use]
    pub fn lanes(mut self) -> Vec<Vec<Message>> {
        self.0.sort_by_key(|message| message.sent);
        let mut lanes: Vec<Vec<Message>> = Vec::new();
        let mut named: BTreeMap<String, usize> = BTreeMap::new();
        for message in self.0 {
            let lane = message
                .action_name()
                .map(|name| *named.entry(name.to_owned()).or_insert(lanes.len()));
            match lane.and_then(|lane| lanes.get_mut(lane)) {
                Some(lane) => lane.push(message),
                None => lanes.push(vec![message]),
            }
        }
        lanes
    }
}

impl Message {
    fn read(record: &RawValue) -> Self {
        let record = Fields::of(record.get());
        let text = |name: &str| record.as_ref().and_then(|record| record.text(name));
        let id = text("messageId").unwrap_or_default();
        let attributes =
            record.as_ref().and_then(|record| Fields::of(record.get("attributes")?.get()));
        // A string of milliseconds; whoever makes events by hand may write a number.
        let sent = attributes
            .and_then(|attributes| {
                attributes.get("SentTimestamp")?.get().trim_matches('"').parse().ok()
            })
            .unwrap_or(u64::MAX);
        let content = text("body").map_or(Content::Unreadable, |body| Content::read(&body, &id));
        Self { id, content, sent }
    }

    fn action_name(&self) -> Option<&str> {
        match &self.content {
            Content::Requested(requested) => requested.call.action_name(),
            Content::OwnResult | Content::Unreadable => None,
        }
    }
}

impl Content {
    fn read(body: &str, id: &str) -> Self {
        let Some(fields) = Fields::of(body) else { return Self::Unreadable };
        if Event::is_one(&fields) {
            return match Event::read(&fields) {
                Ok(Event::Requested(requested)) => Self::Requested(requested),
                Ok(Event::OwnResult) => Self::OwnResult,
                Err(_) => Self::Unreadable,
            };
        }
        if !fields.has("actionName") && !fields.has("operation") {
            return Self::Unreadable;
        }
        let value = value_of(body);
        Self::Requested(Box::new(Requested::message(
            Call::read("", value.as_ref(), false),
            id.to_owned(),
        )))
    }
}

/// The answer to a batch: the messages that are to come again.
///
/// # Errors
/// Where the answer cannot be written, which nothing brings about.
pub fn failures(ids: impl IntoIterator<Item = String>) -> Result<Box<RawValue>, serde_json::Error> {
    let mut response = SqsBatchResponse::default();
    response.set_failures(ids);
    serde_json::value::to_raw_value(&response)
}
