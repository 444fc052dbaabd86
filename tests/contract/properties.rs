//! Properties that hold for any input.

use std::collections::BTreeMap;

use mitigation_action_provider::mitigation::{
    Action, ActionName, Create, Definition, ErrorCode, Failure, IfOwned, OnConflict, Outcome,
    Owner, Ownership, Params, Parse as _, PolicyTemplate, Problem, Problems, RoleArn, StackId,
    Success, Tags,
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use crate::cloudformation::respond;

fn stack(name: &str, uuid: &str) -> StackId {
    StackId::parse(&format!("arn:aws:cloudformation:eu-west-1:123456789012:stack/{name}/{uuid}"))
        .unwrap()
}

fn any_failure() -> impl Strategy<Value = Failure> {
    let text = any::<String>()
        .prop_map(|text| Failure::service(ErrorCode::InternalFailure, text.repeat(40)));
    let problem = (any::<String>(), any::<String>())
        .prop_map(|(path, value)| Problem::invalid(&path, &value, "another"));
    let problems = vec(problem, 1..200).prop_map(|list| {
        let mut problems = Problems::default();
        for problem in list {
            problems.add(|| problem);
        }
        Failure::invalid(problems)
    });
    prop_oneof![text, problems]
}

fn few_tags() -> impl Strategy<Value = Tags> {
    vec(("[a-f]", "[x-z]"), 0..6).prop_map(|tags| tags.into_iter().collect())
}

proptest! {
    #[test]
    fn a_generated_name_is_valid_and_reproducible(
        name in "[a-zA-Z][-a-zA-Z0-9]{0,127}", uuid in "[0-9a-f-]{36}", logical in ".{1,255}",
    ) {
        let stack = stack(&name, &uuid);
        let generated = ActionName::generated(&stack, &logical);
        prop_assert_eq!(ActionName::parse(generated.as_str()), Some(generated.clone()));
        prop_assert_eq!(&ActionName::generated(&stack, &logical), &generated);
        let mut pairs = name.chars().zip(generated.as_str().chars()).take(115);
        prop_assert!(pairs.all(|(given, kept)| given == kept));
        let other = StackId { text: format!("{}0", stack.text), ..stack };
        prop_assert_ne!(ActionName::generated(&other, &logical), generated);
    }

    #[test]
    fn any_response_is_json_within_the_size_limit_and_keeps_its_code(
        failure in any_failure(), ids in vec(".{0,1500}", 4),
        request_type in "Create|Update|Delete|.{0,20}",
    ) {
        let [physical, logical, request, stack_id] = ids.as_slice() else { unreachable!() };
        let event = json!({
            "ResponseURL": "https://x", "RequestType": request_type, "StackId": stack_id,
            "RequestId": request, "LogicalResourceId": logical, "PhysicalResourceId": physical,
        });
        let text = respond(&event, &Err(failure.clone()));
        prop_assert!(text.len() <= 4096, "{} bytes", text.len());
        let response: Value = serde_json::from_str(&text).unwrap();
        prop_assert!(response["Reason"].as_str().unwrap().starts_with(failure.code.as_str()));
        prop_assert_ne!(&response["PhysicalResourceId"], "");
    }

    #[test]
    fn a_success_keeps_its_arn_whatever_its_notice(
        notice in any::<String>(), name in "[a-zA-Z0-9_-]{1,128}",
    ) {
        let stack = "s".repeat(128);
        let event = json!({
            "ResponseURL": "https://x", "RequestType": "Create", "RequestId": "r".repeat(36),
            "LogicalResourceId": "L".repeat(255),
            "StackId": format!("arn:aws:cloudformation:eu-west-1:123456789012:stack/{stack}/u"),
        });
        let name = ActionName::parse(&name).unwrap();
        let arn = format!("arn:aws-us-gov:iot:us-gov-west-1:123456789012:mitigationaction/{name}");
        let action = Action {
            name,
            arn: arn.clone(),
            id: Some("i".repeat(36)),
            action_type: Some("REPLACE_DEFAULT_POLICY_VERSION".to_owned()),
        };
        let success = Success::new(Outcome::Created, action).with_notice(notice.repeat(100));
        let text = respond(&event, &Ok(success));
        prop_assert!(text.len() <= 4096);
        let response: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&response["Data"]["ActionArn"], &arn);
    }

    #[test]
    fn a_message_fits_any_size_limit(failure in any_failure(), limit in 0_usize..5000) {
        let message = failure.message(limit);
        let size = serde_json::to_string(&message).unwrap().len() - 2;
        prop_assert!(size <= limit, "{} in {}", message, limit);
    }

    #[test]
    fn tag_changes_give_the_requested_tags_and_keep_those_of_others(
        current in few_tags(), desired in few_tags(), previous in vec("[a-f]", 0..6),
    ) {
        let change = current.change_to(&desired, &previous);
        let mut tags: BTreeMap<&str, &str> = current.iter().collect();
        for key in &change.remove {
            prop_assert!(tags.remove(key.as_str()).is_some(), "the absent tag {} is removed", key);
        }
        for (key, value) in change.set.iter() {
            prop_assert_ne!(tags.insert(key, value), Some(value), "the tag {} is not new", key);
        }
        for (key, value) in desired.iter() {
            prop_assert_eq!(tags.get(key), Some(&value));
        }
        for (key, value) in current.iter() {
            let is_desired = desired.iter().any(|(other, _)| other == key);
            let is_previous = previous.iter().any(|other| other == key);
            prop_assert!(is_desired || tags.get(key).copied() == (!is_previous).then_some(value));
        }
    }

    #[test]
    fn an_owner_tag_is_valid_and_matches_its_owner_alone(parts in vec(".{0,300}", 6)) {
        let [name, uuid, logical, other_logical, source, id] = parts.as_slice() else {
            unreachable!()
        };
        let stack = StackId { name: name.clone(), uuid: uuid.clone(), ..stack("a", "b") };
        let owners = [
            Owner::stack(&stack, logical),
            Owner::event(source, id),
            Owner::message(id),
            Owner::request(id, None),
        ];
        let is_valid = |b: u8| b.is_ascii_alphanumeric() || b"_.-=/".contains(&b);
        for owner in &owners {
            let tag = owner.tag();
            prop_assert!(tag.len() <= 256 && tag.bytes().all(is_valid), "{}", tag);
            prop_assert_eq!(owner.ownership(Some(tag)), Ownership::Own);
            prop_assert_eq!(owner.ownership(None), Ownership::Unowned);
        }
        let [stack_owner, event, message, request] = &owners;
        if logical != other_logical {
            let other = Owner::stack(&stack, other_logical);
            prop_assert_eq!(stack_owner.ownership(Some(other.tag())), Ownership::OfAnother);
            prop_assert_eq!(stack_owner.ownership(other.adopted_tag()), Ownership::OfAnother);
        }
        prop_assert_eq!(stack_owner.ownership(stack_owner.adopted_tag()), Ownership::Adopted);
        for other in [event, message, request] {
            prop_assert_eq!(stack_owner.ownership(Some(other.tag())), Ownership::OfEvents);
            prop_assert_eq!(other.ownership(Some(stack_owner.tag())), Ownership::OfAnother);
            prop_assert_eq!(other.ownership(stack_owner.adopted_tag()), Ownership::OfAnother);
        }
        prop_assert_eq!(event.ownership(Some(message.tag())), Ownership::Shared);
    }
}

#[test]
fn the_parts_of_an_owner_tag_are_unambiguous() {
    let tags = [Owner::event("a/b", "c"), Owner::event("a", "b/c"), Owner::event("a=2Fb", "c")]
        .map(|owner| owner.tag().to_owned());
    assert_eq!(tags, ["event/a=2Fb/c", "event/a/b=2Fc", "event/a=3D2Fb/c"]);
}

#[test]
fn a_request_id_used_for_another_action_is_another_owner() {
    let create = |name: &str, tags: &[(&str, &str)]| Create {
        name: ActionName::parse(name).unwrap(),
        definition: Definition {
            role_arn: RoleArn::parse("arn:aws:iam::123456789012:role/blank").unwrap(),
            params: Params::ReplaceDefaultPolicyVersion {
                template_name: PolicyTemplate::parse("BLANK_POLICY").unwrap(),
            },
        },
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        on_conflict: OnConflict::Fail,
        if_owned: IfOwned::Return,
    };
    let owner = |create: &Create| Owner::request("id", Some(&create.digest())).tag().to_owned();
    let one = owner(&create("a", &[("k", "v"), ("l", "w")]));
    assert!(one.starts_with("request/id/"), "{one}");
    assert_eq!(one, owner(&create("a", &[("l", "w"), ("k", "v")])));
    assert_ne!(one, owner(&create("b", &[("k", "v"), ("l", "w")])));
    assert_ne!(one, owner(&create("a", &[("k", "v")])));
}
