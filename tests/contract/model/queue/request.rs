//! A request in a message: its expected outcome, and what it may change.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stand_ins::{OWNER_TAG, iot::Action};

use super::super::{
    Definition, OnConflict, Params, Tags, has_same_definition, owner_of, role_arn, tag_list, with,
    with_owner,
};

const CONFLICT: &str = "ResourceAlreadyExistsException";
const INVALID: &str = "InvalidRequestException";
const NOT_FOUND: &str = "ResourceNotFoundException";

/// What a result says: the outcome, or the error code.
pub(super) type Outcome = String;

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

/// A request in the queue.
#[derive(Clone, Debug)]
pub(super) struct Posted {
    /// The request id of its results.
    pub id: String,
    /// The source of its results.
    pub source: &'static str,
    pub request: Request,
    pub body: Value,
    /// Whether it has an id of its own, by which it is known in another message.
    pub is_known: bool,
    pub owner: String,
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
    pub fn message_id(number: usize) -> String {
        format!("message-{number:02}")
    }

    pub fn event(number: usize, request: &Request) -> Self {
        let id = format!("event-{number:02}");
        let body = json!({
            "id": id,
            "source": "com.example",
            "detail-type": "Mitigation Action Requested",
            "detail": request.to_json(),
        });
        let owner = format!("event/com.example/{id}");
        let request = request.clone();
        Self { id, source: "com.example", request, body, is_known: true, owner }
    }

    pub fn message(number: usize, request: &Request) -> Self {
        let id = Self::message_id(number);
        let (owner, body) = (format!("message/{id}"), request.to_json());
        Self { id, source: "aws:sqs", request: request.clone(), body, is_known: false, owner }
    }

    pub fn with_id(number: usize, request: &Request) -> Self {
        let id = format!("request-{number:02}");
        let mut body = request.to_json();
        body["requestId"] = json!(id);
        let owner = format!("request/{id}");
        Self { id, source: "aws:sqs", request: request.clone(), body, is_known: true, owner }
    }

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

    /// Whether one of the request's calls may turn `before` into `after`. Another request may run
    /// at the same time, so the action may differ from the one that the request has seen.
    pub fn may_change(&self, before: Option<&Action>, after: Option<&Action>) -> bool {
        let Request { operation, tags, .. } = &self.request;
        match (operation, before, after) {
            (Operation::Create(definition, _), None, Some(created)) => {
                definition.matches(created) && created.tags == with_owner(tags, &self.owner)
            }
            (Operation::Delete, Some(old), None) => is_shared(old),
            (Operation::Create(_, OnConflict::Adopt), Some(old), Some(new)) => {
                (is_shared(old) || is_unowned(old)) && self.only_tags(old, new)
            }
            (Operation::Create(definition, OnConflict::Overwrite), Some(old), Some(new)) => {
                let is_redefined = new.tags == old.tags && definition.matches(new);
                let is_taken_over = is_unowned(old) && owner_of(&new.tags) == Some(&self.owner);
                is_shared(old) && (is_redefined || self.only_tags(old, new))
                    || is_unowned(old) && is_redefined
                    || is_taken_over && self.only_tags(old, &without_owner(new))
            }
            (Operation::Update(role, params), Some(old), Some(new)) => {
                let role_arn =
                    role.as_ref().map_or_else(|| old.role_arn.clone(), |role| role_arn(role));
                let params = params.map_or_else(|| old.params.clone(), Params::to_api);
                let is_redefined =
                    new.tags == old.tags && new.role_arn == role_arn && new.params == params;
                is_shared(old) && (is_redefined || self.only_tags(old, new))
            }
            _ => false,
        }
    }

    /// Whether the request's tags are all that changed: those that differed when it read them.
    fn only_tags(&self, old: &Action, new: &Action) -> bool {
        let mut set = self.request.tags.clone();
        set.retain(|key, value| new.tags.get(key) == Some(value));
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

pub(super) fn without_owner(action: &Action) -> Action {
    let mut action = action.clone();
    action.tags.remove(OWNER_TAG);
    action
}

/// The action, without the digest in the owner tag of a request with an id of its own.
pub(super) fn without_digest(mut action: Action) -> Action {
    if let Some(owner) = action.tags.get_mut(OWNER_TAG).filter(|tag| tag.starts_with("request/")) {
        owner.truncate("request/request-00".len());
    }
    action
}
