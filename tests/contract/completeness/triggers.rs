//! Every trigger, by its [`TriggerName`]. `metrics.rs` counts the requests of each.

use std::collections::BTreeSet;

use mitigation_action_provider::trigger::{Payload, Trigger, TriggerName, Unrecognized};

use super::{file, part};
use crate::schemas::samples;

/// The triggers that the function serves.
pub fn served() -> impl Iterator<Item = TriggerName> {
    TriggerName::ALL.iter().copied().filter(|name| *name != TriggerName::Unrecognized)
}

#[test]
fn every_trigger_has_a_sample_event() {
    let recognized = |(name, event): (String, serde_json::Value)| {
        let payload: Payload = serde_json::from_str(&event.to_string()).unwrap();
        Trigger::recognize(&payload).unwrap_or_else(|error| panic!("{name}: {error}")).name()
    };
    let found: BTreeSet<TriggerName> = samples("").into_iter().map(recognized).collect();
    assert_eq!(found, served().collect());
}

#[test]
fn the_dashboard_shows_the_requests_of_every_trigger() {
    let template = file("template.yaml");
    let widget = part(&template, "\"Requests by trigger\"", "\"type\"");
    let lines =
        widget.lines().filter_map(|line| line.trim().trim_end_matches(',').strip_suffix("\"]"));
    let found: BTreeSet<&str> = lines.filter_map(|line| line.rsplit('"').next()).collect();
    assert_eq!(found, served().map(TriggerName::as_str).collect());
}

#[test]
fn the_reference_has_the_name_of_every_trigger() {
    let reference = file("docs/reference.md");
    let table = part(&reference, "| Delivered as | `trigger` |", "\n\n");
    for name in served() {
        assert!(table.contains(&format!("`{name}`")), "no {name}");
    }
    assert!(reference.contains(&format!("`{}`", TriggerName::Unrecognized)));
}

#[test]
fn the_error_of_an_unrecognized_event_says_how_every_trigger_is_recognized() {
    let message = Unrecognized::NoKnownMember.to_string();
    for name in served() {
        let expected = match name {
            TriggerName::CloudFormation => "a CloudFormation custom resource request",
            TriggerName::Sns => "aws:sns",
            TriggerName::EventBridge => "an EventBridge event",
            TriggerName::Sqs => "aws:sqs",
            TriggerName::Direct => "a direct invocation",
            TriggerName::Unrecognized => unreachable!("it is not served"),
        };
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn the_soak_test_has_an_action_for_every_trigger() {
    let source = file("bench/src/soak/action_lifecycle.rs");
    let list = part(&source, "const TRIGGERS:", ";\n");
    for name in served() {
        assert!(list.contains(&format!("Trigger::{name:?}")), "no {name:?}");
    }
}
