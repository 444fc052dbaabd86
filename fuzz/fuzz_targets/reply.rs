//! The reply under its size limit: any envelope, and anything that came of its request.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use laws::answer::{self, Given};
use libfuzzer_sys::{Corpus, fuzz_target};
use mitigation_action_provider::{
    mitigation::{Action, ActionName, Code, Failure, Outcome, Place, Problem, Text as _, Verdict},
    trigger::{Fields, api, cloudformation::Envelope},
};
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
        verdict: u8,
        name: &'a str,
        partition: u8,
        id: Option<Words<'a>>,
        kind: Option<&'a str>,
        notice: Option<Words<'a>>,
    },
    Nothing {
        verdict: u8,
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
        ("RequestType", given.kind),
        ("StackId", given.stack),
        ("RequestId", given.request),
        ("LogicalResourceId", given.logical),
        ("PhysicalResourceId", given.physical),
    ];
    let event = Value::from_iter(BTreeMap::from(members)).to_string();
    let envelope = Envelope::read(&Fields::of(&event).expect("it is an object"));
    answer::check(&envelope, &given, &result);
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
    fn result(&self) -> Option<Result<Outcome, Failure>> {
        const CODES: [Code; 8] = [
            Code::InvalidRequest,
            Code::ResourceAlreadyExists,
            Code::ResourceNotFound,
            Code::LimitExceeded,
            Code::AccessDenied,
            Code::Throttling,
            Code::InternalFailure,
            Code::InvalidSetting,
        ];
        const VERDICTS: [Verdict; 6] = [
            Verdict::Created,
            Verdict::Adopted,
            Verdict::Updated,
            Verdict::Deleted,
            Verdict::Absent,
            Verdict::Left,
        ];
        const PLACES: [(&str, &str); 3] = [
            ("aws", "eu-west-1"),
            ("aws-us-gov", "us-gov-west-1"),
            ("aws-iso-e", "eu-isoe-west-1"),
        ];

        let verdict_of = |by: u8| VERDICTS[usize::from(by) % VERDICTS.len()].clone();
        Some(match self {
            Self::Done { verdict, name, partition, id, kind, notice } => {
                let name = ActionName::parse(name)?;
                let (partition, region) = PLACES[usize::from(*partition) % PLACES.len()];
                let place = Place {
                    partition: partition.to_owned(),
                    region: region.to_owned(),
                    account: "123456789012".to_owned(),
                };
                // The service's own: an id of 36 characters, a type of 30 at most. What it may send one day has twice that.
                let service =
                    |text: String| text.chars().take(72).filter(char::is_ascii_graphic).collect();
                let action = Action {
                    arn: place.action_arn(&name),
                    name,
                    id: id.as_ref().map(|id| service(id.text())),
                    kind: kind.map(|kind| service(kind.to_owned())),
                };
                Ok(Outcome {
                    verdict: verdict_of(*verdict),
                    action: Some(action),
                    notice: notice.as_ref().map(Words::text),
                })
            }
            Self::Nothing { verdict, notice } => Ok(Outcome {
                verdict: verdict_of(*verdict),
                action: None,
                notice: notice.as_ref().map(Words::text),
            }),
            Self::Said { code, text, more } => {
                let failure = Failure::new(CODES[usize::from(*code) % CODES.len()], text.text());
                Err(match more {
                    Some(more) => failure.because(&more.text()),
                    None => failure,
                })
            }
            Self::Problems { problems, times } => {
                let problem = |fault: &Fault<'_>| match &fault.value {
                    Some(value) => {
                        Problem::illegal(&fault.path.text(), &value.text(), "what is legal")
                    }
                    None => Problem::missing(&fault.path.text(), "what is legal"),
                };
                let problems: Vec<Problem> = problems.iter().map(problem).collect();
                let count = problems.len() * usize::from(*times).clamp(1, 40);
                if problems.is_empty() || count > 60 {
                    return None;
                }
                Err(Failure::invalid(problems.into_iter().cycle().take(count).collect()))
            }
        })
    }
}
