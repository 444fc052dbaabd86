//! The cost of an event is linear in its size: events of up to a megabyte, which repeat one value
//! wherever a list, an object or a string can be.

#![no_main]

use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use cloudformation_custom_resource::Request as CustomResourceRequest;
use libfuzzer_sys::{Corpus, fuzz_target};
use mitigation_action_provider::{
    mitigation::FunctionLocation,
    trigger::{Payload, Step, Trigger, Unrecognized, cloudformation},
};
use rules::{peak_memory::peak_of, response};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    place: u8,
    shape: Shape,
    piece: &'a str,
    thousands: u8,
}

#[derive(Arbitrary, Debug)]
enum Shape {
    List,
    Object,
    Text,
    Nested,
}

/// Events in which `@` stands for the repeated value.
const PLACES: [&str; 13] = [
    r#"{"ResponseURL":@,"StackId":"S","LogicalResourceId":"L","RequestType":"Delete"}"#,
    r#"{"ResponseURL":"https://localhost/","StackId":"S","LogicalResourceId":"L",
        "RequestType":"Create","ResourceProperties":@}"#,
    r#"{"ResponseURL":"https://localhost/","RequestType":"Update",
        "OldResourceProperties":{"Tags":@},"ResourceProperties":{}}"#,
    r#"{"ResponseURL":"https://localhost/","RequestType":"Create",
        "ResourceProperties":{"Tags":@,"CheckNames":@}}"#,
    r#"{"ResponseURL":"https://localhost/","RequestType":"Create","ResourceProperties":
        {"ActionParams":{"AddThingsToThingGroupParams":{"ThingGroupNames":@}}}}"#,
    r#"{"ResponseURL":"https://localhost/","RequestType":@,"StackId":@,"PhysicalResourceId":@}"#,
    r#"{"actionName":"a","actionParams":@,"tags":@}"#,
    r#"{"actionName":@,"operation":@}"#,
    r#"{"detail-type":"Mitigation Action Requested","source":@,"id":@,"detail":@}"#,
    r#"{"Records":@}"#,
    r#"{"Records":[{"eventSource":"aws:sqs","messageId":@,"body":@,"attributes":@}]}"#,
    r#"{"Records":[{"EventSource":"aws:sns","Sns":{"Message":@}}]}"#,
    "@",
];

fuzz_target!(|input: Input<'_>| -> Corpus {
    let piece = if input.piece.is_empty() || input.piece.len() > 64 { "{}" } else { input.piece };
    let is_value = serde_json::from_str::<&serde_json::value::RawValue>(piece).is_ok();
    let piece = if is_value { piece.to_owned() } else { serde_json::json!(piece).to_string() };
    let count = usize::from(input.thousands % 16) * 1000;
    let junk = input.shape.of(&piece, count);
    let event = PLACES[usize::from(input.place) % PLACES.len()].replace('@', &junk);
    let Ok(payload) = serde_json::from_str::<Payload>(&event) else { return Corpus::Reject };
    let began = Instant::now();
    let ((), peak) = peak_of(|| read(&payload));
    let took = began.elapsed();
    // The constant has room for the slices of 10,000 records in a list that grows by doubling.
    let limit = 512 * 1024 + 6 * event.len();
    assert!(peak <= limit, "{peak} bytes in use for an event of {} bytes", event.len());
    let limit = Duration::from_millis(300) + Duration::from_micros(3) * event.len() as u32;
    assert!(took <= limit, "{took:?} for an event of {} bytes", event.len());
    Corpus::Keep
});

impl Shape {
    fn of(&self, piece: &str, count: usize) -> String {
        match self {
            Self::List => format!("[{}]", vec![piece; count].join(",")),
            Self::Object => {
                let members: Vec<String> =
                    (0..count).map(|index| format!("\"n{index}\":{piece}")).collect();
                format!("{{{}}}", members.join(","))
            }
            Self::Text => serde_json::json!(piece.repeat(count)).to_string(),
            Self::Nested => format!("{}{piece}{}", "[".repeat(count), "]".repeat(count)),
        }
    }
}

/// Reads an event up to the first call to AWS.
fn read(payload: &Payload) {
    read_recognized(Trigger::recognize(payload));
}

fn read_recognized(recognized: Result<Trigger, Unrecognized>) {
    match recognized {
        Ok(Trigger::CloudFormation(mut request)) => plan(&mut request),
        Ok(Trigger::Sns(contents)) => contents.into_iter().for_each(read_recognized),
        Ok(Trigger::EventBridge(request)) => drop(request.api_request.task()),
        Ok(Trigger::OwnResult) | Err(_) => {}
        Ok(Trigger::Sqs(batch)) => {
            batch.groups().iter().flatten().for_each(|message| read_recognized(message.content()));
        }
        Ok(Trigger::Direct(request)) => drop(request.task()),
    }
}

fn plan(request: &mut CustomResourceRequest) {
    let plan = cloudformation::plan(request, &FunctionLocation::new("", "eu-west-1"));
    if let Step::Respond(result) = plan.step {
        let response = response::respond(request, &result);
        assert!(response.is_none_or(|response| response.len() <= 4096));
    }
}
