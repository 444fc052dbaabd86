//! The API's own wire form, which events, messages and direct calls share: a request in, a result document out.
//!
//! See <https://docs.aws.amazon.com/iot/latest/apireference/API_CreateMitigationAction.html> and its siblings.

use serde::Serialize;
use serde_json::Value;

use super::properties::{Members, Reader, Spelling};
use crate::mitigation::{
    ActionName, Change, Create, Definition, Delete, Described, Detail, Failure, Foreign,
    OnConflict, Outcome, Params, Problem, Problems, Replay, RoleArn, Tags, Task, Text, Update,
    Verdict, beginning,
};

/// The longest message of a failure, in bytes of a JSON string.
const LONGEST: usize = 4096;

/// What was asked: the operation and the name as they were given, and the task, or why there is none.
pub struct Call {
    operation: String,
    action_name: Option<String>,
    request_id: Option<RequestId>,
    task: Result<Task, Failure>,
}

/// The result document: a return value, or with `requestId` and `requestSource` the detail of a result event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document<'a> {
    status: &'static str,
    operation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_name: Option<&'a str>,
    #[serde(flatten)]
    result: Part<'a>,
    /// The event's or the message's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// The event's source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_source: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    #[serde(rename_all = "camelCase")]
    Done {
        #[serde(skip_serializing_if = "Option::is_none")]
        action_arn: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        action_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        action_type: Option<&'a str>,
        outcome: &'static str,
        #[serde(flatten)]
        described: Option<Description<'a>>,
    },
    Failed {
        error: ErrorPart,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_params: Option<&'a Params>,
    tags: &'a Tags,
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_date: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified_date: Option<&'a str>,
}

#[derive(Serialize)]
struct ErrorPart {
    code: &'static str,
    message: String,
    retryable: bool,
}

impl Call {
    /// Reads a request at `path` (`detail` of an event, empty for a whole payload), `None` where it cannot be read; only a
    /// direct call may give `requestId`.
    #[must_use]
    pub fn read(path: &str, value: Option<&Value>, is_direct: bool) -> Self {
        let mut reader = Reader::new(Spelling::Api);
        let given = |name: &str| value?.get(name)?.as_str().map(|text| beginning(text, 256));
        let at = if path.is_empty() { "request" } else { path };
        let mut request_id = None;
        let task = match value {
            None => {
                reader.note(Problem::other(at, "cannot be read: it is nested too deeply, or holds what is no number or no Unicode"));
                None
            }
            Some(value) if !value.is_object() => {
                reader.note(Problem::illegal(at, &value.to_string(), "an object"));
                None
            }
            Some(_) => {
                let known = if is_direct {
                    KNOWN.as_slice()
                } else {
                    KNOWN.split_last().map_or(KNOWN.as_slice(), |(_, known)| known)
                };
                let members = reader.object(path, value, known);
                if is_direct {
                    request_id = reader.optional_text(&reader.member(&members, "requestId"));
                }
                match reader.member(&members, "operation") {
                    node if node.value().is_some() => match reader.text::<Operation>(&node) {
                        Some(operation) => operation.read(&mut reader, &members),
                        None => check_members(&mut reader, &members),
                    },
                    _ => Operation::Create.read(&mut reader, &members),
                }
            }
        };
        Self {
            operation: given("operation").unwrap_or_else(|| Operation::Create.as_str().to_owned()),
            action_name: given("actionName"),
            request_id,
            task: reader.finish(task).map_err(Failure::invalid),
        }
    }

    /// The same call, refused with `problems` besides its own.
    #[must_use]
    pub fn refused(self, mut problems: Problems) -> Self {
        if let Err(Failure { detail: Detail::Problems(own), .. }) = self.task {
            problems.extend(own);
        }
        Self { task: Err(Failure::invalid(problems)), ..self }
    }

    /// What is to be done.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn task(&self) -> Result<Task, Failure> {
        self.task.clone()
    }

    /// The operation, as given.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// The action's name, as given.
    #[must_use]
    pub fn action_name(&self) -> Option<&str> {
        self.action_name.as_deref()
    }

    /// `requestId`, where a direct call gives it.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_ref().map(|id| id.0.as_str())
    }

    /// What came of it.
    #[must_use]
    pub fn document<'a>(&'a self, result: &'a Result<Outcome, Failure>) -> Document<'a> {
        let (status, result) = match result {
            Ok(outcome) => ("SUCCEEDED", Part::done(outcome)),
            Err(failure) => ("FAILED", Part::Failed { error: ErrorPart::of(failure) }),
        };
        let action_name = self.action_name();
        Document {
            status,
            operation: &self.operation,
            action_name,
            result,
            request_id: None,
            request_source: None,
        }
    }
}

/// The message of a failure, as callers see it.
#[must_use]
pub fn message(failure: &Failure) -> String {
    failure.message(LONGEST)
}

/// All members of a request. The last is a direct call's alone.
const KNOWN: [&str; 7] =
    ["operation", "actionName", "roleArn", "actionParams", "tags", "onConflict", "requestId"];

/// The four operations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Create,
    Update,
    Delete,
    Describe,
}

impl Text for Operation {
    const LEGAL: &'static str = "CreateMitigationAction, UpdateMitigationAction, DeleteMitigationAction or DescribeMitigationAction";

    fn parse(text: &str) -> Option<Self> {
        [Self::Create, Self::Update, Self::Delete, Self::Describe]
            .into_iter()
            .find(|operation| operation.as_str() == text)
    }
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CreateMitigationAction",
            Self::Update => "UpdateMitigationAction",
            Self::Delete => "DeleteMitigationAction",
            Self::Describe => "DescribeMitigationAction",
        }
    }

    /// The task that the members give. What an operation does not take is a problem.
    fn read(self, reader: &mut Reader, members: &Members<'_>) -> Option<Task> {
        let refused: &[&str] = match self {
            Self::Create => &[],
            Self::Update => &["onConflict"],
            Self::Delete | Self::Describe => &["roleArn", "actionParams", "tags", "onConflict"],
        };
        for name in refused {
            let node = reader.member(members, name);
            if let Some(value) = node.value() {
                let takes = if self == Self::Update {
                    "actionName, roleArn, actionParams and tags"
                } else {
                    "actionName alone"
                };
                let legal = format!("nothing, as {} takes {takes}", self.as_str());
                reader.note(Problem::illegal(node.path(), &value.to_string(), &legal));
            }
        }
        let name: Option<ActionName> = reader.text(&reader.member(members, "actionName"));
        match self {
            Self::Create => Self::create(name, reader, members),
            Self::Update => Self::update(name, reader, members),
            Self::Delete => Some(Task::Delete(Delete {
                names: vec![name?],
                foreign: Foreign::Refuse,
                tell: true,
            })),
            Self::Describe => Some(Task::Describe(name?)),
        }
    }

    fn create(
        name: Option<ActionName>,
        reader: &mut Reader,
        members: &Members<'_>,
    ) -> Option<Task> {
        let role_arn: Option<RoleArn> = reader.text(&reader.member(members, "roleArn"));
        let params = reader.params(&reader.member(members, "actionParams"));
        let tags = reader.tags(&reader.member(members, "tags"));
        let on_conflict: OnConflict = reader.on_conflict(&reader.member(members, "onConflict"))?;
        let definition = Definition { role_arn: role_arn?, params: params? };
        Some(Task::Create(Create {
            name: name?,
            definition,
            tags,
            on_conflict,
            replay: Replay::Keep,
            undo: false,
        }))
    }

    fn update(
        name: Option<ActionName>,
        reader: &mut Reader,
        members: &Members<'_>,
    ) -> Option<Task> {
        let parts = ["roleArn", "actionParams", "tags"].map(|name| reader.member(members, name));
        let [role_arn, params, tags] = &parts;
        if parts.iter().all(|part| part.value().is_none()) {
            reader.note(Problem::other(
                &members.path("roleArn"),
                "missing, needed is at least one of roleArn, actionParams and tags",
            ));
        }
        let role_arn: Option<RoleArn> = reader.optional_text(role_arn);
        let params = params.value().and_then(|_| reader.params(params));
        let tags = reader.tags(tags);
        Some(Task::Update(Update {
            name: name?,
            change: Change::Parts { role_arn, params },
            tags,
            forgotten: Vec::new(),
        }))
    }
}

/// Notes what is wrong with the members that are there, where no operation tells which are needed.
fn check_members(reader: &mut Reader, members: &Members<'_>) -> Option<Task> {
    let [name, role_arn, params, tags, on_conflict] =
        ["actionName", "roleArn", "actionParams", "tags", "onConflict"]
            .map(|name| reader.member(members, name));
    reader.optional_text::<ActionName>(&name);
    reader.optional_text::<RoleArn>(&role_arn);
    if params.value().is_some() {
        reader.params(&params);
    }
    reader.tags(&tags);
    reader.on_conflict(&on_conflict);
    None
}

/// What a direct call's retries are recognised by.
struct RequestId(String);

impl Text for RequestId {
    const LEGAL: &'static str = "1 to 128 characters of [A-Za-z0-9_.:-]";

    fn parse(text: &str) -> Option<Self> {
        let is_legal = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-'));
        (is_legal && (1..=128).contains(&text.len())).then(|| Self(text.to_owned()))
    }
}

impl<'a> Part<'a> {
    fn done(outcome: &'a Outcome) -> Self {
        let action = outcome.action.as_ref();
        Self::Done {
            action_arn: action.map(|action| action.arn.as_str()),
            action_id: action.and_then(|action| action.id.as_deref()),
            action_type: action.and_then(|action| action.kind.as_deref()),
            outcome: outcome.verdict.as_str(),
            described: match &outcome.verdict {
                Verdict::Described(described) => Some(Description::of(described)),
                _ => None,
            },
        }
    }
}

impl<'a> Description<'a> {
    fn of(described: &'a Described) -> Self {
        Self {
            role_arn: described.role_arn.as_ref().map(RoleArn::as_str),
            action_params: described.params.as_ref(),
            tags: &described.tags,
            creation_date: described.created.as_ref().map(|moment| moment.text.as_str()),
            last_modified_date: described.modified.as_ref().map(|moment| moment.text.as_str()),
        }
    }
}

impl ErrorPart {
    fn of(failure: &Failure) -> Self {
        Self {
            code: failure.code.as_str(),
            message: message(failure),
            retryable: failure.code.is_retryable(),
        }
    }
}
