//! What CloudFormation sends in the life of a resource, and what it gets.

use serde_json::{Value, json};

use crate::{Stack, delete, failed_create, request, response_url, update};

fn behaving(behaviour: &str) -> Value {
    json!({ "ResourceProperties": { "Behave": behaviour } })
}

#[tokio::test]
async fn a_resource_is_created_changed_replaced_and_deleted() {
    let stack = Stack::default();
    let created = stack.succeeds(&request(&json!({}))).await;
    assert_eq!(created["PhysicalResourceId"], "orders");
    assert_eq!(created["Data"], json!({ "Url": "https://topics.example/orders", "Size": "3" }));
    let larger = json!({ "ResourceProperties": { "Size": "4" } });
    let updated = stack.succeeds(&update("orders", &larger)).await;
    assert_eq!(
        (&updated["PhysicalResourceId"], &updated["Data"]["Size"]),
        (&json!("orders"), &json!("4"))
    );
    let renamed = json!({ "ResourceProperties": { "Name": "sales" } });
    assert_eq!(stack.succeeds(&update("orders", &renamed)).await["PhysicalResourceId"], "sales");
    assert_eq!(stack.topics.names(), ["orders", "sales"]);
    let deleted = stack.succeeds(&delete("orders")).await;
    assert_eq!(
        (&deleted["PhysicalResourceId"], &deleted["Data"]),
        (&json!("orders"), &Value::Null)
    );
    assert_eq!(stack.topics.names(), ["sales"]);
    assert_eq!(stack.topics.take_calls(), ["create", "update", "update", "delete"]);
}

#[tokio::test]
async fn a_request_delivered_twice_finds_its_own_work() {
    let stack = Stack::default();
    let create = request(&json!({}));
    let first = stack.succeeds(&create).await;
    assert_eq!(stack.succeeds(&create).await, first);
    let another = request(&json!({ "RequestId": "request-9" }));
    let (_, reason) = stack.fails(&another).await;
    assert_eq!(reason, "the name orders is taken");
    let later = request(&json!({ "ResponseURL": response_url(-4) }));
    stack.fails(&later).await;
}

#[tokio::test]
async fn a_delete_after_a_create_that_failed_has_its_name_and_its_request() {
    let stack = Stack::default();
    let (id, reason) = stack.fails(&request(&behaving("fail"))).await;
    assert_eq!((failed_create(&id).0, reason.as_str()), ("orders", "the topic is broken"));
    assert_eq!(stack.topics.names(), ["orders"], "it was created nevertheless");
    let deleted = stack.succeeds(&delete(&id)).await;
    assert_eq!(deleted["PhysicalResourceId"], json!(id));
    assert!(stack.topics.names().is_empty());
}

#[tokio::test]
async fn a_delete_after_a_create_that_failed_leaves_what_another_request_created() {
    let stack = Stack::default();
    stack.succeeds(&request(&json!({}))).await;
    let (id, _) = stack.fails(&request(&json!({ "RequestId": "request-9" }))).await;
    stack.succeeds(&delete(&id)).await;
    assert_eq!(stack.topics.names(), ["orders"]);
}

#[tokio::test]
async fn an_update_of_what_was_not_created_creates_it() {
    let stack = Stack::default();
    let (id, _) = stack.fails(&request(&behaving("panic"))).await;
    assert_eq!(failed_create(&id).0, "unknown", "the method that names it panics, too");
    stack.topics.existing.take();
    stack.topics.take_calls();
    let failing = merged_request_id(update(&id, &behaving("fail")));
    let (second, _) = stack.fails(&failing).await;
    assert_ne!(failed_create(&second).1, failed_create(&id).1, "an id of its own");
    stack.topics.existing.take();
    assert_eq!(stack.succeeds(&update(&second, &json!({}))).await["PhysicalResourceId"], "orders");
    assert_eq!(stack.topics.take_calls(), ["create", "create"]);
}

fn merged_request_id(mut event: Value) -> Value {
    event["RequestId"] = json!("request-9");
    event
}

#[tokio::test]
async fn an_update_or_a_delete_that_fails_keeps_the_id() {
    let stack = Stack::default();
    stack.succeeds(&request(&json!({}))).await;
    for behaviour in ["fail", "panic", "no id", "attributes that do not fit"] {
        let (id, _) = stack.fails(&update("orders", &behaving(behaviour))).await;
        assert_eq!(id, "orders", "{behaviour}");
    }
    let (id, reason) = stack.fails(&delete("stuck")).await;
    assert_eq!((id.as_str(), reason.as_str()), ("stuck", "the topic is stuck"));
}

#[tokio::test]
async fn an_update_without_an_id_fails_before_any_method() {
    let stack = Stack::default();
    for id in [json!(""), Value::Null] {
        let (id, reason) = stack.fails(&update("", &json!({ "PhysicalResourceId": id }))).await;
        assert!(reason.starts_with("PhysicalResourceId: missing: expected "), "{reason}");
        assert_eq!(failed_create(&id).0, "orders");
    }
    assert!(stack.topics.take_calls().is_empty());
    // There is nothing else that a Delete without an id could mean.
    stack.succeeds(&delete("")).await;
}

#[tokio::test]
async fn an_unknown_request_type_fails_before_any_method() {
    let stack = Stack::default();
    let kept = json!({ "RequestType": "Replace", "PhysicalResourceId": "orders" });
    let (id, reason) = stack.fails(&request(&kept)).await;
    let expected = "RequestType: invalid value \"Replace\": expected Create, Update or Delete";
    assert_eq!((id.as_str(), reason.as_str()), ("orders", expected));
    let (id, reason) = stack.fails(&request(&json!({ "RequestType": null }))).await;
    assert_eq!(reason, "RequestType: missing: expected Create, Update or Delete");
    assert_eq!(failed_create(&id).0, "orders");
    let long = json!({ "RequestType": ["r".repeat(9000)] });
    let (_, reason) = stack.fails(&request(&long)).await;
    assert!(reason.contains("invalid value [\"rrr") && reason.len() < 200, "{reason}");
    assert!(stack.topics.take_calls().is_empty());
}

#[tokio::test]
async fn a_request_with_another_id_or_date_has_another_id_if_it_fails() {
    let stack = Stack::default();
    let id = async |patch: Value| {
        let (id, _) = stack.fails(&crate::merged(request(&behaving("fail")), &patch)).await;
        stack.topics.existing.take();
        id
    };
    let host = "https://cloudformation-custom-resource-response-euwest1.s3.amazonaws.com/x";
    let with = |query: &str| json!({ "ResponseURL": format!("{host}?{query}") });
    let (first, later) = (crate::amz_date(-9), crate::amz_date(-8));
    let dated = id(with(&format!("X-Amz-Date={first}"))).await;
    assert!(dated.starts_with("not-created:orders:"), "{dated}");
    assert_eq!(dated, id(with(&format!("X-Amz-Date={first}&X-Amz-Signature=b"))).await);
    assert_ne!(dated, id(with(&format!("X-Amz-Date={later}"))).await);
    assert_ne!(id(with("Expires=9795342272")).await, id(with("Expires=9795342273")).await);
    let mut renamed = with(&format!("X-Amz-Date={first}"));
    renamed["RequestId"] = json!("request-9");
    assert_ne!(dated, id(renamed).await);
}

#[tokio::test]
async fn a_name_too_long_for_an_id_counts_as_none() {
    let stack = Stack::default();
    let properties = json!({ "Behave": "fail", "Name": "\u{1f512}".repeat(400) });
    let (id, _) = stack.fails(&request(&json!({ "ResourceProperties": properties }))).await;
    assert_eq!(failed_create(&id).0, "unknown");
}
