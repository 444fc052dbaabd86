//! The response under its size limit: any request of a custom resource, and any outcome.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::{Corpus, fuzz_target};
use mitigation_action_provider::{
    mitigation::{
        Action, ActionName, ErrorCode, Failure, Location, Outcome, Parse as _, Problem, Problems,
        Success,
    },
    trigger::{Payload, Trigger, api, cloudformation::ResponseUrl},
};
use rules::response::{self, Given};
use serde_json::Value;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    kind: Kind<'a>,
    stack: Stack<'a>,
    request: Words<'a>,
    logical: Words<'a>,
    physical: Words<'a>,
    result: End<'a>,
}

#[derive(Arbitrary, Debug)]
enum Kind<'a> {
    Create,
    Update,
    Delete,
    Other(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Stack<'a> {
    Legal(Words<'a>),
    Other(Words<'a>),
}

/// A text of any length from an input of a few bytes.
#[derive(Arbitrary, Debug)]
struct Words<'a> {
    begins: &'a str,
    repeated: &'a str,
    times: u8,
}

#[derive(Arbitrary, Debug)]
enum End<'a> {
    Done {
        outcome: u8,
        name: &'a str,
        partition: u8,
        id: Option<Words<'a>>,
        kind: Option<&'a str>,
        notice: Option<Words<'a>>,
    },
    Nothing {
        outcome: u8,
        notice: Option<Words<'a>>,
    },
    Said {
        code: u8,
        text: Words<'a>,
        more: Option<Words<'a>>,
    },
    Problems {
        problems: Vec<Fault<'a>>,
        times: u8,
    },
}

#[derive(Arbitrary, Debug)]
struct Fault<'a> {
    path: Words<'a>,
    value: Option<Words<'a>>,
}

const URL: &str = "https://localhost/key?X-Amz-Date=20261124T000000Z&X-Amz-Expires=7200";

fuzz_target!(|input: Input<'_>| -> Corpus {
    let Some(result) = input.result.result() else { return Corpus::Reject };
    let kind = match input.kind {
        Kind::Create => "Create",
        Kind::Update => "Update",
        Kind::Delete => "Delete",
        Kind::Other(kind) => kind,
    };
    let stack = match &input.stack {
        Stack::Legal(name) => {
            format!("arn:aws:cloudformation:eu-west-1:123456789012:stack/{}/6f0c2b1e", name.text())
        }
        Stack::Other(text) => text.text(),
    };
    let [request, logical, physical] =
        [&input.request, &input.logical, &input.physical].map(Words::text);
    let given =
        Given { kind, stack: &stack, request: &request, logical: &logical, physical: &physical };
    let members = [
        ("ResponseURL", URL),
        ("RequestType", given.kind),
        ("StackId", given.stack),
        ("RequestId", given.request),
        ("LogicalResourceId", given.logical),
        ("PhysicalResourceId", given.physical),
    ];
    let event = Value::from_iter(BTreeMap::from(members)).to_string();
    let payload: Payload = serde_json::from_str(&event).expect("any payload is taken");
    let Ok(Trigger::CloudFormation(request)) = Trigger::recognise(&payload) else {
        panic!("a request with a ResponseURL is not recognised")
    };
    let url =
        ResponseUrl::parse(URL, "eu-west-1", &["localhost".to_owned()]).expect("it is allowed");
    response::check(&request, &url, &given, &result);
    if let Err(failure) = &result {
        let message = serde_json::to_string(&api::message(failure)).expect("a message is a string");
        assert!(message.len() - 2 <= 4096, "a message of {} bytes", message.len());
    }
    Corpus::Keep
});

impl Words<'_> {
    fn text(&self) -> String {
        let unit = if self.repeated.is_empty() { "\u{1}é\"😀" } else { self.repeated };
        self.begins.chars().chain(unit.chars().cycle().take(usize::from(self.times) * 24)).collect()
    }
}

impl End<'_> {
    fn result(&self) -> Option<Result<Success, Failure>> {
        const OUTCOMES: [Outcome; 7] = [
            Outcome::Created,
            Outcome::Adopted,
            Outcome::Updated,
            Outcome::Deleted,
            Outcome::Absent,
            Outcome::Released,
            Outcome::Skipped,
        ];
        const PLACES: [(&str, &str); 3] = [
            ("aws", "eu-west-1"),
            ("aws-us-gov", "us-gov-west-1"),
            ("aws-iso-e", "eu-isoe-west-1"),
        ];

        let outcome_of = |by: u8| OUTCOMES[usize::from(by) % OUTCOMES.len()].clone();
        Some(match self {
            Self::Done { outcome, name, partition, id, kind, notice } => {
                let name = ActionName::parse(name)?;
                let (partition, region) = PLACES[usize::from(*partition) % PLACES.len()];
                let location = Location {
                    partition: partition.to_owned(),
                    region: region.to_owned(),
                    account: "123456789012".to_owned(),
                };
                // The service's id has 36 characters, its type at most 30. It may send twice that one day.
                let service =
                    |text: String| text.chars().take(72).filter(char::is_ascii_graphic).collect();
                let action = Action {
                    arn: location.action_arn(&name),
                    name,
                    id: id.as_ref().map(|id| service(id.text())),
                    action_type: kind.map(|kind| service(kind.to_owned())),
                };
                Ok(Success {
                    outcome: outcome_of(*outcome),
                    action: Some(action),
                    notice: notice.as_ref().map(Words::text),
                })
            }
            Self::Nothing { outcome, notice } => Ok(Success {
                outcome: outcome_of(*outcome),
                action: None,
                notice: notice.as_ref().map(Words::text),
            }),
            Self::Said { code, text, more } => {
                let code = ErrorCode::ALL[usize::from(*code) % ErrorCode::ALL.len()];
                let failure = Failure::service(code, text.text());
                Err(match more {
                    Some(more) => failure.with_context(&more.text()),
                    None => failure,
                })
            }
            Self::Problems { problems, times } => {
                let problem = |fault: &Fault<'_>| match &fault.value {
                    Some(value) => {
                        Problem::invalid(&fault.path.text(), &value.text(), "another value")
                    }
                    None => Problem::missing(&fault.path.text(), "a value"),
                };
                let problems: Vec<Problem> = problems.iter().map(problem).collect();
                let count = problems.len() * usize::from(*times).clamp(1, 40);
                if problems.is_empty() || count > 60 {
                    return None;
                }
                let mut all = Problems::default();
                for problem in problems.into_iter().cycle().take(count) {
                    all.add(|| problem);
                }
                Err(Failure::invalid(all))
            }
        })
    }
}
