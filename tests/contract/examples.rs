//! The examples and the README show what the function accepts.

use std::{path::Path, process::Command};

use serde_json::{Value, json};
use stand_ins::{OWNER_TAG, stack::merged};

use crate::{sample, world};

fn example(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path))
        .unwrap()
}

/// Replaces each `"name.$": path` by the value at that path of `input`, as Step Functions does.
fn resolved(template: &Value, input: &Value) -> Value {
    let Value::Object(map) = template else { return template.clone() };
    let member = |(name, value): (&String, &Value)| match (name.strip_suffix(".$"), value.as_str())
    {
        (Some(name), Some("$$.Execution.Name")) => (name.to_owned(), json!("execution-1")),
        (Some(name), Some(path)) => (name.to_owned(), input[path.trim_start_matches("$.")].clone()),
        _ => (name.clone(), resolved(value, input)),
    };
    map.iter().map(member).collect::<serde_json::Map<_, _>>().into()
}

#[tokio::test]
async fn the_state_machine_sends_a_valid_request_and_catches_the_errors() {
    let machine: Value = serde_json::from_str(&example("step-functions.asl.json")).unwrap();
    let task = &machine["States"]["CreateAction"];
    let input = json!({
        "name": "fleet-publish",
        "role": "arn:aws:iam::123456789012:role/mitigation-actions/publish-findings",
        "topic": "arn:aws:sns:eu-west-1:123456789012:security-findings",
    });
    let payload = resolved(&task["Parameters"]["Payload"], &input);
    let world = world().await;
    let invoke = async |payload: &Value| {
        world.aws.lambda.invoke(payload.to_string().into_bytes(), world.timeout, &world.arn).await
    };
    let made = invoke(&payload).await.unwrap();
    assert!(made["actionArn"].is_string(), "{made}");
    let owner = world.aws.iot.action("fleet-publish").unwrap().tags[OWNER_TAG].clone();
    assert!(owner.starts_with("request/execution-1/"), "{owner}");
    assert_eq!(invoke(&payload).await.unwrap(), made, "a retry creates no second action");

    let next = |error: &Value| {
        let list = task["Catch"].as_array().unwrap();
        let catches = |catcher: &&Value| {
            catcher["ErrorEquals"].as_array().unwrap().contains(&error["errorType"])
        };
        list.iter().find(catches).map(|found| found["Next"].as_str().unwrap().to_owned())
    };
    let conflict =
        invoke(&merged(payload.clone(), &json!({ "requestId": "execution-2" }))).await.unwrap_err();
    assert_eq!(next(&conflict).as_deref(), Some("NameIsTaken"));
    let invalid = invoke(&merged(payload, &json!({ "roleArn": "short" }))).await.unwrap_err();
    assert_eq!(next(&invalid).as_deref(), Some("RequestIsWrong"));
}

#[tokio::test]
async fn the_template_in_the_readme_succeeds() {
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let begin = readme.find("```yaml\nResources:\n  Quarantine:").expect("the template");
    let block = readme.split_at(begin).1.split("```").nth(1).unwrap().trim_start_matches("yaml\n");
    // The block is too simple to need a YAML parser: each line is searched for.
    for line in [
        "Type: Custom::IoTMitigationAction",
        "ActionName: fleet-quarantine",
        "RoleArn: arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things",
        "AddThingsToThingGroupParams:",
        "ThingGroupNames: [quarantine]",
        "OverrideDynamicGroups: true",
        "{ Key: team, Value: iot-security }",
        "!GetAtt Quarantine.ActionArn",
    ] {
        assert!(block.contains(line), "{line}");
    }
    let groups = json!({ "ThingGroupNames": ["quarantine"], "OverrideDynamicGroups": "true" });
    let properties = json!({
        "ServiceTimeout": "60",
        "ActionName": "fleet-quarantine",
        "RoleArn": "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things",
        "ActionParams": { "AddThingsToThingGroupParams": groups },
        "Tags": [{ "Key": "team", "Value": "iot-security" }],
    });
    let mut event = sample("create-add-things-to-thing-group.json");
    event["ResourceProperties"] = properties;
    world().await.send(&event).await.succeeded();
}

#[tokio::test]
async fn the_cdk_app_succeeds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/cdk");
    assert!(
        folder.join("node_modules/aws-cdk-lib").exists(),
        "the CDK is not installed: run `make tools`, as `make test` does"
    );
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cdk.out");
    let made = Command::new("node")
        .arg("app.js")
        .current_dir(&folder)
        .env("CDK_OUTDIR", &out)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let template: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("Fleet.template.json")).unwrap())
            .unwrap();
    let resource = &template["Resources"]["Quarantine"];
    assert_eq!(resource["Type"], "Custom::IoTMitigationAction");
    assert!(
        template["Outputs"]["QuarantineArn"]["Value"]["Fn::GetAtt"]
            == json!(["Quarantine", "ActionArn"])
    );
    // CloudFormation resolves intrinsic functions and converts scalars to strings.
    let mut properties = resource["Properties"].clone();
    properties["ServiceToken"] =
        json!("arn:aws:lambda:eu-west-1:123456789012:function:mitigation-action-provider");
    properties["RoleArn"] =
        json!("arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things");
    properties["ServiceTimeout"] = json!(properties["ServiceTimeout"].to_string());
    properties["ActionParams"]["AddThingsToThingGroupParams"]["OverrideDynamicGroups"] =
        json!("true");
    let mut event = sample("create-add-things-to-thing-group.json");
    event["ResourceProperties"] = properties;
    world().await.send(&event).await.succeeded();
}
