//! `Custom::IoTMitigationAction`: CloudFormation's protocol for custom resources, whole.
//!
//! See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>. The envelope is read first and
//! takes anything, so that whoever can be answered is; then the properties, of which every problem is gathered.

mod response_url;

use std::time::Duration;

use aws_lambda_events::event::cloudformation::CloudFormationCustomResourceResponseStatus as Status;
use serde::Serialize;
use serde_json::Value;

pub use self::response_url::ResponseUrl;
use super::{
    Fields, Home,
    properties::{Reader, Spelling, text_of},
};
use crate::mitigation::{
    Action, ActionName, Change, Create, Definition, Delete, Failure, Foreign, OnConflict, Outcome, Owner, Problem, Problems, Replay,
    Request, RoleArn, StackId, Tags, Task, Text, Update, Verdict, beginning,
};

/// The longest document that CloudFormation takes, in bytes.
pub const LONGEST: usize = 4096;

/// What CloudFormation sent. Holds what it could read and no more.
pub struct Envelope {
    response_url: String,
    request_type: Field,
    stack_id: String,
    request_id: String,
    logical_id: String,
    physical_id: String,
    properties: Field,
    old_properties: Field,
}

/// A member of the envelope.
enum Field {
    Absent,
    Unreadable,
    Read(Value),
}

/// What is to be done about an envelope.
pub enum Ask {
    /// This request is to be carried out.
    Work(Box<Request>),
    /// Nothing: the result is clear without a call.
    Settled(Result<Outcome, Failure>),
}

/// The document that is PUT: <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html>.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
}

/// What `!GetAtt` finds: the API's names and the native resource's for the same.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Data<'a> {
    action_arn: &'a str,
    action_id: &'a str,
    mitigation_action_arn: &'a str,
    mitigation_action_id: &'a str,
    action_name: &'a str,
    action_type: &'a str,
}

impl Envelope {
    /// Reads the members that are there; what is not as it should be counts as absent until it is needed.
    #[must_use]
    pub fn read(fields: &Fields<'_>) -> Self {
        let field = |name: &str| match fields.get(name) {
            None => Field::Absent,
            Some(raw) => match serde_json::from_str(raw.get()) {
                Ok(Value::Null) => Field::Absent,
                Ok(value) => Field::Read(value),
                Err(_) => Field::Unreadable,
            },
        };
        // Bounded by more than CloudFormation's own limits, so that whatever arrives, its answer has room.
        let text = |name: &str, most: usize| beginning(&field(name).text().unwrap_or_default(), most);
        Self {
            response_url: field("ResponseURL").text().unwrap_or_default(),
            request_type: field("RequestType"),
            stack_id: text("StackId", 512),
            request_id: text("RequestId", 512),
            logical_id: text("LogicalResourceId", 512),
            physical_id: text("PhysicalResourceId", 1024),
            properties: field("ResourceProperties"),
            old_properties: field("OldResourceProperties"),
        }
    }

    /// The address to answer to.
    ///
    /// # Errors
    /// As [`ResponseUrl::parse`].
    pub fn response_url(&self, allowed: &[String]) -> Result<ResponseUrl, String> {
        ResponseUrl::parse(&self.response_url, allowed)
    }

    /// `RequestType`, as given.
    #[must_use]
    pub fn request_type(&self) -> String {
        self.request_type.text().unwrap_or_default()
    }

    /// `RequestId`, as given.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// `LogicalResourceId`, as given.
    #[must_use]
    pub fn logical_id(&self) -> &str {
        &self.logical_id
    }

    /// `ServiceTimeout`: how long CloudFormation waits for the answer, 1 to 3600 s; what it cannot be is not looked at.
    #[must_use]
    pub fn service_timeout(&self) -> Option<Duration> {
        let seconds = text_of(self.properties.member("ServiceTimeout")?, Spelling::CloudFormation)?;
        seconds.trim().parse().ok().filter(|seconds| (1..=3600).contains(seconds)).map(Duration::from_secs)
    }

    /// What is to be done, in the function's own `home`.
    #[must_use]
    pub fn ask(&self, home: &Home) -> Ask {
        let request_type = self.request_type();
        let is_delete = match request_type.as_str() {
            "Delete" => true,
            "Create" | "Update" => false,
            _ => {
                let problem = match &self.request_type {
                    Field::Absent => Problem::missing("RequestType", "Create, Update or Delete"),
                    _ => Problem::illegal("RequestType", &format!("{request_type:?}"), "Create, Update or Delete"),
                };
                return Ask::Settled(Err(Failure::invalid(vec![problem])));
            }
        };
        let stack = self.stack().and_then(|stack| match home.is_home_of(&stack.place) {
            Ok(()) => Ok(stack),
            Err(elsewhere) => Err(vec![Problem::other("StackId", &elsewhere)]),
        });
        match stack {
            Ok(stack) if is_delete => Ask::Work(Box::new(self.delete(&stack))),
            Ok(stack) => match self.declare(&stack, request_type == "Update") {
                Ok(request) => Ask::Work(Box::new(request)),
                Err(problems) => Ask::Settled(Err(Failure::invalid(problems))),
            },
            Err(problems) if is_delete => {
                let why = Failure::invalid(problems).message(usize::MAX);
                let notice = format!("nothing here can be this resource's, so nothing is deleted: {why}");
                Ask::Settled(Ok(Outcome { verdict: Verdict::Left, action: None, notice: Some(notice) }))
            }
            Err(mut problems) => {
                // All that is wrong at once: the properties are read although they cannot be used.
                problems.extend(self.desired(None).err().unwrap_or_default());
                Ask::Settled(Err(Failure::invalid(problems)))
            }
        }
    }

    /// The stack and whether there is a logical id: without both nothing can be anybody's.
    fn stack(&self) -> Result<StackId, Problems> {
        let mut problems = Problems::new();
        let stack = StackId::parse(&self.stack_id);
        if stack.is_none() {
            problems.push(match self.stack_id.as_str() {
                "" => Problem::missing("StackId", "the ARN of a stack"),
                other => Problem::illegal("StackId", &format!("{other:?}"), "the ARN of a stack"),
            });
        }
        if self.logical_id.is_empty() {
            problems.push(Problem::missing("LogicalResourceId", "the resource's name in its template"));
        }
        stack.filter(|_| problems.is_empty()).ok_or(problems)
    }

    /// A Create or an Update: the action is to be as the properties say. A new name is a replacement, made like a Create.
    fn declare(&self, stack: &StackId, is_update: bool) -> Result<Request, Problems> {
        let Desired { name, definition, tags, on_conflict } = self.desired(Some(stack))?;
        let old_name = self.old_properties.object().and_then(|old| name_in(Some(old), stack, &self.logical_id));
        let leftover = old_name.filter(|old| is_update && old.as_str() != self.physical_id && *old != name);
        let task = if is_update && name.as_str() == self.physical_id {
            let forgotten = tag_keys(&self.old_properties);
            Task::Update(Update { name, change: Change::Whole(definition), tags, forgotten })
        } else {
            Task::Create(Create { name, definition, tags, on_conflict, replay: Replay::Converge, undo: is_update })
        };
        Ok(Request { task, owner: Owner::stack(stack, &self.logical_id), place: Some(stack.place.clone()), leftover })
    }

    fn desired(&self, stack: Option<&StackId>) -> Result<Desired, Problems> {
        const KNOWN: [&str; 7] = ["actionName", "roleArn", "actionParams", "tags", "onConflict", "serviceToken", "serviceTimeout"];

        let mut reader = Reader::new(Spelling::CloudFormation);
        match &self.properties {
            Field::Absent => reader.note(Problem::missing("ResourceProperties", "an object with RoleArn and ActionParams")),
            Field::Unreadable => reader.note(Problem::other("ResourceProperties", "cannot be read, as it is nested too deeply")),
            Field::Read(value) if value.is_object() => {}
            Field::Read(value) => reader.note(Problem::illegal("ResourceProperties", &value.to_string(), "an object")),
        }
        let members = reader.object("", self.properties.object(), &KNOWN);
        let name = reader.member(&members, "actionName");
        let name = match name.value().filter(|value| value.as_str() != Some("")) {
            None => stack.map(|stack| ActionName::generated(stack, &self.logical_id)),
            Some(_) => reader.optional_text(&name),
        };
        let role_arn: Option<RoleArn> = reader.text(&reader.member(&members, "roleArn"));
        let params = reader.params(&reader.member(&members, "actionParams"));
        let tags = reader.tags(&reader.member(&members, "tags"));
        let on_conflict = reader.on_conflict(&reader.member(&members, "onConflict"));
        let desired = || {
            let definition = Definition { role_arn: role_arn?, params: params? };
            Some(Desired { name: name?, definition, tags, on_conflict: on_conflict? })
        };
        reader.finish(desired())
    }

    /// A Delete needs no valid properties: the physical id says what to delete, or else the name that a Create would have given.
    fn delete(&self, stack: &StackId) -> Request {
        let mut names: Vec<ActionName> = ActionName::parse(&self.physical_id).into_iter().collect();
        let given = name_in(self.properties.object(), stack, &self.logical_id);
        names.extend(given.filter(|name| name.as_str() != self.physical_id));
        Request {
            task: Task::Delete(Delete { names, foreign: Foreign::Leave, tell: false }),
            owner: Owner::stack(stack, &self.logical_id),
            place: Some(stack.place.clone()),
            leftover: None,
        }
    }

    /// The answer: the one document that is PUT, at most [`LONGEST`] bytes. Where it would be longer, the reason gives way.
    #[must_use]
    pub fn answer(&self, result: &Result<Outcome, Failure>) -> String {
        let marker = self.marker();
        let given = if self.physical_id.is_empty() { &marker } else { &self.physical_id };
        let action = result.as_ref().ok().and_then(|outcome| outcome.action.as_ref());
        let request_type = self.request_type();
        let physical_resource_id = match (request_type.as_str(), result, action) {
            ("Create" | "Update", Ok(_), Some(action)) => action.name.as_str(),
            ("Create", _, _) => &marker,
            _ => given,
        };
        let document = |room: usize| Document {
            status: if result.is_ok() { Status::Success } else { Status::Failed },
            reason: match result {
                Err(failure) => Some(failure.reason(room)),
                Ok(outcome) => outcome.notice.as_deref().map(|notice| beginning(notice, room)),
            },
            physical_resource_id,
            stack_id: &self.stack_id,
            request_id: &self.request_id,
            logical_resource_id: &self.logical_id,
            data: action.filter(|_| request_type != "Delete").map(Data::of),
        };
        let written = |room| serde_json::to_string(&document(room)).unwrap_or_default();
        let bare = written(0).len();
        written(LONGEST.saturating_sub(bare))
    }

    /// The physical id of what was not made: the colon makes sure that it is no action's name.
    fn marker(&self) -> String {
        let name = StackId::parse(&self.stack_id).map(|stack| ActionName::generated(&stack, &self.logical_id));
        format!("not-created:{}", name.as_ref().map_or("unknown", ActionName::as_str))
    }
}

/// What the properties declare.
struct Desired {
    name: ActionName,
    definition: Definition,
    tags: Tags,
    on_conflict: OnConflict,
}

impl Field {
    fn value(&self) -> Option<&Value> {
        match self {
            Self::Read(value) => Some(value),
            Self::Absent | Self::Unreadable => None,
        }
    }

    /// The text of a scalar.
    fn text(&self) -> Option<String> {
        text_of(self.value()?, Spelling::CloudFormation)
    }

    /// The value, if it is an object.
    fn object(&self) -> Option<&Value> {
        self.value().filter(|value| value.is_object())
    }

    fn member(&self, name: &str) -> Option<&Value> {
        self.value()?.get(name)
    }
}

impl<'a> Data<'a> {
    fn of(action: &'a Action) -> Self {
        let (arn, id) = (action.arn.as_str(), action.id.as_deref().unwrap_or_default());
        let kind = action.kind.as_deref().unwrap_or_default();
        Self {
            action_arn: arn,
            action_id: id,
            mitigation_action_arn: arn,
            mitigation_action_id: id,
            action_name: action.name.as_str(),
            action_type: kind,
        }
    }
}

/// The name of the action that `properties` declare, read leniently: the one they give, or where they give none the
/// generated one; `None` where what they give can be no action's.
fn name_in(properties: Option<&Value>, stack: &StackId, logical_id: &str) -> Option<ActionName> {
    let given = properties.and_then(|properties| properties.get("ActionName")).filter(|name| !name.is_null());
    match given.map(|name| text_of(name, Spelling::CloudFormation)) {
        None => Some(ActionName::generated(stack, logical_id)),
        Some(Some(empty)) if empty.is_empty() => Some(ActionName::generated(stack, logical_id)),
        Some(name) => ActionName::parse(&name?),
    }
}

/// The keys of the tags that earlier properties gave, read leniently: those that the provider would have taken.
fn tag_keys(properties: &Field) -> Vec<String> {
    let tags = properties.member("Tags").and_then(Value::as_array);
    let keys = tags.into_iter().flatten().filter_map(|tag| text_of(tag.get("Key")?, Spelling::CloudFormation));
    keys.filter(|key| Tags::key_fault(key).is_none()).collect()
}
