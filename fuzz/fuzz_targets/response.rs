//! The response and its size limit: any custom resource request, with any result.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::{Corpus, fuzz_target};
use mitigation_action_provider::{
    mitigation::{
        Action, ActionName, ErrorCode, Failure, Location, Outcome, Parse as _, Problem, Problems,
        Success,
    },
    trigger::{Payload, Trigger, api},
};
use rules::response::{self, Given, URL};
use serde_json::Value;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    request_type: RequestType<'a>,
    stack: Stack<'a>,
    request: Text<'a>,
    logical: Text<'a>,
    physical: Text<'a>,
    ending: Ending<'a>,
}

#[derive(Arbitrary, Debug)]
enum RequestType<'a> {
    Create,
    Update,
    Delete,
    Other(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Stack<'a> {
    Valid(Text<'a>),
    Other(Text<'a>),
}

/// A text of any length, from a few bytes of input.
#[derive(Arbitrary, Debug)]
struct Text<'a> {
    begins: &'a str,
    repeated: &'a str,
    times: u8,
}

#[derive(Arbitrary, Debug)]
enum Ending<'a> {
    WithAction {
        outcome: u8,
        name: &'a str,
        partition: u8,
        id: Option<Text<'a>>,
        kind: Option<&'a str>,
        notice: Option<Text<'a>>,
    },
    WithoutAction {
        outcome: u8,
        notice: Option<Text<'a>>,
    },
    ServiceError {
        code: u8,
        text: Text<'a>,
        more: Option<Text<'a>>,
    },
    Problems {
        problems: Vec<InvalidValue<'a>>,
        times: u8,
    },
}

#[derive(Arbitrary, Debug)]
struct InvalidValue<'a> {
    path: Text<'a>,
    value: Option<Text<'a>>,
}

fuzz_target!(|input: Input<'_>| -> Corpus {
    let Some(result) = input.ending.result() else { return Corpus::Reject };
    let request_type = match input.request_type {
        RequestType::Create => "Create",
        RequestType::Update => "Update",
        RequestType::Delete => "Delete",
        RequestType::Other(text) => text,
    };
    let stack = match &input.stack {
        Stack::Valid(name) => {
            format!("arn:aws:cloudformation:eu-west-1:123456789012:stack/{}/6f0c2b1e", name.text())
        }
        Stack::Other(text) => text.text(),
    };
    let [request, logical, physical] =
        [&input.request, &input.logical, &input.physical].map(Text::text);
    let given = Given {
        request_type,
        stack: &stack,
        request: &request,
        logical: &logical,
        physical: &physical,
    };
    let members = [
        ("ResponseURL", URL),
        ("RequestType", given.request_type),
        ("StackId", given.stack),
        ("RequestId", given.request),
        ("LogicalResourceId", given.logical),
        ("PhysicalResourceId", given.physical),
    ];
    let event = Value::from_iter(BTreeMap::from(members)).to_string();
    let payload: Payload = serde_json::from_str(&event).expect("any JSON is a payload");
    let Ok(Trigger::CloudFormation(mut request)) = Trigger::recognize(&payload) else {
        panic!("a request with a ResponseURL is not recognized")
    };
    response::check(&mut request, &given, &result);
    if let Err(failure) = &result {
        let message = serde_json::to_string(&api::message(failure)).expect("a message is a string");
        assert!(message.len() - 2 <= 4096, "a message of {} bytes", message.len());
    }
    Corpus::Keep
});

impl Text<'_> {
    fn text(&self) -> String {
        let unit = if self.repeated.is_empty() { "\u{1}é\"😀" } else { self.repeated };
        self.begins.chars().chain(unit.chars().cycle().take(usize::from(self.times) * 24)).collect()
    }
}

const OUTCOMES: [Outcome; 7] = [
    Outcome::Created,
    Outcome::Adopted,
    Outcome::Updated,
    Outcome::Deleted,
    Outcome::Absent,
    Outcome::Released,
    Outcome::Skipped,
];

const LOCATIONS: [(&str, &str); 3] =
    [("aws", "eu-west-1"), ("aws-us-gov", "us-gov-west-1"), ("aws-iso-e", "eu-isoe-west-1")];

impl Ending<'_> {
    fn result(&self) -> Option<Result<Success, Failure>> {
        let outcome_of = |by: u8| OUTCOMES[usize::from(by) % OUTCOMES.len()].clone();
        Some(match self {
            Self::WithAction { outcome, name, partition, id, kind, notice } => Ok(Success {
                outcome: outcome_of(*outcome),
                action: Some(action(name, *partition, id.as_ref(), *kind)?),
                notice: notice.as_ref().map(Text::text),
            }),
            Self::WithoutAction { outcome, notice } => Ok(Success {
                outcome: outcome_of(*outcome),
                action: None,
                notice: notice.as_ref().map(Text::text),
            }),
            Self::ServiceError { code, text, more } => {
                let code = ErrorCode::ALL[usize::from(*code) % ErrorCode::ALL.len()];
                let failure = Failure::service(code, text.text());
                Err(match more {
                    Some(more) => failure.with_context(&more.text()),
                    None => failure,
                })
            }
            Self::Problems { problems, times } => {
                Err(Failure::invalid(repeated(problems, usize::from(*times))?))
            }
        })
    }
}

fn action(
    name: &str,
    partition: u8,
    id: Option<&Text<'_>>,
    action_type: Option<&str>,
) -> Option<Action> {
    let name = ActionName::parse(name)?;
    let (partition, region) = LOCATIONS[usize::from(partition) % LOCATIONS.len()];
    let location = Location {
        partition: partition.to_owned(),
        region: region.to_owned(),
        account: "123456789012".to_owned(),
    };
    // AWS IoT's ids have 36 characters, its types at most 30: twice that must fit, too.
    let cut = |text: String| text.chars().take(72).filter(char::is_ascii_graphic).collect();
    Some(Action {
        arn: name.arn(&location),
        name,
        id: id.map(|id| cut(id.text())),
        action_type: action_type.map(|text| cut(text.to_owned())),
    })
}

/// The problems of the values, up to forty times over, but no more than sixty.
fn repeated(values: &[InvalidValue<'_>], times: usize) -> Option<Problems> {
    let count = values.len() * times.clamp(1, 40);
    if values.is_empty() || count > 60 {
        return None;
    }
    let problem = |invalid: &InvalidValue<'_>| match &invalid.value {
        Some(value) => Problem::invalid(&invalid.path.text(), &value.text(), "another value"),
        None => Problem::missing(&invalid.path.text(), "a value"),
    };
    let mut problems = Problems::default();
    for invalid in values.iter().cycle().take(count) {
        problems.add(|| problem(invalid));
    }
    Some(problems)
}
