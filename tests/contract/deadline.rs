//! A response before the deadline, whatever hangs.

use std::time::Duration;

use serde_json::json;
use stand_ins::{fault::Fault, stack::merged};

use crate::{create_request, response_url::amz_date, world};

#[tokio::test]
async fn a_response_is_sent_before_the_deadline_if_the_service_hangs() {
    for seconds in [1, 3, 6] {
        let world = world().await.with_timeout(Duration::from_secs(seconds));
        world.aws.iot.faults.set("*", Fault::Hang, 1000);
        let played = world.play(&create_request()).await;
        played.failed("InternalFailureException");
        let left = Duration::from_secs(seconds).saturating_sub(played.answered_after.unwrap());
        assert!(
            left >= Duration::from_secs(seconds).div_f64(10.0).min(Duration::from_secs(1)),
            "{left:?} left of {seconds} s"
        );
        assert!(played.returned.is_ok());
    }
}

#[tokio::test]
async fn at_the_deadline_the_reason_is_the_last_error_of_the_service() {
    let world = world().await.with_timeout(Duration::from_secs(3));
    world.aws.iot.faults.set("*", Fault::Throttle, 1);
    world.aws.iot.faults.set("*", Fault::Hang, 1000);
    world.play(&create_request()).await.failed("ThrottlingException");
    world.aws.iot.faults.clear();
    world.aws.iot.faults.set("*", Fault::Throttle, 1000);
    world.play(&create_request()).await.failed("ThrottlingException");
}

#[tokio::test]
async fn service_timeout_is_a_deadline_that_counts_from_the_signing_of_the_url() {
    let world = world().await.with_timeout(Duration::from_mins(1));
    world.aws.iot.faults.set("*", Fault::Hang, 1000);
    for (service_timeout, parameters, most) in [
        (json!("3"), String::new(), 3.0),
        (json!(3), String::new(), 3.0),
        (json!("33"), format!("X-Amz-Date={}&X-Amz-Expires=7200", amz_date(-30)), 3.0),
    ] {
        let (key, url) = world.response_url(&parameters);
        let event = json!({ "ResponseURL": url, "ResourceProperties": { "ServiceTimeout": service_timeout } });
        let played = world.play_to(&key, merged(create_request(), &event)).await;
        played.failed("InternalFailureException");
        assert!(
            played.answered_after.unwrap().as_secs_f64() < most * 0.9,
            "{:?}",
            played.answered_after
        );
    }
}
