//! One answer, in time, to the right host, with nothing in it or beside it that must not be known.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use stand_ins::{
    Aws,
    fault::Fault,
    function::{ACCESS_KEY, SECRET_KEY, SESSION_TOKEN},
    stack::{Played, World, merged},
    tls::Tls,
};

use crate::{sample, world, world_with};

fn create() -> Value {
    sample("create-update-device-certificate.json")
}

/// A presigned URL's date, `seconds` from now.
fn amz_date(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let then = now.checked_add_signed(seconds).unwrap();
    let (days, second) = (then / 86_400, then % 86_400);
    let mut year = 1970;
    let mut day = days;
    let length = |year: u64| {
        if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) {
            366
        } else {
            365
        }
    };
    while day >= length(year) {
        day -= length(year);
        year += 1;
    }
    let february = if length(year) == 366 { 29 } else { 28 };
    let mut month = 0;
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    format!(
        "{year:04}{:02}{:02}T{:02}{:02}{:02}Z",
        month + 1,
        day + 1,
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[tokio::test]
async fn a_response_that_is_refused_for_a_moment_is_sent_again_until_it_is_accepted_once() {
    for fault in [
        Fault::Refuse(500, "InternalError"),
        Fault::Refuse(503, "SlowDown"),
        Fault::Refuse(429, "TooManyRequests"),
        Fault::Refuse(408, "RequestTimeout"),
        Fault::LoseBefore,
        Fault::LoseAfter,
        Fault::Hang,
    ] {
        let world = world().await.with_timeout(Duration::from_secs(8));
        world.aws.bucket.faults.set("PUT", fault.clone(), 2);
        let played = world.play(&create()).await;
        assert_eq!(played.succeeded().puts, 3, "{fault:?}");
        assert_eq!(played.returned.as_ref().unwrap(), played.answer());
    }
}

#[tokio::test]
async fn a_response_that_is_refused_for_good_or_redirected_is_a_function_error() {
    for status in [400, 403, 404, 411, 307, 301] {
        let world = world().await;
        world.aws.bucket.faults.set("PUT", Fault::Refuse(status, "Refused"), 100);
        let played = world.play(&create()).await;
        let error = played.returned.as_ref().unwrap_err();
        assert_eq!(error["errorType"], "UndeliverableResponse");
        assert!(error["errorMessage"].as_str().unwrap().contains(&status.to_string()), "{error}");
        assert_eq!(played.puts, 1);
    }
}

#[tokio::test]
async fn a_response_that_nobody_takes_is_a_function_error_before_the_deadline() {
    for fault in [Fault::Refuse(503, "SlowDown"), Fault::Hang] {
        let world = world().await.with_timeout(Duration::from_secs(3));
        world.aws.bucket.faults.set("PUT", fault, 1000);
        let played = world.play(&create()).await;
        assert_eq!(played.returned.as_ref().unwrap_err()["errorType"], "UndeliverableResponse");
        assert!(played.puts > 1);
    }
}

#[tokio::test]
async fn a_hanging_service_is_answered_for_before_the_deadline() {
    for seconds in [1, 3, 6] {
        let world = world().await.with_timeout(Duration::from_secs(seconds));
        world.aws.iot.faults.set("*", Fault::Hang, 1000);
        let played = world.play(&create()).await;
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
async fn when_time_runs_out_the_reason_is_the_services_last_answer() {
    let world = world().await.with_timeout(Duration::from_secs(3));
    world.aws.iot.faults.set("*", Fault::Throttle, 1);
    world.aws.iot.faults.set("*", Fault::Hang, 1000);
    world.play(&create()).await.failed("ThrottlingException");
    world.aws.iot.faults.clear();
    world.aws.iot.faults.set("*", Fault::Throttle, 1000);
    world.play(&create()).await.failed("ThrottlingException");
}

#[tokio::test]
async fn service_timeout_is_an_earlier_deadline_and_counts_from_the_signing_of_the_url() {
    let world = world().await.with_timeout(Duration::from_mins(1));
    world.aws.iot.faults.set("*", Fault::Hang, 1000);
    for (service_timeout, parameters, most) in [
        (json!("3"), String::new(), 3.0),
        (json!(3), String::new(), 3.0),
        (json!("33"), format!("X-Amz-Date={}&X-Amz-Expires=7200", amz_date(-30)), 3.0),
    ] {
        let (key, url) = world.response_url(&parameters);
        let event = json!({ "ResponseURL": url, "ResourceProperties": { "ServiceTimeout": service_timeout } });
        let played = world.play_to(&key, merged(create(), &event)).await;
        played.failed("InternalFailureException");
        assert!(
            played.answered_after.unwrap().as_secs_f64() < most * 0.9,
            "{:?}",
            played.answered_after
        );
    }
}

#[tokio::test]
async fn an_expired_url_makes_no_call_and_is_told_apart() {
    let world = world().await;
    for parameters in [
        format!("X-Amz-Date={}&X-Amz-Expires=7200", amz_date(-7201)),
        format!("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=60&X-Amz-Date={}", amz_date(-3600)),
        "AWSAccessKeyId=AKIA&Expires=1700000000&Signature=x".to_owned(),
    ] {
        let (key, url) = world.response_url(&parameters);
        let played = world.play_to(&key, merged(create(), &json!({ "ResponseURL": url }))).await;
        assert_eq!(played.returned, Ok(json!({ "status": "EXPIRED" })));
        assert_eq!((played.puts, played.calls.len()), (0, 0));
    }
    for parameters in [
        format!("X-Amz-Date={}&X-Amz-Expires=7200", amz_date(-7000)),
        "Expires=99999999999".to_owned(),
        "Expires=x".to_owned(),
    ] {
        let (key, url) = world.response_url(&parameters);
        world.play_to(&key, merged(create(), &json!({ "ResponseURL": url }))).await.succeeded();
    }
}

#[tokio::test]
async fn another_host_is_not_answered_and_no_work_is_done() {
    let world = world().await;
    for url in
        ["https://example.com/x", "http://localhost:1/x", "", "no url", "https://user@127.0.0.1/x"]
    {
        let played = world.play_to("none", merged(create(), &json!({ "ResponseURL": url }))).await;
        assert_eq!(
            played.returned.as_ref().unwrap_err()["errorType"],
            "ForbiddenResponseUrl",
            "{url}"
        );
        assert!(played.calls.is_empty());
    }
}

#[tokio::test]
async fn what_is_no_request_is_unrecognized_and_the_function_goes_on() {
    let mut world = world().await;
    for payload in [
        "{}",
        "[]",
        "7",
        "null",
        "\"text\"",
        "{\"RequestType\":\"Create\"}",
        "{\"ResponseURL\":null}",
        "not json",
        "",
        "{\"a\":",
        "\u{feff}{}",
    ] {
        let returned =
            world.aws.lambda.invoke(payload.into(), Duration::from_secs(5), &world.arn).await;
        assert_eq!(returned.unwrap_err()["errorType"], "UnrecognizedEvent", "{payload}");
    }
    let returned =
        world.aws.lambda.invoke(vec![0xff, 0xfe, b'{'], Duration::from_secs(5), &world.arn).await;
    assert_eq!(returned.unwrap_err()["errorType"], "UnrecognizedEvent");
    let deep = "[".repeat(100_000);
    let returned =
        world.aws.lambda.invoke(deep.into_bytes(), Duration::from_secs(5), &world.arn).await;
    assert_eq!(returned.unwrap_err()["errorType"], "UnrecognizedEvent");
    world.play(&create()).await.succeeded();
    assert!(world.function.is_running());
}

#[tokio::test]
async fn half_broken_envelopes_are_answered() {
    let world = world().await;
    let check = async |patch: Value, said: &str| {
        let played = world.play(&merged(create(), &patch)).await;
        played.failed("InvalidRequestException").changed_nothing();
        assert!(played.reason().contains(said), "{} lacks {said}", played.reason());
    };
    check(json!({ "RequestType": "Replace" }), "\"Replace\"").await;
    check(json!({ "RequestType": null }), "RequestType: missing").await;
    check(json!({ "RequestType": ["Create"] }), "RequestType").await;
    check(json!({ "StackId": null }), "StackId: missing").await;
    check(json!({ "StackId": "my-stack" }), "StackId: \"my-stack\"").await;
    check(json!({ "LogicalResourceId": null }), "LogicalResourceId: missing").await;
    check(json!({ "ResourceProperties": null }), "ResourceProperties: missing").await;
    for value in [json!([]), json!("x"), json!(7)] {
        let mut event = create();
        event["ResourceProperties"] = value;
        let played = world.play(&event).await;
        assert!(played.failed("InvalidRequestException").reason().contains("ResourceProperties"));
    }
    for kind in ["Create", "Update"] {
        let played =
            world.play(&merged(create(), &json!({ "RequestType": kind, "StackId": null }))).await;
        assert!(
            !played.failed("InvalidRequestException").reason().contains("RequestType"),
            "{}",
            played.reason()
        );
    }
    let (key, url) = world.response_url("");
    let mut event = create();
    event["ResponseURL"] = json!(url);
    event["ResourceProperties"] = json!("DEEP");
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let text = event.to_string().replace("\"DEEP\"", &deep);
    world.aws.lambda.invoke(text.into_bytes(), Duration::from_secs(5), &world.arn).await.unwrap();
    assert!(world.aws.bucket.puts(&key)[0].body.contains("no object that can be read"));

    let nothing = json!({ "StackId": null, "LogicalResourceId": null, "RequestId": null, "PhysicalResourceId": null });
    let deleted = world.play(&merged(sample("delete.json"), &nothing)).await;
    deleted.succeeded().changed_nothing();
}

#[tokio::test]
async fn one_property_that_cannot_be_read_does_not_take_the_rest_along() {
    let world = world().await;
    world.play(&create()).await.succeeded();
    for odd in [
        format!("{}{}", "[".repeat(200), "]".repeat(200)),
        "1e999".to_owned(),
        "\"\\ud800\"".to_owned(),
    ] {
        let send = async |event: Value| {
            let (key, url) = world.response_url("");
            let text = merged(
                event,
                &json!({ "ResponseURL": url, "ResourceProperties": { "Odd": "ODD" } }),
            )
            .to_string();
            let text = text.replace("\"ODD\"", &odd);
            world
                .aws
                .lambda
                .invoke(text.into_bytes(), Duration::from_secs(5), &world.arn)
                .await
                .unwrap();
            world.aws.bucket.puts(&key)[0].document()
        };
        let failed = send(create()).await;
        let reason = failed["Reason"].as_str().unwrap();
        assert!(reason.contains("Odd: cannot be read") && !reason.contains("missing"), "{reason}");
        let deleted = send(merged(
            create(),
            &json!({ "RequestType": "Delete", "PhysicalResourceId": "not-created:x" }),
        ))
        .await;
        assert_eq!(deleted["Status"], "SUCCESS");
        assert!(
            world.aws.iot.actions().is_empty(),
            "the name that the properties give was not looked under"
        );
        world.play(&create()).await.succeeded();
    }
}

#[tokio::test]
async fn an_unknown_request_type_hides_no_other_problem() {
    let world = world().await;
    let event = json!({ "RequestType": {}, "StackId": "x", "ResourceProperties": { "RoleArn": "short", "Tagz": 1 } });
    let played = world.play(&merged(create(), &event)).await;
    for said in ["RequestType: {}", "StackId: \"x\"", "RoleArn: \"short\"", "Tagz: unknown"] {
        assert!(
            played.failed("InvalidRequestException").reason().contains(said),
            "{}",
            played.reason()
        );
    }
}

#[tokio::test]
async fn an_update_without_a_physical_id_is_a_problem() {
    let world = world().await;
    let played =
        world.play(&merged(sample("update.json"), &json!({ "PhysicalResourceId": null }))).await;
    assert!(
        played
            .failed("InvalidRequestException")
            .called(&[])
            .reason()
            .contains("PhysicalResourceId: missing")
    );
}

#[tokio::test]
async fn a_response_whose_status_says_accepted_is_sent_once() {
    let world = world().await.with_timeout(Duration::from_secs(8));
    world.aws.bucket.faults.set("PUT", Fault::Garbage, 100);
    assert_eq!(world.play(&create()).await.succeeded().puts, 1);
    world.play(&create()).await.succeeded();
}

#[tokio::test]
async fn a_long_id_is_echoed_whole_where_it_fits() {
    let world = world().await;
    let id = "L".repeat(700);
    let played = world.play(&merged(create(), &json!({ "LogicalResourceId": id }))).await;
    assert_eq!(played.succeeded().answer()["LogicalResourceId"], id);
}

#[tokio::test]
async fn a_success_gives_no_reason() {
    let world = world().await;
    for event in [create(), sample("update.json"), sample("delete.json"), sample("delete.json")] {
        assert!(world.play(&event).await.succeeded().answer()["Reason"].is_null());
    }
}

#[tokio::test]
async fn every_problem_is_named_at_once() {
    let world = world().await;
    let played = world.play(&sample("create-invalid.json")).await;
    played.failed("InvalidRequestException").called(&[]);
    for said in [
        "ActionName: \"fleet quarantine\"",
        "RoleArn: \"quarantine\"",
        "20 to 2048",
        "ActionParams.AddThingsToThingGroupParams.ThingGroupNames[1]: \"\"",
        "ActionParams.AddThingsToThingGroupParams.OverrideDynamicGroup: unknown property",
        "OverrideDynamicGroups",
        "Tags[0].Key: \"aws:team\"",
        "OnConflicts: unknown property",
        "the nearest known one is OnConflict",
    ] {
        assert!(played.reason().contains(said), "{} lacks {said}", played.reason());
    }
    assert!(played.physical_id().contains(':'), "a marker can be no action's name");
    let update = merged(
        sample("create-invalid.json"),
        &json!({ "RequestType": "Update", "PhysicalResourceId": "kept" }),
    );
    assert_eq!(
        world.play(&update).await.failed("InvalidRequestException").called(&[]).physical_id(),
        "kept"
    );
}

#[tokio::test]
async fn a_reason_that_is_too_long_gives_way_and_says_how_much() {
    let world = world().await;
    let many: serde_json::Map<String, Value> =
        (0..300).map(|n| (format!("Property\"{n}\u{1f512}"), json!("\u{1}\u{1}x"))).collect();
    let played = world
        .play(&merged(
            create(),
            &json!({ "ResourceProperties": many, "LogicalResourceId": "L".repeat(255) }),
        ))
        .await;
    let reason = played.failed("InvalidRequestException").reason();
    assert!(reason.contains("; and ") && reason.ends_with(" more"), "{reason}");
    let message = json!({ "PhysicalResourceId": "\u{1}".repeat(3000), "RequestType": "\u{1f512}".repeat(3000), "RequestId": "r".repeat(9000) });
    world.play(&merged(create(), &message)).await.failed("InvalidRequestException");
}

#[tokio::test]
async fn a_bad_setting_is_answered_for_and_does_no_work() {
    for (name, value) in [
        ("ROLE_PROPAGATION_SECONDS", "soon"),
        ("ROLE_PROPAGATION_SECONDS", "-1"),
        ("RESPONSE_URL_ALLOWED_HOSTS", "127.0.0.1:80"),
        ("AWS_ENDPOINT_URL_IOT", "iot.local"),
        ("SSL_CERT_FILE", "/nowhere/roots.pem"),
        ("SSL_CERT_FILE", "/dev/null"),
        ("RESPONSE_URL_ALLOWED_HOSTS", "127.0.0.1,https://example.com/"),
    ] {
        let world = world_with(&[(name, value)]).await;
        for event in [create(), sample("update.json"), sample("delete.json")] {
            let played = world.play(&event).await;
            let reason = played.failed("InvalidSetting").called(&[]).reason();
            assert!(
                reason.contains(name) && reason.contains(value) && reason.contains("legal is"),
                "{reason}"
            );
        }
        let output = world.function.end().await;
        assert!(output.contains("ERROR") && output.contains(name), "{output}");
    }
    let world =
        world_with(&[("AWS_ACCESS_KEY_ID", "no key"), ("AWS_SESSION_TOKEN", "a\nsecret")]).await;
    let played = world.play(&create()).await;
    let reason = played.failed("InvalidSetting").reason();
    assert!(
        reason.contains("AWS_ACCESS_KEY_ID")
            && reason.contains("AWS_SESSION_TOKEN")
            && !reason.contains("secret\""),
        "{reason}"
    );
    let world = world_with(&[("AWS_REGION", ""), ("AWS_SECRET_ACCESS_KEY", "")]).await;
    let played = world.play(&create()).await;
    let reason = played.failed("InvalidSetting").reason();
    assert!(reason.contains("AWS_REGION") && reason.contains("AWS_SECRET_ACCESS_KEY"), "{reason}");
}

#[tokio::test]
async fn an_empty_setting_is_unset() {
    let empty = [
        "ROLE_PROPAGATION_SECONDS",
        "AWS_ENDPOINT_URL_IOT",
        "SSL_CERT_FILE",
        "AWS_SESSION_TOKEN",
        "RUST_LOG",
    ]
    .map(|name| (name, ""));
    world_with(&empty).await.play(&create()).await.succeeded();
}

#[tokio::test]
async fn no_log_at_any_level_and_no_answer_holds_the_url_a_credential_or_the_payload() {
    for format in ["JSON", "TEXT"] {
        let settings = [
            (
                "RUST_LOG",
                "trace,hyper=trace,aws_smithy_runtime=trace,lambda_runtime=trace,mitigation_action_provider=trace",
            ),
            ("AWS_LAMBDA_LOG_FORMAT", format),
        ];
        let world = world_with(&settings).await.with_timeout(Duration::from_secs(3));
        let secret = merged(
            create(),
            &json!({ "ResourceProperties": { "Tags": [{ "Key": "k", "Value": "PAYLOADvalue" }] } }),
        );
        let mut said = vec![world.play(&secret).await];
        world.aws.iot.faults.set("*", Fault::LoseBefore, 1);
        world.aws.bucket.faults.set("PUT", Fault::LoseBefore, 1);
        said.push(world.play(&secret).await);
        world.aws.bucket.faults.set("PUT", Fault::Refuse(403, "SignatureDoesNotMatch"), 1);
        said.push(world.play(&secret).await);
        said.push(
            world
                .play_to(
                    "none",
                    merged(
                        secret.clone(),
                        &json!({ "ResponseURL": "https://evil.example/5ec4e75167a7u4e" }),
                    ),
                )
                .await,
        );
        said.push(world.play(&merged(secret, &json!({ "RequestType": "Nonsense" }))).await);
        let output = world.function.end().await;
        assert!(output.contains("request done"), "{output}");
        let everything = format!("{output}\n{said:?}");
        for secret in ["5ec4e75167a7u4e", ACCESS_KEY, SECRET_KEY, SESSION_TOKEN] {
            assert!(!everything.contains(secret), "{secret} is in {everything}");
        }
        assert!(!output.contains("PAYLOADvalue"), "{output}");
    }
}

#[tokio::test]
async fn a_refused_signature_does_not_repeat_the_credentials() {
    let world = world().await;
    world.aws.iot.echo_headers(true);
    let played = world.play(&create()).await;
    let reason = played.failed("AccessDeniedException").reason();
    assert!(reason.contains("Canonical"), "{reason}");
    for secret in [ACCESS_KEY, SESSION_TOKEN] {
        assert!(!reason.contains(secret), "{reason}");
    }
}

#[tokio::test]
async fn the_log_has_one_line_an_outcome_with_what_it_took() {
    let world = world_with(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    world.play(&create()).await.succeeded();
    let output = world.function.end().await;
    let lines: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [line, metrics] = lines.as_slice() else { panic!("{output}") };
    assert!(metrics["_aws"].is_object());
    assert_eq!(
        (&line["level"], &line["outcome"], &line["operation"]),
        (&json!("INFO"), &json!("CREATED"), &json!("Create"))
    );
    assert_eq!(
        (&line["action"], &line["calls"]),
        (&json!("fleet-deactivate-certificate"), &json!(1))
    );
    assert_eq!(
        (&line["subject"], &line["id"]),
        (&create()["LogicalResourceId"], &create()["RequestId"])
    );
    assert!(line["timestamp"].is_string() && line["milliseconds"].is_number(), "{line}");
}

#[tokio::test]
async fn a_warm_function_keeps_its_connections() {
    let world: World = world().await;
    for _ in 0..5 {
        world.play(&create()).await.succeeded();
    }
    // One to the Runtime API, one to IoT and one to the bucket, which are all at one address here.
    assert!(world.aws.connections() <= 3, "{} connections", world.aws.connections());
}

#[tokio::test]
async fn over_tls_the_roots_of_ssl_cert_file_are_trusted_in_place_of_the_built_in_ones() {
    let aws = Aws::start().await;
    let tls = Tls::serve(&aws).await;
    let world = World::of(aws.clone(), crate::function(&aws, &tls.settings()));
    play_over(&tls, &world).await.succeeded();

    // Nobody has signed its certificate: without the file it is not trusted, and the request fails in time.
    let aws = Aws::start().await;
    let tls = Tls::serve(&aws).await;
    let world =
        World::of(aws.clone(), crate::function(&aws, &[("AWS_ENDPOINT_URL", &tls.services.url)]));
    world
        .with_timeout(Duration::from_secs(2))
        .play(&create())
        .await
        .failed("InternalFailureException");
}

#[tokio::test]
async fn three_hundred_requests_take_one_connection_to_the_service_and_one_to_the_bucket() {
    for kind in ["on-demand", "provisioned-concurrency"] {
        let aws = Aws::start().await;
        let tls = Tls::serve(&aws).await;
        let [endpoint, roots] = tls.settings();
        let function =
            crate::function(&aws, &[endpoint, roots, ("AWS_LAMBDA_INITIALIZATION_TYPE", kind)]);
        let world = World::of(aws, function);
        for _ in 0..300 {
            play_over(&tls, &world).await.succeeded();
        }
        assert_eq!((tls.services.connections(), tls.bucket.connections()), (1, 1), "{kind}");
    }
}

async fn play_over(tls: &Tls, world: &World) -> Played {
    let (key, http) = world.response_url("");
    let https = http.replace(&world.aws.url(), &tls.bucket.url);
    world.play_to(&key, merged(create(), &json!({ "ResponseURL": https }))).await
}
