//! One request of a resource, and what it may change.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stand_ins::iot::Action;

use super::{
    super::{OnConflict, Tags, owner_of, with, with_owner},
    template::{Key, Properties, adopted_tag, owner_tag, stack_id, without_owner},
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verb {
    Create,
    Update,
    Delete,
}

/// A request: the properties are borrowed from the step that is being played.
pub(super) struct Request<'r> {
    pub key: &'r Key,
    pub verb: Verb,
    pub id: &'r str,
    pub properties: &'r Properties,
    pub old: Option<&'r Properties>,
}

/// A request that owns its data, for a redelivery in a later step.
#[derive(Clone)]
pub(super) struct SentRequest {
    pub event: Value,
    verb: Verb,
    id: String,
    properties: Properties,
    old: Option<Properties>,
}

/// The response to a request.
pub(super) struct Response {
    pub is_success: bool,
    pub id: String,
    pub document: Value,
    /// The operations that the request called.
    pub operations: Vec<&'static str>,
}

impl SentRequest {
    pub fn new(event: Value, request: &Request<'_>) -> Self {
        let Request { verb, id, properties, old, .. } = *request;
        let (properties, old) = (properties.clone(), old.cloned());
        Self { event, verb, id: id.to_owned(), properties, old }
    }

    pub fn request<'r>(&'r self, key: &'r Key) -> Request<'r> {
        let Self { verb, id, properties, old, .. } = self;
        Request { key, verb: *verb, id, properties, old: old.as_ref() }
    }
}

impl Request<'_> {
    pub fn event(&self, number: u64) -> Value {
        let mut event = json!({
            "RequestType": format!("{:?}", self.verb),
            "StackId": stack_id(self.key.0),
            "RequestId": number.to_string(),
            "LogicalResourceId": self.key.1,
            "ResourceType": "Custom::IoTMitigationAction",
            "ResourceProperties": self.properties.to_json(),
        });
        if self.verb != Verb::Create {
            event["PhysicalResourceId"] = json!(self.id);
        }
        if let Some(old) = self.old {
            event["OldResourceProperties"] = old.to_json();
        }
        event
    }

    pub fn action_name(&self) -> String {
        self.properties.action_name(self.key)
    }

    /// Whether the request creates an action: a Create, or an Update that replaces the resource.
    fn is_create(&self) -> bool {
        self.verb == Verb::Create || (self.verb == Verb::Update && self.action_name() != self.id)
    }

    /// Whether the resource made or adopted the action.
    pub fn owns(&self, action: &Action) -> bool {
        owner_of(&action.tags)
            .is_some_and(|tag| tag == owner_tag(self.key) || tag == adopted_tag(self.key))
    }

    /// Whether the request succeeds if no call fails.
    pub fn can_succeed(&self, before: &BTreeMap<String, Action>) -> bool {
        let conflict = before.get(&self.action_name());
        let Some(found) = conflict.filter(|found| self.is_create() && !self.owns(found)) else {
            return true;
        };
        is_takeable(found)
            && match self.properties.on_conflict {
                OnConflict::Fail => false,
                OnConflict::Adopt => self.properties.definition.matches(found),
                OnConflict::Overwrite => true,
            }
    }

    /// Whether the request may change the action of a name from `before` to `after`.
    pub fn may_change(&self, name: &str, before: Option<&Action>, after: Option<&Action>) -> bool {
        match (before, after) {
            (None, None) => true,
            (None, Some(created)) => self.may_create(name, created),
            (Some(old), None) => {
                owner_of(&old.tags) == Some(&owner_tag(self.key)) && self.may_release(name)
            }
            (Some(old), Some(new)) if old.id != new.id => false,
            (Some(old), Some(new)) if !self.owns(old) => self.may_take_over(name, old, new),
            (Some(old), Some(new)) if owner_of(&old.tags) == owner_of(&new.tags) => {
                self.may_update(name, old, new)
            }
            (Some(old), Some(new)) => self.may_disown(name, old, new),
        }
    }

    fn may_create(&self, name: &str, created: &Action) -> bool {
        let Properties { definition, tags, .. } = self.properties;
        self.is_create()
            && name == self.action_name()
            && definition.matches(created)
            && created.tags == with_owner(tags, &owner_tag(self.key))
    }

    fn may_update(&self, name: &str, old: &Action, new: &Action) -> bool {
        let Properties { definition, tags, .. } = self.properties;
        let is_old_or_desired = |key: &String| {
            let (old_value, new_value) = (old.tags.get(key), new.tags.get(key));
            let is_removed =
                self.old.is_some_and(|old| old.tags.contains_key(key)) && !tags.contains_key(key);
            new_value == old_value
                || (new_value.is_some() && new_value == tags.get(key))
                || (new_value.is_none() && is_removed)
        };
        self.verb != Verb::Delete
            && name == self.action_name()
            && (has_same_definition(old, new) || definition.matches(new))
            && old.tags.keys().chain(new.tags.keys()).all(is_old_or_desired)
    }

    /// An adopted action loses its owner tag, and nothing else.
    fn may_disown(&self, name: &str, old: &Action, new: &Action) -> bool {
        owner_of(&old.tags) == Some(&adopted_tag(self.key))
            && self.may_release(name)
            && has_same_definition(old, new)
            && new.tags == without_owner(&old.tags)
    }

    /// Adopts or overwrites an action that the resource does not own.
    fn may_take_over(&self, name: &str, old: &Action, new: &Action) -> bool {
        let Properties { definition, tags, on_conflict, .. } = self.properties;
        let owned = |owner: &str| -> Tags { with_owner(&with(&old.tags, tags), owner) };
        self.is_create()
            && name == self.action_name()
            && is_takeable(old)
            && definition.matches(new)
            && match on_conflict {
                OnConflict::Fail => false,
                OnConflict::Adopt => {
                    definition.matches(old) && new.tags == owned(&adopted_tag(self.key))
                }
                OnConflict::Overwrite => {
                    new.tags == old.tags || new.tags == owned(&owner_tag(self.key))
                }
            }
    }

    /// Whether the request may delete or disown the resource's action of a name.
    fn may_release(&self, name: &str) -> bool {
        match self.verb {
            Verb::Create => false,
            Verb::Update => {
                self.old.is_some_and(|old| name == old.action_name(self.key))
                    && name != self.id
                    && name != self.action_name()
            }
            Verb::Delete => name == self.id || name == self.action_name(),
        }
    }
}

/// Whether a stack may take the action over: nobody owns it, or an event created it.
fn is_takeable(action: &Action) -> bool {
    owner_of(&action.tags).is_none_or(|tag| tag.starts_with("event/"))
}

fn has_same_definition(old: &Action, new: &Action) -> bool {
    (&old.role_arn, &old.params) == (&new.role_arn, &new.params)
}
