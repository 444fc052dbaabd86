//! `Custom::IoTMitigationAction`: maps the properties of a resource to a request, and an outcome to
//! the attributes for `!GetAtt`. A second resource type would be a second mapping.

use std::time::SystemTime;

use cloudformation_custom_resource::{
    Request as CustomResourceRequest, RequestType, Resource, Target,
    json::{self, Fields},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Plan, Step,
    reader::{Node, Reader, Syntax},
};
use crate::mitigation::{
    Action, ActionName, Change, Create, Delete, DeleteTarget, Failure, FunctionLocation,
    IfNotOwned, IfOwned, Lookup, OnConflict, Operation, Owner, Parse, Problem, Problems, Property,
    RecordType, Request, StackId, StackRequest, Success, Tags, Task, UnknownPhysicalId, Update,
};

const SYNTAX: Syntax = Syntax::CloudFormation;

/// The properties that CloudFormation reads itself.
const OF_CLOUDFORMATION: [&str; 2] = ["serviceToken", "serviceTimeout"];

/// The attributes for `!GetAtt`, with the API's names and those of the native resource.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attributes {
    action_arn: String,
    action_id: String,
    mitigation_action_arn: String,
    mitigation_action_id: String,
    action_name: String,
    action_type: String,
}

pub fn resource(action: Action) -> Resource<Attributes> {
    let Action { name, arn, id, action_type } = action;
    let (name, id) = (name.to_string(), id.unwrap_or_default());
    Resource {
        physical_id: name.clone(),
        attributes: Attributes {
            action_arn: arn.clone(),
            action_id: id.clone(),
            mitigation_action_arn: arn,
            mitigation_action_id: id,
            action_name: name,
            action_type: action_type.unwrap_or_default(),
        },
    }
}

pub fn plan(request: &CustomResourceRequest, location: &FunctionLocation) -> Plan {
    let mut warnings = Vec::new();
    let step = next_step(request, location, &mut warnings);
    let action_name = match &step {
        Step::Execute(planned) => planned.task.action_name().map(|name| name.as_str().to_owned()),
        Step::Respond(_) => name_of_create(request),
    };
    Plan { step, action_name, warnings }
}

fn next_step(
    request: &CustomResourceRequest,
    location: &FunctionLocation,
    warnings: &mut Vec<String>,
) -> Step {
    let planned = match (request.request_type, read_stack(request, location)) {
        (Some(RequestType::Create), Ok(stack)) => {
            let create = read_properties(request, Some(&stack), warnings);
            let record_type = Some(RecordType::Create);
            create.map(|create| new_request(request, &stack, Task::Create(create), record_type))
        }
        (Some(RequestType::Update), Ok(stack)) => plan_update(request, &stack, warnings),
        (Some(RequestType::Delete), Ok(stack)) => Ok(plan_delete(request, &stack)),
        (Some(RequestType::Delete), Err(problems)) => {
            let notice = format!("this resource cannot own an action: {problems}");
            return Step::Respond(Ok(Success::absent(notice)));
        }
        // The properties are parsed although they are not used, to report all problems at once.
        (request_type, stack) => {
            let mut problems = Problems::default();
            if request_type.is_none() {
                problems.add(|| unknown_request_type(request));
            }
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

fn unknown_request_type(request: &CustomResourceRequest) -> Problem {
    const EXPECTED: &str = "Create, Update or Delete";

    match request.raw_request_type() {
        None => Problem::missing("RequestType", EXPECTED),
        Some(given) => Problem::invalid("RequestType", given.get(), EXPECTED),
    }
}

/// The stack of the resource, which has to be where `function` is.
///
/// # Errors
/// If `StackId` or `LogicalResourceId` is missing or invalid, because without both no action can be
/// the resource's; or if the stack is in another account or region.
fn read_stack(
    request: &CustomResourceRequest,
    function: &FunctionLocation,
) -> Result<StackId, Problems> {
    let mut problems = Problems::default();
    let stack = StackId::parse(&request.stack_id);
    if stack.is_none() {
        problems.add(|| match request.stack_id.as_str() {
            "" => Problem::missing("StackId", "the ARN of a stack"),
            other => Problem::invalid("StackId", &format!("{other:?}"), "the ARN of a stack"),
        });
    }
    if request.logical_resource_id.is_empty() {
        let expected = "the resource's name in its template";
        problems.add(|| Problem::missing("LogicalResourceId", expected));
    }
    let stack = stack.filter(|_| problems.is_empty()).ok_or(problems)?;
    match function.check(&stack.location) {
        Ok(()) => Ok(stack),
        Err(mismatch) => Err(Problem::other("StackId", &mismatch.to_string()).into()),
    }
}

/// The name that a Create with these properties uses; `None` if its stack is unknown.
pub fn name_of_create(request: &CustomResourceRequest) -> Option<String> {
    let stack = StackId::parse(&request.stack_id)?;
    let declared = name_of(request.raw_properties(), &stack, &request.logical_resource_id);
    let name =
        declared.unwrap_or_else(|| ActionName::generated(&stack, &request.logical_resource_id));
    Some(name.as_str().to_owned())
}

/// An Update in place, or a replacement if the name is new, which is planned like a Create.
fn plan_update(
    request: &CustomResourceRequest,
    stack: &StackId,
    warnings: &mut Vec<String>,
) -> Result<Request, Problems> {
    let properties = read_properties(request, Some(stack), warnings);
    if request.physical_resource_id.is_empty() {
        let expected = "the id from an earlier response";
        let mut problems = Problems::from(Problem::missing("PhysicalResourceId", expected));
        problems.extend(properties.err().unwrap_or_default());
        return Err(problems);
    }
    let create = properties?;
    let physical_name = ActionName::parse(&request.physical_resource_id);
    let old = request.raw_old_properties().filter(|old| old.get().starts_with('{'));
    let previous_name = old
        .and_then(|old| name_of(Some(old), stack, &request.logical_resource_id))
        .filter(|previous| *previous != create.name && Some(previous) != physical_name.as_ref());
    let task = if physical_name.as_ref() == Some(&create.name) {
        let Create { name, definition, tags, on_conflict: _, if_owned: _ } = create;
        let previous_keys = old.map(tag_keys).unwrap_or_default();
        Task::Update(Update { name, change: Change::Whole(definition), tags, previous_keys })
    } else {
        Task::Create(create)
    };
    let planned = new_request(request, stack, task, Some(RecordType::Update));
    let in_order = |order| StackRequest { physical_name, previous_name, ..order };
    Ok(Request { stack: planned.stack.map(in_order), ..planned })
}

/// A Delete needs no valid properties: it deletes the action that the physical id names, or else
/// the one with the name that a Create would use.
fn plan_delete(request: &CustomResourceRequest, stack: &StackId) -> Request {
    let properties = request.raw_properties();
    let on_conflict = on_conflict_of(properties);
    let declared = name_of(properties, stack, &request.logical_resource_id);
    let generated = ActionName::generated(stack, &request.logical_resource_id);
    let target = match Target::parse(&request.physical_resource_id) {
        Target::Id("") => declared.map_or(DeleteTarget::Nothing, DeleteTarget::Named),
        Target::FailedCreate { name, request } => {
            ActionName::parse(name).zip(request).map_or(DeleteTarget::Nothing, |(name, request)| {
                DeleteTarget::FailedCreate(name, request)
            })
        }
        Target::Id(id) => match ActionName::parse(id) {
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
    let delete =
        Delete { target, if_not_owned: IfNotOwned::Skip(on_conflict), lookup: Lookup::Tags };
    new_request(request, stack, Task::Delete(delete), None)
}

/// A request of the resource, which leaves records of that type.
fn new_request(
    request: &CustomResourceRequest,
    stack: &StackId,
    task: Task,
    record_type: Option<RecordType>,
) -> Request {
    let since = request.sent.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Request {
        task,
        owner: Owner::stack(stack, &request.logical_resource_id),
        location: Some(stack.location.clone()),
        stack: Some(StackRequest {
            sent: since.as_secs(),
            digest: request.digest.clone(),
            record_type,
            physical_name: None,
            previous_name: None,
        }),
    }
}

fn read_properties(
    request: &CustomResourceRequest,
    stack: Option<&StackId>,
    warnings: &mut Vec<String>,
) -> Result<Create, Problems> {
    const PATH: &str = "ResourceProperties";

    let Some(properties) = request.raw_properties() else {
        let expected = "an object with RoleArn and ActionParams";
        return Err(Problem::missing(PATH, expected).into());
    };
    if !properties.get().starts_with('{') {
        return Err(Problem::invalid(PATH, properties.get(), "an object").into());
    }
    let mut reader = Reader::new(SYNTAX);
    let mut known = Property::names_of(Operation::Create);
    known.extend(OF_CLOUDFORMATION);
    let members = reader.object(&Node::new("", properties), &known);
    let create = members.and_then(|members| {
        let name = reader.member(&members, Property::ActionName.as_str());
        let name = match name.value().filter(|value| value.get() != "\"\"") {
            None => stack.map(|stack| ActionName::generated(stack, &request.logical_resource_id)),
            Some(_) => reader.optional_text(&name),
        };
        reader.create(&members, name, IfOwned::Update)
    });
    let (create, found) = reader.finish(create);
    warnings.extend(found);
    create
}

/// The name in the properties, or the generated one if they have none; `None` if it is invalid.
fn name_of(properties: Option<&RawValue>, stack: &StackId, logical_id: &str) -> Option<ActionName> {
    match property(properties, Property::ActionName).filter(|given| given.get() != "\"\"") {
        None => Some(ActionName::generated(stack, logical_id)),
        Some(given) => ActionName::parse(&SYNTAX.text(given)?),
    }
}

/// The policy for conflicts in the properties, or the default.
fn on_conflict_of(properties: Option<&RawValue>) -> OnConflict {
    let word = property(properties, Property::OnConflict).and_then(json::string);
    word.and_then(|word| SYNTAX.on_conflict(&word)).unwrap_or_default()
}

/// The keys of the tags in old properties that the provider can have set.
fn tag_keys(properties: &RawValue) -> Vec<String> {
    let mut keys = Vec::new();
    let Some(tags) = property(Some(properties), Property::Tags) else { return keys };
    json::each_item(tags.get(), &mut |tag| {
        let tag = Fields::read(tag.get(), &["Key"]).unwrap_or_default();
        let key = tag.get("Key").and_then(|key| SYNTAX.text(key));
        let key = key.filter(|key| Tags::check_key(key).is_ok());
        keys.extend(key.filter(|_| keys.len() < Tags::MAX).map(std::borrow::Cow::into_owned));
    })
    // Invalid tags were never set.
    .unwrap_or_default();
    keys
}

/// A property, whether or not the others are valid.
fn property(of: Option<&RawValue>, property: Property) -> Option<&RawValue> {
    let mut found = None;
    json::each_member(of?.get(), &mut |name, value| {
        if SYNTAX.is_name(property.as_str(), &name) {
            found = Some(value);
        }
    })
    .ok()?;
    found.filter(|value| value.get() != "null")
}
