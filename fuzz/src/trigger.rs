//! The trigger of an event, by the table under "Requests" in `docs/reference.md`.

use mitigation_action_provider::trigger::eventbridge::{REQUESTED, SOURCE};
use serde_json::Value;

/// The name of the trigger; `None` for an unrecognized event.
pub fn name(value: &Value) -> Option<&'static str> {
    if let Some(records) = value.as_array() {
        return of_records(records);
    }
    let members = value.as_object()?;
    let is_given = |name: &str| members.get(name).is_some_and(|value| !value.is_null());
    if is_given("ResponseURL") {
        return Some("cloudformation");
    }
    if is_given("Records") {
        return members["Records"].as_array().and_then(|records| of_records(records));
    }
    if ["detail-type", "source", "detail"].iter().all(|name| members.contains_key(*name)) {
        let is_known = members["source"] == SOURCE || members["detail-type"] == REQUESTED;
        return is_known.then_some("eventbridge");
    }
    (members.contains_key("actionName") || members.contains_key("operation")).then_some("direct")
}

fn of_records(records: &[Value]) -> Option<&'static str> {
    let has = |name: &str, source: &str| records.iter().any(|record| record[name] == source);
    if has("eventSource", "aws:sqs") {
        Some("sqs")
    } else {
        has("EventSource", "aws:sns").then_some("sns")
    }
}
