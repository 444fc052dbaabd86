//! The other triggers: events, queues, topics, direct calls.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use stand_ins::{
    bus::Event,
    fault::Fault,
    iot::{Call, Iot},
    lambda::Returned,
    queue::{Message, Queue},
    stack::{World, merged},
};

use crate::{lifecycle::OWNER_TAG, sample, world, world_with};

const BUS: &str = "mitigation-action-results";
const NAME: &str = "device-quarantine";
const EVENTS_TAG: &str = "event/com.example.fleet/7bf73129-1428-4cd3-a780-95db273d1601";
const STACKS_TAG: &str = "stack/another/00000000-0000-4000-8000-000000000000/Quarantine";

/// What an invocation that is no custom resource's came to.
struct Sent {
    returned: Returned,
    events: Vec<Event>,
    calls: Vec<Call>,
}

impl Sent {
    #[track_caller]
    fn succeeded(&self, outcome: &str) -> &Value {
        let document = self.returned.as_ref().unwrap();
        assert_eq!(
            (&document["status"], &document["outcome"]),
            (&json!("SUCCEEDED"), &json!(outcome)),
            "{document}"
        );
        document
    }

    #[track_caller]
    fn errored(&self, kind: &str) -> &str {
        let error = self.returned.as_ref().unwrap_err();
        assert_eq!(error["errorType"], kind, "{error}");
        error["errorMessage"].as_str().unwrap()
    }

    #[track_caller]
    fn only_event(&self) -> &Event {
        let [event] = self.events.as_slice() else { panic!("{:?}", self.events) };
        event
    }

    /// Reported on the bus as failed for good, and not an error.
    #[track_caller]
    fn reported(&self, code: &str) -> &str {
        let event = self.only_event();
        assert_eq!(event.detail_type, "Mitigation Action Request Failed");
        assert_eq!(
            (&event.detail["status"], &event.detail["error"]["code"]),
            (&json!("FAILED"), &json!(code)),
            "{event:?}"
        );
        assert_eq!(event.detail["error"]["retryable"], false);
        assert_eq!(self.returned.as_ref().unwrap()["error"], event.detail["error"]);
        event.detail["error"]["message"].as_str().unwrap()
    }

    fn operations(&self) -> Vec<&str> {
        self.calls.iter().map(|call| call.operation).collect()
    }

    #[track_caller]
    fn changed_nothing(&self) {
        let changes: Vec<&Call> =
            self.calls.iter().filter(|call| call.is_change() && call.status != 409).collect();
        assert!(changes.is_empty(), "{changes:?}");
    }
}

async fn send(world: &World, event: &Value) -> Sent {
    world.aws.iot.take_calls();
    world.aws.bus.take();
    let returned =
        world.aws.lambda.invoke(event.to_string().into_bytes(), world.timeout, &world.arn).await;
    let events = world.aws.bus.take();
    for event in &events {
        crate::schemas::check_result(&event.detail_type, &event.detail);
    }
    Sent { returned, events, calls: world.aws.iot.take_calls() }
}

async fn world_with_bus() -> World {
    world_with(&[("RESULT_EVENT_BUS", BUS)]).await
}

fn create() -> Value {
    sample("event-create.json")
}

fn event(detail: &Value) -> Value {
    merged(create(), &json!({ "detail": detail }))
}

fn of(id: &str, event: Value) -> Value {
    merged(event, &json!({ "id": id }))
}

#[tokio::test]
async fn a_create_event_is_one_call_and_its_result_comes_back_on_the_bus() {
    let world = world_with_bus().await;
    let sent = send(&world, &create()).await;
    assert_eq!(sent.operations(), ["CreateMitigationAction"]);
    let action = world.aws.iot.action(NAME).unwrap();
    assert_eq!(action.tags[OWNER_TAG], EVENTS_TAG);
    let document = json!({
        "status": "SUCCEEDED", "operation": "CreateMitigationAction", "actionName": NAME, "actionArn": Iot::arn(NAME),
        "actionId": action.id, "actionType": "ADD_THINGS_TO_THING_GROUP", "outcome": "CREATED",
    });
    assert_eq!(sent.returned, Ok(document.clone()));
    let event = sent.only_event();
    assert_eq!((event.bus.as_str(), event.source.as_str()), (BUS, "mitigation-action-provider"));
    assert_eq!(event.detail_type, "Mitigation Action Request Succeeded");
    assert_eq!(event.resources, [Iot::arn(NAME)]);
    let whose = json!({ "requestId": create()["id"], "requestSource": "com.example.fleet" });
    assert_eq!(event.detail, merged(document, &whose));
}

#[tokio::test]
async fn without_a_bus_the_result_is_returned_alone() {
    let world = world().await;
    let sent = send(&world, &create()).await;
    sent.succeeded("CREATED");
    assert_eq!(world.aws.bus.calls(), 0);
}

#[tokio::test]
async fn a_create_event_delivered_again_reports_the_same_and_changes_nothing() {
    for takes_replays in [true, false] {
        let world = world_with_bus().await;
        let first = send(&world, &create()).await;
        world.aws.iot.set_takes_replays(takes_replays);
        // Changed since: what is there is reported, not brought back.
        let update = send(&world, &sample("event-update.json")).await;
        update.succeeded("UPDATED");
        let actions = world.aws.iot.actions();
        let again = send(&world, &create()).await;
        assert_eq!(again.returned, first.returned);
        again.changed_nothing();
        assert_eq!(again.only_event().detail, first.only_event().detail);
        assert_eq!(world.aws.iot.actions(), actions);
    }
}

#[tokio::test]
async fn the_four_operations_answer_with_their_outcomes() {
    let world = world_with_bus().await;
    send(&world, &create()).await.succeeded("CREATED");
    let sent = send(&world, &sample("event-update.json")).await;
    let id = world.aws.iot.action(NAME).unwrap().id;
    let identity = json!({ "actionName": NAME, "actionArn": Iot::arn(NAME), "actionId": id, "actionType": "ADD_THINGS_TO_THING_GROUP" });
    let expected = |operation: &str, outcome: &str| {
        merged(
            identity.clone(),
            &json!({ "status": "SUCCEEDED", "operation": operation, "outcome": outcome }),
        )
    };
    assert_eq!(*sent.succeeded("UPDATED"), expected("UpdateMitigationAction", "UPDATED"));
    let action = world.aws.iot.action(NAME).unwrap();
    assert_eq!(
        action.params,
        json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["quarantine", "investigate"] } })
    );
    assert_eq!(
        (action.tags["team"].as_str(), action.tags["stage"].as_str()),
        ("iot-security", "prod"),
        "tags are set, none removed"
    );

    let sent = send(&world, &sample("event-describe.json")).await;
    let document = sent.succeeded("DESCRIBED");
    assert_eq!(document["roleArn"], "arn:aws:iam::123456789012:role/quarantine-things");
    assert_eq!(document["actionParams"], action.params);
    assert_eq!(document["tags"].as_array().unwrap().len(), 3);
    for date in ["creationDate", "lastModifiedDate"] {
        let date = document[date].as_str().unwrap();
        assert!(date.starts_with("20") && date.ends_with('Z') && date.contains('T'), "{date}");
    }

    let sent = send(&world, &sample("event-delete.json")).await;
    assert_eq!(*sent.succeeded("DELETED"), expected("DeleteMitigationAction", "DELETED"));
    let sent = send(&world, &sample("event-delete.json")).await;
    let absent = json!({ "status": "SUCCEEDED", "operation": "DeleteMitigationAction", "actionName": NAME, "outcome": "ABSENT" });
    assert_eq!(*sent.succeeded("ABSENT"), absent);
    assert!(sent.only_event().resources.is_empty());
}

#[tokio::test]
async fn an_update_of_parts_leaves_the_rest() {
    let world = world().await;
    send(&world, &create()).await;
    let before = world.aws.iot.action(NAME).unwrap();
    let role = "arn:aws:iam::123456789012:role/another-one";
    let sent = send(
        &world,
        &json!({ "operation": "UpdateMitigationAction", "actionName": NAME, "roleArn": role }),
    )
    .await;
    assert_eq!(sent.succeeded("UPDATED")["actionType"], "ADD_THINGS_TO_THING_GROUP");
    let after = world.aws.iot.action(NAME).unwrap();
    assert_eq!(
        (after.role_arn.as_str(), &after.params, &after.tags),
        (role, &before.params, &before.tags)
    );
    let tags = json!([{ "Key": "empty" }]);
    let sent = send(
        &world,
        &json!({ "operation": "UpdateMitigationAction", "actionName": NAME, "tags": tags }),
    )
    .await;
    sent.succeeded("UPDATED");
    assert!(!sent.operations().contains(&"UpdateMitigationAction"));
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags["empty"], "");
}

#[tokio::test]
async fn an_update_knows_the_arn_and_does_not_ask_for_it() {
    let world = world().await;
    send(&world, &event(&json!({ "tags": null }))).await.succeeded("CREATED");
    let update = merged(sample("event-update.json"), &json!({ "detail": { "tags": null } }));
    assert_eq!(
        send(&world, &update).await.operations(),
        ["ListTagsForResource", "UpdateMitigationAction"]
    );
}

#[tokio::test]
async fn update_and_describe_of_what_is_not_there_fail() {
    let world = world_with_bus().await;
    send(&world, &sample("event-update.json")).await.reported("ResourceNotFoundException");
    send(&world, &sample("event-describe.json")).await.reported("ResourceNotFoundException");
    let world = crate::world().await;
    send(&world, &sample("direct-describe.json")).await.errored("ResourceNotFoundException");
}

#[tokio::test]
async fn another_events_create_is_a_conflict_by_on_conflict() {
    let world = world_with_bus().await;
    send(&world, &create()).await.succeeded("CREATED");
    let before = world.aws.iot.action(NAME).unwrap();
    let other = |detail: Value| of("another", event(&detail));

    let said =
        send(&world, &other(json!({}))).await.reported("ResourceAlreadyExistsException").to_owned();
    assert!(said.contains(EVENTS_TAG) && said.contains(&Iot::arn(NAME)), "{said}");
    assert_eq!(world.aws.iot.action(NAME).unwrap(), before);

    let adopt = other(json!({ "onConflict": "adopt", "tags": [{ "Key": "new", "Value": "x" }] }));
    for _ in 0..2 {
        assert_eq!(send(&world, &adopt).await.succeeded("ADOPTED")["actionId"], before.id);
        let adopted = world.aws.iot.action(NAME).unwrap();
        assert_eq!(
            (adopted.tags[OWNER_TAG].as_str(), adopted.tags["new"].as_str()),
            (EVENTS_TAG, "x")
        );
    }

    let params = json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["other"] } });
    send(&world, &other(json!({ "onConflict": "adopt", "actionParams": params })))
        .await
        .reported("ResourceAlreadyExistsException");
    for _ in 0..2 {
        send(&world, &other(json!({ "onConflict": "overwrite", "actionParams": params })))
            .await
            .succeeded("UPDATED");
        let overwritten = world.aws.iot.action(NAME).unwrap();
        assert_eq!(
            overwritten.tags[OWNER_TAG], EVENTS_TAG,
            "the owner tag of what an event made stays"
        );
        assert_eq!(
            overwritten.params["addThingsToThingGroupParams"]["thingGroupNames"],
            json!(["other"])
        );
    }
}

#[tokio::test]
async fn what_nobody_owns_is_touched_by_adopt_and_overwrite_alone() {
    let world = world_with_bus().await;
    world.plant_different(NAME, &[]);
    let before = world.aws.iot.actions();
    send(&world, &create()).await.reported("ResourceAlreadyExistsException");
    send(&world, &event(&json!({ "onConflict": "adopt" })))
        .await
        .reported("ResourceAlreadyExistsException");
    send(&world, &sample("event-update.json")).await.reported("InvalidRequestException");
    send(&world, &sample("event-delete.json")).await.reported("InvalidRequestException");
    assert_eq!(world.aws.iot.actions(), before);
    send(&world, &sample("event-describe.json")).await.succeeded("DESCRIBED");

    let overwrite = event(&json!({ "onConflict": "overwrite" }));
    send(&world, &overwrite).await.succeeded("UPDATED");
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags[OWNER_TAG], EVENTS_TAG);
    send(&world, &overwrite).await.succeeded("CREATED");
}

#[tokio::test]
async fn adopting_what_nobody_owns_leaves_it_without_an_owner() {
    let world = world_with_bus().await;
    world.plant_identical(NAME, &[("theirs", "stays")]);
    let sent = send(&world, &event(&json!({ "onConflict": "adopt" }))).await;
    sent.succeeded("ADOPTED");
    let tags = world.aws.iot.action(NAME).unwrap().tags;
    assert_eq!(
        (tags.get(OWNER_TAG), tags["theirs"].as_str(), tags["team"].as_str()),
        (None, "stays", "iot-security")
    );
}

#[tokio::test]
async fn an_action_of_a_stack_is_never_changed() {
    let world = world_with_bus().await;
    for tag in [STACKS_TAG, "adopted/another/0/Quarantine"] {
        world.aws.iot.tamper(NAME, |action| *action = None);
        world.plant_identical(NAME, &[(OWNER_TAG, tag)]);
        let before = world.aws.iot.actions();
        for on_conflict in ["fail", "adopt", "overwrite"] {
            let sent = send(&world, &event(&json!({ "onConflict": on_conflict }))).await;
            assert!(sent.reported("ResourceAlreadyExistsException").contains(tag));
        }
        for file in ["event-update.json", "event-delete.json"] {
            let sent = send(&world, &sample(file)).await;
            assert!(sent.reported("InvalidRequestException").contains(tag));
        }
        assert_eq!(world.aws.iot.actions(), before);
        send(&world, &sample("event-describe.json")).await.succeeded("DESCRIBED");
    }
}

#[tokio::test]
async fn events_messages_and_direct_calls_share_what_they_made() {
    let world = world().await;
    send(&world, &create()).await.succeeded("CREATED");
    let update = json!({ "operation": "UpdateMitigationAction", "actionName": NAME, "tags": [{ "Key": "by", "Value": "a direct call" }] });
    send(&world, &update).await.succeeded("UPDATED");
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags[OWNER_TAG], EVENTS_TAG);
    let delete = Message {
        id: "m".to_owned(),
        body: json!({ "operation": "DeleteMitigationAction", "actionName": NAME }).to_string(),
        sent: 1,
        receives: 1,
    };
    assert_eq!(
        send(&world, &Queue::event(&[delete])).await.returned,
        Ok(json!({ "batchItemFailures": [] }))
    );
    assert!(world.aws.iot.actions().is_empty());
}

#[tokio::test]
async fn what_can_never_succeed_is_reported_or_without_a_bus_an_error() {
    let world = world_with_bus().await;
    let said = send(&world, &sample("event-invalid.json"))
        .await
        .reported("InvalidRequestException")
        .to_owned();
    for part in [
        "detail.actionName: \"fleet quarantine\"",
        "detail.roleArn: missing",
        "detail.actionParams.updateCaCertificateParams: unknown property",
        "updateCACertificateParams",
        "detail.onConflicts: unknown property",
        "onConflict",
    ] {
        assert!(said.contains(part), "{said} lacks {part}");
    }
    let world = crate::world().await;
    send(&world, &sample("event-invalid.json")).await.errored("InvalidRequestException");
    world.aws.iot.set_limit(0);
    send(&world, &create()).await.errored("LimitExceededException");
}

#[tokio::test]
async fn what_may_pass_is_an_error_and_not_reported() {
    for (fault, kind) in [
        (Fault::Throttle, "ThrottlingException"),
        (Fault::Refuse(500, "x"), "InternalFailureException"),
        (Fault::Hang, "InternalFailureException"),
    ] {
        let world = world_with_bus().await.with_timeout(Duration::from_secs(2));
        world.aws.iot.faults.set("*", fault, 1000);
        let sent = send(&world, &create()).await;
        sent.errored(kind);
        assert!(sent.events.is_empty());
        world.aws.iot.faults.clear();
        send(&world, &create()).await.succeeded("CREATED");
    }
}

#[tokio::test]
async fn a_denial_is_final_without_a_wait_for_roles() {
    let world = world_with(&[("RESULT_EVENT_BUS", BUS), ("ROLE_PROPAGATION_SECONDS", "15")]).await;
    world.aws.iot.faults.set("*", Fault::Refuse(403, "AccessDeniedException"), 1);
    send(&world, &create()).await.reported("AccessDeniedException");
}

#[tokio::test]
async fn a_result_that_could_not_be_published_is_an_error_and_the_retry_reports_it() {
    for (call, fault, times) in [
        ("entry", Fault::Refuse(0, "InternalFailure"), 1),
        ("PutEvents", Fault::Refuse(500, "InternalException"), 100),
        ("PutEvents", Fault::LoseBefore, 100),
        ("PutEvents", Fault::Hang, 100),
        ("PutEvents", Fault::Refuse(400, "AccessDeniedException"), 1),
    ] {
        let world = world_with_bus().await.with_timeout(Duration::from_secs(4));
        world.aws.bus.faults.set(call, fault, times);
        let sent = send(&world, &create()).await;
        sent.errored("UndeliverableResult");
        assert_eq!(world.aws.iot.actions().len(), 1, "the work is done");
        world.aws.bus.faults.clear();
        let again = send(&world, &create()).await;
        again.succeeded("CREATED");
        assert_eq!(again.only_event().detail["outcome"], "CREATED");
        assert_eq!(world.aws.iot.actions().len(), 1);
    }
}

#[tokio::test]
async fn own_results_are_ignored() {
    let world = world_with_bus().await;
    for file in ["event-result.json", "event-result-failed.json"] {
        let sent = send(&world, &sample(file)).await;
        assert_eq!(sent.returned, Ok(json!({ "status": "IGNORED" })));
        assert!(sent.events.is_empty() && sent.calls.is_empty());
    }
    let disguised = merged(create(), &json!({ "source": "mitigation-action-provider" }));
    assert_eq!(send(&world, &disguised).await.returned, Ok(json!({ "status": "IGNORED" })));
}

#[tokio::test]
async fn an_event_of_another_type_is_unrecognized() {
    let world = world_with_bus().await;
    let sent = send(
        &world,
        &merged(create(), &json!({ "detail-type": "EC2 Instance State-change Notification" })),
    )
    .await;
    assert!(sent.errored("UnrecognizedEvent").contains("Mitigation Action Requested"));
    send(&world, &json!({ "Records": [] })).await.errored("UnrecognizedEvent");
    let others = send(&world, &json!({ "Records": [{ "eventSource": "aws:s3" }] })).await;
    assert!(others.errored("UnrecognizedEvent").contains("Records of aws:sns or aws:sqs"));
    send(&world, &merged(create(), &json!({ "source": null }))).await.errored("UnrecognizedEvent");
}

#[tokio::test]
async fn a_detail_that_is_no_object_is_all_that_is_wrong() {
    let world = world_with_bus().await;
    for detail in [json!(null), json!([]), json!("x")] {
        let mut event = create();
        event["detail"] = detail.clone();
        let said = send(&world, &event).await.reported("InvalidRequestException").to_owned();
        assert_eq!(said, format!("detail: {detail} is not legal, legal is an object"));
    }
}

#[tokio::test]
async fn an_event_and_a_message_without_an_id_are_refused() {
    let world = world_with_bus().await;
    let event = merged(create(), &json!({ "id": null }));
    assert!(
        send(&world, &event).await.reported("InvalidRequestException").starts_with("id: missing")
    );
    let body = create()["detail"].to_string();
    let sent =
        send(&world, &json!({ "Records": [{ "eventSource": "aws:sqs", "body": body }] })).await;
    let message = sent.only_event().detail["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("messageId: missing"), "{message}");
    assert!(world.aws.iot.actions().is_empty());
}

#[tokio::test]
async fn a_direct_call_returns_the_document_or_the_apis_error() {
    let world = world_with_bus().await;
    let sent = send(&world, &sample("direct-create.json")).await;
    assert_eq!(sent.succeeded("CREATED")["actionArn"], Iot::arn("publish-to-security"));
    assert!(sent.events.is_empty(), "who waits is told once");
    assert_eq!(
        world.aws.iot.action("publish-to-security").unwrap().tags[OWNER_TAG],
        "request/onboarding-2026-11-22"
    );
    let again = send(&world, &sample("direct-create.json")).await;
    assert_eq!(again.returned, sent.returned);
    send(&world, &sample("direct-update.json")).await.succeeded("UPDATED");
    send(&world, &sample("direct-describe.json")).await.succeeded("DESCRIBED");
    let said = send(&world, &sample("direct-invalid.json"))
        .await
        .errored("InvalidRequestException")
        .to_owned();
    assert!(said.contains("onConflict: \"adopt\"") && said.contains("at least one of"), "{said}");
    let another = merged(sample("direct-create.json"), &json!({ "requestId": "another" }));
    send(&world, &another).await.errored("ResourceAlreadyExistsException");
    send(&world, &sample("direct-delete.json")).await.succeeded("DELETED");
    world.aws.iot.faults.set("*", Fault::Refuse(403, "AccessDeniedException"), 1);
    send(&world, &sample("direct-create.json")).await.errored("AccessDeniedException");
}

#[tokio::test]
async fn a_direct_call_without_a_request_id_is_recognised_by_lambdas() {
    let world = world().await;
    let call = merged(sample("direct-create.json"), &json!({ "requestId": null })).to_string();
    for _ in 0..2 {
        let returned = world
            .aws
            .lambda
            .invoke_as(
                "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                call.clone().into_bytes(),
                world.timeout,
                &world.arn,
            )
            .await;
        assert_eq!(returned.unwrap()["outcome"], "CREATED");
    }
    assert_eq!(
        world.aws.iot.action("publish-to-security").unwrap().tags[OWNER_TAG],
        "request/8476a536-e9f4-11e8-9739-2dfe598c3fcd"
    );
    send(&world, &sample("direct-create.json")).await.errored("ResourceAlreadyExistsException");
}

#[tokio::test]
async fn a_direct_call_from_an_emulator_asks_for_the_arn() {
    let mut world = world().await;
    world.arn = "arn:aws:lambda:us-east-1:012345678912:function:test_function".to_owned();
    send(&world, &sample("direct-create.json")).await.succeeded("CREATED");
    send(&world, &sample("direct-update.json")).await.succeeded("UPDATED");
    let again = merged(
        sample("direct-create.json"),
        &json!({ "requestId": "another", "onConflict": "adopt" }),
    );
    send(&world, &again).await.succeeded("ADOPTED");
    send(&world, &sample("direct-delete.json")).await.succeeded("DELETED");
}

#[tokio::test]
async fn what_an_operation_does_not_take_is_named() {
    let world = world().await;
    for (call, path) in [
        (json!({ "operation": "DeleteMitigationAction", "actionName": "a", "tags": [] }), "tags"),
        (
            json!({ "operation": "DescribeMitigationAction", "actionName": "a", "roleArn": "x" }),
            "roleArn",
        ),
        (
            json!({ "operation": "UpdateMitigationAction", "actionName": "a", "tags": [], "onConflict": "fail" }),
            "onConflict",
        ),
        (json!({ "operation": "UpdateMitigationAction", "actionName": "a" }), "roleArn"),
        (json!({ "operation": "DeleteMitigationAction" }), "actionName"),
        (json!({ "operation": "deleteMitigationAction", "actionName": "a" }), "operation"),
        (json!({ "operation": 7, "actionName": "a" }), "operation"),
        (merged(sample("direct-create.json"), &json!({ "requestId": "a b" })), "requestId"),
        (
            merged(sample("direct-create.json"), &json!({ "requestId": "r".repeat(129) })),
            "requestId",
        ),
        (merged(sample("direct-create.json"), &json!({ "RoleArn": "x" })), "RoleArn"),
        (
            merged(
                sample("direct-create.json"),
                &json!({ "tags": [{ "Key": "mitigation-action-provider:owner", "Value": "x" }] }),
            ),
            "tags[0].Key",
        ),
        (
            merged(
                sample("direct-create.json"),
                &json!({ "tags": [{ "key": "a", "Value": "x" }] }),
            ),
            "tags[0].key",
        ),
        (merged(sample("direct-create.json"), &json!({ "actionName": 7 })), "actionName"),
        (merged(sample("direct-create.json"), &json!({ "onConflict": "Adopt" })), "onConflict"),
    ] {
        let sent = send(&world, &call).await;
        let said = sent.errored("InvalidRequestException");
        assert!(said.contains(&format!("{path}: ")), "{said} is not about {path}");
        assert!(sent.calls.is_empty());
    }
    let mut request_id = create();
    request_id["detail"]["requestId"] = json!("x");
    assert!(
        send(&world, &request_id)
            .await
            .errored("InvalidRequestException")
            .contains("detail.requestId: unknown property")
    );
    let flag = json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["g"], "overrideDynamicGroups": "True" } });
    let call = merged(
        sample("direct-create.json"),
        &json!({ "actionParams": { "publishFindingToSnsParams": null, "addThingsToThingGroupParams": flag["addThingsToThingGroupParams"] } }),
    );
    send(&world, &call).await.succeeded("CREATED");
}

#[tokio::test]
async fn an_event_without_an_id_hides_no_other_problem() {
    let world = world_with_bus().await;
    let event = merged(create(), &json!({ "id": null, "detail": { "roleArn": null } }));
    let said = send(&world, &event).await.reported("InvalidRequestException").to_owned();
    assert!(said.contains("id: missing") && said.contains("detail.roleArn: missing"), "{said}");
}

#[tokio::test]
async fn the_log_names_an_event_by_its_action_and_its_id() {
    let world = world_with(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    send(&world, &create()).await.succeeded("CREATED");
    let output = world.function.end().await;
    let line: Value =
        serde_json::from_str(output.lines().find(|line| line.contains("request done")).unwrap())
            .unwrap();
    assert_eq!((&line["subject"], &line["id"]), (&json!(NAME), &create()["id"]));
}

#[tokio::test]
async fn what_an_operation_takes_is_said_where_something_else_is_given() {
    let world = world().await;
    for (operation, takes) in [
        ("UpdateMitigationAction", "actionName, roleArn, actionParams and tags"),
        ("DeleteMitigationAction", "actionName alone"),
        ("DescribeMitigationAction", "actionName alone"),
    ] {
        let sent = send(
            &world,
            &json!({ "operation": operation, "actionName": "a", "onConflict": "fail" }),
        )
        .await;
        let said = sent.errored("InvalidRequestException");
        assert!(said.contains(&format!("nothing, as {operation} takes {takes}")), "{said}");
    }
}

#[tokio::test]
async fn a_message_is_at_most_4_kb() {
    let world = world_with_bus().await;
    let many: serde_json::Map<String, Value> =
        (0..500).map(|n| (format!("unknown-{n}"), json!("\"\\x"))).collect();
    let said =
        send(&world, &event(&json!(many))).await.reported("InvalidRequestException").to_owned();
    assert!(said.len() <= 4096 && said.ends_with(" more"), "{} {said}", said.len());
    let said = send(&world, &merged(sample("direct-create.json"), &json!(many)))
        .await
        .errored("InvalidRequestException")
        .len();
    assert!(said <= 4096);
}

#[tokio::test]
async fn a_bad_setting_is_an_error_at_every_door_and_does_no_work() {
    let world = world_with(&[("RESULT_EVENT_BUS", "no bus")]).await;
    let said = send(&world, &create()).await.errored("InvalidSetting").to_owned();
    assert!(said.contains("RESULT_EVENT_BUS") && said.contains("no bus"), "{said}");
    send(&world, &sample("direct-create.json")).await.errored("InvalidSetting");
    let sent = send(&world, &sample("batch.json")).await;
    assert_eq!(sent.returned.unwrap()["batchItemFailures"].as_array().unwrap().len(), 4);
    assert!(world.aws.iot.actions().is_empty());
    for bus in ["default", "a/b.c-d_e", "arn:aws:events:eu-west-1:123456789012:event-bus/results"] {
        send(&world_with(&[("RESULT_EVENT_BUS", bus)]).await, &create()).await.succeeded("CREATED");
    }
}

#[tokio::test]
async fn a_notification_is_answered_as_the_request_in_it() {
    let world = world().await;
    let wrapped = |url: &str| {
        let mut event = sample("notification.json");
        let message: Value =
            serde_json::from_str(event["Records"][0]["Sns"]["Message"].as_str().unwrap()).unwrap();
        event["Records"][0]["Sns"]["Message"] =
            json!(merged(message, &json!({ "ResponseURL": url })).to_string());
        event
    };
    let (key, url) = world.response_url("");
    let played = world.play_to(&key, wrapped(&url)).await;
    played.succeeded().called(&["CreateMitigationAction"]);
    assert_eq!(played.returned.as_ref().unwrap(), played.answer());

    let (first, first_url) = world.response_url("");
    let (last, last_url) = world.response_url("");
    let mut several = wrapped(&first_url);
    let records = several["Records"].as_array_mut().unwrap();
    records.push(json!({ "EventSource": "aws:sns", "Sns": { "Message": "not a request" } }));
    records.push(wrapped(&last_url)["Records"][0].clone());
    let sent = send(&world, &several).await;
    sent.errored("UnrecognizedEvent");
    for key in [first, last] {
        assert_eq!(world.aws.bucket.puts(&key)[0].document()["Status"], "SUCCESS");
    }
}

#[tokio::test]
async fn a_hanging_request_of_a_notification_leaves_time_for_the_next() {
    let world = world().await.with_timeout(Duration::from_secs(4));
    let mut event = sample("notification.json");
    let message: Value =
        serde_json::from_str(event["Records"][0]["Sns"]["Message"].as_str().unwrap()).unwrap();
    let urls = [world.response_url(""), world.response_url("")];
    let record = |url: &str| {
        let message = merged(message.clone(), &json!({ "ResponseURL": url })).to_string();
        json!({ "EventSource": "aws:sns", "Sns": { "Message": message } })
    };
    event["Records"] = urls.iter().map(|(_, url)| record(url)).collect();
    world.aws.iot.faults.set("*", Fault::Hang, 1000);
    send(&world, &event).await.returned.unwrap();
    for (key, _) in &urls {
        assert_eq!(world.aws.bucket.puts(key)[0].document()["Status"], "FAILED");
    }
}

#[tokio::test]
async fn a_batch_is_worked_reported_and_what_is_no_request_comes_again() {
    let world = world_with_bus().await;
    let sent = send(&world, &sample("batch.json")).await;
    assert_eq!(
        sent.returned,
        Ok(
            json!({ "batchItemFailures": [{ "itemIdentifier": "19dd0b57-b21e-4ac1-bd88-01bbb068cb74" }] })
        )
    );
    assert_eq!(world.aws.bus.calls(), 1, "results are published ten to a call");
    let ids: BTreeSet<&str> =
        sent.events.iter().map(|event| event.detail["requestId"].as_str().unwrap()).collect();
    let event_id = "7bf73129-1428-4cd3-a780-95db273d1608";
    assert_eq!(
        ids,
        BTreeSet::from([
            "19dd0b57-b21e-4ac1-bd88-01bbb068cb72",
            "19dd0b57-b21e-4ac1-bd88-01bbb068cb73",
            event_id
        ])
    );
    for event in &sent.events {
        let source =
            if event.detail["requestId"] == event_id { "com.example.fleet" } else { "aws:sqs" };
        assert_eq!(event.detail["requestSource"], source);
    }
    let tags = world.aws.iot.action("ca-deactivate").unwrap().tags;
    assert_eq!(tags[OWNER_TAG], "message/19dd0b57-b21e-4ac1-bd88-01bbb068cb72");
    assert_eq!(tags["team"], "iot-security", "the update came after the create");
    assert_eq!(
        world.aws.iot.action("device-isolate").unwrap().tags[OWNER_TAG],
        format!("event/com.example.fleet/{event_id}")
    );
}

#[tokio::test]
async fn messages_of_one_action_are_worked_in_the_order_they_were_sent() {
    let world = world_with_bus().await;
    let update = |n: u64| json!({ "operation": "UpdateMitigationAction", "actionName": NAME, "tags": [{ "Key": "n", "Value": n.to_string() }] });
    let message = |id: &str, sent: u64, body: &Value| Message {
        id: id.to_owned(),
        body: body.to_string(),
        sent,
        receives: 1,
    };
    let mut messages = vec![message("c", 10, &create())];
    messages.extend((0..4).map(|n| message(&format!("u{n}"), 11 + n, &update(n))));
    messages.reverse();
    let sent = send(&world, &Queue::event(&messages)).await;
    assert_eq!(sent.returned, Ok(json!({ "batchItemFailures": [] })));
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags["n"], "3");
    assert!(
        sent.events.iter().all(|event| event.detail["status"] == "SUCCEEDED"),
        "{:?}",
        sent.events
    );
}

#[tokio::test]
async fn messages_of_different_actions_do_not_wait_for_each_other() {
    let world = world_with_bus().await.with_timeout(Duration::from_secs(8));
    // The first create to arrive is not answered, and is tried again after a second or more.
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Hang, 1);
    let body = |name: &str| of(name, event(&json!({ "actionName": name }))).to_string();
    let message =
        |name: &str| Message { id: name.to_owned(), body: body(name), sent: 1, receives: 1 };
    let sent = send(&world, &Queue::event(&[message("one"), message("two")])).await;
    assert_eq!(sent.returned, Ok(json!({ "batchItemFailures": [] })));
    let creates: Vec<&str> = sent.calls.iter().map(|call| call.target.as_str()).collect();
    assert_ne!(creates[0], creates[1], "the other action's create came next");
}

#[tokio::test]
async fn broken_records_of_a_batch_do_not_take_the_rest_along() {
    let world = world_with_bus().await;
    let mut batch = sample("batch.json");
    let records = batch["Records"].as_array_mut().unwrap();
    records.push(json!({ "messageId": "no-body", "eventSource": "aws:sqs" }));
    records.push(json!({ "messageId": "odd", "body": 7, "attributes": [] }));
    records.push(json!({ "messageId": "own", "body": sample("event-result.json").to_string() }));
    records.push(json!({ "messageId": "other", "body": merged(create(), &json!({ "detail-type": "Other" })).to_string() }));
    records.push(json!({ "messageId": "array", "body": "[1]" }));
    records.push(json!({ "messageId": "neither", "body": "{\"roleArn\":\"x\"}" }));
    records.push(
        json!({ "messageId": "nameless", "body": "{\"operation\":\"DeleteMitigationAction\"}" }),
    );
    records
        .push(json!({ "messageId": "invalid", "body": sample("event-invalid.json").to_string() }));
    let sent = send(&world, &batch).await;
    let failed: BTreeSet<String> = sent.returned.as_ref().unwrap()["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned())
        .collect();
    let expected =
        ["19dd0b57-b21e-4ac1-bd88-01bbb068cb74", "no-body", "odd", "other", "array", "neither"]
            .map(str::to_owned);
    assert_eq!(failed, BTreeSet::from(expected));
    assert_eq!(sent.events.len(), 5);
}

#[tokio::test]
async fn what_may_pass_or_could_not_be_published_goes_back_to_the_queue() {
    let world = world_with_bus().await.with_timeout(Duration::from_secs(5));
    world.aws.iot.faults.set("CreateMitigationAction", Fault::Hang, 1000);
    let sent = send(&world, &sample("batch.json")).await;
    let failures = |sent: &Sent| {
        sent.returned.as_ref().unwrap()["batchItemFailures"].as_array().unwrap().len()
    };
    assert!(failures(&sent) >= 3, "{:?}", sent.returned);
    world.aws.iot.faults.clear();
    world.aws.bus.faults.set("entry", Fault::Refuse(0, "InternalFailure"), 2);
    assert_eq!(failures(&send(&world, &sample("batch.json")).await), 3);
    assert_eq!(failures(&send(&world, &sample("batch.json")).await), 1);
}

#[tokio::test]
async fn a_batch_without_a_bus_gives_back_what_can_never_succeed() {
    let world = world().await;
    let message = Message {
        id: "bad".to_owned(),
        body: sample("event-invalid.json").to_string(),
        sent: 1,
        receives: 1,
    };
    let sent = send(&world, &Queue::event(&[message])).await;
    assert_eq!(sent.returned, Ok(json!({ "batchItemFailures": [{ "itemIdentifier": "bad" }] })));
}

#[tokio::test]
async fn a_burst_through_a_queue_that_redelivers_ends_with_every_action_once_at_the_services_rate()
{
    const ACTIONS: u32 = 500;
    const RATE: f64 = 10.0;

    let world = world_with_bus().await;
    let second = crate::function(&world.aws, &[("RESULT_EVENT_BUS", BUS)]);
    world.aws.iot.set_limit(ACTIONS as usize);
    world.aws.iot.set_rate(RATE);
    let queue = Queue::default();
    for n in 0..ACTIONS {
        let body = of(&format!("id-{n}"), event(&json!({ "actionName": format!("action-{n}") })));
        queue.send(&format!("message-{n}"), &body);
    }
    let began = std::time::Instant::now();
    let redeliveries = std::cell::Cell::new(0_u32);
    let every_tenth = || {
        redeliveries.set(redeliveries.get() + 1);
        redeliveries.get().is_multiple_of(10)
    };
    queue.drain(&world.aws, 2, Duration::from_secs(30), &every_tenth).await;
    let took = began.elapsed().as_secs_f64();
    let calls = world.aws.iot.take_calls();
    let least = (f64::from(ACTIONS) - RATE) / RATE;
    let figures =
        format!("{} calls in {took:.1} s; the least is {ACTIONS} in {least:.1} s", calls.len());
    assert_eq!(world.aws.iot.actions().len(), ACTIONS as usize);
    assert!(queue.is_empty() && queue.dead().is_empty());
    assert!(calls.len() < 2 * ACTIONS as usize, "{figures}");
    assert!(took < 1.5 * least, "{figures}");
    let reported: BTreeSet<String> =
        world.aws.bus.take().iter().map(|event| event.detail["requestId"].to_string()).collect();
    assert_eq!(reported.len(), ACTIONS as usize, "every result came back");
    drop(second);
}

#[tokio::test]
async fn a_time_out_after_a_conflict_comes_again() {
    for (operation, setup) in [
        ("ListTagsForResource", Fault::Refuse(409, "ResourceAlreadyExistsException")),
        ("ListTagsForResource", Fault::Refuse(410, "LimitExceededException")),
    ] {
        let world = world_with_bus().await.with_timeout(Duration::from_secs(2));
        send(&world, &create()).await.succeeded("CREATED");
        world.aws.iot.faults.set("CreateMitigationAction", setup, 1);
        world.aws.iot.faults.set(operation, Fault::Hang, 100);
        let sent = send(&world, &create()).await;
        sent.errored("InternalFailureException");
        assert!(sent.events.is_empty());
        world.aws.iot.faults.clear();
        send(&world, &create()).await.succeeded("CREATED");
    }
}

#[tokio::test]
async fn the_pace_yields_to_throttling_also_for_what_waits_already() {
    let world = world_with_bus().await.with_timeout(Duration::from_mins(1));
    world.aws.iot.set_rate(2.0);
    let message = |n: u32| Message {
        id: format!("m{n}"),
        body: of(&format!("id-{n}"), event(&json!({ "actionName": format!("action-{n}") })))
            .to_string(),
        sent: n.into(),
        receives: 1,
    };
    let messages: Vec<Message> = (0..30).map(message).collect();
    let began = std::time::Instant::now();
    let sent = send(&world, &Queue::event(&messages)).await;
    assert_eq!(sent.returned, Ok(json!({ "batchItemFailures": [] })));
    let throttled = sent.calls.iter().filter(|call| call.status == 400).count();
    assert!(throttled <= 15, "{throttled} of {} calls were throttled", sent.calls.len());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_way_out_of_a_conflict_is_in_the_words_of_who_asks() {
    let world = world().await;
    world.plant_different(NAME, &[]);
    assert!(
        send(&world, &create())
            .await
            .errored("ResourceAlreadyExistsException")
            .contains("set onConflict to adopt")
    );
    let played = world.play(&sample("create-add-things-to-thing-group.json")).await;
    assert!(!played.succeeded().answer()["Data"].is_null());
    let stacks = merged(
        sample("create-add-things-to-thing-group.json"),
        &json!({ "ResourceProperties": { "ActionName": NAME } }),
    );
    assert!(world.play(&stacks).await.reason().contains("set OnConflict to Adopt"));
}

#[tokio::test]
async fn dates_are_the_services_to_the_millisecond() {
    let world = world().await;
    world.plant_identical(NAME, &[]);
    world.aws.iot.tamper(NAME, |action| action.as_mut().unwrap().created = 1_732_270_000.123);
    let sent =
        send(&world, &json!({ "operation": "DescribeMitigationAction", "actionName": NAME })).await;
    assert_eq!(sent.succeeded("DESCRIBED")["creationDate"], "2024-11-22T10:06:40.123Z");
}

#[tokio::test]
async fn an_illegal_operation_hides_no_other_problem_and_what_cannot_be_read_is_said_so() {
    let world = world().await;
    let sent = send(
        &world,
        &json!({ "operation": "Nope", "actionName": "a b", "roleArn": "x", "tagz": [] }),
    )
    .await;
    let said = sent.errored("InvalidRequestException");
    for part in ["operation: \"Nope\"", "actionName: \"a b\"", "roleArn: \"x\"", "tagz: unknown"] {
        assert!(said.contains(part), "{said} lacks {part}");
    }
    let deep = format!("{{\"actionName\":\"a\",\"tags\":{}{}}}", "[".repeat(300), "]".repeat(300));
    let returned =
        world.aws.lambda.invoke(deep.into_bytes(), world.timeout, &world.arn).await.unwrap_err();
    assert_eq!(returned["errorType"], "InvalidRequestException");
    assert!(
        returned["errorMessage"].as_str().unwrap().starts_with("request: cannot be read"),
        "{returned}"
    );
}
