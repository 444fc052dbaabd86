//! What the histories of all models are made of: definitions, tags, and actions of someone else.

use std::collections::BTreeMap;

use proptest::{collection::btree_map, prelude::*, sample::select};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stand_ins::{Aws, OWNER_TAG, iot::Action};

/// What an action does, in no trigger's format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Definition {
    pub role: String,
    pub params: Params,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Params {
    Device,
    Ca,
    Groups,
}

impl Params {
    /// As the API has them.
    pub fn to_api(self) -> Value {
        match self {
            Self::Device => json!({ "updateDeviceCertificateParams": { "action": "DEACTIVATE" } }),
            Self::Ca => json!({ "updateCACertificateParams": { "action": "DEACTIVATE" } }),
            Self::Groups => {
                let groups = json!({ "thingGroupNames": ["g"], "overrideDynamicGroups": true });
                json!({ "addThingsToThingGroupParams": groups })
            }
        }
    }

    /// As a template has them.
    pub fn to_template(self) -> Value {
        match self {
            Self::Device => json!({ "UpdateDeviceCertificateParams": { "Action": "DEACTIVATE" } }),
            Self::Ca => json!({ "UpdateCACertificateParams": { "Action": "DEACTIVATE" } }),
            Self::Groups => {
                let groups = json!({ "ThingGroupNames": ["g"], "OverrideDynamicGroups": "true" });
                json!({ "AddThingsToThingGroupParams": groups })
            }
        }
    }

    pub fn any() -> impl Strategy<Value = Self> {
        select(vec![Self::Device, Self::Ca, Self::Groups])
    }
}

impl Definition {
    pub fn matches(&self, action: &Action) -> bool {
        action.role_arn == role_arn(&self.role) && action.params == self.params.to_api()
    }

    pub fn any() -> impl Strategy<Value = Self> {
        (any_role(), Params::any()).prop_map(|(role, params)| Self { role, params })
    }
}

pub(super) fn any_role() -> impl Strategy<Value = String> {
    select(vec!["role-0".to_owned(), "role-1".to_owned()])
}

pub(super) fn role_arn(role: &str) -> String {
    format!("arn:aws:iam::123456789012:role/{role}")
}

pub(super) type Tags = BTreeMap<String, String>;

pub(super) fn any_tags() -> impl Strategy<Value = Tags> {
    btree_map(
        select(vec!["x", "y", "z"]).prop_map(str::to_owned),
        select(vec!["0", "1"]).prop_map(str::to_owned),
        0..3,
    )
}

/// The list of tags that the API and a template have.
pub(super) fn tag_list(tags: &Tags) -> Value {
    tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

/// `tags` and `more`. Where both have a key, the value is that of `more`.
pub(super) fn with(tags: &Tags, more: &Tags) -> Tags {
    tags.iter().chain(more).map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub(super) fn with_owner(tags: &Tags, owner: &str) -> Tags {
    with(tags, &Tags::from([(OWNER_TAG.to_owned(), owner.to_owned())]))
}

pub(super) fn owner_of(tags: &Tags) -> Option<&str> {
    tags.get(OWNER_TAG).map(String::as_str)
}

pub(super) fn has_same_definition(one: &Action, other: &Action) -> bool {
    (&one.role_arn, &one.params) == (&other.role_arn, &other.params)
}

/// Whether nothing but the dates differs.
pub(super) fn is_same(one: &Action, other: &Action) -> bool {
    (&one.id, &one.role_arn, &one.params, &one.tags)
        == (&other.id, &other.role_arn, &other.params, &other.tags)
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum OnConflict {
    Fail,
    Adopt,
    Overwrite,
}

impl OnConflict {
    pub fn any() -> impl Strategy<Value = Self> {
        select(vec![Self::Fail, Self::Adopt, Self::Overwrite])
    }
}

/// An action that no request of the history makes. It has no owner, or one elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ForeignAction {
    name: String,
    owner: Option<String>,
    definition: Definition,
    tags: Tags,
}

impl ForeignAction {
    /// Adds the action to the account if the name is free. Returns its id.
    pub fn plant(&self, aws: &Aws) -> Option<String> {
        if aws.iot.action(&self.name).is_some() {
            return None;
        }
        let mut tags = with(&self.tags, &Tags::from([("theirs".to_owned(), "stays".to_owned())]));
        tags.extend(self.owner.clone().map(|owner| (OWNER_TAG.to_owned(), owner)));
        let tags: Vec<(&str, &str)> =
            tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let Definition { role, params } = &self.definition;
        aws.iot.plant(&self.name, &role_arn(role), params.to_api(), &tags);
        aws.iot.action(&self.name).map(|action| action.id)
    }

    pub fn any(names: Vec<&'static str>) -> impl Strategy<Value = Self> {
        let owners = vec![
            None,
            None,
            Some("event/elsewhere/1"),
            Some("stack/elsewhere/0/X"),
            Some("adopted/elsewhere/0/X"),
            Some("stack/stack/00000000-0000-4000-8000-0000000000aa/Two"),
        ];
        (select(names), select(owners), Definition::any(), any_tags()).prop_map(
            |(name, owner, definition, tags)| Self {
                name: name.to_owned(),
                owner: owner.map(str::to_owned),
                definition,
                tags,
            },
        )
    }
}
