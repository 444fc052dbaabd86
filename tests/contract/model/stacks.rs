//! Stacks of several resources that compete for a few names, as CloudFormation operates them. An
//! operation creates and updates one resource after another and cleans up at the end. It is rolled
//! back when a request fails or is canceled. Each request may meet faults and be redelivered.

mod exchange;
mod request;
mod template;

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::Value;
use stand_ins::{Aws, REQUEST_TAG, iot::Action, stack::World};

use super::{Model, OnConflict, Tags, TestCaseResult, ensure, owner_of, with, with_owner};
use request::{Request, Response, SentRequest, Verb};
use template::{
    Change, Delivery, End, Key, Properties, Step, adopted_tag, owner_tag, updated_tags,
    without_owner,
};

/// A resource of a stack, and what its action must be.
#[derive(Clone, Debug)]
struct Resource {
    id: String,
    properties: Properties,
    action_id: String,
    /// All but the owner tag.
    tags: Tags,
    is_adopted: bool,
}

/// A Create or an Update that an operation has sent.
struct Declared<'c> {
    key: Key,
    change: &'c Change,
    desired: &'c Properties,
    old: Option<Resource>,
    /// The action that had the name before.
    found: Option<Action>,
    response: Response,
}

/// A resource, or the old one of a replacement, to be deleted at the end of an operation.
struct Removal<'c> {
    key: Key,
    change: &'c Change,
    id: String,
    properties: Properties,
}

pub(super) struct Stacks {
    world: World,
    resources: BTreeMap<Key, Resource>,
    /// The last request of each resource and its response, if it succeeded.
    last: BTreeMap<Key, (SentRequest, Value)>,
    requests: u64,
    transcript: Vec<String>,
}

impl Model for Stacks {
    type Step = Step;
    const NAME: &'static str = "stacks";
    const HISTORIES: u64 = 2000;
    const STEPS: usize = 6;
    const LANES: usize = 14;

    fn step() -> BoxedStrategy<Step> {
        Step::any()
    }

    async fn start() -> Self {
        Self {
            world: crate::world().await,
            resources: BTreeMap::new(),
            last: BTreeMap::new(),
            requests: 0,
            transcript: Vec::new(),
        }
    }

    async fn play(&mut self, history: &[Step]) -> TestCaseResult {
        self.world.aws.reset();
        self.resources.clear();
        self.last.clear();
        self.transcript.clear();
        for step in history {
            match step {
                Step::Appear(action) => {
                    self.transcript.push(format!("{action:?} appears"));
                    action.plant(&self.world.aws);
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
        ensure(stray.is_empty(), || format!("calls after the function returned: {stray:?}"))
    }

    fn transcript(&self) -> String {
        self.transcript.join("\n")
    }
}

impl Stacks {
    /// Creates and updates one resource after another, then cleans up or rolls back.
    async fn operate(&mut self, stack: u8, changes: &[Change], end: End) -> TestCaseResult {
        let mut declared: Vec<Declared> = Vec::new();
        let mut removed = Vec::new();
        let mut seen = BTreeSet::new();
        for change in changes.iter().filter(|change| seen.insert(&change.resource)) {
            let key = (stack, change.resource.clone());
            let old = self.resources.get(&key).cloned();
            match (&change.desired, old) {
                (None, None) => {}
                (None, Some(_)) => removed.push((key, change)),
                (Some(desired), old) => {
                    let found = self.world.aws.iot.action(&desired.action_name(&key));
                    let response = self.declare(&key, change, desired, old.as_ref()).await?;
                    let has_failed = !response.is_success;
                    declared.push(Declared { key, change, desired, old, found, response });
                    if has_failed {
                        return self.roll_back(declared, false).await;
                    }
                }
            }
        }
        match end {
            End::Stand => self.clean_up(declared, removed).await,
            End::RollBack => self.roll_back(declared, false).await,
            End::Cancel => self.roll_back(declared, true).await,
        }
    }

    async fn declare(
        &mut self,
        key: &Key,
        change: &Change,
        desired: &Properties,
        old: Option<&Resource>,
    ) -> Result<Response, TestCaseError> {
        let request = match old {
            None => Request { key, verb: Verb::Create, id: "", properties: desired, old: None },
            Some(old) => Request {
                key,
                verb: Verb::Update,
                id: &old.id,
                properties: desired,
                old: Some(&old.properties),
            },
        };
        self.send(&request, &change.delivery).await
    }

    /// Every request succeeded: deletes what was replaced or removed.
    async fn clean_up(
        &mut self,
        declared: Vec<Declared<'_>>,
        removed: Vec<(Key, &Change)>,
    ) -> TestCaseResult {
        let mut replaced = Vec::new();
        for declared in declared {
            let Declared { key, change, old, .. } = &declared;
            let resource = declared.resource()?;
            let old = old.clone().filter(|old| old.id != resource.id);
            replaced.extend(old.map(|old| (key.clone(), *change, old)));
            self.resources.insert(declared.key, resource);
        }
        for (key, change) in removed {
            replaced.extend(self.resources.remove(&key).map(|old| (key, change, old)));
        }
        for (key, change, Resource { id, properties, .. }) in replaced {
            self.delete(Removal { key, change, id, properties }).await?;
        }
        Ok(())
    }

    /// Rolls updates back, the last first, and then deletes what was created. CloudFormation knows
    /// no response of a canceled request: neither the id of a new resource nor that of a
    /// replacement.
    async fn roll_back(
        &mut self,
        declared: Vec<Declared<'_>>,
        is_canceled: bool,
    ) -> TestCaseResult {
        let mut created = Vec::new();
        for (index, declared) in declared.into_iter().rev().enumerate() {
            let is_known = index > 0 || !is_canceled;
            let Declared { key, change, desired, old, response, .. } = declared;
            let id = match &old {
                _ if is_known => response.id,
                Some(old) => old.id.clone(),
                None => format!("stack-{}-{}-1A2B3C4D5E6F", key.0, key.1),
            };
            let is_created = old.as_ref().is_none_or(|old| old.id != id);
            if let Some(old) = old {
                self.restore(&key, &id, change, desired, old).await?;
            }
            if is_created {
                created.push(Removal { key, change, id, properties: desired.clone() });
            }
        }
        for removal in created {
            self.delete(removal).await?;
        }
        Ok(())
    }

    /// Sends the reverse Update, a second time if the first fails.
    async fn restore(
        &mut self,
        key: &Key,
        id: &str,
        change: &Change,
        desired: &Properties,
        old: Resource,
    ) -> TestCaseResult {
        let reverse = Request {
            key,
            verb: Verb::Update,
            id,
            properties: &old.properties,
            old: Some(desired),
        };
        let mut response = self.send(&reverse, &change.follow_up).await?;
        if !response.is_success {
            response = self.send(&reverse, &Delivery::default()).await?;
        }
        ensure(response.is_success && response.id == old.id, || {
            format!("a rollback got {}", response.document)
        })?;
        let tags = if id == old.id {
            updated_tags(&old.tags, &desired.tags, &old.properties.tags)
        } else {
            old.tags
        };
        self.resources.insert(key.clone(), Resource { tags, ..old });
        Ok(())
    }

    /// Sends a Delete, a second time if the first fails.
    async fn delete(&mut self, removal: Removal<'_>) -> TestCaseResult {
        let Removal { key, change, id, properties } = &removal;
        let request = Request { key, verb: Verb::Delete, id, properties, old: None };
        if self.send(&request, &change.follow_up).await?.is_success {
            return Ok(());
        }
        let response = self.send(&request, &Delivery::default()).await?;
        ensure(response.is_success, || format!("a Delete got {}", response.document))
    }

    /// The account holds the actions of the stacks, and no other has an owner tag of a stack.
    fn check(&self) -> TestCaseResult {
        let actions = actions(&self.world.aws);
        for (key, resource) in &self.resources {
            let action = actions.get(&resource.id);
            ensure(action.is_some_and(|action| resource.matches(key, action)), || {
                format!("{key:?} is {resource:?}, but there is {action:?}")
            })?;
        }
        for (name, action) in &actions {
            let is_of_stack = owner_of(&action.tags).is_some_and(|tag| tag.contains("/stack-"));
            let is_of_resource = self.resources.values().any(|resource| resource.id == *name);
            ensure(is_of_stack == is_of_resource, || format!("{name} is an orphan: {action:?}"))?;
        }
        Ok(())
    }
}

impl Declared<'_> {
    /// The resource once its stack stands.
    fn resource(&self) -> Result<Resource, TestCaseError> {
        let Self { desired, old, found, response, .. } = self;
        let in_place = old.as_ref().filter(|old| old.id == response.id);
        let tags = match (in_place, found) {
            (Some(old), _) => updated_tags(&old.tags, &old.properties.tags, &desired.tags),
            (None, Some(found)) => with(&without_owner(&found.tags), &desired.tags),
            (None, None) => desired.tags.clone(),
        };
        let is_adopted = match in_place {
            Some(old) => old.is_adopted,
            None => found.is_some() && desired.on_conflict == OnConflict::Adopt,
        };
        let action_id = response.document["Data"]["ActionId"].as_str().unwrap_or_default();
        let is_same = found.as_ref().is_none_or(|found| found.id == action_id);
        ensure(is_same, || format!("{} is not the action that was there", response.id))?;
        Ok(Resource {
            id: response.id.clone(),
            properties: (*desired).clone(),
            action_id: action_id.to_owned(),
            tags,
            is_adopted,
        })
    }
}

impl Resource {
    fn matches(&self, key: &Key, action: &Action) -> bool {
        let owner = if self.is_adopted { adopted_tag(key) } else { owner_tag(key) };
        action.id == self.action_id
            && self.properties.definition.matches(action)
            && action.tags == with_owner(&self.tags, &owner)
    }
}

/// The actions of the account, without their request tags.
fn actions(aws: &Aws) -> BTreeMap<String, Action> {
    let mut actions = aws.iot.actions();
    for action in actions.values_mut() {
        action.tags.remove(REQUEST_TAG);
    }
    actions
}
