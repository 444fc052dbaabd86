//! The whole parse of an invocation: any bytes, by whichever way in they are recognised, as far as it goes without a call.

#![no_main]

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use laws::{
    answer::{self, Given},
    host,
};
use libfuzzer_sys::{Corpus, fuzz_target};
use mitigation_action_provider::{
    handler::FunctionError,
    mitigation::{
        Action, Change, Code, Detail, Failure, OWNER_TAG, Outcome, Owner, RESERVED_PREFIX, Tags,
        Task, Verdict,
    },
    trigger::{
        Home, Payload, Trigger, Unrecognized,
        api::Call,
        batch::{self, Batch, Content},
        cloudformation::{Ask, Envelope},
        eventbridge::{Event, REQUESTED, Requested, SOURCE},
    },
};
use serde::Deserialize as _;
use serde_json::{Value, value::RawValue};

static ALLOWED: LazyLock<Vec<String>> =
    LazyLock::new(|| ["127.0.0.1", "localhost"].map(str::to_owned).into());

/// Where the samples' stack is, and an emulator.
static HOMES: LazyLock<[Home; 2]> = LazyLock::new(|| {
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:mitigation-action-provider";
    [Home::new(arn, "eu-west-1"), Home::new("", "eu-west-1")]
});

fuzz_target!(|data: &[u8]| -> Corpus {
    // As the runtime does it: what is behind the first value is not looked at.
    let Ok(payload) = Payload::deserialize(&mut serde_json::Deserializer::from_slice(data)) else {
        return Corpus::Reject;
    };
    let read = serde_json::Deserializer::from_slice(data)
        .into_iter::<&RawValue>()
        .next()
        .and_then(Result::ok)
        .map(RawValue::get);
    // An object with this member, however it is escaped, is another value to `serde_json`.
    let is_plain = |text: &&str| !text.contains("RawValue") && !text.contains("\\u");
    let value = read.filter(is_plain).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let recognised = Trigger::recognise(&payload);
    if let Some(value) = &value {
        assert_eq!(recognised.as_ref().map(Trigger::name).ok(), trigger(value), "another way in");
    }
    match recognised {
        Ok(Trigger::CloudFormation(envelope)) => {
            custom_resource(&envelope, read.expect("it is JSON"))
        }
        Ok(Trigger::Notification(requests)) => {
            assert_eq!(
                Some(requests.len()),
                records(read).map(|records| records.len()),
                "a record is lost"
            );
            requests.iter().for_each(|request| match request {
                Ok(envelope) => resource(envelope),
                Err(unrecognized) => refused(*unrecognized),
            });
        }
        Ok(Trigger::Event(event)) => {
            let is_own = value.as_ref().map(|value| value["source"] == SOURCE);
            assert!(
                is_own.is_none_or(|is_own| is_own == matches!(event, Event::OwnResult)),
                "a result taken for a request"
            );
            if let Event::Requested(requested) = event {
                result_event(&requested);
            }
        }
        Ok(Trigger::Batch(batch)) => messages(batch, read),
        Ok(Trigger::Direct(given)) => call(&given),
        Err(unrecognized) => refused(unrecognized),
    }
    Corpus::Keep
});

/// The way in, by the table of the contract.
fn trigger(value: &Value) -> Option<&'static str> {
    let members = value.as_object()?;
    let is_given = |name: &str| members.get(name).is_some_and(|value| !value.is_null());
    if is_given("ResponseURL") {
        return Some("cloudformation");
    }
    if is_given("Records") {
        let any = |name: &str, source: &str| {
            members["Records"].as_array()?.iter().any(|record| record[name] == source).then_some(())
        };
        return any("eventSource", "aws:sqs")
            .map(|()| "sqs")
            .or_else(|| any("EventSource", "aws:sns").map(|()| "sns"));
    }
    if ["detail-type", "source", "detail"].iter().all(|name| members.contains_key(*name)) {
        return (members["source"] == SOURCE || members["detail-type"] == REQUESTED)
            .then_some("eventbridge");
    }
    (members.contains_key("actionName") || members.contains_key("operation")).then_some("direct")
}

fn refused(unrecognized: Unrecognized) {
    let error = FunctionError::from(unrecognized);
    assert!(error.kind == "UnrecognizedEvent" && !error.message.is_empty());
}

fn records(text: Option<&str>) -> Option<Vec<&RawValue>> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text?).ok()?;
    serde_json::from_str(members.get("Records")?.get()).ok()
}

/// A request whose own text is at hand: besides the laws of any, what is echoed, and that nothing of the URL is told.
fn custom_resource(envelope: &Envelope, text: &str) {
    let mut members: BTreeMap<String, &RawValue> =
        serde_json::from_str(text).expect("it is an object");
    let scalar = |name: &str| match serde_json::from_str(
        members.get(name).filter(|raw| !raw.get().starts_with('{'))?.get(),
    )
    .ok()?
    {
        Value::String(text) => Some(text),
        other @ (Value::Bool(_) | Value::Number(_)) => Some(other.to_string()),
        _ => None,
    };
    let [kind, stack, request, logical, physical, url] = [
        "RequestType",
        "StackId",
        "RequestId",
        "LogicalResourceId",
        "PhysicalResourceId",
        "ResponseURL",
    ]
    .map(|name| scalar(name).unwrap_or_default());
    assert_eq!(
        [
            envelope.request_type(),
            envelope.request_id().to_owned(),
            envelope.logical_id().to_owned()
        ],
        [&kind, &request, &logical].map(String::clone)
    );
    assert_eq!(envelope.response_url(&[]).is_ok(), host::check(&url, &[]));
    assert_eq!(envelope.response_url(&ALLOWED).is_ok(), host::check(&url, &ALLOWED));

    let given = Given {
        kind: &kind,
        stack: &stack,
        request: &request,
        logical: &logical,
        physical: &physical,
    };
    let answers: Vec<String> =
        results(envelope).iter().map(|result| answer::check(envelope, &given, result)).collect();

    // JSON in a string is a string: what is no scalar is no name.
    let properties = members
        .get("ResourceProperties")
        .and_then(|raw| serde_json::from_str::<BTreeMap<String, &RawValue>>(raw.get()).ok());
    let is_named_by_object = properties.is_some_and(|properties| {
        properties.get("ActionName").is_some_and(|raw| raw.get().starts_with('{'))
    });
    let is_made = || matches!(envelope.ask(&HOMES[0]), Ask::Work(request) if !matches!(request.task, Task::Delete(_)));
    assert!(!is_named_by_object || !is_made(), "an object is taken for a name");

    // What is answered does not depend on the URL, so no part of it can be in an answer.
    let other: Box<RawValue> =
        RawValue::from_string("\"https://localhost/\"".to_owned()).expect("it is JSON");
    members.insert("ResponseURL".to_owned(), &other);
    let payload: Payload =
        serde_json::from_str(&serde_json::to_string(&members).expect("it is JSON"))
            .expect("it is any payload");
    let Ok(Trigger::CloudFormation(twin)) = Trigger::recognise(&payload) else {
        panic!("the URL decides the way in")
    };
    let told: Vec<String> = results(&twin).iter().map(|result| twin.answer(result)).collect();
    assert_eq!(answers, told, "the answer depends on the URL");
    resource(envelope);
}

/// What may come of a request: what is clear without a call, each kind of success and of failure.
fn results(envelope: &Envelope) -> Vec<Result<Outcome, Failure>> {
    let mut results = vec![
        Err(Failure::new(Code::InternalFailure, "é".repeat(4096))),
        Err(Failure::new(Code::LimitExceeded, "x".repeat(5000))),
        Err(Failure::new(Code::AccessDenied, "\"\u{1}\n\\".repeat(1024))),
        Ok(Outcome { verdict: Verdict::Left, action: None, notice: Some("n".repeat(5000)) }),
    ];
    for home in &*HOMES {
        match envelope.ask(home) {
            Ask::Settled(settled) => results.push(settled),
            Ask::Work(request) => {
                let name = match &request.task {
                    Task::Create(create) => Some(&create.name),
                    Task::Update(update) => Some(&update.name),
                    Task::Delete(delete) => delete.names.first(),
                    Task::Describe(name) => Some(name),
                };
                let action = name.zip(request.place.as_ref()).map(|(name, place)| Action {
                    name: name.clone(),
                    arn: place.action_arn(name),
                    id: Some("6f0c2b1e-1d2c-4b7a-9a53-0a1b2c3d4e5f".to_owned()),
                    kind: Some("REPLACE_DEFAULT_POLICY_VERSION".to_owned()),
                });
                results.push(Ok(Outcome { verdict: Verdict::Created, action, notice: None }));
            }
        }
    }
    results
}

/// The laws of any request of a custom resource.
fn resource(envelope: &Envelope) {
    assert!(envelope.service_timeout().is_none_or(|time| (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&time)));
    for home in &*HOMES {
        match (envelope.request_type().as_str(), envelope.ask(home)) {
            (kind @ ("Create" | "Update" | "Delete"), Ask::Work(request)) => {
                assert!(
                    home.place().is_none_or(|place| request.place.as_ref() == Some(place)),
                    "work elsewhere"
                );
                assert!(
                    request.owner.made().starts_with("stack/") && request.owner.adopted().is_some()
                );
                match &request.task {
                    Task::Create(create) => {
                        assert!(kind != "Delete" && create.undo == (kind == "Update"))
                    }
                    Task::Update(_) => assert_eq!(kind, "Update"),
                    Task::Delete(delete) => {
                        assert!(kind == "Delete" && delete.names.len() <= 2 && !delete.tell)
                    }
                    Task::Describe(_) => panic!("no stack asks for that"),
                }
                task(&request.task);
                assert!(
                    matches!(envelope.ask(home), Ask::Work(again) if again == request),
                    "asked differently the second time"
                );
            }
            (
                "Delete",
                Ask::Settled(Ok(Outcome { verdict: Verdict::Left, action: None, notice: Some(_) })),
            ) => {}
            ("Delete", Ask::Settled(_)) => panic!("a delete that cannot be anybody's succeeds"),
            (_, Ask::Settled(Err(failure))) => invalid(&failure),
            (kind, _) => panic!("{kind:?} is worked"),
        }
        let result = Err(Failure::new(Code::Throttling, "t".repeat(5000)));
        assert!(envelope.answer(&result).len() <= 4096);
    }
}

/// The laws of what is to be done.
fn task(task: &Task) {
    let tags = |tags: &Tags| {
        assert!(tags.len() <= 49 && tags.owner().is_none(), "tags that no user may set");
        for (key, value) in tags.iter() {
            assert!((1..=128).contains(&key.chars().count()) && value.chars().count() <= 256);
            assert!(
                !key.starts_with(RESERVED_PREFIX)
                    && key != OWNER_TAG
                    && !key.to_ascii_lowercase().starts_with("aws:")
            );
        }
    };
    let name = |name: &str| {
        let is_legal = |c: char| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_');
        assert!(
            (1..=128).contains(&name.len()) && name.chars().all(is_legal),
            "{name:?} is no action's"
        );
    };
    match task {
        Task::Create(create) => {
            tags(&create.tags);
            name(create.name.as_str());
            assert!((20..=2048).contains(&create.definition.role_arn.as_str().chars().count()));
        }
        Task::Update(update) => {
            tags(&update.tags);
            name(update.name.as_str());
            assert!(
                update.forgotten.iter().all(|key| !key.starts_with(RESERVED_PREFIX)),
                "the provider's own tag is taken off"
            );
            if let Change::Parts { role_arn: None, params: None } = &update.change {
                assert!(update.forgotten.is_empty());
            }
        }
        Task::Delete(delete) => delete.names.iter().for_each(|given| name(given.as_str())),
        Task::Describe(given) => name(given.as_str()),
    }
}

/// A request that breaks rules is told all of them.
fn invalid(failure: &Failure) {
    assert_eq!(failure.code, Code::InvalidRequest);
    assert!(
        matches!(&failure.detail, Detail::Problems(problems) if !problems.is_empty()),
        "refused without a problem"
    );
    assert!(FunctionError::from(failure).message.len() <= 4096);
}

/// The laws of a call: its task, and the documents that may answer it.
fn call(call: &Call) {
    match call.task() {
        Ok(given) => {
            task(&given);
            assert!(call.action_name().is_some() && call.operation().ends_with("MitigationAction"));
        }
        Err(failure) => invalid(&failure),
    }
    assert!(call.request_id().is_none_or(|id| (1..=128).contains(&id.len())));
    for result in call_results(call) {
        let document = serde_json::to_value(call.document(&result)).expect("a document is JSON");
        documented(&document, call, &result);
    }
}

fn call_results(call: &Call) -> [Result<Outcome, Failure>; 3] {
    [
        Err(call
            .task()
            .err()
            .unwrap_or_else(|| Failure::new(Code::Throttling, "\u{1f600}\"".repeat(2000)))),
        Ok(Outcome { verdict: Verdict::Absent, action: None, notice: None }),
        Err(Failure::new(Code::ResourceNotFound, "there is none")),
    ]
}

fn documented(document: &Value, call: &Call, result: &Result<Outcome, Failure>) {
    assert_eq!(document["status"], if result.is_ok() { "SUCCEEDED" } else { "FAILED" });
    assert_eq!(document["operation"], call.operation());
    assert_eq!(document["actionName"].as_str(), call.action_name());
    match result {
        Ok(outcome) => assert_eq!(document["outcome"], outcome.verdict.as_str()),
        Err(failure) => {
            let error = &document["error"];
            assert_eq!(
                (error["code"].as_str(), error["retryable"].as_bool()),
                (Some(failure.code.as_str()), Some(failure.code.is_retryable()))
            );
            assert!(error["message"].to_string().len() <= 4096 + 2, "a message of more than 4 KB");
        }
    }
}

/// The laws of a request whose result is an event.
fn result_event(requested: &Requested) {
    call(&requested.call);
    assert_eq!(requested.call.request_id(), None, "only a direct call may give its id");
    assert!(
        !requested.id().is_empty() || requested.call.task().is_err(),
        "nothing would tell a second delivery"
    );
    assert!(requested.owner.made().len() <= 256 && requested.owner.adopted().is_none());
    for result in call_results(&requested.call) {
        let event = requested.result(&result);
        let words = if result.is_ok() {
            "Mitigation Action Request Succeeded"
        } else {
            "Mitigation Action Request Failed"
        };
        assert_eq!(event.detail_type, words);
        let detail: Value = serde_json::from_str(&event.detail).expect("a detail is JSON");
        assert!(detail["requestId"] == requested.id() && detail["requestSource"].is_string());
        documented(&detail, &requested.call, &result);
    }
}

/// The laws of a batch: every message is in one lane, those of an action in one and in turn, and only its ids come again.
fn messages(batch: Batch, text: Option<&str>) {
    let records = records(text).expect("a batch has records");
    let member = |record: &RawValue, name: &str| {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(record.get()).ok()?;
        serde_json::from_str::<String>(members.get(name)?.get()).ok()
    };
    let mut given: Vec<String> =
        records.iter().map(|record| member(record, "messageId").unwrap_or_default()).collect();
    let lanes = batch.lanes();
    let mut lane_of: BTreeMap<String, usize> = BTreeMap::new();
    for (index, lane) in lanes.iter().enumerate() {
        for message in lane {
            if let Content::Requested(requested) = &message.content {
                result_event(requested);
                let is_message = requested.owner == Owner::message(&message.id);
                assert!(is_message || requested.owner.made().starts_with("event/"));
                if let Some(name) = requested.call.action_name() {
                    assert_eq!(
                        *lane_of.entry(name.to_owned()).or_insert(index),
                        index,
                        "an action is in two lanes"
                    );
                }
            }
        }
    }
    let mut ids: Vec<String> = lanes.into_iter().flatten().map(|message| message.id).collect();
    let failures = batch::failures(ids.iter().step_by(2).cloned()).expect("failures are JSON");
    let failures: Value = serde_json::from_str(failures.get()).expect("failures are JSON");
    let failed: Vec<&str> = failures["batchItemFailures"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item["itemIdentifier"].as_str())
        .collect();
    assert!(failed.iter().eq(ids.iter().step_by(2)), "other messages come again");
    ids.sort_unstable();
    given.sort_unstable();
    assert_eq!(ids, given, "a message is lost or made up");
}
