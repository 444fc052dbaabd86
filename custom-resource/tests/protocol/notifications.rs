//! A topic in front of the function.

use cloudformation_custom_resource::Error;
use serde_json::{Value, json};

use crate::{Stack, delete, request};

fn notification(message: &str) -> Value {
    json!({ "EventSource": "aws:sns", "Sns": { "Type": "Notification", "Message": message } })
}

#[tokio::test]
async fn the_requests_in_notifications_are_served_in_turn() {
    let stack = Stack::default();
    let records =
        [request(&json!({})), delete("orders")].map(|event| notification(&event.to_string()));
    let (returned, responses) = stack.invoke(&json!({ "Records": records })).await;
    assert_eq!(returned.unwrap().len(), 2);
    assert_eq!(responses.len(), 2);
    assert_eq!(stack.topics.take_calls(), ["create", "delete"]);
}

#[tokio::test]
async fn a_record_that_is_no_request_is_an_error_once_the_others_are_served() {
    let create = notification(&request(&json!({})).to_string());
    for other in [notification("hello"), notification("{}"), json!({ "Sns": null }), json!(1)] {
        let stack = Stack::default();
        let (returned, responses) = stack.invoke(&json!({ "Records": [other, create] })).await;
        assert!(matches!(returned, Err(Error::NotARequest)), "{other}: {returned:?}");
        assert_eq!((responses.len(), stack.topics.names().len()), (1, 1));
    }
}

#[tokio::test]
async fn an_event_that_holds_no_request_is_an_error() {
    for event in [
        json!({}),
        json!([]),
        json!("x"),
        Value::Null,
        json!({ "Records": [] }),
        json!({ "Records": 1 }),
        json!({ "RequestType": "Create" }),
        json!({ "RequestType": "Create", "ResponseURL": null }),
    ] {
        let (returned, responses) = Stack::default().invoke(&event).await;
        assert!(matches!(returned, Err(Error::NotARequest)), "{event}: {returned:?}");
        assert!(responses.is_empty());
    }
}

#[tokio::test]
async fn the_first_of_several_errors_is_returned() {
    let forbidden = request(&json!({ "ResponseURL": "https://example.com/?secret" })).to_string();
    let records = [notification(&forbidden), notification("hello")];
    let (returned, _) = Stack::default().invoke(&json!({ "Records": records })).await;
    let error = returned.unwrap_err();
    assert!(matches!(error, Error::Forbidden(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"));
}
