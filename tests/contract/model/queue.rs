//! A standard or a FIFO queue of events and plain requests, with and without a result bus. Two
//! instances handle its batches: alone, beside another batch, beside the same batch, and again
//! after a success; with faults at every call and of the result bus.
//!
//! A batch is predicted message by message, if it has no fault and runs alone. Of any other batch
//! each change must be one that a message asks for, and no message may overtake one that is
//! redelivered.

mod check;
mod request;
mod step;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};
use stand_ins::{
    Function,
    iot::Action,
    queue::{Message, Queue},
    stack::{World, merged},
};

use super::{InjectedFault, Model, Played, TestCaseResult};
use crate::{function, world_with};
use request::Posted;
use step::{Beside, Content, History, MAX_BATCH, QueueType, Step};

const TIMEOUT: Duration = Duration::from_secs(30);
/// A hang takes all of it.
const TIMEOUT_OF_HANG: Duration = Duration::from_secs(2);

pub(super) struct Messages {
    with_bus: (World, Function),
    without_bus: (World, Function),
    state: State,
}

/// What a history has come to.
#[derive(Default)]
struct State {
    queue_type: QueueType,
    has_bus: bool,
    queue: VecDeque<Message>,
    /// The requests by the id of their message; `None` for what is no request.
    posted: BTreeMap<String, Option<Posted>>,
    /// The ids of the requests that had a result.
    published: BTreeSet<String>,
    /// Whether the delivery that is checked ran beside another.
    runs_beside: bool,
    /// Whether two requests that ran at the same time took the same action from nobody.
    is_excluded: bool,
    transcript: Vec<String>,
}

impl Model for Messages {
    type History = History;
    const NAME: &'static str = "queue";
    const HISTORIES: u64 = 300;
    const LANES: usize = 24;

    fn history() -> BoxedStrategy<History> {
        History::any()
    }

    async fn start() -> Self {
        let start = async |settings: &[(&str, &str)]| {
            let world = world_with(settings).await;
            let second = function(&world.aws, settings);
            (world, second)
        };
        Self {
            with_bus: start(&[("RESULT_EVENT_BUS", "results")]).await,
            without_bus: start(&[]).await,
            state: State::default(),
        }
    }

    async fn play(&mut self, history: &History) -> Result<Played, TestCaseError> {
        let History { queue_type, has_bus, steps } = history;
        let (world, _) = if *has_bus { &self.with_bus } else { &self.without_bus };
        world.aws.reset();
        self.state = State { queue_type: *queue_type, has_bus: *has_bus, ..State::default() };
        let result = self.state.play(world, steps).await;
        if self.state.is_excluded { Ok(Played::Excluded) } else { result.map(|()| Played::Held) }
    }

    fn transcript(&self) -> String {
        self.state.transcript.join("\n")
    }
}

impl State {
    async fn play(&mut self, world: &World, steps: &[Step]) -> TestCaseResult {
        for step in steps {
            self.step(world, step).await?;
        }
        while !self.queue.is_empty() {
            self.drain(world).await?;
        }
        self.check_all_are_done(world)
    }

    async fn step(&mut self, world: &World, step: &Step) -> TestCaseResult {
        match step {
            Step::Appear(action) => {
                self.transcript.push(format!("{action:?} appears"));
                action.plant(&world.aws);
            }
            Step::Send(content) => self.send(content),
            Step::SendAgain(turn) => {
                let mut requests = self.posted.values().flatten().filter(|posted| posted.is_known);
                if let Some(posted) = requests.nth(*turn).cloned() {
                    self.post(posted.body.to_string(), Some(posted));
                }
            }
            Step::Deliver { max, beside, is_redelivered, faults } => {
                let batch = self.receive(*max);
                if !batch.is_empty() {
                    self.deliver(world, &batch, (*beside, *max), faults).await?;
                    world.aws.iot.faults.clear();
                    world.aws.bus.faults.clear();
                    if *is_redelivered {
                        self.deliver_predicted(world, &batch, "redelivered").await?;
                    }
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, content: &Content) {
        let number = self.posted.len();
        let posted = match content {
            Content::Noise => return self.post("no request".to_owned(), None),
            Content::OfStack => {
                return self.post(crate::create_request().to_string(), None);
            }
            Content::Event(request) => Posted::event(number, request),
            Content::Plain(request) => Posted::message(number, request),
            Content::WithId(request) => Posted::with_id(number, request),
        };
        self.post(posted.body.to_string(), Some(posted));
    }

    fn post(&mut self, body: String, posted: Option<Posted>) {
        let number = self.posted.len();
        let id = Posted::message_id(number);
        self.transcript.push(format!("{id}: {body}"));
        self.posted.insert(id.clone(), posted);
        let sent = 1_700_000_000_000 + number as u64;
        self.queue.push_back(Message { id, body, sent, receive_count: 1 });
    }

    fn receive(&mut self, max: usize) -> Vec<Message> {
        self.queue.drain(..max.min(self.queue.len())).collect()
    }

    async fn deliver(
        &mut self,
        world: &World,
        batch: &[Message],
        (beside, max): (Beside, usize),
        faults: &[InjectedFault],
    ) -> TestCaseResult {
        for fault in faults {
            let is_of_bus = ["PutEvents", "entry"].contains(&fault.call.as_str());
            let aws = &world.aws;
            fault.set(if is_of_bus { &aws.bus.faults } else { &aws.iot.faults });
        }
        if beside == Beside::Nothing && faults.is_empty() {
            let failed = self.deliver_predicted(world, batch, "delivered").await?;
            self.put_back(batch, &failed);
            return Ok(());
        }
        let other = match beside {
            Beside::Nothing => Vec::new(),
            Beside::Another => self.receive(max),
            Beside::Itself => batch.to_vec(),
        };
        self.record_batch("delivered", batch, faults);
        self.record_batch("beside it", &other, &[]);
        let has_hang = faults.iter().any(|fault| fault.kind.is_hang());
        let timeout = if has_hang { TIMEOUT_OF_HANG } else { TIMEOUT };
        let (failed, failed_beside) =
            tokio::join!(self.invoke(world, batch, timeout), self.invoke(world, &other, timeout));
        if beside == Beside::Nothing {
            self.check_order(world, batch, &failed)?;
        } else {
            let all: Vec<&Message> = batch.iter().chain(&other).collect();
            self.runs_beside = true;
            let checked = self.check_changes(world, &all, &(&failed | &failed_beside));
            self.runs_beside = false;
            checked?;
        }
        self.put_back(batch, &failed);
        if beside == Beside::Another {
            self.put_back(&other, &failed_beside);
        }
        Ok(())
    }

    /// Delivers a batch alone, with no fault, and returns the ids of the messages that failed.
    async fn deliver_predicted(
        &mut self,
        world: &World,
        batch: &[Message],
        what: &str,
    ) -> Result<BTreeSet<String>, TestCaseError> {
        self.record_batch(what, batch, &[]);
        let before = actions(world);
        let failed = self.invoke(world, batch, TIMEOUT).await;
        let results = self.check_order(world, batch, &failed)?;
        self.check_prediction(world, batch, &failed, &before, results)?;
        Ok(failed)
    }

    /// Delivers a batch without a fault. What fails, and is not behind another that fails, would
    /// fail again until it is in the dead-letter queue.
    async fn drain(&mut self, world: &World) -> TestCaseResult {
        let batch = self.receive(MAX_BATCH);
        let failed = self.deliver_predicted(world, &batch, "delivered").await?;
        let behind = self.behind(&batch, &failed);
        self.put_back(&batch, &behind);
        Ok(())
    }

    /// Returns the messages that failed to the queue. A FIFO queue keeps their order.
    fn put_back(&mut self, batch: &[Message], failed: &BTreeSet<String>) {
        let failed: Vec<Message> =
            batch.iter().filter(|message| failed.contains(&message.id)).cloned().collect();
        match self.queue_type {
            QueueType::Standard => self.queue.extend(failed),
            QueueType::Fifo => failed.into_iter().rev().for_each(|it| self.queue.push_front(it)),
        }
    }

    /// Invokes the function, and returns the ids of the messages that failed.
    async fn invoke(
        &self,
        world: &World,
        batch: &[Message],
        timeout: Duration,
    ) -> BTreeSet<String> {
        if batch.is_empty() {
            return BTreeSet::new();
        }
        let event = self.event(batch).to_string().into_bytes();
        match world.aws.lambda.invoke(event, timeout, &world.arn).await {
            Ok(value) => value["batchItemFailures"]
                .as_array()
                .unwrap_or_else(|| panic!("no batchItemFailures in {value}"))
                .iter()
                .map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned())
                .collect(),
            Err(_) => batch.iter().map(|message| message.id.clone()).collect(),
        }
    }

    /// The event of a batch. The records of a FIFO queue are in order. Those of a standard queue
    /// have their order in the timestamps.
    fn event(&self, batch: &[Message]) -> Value {
        let mut event = Queue::event(batch);
        let records = event["Records"].as_array_mut().unwrap();
        match self.queue_type {
            QueueType::Standard => records.reverse(),
            QueueType::Fifo => {
                let patch = json!({
                    "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:requests.fifo",
                    "attributes": { "SentTimestamp": "1", "MessageGroupId": "group" },
                });
                for record in records {
                    *record = merged(record.take(), &patch);
                }
            }
        }
        event
    }

    fn record_batch(&mut self, what: &str, batch: &[Message], faults: &[InjectedFault]) {
        let ids: Vec<&str> = batch.iter().map(|message| message.id.as_str()).collect();
        self.transcript.push(format!("{what}: {} with {faults:?}", ids.join(", ")));
    }
}

/// The actions of the account, with the owner tags as the model knows them.
fn actions(world: &World) -> BTreeMap<String, Action> {
    let actions = world.aws.iot.actions();
    actions.into_iter().map(|(name, action)| (name, request::without_digest(action))).collect()
}
