//! `Tags`.

use serde_json::{Value, json};

use super::{invalid, valid};

fn tags(tags: &Value) -> Value {
    json!({ "Tags": tags })
}

fn tag(key: &str, value: &str) -> Value {
    tags(&json!([{ "Key": key, "Value": value }]))
}

#[test]
fn tag_keys_and_values_follow_the_rules_of_the_service() {
    valid(&tag("k", ""));
    valid(&tag(&"k".repeat(128), &"v".repeat(256)));
    valid(&tag("Größe 東京 ٣ a_b.c:d/e=f+g-h@i", "anything at all! #?"));
    for key in [
        "",
        &"k".repeat(129),
        "a#b",
        "a\tb",
        "a*b",
        "हि",
        "a\u{301}",
        "🔒",
        "aws:x",
        "AWS:x",
        "mitigation-action-provider:x",
        "Mitigation-Action-Provider:x",
        " aws:x",
        "\u{a0}mitigation-action-provider:owner",
    ] {
        invalid(&tag(key, "v"), "Tags[0].Key");
    }
    valid(&tag("awsx", "v"));
    invalid(&tag("k", &"v".repeat(257)), "Tags[0].Value");
}

#[test]
fn tags_are_a_list_of_at_most_47_with_different_keys() {
    valid(&tags(&json!([])));
    invalid(&tags(&json!([{ "Value": "v" }])), "Tags[0].Key");
    invalid(&tags(&json!([{ "Key": "k" }])), "Tags[0].Value");
    invalid(&tags(&json!([{ "Key": "k", "Value": "v", "Vlaue": "x" }])), "Tags[0].Vlaue");
    invalid(
        &tags(&json!([{ "Key": "k", "Value": "1" }, { "Key": "k", "Value": "2" }])),
        "Tags[1].Key",
    );
    valid(&tags(&json!([{ "Key": "k", "Value": "1" }, { "Key": "K", "Value": "2" }])));
    invalid(&tags(&json!({ "k": "v" })), "Tags");
    invalid(&tags(&json!(["k"])), "Tags[0]");
    invalid(&tags(&json!([null])), "Tags[0]");
    let many = |count: usize| {
        tags(&(0..count).map(|n| json!({ "Key": format!("k{n}"), "Value": "v" })).collect())
    };
    valid(&many(47));
    invalid(&many(48), "Tags");
}
