//! Until when work on a request goes on, and until when it gets a response.

use std::time::{Duration, SystemTime};

use cloudformation_custom_resource::{Deadlines, Provider, Request, Served};
use serde_json::{Value, json};
use stand_ins::stack::amz_date;
use tokio::time::{Instant, advance};

use crate::{REGION, Recorder, Stack, merged, request, response_url, topics::Topics};

fn url(query: &str) -> String {
    format!("https://cloudformation-custom-resource-response-euwest1.s3.amazonaws.com/x?{query}")
}

fn read(patch: &Value) -> Request {
    Request::read(&request(patch).to_string()).unwrap()
}

/// In seconds since 1970.
fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn a_request_was_sent_at_the_date_of_its_url() {
    let sent = |query: &str| seconds(read(&json!({ "ResponseURL": url(query) })).sent);
    assert_eq!(sent("X-Amz-Date=20261122T101112Z&X-Amz-Expires=7200"), 1_795_342_272);
    assert_eq!(sent("AWSAccessKeyId=a&Expires=1795342272"), 1_795_342_272);
    let now = seconds(SystemTime::now());
    for query in ["", "X-Amz-Date=1", "Expires=x", "Expires=99999999999999999999"] {
        assert!((now..now + 60).contains(&sent(query)), "{query}");
    }
}

#[test]
fn cloudformation_waits_until_the_service_timeout_or_the_expiry_of_the_url() {
    const SENT: u64 = 1_795_342_272;

    let lasts = |expires: &str, timeout: Value| {
        let url = url(&format!("X-Amz-Date=20261122T101112Z{expires}"));
        let beside = json!({ "ResponseURL": url, "ServiceTimeout": timeout });
        let within = json!({
            "ResponseURL": url, "ResourceProperties": { "ServiceTimeout": timeout }
        });
        let [beside, within] = [beside, within].map(|patch| seconds(read(&patch).waits_until));
        assert_eq!(beside, within, "a property, and a member of the request");
        beside - SENT
    };
    assert_eq!(lasts("&X-Amz-Expires=7200", json!("360")), 360);
    assert_eq!(lasts("&X-Amz-Expires=7200", json!(360)), 360);
    assert_eq!(lasts("&X-Amz-Expires=60", json!("360")), 60);
    assert_eq!(lasts("", json!(" 1 ")), 1);
    for unusable in [Value::Null, json!("0"), json!("3601"), json!("-1"), json!("x"), json!([])] {
        assert_eq!(lasts("", unusable), 3600);
    }
    let both = json!({
        "ResponseURL": url("X-Amz-Date=20261122T101112Z"),
        "ServiceTimeout": 20,
        "ResourceProperties": { "ServiceTimeout": "10" },
    });
    assert_eq!(seconds(read(&both).waits_until), SENT + 10, "the property counts");
    let expires = json!({ "ResponseURL": url("Expires=1795342272") });
    assert_eq!(seconds(read(&expires).waits_until), SENT);
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_is_not_executed() {
    let stack = Stack::default();
    let timed_out = json!({ "ServiceTimeout": "4" });
    for patch in [
        json!({ "ResponseURL": response_url(-7201) }),
        json!({ "ResponseURL": url(&format!("X-Amz-Expires=9&X-Amz-Date={}", amz_date(-10))) }),
        json!({ "ResponseURL": url("AWSAccessKeyId=a&Expires=1700000000") }),
        json!({ "ResourceProperties": timed_out }),
        timed_out.clone(),
    ] {
        let (returned, responses) = stack.invoke(&request(&patch)).await;
        let returned = returned.unwrap();
        assert!(matches!(returned.as_slice(), [Served::Expired]), "{patch}: {returned:?}");
        assert!(responses.is_empty() && stack.topics.take_calls().is_empty(), "{patch}");
    }
    for patch in [
        json!({ "ResponseURL": response_url(-3590) }),
        json!({ "ResponseURL": url("Expires=99999999999") }),
        json!({ "ResponseURL": url("Expires=x") }),
        json!({ "ResourceProperties": { "ServiceTimeout": "60" } }),
    ] {
        stack.send(&request(&patch)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_knows_when_its_work_has_to_end() {
    let left = async |patch: Value| {
        let (stack, began) = (Stack::default(), Instant::now());
        stack.succeeds(&request(&patch)).await;
        stack.topics.deadline.take().unwrap().duration_since(began).as_secs_f64()
    };
    // Of the minute of the invocation, a second stays free, and three are for the response.
    let whole = left(json!({})).await;
    assert!((whole - 56.0).abs() < 0.5, "{whole}");
    let mut patch = json!({ "ResponseURL": response_url(0) });
    patch["ResourceProperties"] = json!({ "ServiceTimeout": 10 });
    let short = left(patch).await;
    assert!((5.0..=7.0).contains(&short), "{short}");
}

#[test]
fn a_fifth_of_little_time_is_free_and_another_is_for_the_response() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (began, now) = (Instant::now(), SystemTime::now());
        let deadlines = |seconds: &[u64]| {
            let ends = seconds.iter().map(|seconds| now + Duration::from_secs(*seconds));
            let Deadlines { work, respond } = Deadlines::new(now, ends);
            [work, respond].map(|at| at.duration_since(began).as_millis())
        };
        assert_eq!(deadlines(&[60]), [56_000, 59_000]);
        assert_eq!(deadlines(&[60, 5, 30]), [3_000, 4_000]);
        assert_eq!(deadlines(&[1]), [600, 800]);
        assert_eq!(deadlines(&[0]), [0, 1_000]);
    });
}

#[tokio::test(start_paused = true)]
async fn a_response_is_tried_once_however_little_time_is_left() {
    for past in [Duration::ZERO, Duration::from_secs(9)] {
        let (topics, responses) = (Topics::default(), Recorder::default());
        let provider = Provider::new(REGION, responses.clone());
        let until = SystemTime::now() - past;
        let event =
            merged(request(&json!({})), &json!({ "ResourceProperties": { "Behave": "hang" } }));
        provider.handle(&topics, &event.to_string(), until).await.unwrap();
        assert_eq!(responses.0.borrow()[0]["Reason"], "time ran out");
        assert_eq!(responses.0.borrow().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn each_delivery_of_a_request_has_a_deadline_of_its_own() {
    let (topics, responses) = (Topics::default(), Recorder::default());
    let provider = Provider::new(REGION, responses);
    let mut request = read(&json!({}));
    for _ in 0..2 {
        let until = SystemTime::now() + Duration::from_secs(10);
        provider.serve(&topics, &mut request, until).await.unwrap();
        assert!(topics.deadline.take().unwrap() > Instant::now() + Duration::from_secs(5));
        advance(Duration::from_secs(20)).await;
    }
}
