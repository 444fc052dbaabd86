//! SQS: batches of messages, and the response with the ids of those to be redelivered.
//!
//! See <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>.

use std::collections::BTreeMap;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use serde_json::value::RawValue;

use super::{
    json::{self, Fields},
    message::{Content, MessageSource},
    sns,
    unrecognized::Unrecognized,
};

/// The `eventSource` of a record, and the source of a request without an event around it.
const SOURCE: &str = "aws:sqs";

/// A batch of messages.
pub struct Batch {
    messages: Vec<Message>,
    queue: QueueType,
}

/// The type of the queue, which decides the order of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QueueType {
    /// Messages are ordered by `SentTimestamp`.
    Standard,
    /// Messages are in the order of the array, and so are those of a message group.
    Fifo,
}

/// A message. The body is parsed twice, for its keys when the batch is read and again when the
/// message is processed, and what it holds is not kept in between. So a batch needs little more
/// memory than its text.
pub struct Message {
    /// `messageId`, which reports the message for redelivery.
    pub id: String,
    body: Option<String>,
    sent: u64,
    /// Messages that share one of these are processed in order.
    keys: Vec<Key>,
    /// Whether it takes calls to AWS IoT to process the message, because it holds a stack's request
    /// or a valid request in the API's JSON.
    needs_calls: bool,
}

/// What messages of a batch can share, so that they are processed in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `actionName`.
    Action(String),
    /// `StackId` and `LogicalResourceId`.
    Resource(String, String),
    /// `MessageGroupId`.
    Group(String),
}

impl Batch {
    /// The most messages in an event.
    pub(super) const MAX_MESSAGES: usize = 10_000;

    /// Whether a record is an SQS message.
    pub(super) fn is_record(record: &RawValue) -> bool {
        let record = Fields::read(record.get(), &["eventSource"]).unwrap_or_default();
        record.string("eventSource").as_deref() == Some(SOURCE)
    }

    /// Parses the records of an event. An invalid one does not affect the others.
    ///
    /// # Errors
    /// If there are more than an event source delivers.
    pub(super) fn read(records: &[&RawValue]) -> Result<Self, Unrecognized> {
        if records.len() > Self::MAX_MESSAGES {
            return Err(Unrecognized::TooManyRecords);
        }
        let mut batch = Self { messages: Vec::new(), queue: QueueType::Standard };
        for record in records {
            batch.add(record);
        }
        match batch.queue {
            QueueType::Fifo => {}
            QueueType::Standard => {
                for message in &mut batch.messages {
                    message.keys.retain(|key| !key.is_group());
                }
                batch.messages.sort_by_key(|message| message.sent);
            }
        }
        Ok(batch)
    }

    fn add(&mut self, record: &RawValue) {
        let names = ["eventSourceARN", "messageId", "body", "attributes"];
        let record = Fields::read(record.get(), &names).unwrap_or_default();
        if record.string("eventSourceARN").is_some_and(|arn| arn.ends_with(".fifo")) {
            self.queue = QueueType::Fifo;
        }
        self.messages.push(Message::read(&record));
    }

    /// Groups the messages into chains, each in order: messages that share a key, directly or
    /// through others, are in the same chain. Chains that need no calls come first, so that they do
    /// not wait for those that do.
    #[must_use]
    pub fn chains(self) -> Vec<Vec<Message>> {
        let mut chains = Chains::default();
        for (index, message) in self.messages.iter().enumerate() {
            chains.add(index, &message.keys);
        }
        let roots: Vec<usize> = (0..self.messages.len()).map(|index| chains.root(index)).collect();
        let mut of_root: BTreeMap<usize, Vec<Message>> = BTreeMap::new();
        for (message, root) in self.messages.into_iter().zip(roots) {
            of_root.entry(root).or_default().push(message);
        }
        let mut chains: Vec<Vec<Message>> = of_root.into_values().collect();
        chains.sort_by_key(|chain| chain.iter().any(|message| message.needs_calls));
        chains
    }
}

impl Key {
    fn is_group(&self) -> bool {
        match self {
            Self::Group(_) => true,
            Self::Action(_) | Self::Resource(..) => false,
        }
    }
}

impl Message {
    fn read(record: &Fields<'_>) -> Self {
        let text = |name: &str| record.string(name).map(std::borrow::Cow::into_owned);
        let attributes = record.object("attributes", &["SentTimestamp", "MessageGroupId"]);
        let attribute = |name: &str| attributes.as_ref().and_then(|found| found.get(name));
        // A string of milliseconds; events written by hand may have a number.
        let sent = attribute("SentTimestamp")
            .and_then(|sent| sent.get().trim_matches('"').parse().ok())
            .unwrap_or(u64::MAX);
        let mut message = Self {
            id: text("messageId").unwrap_or_default(),
            body: text("body"),
            sent,
            keys: Vec::new(),
            needs_calls: false,
        };
        let content = message.content();
        message.needs_calls = content.needs_calls();
        message.keys.extend(content.key());
        let group = attribute("MessageGroupId").and_then(json::string);
        message.keys.extend(group.map(|group| Key::Group(group.into_owned())));
        message
    }

    /// Parses the body.
    #[must_use]
    pub fn content(&self) -> Content {
        let Some(body) = &self.body else {
            return Content::Unrecognized(Unrecognized::NoRequestInside);
        };
        sns::read_body(body).unwrap_or_else(|| {
            let source =
                MessageSource { id: self.id.clone(), id_member: "messageId", source: SOURCE };
            Content::read(body, source)
        })
    }

    /// Whether the message holds a stack's request.
    #[must_use]
    pub fn is_of_stack(&self) -> bool {
        self.keys.iter().any(|key| match key {
            Key::Resource(..) => true,
            Key::Action(_) | Key::Group(_) => false,
        })
    }

    /// What the message can share with others of the batch.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }
}

impl Content {
    fn needs_calls(&self) -> bool {
        match self {
            Self::CustomResource(_) => true,
            Self::Request(request) => request.api_request.is_valid(),
            Self::OwnResult | Self::Unrecognized(_) => false,
        }
    }

    fn key(&self) -> Option<Key> {
        match self {
            Self::CustomResource(request) => {
                let (stack, logical) = (request.stack_id.clone(), request.logical_id.clone());
                Some(Key::Resource(stack, logical))
            }
            Self::Request(request) => {
                request.api_request.action_name().map(|name| Key::Action(name.to_owned()))
            }
            Self::OwnResult | Self::Unrecognized(_) => None,
        }
    }
}

/// Which messages are in the same chain, as a disjoint-set forest whose roots are the first
/// messages of the chains.
#[derive(Default)]
struct Chains<'k> {
    parents: Vec<usize>,
    first_with: BTreeMap<&'k Key, usize>,
}

impl<'k> Chains<'k> {
    fn add(&mut self, index: usize, keys: &'k [Key]) {
        self.parents.push(index);
        for key in keys {
            let first = *self.first_with.entry(key).or_insert(index);
            let (one, other) = (self.root(first), self.root(index));
            if let Some(parent) = self.parents.get_mut(one.max(other)) {
                *parent = one.min(other);
            }
        }
    }

    fn root(&mut self, index: usize) -> usize {
        let mut root = index;
        while let Some(parent) = self.parents.get(root).copied().filter(|parent| *parent != root) {
            root = parent;
        }
        // Path compression: the next search is short.
        if let Some(parent) = self.parents.get_mut(index) {
            *parent = root;
        }
        root
    }
}

/// The response to a batch, with the ids of the messages to be redelivered.
///
/// # Errors
/// If it cannot be serialized.
pub fn batch_item_failures(
    ids: impl IntoIterator<Item = String>,
) -> Result<Box<RawValue>, serde_json::Error> {
    let mut response = SqsBatchResponse::default();
    response.set_failures(ids);
    serde_json::value::to_raw_value(&response)
}
