//! One request of the resource, and what each of its calls may change.

use serde_json::{Value, json};
use stand_ins::{CLAIMED_TAG, CREATED_TAG, OWNER_TAG, iot::Action};

use super::{
    super::{OnConflict, Tags, has_same_definition, owner_of, with_owner},
    step::{LOGICAL_ID, Properties, STACK},
};

/// The owner tags of what the resource made, and of what it adopted.
pub(super) const OWN: &str = "stack/stack/00000000-0000-4000-8000-0000000000aa/One";
pub(super) const ADOPTED: &str = "adopted/stack/00000000-0000-4000-8000-0000000000aa/One";
const DAY: u64 = 24 * 60 * 60;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Create,
    Update,
    Delete,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub kind: Kind,
    /// The physical id. Empty for a Create.
    pub id: String,
    pub properties: Properties,
    pub old: Option<Properties>,
    /// In seconds since 1970. No other request of the history has it.
    pub sent: u64,
}

/// The value of a record: which request created an action, or claimed it.
#[derive(Clone, Debug, PartialEq)]
struct Record {
    sent: u64,
    digest: String,
    kind: String,
}

impl Record {
    fn of(tags: &Tags, key: &str) -> Option<Self> {
        let mut parts = tags.get(key)?.splitn(3, '/');
        let [sent, digest, kind] = [parts.next()?, parts.next()?, parts.next()?];
        Some(Self { sent: sent.parse().ok()?, digest: digest.to_owned(), kind: kind.to_owned() })
    }

    fn last(tags: &Tags) -> Option<Self> {
        Self::of(tags, CLAIMED_TAG).or_else(|| Self::of(tags, CREATED_TAG))
    }
}

impl Request {
    pub fn event(&self, number: usize, url: &str) -> Value {
        let mut event = json!({
            "RequestType": format!("{:?}", self.kind),
            "ResponseURL": url,
            "StackId": STACK,
            "RequestId": format!("request-{number}"),
            "LogicalResourceId": LOGICAL_ID,
            "ResourceType": "Custom::IoTMitigationAction",
            "ResourceProperties": self.properties.to_json(),
        });
        if self.kind != Kind::Create {
            event["PhysicalResourceId"] = json!(self.id);
        }
        if let Some(old) = &self.old {
            event["OldResourceProperties"] = old.to_json();
        }
        event
    }

    pub fn action_name(&self) -> String {
        self.properties.action_name()
    }

    /// Whether the request makes an action under another name than that of the physical id.
    pub fn is_create(&self) -> bool {
        self.kind != Kind::Delete && self.action_name() != self.id
    }

    /// Whether an undisturbed request succeeds, given the action of its name.
    pub fn can_succeed(&self, found: Option<&Action>) -> bool {
        let Some(found) = found.filter(|found| self.is_create() && !is_owned(found)) else {
            return true;
        };
        is_takeable(found)
            && match self.properties.on_conflict {
                OnConflict::Fail => false,
                OnConflict::Adopt => self.properties.definition.matches(found),
                OnConflict::Overwrite => true,
            }
    }

    /// Whether the action is as a successful request leaves it.
    pub fn is_fulfilled_by(&self, action: &Action) -> bool {
        let Properties { definition, tags, .. } = &self.properties;
        let is_set = |key: &String| action.tags.get(key) == tags.get(key);
        let is_update = self.kind == Kind::Update && !self.is_create();
        let old = self.old.iter().filter(|_| is_update).flat_map(|old| old.tags.keys());
        is_owned(action) && definition.matches(action) && tags.keys().chain(old).all(is_set)
    }

    /// Whether the request deletes, or releases, an action of the name if it finds one of its own.
    pub fn may_remove(&self, name: &str) -> bool {
        match self.kind {
            Kind::Create => false,
            Kind::Delete => name == self.id || name == self.named_id(),
            Kind::Update => {
                name != self.id
                    && name != self.action_name()
                    && self.old.as_ref().is_some_and(|old| name == old.action_name())
            }
        }
    }

    /// The name at which a Delete cleans up: that of the failed Create, or that of a canceled one.
    fn named_id(&self) -> String {
        name_of_failed(&self.id).map_or_else(|| self.action_name(), str::to_owned)
    }

    /// Whether one call of the request may turn `before` into `after`.
    pub fn may_change(&self, name: &str, before: Option<&Action>, after: Option<&Action>) -> bool {
        let last = before.and_then(|old| Record::last(&old.tags));
        if last.is_some_and(|last| last.sent > self.sent) {
            return false;
        }
        match (before, after) {
            (None, None) => true,
            (None, Some(created)) => self.may_create(name, created),
            (Some(old), None) => self.may_delete(name, old),
            (Some(old), Some(new)) if old.id != new.id => false,
            (Some(old), Some(new)) if is_owned(old) && owner_of(&new.tags).is_none() => {
                has_same_definition(old, new)
                    && new.tags == released(&old.tags)
                    && self.may_release(name, old)
            }
            (Some(old), Some(new)) if name == self.action_name() => self.may_update(old, new),
            // The claim of a replacement.
            (Some(old), Some(new)) => {
                name == self.id
                    && self.is_create()
                    && is_owned(old)
                    && has_same_definition(old, new)
                    && changed_keys(old, new).eq([CLAIMED_TAG])
                    && self.is_last(new)
            }
        }
    }

    fn may_create(&self, name: &str, created: &Action) -> bool {
        let Properties { definition, tags, .. } = &self.properties;
        let mut own = with_owner(tags, OWN);
        own.extend(created.tags.get(CREATED_TAG).map(|tag| (CREATED_TAG.to_owned(), tag.clone())));
        self.kind != Kind::Delete
            && name == self.action_name()
            && definition.matches(created)
            && created.tags == own
            && self.is_last(created)
    }

    /// Whether the last record of the action is of this request.
    fn is_last(&self, action: &Action) -> bool {
        Record::last(&action.tags).is_some_and(|record| {
            record.sent == self.sent && record.kind == format!("{:?}", self.kind)
        })
    }

    fn may_delete(&self, name: &str, old: &Action) -> bool {
        let is_known = self.kind == Kind::Delete && name == self.id;
        let is_of_last = Record::of(&old.tags, CREATED_TAG) == Record::last(&old.tags);
        owner_of(&old.tags) == Some(OWN)
            && (is_known || (self.may_clean_up(name, old) && is_of_last))
    }

    fn may_release(&self, name: &str, old: &Action) -> bool {
        let is_adopted = owner_of(&old.tags) == Some(ADOPTED);
        let is_known = self.kind == Kind::Delete && name == self.id && is_adopted;
        let is_of_nobody = is_adopted || !old.tags.contains_key(CREATED_TAG);
        is_known || (self.may_clean_up(name, old) && is_of_nobody)
    }

    /// Whether the last request that had the action is the one that this request cleans up after.
    fn may_clean_up(&self, name: &str, old: &Action) -> bool {
        let Some(last) = Record::last(&old.tags) else { return false };
        self.may_remove(name)
            && match self.kind {
                Kind::Delete if name_of_failed(&self.id).is_some() => {
                    is_of_failed(&self.id, name, old)
                }
                Kind::Delete => last.kind == "Create" && last.sent + DAY >= self.sent,
                Kind::Create | Kind::Update => last.kind == "Update",
            }
    }

    /// Whether the request may change the definition or the tags of the action of its name.
    fn may_update(&self, old: &Action, new: &Action) -> bool {
        let Properties { definition, on_conflict, .. } = &self.properties;
        let may_take_over = is_takeable(old)
            && match on_conflict {
                _ if !self.is_create() => owner_of(&old.tags).is_none(),
                OnConflict::Fail => false,
                OnConflict::Adopt => definition.matches(old),
                OnConflict::Overwrite => true,
            };
        let may_redefine = definition.matches(new)
            && if is_owned(old) {
                self.is_last(old)
            } else {
                self.is_create() && may_take_over && *on_conflict == OnConflict::Overwrite
            };
        self.kind != Kind::Delete
            && (is_owned(old) || may_take_over)
            && (has_same_definition(old, new) || may_redefine)
            && changed_keys(old, new).all(|key| self.may_tag(key, old, new))
    }

    fn may_tag(&self, key: &str, old: &Action, new: &Action) -> bool {
        let Properties { definition, tags, on_conflict, .. } = &self.properties;
        let value = new.tags.get(key).map(String::as_str);
        let is_removed = || self.old.as_ref().is_some_and(|old| old.tags.contains_key(key));
        match key {
            OWNER_TAG => {
                let is_own = if self.is_create() {
                    *on_conflict == OnConflict::Overwrite
                } else {
                    old.tags.contains_key(CREATED_TAG)
                };
                !is_owned(old)
                    && value == Some(if is_own { OWN } else { ADOPTED })
                    && self.is_last(new)
                    && (!self.is_create() || definition.matches(old))
            }
            CLAIMED_TAG => self.is_last(new),
            // It is taken off, or unreadable until it is.
            CREATED_TAG => {
                Record::of(&new.tags, CREATED_TAG).is_none()
                    && self.is_create()
                    && *on_conflict != OnConflict::Fail
            }
            _ => {
                self.is_last(new)
                    && match value {
                        Some(value) => tags.get(key).is_some_and(|desired| desired == value),
                        None => is_removed() && !tags.contains_key(key),
                    }
            }
        }
    }
}

/// The name in the physical id of a failed Create.
pub(super) fn name_of_failed(id: &str) -> Option<&str> {
    let (name, _digest) = id.strip_prefix("not-created:")?.rsplit_once(':')?;
    Some(name)
}

/// Whether the action is what the failed Create with this physical id made, or took over last.
pub(super) fn is_of_failed(id: &str, name: &str, action: &Action) -> bool {
    let last = Record::last(&action.tags);
    last.is_some_and(|last| id == format!("not-created:{name}:{}", last.digest))
}

/// Whether the resource made or adopted the action.
pub(super) fn is_owned(action: &Action) -> bool {
    owner_of(&action.tags).is_some_and(|tag| tag == OWN || tag == ADOPTED)
}

/// Whether a stack may take the action over: nobody owns it, or an event created it.
fn is_takeable(action: &Action) -> bool {
    owner_of(&action.tags).is_none_or(|tag| tag.starts_with("event/"))
}

/// The tags without those of the provider.
fn released(tags: &Tags) -> Tags {
    let mut tags = tags.clone();
    tags.retain(|key, _| ![OWNER_TAG, CREATED_TAG, CLAIMED_TAG].contains(&key.as_str()));
    tags
}

/// Sets the records of an action back by two days.
pub(super) fn age(action: &mut Action) {
    for key in [CREATED_TAG, CLAIMED_TAG] {
        if let Some(Record { sent, digest, kind }) = Record::of(&action.tags, key) {
            let value = format!("{}/{digest}/{kind}", sent - 2 * DAY);
            action.tags.insert(key.to_owned(), value);
        }
    }
}

/// The keys of the tags that differ.
fn changed_keys<'a>(old: &'a Action, new: &'a Action) -> impl Iterator<Item = &'a str> {
    let keys = old.tags.keys().chain(new.tags.keys().filter(|key| !old.tags.contains_key(*key)));
    keys.map(String::as_str).filter(|key| old.tags.get(*key) != new.tags.get(*key))
}
