//! Stacks of several resources that compete for a few names, as CloudFormation plays them: an operation on a stack creates
//! and updates resource by resource and cleans up at the end, or is rolled back, because a request failed or somebody
//! cancelled it. Each request may meet faults and be delivered twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mitigation_action_provider::mitigation::{ActionName, StackId};
use proptest::{prelude::*, sample::select, test_runner::TestCaseError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Definition, Disturbance, Kind, Model, OnConflict, Params, Stranger, Tags, TestCaseResult,
    any_tags, ensure, is_same, listed, owner_of, role_arn, with, with_owner,
};
use stand_ins::{
    Aws, OWNER_TAG, REQUEST_TAG,
    iot::{Action, Call, Iot},
    stack::{Exchange, World, merged},
};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// A stack's number and a logical id.
type Key = (u8, String);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Step {
    /// An action of somebody else's appears, where its name is free.
    Appear(Stranger),
    Operate {
        stack: u8,
        changes: Vec<Change>,
        end: End,
    },
    /// The last request of a resource is delivered once more.
    Repeat {
        stack: u8,
        resource: String,
    },
}

/// What an operation does about one resource: creates it, updates it where it is there, or takes it out of the template.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Change {
    resource: String,
    wish: Option<Properties>,
    #[serde(default, skip_serializing_if = "Delivery::is_plain")]
    delivery: Delivery,
    #[serde(default, skip_serializing_if = "Delivery::is_plain")]
    follow_up: Delivery,
}

/// How an operation ends whose requests have all succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum End {
    Stand,
    /// Something else in the stack fails.
    RollBack,
    /// The same, while the last request is under way: CloudFormation does not look at its answer.
    Cancel,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Properties {
    /// Empty for a generated one.
    name: String,
    definition: Definition,
    tags: Tags,
    on_conflict: OnConflict,
}

/// How a request gets there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Delivery {
    faults: Vec<Disturbance>,
    /// What happens to the first PUT of the answer.
    put: Option<Kind>,
    /// Delivered once more, before anything else happens to the resource.
    again: bool,
    /// The service answers an identical create as it did the first.
    takes_replays: bool,
}

/// A resource as the stack has it, and the action as it has to be.
#[derive(Clone, Debug)]
struct Resource {
    id: String,
    properties: Properties,
    action_id: String,
    /// All but the owner's.
    tags: Tags,
    is_adopted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verb {
    Create,
    Update,
    Delete,
}

struct Request<'r> {
    key: &'r Key,
    verb: Verb,
    id: &'r str,
    properties: &'r Properties,
    old: Option<&'r Properties>,
}

/// What a request came to, in CloudFormation's eyes.
struct Answer {
    is_success: bool,
    id: String,
    document: Value,
    /// The operations that it took.
    calls: Vec<&'static str>,
}

/// A change that an operation has made, or tried to.
struct Done<'c> {
    key: Key,
    change: &'c Change,
    wish: &'c Properties,
    old: Option<Resource>,
    /// What had the name before.
    found: Option<Action>,
    answer: Answer,
}

pub(super) struct Stacks {
    world: World,
    resources: BTreeMap<Key, Resource>,
    /// The last request of each resource and its answer, where it succeeded.
    last: BTreeMap<Key, (Asked, Value)>,
    requests: u64,
    told: Vec<String>,
}

/// A request with its own data, for a delivery later on.
#[derive(Clone)]
struct Asked {
    event: Value,
    verb: Verb,
    id: String,
    properties: Properties,
    old: Option<Properties>,
}

impl Model for Stacks {
    type Step = Step;
    const NAME: &'static str = "stacks";
    const HISTORIES: u64 = 2000;
    const STEPS: usize = 6;
    const LANES: usize = 14;

    fn step() -> BoxedStrategy<Step> {
        let resource = || select(vec!["One", "Two", "Three"]).prop_map(str::to_owned);
        let properties =
            (select(vec!["a", "b", "c", ""]), Definition::any(), any_tags(), OnConflict::any())
                .prop_map(|(name, definition, tags, on_conflict)| Properties {
                    name: name.to_owned(),
                    definition,
                    tags,
                    on_conflict,
                });
        let delivery = || {
            let put = vec![None; 16].into_iter().chain(PUT_FAULTS.map(Some)).collect::<Vec<_>>();
            (Disturbance::any_few(2), select(put), prop::bool::weighted(0.2), any::<bool>())
                .prop_map(|(faults, put, again, takes_replays)| Delivery {
                    faults,
                    put,
                    again,
                    takes_replays,
                })
        };
        let change = (resource(), prop::option::weighted(0.8, properties), delivery(), delivery())
            .prop_map(|(resource, wish, delivery, follow_up)| Change {
                resource,
                wish,
                delivery,
                follow_up,
            });
        let end = select(vec![End::Stand, End::Stand, End::Stand, End::RollBack, End::Cancel]);
        prop_oneof![
            2 => Stranger::any(NAMES.to_vec()).prop_map(Step::Appear),
            8 => (0..2_u8, prop::collection::vec(change, 1..=3), end).prop_map(|(stack, changes, end)| Step::Operate { stack, changes, end }),
            1 => (0..2_u8, resource()).prop_map(|(stack, resource)| Step::Repeat { stack, resource }),
        ]
        .boxed()
    }

    async fn start() -> Self {
        Self {
            world: crate::world().await,
            resources: BTreeMap::new(),
            last: BTreeMap::new(),
            requests: 0,
            told: Vec::new(),
        }
    }

    async fn play(&mut self, history: &[Step]) -> TestCaseResult {
        self.world.aws.reset();
        self.resources.clear();
        self.last.clear();
        self.told.clear();
        for step in history {
            match step {
                Step::Appear(stranger) => {
                    self.told.push(format!("{stranger:?} appears"));
                    stranger.appear(&self.world.aws);
                }
                Step::Operate { stack, changes, end } => {
                    self.operate(*stack, changes, *end).await?;
                }
                Step::Repeat { stack, resource } => {
                    self.repeat(&(*stack, resource.clone())).await?;
                }
            }
            self.check()?;
        }
        let stray = self.world.aws.iot.take_calls();
        ensure(stray.is_empty(), || format!("calls after the function was done: {stray:?}"))
    }

    fn told(&self) -> String {
        self.told.join("\n")
    }
}

/// Those that an answer survives however little time is left.
const PUT_FAULTS: [Kind; 6] = [
    Kind::LostBefore,
    Kind::LostAfter,
    Kind::FailedBefore,
    Kind::FailedAfter,
    Kind::Throttled,
    Kind::Garbled,
];

fn stack_id(number: u8) -> String {
    format!(
        "arn:aws:cloudformation:eu-west-1:123456789012:stack/stack-{number}/0000000{number}-0000-4000-8000-000000000000"
    )
}

/// The owner tag of what is made for a resource, or adopted.
fn owner_tag((stack, resource): &Key, is_adopted: bool) -> String {
    let kind = if is_adopted { "adopted" } else { "stack" };
    format!("{kind}/stack-{stack}/0000000{stack}-0000-4000-8000-000000000000/{resource}")
}

/// A user's tags after an update that gives `new` where `old` was given before.
fn retagged(tags: &Tags, old: &Tags, new: &Tags) -> Tags {
    let kept = tags.iter().filter(|(key, _)| !old.contains_key(*key) || new.contains_key(*key));
    with(&kept.map(|(key, value)| (key.clone(), value.clone())).collect(), new)
}

/// What the account holds, without the request tags.
fn actions(aws: &Aws) -> BTreeMap<String, Action> {
    let mut actions = aws.iot.actions();
    for action in actions.values_mut() {
        action.tags.remove(REQUEST_TAG);
    }
    actions
}

fn without_owner(tags: &Tags) -> Tags {
    tags.iter()
        .filter(|(key, _)| *key != OWNER_TAG)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

impl Properties {
    fn to_json(&self) -> Value {
        let params = match self.definition.params {
            Params::Device => {
                json!({ "UpdateDeviceCertificateParams": { "Action": "DEACTIVATE" } })
            }
            Params::Ca => json!({ "UpdateCACertificateParams": { "Action": "DEACTIVATE" } }),
            Params::Groups => {
                json!({ "AddThingsToThingGroupParams": { "ThingGroupNames": ["g"], "OverrideDynamicGroups": "true" } })
            }
        };
        json!({
            "ActionName": self.name, "RoleArn": role_arn(&self.definition.role), "ActionParams": params, "Tags": listed(&self.tags),
            "OnConflict": format!("{:?}", self.on_conflict),
        })
    }

    fn name_for(&self, (stack, resource): &Key) -> String {
        match self.name.as_str() {
            "" => ActionName::generated(&StackId::parse(&stack_id(*stack)).unwrap(), resource)
                .as_str()
                .to_owned(),
            given => given.to_owned(),
        }
    }
}

impl Delivery {
    fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    fn is_calm(&self) -> bool {
        self.faults.is_empty()
    }

    fn set(&self, world: &World) {
        for fault in &self.faults {
            fault.set(&world.aws.iot.faults);
        }
        if let Some(fault) = self.put {
            Disturbance { call: "PUT".to_owned(), fault, times: 1 }.set(&world.aws.bucket.faults);
        }
        world.aws.iot.set_idempotent_creates(self.takes_replays);
    }
}

impl Asked {
    fn request<'r>(&'r self, key: &'r Key) -> Request<'r> {
        let Self { verb, id, properties, old, .. } = self;
        Request { key, verb: *verb, id, properties, old: old.as_ref() }
    }
}

impl Request<'_> {
    fn event(&self, number: u64) -> Value {
        let mut event = json!({
            "RequestType": format!("{:?}", self.verb), "StackId": stack_id(self.key.0), "RequestId": number.to_string(),
            "LogicalResourceId": self.key.1, "ResourceType": "Custom::IoTMitigationAction", "ResourceProperties": self.properties.to_json(),
        });
        if self.verb != Verb::Create {
            event["PhysicalResourceId"] = json!(self.id);
        }
        if let Some(old) = self.old {
            event["OldResourceProperties"] = old.to_json();
        }
        event
    }

    fn name(&self) -> String {
        self.properties.name_for(self.key)
    }

    /// Whether it is to make an action, and not to change or delete the one that the resource has.
    fn is_create(&self) -> bool {
        self.verb == Verb::Create || (self.verb == Verb::Update && self.name() != self.id)
    }

    fn is_own(&self, action: &Action) -> bool {
        owner_of(&action.tags).is_some_and(|tag| {
            tag == owner_tag(self.key, false) || tag == owner_tag(self.key, true)
        })
    }

    /// Whether it succeeds where nothing goes wrong.
    fn can_succeed(&self, before: &BTreeMap<String, Action>) -> bool {
        let Some(found) =
            before.get(&self.name()).filter(|found| self.is_create() && !self.is_own(found))
        else {
            return true;
        };
        is_takeable(found)
            && match self.properties.on_conflict {
                OnConflict::Fail => false,
                OnConflict::Adopt => self.properties.definition.is_of(found),
                OnConflict::Overwrite => true,
            }
    }

    /// Whether it may have made `after` of `before`.
    fn may(&self, name: &str, before: Option<&Action>, after: Option<&Action>) -> bool {
        let Properties { definition, tags, on_conflict, .. } = self.properties;
        let is_named = name == self.name();
        match (before, after) {
            (None, None) => true,
            (None, Some(made)) => {
                self.is_create()
                    && is_named
                    && definition.is_of(made)
                    && made.tags == with_owner(tags, &owner_tag(self.key, false))
            }
            (Some(old), None) => {
                owner_of(&old.tags) == Some(&owner_tag(self.key, false)) && self.may_release(name)
            }
            (Some(old), Some(new)) if old.id != new.id => false,
            (Some(old), Some(new)) if self.is_own(old) => {
                let has_kept_definition =
                    (&old.role_arn, &old.params) == (&new.role_arn, &new.params);
                if owner_of(&old.tags) != owner_of(&new.tags) {
                    let is_adopted = owner_of(&old.tags) == Some(&owner_tag(self.key, true));
                    return is_adopted
                        && self.may_release(name)
                        && has_kept_definition
                        && new.tags == without_owner(&old.tags);
                }
                let is_old_or_wanted = |key: &String| {
                    let (old_value, new_value) = (old.tags.get(key), new.tags.get(key));
                    let is_forgotten = self.old.is_some_and(|old| old.tags.contains_key(key))
                        && !tags.contains_key(key);
                    new_value == old_value
                        || (new_value.is_some() && new_value == tags.get(key))
                        || (new_value.is_none() && is_forgotten)
                };
                self.verb != Verb::Delete
                    && is_named
                    && (has_kept_definition || definition.is_of(new))
                    && old.tags.keys().chain(new.tags.keys()).all(is_old_or_wanted)
            }
            (Some(old), Some(new)) => {
                let taken = |is_adopted| {
                    with_owner(&with(&old.tags, tags), &owner_tag(self.key, is_adopted))
                };
                self.is_create()
                    && is_named
                    && is_takeable(old)
                    && definition.is_of(new)
                    && match on_conflict {
                        OnConflict::Fail => false,
                        OnConflict::Adopt => definition.is_of(old) && new.tags == taken(true),
                        OnConflict::Overwrite => new.tags == old.tags || new.tags == taken(false),
                    }
            }
        }
    }

    /// Whether it may delete, or give back, what the resource has under that name.
    fn may_release(&self, name: &str) -> bool {
        match self.verb {
            Verb::Create => false,
            Verb::Update => {
                self.old.is_some_and(|old| name == old.name_for(self.key))
                    && name != self.id
                    && name != self.name()
            }
            Verb::Delete => name == self.id || name == self.name(),
        }
    }
}

/// Whether a template may take it: what nobody owns, and what an event, a message or a call made.
fn is_takeable(action: &Action) -> bool {
    owner_of(&action.tags).is_none_or(|tag| tag.starts_with("event/"))
}

impl Stacks {
    /// Creates and updates one resource after another; then cleans up what is not needed any more, or rolls back.
    async fn operate(&mut self, stack: u8, changes: &[Change], end: End) -> TestCaseResult {
        let mut done: Vec<Done> = Vec::new();
        let mut removed = Vec::new();
        let mut seen = BTreeSet::new();
        for change in changes.iter().filter(|change| seen.insert(&change.resource)) {
            let key = (stack, change.resource.clone());
            let old = self.resources.get(&key).cloned();
            match (&change.wish, old) {
                (None, None) => {}
                (None, Some(_)) => removed.push((key, change)),
                (Some(wish), old) => {
                    let found = self.world.aws.iot.action(&wish.name_for(&key));
                    let answer = self.declare(&key, wish, old.as_ref(), &change.delivery).await?;
                    let has_failed = !answer.is_success;
                    done.push(Done { key, change, wish, old, found, answer });
                    if has_failed {
                        return self.roll_back(done, false).await;
                    }
                }
            }
        }
        match end {
            End::Stand => self.clean_up(done, removed).await,
            End::RollBack => self.roll_back(done, false).await,
            End::Cancel => self.roll_back(done, true).await,
        }
    }

    async fn declare(
        &mut self,
        key: &Key,
        wish: &Properties,
        old: Option<&Resource>,
        delivery: &Delivery,
    ) -> Result<Answer, TestCaseError> {
        let request = match old {
            None => Request { key, verb: Verb::Create, id: "", properties: wish, old: None },
            Some(old) => Request {
                key,
                verb: Verb::Update,
                id: &old.id,
                properties: wish,
                old: Some(&old.properties),
            },
        };
        self.send(&request, delivery).await
    }

    /// All is well: what the stack has now stands, and what it had instead is deleted.
    async fn clean_up(
        &mut self,
        done: Vec<Done<'_>>,
        removed: Vec<(Key, &Change)>,
    ) -> TestCaseResult {
        let mut replaced = Vec::new();
        for Done { key, change, wish, old, found, answer } in done {
            let is_in_place = old.as_ref().is_some_and(|old| old.id == answer.id);
            let tags = match (&old, &found) {
                (Some(old), _) if is_in_place => {
                    retagged(&old.tags, &old.properties.tags, &wish.tags)
                }
                (_, Some(found)) => with(&without_owner(&found.tags), &wish.tags),
                (_, None) => wish.tags.clone(),
            };
            let is_adopted = match &old {
                Some(old) if is_in_place => old.is_adopted,
                _ => found.is_some() && wish.on_conflict == OnConflict::Adopt,
            };
            let action_id =
                answer.document["Data"]["ActionId"].as_str().unwrap_or_default().to_owned();
            let has_kept_id = found.is_none_or(|found| found.id == action_id);
            ensure(has_kept_id, || format!("{} is another action than was there", answer.id))?;
            self.resources.insert(
                key.clone(),
                Resource { id: answer.id, properties: wish.clone(), action_id, tags, is_adopted },
            );
            replaced.extend(old.filter(|_| !is_in_place).map(|old| (key, change, old)));
        }
        for (key, change) in removed {
            replaced.extend(self.resources.remove(&key).map(|old| (key, change, old)));
        }
        for (key, change, old) in replaced {
            self.delete(&key, &old.id, &old.properties, &change.follow_up).await?;
        }
        Ok(())
    }

    /// Updates back what was updated, the last first, and deletes what was made. Where it was cancelled, CloudFormation knows
    /// nothing of the last answer: neither the id of what was made nor the new id of what was replaced.
    async fn roll_back(&mut self, done: Vec<Done<'_>>, is_cancelled: bool) -> TestCaseResult {
        let mut made = Vec::new();
        for (turn, Done { key, change, wish, old, answer, .. }) in
            done.into_iter().rev().enumerate()
        {
            let is_known = turn > 0 || !is_cancelled;
            let Some(old) = old else {
                let id = if is_known {
                    answer.id
                } else {
                    format!("stack-{}-{}-1A2B3C4D5E6F", key.0, key.1)
                };
                made.push((key, change, id, wish));
                continue;
            };
            let id = if is_known { answer.id } else { old.id.clone() };
            let back = Request {
                key: &key,
                verb: Verb::Update,
                id: &id,
                properties: &old.properties,
                old: Some(wish),
            };
            let mut restored = self.send(&back, &change.follow_up).await?;
            if !restored.is_success {
                restored = self.send(&back, &Delivery::default()).await?;
            }
            ensure(restored.is_success && restored.id == old.id, || {
                format!("a rollback came to {}", restored.document)
            })?;
            let tags = if id == old.id {
                retagged(&old.tags, &wish.tags, &old.properties.tags)
            } else {
                old.tags
            };
            if id != old.id {
                made.push((key.clone(), change, id, wish));
            }
            self.resources.insert(key, Resource { tags, ..old });
        }
        for (key, change, id, wish) in made {
            self.delete(&key, &id, wish, &change.follow_up).await?;
        }
        Ok(())
    }

    /// As often as CloudFormation would: what fails for now is asked for again.
    async fn delete(
        &mut self,
        key: &Key,
        id: &str,
        properties: &Properties,
        delivery: &Delivery,
    ) -> TestCaseResult {
        let request = Request { key, verb: Verb::Delete, id, properties, old: None };
        if self.send(&request, delivery).await?.is_success {
            return Ok(());
        }
        let answer = self.send(&request, &Delivery::default()).await?;
        ensure(answer.is_success, || format!("a Delete came to {}", answer.document))
    }

    async fn send(
        &mut self,
        request: &Request<'_>,
        delivery: &Delivery,
    ) -> Result<Answer, TestCaseError> {
        self.requests += 1;
        let event = request.event(self.requests);
        let Request { key: (stack, resource), verb, id, properties, old } = request;
        self.told.push(format!(
            "{}: {verb:?} {resource} of stack {stack}, {id:?}: {properties:?}, before {old:?}",
            self.requests
        ));
        if !delivery.is_calm() || delivery.put.is_some() {
            self.told.push(format!("  with {:?}, the PUT {:?}", delivery.faults, delivery.put));
        }
        let before = actions(&self.world.aws);
        delivery.set(&self.world);
        // What hangs takes all the time that there is.
        self.world.timeout =
            Duration::from_secs(if delivery.faults.iter().any(Disturbance::is_hang) {
                5
            } else {
                20
            });
        let answer = self.deliver(&event, request, delivery.put.is_some()).await?;
        self.world.aws.iot.faults.clear();
        self.world.aws.bucket.faults.clear();
        self.world.timeout = Duration::from_secs(20);
        if delivery.is_calm() {
            let is_free = request.verb == Verb::Create && !before.contains_key(&request.name());
            ensure(!is_free || answer.calls == ["CreateMitigationAction"], || {
                format!("a create alone took {:?}", answer.calls)
            })?;
            ensure(answer.is_success == request.can_succeed(&before), || {
                format!("without a fault it came to {}", answer.document)
            })?;
        }
        if delivery.again {
            // What failed for now may be different now, and what it makes has to go with what follows the failure.
            let is_bound = answer.is_success || delivery.is_calm();
            self.deliver_again(&event, request, Some(&answer.document).filter(|_| is_bound))
                .await?;
        }
        self.last.remove(request.key);
        if answer.is_success {
            let Request { key, verb, id, properties, old } = *request;
            let asked = Asked {
                event,
                verb,
                id: id.to_owned(),
                properties: properties.clone(),
                old: old.cloned(),
            };
            self.last.insert(key.clone(), (asked, answer.document.clone()));
        }
        Ok(answer)
    }

    async fn repeat(&mut self, key: &Key) -> TestCaseResult {
        let Some((asked, document)) = self.last.get(key).cloned() else { return Ok(()) };
        self.told.push(format!("once more: {}", asked.event["RequestId"]));
        self.deliver_again(&asked.event, &asked.request(key), Some(&document)).await
    }

    /// Delivers a request once more: the answer is to be `document`, where there is one, and nothing is to change then.
    async fn deliver_again(
        &mut self,
        event: &Value,
        request: &Request<'_>,
        document: Option<&Value>,
    ) -> TestCaseResult {
        let before = actions(&self.world.aws);
        let again = self.deliver(event, request, false).await?;
        let Some(document) = document else { return Ok(()) };
        ensure(again.document == *document, || {
            format!("delivered again it came to {}", again.document)
        })?;
        let after = actions(&self.world.aws);
        let is_unchanged = before.len() == after.len()
            && before
                .iter()
                .all(|(name, old)| after.get(name).is_some_and(|new| is_same(old, new)));
        ensure(is_unchanged, || "delivered again it changed something".to_owned())
    }

    /// Delivers a request and holds what comes of it to what holds of any.
    async fn deliver(
        &mut self,
        event: &Value,
        request: &Request<'_>,
        is_put_disturbed: bool,
    ) -> Result<Answer, TestCaseError> {
        let aws = self.world.aws.clone();
        let stray = aws.iot.take_calls();
        ensure(stray.is_empty(), || format!("calls after the function was done: {stray:?}"))?;
        let before = actions(&aws);
        let (key, url) = self.world.response_url("");
        let played =
            self.world.send_to(&key, merged(event.clone(), &json!({ "ResponseURL": url }))).await;
        for call in &played.calls {
            self.told.push(format!("  {} {} {}", call.operation, call.name(), call.status));
        }
        let document = played.response().clone();
        let [status, id, reason] = ["Status", "PhysicalResourceId", "Reason"]
            .map(|member| document[member].as_str().unwrap_or_default());
        self.told.push(format!("  -> {status} {id:?} {reason}"));

        let puts = aws.bucket.puts(&key);
        let accepted = puts.iter().find(|put| put.accepted);
        let Some(accepted) = accepted.filter(|_| is_put_disturbed || puts.len() == 1) else {
            return Err(TestCaseError::fail(format!("not one accepted PUT, but {puts:?}")));
        };
        ensure(puts.iter().all(|put| put.body == accepted.body), || {
            format!("different documents: {puts:?}")
        })?;
        ensure(played.returned.as_ref() == Ok(&document), || {
            format!("the function returned {:?}", played.returned)
        })?;
        check_calls(&played, &document, accepted.at)?;
        let after = actions(&aws);
        for name in before.keys().chain(after.keys()) {
            let (old, new) = (before.get(name), after.get(name));
            let is_unchanged = matches!((old, new), (Some(old), Some(new)) if is_same(old, new));
            ensure(is_unchanged || request.may(name, old, new), || {
                format!("this is not its to do: {old:?} became {new:?}")
            })?;
        }
        let (is_success, id) = check_document(&document, event, request, &after)?;
        Ok(Answer {
            is_success,
            id,
            document,
            calls: played.calls.iter().map(|call| call.operation).collect(),
        })
    }

    /// The account holds exactly what the stacks say, and nothing else carries an owner tag of theirs.
    fn check(&self) -> TestCaseResult {
        let actions = actions(&self.world.aws);
        for (key, resource) in &self.resources {
            let Resource { id, properties, action_id, tags, is_adopted } = resource;
            let is_right = |action: &Action| {
                let owned = with_owner(tags, &owner_tag(key, *is_adopted));
                action.id == *action_id
                    && properties.definition.is_of(action)
                    && action.tags == owned
            };
            let action = actions.get(id);
            ensure(action.is_some_and(is_right), || {
                format!("{key:?} is {resource:?}, but there is {action:?}")
            })?;
        }
        for (name, action) in &actions {
            let is_a_stacks = owner_of(&action.tags).is_some_and(|tag| tag.contains("/stack-"));
            let is_a_resources = self.resources.values().any(|resource| resource.id == *name);
            ensure(is_a_stacks == is_a_resources, || format!("{name} is left behind: {action:?}"))?;
        }
        Ok(())
    }
}

/// No call begins after the answer has arrived, save one that was under way when time ran out.
fn check_calls(
    played: &Exchange,
    document: &Value,
    answered: std::time::Instant,
) -> TestCaseResult {
    let late: Vec<&Call> = played.calls.iter().filter(|call| call.at > answered).collect();
    let is_cut = document["Reason"].as_str().is_some_and(|reason| reason.contains("time ran out"));
    let is_on_its_way =
        |call: &&Call| is_cut && call.at.duration_since(answered) < Duration::from_millis(50);
    ensure(late.len() <= 1 && late.iter().all(is_on_its_way), || {
        format!("calls after the answer: {late:?}")
    })
}

/// What an answer says of its request and of the action is so; returns whether it is a success, and the physical id.
fn check_document(
    document: &Value,
    event: &Value,
    request: &Request<'_>,
    actions: &BTreeMap<String, Action>,
) -> Result<(bool, String), TestCaseError> {
    for echo in ["StackId", "RequestId", "LogicalResourceId"] {
        ensure(document[echo] == event[echo], || format!("{echo} is not echoed: {document}"))?;
    }
    let is_success = document["Status"] == "SUCCESS";
    let id = document["PhysicalResourceId"].as_str().unwrap_or_default().to_owned();
    let is_right = match (request.verb, is_success) {
        (Verb::Create, false) => id.starts_with("not-created:"),
        (Verb::Delete, _) | (Verb::Update, false) => id == request.id,
        (Verb::Create | Verb::Update, true) => {
            let action = actions.get(&id);
            let (arn, action_id) = (json!(Iot::arn(&id)), json!(action.map(|action| &action.id)));
            let data = &document["Data"];
            id == request.name()
                && action.is_some_and(|action| {
                    request.is_own(action) && request.properties.definition.is_of(action)
                })
                && (&data["ActionArn"], &data["MitigationActionArn"], &data["ActionName"])
                    == (&arn, &arn, &json!(id))
                && (&data["ActionId"], &data["MitigationActionId"]) == (&action_id, &action_id)
                && data["ActionType"]
                    == action.map_or("", |action| stand_ins::iot::action_type(&action.params))
        }
    };
    let has_reason = is_success
        || document["Reason"]
            .as_str()
            .is_some_and(|reason| reason.split_once("Exception: ").is_some());
    ensure(is_right && has_reason, || format!("not an answer to the request: {document}"))?;
    Ok((is_success, id))
}
