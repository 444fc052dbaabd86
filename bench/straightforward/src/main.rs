//! A custom resource as a first version is written: only Create, every crate with its defaults.

use aws_config::BehaviorVersion;
use aws_sdk_iot::types::{AddThingsToThingGroupParams, MitigationActionParams, Tag};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

async fn handle(
    iot: &aws_sdk_iot::Client,
    http: &reqwest::Client,
    event: LambdaEvent<Value>,
) -> Result<Value, Error> {
    let request = event.payload;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let properties = &request["ResourceProperties"];
    let params = &properties["ActionParams"]["AddThingsToThingGroupParams"];
    let groups = params["ThingGroupNames"].as_array().into_iter().flatten().map(text).collect();
    let override_dynamic_groups = params["OverrideDynamicGroups"] == "true";
    let params = AddThingsToThingGroupParams::builder()
        .set_thing_group_names(Some(groups))
        .override_dynamic_groups(override_dynamic_groups)
        .build()?;
    let mut tags = Vec::new();
    for tag in properties["Tags"].as_array().into_iter().flatten() {
        tags.push(Tag::builder().key(text(&tag["Key"])).value(text(&tag["Value"])).build()?);
    }
    let name = text(&properties["ActionName"]);
    let created = iot
        .create_mitigation_action()
        .action_name(&name)
        .role_arn(text(&properties["RoleArn"]))
        .action_params(
            MitigationActionParams::builder().add_things_to_thing_group_params(params).build(),
        )
        .set_tags(Some(tags))
        .send()
        .await?;
    let data = json!({ "ActionArn": created.action_arn(), "ActionId": created.action_id() });
    respond(http, &request, &name, &data).await
}

async fn respond(
    http: &reqwest::Client,
    request: &Value,
    physical_id: &str,
    data: &Value,
) -> Result<Value, Error> {
    let response = json!({
        "Status": "SUCCESS",
        "PhysicalResourceId": physical_id,
        "StackId": request["StackId"],
        "RequestId": request["RequestId"],
        "LogicalResourceId": request["LogicalResourceId"],
        "Data": data,
    });
    let url = request["ResponseURL"].as_str().unwrap_or_default();
    http.put(url).body(response.to_string()).send().await?.error_for_status()?;
    Ok(response)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let iot = aws_sdk_iot::Client::new(&config);
    let http = reqwest::Client::new();
    run(service_fn(|event| handle(&iot, &http, event))).await
}
