//! A Create of a name that is in use: `OnConflict`, adopted actions, and the limits of the service.

use serde_json::{Value, json};
use stand_ins::{OWNER_TAG, fault::Fault, iot::Iot, stack::merged};

use super::{ADOPTED, NAME, OTHERS, OURS, create, create_with, follow_up};
use crate::{sample, world};

#[tokio::test]
async fn a_conflict_names_the_owner_and_changes_nothing() {
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
        let exchange = world.send(&create()).await;
        exchange.failed("ResourceAlreadyExistsException");
        assert!(
            exchange.reason().contains(owner) && exchange.reason().contains(&Iot::arn(NAME)),
            "{}",
            exchange.reason()
        );
        assert_eq!(world.aws.iot.actions(), actions);
        assert_ne!(exchange.physical_id(), NAME);
        let deleted = world.send(&follow_up(&create(), exchange.response())).await;
        deleted.succeeded().changed_nothing();
        assert_eq!(world.aws.iot.actions(), actions);
    }
}

#[tokio::test]
async fn neither_adopt_nor_overwrite_takes_an_action_of_another_owner() {
    for on_conflict in ["Adopt", "Overwrite"] {
        for tag in [OTHERS, "adopted/another/0/Quarantine", "who knows"] {
            let world = world().await;
            world.plant_identical(NAME, &[(OWNER_TAG, tag)]);
            let actions = world.aws.iot.actions();
            let exchange = world.send(&create_with(&json!({ "OnConflict": on_conflict }))).await;
            exchange.failed("ResourceAlreadyExistsException");
            assert!(
                exchange.reason().contains("have its owner delete it")
                    && exchange
                        .reason()
                        .contains("remove the tag mitigation-action-provider:owner")
                    && exchange.reason().contains("OnConflict to Adopt or Overwrite"),
                "{}",
                exchange.reason()
            );
            assert_eq!(world.aws.iot.actions(), actions, "{on_conflict} {tag}");
        }
    }
}

#[tokio::test]
async fn a_stack_takes_an_action_of_an_event_only_by_adopt_or_overwrite() {
    for tag in ["event/a/b", "message/1", "request/1"] {
        for (on_conflict, owner) in [("Adopt", ADOPTED), ("Overwrite", OURS)] {
            let world = world().await;
            world.plant_identical(NAME, &[(OWNER_TAG, tag)]);
            world
                .send(&create())
                .await
                .failed("ResourceAlreadyExistsException")
                .changed_nothing_but_the_create();
            world
                .send(&sample("update.json"))
                .await
                .failed("InvalidRequestException")
                .changed_nothing();
            world.send(&sample("delete.json")).await.succeeded().changed_nothing();
            world.send(&create_with(&json!({ "OnConflict": on_conflict }))).await.succeeded();
            assert_eq!(world.aws.iot.action(NAME).unwrap().tags[OWNER_TAG], owner);
        }
    }
}

#[tokio::test]
async fn adopt_tags_an_identical_action_and_a_delete_only_removes_the_tag() {
    let world = world().await;
    world.plant_identical(NAME, &[("theirs", "stays")]);
    let before = world.aws.iot.action(NAME).unwrap();
    let event = create_with(&json!({ "OnConflict": "Adopt" }));
    let exchange = world.send(&event).await;
    exchange.succeeded();
    assert_eq!(exchange.response()["Data"]["ActionId"], before.id);
    let adopted = world.aws.iot.action(NAME).unwrap();
    assert_eq!(
        (adopted.tags[OWNER_TAG].as_str(), adopted.tags["team"].as_str()),
        (ADOPTED, "iot-security")
    );
    assert_eq!(adopted.tags["theirs"], "stays");

    let again = world.send(&event).await;
    assert_eq!(again.succeeded().response(), exchange.response());
    assert_eq!(world.aws.iot.action(NAME).unwrap(), adopted);

    world.send(&sample("delete.json")).await.succeeded();
    let after = world.aws.iot.action(NAME).expect("an adopted action stays");
    assert!(!after.tags.contains_key(OWNER_TAG));
    assert_eq!(after.params, before.params);
}

#[tokio::test]
async fn adopt_ignores_the_order_of_groups_and_treats_an_absent_flag_as_false() {
    let world = world().await;
    let params = json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["b", "a"] } });
    world.aws.iot.plant(
        NAME,
        "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things",
        params,
        &[],
    );
    let groups = json!({ "ThingGroupNames": ["a", "b"], "OverrideDynamicGroups": "False" });
    let same = json!({ "AddThingsToThingGroupParams": groups });
    world
        .send(&create_with(&json!({ "OnConflict": "Adopt", "ActionParams": same })))
        .await
        .succeeded();
}

#[tokio::test]
async fn adopt_rejects_a_different_definition() {
    let world = world().await;
    world.plant_different(NAME, &[]);
    let actions = world.aws.iot.actions();
    let exchange = world.send(&create_with(&json!({ "OnConflict": "Adopt" }))).await;
    exchange.failed("ResourceAlreadyExistsException").changed_nothing_but_the_create();
    assert_eq!(world.aws.iot.actions(), actions);
}

#[tokio::test]
async fn an_adopted_action_stays_adopted_after_an_update() {
    let world = world().await;
    world.plant_identical(NAME, &[]);
    world.send(&create_with(&json!({ "OnConflict": "Adopt" }))).await.succeeded();
    world.send(&sample("update.json")).await.succeeded();
    let action = world.aws.iot.action(NAME).unwrap();
    assert_eq!(action.tags[OWNER_TAG], ADOPTED);
    assert_eq!(
        action.params["addThingsToThingGroupParams"]["thingGroupNames"],
        json!(["quarantine", "investigate"])
    );
    world.send(&sample("delete.json")).await.succeeded();
    assert!(world.aws.iot.action(NAME).is_some());
}

#[tokio::test]
async fn overwrite_updates_before_it_tags_and_a_delete_deletes_the_action() {
    let world = world().await;
    world.plant_different(NAME, &[("theirs", "stays")]);
    let event = create_with(&json!({ "OnConflict": "Overwrite" }));
    let exchange = world.send(&event).await;
    exchange.succeeded().called(&[
        "CreateMitigationAction",
        "ListTagsForResource",
        "UpdateMitigationAction",
        "TagResource",
    ]);
    let action = world.aws.iot.action(NAME).unwrap();
    assert_eq!(action.tags[OWNER_TAG], OURS);
    assert_eq!(action.tags["theirs"], "stays");
    assert_eq!(world.send(&event).await.succeeded().response(), exchange.response());
    assert_eq!(world.aws.iot.action(NAME).unwrap(), action);
    world.send(&sample("delete.json")).await.succeeded();
    assert_eq!(world.aws.iot.action(NAME), None);
}

#[tokio::test]
async fn an_overwrite_that_cannot_update_does_not_become_the_owner() {
    let world = world().await;
    world.plant_different(NAME, &[]);
    let actions = world.aws.iot.actions();
    world.aws.iot.faults.set(
        "UpdateMitigationAction",
        Fault::Refuse(403, "AccessDeniedException"),
        1,
    );
    let event = create_with(&json!({ "OnConflict": "Overwrite" }));
    let exchange = world.send(&event).await;
    exchange.failed("AccessDeniedException");
    world.send(&follow_up(&event, exchange.response())).await.succeeded();
    assert_eq!(world.aws.iot.actions(), actions);
}

/// As many tags as are given, with the keys of another tool.
fn many(count: usize) -> Vec<(String, String)> {
    (0..count).map(|number| (format!("theirs-{number}"), "x".to_owned())).collect()
}

#[tokio::test]
async fn tags_that_would_not_fit_fail_before_anything_is_changed() {
    // Beside the tags of others: three of the request, the owner tag and one record.
    for (others, fits) in [(45, true), (46, false)] {
        for (on_conflict, owner, event) in [
            ("Overwrite", None, "Create"),
            ("Adopt", None, "Create"),
            ("Fail", Some(OURS), "Create"),
            ("Fail", Some(OURS), "Update"),
        ] {
            let world = world().await;
            let mut tags = many(others);
            tags.extend(owner.map(|owner| (OWNER_TAG.to_owned(), owner.to_owned())));
            let tags: Vec<(&str, &str)> =
                tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            world.plant_identical(NAME, &tags);
            let actions = world.aws.iot.actions();
            let given: Value =
                (0..3).map(|n| json!({ "Key": format!("ours-{n}"), "Value": "x" })).collect();
            let request = create_with(&json!({ "OnConflict": on_conflict, "Tags": given }));
            let patch = json!({ "RequestType": event, "PhysicalResourceId": NAME });
            let exchange = world.send(&merged(request, &patch)).await;
            if fits {
                exchange.succeeded();
                assert_eq!(world.aws.iot.action(NAME).unwrap().tags.len(), 50, "{on_conflict}");
            } else {
                exchange.failed("InvalidRequestException");
                assert!(exchange.reason().contains("51 tags"), "{}", exchange.reason());
                assert_eq!(world.aws.iot.actions(), actions, "{on_conflict} {event}");
            }
        }
    }
}

#[tokio::test]
async fn at_the_limit_an_action_of_that_name_is_a_conflict_like_any() {
    for (tags, on_conflict, end) in [
        (vec![], "Fail", Err("ResourceAlreadyExistsException")),
        (vec![], "Adopt", Ok(())),
        (vec![], "Overwrite", Ok(())),
        (vec![(OWNER_TAG, OURS)], "Fail", Ok(())),
        (vec![(OWNER_TAG, "stack/other/0/X")], "Overwrite", Err("ResourceAlreadyExistsException")),
    ] {
        let world = world().await;
        world.plant_identical(NAME, &tags);
        world.aws.iot.faults.set(
            "CreateMitigationAction",
            Fault::Refuse(410, "LimitExceededException"),
            1,
        );
        let exchange = world.send(&create_with(&json!({ "OnConflict": on_conflict }))).await;
        match end {
            Ok(()) => exchange.succeeded(),
            Err(code) => exchange.failed(code),
        };
    }
}

#[tokio::test]
async fn an_action_that_disappears_while_it_is_taken_over_is_looked_up_again() {
    for (on_conflict, call) in [
        ("Adopt", "DescribeMitigationAction"),
        ("Adopt", "TagResource"),
        ("Overwrite", "UpdateMitigationAction"),
        ("Overwrite", "TagResource"),
    ] {
        let world = world().await;
        world.plant_identical(NAME, &[]);
        let gone = Fault::Refuse(404, "ResourceNotFoundException");
        world.aws.iot.faults.set(call, gone, 1);
        world.send(&create_with(&json!({ "OnConflict": on_conflict }))).await.succeeded();
        let owner = if on_conflict == "Adopt" { ADOPTED } else { OURS };
        assert_eq!(world.aws.iot.action(NAME).unwrap().tags[OWNER_TAG], owner, "{call}");
    }
}
