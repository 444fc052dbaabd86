//! A request in a message: its expected outcome, and what it may change.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stand_ins::iot::Action;

use super::super::{
    Definition, OnConflict, Params, Tags, owner_of, role_arn, tag_list, with, with_owner,
};

const CONFLICT: &str = "ResourceAlreadyExistsException";
const INVALID: &str = "InvalidRequestException";
const NOT_FOUND: &str = "ResourceNotFoundException";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct Request {
    pub operation: Operation,
    pub name: String,
    pub tags: Tags,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) enum Operation {
    Create(Definition, OnConflict),
    Update(Option<String>, Option<Params>),
    Delete,
    Describe,
}

/// Whether other requests run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isolation {
    Alone,
    Concurrent,
}

/// A request in the queue.
#[derive(Clone, Debug)]
pub(super) struct Posted {
    /// The request id of its results.
    pub id: String,
    pub owner: String,
    pub request: Request,
    pub body: Value,
}

impl Request {
    pub fn to_json(&self) -> Value {
        let Self { operation, name, tags } = self;
        let mut request = json!({ "actionName": name });
        let operation = match operation {
            Operation::Create(Definition { role, params }, on_conflict) => {
                request["roleArn"] = json!(role_arn(role));
                request["actionParams"] = params.to_api();
                request["onConflict"] = json!(format!("{on_conflict:?}").to_lowercase());
                "CreateMitigationAction"
            }
            Operation::Update(role, params) => {
                if let Some(role) = role {
                    request["roleArn"] = json!(role_arn(role));
                }
                if let Some(params) = params {
                    request["actionParams"] = params.to_api();
                }
                "UpdateMitigationAction"
            }
            Operation::Delete => "DeleteMitigationAction",
            Operation::Describe => "DescribeMitigationAction",
        };
        request["operation"] = json!(operation);
        if !tags.is_empty() {
            request["tags"] = tag_list(tags);
        }
        request
    }
}

impl Posted {
    /// Predicts the outcome or the error code if no call fails, and changes the action accordingly.
    pub fn execute(&self, action: &mut Option<Action>) -> &'static str {
        match (&self.request.operation, action.as_mut()) {
            (Operation::Create(definition, _), None) => {
                *action = Some(self.created(definition));
                "CREATED"
            }
            (Operation::Create(definition, on_conflict), Some(found)) => {
                self.resolve_conflict(definition, *on_conflict, found)
            }
            (Operation::Update(None, None), _) if self.request.tags.is_empty() => INVALID,
            (Operation::Update(..) | Operation::Describe, None) => NOT_FOUND,
            (Operation::Update(role, params), Some(found)) => {
                self.update(role.as_deref(), *params, found)
            }
            (Operation::Delete, None) => "ABSENT",
            (Operation::Delete, Some(found)) if !is_shared(found) => INVALID,
            (Operation::Delete, Some(_)) => {
                *action = None;
                "DELETED"
            }
            (Operation::Describe, Some(_)) => "DESCRIBED",
        }
    }

    fn created(&self, definition: &Definition) -> Action {
        Action {
            id: String::new(),
            role_arn: role_arn(&definition.role),
            params: definition.params.to_api(),
            tags: with_owner(&self.request.tags, &self.owner),
            created: 0.0,
            modified: 0.0,
        }
    }

    fn resolve_conflict(
        &self,
        definition: &Definition,
        on_conflict: OnConflict,
        found: &mut Action,
    ) -> &'static str {
        if owner_of(&found.tags) == Some(&self.owner) {
            return "CREATED";
        }
        let is_unowned = is_unowned(found);
        if !is_shared(found) && !is_unowned {
            return CONFLICT;
        }
        match on_conflict {
            OnConflict::Fail => CONFLICT,
            OnConflict::Adopt if !definition.matches(found) => CONFLICT,
            OnConflict::Adopt => {
                found.tags = with(&found.tags, &self.request.tags);
                "ADOPTED"
            }
            OnConflict::Overwrite => {
                found.role_arn = role_arn(&definition.role);
                found.params = definition.params.to_api();
                found.tags = with(&found.tags, &self.request.tags);
                if is_unowned {
                    found.tags = with_owner(&found.tags, &self.owner);
                }
                "UPDATED"
            }
        }
    }

    fn update(
        &self,
        role: Option<&str>,
        params: Option<Params>,
        found: &mut Action,
    ) -> &'static str {
        if !is_shared(found) {
            return INVALID;
        }
        if let Some(role) = role {
            found.role_arn = role_arn(role);
        }
        if let Some(params) = params {
            found.params = params.to_api();
        }
        found.tags = with(&found.tags, &self.request.tags);
        "UPDATED"
    }

    /// Whether one of the request's calls may change the action from `before` to `after`. If other
    /// requests run concurrently, the action may differ from the one that the request has seen.
    pub fn may_change(
        &self,
        before: Option<&Action>,
        after: Option<&Action>,
        isolation: Isolation,
    ) -> bool {
        let Request { operation, tags, .. } = &self.request;
        match (operation, before, after) {
            (Operation::Create(definition, on_conflict), Some(old), Some(new))
                if old.id == new.id =>
            {
                match on_conflict {
                    OnConflict::Fail => false,
                    OnConflict::Adopt => self.may_adopt(definition, old, new, isolation),
                    OnConflict::Overwrite => self.may_overwrite(definition, old, new, isolation),
                }
            }
            (Operation::Update(role, params), Some(old), Some(new)) if old.id == new.id => {
                self.may_update(role.as_deref(), *params, old, new, isolation)
            }
            (Operation::Create(definition, _), None, Some(created)) => {
                definition.matches(created) && created.tags == with_owner(tags, &self.owner)
            }
            (Operation::Delete, Some(old), None) => is_shared(old),
            _ => false,
        }
    }

    fn may_adopt(
        &self,
        definition: &Definition,
        old: &Action,
        new: &Action,
        isolation: Isolation,
    ) -> bool {
        (is_shared(old) || is_unowned(old))
            && self.only_tags(old, new, isolation)
            && (definition.matches(old) || isolation == Isolation::Concurrent)
    }

    fn may_overwrite(
        &self,
        definition: &Definition,
        old: &Action,
        new: &Action,
        isolation: Isolation,
    ) -> bool {
        let owned = with_owner(&with(&old.tags, &self.request.tags), &self.owner);
        let takes_over = has_same_definition(old, new) && new.tags == owned;
        let overwrites = new.tags == old.tags && definition.matches(new);
        if is_unowned(old) {
            return overwrites || takes_over;
        }
        let tags = self.only_tags(old, new, isolation);
        is_shared(old) && (overwrites || tags || (takes_over && isolation == Isolation::Concurrent))
    }

    fn may_update(
        &self,
        role: Option<&str>,
        params: Option<Params>,
        old: &Action,
        new: &Action,
        isolation: Isolation,
    ) -> bool {
        let role_arn = role.map_or_else(|| old.role_arn.clone(), role_arn);
        let params = params.map_or_else(|| old.params.clone(), Params::to_api);
        let updates = new.tags == old.tags && new.role_arn == role_arn && new.params == params;
        is_shared(old) && (updates || self.only_tags(old, new, isolation))
    }

    /// Whether the request's tags are all that changed. A request sets the tags that differed when
    /// it read them: beside another request, these may be fewer than differ when it sets them.
    fn only_tags(&self, old: &Action, new: &Action, isolation: Isolation) -> bool {
        let mut set = self.request.tags.clone();
        set.retain(|key, value| isolation == Isolation::Alone || new.tags.get(key) == Some(value));
        has_same_definition(old, new) && new.tags == with(&old.tags, &set)
    }
}

/// Whether events, messages and direct invocations share the action.
fn is_shared(action: &Action) -> bool {
    owner_of(&action.tags).is_some_and(|tag| {
        ["event/", "message/", "request/"].iter().any(|kind| tag.starts_with(kind))
    })
}

fn is_unowned(action: &Action) -> bool {
    owner_of(&action.tags).is_none()
}

fn has_same_definition(old: &Action, new: &Action) -> bool {
    (&old.role_arn, &old.params) == (&new.role_arn, &new.params)
}
