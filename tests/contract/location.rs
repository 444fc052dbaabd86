//! The account and the region of a request are the function's.

use serde_json::json;
use stand_ins::stack::merged;

use crate::{
    lifecycle::{NAME, create},
    sample, world,
};

#[tokio::test]
async fn a_request_of_another_account_or_region_gets_a_response_without_a_call() {
    let world = world().await;
    for (stack, stack_location) in [
        (
            "arn:aws:cloudformation:us-east-1:123456789012:stack/a/b",
            "account 123456789012, region us-east-1, partition aws",
        ),
        (
            "arn:aws:cloudformation:eu-west-1:210987654321:stack/a/b",
            "account 210987654321, region eu-west-1, partition aws",
        ),
        (
            "arn:aws-cn:cloudformation:eu-west-1:123456789012:stack/a/b",
            "account 123456789012, region eu-west-1, partition aws-cn",
        ),
    ] {
        let elsewhere = json!({ "StackId": stack });
        let refused = world.send(&merged(create(), &elsewhere)).await;
        let reason = refused.failed("InvalidRequestException").called(&[]).reason();
        for location in [stack_location, "account 123456789012, region eu-west-1, partition aws"] {
            assert!(reason.contains(location), "{reason} lacks {location}");
        }
        world
            .send(&merged(sample("update.json"), &elsewhere))
            .await
            .failed("InvalidRequestException")
            .called(&[]);
        let deleted = world.send(&merged(sample("delete.json"), &elsewhere)).await;
        assert_eq!(deleted.succeeded().called(&[]).physical_id(), NAME);
    }
}

#[tokio::test]
async fn the_placeholder_account_of_an_emulator_matches_any_account() {
    let mut world = world().await;
    world.arn = "arn:aws:lambda:us-east-1:012345678912:function:test_function".to_owned();
    world.send(&create()).await.succeeded();
    world.send(&sample("update.json")).await.succeeded();
    // With an account of 3000 digits the ARN would not fit into the response.
    let endless = format!("aws:cloudformation:eu-west-1:{}", "1".repeat(3000));
    for place in ["aws:cloudformation:us-west-2:1", "aws-cn:cloudformation:eu-west-1:1", &endless] {
        let elsewhere = json!({ "StackId": format!("arn:{place}:stack/a/b") });
        world
            .send(&merged(create(), &elsewhere))
            .await
            .failed("InvalidRequestException")
            .called(&[]);
    }
    world.send(&sample("delete.json")).await.succeeded();
    assert!(world.aws.iot.actions().is_empty());
}
