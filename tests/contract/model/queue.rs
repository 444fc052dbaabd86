//! A queue of events and plain requests, whose batches two instances work: alone, beside another batch, beside themselves,
//! and again after a success; with faults at every call and at the bus that takes the results.
//!
//! What one batch at a time comes to without a fault is foretold, message by message. Of anything else holds that whatever
//! changed was some message's to change.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::{prelude::*, sample::select, test_runner::TestCaseError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Definition, Disturbance, Kind, Model, OnConflict, Params, Stranger, Tags, TestCaseResult,
    any_role, any_tags, ensure, is_same, listed, owner_of, role_arn, with, with_owner,
};
use stand_ins::{
    Function,
    bus::Event,
    iot::{Action, Call, Iot},
    queue::{Message, Queue},
    stack::World,
};

use crate::{function, world_with};

const NAMES: [&str; 3] = ["a", "b", "c"];
const BUS: [(&str, &str); 1] = [("RESULT_EVENT_BUS", "results")];
const MOST: usize = 4;
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Step {
    /// An action of somebody else's appears, where its name is free.
    Appear(Stranger),
    Send(Sent),
    /// The bus sends an event once more, in a message of its own.
    SendAgain {
        turn: usize,
    },
    /// The queue delivers at most so many messages in a batch.
    Deliver {
        most: usize,
        beside: Beside,
        /// The batch is delivered once more, whatever came of it.
        again: bool,
        faults: Vec<Disturbance>,
    },
}

/// What another instance is given at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Beside {
    Nothing,
    Another,
    Itself,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Sent {
    Event(Request),
    Plain(Request),
    /// Nothing that could be read as a request.
    Noise,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    operation: Operation,
    name: String,
    tags: Tags,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Operation {
    Create(Definition, OnConflict),
    Update(Option<String>, Option<Params>),
    Delete,
    Describe,
}

/// A request on its way, under the id by which its results are known.
#[derive(Clone, Debug)]
struct Posted {
    id: String,
    owner: String,
    request: Request,
    body: Value,
}

/// What a result says: the outcome, or the code of the error.
type Word = String;

pub(super) struct Messages {
    world: World,
    _second: Function,
    queue: Queue,
    /// Requests by the id of their message; none for noise.
    posted: BTreeMap<String, Option<Posted>>,
    /// The ids of the requests that have had a result.
    reported: BTreeSet<String>,
    /// What a request last came to without a fault, and what it left under its name.
    left: BTreeMap<String, (Word, Option<Action>)>,
    told: Vec<String>,
}

impl Model for Messages {
    type Step = Step;
    const NAME: &'static str = "queue";
    const HISTORIES: u64 = 1000;
    const STEPS: usize = 12;
    const LANES: usize = 16;

    fn step() -> BoxedStrategy<Step> {
        let create = (Definition::any(), OnConflict::any())
            .prop_map(|(definition, on_conflict)| Operation::Create(definition, on_conflict));
        let update = (prop::option::of(any_role()), prop::option::of(Params::any()))
            .prop_map(|(role, params)| Operation::Update(role, params));
        let operation = prop_oneof![5 => create, 3 => update, 2 => Just(Operation::Delete), 1 => Just(Operation::Describe)];
        let request =
            (operation, select(NAMES.to_vec()), any_tags()).prop_map(|(operation, name, tags)| {
                let takes_tags = matches!(operation, Operation::Create(..) | Operation::Update(..));
                Request {
                    operation,
                    name: name.to_owned(),
                    tags: if takes_tags { tags } else { Tags::new() },
                }
            });
        let request = request.boxed();
        let sent = prop_oneof![
            12 => request.clone().prop_map(Sent::Event),
            5 => request.prop_map(Sent::Plain),
            1 => Just(Sent::Noise),
        ];
        let refusals = vec![
            Kind::Throttled,
            Kind::LostBefore,
            Kind::LostAfter,
            Kind::FailedBefore,
            Kind::FailedAfter,
            Kind::Denied,
        ];
        let of_bus = prop_oneof![
            (select(refusals), 1..=3_usize).prop_map(|(fault, times)| Disturbance {
                call: "PutEvents".to_owned(),
                fault,
                times
            }),
            (1..=2_usize).prop_map(|times| Disturbance {
                call: "entry".to_owned(),
                fault: Kind::FailedBefore,
                times
            }),
        ];
        let faults = (Disturbance::any_few(1), prop::option::weighted(0.15, of_bus)).prop_map(
            |(mut faults, of_bus)| {
                faults.extend(of_bus);
                faults
            },
        );
        let beside = select(vec![
            Beside::Nothing,
            Beside::Nothing,
            Beside::Nothing,
            Beside::Nothing,
            Beside::Another,
            Beside::Itself,
        ]);
        let deliver = (1..=MOST, beside, prop::bool::weighted(0.25), faults).prop_map(
            |(most, beside, again, faults)| Step::Deliver { most, beside, again, faults },
        );
        prop_oneof![
            2 => Stranger::any(NAMES.to_vec()).prop_map(Step::Appear),
            10 => sent.prop_map(Step::Send),
            1 => (0..5_usize).prop_map(|turn| Step::SendAgain { turn }),
            5 => deliver,
        ]
        .boxed()
    }

    async fn start() -> Self {
        let world = world_with(&BUS).await.with_timeout(PATIENCE);
        let second = function(&world.aws, &BUS);
        Self {
            world,
            _second: second,
            queue: Queue::default(),
            posted: BTreeMap::new(),
            reported: BTreeSet::new(),
            left: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    async fn play(&mut self, history: &[Step]) -> TestCaseResult {
        self.world.aws.reset();
        self.queue = Queue::default();
        self.posted.clear();
        self.reported.clear();
        self.left.clear();
        self.told.clear();
        for step in history {
            match step {
                Step::Appear(stranger) => {
                    self.told.push(format!("{stranger:?} appears"));
                    stranger.appear(&self.world.aws);
                }
                Step::Send(sent) => self.send(sent),
                Step::SendAgain { turn } => self.send_again(*turn),
                Step::Deliver { most, beside, again, faults } => {
                    self.deliver(*most, beside, *again, faults).await?;
                }
            }
        }
        while !self.queue.is_empty() {
            self.deliver(MOST, &Beside::Nothing, false, &[]).await?;
        }
        self.check_all_are_done()
    }

    fn told(&self) -> String {
        self.told.join("\n")
    }
}

/// Whether events, messages and calls share it.
fn is_shared(action: &Action) -> bool {
    owner_of(&action.tags).is_some_and(|tag| {
        ["event/", "message/", "request/"].iter().any(|kind| tag.starts_with(kind))
    })
}

fn is_unowned(action: &Action) -> bool {
    owner_of(&action.tags).is_none()
}

impl Request {
    fn to_json(&self) -> Value {
        let Self { operation, name, tags } = self;
        let mut request = json!({ "actionName": name });
        let operation = match operation {
            Operation::Create(Definition { role, params }, on_conflict) => {
                request["roleArn"] = json!(role_arn(role));
                request["actionParams"] = params.of_api();
                request["onConflict"] = json!(format!("{on_conflict:?}").to_lowercase());
                "CreateMitigationAction"
            }
            Operation::Update(role, params) => {
                if let Some(role) = role {
                    request["roleArn"] = json!(role_arn(role));
                }
                if let Some(params) = params {
                    request["actionParams"] = params.of_api();
                }
                "UpdateMitigationAction"
            }
            Operation::Delete => "DeleteMitigationAction",
            Operation::Describe => "DescribeMitigationAction",
        };
        request["operation"] = json!(operation);
        if !tags.is_empty() {
            request["tags"] = listed(tags);
        }
        request
    }
}

impl Posted {
    /// What it comes to and makes of what is there, where nothing goes wrong.
    fn serve(&self, there: &mut Option<Action>) -> &'static str {
        const CONFLICT: &str = "ResourceAlreadyExistsException";
        const INVALID: &str = "InvalidRequestException";

        let Self { owner, request: Request { operation, tags, .. }, .. } = self;
        match (operation, there.as_mut()) {
            (Operation::Update(None, None), _) if tags.is_empty() => INVALID,
            (Operation::Create(Definition { role, params }, _), None) => {
                let tags = with_owner(tags, owner);
                let (id, role_arn, params) = (String::new(), role_arn(role), params.of_api());
                *there = Some(Action { id, role_arn, params, tags, created: 0.0, modified: 0.0 });
                "CREATED"
            }
            (Operation::Create(..), Some(found)) if owner_of(&found.tags) == Some(owner) => {
                "CREATED"
            }
            (Operation::Create(_, OnConflict::Fail), Some(_)) => CONFLICT,
            (Operation::Create(..), Some(found)) if !is_shared(found) && !is_unowned(found) => {
                CONFLICT
            }
            (Operation::Create(definition, OnConflict::Adopt), Some(found)) => {
                if !definition.is_of(found) {
                    return CONFLICT;
                }
                found.tags = with(&found.tags, tags);
                "ADOPTED"
            }
            (
                Operation::Create(Definition { role, params }, OnConflict::Overwrite),
                Some(found),
            ) => {
                (found.role_arn, found.params) = (role_arn(role), params.of_api());
                let is_taken = is_unowned(found);
                found.tags = with(&found.tags, tags);
                if is_taken {
                    found.tags = with_owner(&found.tags, owner);
                }
                "UPDATED"
            }
            (Operation::Update(..) | Operation::Describe, None) => "ResourceNotFoundException",
            (Operation::Delete, None) => "ABSENT",
            (Operation::Describe, Some(_)) => "DESCRIBED",
            (Operation::Update(..) | Operation::Delete, Some(found)) if !is_shared(found) => {
                INVALID
            }
            (Operation::Update(role, params), Some(found)) => {
                found.role_arn =
                    role.as_ref().map_or_else(|| found.role_arn.clone(), |role| role_arn(role));
                found.params = params.map_or_else(|| found.params.clone(), Params::of_api);
                found.tags = with(&found.tags, tags);
                "UPDATED"
            }
            (Operation::Delete, Some(_)) => {
                *there = None;
                "DELETED"
            }
        }
    }

    /// Whether a call of its may have made `after` of `before`. Beside others, what it saw may not be what it changes.
    fn may(&self, before: Option<&Action>, after: Option<&Action>, is_alone: bool) -> bool {
        let Self { owner, request: Request { operation, tags, .. }, .. } = self;
        let (old, new) = match (operation, before, after) {
            (_, Some(old), Some(new)) if old.id == new.id => (old, new),
            (Operation::Create(definition, _), None, Some(made)) => {
                return definition.is_of(made) && made.tags == with_owner(tags, owner);
            }
            (Operation::Delete, Some(old), None) => return is_shared(old),
            _ => return false,
        };
        let has_same_definition = (&old.role_arn, &old.params) == (&new.role_arn, &new.params);
        let is_tagged = has_same_definition && new.tags == with(&old.tags, tags);
        match operation {
            Operation::Create(definition, OnConflict::Adopt) => {
                (is_shared(old) || is_unowned(old))
                    && is_tagged
                    && (definition.is_of(old) || !is_alone)
            }
            Operation::Create(definition, OnConflict::Overwrite) => {
                let is_taken =
                    has_same_definition && new.tags == with_owner(&with(&old.tags, tags), owner);
                let is_put = new.tags == old.tags && definition.is_of(new);
                match (is_unowned(old), is_shared(old)) {
                    (true, _) => is_put || is_taken,
                    (_, true) => is_put || is_tagged || (is_taken && !is_alone),
                    _ => false,
                }
            }
            Operation::Update(role, params) => {
                let is_given = role.as_ref().is_none_or(|role| new.role_arn == role_arn(role))
                    && params.is_none_or(|params| new.params == params.of_api());
                let is_kept = (role.is_some() || new.role_arn == old.role_arn)
                    && (params.is_some() || new.params == old.params);
                is_shared(old) && (is_tagged || (new.tags == old.tags && is_given && is_kept))
            }
            Operation::Create(_, OnConflict::Fail) | Operation::Delete | Operation::Describe => {
                false
            }
        }
    }
}

impl Messages {
    fn send(&mut self, sent: &Sent) {
        let turn = self.posted.len();
        let message = format!("message-{turn:02}");
        let posted = match sent {
            Sent::Noise => {
                self.queue.send_text(&message, "no request".to_owned());
                None
            }
            Sent::Plain(request) => {
                let owner = format!("message/{message}");
                Some(Posted {
                    id: message.clone(),
                    owner,
                    request: request.clone(),
                    body: request.to_json(),
                })
            }
            Sent::Event(request) => {
                let id = format!("event-{turn:02}");
                let owner = format!("event/com.example/{id}");
                let detail = request.to_json();
                let body = json!({ "id": id, "source": "com.example", "detail-type": "Mitigation Action Requested", "detail": detail });
                Some(Posted { id, owner, request: request.clone(), body })
            }
        };
        self.post(message, posted);
    }

    /// Only events come to the queue more than once: a message of its own is another request.
    fn send_again(&mut self, turn: usize) {
        let events: Vec<&Posted> = self
            .posted
            .values()
            .flatten()
            .filter(|posted| posted.owner.starts_with("event/"))
            .collect();
        if let Some(event) = events.get(turn) {
            let event = (*event).clone();
            self.post(format!("message-{:02}", self.posted.len()), Some(event));
        }
    }

    fn post(&mut self, message: String, posted: Option<Posted>) {
        if let Some(posted) = &posted {
            self.queue.send(&message, &posted.body);
        }
        self.told.push(format!(
            "{message}: {}",
            posted.as_ref().map_or("noise".to_owned(), |posted| posted.body.to_string())
        ));
        self.posted.insert(message, posted);
    }

    async fn deliver(
        &mut self,
        most: usize,
        beside: &Beside,
        again: bool,
        faults: &[Disturbance],
    ) -> TestCaseResult {
        let batch = self.queue.receive(most);
        if batch.is_empty() {
            return Ok(());
        }
        let aws = self.world.aws.clone();
        let timeout =
            if faults.iter().any(Disturbance::is_hang) { Duration::from_secs(2) } else { PATIENCE };
        for fault in faults {
            fault.set(if CALLS_OF_BUS.contains(&fault.call.as_str()) {
                &aws.bus.faults
            } else {
                &aws.iot.faults
            });
        }
        self.tell("delivered", &batch, &format!("beside {beside:?}, with {faults:?}"));
        match beside {
            Beside::Nothing => {
                let before = aws.iot.actions();
                let failed = self.queue.deliver(&aws, &batch, timeout).await;
                let results = self.check(&batch, &failed, true)?;
                if faults.is_empty() {
                    self.check_foretold(&batch, &failed, &before, &results)?;
                }
            }
            Beside::Another => {
                let other = self.queue.receive(most);
                self.tell("beside", &other, "");
                let (mut failed, more) =
                    tokio::join!(self.queue.deliver(&aws, &batch, timeout), async {
                        if other.is_empty() {
                            Vec::new()
                        } else {
                            self.queue.deliver(&aws, &other, timeout).await
                        }
                    });
                failed.extend(more);
                self.check(&[batch.clone(), other].concat(), &failed, false)?;
            }
            Beside::Itself => {
                let (failed, _) = tokio::join!(
                    self.queue.deliver(&aws, &batch, timeout),
                    Queue::invoke(&aws, &batch, timeout)
                );
                self.check(&batch, &failed, false)?;
            }
        }
        aws.iot.faults.clear();
        aws.bus.faults.clear();
        if again {
            self.tell("delivered again", &batch, "");
            let before = aws.iot.actions();
            let failed = Queue::invoke(&aws, &batch, PATIENCE).await;
            let results = self.check(&batch, &failed, true)?;
            self.check_foretold(&batch, &failed, &before, &results)?;
        }
        Ok(())
    }

    /// Holds a delivery to what holds of any; returns its results.
    fn check(
        &mut self,
        batch: &[Message],
        failed: &[String],
        is_alone: bool,
    ) -> Result<Vec<(String, Word)>, TestCaseError> {
        let calls = self.world.aws.iot.take_calls();
        let events = self.world.aws.bus.take();
        self.told.extend(
            calls
                .iter()
                .map(|call| format!("  {} {} {}", call.operation, call.name(), call.status)),
        );
        self.told.extend(events.iter().map(|event| format!("  -> {}", event.detail)));
        self.told.push(format!("  to come again: {failed:?}"));
        let asked: Vec<&Posted> =
            batch.iter().filter_map(|message| self.posted[&message.id].as_ref()).collect();
        for call in &calls {
            check_change(call, &asked, is_alone)?;
        }
        let results = events
            .iter()
            .map(|event| check_result(event, &asked))
            .collect::<Result<Vec<_>, _>>()?;
        self.reported.extend(results.iter().map(|(id, _)| id.clone()));
        for message in batch.iter().filter(|message| !failed.contains(&message.id)) {
            // By this delivery: that another one has reported it does not excuse it.
            let is_told = self.posted[&message.id]
                .as_ref()
                .is_some_and(|posted| results.iter().any(|(id, _)| *id == posted.id));
            ensure(is_told, || format!("{} is taken off the queue and not reported", message.id))?;
        }
        Ok(results)
    }

    /// Holds a delivery without faults, of which nothing ran beside, to what the messages come to one after another.
    fn check_foretold(
        &mut self,
        batch: &[Message],
        failed: &[String],
        before: &BTreeMap<String, Action>,
        results: &[(String, Word)],
    ) -> TestCaseResult {
        let mut in_order: Vec<&Message> = batch.iter().collect();
        in_order.sort_by_key(|message| message.sent);
        let mut foretold = before.clone();
        let mut words = Vec::new();
        for message in in_order {
            let Some(posted) = &self.posted[&message.id] else {
                ensure(failed.contains(&message.id), || {
                    format!("{} is taken off the queue", message.id)
                })?;
                continue;
            };
            let mut there = foretold.remove(&posted.request.name);
            words.push((posted.id.clone(), posted.serve(&mut there).to_owned()));
            foretold.extend(there.map(|action| (posted.request.name.clone(), action)));
            ensure(!failed.contains(&message.id), || {
                format!("{} comes again although nothing went wrong", message.id)
            })?;
        }
        let mut said = results.to_vec();
        said.sort();
        words.sort();
        ensure(said == words, || format!("foretold was {words:?}, said was {said:?}"))?;
        let after = self.world.aws.iot.actions();
        let is_as_foretold = |(name, action): (&String, &Action)| {
            after.get(name).is_some_and(|found| {
                is_same(&Action { id: found.id.clone(), ..action.clone() }, found)
            })
        };
        ensure(foretold.len() == after.len() && foretold.iter().all(is_as_foretold), || {
            format!("foretold was {foretold:?}, is {after:?}")
        })?;
        self.check_agreement(&words, before, &after)
    }

    /// A request that is delivered again, and nothing has happened to its action in between, comes to the same: save that what
    /// it deleted is absent now, and that what it overwrote, and nobody had owned, is its own now.
    fn check_agreement(
        &mut self,
        words: &[(String, Word)],
        before: &BTreeMap<String, Action>,
        after: &BTreeMap<String, Action>,
    ) -> TestCaseResult {
        let names: BTreeMap<&str, &str> = self
            .posted
            .values()
            .flatten()
            .map(|posted| (posted.id.as_str(), posted.request.name.as_str()))
            .collect();
        for (id, word) in words {
            let name = names[id.as_str()];
            if words.iter().filter(|(other, _)| names[other.as_str()] == name).count() > 1 {
                continue;
            }
            let is_as_left = |left: &Option<Action>| match (left, before.get(name)) {
                (Some(left), Some(found)) => is_same(left, found),
                (left, found) => left.is_none() && found.is_none(),
            };
            if let Some((earlier, _)) = self.left.get(id).filter(|(_, left)| is_as_left(left)) {
                let is_exception = [("DELETED", "ABSENT"), ("UPDATED", "CREATED")]
                    .contains(&(earlier.as_str(), word.as_str()));
                ensure(earlier == word || is_exception, || {
                    format!("{id} came to {earlier}, and again to {word}")
                })?;
            }
            self.left.insert(id.clone(), (word.clone(), after.get(name).cloned()));
        }
        Ok(())
    }

    fn check_all_are_done(&self) -> TestCaseResult {
        let dead: Vec<String> =
            self.queue.dead_letters().into_iter().map(|message| message.id).collect();
        for (message, posted) in &self.posted {
            let is_done = match posted {
                Some(posted) => self.reported.contains(&posted.id) && !dead.contains(message),
                None => dead.contains(message),
            };
            ensure(is_done, || {
                format!("{message} is neither reported nor dead, or is both; the dead: {dead:?}")
            })?;
        }
        let calls = self.world.aws.iot.take_calls();
        ensure(calls.is_empty(), || format!("calls that nobody asked for: {calls:?}"))
    }

    fn tell(&mut self, what: &str, batch: &[Message], how: &str) {
        let ids: Vec<&str> = batch.iter().map(|message| message.id.as_str()).collect();
        self.told.push(format!("{what} {} {how}", ids.join(", ")));
    }
}

const CALLS_OF_BUS: [&str; 2] = ["PutEvents", "entry"];

/// What a call changed was one of the requests' to change.
fn check_change(call: &Call, asked: &[&Posted], is_alone: bool) -> TestCaseResult {
    let Some(change) = &call.change else { return Ok(()) };
    let (before, after) = change.as_ref();
    let mut named = asked.iter().filter(|posted| posted.request.name == call.name());
    let is_asked = named.any(|posted| posted.may(before.as_ref(), after.as_ref(), is_alone));
    ensure(is_asked, || format!("nobody asked {} to make {after:?} of {before:?}", call.operation))
}

/// A result is of a request that was asked, and says one thing only; returns its id and what it says.
fn check_result(event: &Event, asked: &[&Posted]) -> Result<(String, Word), TestCaseError> {
    let Event { detail, detail_type, resources, .. } = event;
    let id = detail["requestId"].as_str().unwrap_or_default();
    let Some(posted) = asked.iter().find(|posted| posted.id == id) else {
        return Err(TestCaseError::fail(format!("a result of nobody's: {detail}")));
    };
    let source = if posted.owner.starts_with("event/") { "com.example" } else { "aws:sqs" };
    let has_succeeded = detail["status"] == "SUCCEEDED";
    let arn = Iot::arn(&posted.request.name);
    let is_right = detail["requestSource"] == source
        && detail["actionName"] == posted.request.name
        && detail["operation"] == posted.request.to_json()["operation"]
        && if has_succeeded {
            let expected = if detail["outcome"] == "ABSENT" { Value::Null } else { json!(arn) };
            detail_type == "Mitigation Action Request Succeeded"
                && detail["actionArn"] == expected
                && resources.iter().map(String::as_str).eq(expected.as_str())
        } else {
            detail_type == "Mitigation Action Request Failed"
                && detail["status"] == "FAILED"
                && detail["error"]["retryable"] == false
        };
    ensure(is_right, || format!("{detail_type}: {detail} is no result of {}", posted.body))?;
    let word = if has_succeeded { &detail["outcome"] } else { &detail["error"]["code"] };
    Ok((id.to_owned(), word.as_str().unwrap_or_default().to_owned()))
}
