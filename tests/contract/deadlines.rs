//! A response is sent before the deadline, even if a service hangs.

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{fault::Fault, stack::merged};

use crate::{cloudformation::amz_date, create_request, invocation::invoke, world};

#[tokio::test]
async fn a_response_is_sent_before_the_deadline_if_the_service_hangs() {
    for seconds in [1, 3, 6] {
        let world = world().await.with_timeout(Duration::from_secs(seconds));
        world.aws.iot.faults.set("*", Fault::Hang, 1000);
        let exchange = world.send(&create_request()).await;
        exchange.failed("InternalFailureException");
        let timeout = Duration::from_secs(seconds);
        let remaining = timeout.saturating_sub(exchange.response_time.unwrap());
        assert!(
            remaining >= timeout.div_f64(10.0).min(Duration::from_secs(1)),
            "{remaining:?} of {seconds} s remained"
        );
        assert!(exchange.returned.is_ok());
    }
}

#[tokio::test]
async fn at_the_deadline_the_reason_is_the_last_error_of_the_service() {
    let world = world().await.with_timeout(Duration::from_secs(3));
    world.aws.iot.faults.set("*", Fault::Throttle, 1);
    world.aws.iot.faults.set("*", Fault::Hang, 1000);
    world.send(&create_request()).await.failed("ThrottlingException");
    world.aws.iot.faults.clear();
    world.aws.iot.faults.set("*", Fault::Throttle, 1000);
    world.send(&create_request()).await.failed("ThrottlingException");
}

#[tokio::test]
async fn a_request_that_runs_out_of_time_says_after_how_many_calls() {
    for (timeout, calls) in [(1500, "1 call"), (3000, "2 calls")] {
        let world = world().await.with_timeout(Duration::from_millis(timeout));
        world.aws.iot.faults.set("*", Fault::Hang, 1000);
        let describe = json!({ "operation": "DescribeMitigationAction", "actionName": "a" });
        let invocation = invoke(&world, &describe).await;
        let reason = format!(
            "time ran out after {calls} to AWS IoT: DescribeMitigationAction: no response in time"
        );
        assert_eq!(invocation.function_error("InternalFailureException"), reason);
    }
}

#[tokio::test]
async fn service_timeout_is_a_deadline_that_counts_from_the_signing_of_the_url() {
    let world = world().await.with_timeout(Duration::from_mins(1));
    world.aws.iot.faults.set("*", Fault::Hang, 1000);
    for (service_timeout, age) in [
        (json!("3"), None),
        (json!(3), None),
        (json!("33"), Some(30)),
        // The default is an hour.
        (Value::Null, Some(3597)),
    ] {
        let max = 3.0;
        let parameters = age.map_or(String::new(), |age: i64| {
            format!("X-Amz-Date={}&X-Amz-Expires=7200", amz_date(-age))
        });
        let (key, url) = world.response_url(&parameters);
        let properties = json!({ "ServiceTimeout": service_timeout });
        let event = json!({ "ResponseURL": url, "ResourceProperties": properties });
        let exchange = world.send_to(&key, merged(create_request(), &event)).await;
        exchange.failed("InternalFailureException");
        let response_time = exchange.response_time.unwrap();
        assert!(response_time.as_secs_f64() < max * 0.9, "{response_time:?}");
    }
}

#[tokio::test]
async fn a_request_whose_service_timeout_has_passed_makes_no_call_and_returns_expired() {
    let world = world().await;
    for (service_timeout, age) in [(json!("30"), 31), (json!(60), 61), (Value::Null, 3601)] {
        let parameters = format!("X-Amz-Date={}&X-Amz-Expires=7200", amz_date(-age));
        let (key, url) = world.response_url(&parameters);
        let properties = json!({ "ServiceTimeout": service_timeout });
        let event = json!({ "ResponseURL": url, "ResourceProperties": properties });
        let exchange = world.send_to(&key, merged(create_request(), &event)).await;
        assert_eq!(exchange.returned, Ok(json!({ "status": "EXPIRED" })));
        assert_eq!((exchange.puts, exchange.calls.len()), (0, 0));
    }
}
