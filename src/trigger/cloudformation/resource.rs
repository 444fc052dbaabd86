//! `Custom::IoTMitigationAction`: maps properties to a request, and an outcome to attributes.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    physical_id::PhysicalId,
    request::{CustomResourceRequest, RequestType, property},
    response::{self, Resource},
    response_url::ResponseUrl,
};
use crate::{
    mitigation::{
        Action, ActionName, Change, Create, Delete, DeleteTarget, Failure, Lookup, OnConflict,
        OnForeign, Owner, Parse, Problem, Problems, RecordType, Replay, Request, RequestDigest,
        StackId, StackRequest, Success, Tags, Task, UnknownPhysicalId, Update,
    },
    trigger::{
        FunctionLocation, Plan, Step,
        json::{self, Fields},
        reader::{Casing, Node, Reader},
    },
};

const CASING: Casing = Casing::CloudFormation;

/// The properties, in the API's casing.
const PROPERTIES: [&str; 8] = [
    "actionName",
    "roleArn",
    "actionParams",
    "tags",
    "onConflict",
    "checkNames",
    "serviceToken",
    "serviceTimeout",
];

/// The attributes for `!GetAtt`, with the API's names and those of the native resource.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes<'a> {
    action_arn: &'a str,
    action_id: &'a str,
    mitigation_action_arn: &'a str,
    mitigation_action_id: &'a str,
    action_name: &'a str,
    action_type: &'a str,
}

/// Plans a request that was `received` then and whose response goes to `url`, for a function at
/// `location`.
#[must_use]
pub fn plan(
    request: &CustomResourceRequest,
    url: &ResponseUrl,
    received: SystemTime,
    location: &FunctionLocation,
) -> Plan {
    let mut warnings = Vec::new();
    let order = Order { sent: url.sent_at().unwrap_or(received), digest: request.digest(url) };
    let step = next_step(request, &order, location, &mut warnings);
    let action_name = match &step {
        Step::Execute(planned) => planned.task.action_name().map(|name| name.as_str().to_owned()),
        Step::Respond(_) => name_of_create(request),
    };
    Plan { step, action_name, warnings }
}

/// The place of a request among those of its resource.
struct Order {
    sent: SystemTime,
    digest: RequestDigest,
}

fn next_step(
    request: &CustomResourceRequest,
    order: &Order,
    location: &FunctionLocation,
    warnings: &mut Vec<String>,
) -> Step {
    let planned = match (request.request_type(), request.stack(location)) {
        (Ok(RequestType::Delete), Ok(stack)) => Ok(plan_delete(request, order, &stack)),
        (Ok(RequestType::Delete), Err(problems)) => {
            let notice = format!("this resource cannot own an action: {problems}");
            return Step::Respond(Ok(Success::absent(notice)));
        }
        (Ok(RequestType::Create), Ok(stack)) => plan_create(request, order, &stack, warnings),
        (Ok(RequestType::Update), Ok(stack)) => plan_update(request, order, &stack, warnings),
        // The properties are parsed although they are not used, to report all problems at once.
        (Ok(RequestType::Create | RequestType::Update), Err(mut problems)) => {
            let create = read_properties(request, None, warnings);
            problems.extend(create.err().unwrap_or_default());
            Err(problems)
        }
        (Err(problem), stack) => {
            let mut problems = Problems::from(problem);
            let stack = stack.map_err(|more| problems.extend(more)).ok();
            let create = read_properties(request, stack.as_ref(), warnings);
            problems.extend(create.err().unwrap_or_default());
            Err(problems)
        }
    };
    match planned {
        Ok(planned) => Step::Execute(Box::new(planned)),
        Err(problems) => Step::Respond(Err(Failure::invalid(problems))),
    }
}

/// The response to a request, as JSON.
#[must_use]
pub fn respond(
    request: &CustomResourceRequest,
    url: &ResponseUrl,
    result: &Result<Success, Failure>,
) -> String {
    let result = result.as_ref().map(|success| success.action.as_ref().map(Resource::from));
    response::respond(request, url, result, name_of_create)
}

/// The name that a Create with these properties uses; `None` if its stack is unknown.
#[must_use]
pub fn name_of_create(request: &CustomResourceRequest) -> Option<String> {
    let stack = StackId::parse(&request.stack_id)?;
    let declared = name_of(request.properties.as_deref(), &stack, &request.logical_id);
    let name = declared.unwrap_or_else(|| ActionName::generated(&stack, &request.logical_id));
    Some(name.as_str().to_owned())
}

fn plan_create(
    request: &CustomResourceRequest,
    order: &Order,
    stack: &StackId,
    warnings: &mut Vec<String>,
) -> Result<Request, Problems> {
    let create = read_properties(request, Some(stack), warnings)?;
    let stack_request = order.of(Some(RecordType::Create));
    Ok(new_request(request, stack, Task::Create(create), stack_request))
}

/// An Update in place, or a replacement if the name is new, which is planned like a Create.
fn plan_update(
    request: &CustomResourceRequest,
    order: &Order,
    stack: &StackId,
    warnings: &mut Vec<String>,
) -> Result<Request, Problems> {
    let properties = read_properties(request, Some(stack), warnings);
    if request.physical_id.is_empty() {
        let expected = "the id from an earlier response";
        let mut problems = Problems::from(Problem::missing("PhysicalResourceId", expected));
        problems.extend(properties.err().unwrap_or_default());
        return Err(problems);
    }
    let create = properties?;
    let physical_name = ActionName::parse(&request.physical_id);
    let old = request.old_properties.as_deref().filter(|old| old.get().starts_with('{'));
    let previous_name = old
        .and_then(|old| name_of(Some(old), stack, &request.logical_id))
        .filter(|previous| *previous != create.name && Some(previous) != physical_name.as_ref());
    let task = if physical_name.as_ref() == Some(&create.name) {
        let Create { name, definition, tags, on_conflict: _, replay: _ } = create;
        let previous_keys = old.map(tag_keys).unwrap_or_default();
        Task::Update(Update { name, change: Change::Whole(definition), tags, previous_keys })
    } else {
        Task::Create(create)
    };
    let stack_request = order.of(Some(RecordType::Update));
    let stack_request = StackRequest { physical_name, previous_name, ..stack_request };
    Ok(new_request(request, stack, task, stack_request))
}

/// A Delete needs no valid properties: it deletes the action that the physical id names, or else
/// the one with the name that a Create would use.
fn plan_delete(request: &CustomResourceRequest, order: &Order, stack: &StackId) -> Request {
    let properties = request.properties.as_deref();
    let on_conflict = on_conflict_of(properties);
    let declared = name_of(properties, stack, &request.logical_id);
    let generated = ActionName::generated(stack, &request.logical_id);
    let target = match PhysicalId::parse(&request.physical_id) {
        PhysicalId::Missing => declared.map_or(DeleteTarget::Nothing, DeleteTarget::Named),
        PhysicalId::Placeholder(failed) => failed
            .and_then(|(name, digest)| {
                Some(DeleteTarget::FailedCreate(ActionName::parse(name)?, digest))
            })
            .unwrap_or(DeleteTarget::Nothing),
        PhysicalId::Resource(id) => match ActionName::parse(id) {
            Some(id) if Some(&id) == declared.as_ref() || id == generated => {
                DeleteTarget::Named(id)
            }
            id => DeleteTarget::UnknownPhysicalId(UnknownPhysicalId {
                id,
                name: declared,
                on_conflict,
            }),
        },
    };
    let delete = Delete { target, on_foreign: OnForeign::Skip(on_conflict), lookup: Lookup::Tags };
    new_request(request, stack, Task::Delete(delete), order.of(None))
}

fn new_request(
    request: &CustomResourceRequest,
    stack: &StackId,
    task: Task,
    stack_request: StackRequest,
) -> Request {
    Request {
        task,
        owner: Owner::stack(stack, &request.logical_id),
        location: Some(stack.location.clone()),
        stack: Some(stack_request),
    }
}

impl Order {
    /// The request at this place, which leaves records of that type.
    fn of(&self, record_type: Option<RecordType>) -> StackRequest {
        let since = self.sent.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        StackRequest {
            sent: since.as_secs(),
            digest: self.digest.clone(),
            record_type,
            physical_name: None,
            previous_name: None,
        }
    }
}

/// Parses the properties; reports all of their problems.
fn read_properties(
    request: &CustomResourceRequest,
    stack: Option<&StackId>,
    warnings: &mut Vec<String>,
) -> Result<Create, Problems> {
    const PATH: &str = "ResourceProperties";

    let Some(properties) = request.properties.as_deref() else {
        let expected = "an object with RoleArn and ActionParams";
        return Err(Problem::missing(PATH, expected).into());
    };
    if !properties.get().starts_with('{') {
        return Err(Problem::invalid(PATH, properties.get(), "an object").into());
    }
    let mut reader = Reader::new(CASING);
    let members = reader.object(&Node::new("", properties), &PROPERTIES);
    let create = members.and_then(|members| {
        let name = reader.member(&members, "actionName");
        let name = match name.value().filter(|value| value.get() != "\"\"") {
            None => stack.map(|stack| ActionName::generated(stack, &request.logical_id)),
            Some(_) => reader.optional_text(&name),
        };
        reader.create(&members, name, Replay::Converge)
    });
    let (create, found) = reader.finish(create);
    warnings.extend(found);
    create
}

/// The name in the properties, or the generated one if they have none; `None` if it is invalid.
fn name_of(properties: Option<&RawValue>, stack: &StackId, logical_id: &str) -> Option<ActionName> {
    match property(properties, "ActionName").filter(|given| given.get() != "\"\"") {
        None => Some(ActionName::generated(stack, logical_id)),
        Some(given) => ActionName::parse(&CASING.text(given)?),
    }
}

/// The policy for conflicts in the properties, or the default.
fn on_conflict_of(properties: Option<&RawValue>) -> OnConflict {
    let word = property(properties, "OnConflict").and_then(json::string);
    word.and_then(|word| CASING.on_conflict(&word)).unwrap_or_default()
}

/// The keys of the tags in old properties that the provider can have set. Other properties may be
/// invalid.
fn tag_keys(properties: &RawValue) -> Vec<String> {
    let mut keys = Vec::new();
    let Some(tags) = property(Some(properties), "Tags") else { return keys };
    json::each_item(tags.get(), &mut |tag| {
        let tag = Fields::read(tag.get(), &["Key"]).unwrap_or_default();
        let key = tag.get("Key").and_then(|key| CASING.text(key));
        let key = key.filter(|key| Tags::check_key(key).is_ok());
        keys.extend(key.filter(|_| keys.len() < Tags::MAX).map(std::borrow::Cow::into_owned));
    })
    // Invalid tags were never set.
    .unwrap_or_default();
    keys
}

impl<'a> From<&'a Action> for Resource<'a, Attributes<'a>> {
    fn from(action: &'a Action) -> Self {
        Self { physical_id: action.name.as_str(), data: Attributes::new(action) }
    }
}

impl<'a> Attributes<'a> {
    fn new(action: &'a Action) -> Self {
        let (arn, id) = (action.arn.as_str(), action.id.as_deref().unwrap_or_default());
        Self {
            action_arn: arn,
            action_id: id,
            mitigation_action_arn: arn,
            mitigation_action_id: id,
            action_name: action.name.as_str(),
            action_type: action.action_type.as_deref().unwrap_or_default(),
        }
    }
}
