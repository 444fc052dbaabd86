//! A queue of events and plain requests, whose batches two instances handle: alone, beside another
//! batch, beside the same batch, and again after a success; with faults at every call and of the
//! result bus.
//!
//! The outcome of a batch is predicted message by message, if it has no fault and runs alone. For
//! any other batch, each change must be one that a message asks for.

mod check;
mod request;
mod step;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;
use serde_json::json;
use stand_ins::{
    Function,
    iot::Action,
    queue::{Message, Queue},
    stack::World,
};

use super::{InjectedFault, Model, TestCaseResult};
use crate::{function, world_with};
use request::{Isolation, Posted};
use step::{Concurrent, Content, MAX_BATCH, Step};

const SETTINGS: [(&str, &str); 1] = [("RESULT_EVENT_BUS", "results")];
const TIMEOUT: Duration = Duration::from_secs(30);
/// A hang takes all of it.
const TIMEOUT_OF_HANG: Duration = Duration::from_secs(2);

/// What a result says: the outcome, or the error code.
type Outcome = String;

pub(super) struct Messages {
    world: World,
    _second: Function,
    queue: Queue,
    /// The requests by the id of their message; `None` for noise.
    posted: BTreeMap<String, Option<Posted>>,
    /// The ids of the requests that had a result.
    published: BTreeSet<String>,
    /// The last outcome of a request without a fault, and the action of its name after it.
    last: BTreeMap<String, (Outcome, Option<Action>)>,
    transcript: Vec<String>,
}

impl Model for Messages {
    type Step = Step;
    const NAME: &'static str = "queue";
    const HISTORIES: u64 = 1000;
    const STEPS: usize = 12;
    const LANES: usize = 16;

    fn step() -> BoxedStrategy<Step> {
        Step::any()
    }

    async fn start() -> Self {
        let world = world_with(&SETTINGS).await.with_timeout(TIMEOUT);
        let second = function(&world.aws, &SETTINGS);
        Self {
            world,
            _second: second,
            queue: Queue::default(),
            posted: BTreeMap::new(),
            published: BTreeSet::new(),
            last: BTreeMap::new(),
            transcript: Vec::new(),
        }
    }

    async fn play(&mut self, history: &[Step]) -> TestCaseResult {
        self.world.aws.reset();
        self.queue = Queue::default();
        self.posted.clear();
        self.published.clear();
        self.last.clear();
        self.transcript.clear();
        for step in history {
            match step {
                Step::Appear(action) => {
                    self.transcript.push(format!("{action:?} appears"));
                    action.plant(&self.world.aws);
                }
                Step::Send(content) => self.send(content),
                Step::SendAgain { turn } => self.send_again(*turn),
                Step::Deliver { max, concurrent, is_redelivered, faults } => {
                    self.deliver(*max, concurrent, *is_redelivered, faults).await?;
                }
            }
        }
        while !self.queue.is_empty() {
            self.deliver(MAX_BATCH, &Concurrent::Nothing, false, &[]).await?;
        }
        self.check_all_are_done()
    }

    fn transcript(&self) -> String {
        self.transcript.join("\n")
    }
}

impl Messages {
    fn send(&mut self, content: &Content) {
        let number = self.posted.len();
        let message = format!("message-{number:02}");
        let posted = match content {
            Content::Noise => {
                self.queue.send_text(&message, "no request".to_owned());
                None
            }
            Content::Plain(request) => {
                let owner = format!("message/{message}");
                let (request, body) = (request.clone(), request.to_json());
                Some(Posted { id: message.clone(), owner, request, body })
            }
            Content::Event(request) => {
                let id = format!("event-{number:02}");
                let owner = format!("event/com.example/{id}");
                let body = json!({
                    "id": id,
                    "source": "com.example",
                    "detail-type": "Mitigation Action Requested",
                    "detail": request.to_json(),
                });
                Some(Posted { id, owner, request: request.clone(), body })
            }
        };
        self.post(message, posted);
    }

    /// Sends an event in another message. A plain request in another message would be another
    /// request.
    fn send_again(&mut self, number: usize) {
        let mut events =
            self.posted.values().flatten().filter(|posted| posted.owner.starts_with("event/"));
        if let Some(event) = events.nth(number).cloned() {
            self.post(format!("message-{:02}", self.posted.len()), Some(event));
        }
    }

    fn post(&mut self, message: String, posted: Option<Posted>) {
        if let Some(posted) = &posted {
            self.queue.send(&message, &posted.body);
        }
        self.transcript.push(format!(
            "{message}: {}",
            posted.as_ref().map_or("noise".to_owned(), |posted| posted.body.to_string())
        ));
        self.posted.insert(message, posted);
    }

    async fn deliver(
        &mut self,
        max: usize,
        concurrent: &Concurrent,
        is_redelivered: bool,
        faults: &[InjectedFault],
    ) -> TestCaseResult {
        let batch = self.queue.receive(max);
        if batch.is_empty() {
            return Ok(());
        }
        let aws = self.world.aws.clone();
        for fault in faults {
            let is_of_bus = ["PutEvents", "entry"].contains(&fault.call.as_str());
            fault.set(if is_of_bus { &aws.bus.faults } else { &aws.iot.faults });
        }
        let details = format!("concurrently: {concurrent:?}, with {faults:?}");
        self.record_batch("delivered", &batch, &details);
        match concurrent {
            Concurrent::Nothing => self.deliver_alone(&batch, faults).await?,
            Concurrent::Another => self.deliver_beside_another(&batch, max, faults).await?,
            Concurrent::Itself => self.deliver_twice(&batch, faults).await?,
        }
        aws.iot.faults.clear();
        aws.bus.faults.clear();
        if is_redelivered {
            self.redeliver(&batch).await?;
        }
        Ok(())
    }

    async fn deliver_alone(
        &mut self,
        batch: &[Message],
        faults: &[InjectedFault],
    ) -> TestCaseResult {
        let before = self.world.aws.iot.actions();
        let failed = self.queue.deliver(&self.world.aws, batch, timeout(faults)).await;
        let results = self.check(batch, &failed, Isolation::Alone)?;
        if faults.is_empty() {
            self.check_prediction(batch, &failed, &before, &results)?;
        }
        Ok(())
    }

    async fn deliver_beside_another(
        &mut self,
        batch: &[Message],
        max: usize,
        faults: &[InjectedFault],
    ) -> TestCaseResult {
        let other = self.queue.receive(max);
        self.record_batch("concurrently", &other, "");
        let aws = &self.world.aws;
        let timeout = timeout(faults);
        let (mut failed, more) = tokio::join!(self.queue.deliver(aws, batch, timeout), async {
            if other.is_empty() {
                Vec::new()
            } else {
                self.queue.deliver(aws, &other, timeout).await
            }
        });
        failed.extend(more);
        self.check(&[batch, &other].concat(), &failed, Isolation::Concurrent)?;
        Ok(())
    }

    async fn deliver_twice(
        &mut self,
        batch: &[Message],
        faults: &[InjectedFault],
    ) -> TestCaseResult {
        let aws = &self.world.aws;
        let timeout = timeout(faults);
        let (failed, _) = tokio::join!(
            self.queue.deliver(aws, batch, timeout),
            Queue::invoke(aws, batch, timeout)
        );
        self.check(batch, &failed, Isolation::Concurrent)?;
        Ok(())
    }

    /// Delivers a batch once more, as a standard queue may.
    async fn redeliver(&mut self, batch: &[Message]) -> TestCaseResult {
        self.record_batch("redelivered", batch, "");
        let before = self.world.aws.iot.actions();
        let failed = Queue::invoke(&self.world.aws, batch, TIMEOUT).await;
        let results = self.check(batch, &failed, Isolation::Alone)?;
        self.check_prediction(batch, &failed, &before, &results)
    }

    fn record_batch(&mut self, what: &str, batch: &[Message], details: &str) {
        let ids: Vec<&str> = batch.iter().map(|message| message.id.as_str()).collect();
        self.transcript.push(format!("{what} {} {details}", ids.join(", ")));
    }
}

fn timeout(faults: &[InjectedFault]) -> Duration {
    if faults.iter().any(InjectedFault::is_hang) { TIMEOUT_OF_HANG } else { TIMEOUT }
}
