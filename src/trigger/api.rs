//! Requests and results in the API's JSON, for events, messages and direct invocations.
//!
//! See <https://docs.aws.amazon.com/iot/latest/apireference/API_CreateMitigationAction.html> and
//! its siblings.

mod result;

use cloudformation_custom_resource::json::Fields;
use serde_json::value::RawValue;

use super::{
    Plan, Step,
    reader::{Members, Node, Reader, Syntax},
};
use crate::mitigation::{
    ActionName, Change, Delete, DeleteTarget, Failure, FunctionLocation, IfNotOwned, IfOwned,
    Lookup, Operation, Owner, Params, Parse, Problem, Problems, Property, Request, RoleArn, Task,
    Update,
};

pub use self::result::message;

/// The most characters of a text of the request that a result repeats.
const MAX_REPEATED: usize = 256;

/// A request: the operation and the name as given, and the task or the problems.
pub struct ApiRequest {
    operation: Option<Operation>,
    operation_text: String,
    action_name: Option<String>,
    request_id: Option<RequestId>,
    task: Result<Task, Problems>,
    warnings: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestIds {
    /// It may, in a direct invocation or in a message without an event around it.
    Accepted,
    /// It may not, in the detail of an event, which has an id.
    Rejected,
}

impl ApiRequest {
    /// Parses the request `value` at `path`, which is empty for a whole event.
    pub(in crate::trigger) fn read(
        path: &'static str,
        value: Option<&RawValue>,
        ids: RequestIds,
    ) -> Self {
        let mut reader = Reader::new(Syntax::Api);
        let given =
            value.and_then(|value| Fields::read(value.get(), &["operation", "actionName"]).ok());
        let given = |name: &str| Some(cut(&given.as_ref()?.string(name)?));
        let mut known = vec!["operation"];
        known.extend(Property::names_of(Operation::Create));
        match ids {
            RequestIds::Accepted => known.push("requestId"),
            RequestIds::Rejected => {}
        }
        let members = value.and_then(|value| reader.object(&Node::new(path, value), &known));
        if members.is_none() && reader.problem_count() == 0 {
            let path = if path.is_empty() { "request" } else { path };
            reader.add(|| Problem::invalid(path, "null", "an object"));
        }
        let (operation, request_id, task) = match members {
            Some(members) => read_members(&mut reader, &members, ids),
            None => (None, None, None),
        };
        let (task, warnings) = reader.finish(task);
        Self {
            operation,
            operation_text: given("operation")
                .unwrap_or_else(|| Operation::Create.as_str().to_owned()),
            action_name: given("actionName"),
            request_id,
            task,
            warnings,
        }
    }

    pub(in crate::trigger) fn whole(value: &RawValue) -> Self {
        Self::read("", Some(value), RequestIds::Accepted)
    }

    pub(in crate::trigger) fn rejected(self, problem: Problem) -> Self {
        let mut problems = Problems::from(problem);
        if let Err(own) = self.task {
            problems.extend(own);
        }
        Self { task: Err(problems), ..self }
    }

    pub fn task(&self) -> Result<Task, Failure> {
        self.task.clone().map_err(Failure::invalid)
    }

    pub fn plan(&self, owner: &Owner, location: &FunctionLocation) -> Plan {
        let step = match self.task() {
            Err(failure) => Step::Respond(Err(failure)),
            Ok(task) => {
                let (owner, location) = (owner.clone(), location.location().cloned());
                Step::Execute(Box::new(Request { task, owner, location, stack: None }))
            }
        };
        Plan { step, action_name: self.action_name.clone(), warnings: self.warnings.clone() }
    }

    /// The owner of what this request creates if its id is `id`.
    pub fn owner(&self, id: &str) -> Owner {
        match &self.task {
            Ok(Task::Create(create)) => Owner::request(id, Some(&create.digest())),
            Ok(Task::Update(_) | Task::Delete(_) | Task::Describe(_)) | Err(_) => {
                Owner::request(id, None)
            }
        }
    }

    pub fn operation(&self) -> Option<Operation> {
        self.operation
    }

    /// The operation as given, or the default.
    pub fn operation_text(&self) -> &str {
        &self.operation_text
    }

    /// The action's name as given.
    pub fn action_name(&self) -> Option<&str> {
        self.action_name.as_deref()
    }

    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_ref().map(|id| id.0.as_str())
    }
}

type Read = (Option<Operation>, Option<RequestId>, Option<Task>);

fn read_members(reader: &mut Reader, members: &Members<'_>, ids: RequestIds) -> Read {
    let request_id = match ids {
        RequestIds::Accepted => reader.optional_text(&reader.member(members, "requestId")),
        RequestIds::Rejected => None,
    };
    let node = reader.member(members, "operation");
    let operation = match node.value() {
        None => Some(Operation::Create),
        Some(_) => reader.text(&node),
    };
    let task = match operation {
        Some(operation) => read_task(operation, reader, members),
        None => check_members(reader, members),
    };
    (operation, request_id, task)
}

/// Parses the parameters of `operation`. Those of other operations are problems.
fn read_task(operation: Operation, reader: &mut Reader, members: &Members<'_>) -> Option<Task> {
    for property in Property::ALL.iter().filter(|property| !property.is_accepted_by(operation)) {
        let node = reader.member(members, property.as_str());
        if node.value().is_some() {
            let accepted = Property::names_of(operation).join(", ");
            reader.invalid(&node, &format!("no {property}: {operation} takes only {accepted}"));
        }
    }
    let name: Option<ActionName> =
        reader.text(&reader.member(members, Property::ActionName.as_str()));
    match operation {
        Operation::Create => reader.create(members, name, IfOwned::Return).map(Task::Create),
        Operation::Update => read_update(name, reader, members),
        Operation::Delete => Some(Task::Delete(Delete {
            target: DeleteTarget::Named(name?),
            if_not_owned: IfNotOwned::Fail,
            lookup: Lookup::Description,
        })),
        Operation::Describe => Some(Task::Describe(name?)),
    }
}

fn read_update(
    name: Option<ActionName>,
    reader: &mut Reader,
    members: &Members<'_>,
) -> Option<Task> {
    let [role_arn, params, tags] = [Property::RoleArn, Property::ActionParams, Property::Tags]
        .map(|property| reader.member(members, property.as_str()));
    if [&role_arn, &params, &tags].iter().all(|node| node.value().is_none()) {
        reader.missing(&role_arn, "at least one of roleArn, actionParams and tags");
    }
    let role_arn: Option<RoleArn> = reader.optional_text(&role_arn);
    let is_given = params.value().is_some();
    let params = if is_given { reader.params(&params) } else { None };
    let tags = reader.tags(&tags);
    if is_given {
        let kind = params.as_ref().map(Params::kind);
        reader.check_names(&reader.member(members, Property::CheckNames.as_str()), kind);
    }
    let change = Change::Parts { role_arn, params };
    Some(Task::Update(Update { name: name?, change, tags, previous_keys: Vec::new() }))
}

/// Collects the problems of the given members if the operation is unknown, so that no member is
/// required.
fn check_members(reader: &mut Reader, members: &Members<'_>) -> Option<Task> {
    reader.optional_text::<ActionName>(&reader.member(members, Property::ActionName.as_str()));
    reader.optional_text::<RoleArn>(&reader.member(members, Property::RoleArn.as_str()));
    let params = reader.member(members, Property::ActionParams.as_str());
    if params.value().is_some() {
        let kind = reader.params(&params).as_ref().map(Params::kind);
        reader.check_names(&reader.member(members, Property::CheckNames.as_str()), kind);
    }
    reader.tags(&reader.member(members, Property::Tags.as_str()));
    reader.on_conflict(&reader.member(members, Property::OnConflict.as_str()));
    None
}

/// Identifies retries and redriven copies of a request.
struct RequestId(String);

impl Parse for RequestId {
    const EXPECTED: &'static str = "1 to 128 printable ASCII characters";

    fn parse(text: &str) -> Option<Self> {
        let is_printable = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        (is_printable && (1..=128).contains(&text.len())).then(|| Self(text.to_owned()))
    }
}

pub(super) fn cut(text: &str) -> String {
    text.chars().take(MAX_REPEATED).collect()
}
