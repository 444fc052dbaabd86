//! The parse of an invocation: any bytes, through the trigger that recognizes them, up to the first
//! call to AWS.

#![no_main]

use std::{collections::BTreeMap, sync::LazyLock};

use cloudformation_custom_resource::{Request as CustomResourceRequest, RequestType};
use libfuzzer_sys::{Corpus, fuzz_target};
use mitigation_action_provider::{
    handler::{ErrorType, FunctionError},
    mitigation::{
        CLAIMED_TAG, CREATED_TAG, Change, DeleteTarget, Detail, ErrorCode, Failure,
        FunctionLocation, OWNER_TAG, Outcome, Request, Success, Tags, Task,
    },
    trigger::{
        Payload, Plan, Step, Trigger, Unrecognized,
        api::{self, ApiRequest},
        cloudformation,
        eventbridge::{EventRequest, SOURCE},
        sqs::{Batch, batch_item_failures},
    },
};
use rules::{
    peak_memory::peak_of,
    response::{self, Given},
    response_url, trigger,
};
use serde::Deserialize as _;
use serde_bytes::{ByteBuf, Bytes};
use serde_json::{Value, value::RawValue};

const REGION: &str = "eu-west-1";

static ALLOWED: LazyLock<Vec<String>> =
    LazyLock::new(|| ["127.0.0.1", "localhost"].map(str::to_owned).into());

/// The function's location in the account of `events/`, and in an emulator.
static LOCATIONS: LazyLock<[FunctionLocation; 2]> = LazyLock::new(|| {
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:mitigation-action-provider";
    [FunctionLocation::new(arn, REGION), FunctionLocation::new("", REGION)]
});

fuzz_target!(|data: &[u8]| -> Corpus {
    // The runtime ignores what follows the first value, too.
    let Ok(payload) = Payload::deserialize(&mut serde_json::Deserializer::from_slice(data)) else {
        return Corpus::Reject;
    };
    let read = serde_json::Deserializer::from_slice(data).into_iter::<&RawValue>().next();
    let read = read.and_then(Result::ok).map(RawValue::get);
    // `serde_json` reads an object with its marker of raw JSON, however escaped, as another value.
    let is_plain = |text: &&str| !text.contains("RawValue") && !text.contains("\\u");
    let value = read.filter(is_plain).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let (recognized, peak) = peak_of(|| Trigger::recognize(&payload));
    assert!(peak <= 32 * 1024 + 16 * data.len(), "{peak} bytes for {} bytes", data.len());
    if let Some(value) = &value {
        let name = recognized.as_ref().map(|trigger| trigger.name().as_str()).ok();
        assert_eq!(name, trigger::name(value), "another trigger");
    }
    match recognized {
        Ok(Trigger::CloudFormation(request)) => {
            custom_resource(&request, read.expect("the payload is JSON"));
        }
        Ok(Trigger::Sns(contents)) => contents.iter().for_each(content),
        Ok(trigger @ (Trigger::EventBridge(_) | Trigger::OwnResult)) => {
            let is_own = value.as_ref().map(|value| value["source"] == SOURCE);
            let is_ignored = matches!(trigger, Trigger::OwnResult);
            assert!(
                is_own.is_none_or(|is_own| is_own == is_ignored),
                "a result event is taken for a request, or a request for a result event"
            );
            if let Trigger::EventBridge(request) = trigger {
                event_request(&request);
            }
        }
        Ok(Trigger::Sqs(batch)) => messages(batch),
        Ok(Trigger::Direct(request)) => api_request(&request),
        Err(error) => unrecognized(error),
    }
    Corpus::Keep
});

fn unrecognized(unrecognized: Unrecognized) {
    let error = FunctionError::from(unrecognized);
    assert_eq!(error.error_type, ErrorType::UnrecognizedEvent);
    assert!(!error.message.is_empty() && error.message.len() < 4096);
}

/// The rules of a custom resource request, and of what its response echoes of the event `text`.
fn custom_resource(request: &CustomResourceRequest, text: &str) {
    // Names are bytes: JSON's escapes can spell what is not Unicode.
    let members: BTreeMap<ByteBuf, &RawValue> =
        serde_json::from_str(text).expect("the payload is an object");
    let scalar = |name: &str| {
        let member = members.get(Bytes::new(name.as_bytes()))?.get();
        let raw = Some(member).filter(|raw| !raw.starts_with(['{', '[', 'n']))?;
        if raw.starts_with('"') { serde_json::from_str(raw).ok() } else { Some(raw.to_owned()) }
    };
    let [request_type, stack, id, logical, physical, url] = [
        "RequestType",
        "StackId",
        "RequestId",
        "LogicalResourceId",
        "PhysicalResourceId",
        "ResponseURL",
    ]
    .map(|name: &str| scalar(name).unwrap_or_default());
    let is_allowed = |hosts: &[String]| request.response_url(REGION, hosts).is_ok();
    assert_eq!(is_allowed(&[]), response_url::check(&url, REGION, &[]));
    assert_eq!(is_allowed(&ALLOWED), response_url::check(&url, REGION, &ALLOWED));
    if [&stack, &id, &logical, &physical].iter().any(|text| text.len() > 4096) {
        return resource(request);
    }
    assert_eq!((&request.request_id, &request.logical_resource_id), (&id, &logical));
    let given = Given {
        request_type: &request_type,
        stack: &stack,
        request: &id,
        logical: &logical,
        physical: &physical,
    };
    let mut answerable = response::with_url(request);
    for result in results(request) {
        response::check(&mut answerable, &given, &result);
    }
    resource(request);
}

/// Results that a request may have: the one that needs no call, a success, and failures.
fn results(request: &CustomResourceRequest) -> Vec<Result<Success, Failure>> {
    let mut results = vec![
        Err(Failure::service(ErrorCode::InternalFailure, "é".repeat(4096))),
        Err(Failure::service(ErrorCode::LimitExceeded, "x".repeat(5000))),
        Err(Failure::refusal(ErrorCode::AccessDenied, "\"\u{1}\n\\".repeat(1024))),
        Ok(Success::absent("n".repeat(5000))),
    ];
    for location in &*LOCATIONS {
        let plan = cloudformation::plan(request, location);
        if let Step::Respond(result) = plan.step {
            results.push(result);
        }
    }
    results
}

/// The rules of a custom resource request whose event is not at hand.
fn resource(request: &CustomResourceRequest) {
    for location in &*LOCATIONS {
        let Plan { step, warnings, .. } = cloudformation::plan(request, location);
        assert!(warnings.len() <= 10);
        match (request.request_type, step) {
            (Some(request_type), Step::Execute(planned)) => {
                stack_request(request_type, &planned, location);
            }
            (Some(RequestType::Delete), Step::Respond(Ok(success))) => {
                assert_eq!((&success.outcome, &success.action), (&Outcome::Absent, &None));
            }
            (Some(RequestType::Delete), Step::Respond(Err(failure))) => {
                panic!("a Delete that does no work fails: {failure}")
            }
            (_, Step::Respond(Err(failure))) => invalid(&failure),
            (request_type, _) => panic!("{request_type:?} is executed"),
        }
        let result = Err(Failure::service(ErrorCode::Throttling, "t".repeat(5000)));
        let response = response::respond(&mut response::with_url(request), &result);
        assert!(response.is_some_and(|response| response.len() <= 4096));
    }
}

fn stack_request(request_type: RequestType, planned: &Request, location: &FunctionLocation) {
    let is_here = location.location().is_none_or(|here| planned.location.as_ref() == Some(here));
    assert!(is_here, "a request for another location is executed");
    assert!(planned.owner.tag().starts_with("stack/") && planned.owner.adopted_tag().is_some());
    let is_update = request_type == RequestType::Update;
    let order = planned.stack.as_ref().expect("the request of a stack has a place in their order");
    assert!(is_update || (order.physical_name.is_none() && order.previous_name.is_none()));
    assert_eq!(order.record().is_none(), request_type == RequestType::Delete);
    match &planned.task {
        Task::Create(_) => assert_ne!(request_type, RequestType::Delete),
        Task::Update(_) => assert!(is_update),
        Task::Delete(_) => assert_eq!(request_type, RequestType::Delete),
        Task::Describe(_) => panic!("a stack describes an action"),
    }
    task(&planned.task);
}

/// The rules of a task.
fn task(task: &Task) {
    match task {
        Task::Create(create) => {
            tags(&create.tags);
            name(create.name.as_str());
            let role = create.definition.role_arn.as_str();
            assert!(role.starts_with("arn:aws") && role.contains(":role/") && role.len() <= 2048);
        }
        Task::Update(update) => {
            tags(&update.tags);
            name(update.name.as_str());
            let is_reserved =
                |key: &String| key.trim().to_ascii_lowercase().starts_with("mitigation-action-p");
            assert!(!update.previous_keys.iter().any(is_reserved), "a reserved tag is removed");
            if let Change::Parts { .. } = &update.change {
                assert!(update.previous_keys.is_empty());
            }
        }
        Task::Delete(delete) => match &delete.target {
            DeleteTarget::Named(given) | DeleteTarget::FailedCreate(given, _) => {
                name(given.as_str());
            }
            DeleteTarget::UnknownPhysicalId(_) | DeleteTarget::Nothing => {}
        },
        Task::Describe(given) => name(given.as_str()),
    }
}

fn tags(tags: &Tags) {
    assert!(tags.len() <= 47, "more tags than a user can set");
    assert!(![OWNER_TAG, CREATED_TAG, CLAIMED_TAG].iter().any(|key| tags.contains(key)));
    for (key, value) in tags.iter() {
        assert!((1..=128).contains(&key.chars().count()) && value.chars().count() <= 256);
        let plain = key.trim().to_ascii_lowercase();
        assert!(!plain.starts_with("mitigation-action-provider:") && !plain.starts_with("aws:"));
    }
}

fn name(name: &str) {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    assert!((1..=128).contains(&name.len()) && name.chars().all(is_valid), "{name:?}");
}

/// The rules of the failure of an invalid request.
fn invalid(failure: &Failure) {
    assert_eq!(failure.code, ErrorCode::InvalidRequest);
    let Detail::Problems(problems) = &failure.detail else { panic!("{failure}") };
    assert!(!problems.is_empty() && problems.first().len() <= problems.len());
    let bytes: usize = problems.first().iter().map(|problem| problem.as_str().len()).sum();
    assert!(bytes < 8192, "{bytes} bytes of problems are kept");
    assert!(FunctionError::from(failure).message.len() <= 4096);
}

/// The rules of a request in the API's JSON, and of its results.
fn api_request(request: &ApiRequest) {
    match request.task() {
        Ok(given) => {
            task(&given);
            assert!(request.action_name().is_some() && request.operation().is_some());
        }
        Err(failure) => invalid(&failure),
    }
    assert!(request.request_id().is_none_or(|id| (1..=128).contains(&id.len())));
    for result in api_results(request) {
        let document = serde_json::to_value(request.result(&result)).expect("a result is JSON");
        check_result(&document, request, &result);
    }
}

fn api_results(request: &ApiRequest) -> [Result<Success, Failure>; 3] {
    let throttled = || Failure::service(ErrorCode::Throttling, "\u{1f600}\"".repeat(2000));
    [
        Err(request.task().err().unwrap_or_else(throttled)),
        Ok(Success::absent("there is none")),
        Err(Failure::refusal(ErrorCode::ResourceNotFound, "there is none")),
    ]
}

fn check_result(document: &Value, request: &ApiRequest, result: &Result<Success, Failure>) {
    assert_eq!(document["status"], if result.is_ok() { "SUCCEEDED" } else { "FAILED" });
    assert_eq!(document["operation"], request.operation_text());
    assert_eq!(document["actionName"].as_str(), request.action_name());
    for text in [request.operation_text(), request.action_name().unwrap_or_default()] {
        assert!(text.chars().count() <= 256);
    }
    match result {
        Ok(success) => assert_eq!(document["outcome"], success.outcome.as_str()),
        Err(failure) => {
            let error = &document["error"];
            assert_eq!(error["code"], failure.code.as_str());
            assert_eq!(error["retryable"], failure.code.is_transient());
            assert!(error["message"].to_string().len() <= 4096 + 2, "a message of more than 4 KB");
            assert_eq!(error["message"], api::message(failure));
        }
    }
}

/// The rules of a request whose result is an event.
fn event_request(request: &EventRequest) {
    api_request(&request.api_request);
    let is_recognizable = !request.id().is_empty() || request.api_request.task().is_err();
    assert!(is_recognizable, "a redelivery would not be recognized");
    assert!(request.owner.tag().len() <= 256 && request.owner.adopted_tag().is_none());
    for result in api_results(&request.api_request) {
        let event = request.result_event(&result);
        let end = if result.is_ok() { "Succeeded" } else { "Failed" };
        assert_eq!(event.detail_type, format!("Mitigation Action Request {end}"));
        assert!(event.detail.len() < 16 * 1024, "{} bytes of detail", event.detail.len());
        let detail: Value = serde_json::from_str(&event.detail).expect("a detail is JSON");
        let id = detail["requestId"].as_str().expect("a detail has a request id");
        assert!(request.id().starts_with(id) && id.chars().count() <= 256);
        check_result(&detail, &request.api_request, &result);
    }
}

fn content(content: &Result<Trigger, Unrecognized>) {
    match content {
        Ok(Trigger::CloudFormation(request)) => resource(request),
        Ok(Trigger::EventBridge(request)) => event_request(request),
        Ok(Trigger::OwnResult) => {}
        Ok(Trigger::Sns(_) | Trigger::Sqs(_) | Trigger::Direct(_)) => {
            panic!("a message holds what only an event does")
        }
        Err(error) => unrecognized(error.clone()),
    }
}

/// The rules of a batch: each message is in one group, and the response lists their ids.
fn messages(batch: Batch) {
    let mut ids = Vec::new();
    for message in batch.groups().iter().flatten() {
        content(&message.content());
        ids.push(message.id.clone());
    }
    let failures = batch_item_failures(ids.iter().cloned()).expect("failures are JSON");
    let failures: Value = serde_json::from_str(failures.get()).expect("failures are JSON");
    let list = failures["batchItemFailures"].as_array().expect("the response has a list");
    assert!(
        list.iter()
            .map(|item| item["itemIdentifier"].as_str())
            .eq(ids.iter().map(|id| Some(id.as_str())))
    );
}
