//! One resource of a stack, as CloudFormation operates it: requests that are canceled, rolled back
//! or left failed, and delivered twice, at once or after their successors, to instances that wait
//! for a new role or meet faults; and actions of others, of another implementation of the resource,
//! and of the resource itself before it was retained.
//!
//! CloudFormation sends each request at a time of its own, a second or more after the one before.
//! A history does not sleep for that: it sets the `X-Amz-Date` of the `ResponseURL`.

mod check;
mod request;
mod step;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aws_smithy_types::{DateTime, date_time::Format};
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::Value;
use stand_ins::{
    Function, OWNER_TAG,
    bucket::Put,
    iot::{Action, Call},
    lambda::{Lambda, Returned},
    stack::World,
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{InjectedFault, Model, Played, TestCaseResult, ensure, is_same, role_arn};
use crate::{function, world_with};
use check::check_success;
use request::{Kind, Request, age, is_owned, name_of_failed};
use step::{Declaration, Delivery, End, Properties, Removal, Step};

const SETTINGS: [(&str, &str); 1] = [("ROLE_PROPAGATION_SECONDS", "3")];
const TIMEOUT: Duration = Duration::from_secs(7);
const INSTANCES: usize = 4;
/// How CloudFormation names a resource whose Create it cancels.
const INVENTED_ID: &str = "stack-One-1A2B3C4D5E6F";

pub(super) struct Requests {
    world: World,
    _others: Vec<Function>,
    /// The instances that have nothing to do.
    idle: Arc<Semaphore>,
    state: State,
}

/// What a history has come to.
struct State {
    sent: Vec<Arc<Request>>,
    /// When the last request was sent, in seconds since 1970.
    clock: u64,
    /// The number of the last Delete.
    last_delete: Arc<AtomicUsize>,
    running: JoinSet<Option<Delivered>>,
    deliveries: usize,
    delivered: Vec<Delivered>,
    calls: Vec<Call>,
    /// What else happened.
    events: Vec<(Instant, String)>,
    /// The last request and its response, if it was a success and nothing happened since.
    last: Option<(usize, Value)>,
    resource: Option<Resource>,
    /// The names of actions that the resource had and left.
    retained: BTreeSet<String>,
    /// The first request after the last action was retained: earlier ones have long expired.
    first_of_age: usize,
    /// The ids of the actions that someone else made.
    foreign: BTreeSet<String>,
    /// The ids of the actions that someone took the owner tag off.
    untagged: BTreeSet<String>,
    /// The names of what failed Updates may leave, as they were not rolled back.
    left: BTreeSet<String>,
    /// Whether a PUT may have met a fault.
    has_put_fault: bool,
    /// Whether a rollback fails, as another's action has the name. That ends the history.
    is_stuck: bool,
}

/// The resource as the stack has it.
#[derive(Clone, Debug)]
struct Resource {
    id: String,
    properties: Properties,
    /// The id of its action. `None` if this provider has not made or found one yet.
    action: Option<String>,
    /// The properties of the last Update, if it failed and was not rolled back.
    failed: Option<Properties>,
}

/// A response as CloudFormation reads it.
struct Response {
    is_success: bool,
    id: String,
    action: Option<String>,
}

/// A delivery that has ended.
struct Delivered {
    request: usize,
    invocation: String,
    returned: Returned,
    puts: Vec<Put>,
}

impl Model for Requests {
    type History = Vec<Step>;
    const NAME: &'static str = "resource";
    const HISTORIES: u64 = 300;
    const LANES: usize = 24;

    fn history() -> BoxedStrategy<Self::History> {
        prop::collection::vec(Step::any(), 1..=6).boxed()
    }

    async fn start() -> Self {
        let world = world_with(&SETTINGS).await;
        world.aws.lambda.trace();
        let others = (1..INSTANCES).map(|_| function(&world.aws, &SETTINGS)).collect();
        Self {
            world,
            _others: others,
            idle: Arc::new(Semaphore::new(INSTANCES)),
            state: State::new(),
        }
    }

    async fn play(&mut self, history: &Self::History) -> Result<Played, TestCaseError> {
        self.world.aws.reset();
        self.state = State::new();
        let mut result = Ok(());
        for step in history {
            if result.is_ok() && !self.state.is_stuck {
                result = self.step(step).await;
            }
        }
        self.join().await;
        self.state.take_calls(&self.world.aws.iot);
        match result.and_then(|()| self.state.check(&self.world.aws.iot.actions())) {
            Ok(()) => Ok(Played::Held),
            Err(_) if self.state.is_excluded() => Ok(Played::Excluded),
            Err(why) => Err(why),
        }
    }

    fn transcript(&self) -> String {
        self.state.transcript()
    }
}

impl State {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        Self {
            sent: Vec::new(),
            clock: now - 90,
            last_delete: Arc::default(),
            running: JoinSet::new(),
            deliveries: 0,
            delivered: Vec::new(),
            calls: Vec::new(),
            events: Vec::new(),
            last: None,
            resource: None,
            retained: BTreeSet::new(),
            first_of_age: 0,
            foreign: BTreeSet::new(),
            untagged: BTreeSet::new(),
            left: BTreeSet::new(),
            has_put_fault: false,
            is_stuck: false,
        }
    }

    /// A successful Update cleans up what an Update before it has left, unless its calls fail, or
    /// the physical id is that of an action that lost its owner tag.
    fn clean_up(&mut self, request: &Request, delivery: &Delivery, physical: Option<&Action>) {
        let Some(name) = request.old.as_ref().map(Properties::action_name) else { return };
        let has_failed = delivery.faults.iter().any(|fault| fault.kind.is_final());
        let is_untagged = physical.is_some_and(|action| self.untagged.contains(&action.id));
        if name == request.id || name == request.action_name() {
            return;
        }
        // What is left and taken over again had been the resource's own before: it is left again.
        if has_failed || is_untagged {
            self.left.insert(name);
        }
    }

    fn record(&mut self, event: String) {
        self.events.push((Instant::now(), event));
    }
}

impl Requests {
    async fn step(&mut self, step: &Step) -> TestCaseResult {
        match step {
            Step::Appear(action) => {
                self.join().await;
                self.state.record(format!("{action:?} appears"));
                self.state.foreign.extend(action.plant(&self.world.aws));
                self.state.last = None;
            }
            Step::Untag => {
                self.join().await;
                self.untag();
            }
            Step::Inherit(properties, id) => {
                let (id, properties) = (id.text().to_owned(), properties.clone());
                self.state.record(format!("the resource is {id}: {properties:?}"));
                let resource = Resource { id, properties, action: None, failed: None };
                self.state.resource.get_or_insert(resource);
            }
            Step::Declare(declaration) => self.declare(declaration).await?,
            Step::Remove(removal, delivery) => match self.state.resource.take() {
                Some(old) if *removal == Removal::Retain && old.failed.is_none() => {
                    self.retain(&old).await;
                }
                Some(old) => self.delete(&old.id, &old.properties, delivery).await?,
                None => {}
            },
            Step::Repeat(turn) => self.repeat(*turn).await?,
        }
        Ok(())
    }

    fn untag(&mut self) {
        let Some(Resource { id, action: Some(action), .. }) = &self.state.resource else { return };
        self.world.aws.iot.tamper(id, |action| {
            action.as_mut().and_then(|action| action.tags.remove(OWNER_TAG));
        });
        self.state.untagged.insert(action.clone());
        self.state.last = None;
        self.state.record("the owner tag is taken off".to_owned());
    }

    /// The action of a resource stays, for two days.
    async fn retain(&mut self, Resource { id, action, .. }: &Resource) {
        if action.is_none() {
            // A later delivery of the Create that failed may make it.
            self.state.left.extend(name_of_failed(id).map(str::to_owned));
            return;
        }
        self.join().await;
        self.world.aws.iot.tamper(id, |action| {
            if let Some(action) = action {
                age(action);
            }
        });
        self.state.record(format!("{id} is retained"));
        self.state.retained.insert(id.clone());
        self.state.first_of_age = self.state.sent.len();
        self.state.last = None;
    }

    async fn declare(&mut self, declaration: &Declaration) -> TestCaseResult {
        let mut desired = declaration.desired.clone();
        if let Some(after) = declaration.role_after {
            let role = format!("new-{}", self.state.sent.len());
            self.world.aws.iot.set_new_role(&role_arn(&role), milliseconds(after));
            desired.definition.role = role;
        }
        match self.state.resource.take() {
            None => self.create(desired, declaration).await,
            Some(old) if name_of_failed(&old.id).is_some() => {
                self.replace_failed(old, desired, declaration).await
            }
            Some(old) => self.update(old, desired, declaration).await,
        }
    }

    async fn create(
        &mut self,
        desired: Properties,
        Declaration { delivery, cancel_after, end, follow_up, .. }: &Declaration,
    ) -> TestCaseResult {
        let response = self.send(Kind::Create, "", &desired, None, delivery, *cancel_after).await?;
        match response {
            None => self.delete(INVENTED_ID, &desired, follow_up).await,
            Some(response) if end.keeps(&response) => {
                self.state.resource = Some(response.resource(desired));
                Ok(())
            }
            Some(response) => self.delete(&response.id, &desired, follow_up).await,
        }
    }

    /// Updates what a failed Create left, as it was not rolled back. That it is not canceled is an
    /// exclusion: nothing is promised then.
    async fn replace_failed(
        &mut self,
        old: Resource,
        desired: Properties,
        Declaration { delivery, follow_up, .. }: &Declaration,
    ) -> TestCaseResult {
        let previous = Some(&old.properties);
        let response =
            self.send(Kind::Update, &old.id, &desired, previous, delivery, None).await?.unwrap();
        self.delete(&old.id, &old.properties, follow_up).await?;
        if response.is_success {
            self.state.resource = Some(response.resource(desired));
            return Ok(());
        }
        self.delete(&response.id, &desired, follow_up).await
    }

    async fn update(
        &mut self,
        old: Resource,
        desired: Properties,
        Declaration { delivery, cancel_after, end, follow_up, .. }: &Declaration,
    ) -> TestCaseResult {
        let previous = old.failed.as_ref().unwrap_or(&old.properties);
        let response = self
            .send(Kind::Update, &old.id, &desired, Some(previous), delivery, *cancel_after)
            .await?;
        let Some(response) = response else {
            return self.restore(&old.id, &old, &desired, follow_up).await;
        };
        match (response.is_success, end) {
            (false, End::StayFailed) => {
                let name = desired.action_name();
                self.state.left.extend((name != old.id).then_some(name));
                self.state.resource = Some(Resource { failed: Some(desired), ..old });
                Ok(())
            }
            (false, _) => self.restore(&old.id, &old, &desired, follow_up).await,
            (true, End::Stand | End::StayFailed | End::RetainOld) => {
                if response.id != old.id && *end == End::RetainOld && old.failed.is_none() {
                    self.retain(&old).await;
                } else if response.id != old.id {
                    self.delete(&old.id, &old.properties, follow_up).await?;
                }
                self.state.resource = Some(response.resource(desired));
                Ok(())
            }
            (true, End::Withdraw) if response.id != old.id => {
                self.delete(&response.id, &desired, follow_up).await?;
                self.state.resource = Some(old);
                Ok(())
            }
            (true, End::RollBack | End::Withdraw) => {
                self.restore(&response.id, &old, &desired, follow_up).await
            }
        }
    }

    /// Rolls an Update of `old` to `desired` back, after which the resource has the physical id.
    async fn restore(
        &mut self,
        id: &str,
        old: &Resource,
        desired: &Properties,
        follow_up: &Delivery,
    ) -> TestCaseResult {
        for delivery in [follow_up, &Delivery::default()] {
            let previous = Some(desired);
            let response =
                self.send(Kind::Update, id, &old.properties, previous, delivery, None).await?;
            let response = response.unwrap();
            if response.is_success {
                if response.id != id {
                    let is_new = id != old.id;
                    let properties = if is_new { desired } else { &old.properties };
                    self.delete(id, properties, follow_up).await?;
                }
                self.state.resource = Some(response.resource(old.properties.clone()));
                return Ok(());
            }
            self.join().await;
        }
        self.state.is_stuck = true;
        Ok(())
    }

    /// Sends a Delete, and if that fails another one.
    async fn delete(
        &mut self,
        id: &str,
        properties: &Properties,
        delivery: &Delivery,
    ) -> TestCaseResult {
        for delivery in [delivery, &Delivery::default()] {
            let response = self.send(Kind::Delete, id, properties, None, delivery, None).await?;
            if response.is_some_and(|response| response.is_success) {
                return Ok(());
            }
            self.join().await;
        }
        Err(TestCaseError::fail(format!("the Delete of {id} failed twice")))
    }

    /// Sends a request, and waits until CloudFormation has its response: `None` if it cancels the
    /// request.
    async fn send(
        &mut self,
        kind: Kind,
        id: &str,
        properties: &Properties,
        old: Option<&Properties>,
        delivery: &Delivery,
        cancel_after: Option<u16>,
    ) -> Result<Option<Response>, TestCaseError> {
        let number = self.state.sent.len();
        self.state.clock += 1;
        let request = Arc::new(Request {
            kind,
            id: id.to_owned(),
            properties: properties.clone(),
            old: old.cloned(),
            sent: self.state.clock,
        });
        self.state.record(format!("{number} is sent: {request:?}, {delivery:?}, {cancel_after:?}"));
        self.state.sent.push(request.clone());
        if kind == Kind::Delete {
            self.state.last_delete.store(number, Ordering::SeqCst);
        }
        self.state.last = None;
        let is_new = properties.definition.role == format!("new-{number}");
        let is_alone = self.is_idle() && delivery.is_undisturbed() && cancel_after.is_none();
        self.set(delivery);
        let found = self.world.aws.iot.action(&request.action_name());
        self.start(number, Duration::ZERO);
        if let Some(after) = delivery.repeat_after {
            self.start(number, milliseconds(after));
        }
        let document = self.response(number, cancel_after).await?;
        let Some(document) = document.filter(|_| cancel_after.is_none()) else {
            self.state.record(format!("{number} is canceled"));
            return Ok(None);
        };
        let response = Response::read(&document);
        let action = self.world.aws.iot.action(&request.action_name());
        if response.is_success {
            check_success(&request, &document, action.as_ref())?;
            let physical = self.world.aws.iot.action(&request.id);
            self.state.clean_up(&request, delivery, physical.as_ref());
            self.state.retained.remove(&response.id);
            self.state.last = Some((number, document));
        }
        if is_alone && !is_new {
            self.state.take_calls(&self.world.aws.iot);
            self.state.check_undisturbed(number, &response, found.as_ref())?;
        }
        Ok(Some(response))
    }

    /// Delivers an earlier request once more.
    async fn repeat(&mut self, turn: usize) -> TestCaseResult {
        let Some(number) = self.state.sent.len().checked_sub(turn + 1) else { return Ok(()) };
        if number < self.state.first_of_age {
            return Ok(());
        }
        let is_replay = self.is_idle();
        self.set(&Delivery::default());
        let before = self.actions_to_keep();
        self.start(number, Duration::ZERO);
        let document = self.response(number, None).await?;
        let Some((_, last)) = self.state.last.as_ref().filter(|(last, _)| *last == number) else {
            return Ok(());
        };
        ensure(!is_replay || document.as_ref() == Some(last), || {
            format!("{number} got {document:?} the second time, and {last} the first")
        })?;
        let after = self.actions_to_keep();
        let is_unchanged = before.len() == after.len()
            && before
                .iter()
                .all(|(name, old)| after.get(name).is_some_and(|new| is_same(old, new)));
        ensure(!is_replay || is_unchanged, || format!("{number} changed something again"))
    }

    /// The actions without those that an Update could not clean up, which its next delivery may.
    fn actions_to_keep(&self) -> BTreeMap<String, Action> {
        let mut actions = self.world.aws.iot.actions();
        actions.retain(|name, _| !self.state.left.contains(name));
        actions
    }

    /// Sets the faults, and what else a request meets.
    fn set(&mut self, delivery: &Delivery) {
        let aws = &self.world.aws;
        aws.iot.faults.clear();
        aws.bucket.faults.clear();
        for fault in &delivery.faults {
            fault.set(&aws.iot.faults);
        }
        if let Some(kind) = delivery.put {
            self.state.has_put_fault = true;
            let fault = InjectedFault { call: "PUT".to_owned(), kind, times: 1 };
            fault.set(&aws.bucket.faults);
        }
        aws.iot.set_identical_create(delivery.identical_create());
        aws.iot.set_tag_lag(milliseconds(delivery.tag_lag));
    }

    /// Begins a delivery, unless it is of a Create or an Update of what was deleted or released
    /// since, about which nothing is promised.
    fn start(&mut self, request: usize, after: Duration) {
        self.state.deliveries += 1;
        let invocation = format!("{}-{request}", self.state.deliveries);
        let key = format!("{invocation}-{:016x}", fastrand::u64(..));
        let sent = &self.state.sent[request];
        let url = format!(
            "{}/response/{key}?X-Amz-Date={}&X-Amz-Expires=7200&X-Amz-Signature=5ec4e7",
            self.world.aws.url(),
            x_amz_date(sent.sent)
        );
        let payload = sent.event(request, &url).to_string().into_bytes();
        let (name, is_delete) = (sent.action_name(), sent.kind == Kind::Delete);
        let last_delete = self.state.last_delete.clone();
        let (aws, idle) = (self.world.aws.clone(), self.idle.clone());
        self.state.running.spawn(async move {
            sleep(after).await;
            let is_gone = aws.iot.action(&name).is_none_or(|action| !is_owned(&action));
            if !is_delete && is_gone && last_delete.load(Ordering::SeqCst) > request {
                return None;
            }
            let _instance = idle.acquire().await;
            let arn = Lambda::arn();
            let returned = aws.lambda.invoke_with_id(&invocation, payload, TIMEOUT, &arn).await;
            let puts = aws.bucket.puts(&key);
            Some(Delivered { request, invocation, returned, puts })
        });
    }

    /// The first response to a request, unless it is canceled before.
    async fn response(
        &mut self,
        request: usize,
        cancel_after: Option<u16>,
    ) -> Result<Option<Value>, TestCaseError> {
        let State { running, delivered, .. } = &mut self.state;
        let first = async {
            while let Some(ended) = running.join_next().await {
                delivered.extend(ended.unwrap());
                if let Some(last) = delivered.last().filter(|last| last.request == request) {
                    return last.check_puts().map(Put::response).map(Some);
                }
            }
            Ok(None)
        };
        let time = cancel_after.map_or(Duration::from_mins(1), milliseconds);
        timeout(time, first).await.unwrap_or(Ok(None))
    }

    /// Whether no delivery is running.
    fn is_idle(&mut self) -> bool {
        let State { running, delivered, .. } = &mut self.state;
        while let Some(ended) = running.try_join_next() {
            delivered.extend(ended.unwrap());
        }
        running.is_empty()
    }

    /// Waits for all deliveries.
    async fn join(&mut self) {
        while let Some(ended) = self.state.running.join_next().await {
            self.state.delivered.extend(ended.unwrap());
        }
    }
}

impl End {
    /// Whether the stack keeps a resource whose Create got this response.
    fn keeps(self, response: &Response) -> bool {
        match self {
            Self::Stand | Self::RetainOld => response.is_success,
            Self::StayFailed => true,
            Self::RollBack | Self::Withdraw => false,
        }
    }
}

impl Response {
    fn read(document: &Value) -> Self {
        let is_success = document["Status"] == "SUCCESS";
        let id = document["PhysicalResourceId"].as_str().unwrap_or_default().to_owned();
        let action = document["Data"]["ActionId"].as_str().map(str::to_owned);
        Self { is_success, id, action }
    }

    fn resource(self, properties: Properties) -> Resource {
        Resource { id: self.id, properties, action: self.action, failed: None }
    }
}

fn milliseconds(milliseconds: u16) -> Duration {
    Duration::from_millis(milliseconds.into())
}

/// A time as `X-Amz-Date` has it.
fn x_amz_date(seconds: u64) -> String {
    let date = DateTime::from_secs(i64::try_from(seconds).unwrap());
    date.fmt(Format::DateTime).unwrap().replace(['-', ':'], "")
}
