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
    json::value_of,
    properties::{Reader, Spelling, text_of},
};
use crate::mitigation::{
    Action, ActionName, Change, Create, Definition, Delete, Failure, Foreign, OnConflict, Outcome,
    Owner, Problem, Problems, Replay, Request, RoleArn, StackId, Tags, Task, Text, Update, Verdict,
    beginning,
};

/// The longest document that CloudFormation takes, in bytes.
pub const LONGEST: usize = 4096;

/// What CloudFormation sent. Holds what it could read and no more.
pub struct Envelope {
    response_url: String,
    request_type: Option<Value>,
    stack_id: String,
    request_id: String,
    logical_id: String,
    physical_id: String,
    properties: Properties,
    old_properties: Properties,
}

/// Properties, each read for itself.
#[derive(Default)]
struct Properties {
    /// What is wrong with them as a whole.
    fault: Option<Problem>,
    /// All of them in an object, null for those that could not be read.
    members: Value,
    unreadable: Vec<String>,
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
        let value = |name: &str| fields.get(name).and_then(|raw| value_of(raw.get()));
        let text = |name: &str| {
            value(name)
                .and_then(|value| text_of(&value, Spelling::CloudFormation))
                .unwrap_or_default()
        };
        Self {
            response_url: text("ResponseURL"),
            request_type: value("RequestType"),
            stack_id: text("StackId"),
            request_id: text("RequestId"),
            logical_id: text("LogicalResourceId"),
            physical_id: text("PhysicalResourceId"),
            properties: Properties::read("ResourceProperties", fields),
            old_properties: Properties::read("OldResourceProperties", fields),
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
        self.request_type
            .as_ref()
            .and_then(|value| text_of(value, Spelling::CloudFormation))
            .unwrap_or_default()
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
        let seconds =
            text_of(self.properties.members.get("ServiceTimeout")?, Spelling::CloudFormation)?;
        seconds
            .trim()
            .parse()
            .ok()
            .filter(|seconds| (1..=3600).contains(seconds))
            .map(Duration::from_secs)
    }

    /// What is to be done, in the function's own `home`.
    #[must_use]
    pub fn ask(&self, home: &Home) -> Ask {
        let request_type = self.request_type();
        let stack = self.stack().and_then(|stack| match home.is_home_of(&stack.place) {
            Ok(()) => Ok(stack),
            Err(elsewhere) => Err(vec![Problem::other("StackId", &elsewhere)]),
        });
        let request = match (request_type.as_str(), stack) {
            ("Delete", Ok(stack)) => Ok(self.delete(&stack)),
            ("Delete", Err(problems)) => {
                let why = Failure::invalid(problems).message(usize::MAX);
                let notice =
                    format!("nothing here can be this resource's, so nothing is deleted: {why}");
                return Ask::Settled(Ok(Outcome {
                    verdict: Verdict::Left,
                    action: None,
                    notice: Some(notice),
                }));
            }
            ("Create" | "Update", Ok(stack)) => self.declare(&stack, request_type == "Update"),
            // All that is wrong at once: the properties are read although they cannot be used.
            (_, stack) => {
                let mut problems = self.request_type_fault();
                let known = stack.as_ref().ok();
                let faults = self.desired(known).err();
                problems.extend(stack.err().into_iter().flatten());
                problems.extend(faults.into_iter().flatten());
                Err(problems)
            }
        };
        match request {
            Ok(request) => Ask::Work(Box::new(request)),
            Err(problems) => Ask::Settled(Err(Failure::invalid(problems))),
        }
    }

    fn request_type_fault(&self) -> Problems {
        const LEGAL: &str = "Create, Update or Delete";

        match &self.request_type {
            None => vec![Problem::missing("RequestType", LEGAL)],
            Some(Value::String(known)) if known == "Create" || known == "Update" => Problems::new(),
            Some(other) => vec![Problem::illegal("RequestType", &other.to_string(), LEGAL)],
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
            problems
                .push(Problem::missing("LogicalResourceId", "the resource's name in its template"));
        }
        stack.filter(|_| problems.is_empty()).ok_or(problems)
    }

    /// A Create or an Update: the action is to be as the properties say. A new name is a replacement, made like a Create.
    fn declare(&self, stack: &StackId, is_update: bool) -> Result<Request, Problems> {
        let desired = self.desired(Some(stack));
        if is_update && self.physical_id.is_empty() {
            let mut problems =
                vec![Problem::missing("PhysicalResourceId", "the id that an earlier answer gave")];
            problems.extend(desired.err().unwrap_or_default());
            return Err(problems);
        }
        let Desired { name, definition, tags, on_conflict } = desired?;
        let old_name = if self.old_properties.is_object() {
            self.old_properties.name(stack, &self.logical_id)
        } else {
            None
        };
        let leftover =
            old_name.filter(|old| is_update && old.as_str() != self.physical_id && *old != name);
        let task = if is_update && name.as_str() == self.physical_id {
            let forgotten = self.old_properties.tag_keys();
            Task::Update(Update { name, change: Change::Whole(definition), tags, forgotten })
        } else {
            Task::Create(Create {
                name,
                definition,
                tags,
                on_conflict,
                replay: Replay::Converge,
                undo: is_update,
            })
        };
        Ok(Request {
            task,
            owner: Owner::stack(stack, &self.logical_id),
            place: Some(stack.place.clone()),
            leftover,
        })
    }

    fn desired(&self, stack: Option<&StackId>) -> Result<Desired, Problems> {
        const KNOWN: [&str; 7] = [
            "actionName",
            "roleArn",
            "actionParams",
            "tags",
            "onConflict",
            "serviceToken",
            "serviceTimeout",
        ];

        if let Some(fault) = &self.properties.fault {
            return Err(vec![fault.clone()]);
        }
        let mut reader = Reader::new(Spelling::CloudFormation);
        for name in &self.properties.unreadable {
            reader.note(Problem::other(
                name,
                "cannot be read: it is nested too deeply, or holds what is no number or no Unicode",
            ));
        }
        let members = reader.object("", Some(&self.properties.members), &KNOWN);
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
        let given = self.properties.name(stack, &self.logical_id);
        names.extend(given.filter(|name| name.as_str() != self.physical_id));
        Request {
            task: Task::Delete(Delete { names, foreign: Foreign::Leave, tell: false }),
            owner: Owner::stack(stack, &self.logical_id),
            place: Some(stack.place.clone()),
            leftover: None,
        }
    }

    /// The answer: the one document that is PUT, at most [`LONGEST`] bytes. Where it would be longer, the reason gives way;
    /// where that is not enough, as with no request of CloudFormation's own, what is echoed.
    #[must_use]
    pub fn answer(&self, result: &Result<Outcome, Failure>) -> String {
        const LEAST_REASON: usize = 128;

        let echo = Echo {
            stack: &self.stack_id,
            request: &self.request_id,
            logical: &self.logical_id,
            physical: &self.physical_id,
        };
        let bare = self.written(result, &echo, 0);
        if result.is_ok() && bare.len() <= LONGEST {
            return bare;
        }
        if bare.len() + LEAST_REASON <= LONGEST {
            return self.written(result, &echo, LONGEST - bare.len());
        }
        let [stack, request, logical] =
            [&self.stack_id, &self.request_id, &self.logical_id].map(|text| beginning(text, 512));
        let physical = &beginning(&self.physical_id, 1024);
        let echo = Echo { stack: &stack, request: &request, logical: &logical, physical };
        let room = LONGEST.saturating_sub(self.written(result, &echo, 0).len());
        self.written(result, &echo, room)
    }

    fn written(&self, result: &Result<Outcome, Failure>, echo: &Echo<'_>, room: usize) -> String {
        let marker;
        let request_type = self.request_type();
        let action = result
            .as_ref()
            .ok()
            .and_then(|outcome| outcome.action.as_ref())
            .filter(|_| request_type != "Delete");
        let document = Document {
            status: if result.is_ok() { Status::Success } else { Status::Failed },
            reason: result.as_ref().err().map(|failure| failure.reason(room)),
            physical_resource_id: match (action, request_type.as_str()) {
                (Some(action), _) => action.name.as_str(),
                (None, kind) if kind != "Create" && !echo.physical.is_empty() => echo.physical,
                _ => {
                    marker = self.marker();
                    &marker
                }
            },
            stack_id: echo.stack,
            request_id: echo.request,
            logical_resource_id: echo.logical,
            data: action.map(Data::of),
        };
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// The physical id of what was not made: the colon makes sure that it is no action's name.
    fn marker(&self) -> String {
        let name = StackId::parse(&self.stack_id)
            .map(|stack| ActionName::generated(&stack, &self.logical_id));
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

/// What an answer repeats of its request.
struct Echo<'a> {
    stack: &'a str,
    request: &'a str,
    logical: &'a str,
    physical: &'a str,
}

impl Properties {
    fn read(path: &str, fields: &Fields<'_>) -> Self {
        let Some(raw) = fields.get(path) else {
            return Self {
                fault: Some(Problem::missing(path, "an object with RoleArn and ActionParams")),
                ..Self::default()
            };
        };
        match value_of(raw.get()) {
            Some(members @ Value::Object(_)) => Self { members, ..Self::default() },
            Some(other) => Self {
                fault: Some(Problem::illegal(path, &other.to_string(), "an object")),
                ..Self::default()
            },
            None => Self::read_apart(path, raw.get()),
        }
    }

    /// Reads member by member, so that one that cannot be read does not take the rest along.
    fn read_apart(path: &str, text: &str) -> Self {
        let Some(fields) = Fields::of(text) else {
            return Self {
                fault: Some(Problem::other(path, "is no object that can be read")),
                ..Self::default()
            };
        };
        let mut properties = Self::default();
        let mut members = serde_json::Map::new();
        for (name, raw) in fields.iter() {
            let value = value_of(raw.get()).unwrap_or_else(|| {
                properties.unreadable.push(name.to_owned());
                Value::Null
            });
            members.insert(name.to_owned(), value);
        }
        Self { members: members.into(), ..properties }
    }

    fn is_object(&self) -> bool {
        self.members.is_object()
    }

    /// The name of the action that is declared, read leniently: the one that is given, or where none is the generated one;
    /// `None` where what is given can be no action's.
    fn name(&self, stack: &StackId, logical_id: &str) -> Option<ActionName> {
        if self.unreadable.iter().any(|name| name == "ActionName") {
            return None;
        }
        match self
            .members
            .get("ActionName")
            .filter(|name| !name.is_null() && name.as_str() != Some(""))
        {
            None => Some(ActionName::generated(stack, logical_id)),
            Some(name) => ActionName::parse(&text_of(name, Spelling::CloudFormation)?),
        }
    }

    /// The keys of the tags that are given, read leniently: those that the provider would have taken.
    fn tag_keys(&self) -> Vec<String> {
        let tags = self.members.get("Tags").and_then(Value::as_array);
        let keys = tags
            .into_iter()
            .flatten()
            .filter_map(|tag| text_of(tag.get("Key")?, Spelling::CloudFormation));
        keys.filter(|key| Tags::key_fault(key).is_none()).collect()
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
