//! The properties of a request, as a type of the author's.

use cloudformation_custom_resource::{Request, scalar};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::request;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    name: String,
    #[serde(deserialize_with = "scalar::boolean")]
    enabled: bool,
    #[serde(default, deserialize_with = "scalar::optional_number")]
    size: Option<u8>,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    #[serde(deserialize_with = "scalar::number")]
    weight: f64,
}

fn read<T: DeserializeOwned>(properties: &Value) -> Result<T, String> {
    let mut event = request(&json!({}));
    event["ResourceProperties"] = properties.clone();
    let request = Request::read(&event.to_string()).unwrap();
    request.properties().map_err(|failure| failure.to_string())
}

#[test]
fn scalars_that_cloudformation_made_strings_are_read() {
    let rules = json!([{ "Weight": "1.50" }, { "Weight": 2 }]);
    let given = json!({ "Name": "n", "Enabled": "True", "Size": "12", "Rules": rules });
    let read: Properties = read(&given).unwrap();
    assert_eq!((read.name.as_str(), read.enabled, read.size), ("n", true, Some(12)));
    let weights: Vec<String> = read.rules.iter().map(|rule| rule.weight.to_string()).collect();
    assert_eq!(weights, ["1.5", "2"]);
}

#[test]
fn properties_that_do_not_fit_are_named_by_their_path() {
    for (given, expected) in [
        (json!({ "Name": "n" }), "ResourceProperties: missing field `Enabled`"),
        (json!({ "Name": [], "Enabled": true }), "Name: invalid type: sequence"),
        (
            json!({ "Name": "n", "Enabled": "yes" }),
            "Enabled: invalid value \"yes\": expected true or false",
        ),
        (
            json!({ "Name": "n", "Enabled": {} }),
            "Enabled: invalid type: map, expected a boolean, a number or a string",
        ),
        (
            json!({ "Name": "n", "Enabled": true, "Size": 256 }),
            "Size: invalid value \"256\": expected a number (u8)",
        ),
        (
            json!({ "Name": "n", "Enabled": true, "Rules": [{ "Weight": 1 }, { "Weight": "x" }] }),
            "Rules[1].Weight: invalid value \"x\": expected a number (f64)",
        ),
        (json!("x"), "ResourceProperties: invalid type: string \"x\""),
        (Value::Null, "ResourceProperties: missing: expected an object"),
    ] {
        let error = read::<Properties>(&given).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains(" at line "), "{error}");
    }
}

#[test]
fn old_properties_are_read_like_the_new() {
    let event = request(&json!({ "OldResourceProperties": { "Name": 1, "Enabled": true } }));
    let request = Request::read(&event.to_string()).unwrap();
    let error = request.old_properties::<Properties>().unwrap_err().to_string();
    assert!(error.starts_with("Name: invalid type: integer"), "{error}");
    assert_eq!(request.raw_old_properties().unwrap().get(), r#"{"Enabled":true,"Name":1}"#);
}

#[test]
fn the_debug_output_of_a_request_has_neither_its_properties_nor_its_url() {
    let event = request(&json!({ "ResourceProperties": { "Password": "hunter2" } })).to_string();
    let output = format!("{:?}", Request::read(&event).unwrap());
    assert!(output.contains("Orders"), "{output}");
    assert!(!output.contains("hunter2") && !output.contains("5ec4e75167"), "{output}");
}
