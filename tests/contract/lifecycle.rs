//! Every row of the life-cycle table, and what would hurt around it.

use serde_json::{Value, json};
use stand_ins::{fault::Fault, iot::Iot, stack::merged};

use crate::{sample, world, world_with};

pub const OWNER_TAG: &str = "mitigation-action-provider:owner";
const OURS: &str = "stack/fleet-security/6f0c2b1e-1d2c-4b7a-9a53-0a1b2c3d4e5f/Quarantine";
const ADOPTED: &str = "adopted/fleet-security/6f0c2b1e-1d2c-4b7a-9a53-0a1b2c3d4e5f/Quarantine";
const OTHERS: &str = "stack/another/00000000-0000-4000-8000-000000000000/Quarantine";
const NAME: &str = "fleet-quarantine";

fn create() -> Value {
    sample("create-add-things-to-thing-group.json")
}

/// The create, patched in its properties.
fn create_with(properties: &Value) -> Value {
    merged(create(), &json!({ "ResourceProperties": properties }))
}

/// What CloudFormation sends after `event` failed with the answer `document`.
pub fn follow_up(event: &Value, document: &Value) -> Value {
    match event["RequestType"].as_str().unwrap() {
        "Create" => merged(
            event.clone(),
            &json!({ "RequestType": "Delete", "PhysicalResourceId": document["PhysicalResourceId"] }),
        ),
        _ => merged(
            event.clone(),
            &json!({ "ResourceProperties": event["OldResourceProperties"], "OldResourceProperties": event["ResourceProperties"] }),
        ),
    }
}

#[tokio::test]
async fn create_is_one_call_and_answers_with_all_that_get_att_finds() {
    let world = world().await;
    let played = world.play(&create()).await;
    played.succeeded().called(&["CreateMitigationAction"]);
    let action = world.aws.iot.action(NAME).unwrap();
    let arn = Iot::arn(NAME);
    assert_eq!(
        played.answer()["Data"],
        json!({
            "ActionArn": arn, "ActionId": action.id, "MitigationActionArn": arn, "MitigationActionId": action.id,
            "ActionName": NAME, "ActionType": "ADD_THINGS_TO_THING_GROUP",
        })
    );
    assert_eq!(played.physical_id(), NAME);
    for echoed in ["StackId", "RequestId", "LogicalResourceId"] {
        assert_eq!(played.answer()[echoed], create()[echoed]);
    }
    assert_eq!(played.returned.as_ref().unwrap(), played.answer());
    assert_eq!(
        action.params,
        json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["quarantine"], "overrideDynamicGroups": true } })
    );
    let tags = [(OWNER_TAG, OURS), ("stage", "prod"), ("team", "iot-security")];
    assert!(
        action.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).eq(tags),
        "{:?}",
        action.tags
    );
}

#[tokio::test]
async fn every_kind_is_made_and_described_by_its_type() {
    let world = world().await;
    for (file, kind) in [
        ("create-add-things-to-thing-group.json", "ADD_THINGS_TO_THING_GROUP"),
        ("create-enable-iot-logging.json", "ENABLE_IOT_LOGGING"),
        ("create-publish-finding-to-sns.json", "PUBLISH_FINDING_TO_SNS"),
        ("create-replace-default-policy-version.json", "REPLACE_DEFAULT_POLICY_VERSION"),
        ("create-update-ca-certificate.json", "UPDATE_CA_CERTIFICATE"),
        ("create-update-device-certificate.json", "UPDATE_DEVICE_CERTIFICATE"),
    ] {
        let event = sample(file);
        let played = world.play(&event).await;
        played.succeeded().called(&["CreateMitigationAction"]);
        assert_eq!(played.answer()["Data"]["ActionType"], kind);
        // A service that takes no replays: what it describes has to be told from what is wanted, for each kind.
        world.aws.iot.set_takes_replays(false);
        let again = world.play(&event).await;
        again.succeeded().changed_nothing_but_the_create();
        assert_eq!(again.answer(), played.answer());
        world.aws.iot.set_takes_replays(true);
    }
}

#[tokio::test]
async fn a_create_without_a_name_is_named_after_stack_and_logical_id() {
    let world = world().await;
    let played = world.play(&sample("create-without-name.json")).await;
    let name = played.succeeded().physical_id().to_owned();
    let suffix = name.strip_prefix("fleet-security-Nameless-").expect("stack name and logical id");
    assert!(suffix.len() == 12 && suffix.chars().all(|c| c.is_ascii_alphanumeric()), "{suffix}");
    assert!(world.aws.iot.action(&name).is_some());
    let empty = merged(
        sample("create-without-name.json"),
        &json!({ "ResourceProperties": { "ActionName": "" } }),
    );
    assert_eq!(world.play(&empty).await.succeeded().physical_id(), name, "an empty name is absent");
}

#[tokio::test]
async fn a_create_that_comes_again_gives_the_same_answer_and_changes_nothing() {
    for takes_replays in [true, false] {
        let world = world().await;
        let first = world.play(&create()).await;
        let actions = world.aws.iot.actions();
        world.aws.iot.set_takes_replays(takes_replays);
        let second = world.play(&create()).await;
        assert_eq!(first.answer(), second.succeeded().answer());
        assert_eq!(world.aws.iot.actions(), actions);
    }
}

#[tokio::test]
async fn a_create_that_meets_its_own_action_brings_it_to_the_desired_definition() {
    let world = world().await;
    world.plant_different(NAME, &[(OWNER_TAG, OURS), ("stage", "old"), ("others", "stay")]);
    world.play(&create()).await.succeeded();
    let action = world.aws.iot.action(NAME).unwrap();
    assert_eq!(action.role_arn, "arn:aws:iam::123456789012:role/quarantine-things");
    assert_eq!(action.tags["stage"], "prod");
    assert_eq!(action.tags["team"], "iot-security");
    assert_eq!(action.tags["others"], "stay");
    assert_eq!(action.tags[OWNER_TAG], OURS);
}

#[tokio::test]
async fn a_create_that_meets_anothers_action_fails_says_whose_and_changes_nothing() {
    for (tags, owner) in [
        (vec![], "no owner tag"),
        (vec![(OWNER_TAG, OTHERS)], OTHERS),
        (vec![(OWNER_TAG, "event/com.example/1")], "event/com.example/1"),
        (
            vec![(OWNER_TAG, "stack/fleet-security/6f0c2b1e-1d2c-4b7a-9a53-0a1b2c3d4e5f/Other")],
            "5f/Other",
        ),
    ] {
        let world = world().await;
        world.plant_identical(NAME, &tags);
        let actions = world.aws.iot.actions();
        let played = world.play(&create()).await;
        played.failed("ResourceAlreadyExistsException");
        assert!(
            played.reason().contains(owner) && played.reason().contains(&Iot::arn(NAME)),
            "{}",
            played.reason()
        );
        assert_eq!(world.aws.iot.actions(), actions);
        assert_ne!(played.physical_id(), NAME);
        let deleted = world.play(&follow_up(&create(), played.answer())).await;
        deleted.succeeded().changed_nothing();
        assert_eq!(world.aws.iot.actions(), actions);
    }
}

#[tokio::test]
async fn neither_adopt_nor_overwrite_takes_what_carries_anothers_tag() {
    for on_conflict in ["Adopt", "Overwrite"] {
        for tag in [OTHERS, "adopted/another/0/Quarantine", "who knows"] {
            let world = world().await;
            world.plant_identical(NAME, &[(OWNER_TAG, tag)]);
            let actions = world.aws.iot.actions();
            let played = world.play(&create_with(&json!({ "OnConflict": on_conflict }))).await;
            played.failed("ResourceAlreadyExistsException");
            assert!(
                played.reason().contains("have its owner delete it")
                    && !played.reason().contains("OnConflict"),
                "{}",
                played.reason()
            );
            assert_eq!(world.aws.iot.actions(), actions, "{on_conflict} {tag}");
        }
    }
}

#[tokio::test]
async fn adopt_tags_an_identical_action_and_leaves_it_at_delete_without_our_tag() {
    let world = world().await;
    world.plant_identical(NAME, &[("theirs", "stays")]);
    let before = world.aws.iot.action(NAME).unwrap();
    let event = create_with(&json!({ "OnConflict": "Adopt" }));
    let played = world.play(&event).await;
    played.succeeded();
    assert_eq!(played.answer()["Data"]["ActionId"], before.id);
    let adopted = world.aws.iot.action(NAME).unwrap();
    assert_eq!(
        (adopted.tags[OWNER_TAG].as_str(), adopted.tags["team"].as_str()),
        (ADOPTED, "iot-security")
    );
    assert_eq!(adopted.tags["theirs"], "stays");

    let again = world.play(&event).await;
    assert_eq!(again.succeeded().answer(), played.answer());
    assert_eq!(world.aws.iot.action(NAME).unwrap(), adopted);

    world.play(&sample("delete.json")).await.succeeded();
    let left = world.aws.iot.action(NAME).expect("what was adopted stays");
    assert!(!left.tags.contains_key(OWNER_TAG));
    assert_eq!(left.params, before.params);
}

#[tokio::test]
async fn adopt_takes_the_same_groups_in_another_order_and_an_absent_flag_for_false() {
    let world = world().await;
    let params = json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["b", "a"] } });
    world.aws.iot.plant(NAME, "arn:aws:iam::123456789012:role/quarantine-things", params, &[]);
    let same = json!({ "AddThingsToThingGroupParams": { "ThingGroupNames": ["a", "b"], "OverrideDynamicGroups": "False" } });
    world
        .play(&create_with(&json!({ "OnConflict": "Adopt", "ActionParams": same })))
        .await
        .succeeded();
}

#[tokio::test]
async fn what_an_event_made_is_taken_by_a_stack_that_asks_for_it_and_by_no_other() {
    for tag in ["event/a/b", "message/1", "request/1"] {
        for (on_conflict, owner) in [("Adopt", ADOPTED), ("Overwrite", OURS)] {
            let world = world().await;
            world.plant_identical(NAME, &[(OWNER_TAG, tag)]);
            world
                .play(&create())
                .await
                .failed("ResourceAlreadyExistsException")
                .changed_nothing_but_the_create();
            world
                .play(&sample("update.json"))
                .await
                .failed("InvalidRequestException")
                .changed_nothing();
            world.play(&sample("delete.json")).await.succeeded().changed_nothing();
            world.play(&create_with(&json!({ "OnConflict": on_conflict }))).await.succeeded();
            assert_eq!(world.aws.iot.action(NAME).unwrap().tags[OWNER_TAG], owner);
        }
    }
}

#[tokio::test]
async fn adopt_refuses_a_different_definition() {
    let world = world().await;
    world.plant_different(NAME, &[]);
    let actions = world.aws.iot.actions();
    let played = world.play(&create_with(&json!({ "OnConflict": "Adopt" }))).await;
    played.failed("ResourceAlreadyExistsException").changed_nothing_but_the_create();
    assert_eq!(world.aws.iot.actions(), actions);
}

#[tokio::test]
async fn an_adopted_action_is_updated_and_stays_adopted() {
    let world = world().await;
    world.plant_identical(NAME, &[]);
    world.play(&create_with(&json!({ "OnConflict": "Adopt" }))).await.succeeded();
    world.play(&sample("update.json")).await.succeeded();
    let action = world.aws.iot.action(NAME).unwrap();
    assert_eq!(action.tags[OWNER_TAG], ADOPTED);
    assert_eq!(
        action.params["addThingsToThingGroupParams"]["thingGroupNames"],
        json!(["quarantine", "investigate"])
    );
    world.play(&sample("delete.json")).await.succeeded();
    assert!(world.aws.iot.action(NAME).is_some());
}

#[tokio::test]
async fn overwrite_updates_first_then_tags_and_delete_deletes() {
    let world = world().await;
    world.plant_different(NAME, &[("theirs", "stays")]);
    let event = create_with(&json!({ "OnConflict": "Overwrite" }));
    let played = world.play(&event).await;
    played.succeeded().called(&[
        "CreateMitigationAction",
        "ListTagsForResource",
        "UpdateMitigationAction",
        "TagResource",
    ]);
    let action = world.aws.iot.action(NAME).unwrap();
    assert_eq!(action.tags[OWNER_TAG], OURS);
    assert_eq!(action.tags["theirs"], "stays");
    assert_eq!(world.play(&event).await.succeeded().answer(), played.answer());
    assert_eq!(world.aws.iot.action(NAME).unwrap(), action);
    world.play(&sample("delete.json")).await.succeeded();
    assert_eq!(world.aws.iot.action(NAME), None);
}

#[tokio::test]
async fn an_overwrite_that_cannot_update_takes_nothing() {
    let world = world().await;
    world.plant_different(NAME, &[]);
    let actions = world.aws.iot.actions();
    world.aws.iot.faults.set(
        "UpdateMitigationAction",
        Fault::Refuse(403, "AccessDeniedException"),
        1,
    );
    let event = create_with(&json!({ "OnConflict": "Overwrite" }));
    let played = world.play(&event).await;
    played.failed("AccessDeniedException");
    world.play(&follow_up(&event, played.answer())).await.succeeded();
    assert_eq!(world.aws.iot.actions(), actions);
}

#[tokio::test]
async fn update_in_place_with_the_same_tags_is_two_calls() {
    let world = world().await;
    let created = world.play(&create()).await;
    let tags = create()["ResourceProperties"]["Tags"].clone();
    let played = world
        .play(&merged(sample("update.json"), &json!({ "ResourceProperties": { "Tags": tags } })))
        .await;
    played.succeeded().called(&[
        "ListTagsForResource",
        "ListTagsForResource",
        "UpdateMitigationAction",
    ]);
    assert_eq!(played.answer()["Data"], created.answer()["Data"]);
    assert_eq!(played.physical_id(), NAME);
    let params = world.aws.iot.action(NAME).unwrap().params;
    assert_eq!(params["addThingsToThingGroupParams"]["overrideDynamicGroups"], false);
}

#[tokio::test]
async fn update_of_an_action_with_one_page_of_tags_is_two_calls() {
    let world = world().await;
    let create = merged(create(), &json!({ "ResourceProperties": { "Tags": [] } }));
    world.play(&create).await.succeeded();
    let update =
        json!({ "ResourceProperties": { "Tags": [] }, "OldResourceProperties": { "Tags": [] } });
    world
        .play(&merged(sample("update.json"), &update))
        .await
        .called(&["ListTagsForResource", "UpdateMitigationAction"]);
}

#[tokio::test]
async fn update_removes_what_the_old_properties_gave_then_sets_and_leaves_others_tags() {
    let world = world().await;
    world.play(&create()).await.succeeded();
    world.aws.iot.tamper(NAME, |action| {
        action.as_mut().unwrap().tags.insert("others".to_owned(), "stay".to_owned());
    });
    let played = world.play(&sample("update.json")).await;
    assert_eq!(
        played.succeeded().operations()[2..],
        ["UpdateMitigationAction", "UntagResource", "TagResource"]
    );
    let tags = world.aws.iot.action(NAME).unwrap().tags;
    let expected =
        [(OWNER_TAG, OURS), ("others", "stay"), ("owner", "on-call"), ("team", "iot-security")];
    assert!(
        tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).eq(expected),
        "{tags:?}"
    );
    let again = world.play(&sample("update.json")).await;
    assert_eq!(again.succeeded().answer(), played.answer());
    assert_eq!(again.operations()[2..], ["UpdateMitigationAction"]);
}

#[tokio::test]
async fn update_of_anothers_action_fails_keeps_the_id_and_changes_nothing() {
    for on_conflict in ["Fail", "Adopt", "Overwrite"] {
        let world = world().await;
        world.plant_different(NAME, &[(OWNER_TAG, OTHERS)]);
        let actions = world.aws.iot.actions();
        let played = world
            .play(&merged(
                sample("update.json"),
                &json!({ "ResourceProperties": { "OnConflict": on_conflict } }),
            ))
            .await;
        played.failed("InvalidRequestException").changed_nothing();
        assert!(played.reason().contains(OTHERS));
        assert_eq!(played.physical_id(), NAME);
        assert_eq!(world.aws.iot.actions(), actions);
    }
}

#[tokio::test]
async fn update_of_an_action_that_lost_its_tag_tags_it_again_and_warns() {
    let world = world().await;
    world.plant_identical(NAME, &[]);
    world.play(&sample("update.json")).await.succeeded();
    assert_eq!(world.aws.iot.action(NAME).unwrap().tags[OWNER_TAG], OURS);
    let output = world.function.end().await;
    assert!(output.contains("WARN") && output.contains("lost its owner tag"), "{output}");
}

#[tokio::test]
async fn update_of_an_action_that_is_gone_makes_it_again_and_warns() {
    let world = world().await;
    let played = world.play(&sample("update.json")).await;
    played.succeeded().called(&["ListTagsForResource", "CreateMitigationAction"]);
    assert_eq!(played.physical_id(), NAME);
    assert_eq!(played.answer()["Data"]["ActionId"], world.aws.iot.action(NAME).unwrap().id);
    let output = world.function.end().await;
    assert!(
        output.contains("WARN") && output.contains("was gone and has been made again"),
        "{output}"
    );
}

#[tokio::test]
async fn a_rename_creates_under_the_new_name_and_the_old_one_is_cloudformations_to_delete() {
    let world = world().await;
    world.play(&create()).await.succeeded();
    let renamed = world.play(&sample("rename.json")).await;
    renamed.succeeded().called(&["CreateMitigationAction"]);
    assert_eq!(renamed.physical_id(), "fleet-isolate");
    assert!(world.aws.iot.action(NAME).is_some());
    world.play(&sample("delete.json")).await.succeeded();
    let left: Vec<String> = world.aws.iot.actions().into_keys().collect();
    assert_eq!(left, ["fleet-isolate"]);
}

#[tokio::test]
async fn a_rename_that_is_rolled_back_finds_the_old_action_and_leaves_no_other() {
    let world = world().await;
    world.play(&create()).await.succeeded();
    let rename = merged(
        sample("rename.json"),
        &json!({ "OldResourceProperties": create()["ResourceProperties"] }),
    );
    world.play(&rename).await.succeeded();
    let back =
        merged(follow_up(&rename, &json!({})), &json!({ "PhysicalResourceId": "fleet-isolate" }));
    let played = world.play(&back).await;
    assert_eq!(played.succeeded().physical_id(), NAME);
    let cleanup = json!({ "PhysicalResourceId": "fleet-isolate", "ResourceProperties": { "ActionName": "fleet-isolate" } });
    world.play(&merged(sample("delete.json"), &cleanup)).await.succeeded();
    assert_eq!(world.aws.iot.actions().into_keys().collect::<Vec<_>>(), [NAME]);
}

#[tokio::test]
async fn a_rename_that_fails_keeps_the_old_id_and_its_reverse_update_removes_what_was_made() {
    let world = world().await;
    world.play(&create()).await.succeeded();
    let rename = merged(
        sample("rename.json"),
        &json!({ "OldResourceProperties": create()["ResourceProperties"] }),
    );
    // Applied, but the answer is lost, and so is every later one until the time runs out.
    world.aws.iot.faults.set("CreateMitigationAction", Fault::HangAfter, 100);
    let world = world.with_timeout(std::time::Duration::from_secs(3));
    let played = world.play(&rename).await;
    played.failed("InternalFailureException");
    assert_eq!(played.physical_id(), NAME);
    assert!(world.aws.iot.action("fleet-isolate").is_some(), "the create had been applied");
    world.aws.iot.faults.clear();
    world.play(&follow_up(&rename, played.answer())).await.succeeded();
    assert_eq!(world.aws.iot.actions().into_keys().collect::<Vec<_>>(), [NAME]);
}

#[tokio::test]
async fn a_failed_rename_takes_away_what_it_made_itself_where_there_is_time() {
    let world = world().await;
    world.play(&create()).await.succeeded();
    world.aws.iot.faults.set("CreateMitigationAction", Fault::LoseAfter, 1);
    world.aws.iot.faults.set(
        "CreateMitigationAction",
        Fault::Refuse(403, "AccessDeniedException"),
        1,
    );
    let played = world.play(&sample("rename.json")).await;
    played.failed("AccessDeniedException");
    assert_eq!(world.aws.iot.actions().into_keys().collect::<Vec<_>>(), [NAME]);
}

#[tokio::test]
async fn a_failed_rename_whose_creates_were_all_answered_takes_nothing_away() {
    let world = world().await;
    world.play(&create()).await.succeeded();
    // Another delivery of the same request makes the action; this one is refused.
    world.plant_identical("fleet-isolate", &[(OWNER_TAG, OURS)]);
    world.aws.iot.tamper("fleet-isolate", |action| action.as_mut().unwrap().created += 60.0);
    world.aws.iot.faults.set(
        "CreateMitigationAction",
        Fault::Refuse(403, "AccessDeniedException"),
        1,
    );
    world
        .play(&sample("rename.json"))
        .await
        .failed("AccessDeniedException")
        .called(&["CreateMitigationAction"]);
    assert!(world.aws.iot.action("fleet-isolate").is_some());
}

#[tokio::test]
async fn a_failed_rename_leaves_what_was_there_before_it() {
    let world = world().await;
    world.play(&create()).await.succeeded();
    world.play(&sample("rename.json")).await.succeeded();
    world.aws.iot.tamper("fleet-isolate", |action| action.as_mut().unwrap().created -= 60.0);
    // The same request again, which fails: what the first delivery made is the stack's.
    world.aws.iot.faults.set("CreateMitigationAction", Fault::LoseBefore, 1);
    world.aws.iot.faults.set(
        "CreateMitigationAction",
        Fault::Refuse(403, "AccessDeniedException"),
        1,
    );
    world.play(&sample("rename.json")).await.failed("AccessDeniedException");
    assert!(world.aws.iot.action("fleet-isolate").is_some());
}

#[tokio::test]
async fn delete_of_our_action_is_two_calls() {
    let world = world().await;
    world
        .play(&merged(create(), &json!({ "ResourceProperties": { "Tags": [] } })))
        .await
        .succeeded();
    let played = world.play(&sample("delete.json")).await;
    played.succeeded().called(&["ListTagsForResource", "DeleteMitigationAction"]);
    assert_eq!(played.physical_id(), NAME);
    assert!(world.aws.iot.actions().is_empty());
    world.play(&sample("delete.json")).await.succeeded().changed_nothing();
}

#[tokio::test]
async fn delete_of_what_is_not_provably_ours_succeeds_deletes_nothing_and_says_so() {
    for tags in [vec![], vec![(OWNER_TAG, OTHERS)], vec![(OWNER_TAG, "event/a/b")]] {
        let world = world().await;
        world.plant_identical(NAME, &tags);
        let actions = world.aws.iot.actions();
        world.play(&sample("delete.json")).await.succeeded().changed_nothing();
        assert_eq!(world.aws.iot.actions(), actions);
        let output = world.function.end().await;
        assert!(output.contains("is not deleted by this request"), "{output}");
    }
}

#[tokio::test]
async fn delete_of_an_adopted_action_and_of_an_absent_one_say_why_they_delete_nothing() {
    for (adopts, why) in [(true, "was adopted, not made"), (false, "there is no such action")] {
        let world = world().await;
        if adopts {
            world.plant_identical(NAME, &[(OWNER_TAG, ADOPTED)]);
        }
        world.play(&sample("delete.json")).await.succeeded();
        let output = world.function.end().await;
        assert!(output.contains(why), "{output}");
    }
}

#[tokio::test]
async fn delete_needs_no_valid_properties() {
    let world = world().await;
    world.play(&create()).await.succeeded();
    for properties in [
        json!({ "ActionName": NAME, "RoleArn": 7, "Nonsense": {} }),
        json!("nonsense"),
        Value::Null,
    ] {
        let mut event = sample("delete.json");
        event["ResourceProperties"] = properties;
        world.play(&event).await.succeeded();
        assert_eq!(world.aws.iot.action(NAME), None);
        world.play(&create()).await.succeeded();
    }
}

#[tokio::test]
async fn delete_under_an_id_that_is_no_action_finds_the_name_in_the_properties_or_the_generated_one()
 {
    for (file, id) in [
        ("create-add-things-to-thing-group.json", "fleet-security-Quarantine-1ABCDEFGHIJK"),
        ("create-add-things-to-thing-group.json", "not-created:whatever"),
        ("create-without-name.json", "2026/11/22/[$LATEST]0123456789abcdef"),
        ("create-without-name.json", ""),
    ] {
        let world = world().await;
        world.play(&sample(file)).await.succeeded();
        let event =
            merged(sample(file), &json!({ "RequestType": "Delete", "PhysicalResourceId": id }));
        world.play(&event).await.succeeded();
        assert!(world.aws.iot.actions().is_empty(), "{file} {id}");
    }
}

#[tokio::test]
async fn delete_takes_an_empty_name_and_a_null_one_for_absent() {
    for name in [json!(""), Value::Null] {
        let world = world().await;
        world.play(&sample("create-without-name.json")).await.succeeded();
        let mut event = merged(
            sample("create-without-name.json"),
            &json!({ "RequestType": "Delete", "PhysicalResourceId": "not-created:x" }),
        );
        event["ResourceProperties"]["ActionName"] = name;
        world.play(&event).await.succeeded();
        assert!(world.aws.iot.actions().is_empty());
    }
}

#[tokio::test]
async fn delete_that_names_an_action_does_not_look_under_the_generated_name() {
    let world = world().await;
    world.play(&sample("create-without-name.json")).await.succeeded();
    let patch = json!({ "RequestType": "Delete", "PhysicalResourceId": "not-created:x", "ResourceProperties": { "ActionName": "another" } });
    world.play(&merged(sample("create-without-name.json"), &patch)).await.succeeded();
    assert_eq!(world.aws.iot.actions().len(), 1);
}

#[tokio::test]
async fn a_create_whose_answer_never_came_is_deleted_by_the_follow_up() {
    let world = world().await.with_timeout(std::time::Duration::from_secs(3));
    world.aws.iot.faults.set("CreateMitigationAction", Fault::HangAfter, 100);
    let played = world.play(&create()).await;
    played.failed("InternalFailureException");
    assert_eq!(world.aws.iot.actions().len(), 1, "the create had been applied");
    world.aws.iot.faults.clear();
    world.play(&follow_up(&create(), played.answer())).await.succeeded();
    assert!(world.aws.iot.actions().is_empty());
}

#[tokio::test]
async fn throttling_5xx_and_lost_answers_are_tried_again_until_they_pass() {
    for fault in [
        Fault::Throttle,
        Fault::Refuse(500, "InternalFailureException"),
        Fault::Refuse(503, "ServiceUnavailableException"),
        Fault::Refuse(429, "TooManyRequestsException"),
        Fault::LoseBefore,
        Fault::LoseAfter,
        Fault::FailAfter,
        Fault::Hang,
        Fault::HangAfter,
        Fault::Garbage,
    ] {
        for takes_replays in [true, false] {
            let world = world().await.with_timeout(std::time::Duration::from_secs(6));
            world.aws.iot.set_takes_replays(takes_replays);
            world.aws.iot.faults.set("CreateMitigationAction", fault.clone(), 1);
            let played = world.play(&create()).await;
            played.succeeded();
            assert_eq!(
                played.answer()["Data"]["ActionId"],
                world.aws.iot.action(NAME).unwrap().id,
                "{fault:?}"
            );
            assert_eq!(world.aws.iot.actions().len(), 1);
        }
    }
}

#[tokio::test]
async fn every_call_of_every_request_survives_a_lost_answer() {
    for operation in [
        "ListTagsForResource",
        "UpdateMitigationAction",
        "UntagResource",
        "TagResource",
        "DeleteMitigationAction",
    ] {
        let world = world().await;
        world.play(&create()).await.succeeded();
        world.aws.iot.faults.set(operation, Fault::LoseAfter, 1);
        world.play(&sample("update.json")).await.succeeded();
        let tags = world.aws.iot.action(NAME).unwrap().tags;
        assert_eq!(
            (tags.get("owner").map(String::as_str), tags.get("stage")),
            (Some("on-call"), None),
            "{operation}"
        );
        world.play(&sample("delete.json")).await.succeeded();
        assert!(world.aws.iot.actions().is_empty(), "{operation}");
    }
}

#[tokio::test]
async fn a_limit_a_denial_and_an_invalid_request_are_final_at_once_where_no_role_is_waited_for() {
    for (status, code, reason) in [
        (410, "LimitExceededException", "LimitExceededException"),
        (403, "AccessDeniedException", "AccessDeniedException"),
        (403, "UnrecognizedClientException", "AccessDeniedException"),
        (401, "", "AccessDeniedException"),
        (400, "InvalidRequestException", "InvalidRequestException"),
        (400, "SerializationException", "InvalidRequestException"),
    ] {
        let world = world().await;
        world.aws.iot.faults.set("CreateMitigationAction", Fault::Refuse(status, code), 100);
        let played = world.play(&create()).await;
        let creates = played
            .failed(reason)
            .operations()
            .iter()
            .filter(|operation| **operation == "CreateMitigationAction")
            .count();
        assert_eq!(creates, 1, "{code}");
    }
}

#[tokio::test]
async fn an_account_that_is_full_fails_at_once_and_for_good() {
    let world = world().await;
    world.aws.iot.set_limit(0);
    let played = world.play(&create()).await;
    // The second call looks whether it is an earlier delivery's action that fills the account.
    played
        .failed("LimitExceededException")
        .called(&["CreateMitigationAction", "ListTagsForResource"]);
}

#[tokio::test]
async fn a_create_that_comes_again_at_the_accounts_limit_finds_its_action() {
    let world = world().await;
    let first = world.play(&create()).await;
    world.aws.iot.faults.set(
        "CreateMitigationAction",
        Fault::Refuse(410, "LimitExceededException"),
        1,
    );
    assert_eq!(world.play(&create()).await.succeeded().answer(), first.answer());
}

#[tokio::test]
async fn a_delete_that_is_told_that_the_action_is_gone_succeeds() {
    for (owner, operation) in [(OURS, "DeleteMitigationAction"), (ADOPTED, "UntagResource")] {
        let world = world().await;
        world.plant_identical(NAME, &[(OWNER_TAG, owner)]);
        world.aws.iot.faults.set(operation, Fault::Refuse(404, "ResourceNotFoundException"), 1);
        world.play(&sample("delete.json")).await.succeeded();
    }
}

#[tokio::test]
async fn a_delete_that_is_denied_fails() {
    for (owner, operation) in [
        (OURS, "ListTagsForResource"),
        (OURS, "DeleteMitigationAction"),
        (ADOPTED, "ListTagsForResource"),
        (ADOPTED, "UntagResource"),
    ] {
        let world = world().await;
        world.plant_identical(NAME, &[(OWNER_TAG, owner)]);
        world.aws.iot.faults.set(operation, Fault::Refuse(403, "AccessDeniedException"), 1);
        let played = world.play(&sample("delete.json")).await;
        assert_eq!(played.failed("AccessDeniedException").physical_id(), NAME);
    }
}

#[tokio::test]
async fn a_create_whose_name_is_freed_while_it_looks_makes_the_action() {
    let world = world().await;
    world.aws.iot.faults.set(
        "CreateMitigationAction",
        Fault::Refuse(409, "ResourceAlreadyExistsException"),
        1,
    );
    world.play(&create()).await.succeeded().called(&[
        "CreateMitigationAction",
        "ListTagsForResource",
        "CreateMitigationAction",
    ]);
}

#[tokio::test]
async fn a_create_whose_name_is_taken_by_what_is_not_there_fails_for_now_after_five_tries() {
    let world = world().await;
    world.aws.iot.faults.set(
        "CreateMitigationAction",
        Fault::Refuse(409, "ResourceAlreadyExistsException"),
        100,
    );
    let played = world.play(&create()).await;
    played
        .failed("InternalFailureException")
        .called(&["CreateMitigationAction", "ListTagsForResource"].repeat(5));
}

#[tokio::test]
async fn the_wait_for_a_role_fits_the_time_and_the_message_says_how_long_it_was() {
    let world = world_with(&[("ROLE_PROPAGATION_SECONDS", "20")])
        .await
        .with_timeout(std::time::Duration::from_secs(6));
    world.aws.iot.faults.set(
        "CreateMitigationAction",
        Fault::Refuse(403, "AccessDeniedException"),
        100,
    );
    let played = world.play(&create()).await;
    assert!(
        played.failed("AccessDeniedException").reason().contains("s of retries"),
        "{}",
        played.reason()
    );
    assert!(played.calls.len() >= 4, "{:?}", played.calls);
    assert!(played.answered_after.unwrap().as_secs_f64() > 3.0, "{:?}", played.answered_after);
}

#[tokio::test]
async fn a_role_made_moments_ago_is_waited_for_and_the_final_message_says_so() {
    for (status, code) in [(400, "InvalidRequestException"), (403, "AccessDeniedException")] {
        let world = world_with(&[("ROLE_PROPAGATION_SECONDS", "3")]).await;
        world.aws.iot.faults.set("CreateMitigationAction", Fault::Refuse(status, code), 2);
        world.play(&create()).await.succeeded().called(&["CreateMitigationAction"; 3]);
        world.aws.iot.faults.set("UpdateMitigationAction", Fault::Refuse(status, code), 100);
        let played = world.play(&sample("update.json")).await;
        played.failed(code);
        assert!(played.reason().contains("3 s"), "{}", played.reason());
        assert_eq!(
            played
                .operations()
                .iter()
                .filter(|operation| **operation == "UpdateMitigationAction")
                .count(),
            3
        );
        world.aws.iot.faults.clear();
        world.aws.iot.faults.set("ListTagsForResource", Fault::Refuse(status, code), 100);
        world.play(&sample("delete.json")).await.failed(code).called(&["ListTagsForResource"]);
    }
}

#[tokio::test]
async fn old_properties_are_never_a_reason_to_fail() {
    let world = world().await;
    world.play(&create()).await.succeeded();
    for old in [
        json!({ "ActionName": 7, "Tags": "none", "RoleArn": [] }),
        json!([1, 2]),
        Value::Null,
        json!({ "ActionName": "a b", "Tags": [3] }),
    ] {
        let mut event = sample("update.json");
        event["OldResourceProperties"] = old;
        world.play(&event).await.succeeded();
    }
}

#[tokio::test]
async fn an_update_whose_old_properties_cannot_be_read_looks_for_no_other_action() {
    let world = world().await;
    world.play(&create()).await.succeeded();
    for old in [json!([1, 2]), Value::Null, json!({ "ActionName": "a b" })] {
        let mut event = sample("update.json");
        event["OldResourceProperties"] = old;
        let played = world.play(&event).await;
        assert!(
            played.calls.iter().all(|call| call.target == NAME || call.target == Iot::arn(NAME)),
            "{:?}",
            played.calls
        );
    }
}

#[tokio::test]
async fn a_stack_of_another_place_is_answered_without_a_call() {
    let world = world().await;
    for stack in [
        "arn:aws:cloudformation:us-east-1:123456789012:stack/a/b",
        "arn:aws:cloudformation:eu-west-1:210987654321:stack/a/b",
        "arn:aws-cn:cloudformation:eu-west-1:123456789012:stack/a/b",
    ] {
        let elsewhere = json!({ "StackId": stack });
        world
            .play(&merged(create(), &elsewhere))
            .await
            .failed("InvalidRequestException")
            .called(&[]);
        world
            .play(&merged(sample("update.json"), &elsewhere))
            .await
            .failed("InvalidRequestException")
            .called(&[]);
        let deleted = world.play(&merged(sample("delete.json"), &elsewhere)).await;
        assert_eq!(deleted.succeeded().called(&[]).physical_id(), NAME);
    }
}

#[tokio::test]
async fn an_emulators_account_is_taken_as_unknown() {
    let mut world = world().await;
    world.arn = "arn:aws:lambda:us-east-1:012345678912:function:test_function".to_owned();
    world.play(&create()).await.succeeded();
    world.play(&sample("update.json")).await.succeeded();
    // An account of 3000 digits would take the ARN past what an answer may hold.
    let endless = format!("aws:cloudformation:eu-west-1:{}", "1".repeat(3000));
    for place in ["aws:cloudformation:us-west-2:1", "aws-cn:cloudformation:eu-west-1:1", &endless] {
        let elsewhere = json!({ "StackId": format!("arn:{place}:stack/a/b") });
        world
            .play(&merged(create(), &elsewhere))
            .await
            .failed("InvalidRequestException")
            .called(&[]);
    }
    world.play(&sample("delete.json")).await.succeeded();
    assert!(world.aws.iot.actions().is_empty());
}
