//! Metrics: one line per invocation, in CloudWatch's embedded metric format, with the metrics of
//! the template's alarms.

use std::{collections::BTreeSet, path::Path, time::Duration};

use mitigation_action_provider::{mitigation::Operation, trigger::TriggerName};
use serde_json::{Value, json};
use stand_ins::{OWNER_TAG, fault::Fault, stack::World};

use crate::{completeness::triggers, sample, world_with};

/// The metric lines of the log, each checked against the specification of the format.
async fn lines(world: World) -> Vec<Value> {
    let output = world.function.stop().await;
    let lines = output
        .lines()
        .filter(|line| line.contains("\"_aws\""))
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.inspect(check).collect()
}

fn check(line: &Value) {
    assert!(line["_aws"]["Timestamp"].is_u64(), "{line}");
    let [directive] = line["_aws"]["CloudWatchMetrics"].as_array().unwrap().as_slice() else {
        panic!("{line}")
    };
    assert_eq!(directive["Namespace"], "MitigationActionProvider");
    assert_eq!(directive["Dimensions"], json!([["FunctionName"], ["FunctionName", "Trigger"]]));
    assert!(line["Trigger"].is_string());
    assert_eq!(line["FunctionName"], "mitigation-action-provider");
    assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    for metric in directive["Metrics"].as_array().unwrap() {
        assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{line}");
        assert!(["Count", "Milliseconds"].contains(&metric["Unit"].as_str().unwrap()));
    }
}

fn count(line: &Value, metric: &str) -> f64 {
    line[metric].as_f64().unwrap_or_default()
}

async fn invoke(world: &World, name: &str) {
    let event = sample(name).to_string().replace("http://127.0.0.1:9010", &world.aws.url());
    drop(world.aws.lambda.invoke(event.into_bytes(), world.timeout, &world.arn).await);
}

#[tokio::test]
async fn each_invocation_counts_its_requests_by_trigger_operation_and_outcome() {
    let world = world_with(&[("RESULT_EVENT_BUS", "results")]).await;
    for name in [
        "create-add-things-to-thing-group",
        "create-invalid",
        "event-create",
        "batch",
        "direct-describe",
        "notification",
    ] {
        invoke(&world, &format!("{name}.json")).await;
    }
    let lines = lines(world).await;
    let names: Vec<&str> = lines.iter().map(|line| line["Trigger"].as_str().unwrap()).collect();
    assert_eq!(names, ["cloudformation", "cloudformation", "eventbridge", "sqs", "direct", "sns"]);
    let names: BTreeSet<&str> = names.into_iter().collect();
    assert_eq!(names, triggers::served().map(TriggerName::as_str).collect());
    let counted = |line: usize, names: &[&str]| -> Vec<f64> {
        names.iter().map(|name| count(&lines[line], name)).collect()
    };
    assert_eq!(
        counted(0, &["Requests", "CreateRequests", "Created", "ServiceCalls"]),
        [1.0, 1.0, 1.0, 1.0]
    );
    assert_eq!(counted(1, &["Requests", "PermanentFailures", "ServiceCalls"]), [1.0, 1.0, 0.0]);
    assert!(lines[1]["ServiceCalls"].is_null(), "a metric of zero is omitted");
    assert_eq!(
        counted(3, &["Requests", "CreateRequests", "UpdateRequests", "Created", "Updated"]),
        [3.0, 2.0, 1.0, 2.0, 1.0]
    );
    assert_eq!(counted(4, &["DescribeRequests", "PermanentFailures"]), [1.0, 1.0]);
    assert!(lines.iter().all(|line| count(line, "Duration") > 0.0));
    let starts: f64 = lines.iter().map(|line| count(line, "ColdStart")).sum();
    assert_eq!((count(&lines[0], "ColdStart"), starts), (1.0, 1.0));
    assert_eq!(counted(1, &["CallerMistakes"]), [1.0]);
}

#[tokio::test]
async fn the_requests_of_every_operation_have_a_metric() {
    let world = world_with(&[]).await;
    for operation in Operation::ALL {
        let name = operation.as_str().strip_suffix("MitigationAction").unwrap();
        invoke(&world, &format!("direct-{}.json", name.to_lowercase())).await;
    }
    let lines = lines(world).await;
    assert_eq!(lines.len(), Operation::ALL.len());
    for (line, operation) in lines.iter().zip(Operation::ALL) {
        let name = operation.as_str().strip_suffix("MitigationAction").unwrap();
        let requests = count(line, &format!("{name}Requests"));
        assert!((requests - 1.0).abs() < f64::EPSILON, "{line}");
    }
}

/// The metric and the threshold of each alarm of the template on the function's own metrics.
fn alarms() -> Vec<(String, f64)> {
    let template =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml"))
            .unwrap();
    let alarms = template
        .split("Type: AWS::CloudWatch::Alarm")
        .skip(1)
        .filter(|alarm| alarm.contains("\n      Namespace: MitigationActionProvider"));
    let value = |alarm: &str, name: &str| {
        let line = alarm
            .lines()
            .find_map(|line| line.trim().strip_prefix(&format!("{name}: ")).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {name} in {alarm}"))
    };
    alarms
        .map(|alarm| {
            assert_eq!(
                (value(alarm, "Statistic"), value(alarm, "ComparisonOperator")),
                ("Sum".to_owned(), "GreaterThanOrEqualToThreshold".to_owned())
            );
            (value(alarm, "MetricName"), value(alarm, "Threshold").parse().unwrap())
        })
        .collect()
}

/// Causes the condition of each alarm on the function's own metrics. The sums reach the thresholds.
#[tokio::test]
async fn every_alarm_on_the_functions_own_metrics_can_fire() {
    let world = world_with(&[("RESULT_EVENT_BUS", "results")]).await;
    let params = json!({ "updateDeviceCertificateParams": { "action": "DEACTIVATE" } });
    world.aws.iot.plant(
        "fleet-quarantine",
        "arn:aws:iam::123456789012:role/made-by-hand",
        params,
        &[(OWNER_TAG, "stack/a/b/C")],
    );
    invoke(&world, "delete.json").await;
    for _ in 0..4 {
        world.aws.iot.faults.set("*", Fault::Throttle, 5);
        invoke(&world, "create-update-ca-certificate.json").await;
    }
    world.aws.bus.faults.set("entry", Fault::Refuse(0, "InternalFailure"), 1);
    invoke(&world, "event-create.json").await;
    world.aws.bucket.faults.set("PUT", Fault::Refuse(403, "AccessDenied"), 1);
    invoke(&world, "create-publish-finding-to-sns.json").await;
    let lines = lines(world).await;
    let alarms = alarms();
    assert!(alarms.len() >= 4, "{alarms:?}");
    for (metric, threshold) in alarms {
        let sum: f64 = lines.iter().map(|line| count(line, &metric)).sum();
        assert!(sum >= threshold, "{metric} is {sum}; the threshold of its alarm is {threshold}");
    }
}

#[tokio::test]
async fn a_transient_failure_has_a_metric_of_its_own() {
    let world = world_with(&[]).await.with_timeout(Duration::from_secs(3));
    world.aws.iot.faults.set("*", Fault::Hang, 1000);
    invoke(&world, "create-enable-iot-logging.json").await;
    let lines = lines(world).await;
    assert_eq!(
        (count(&lines[0], "TransientFailures"), count(&lines[0], "PermanentFailures")),
        (1.0, 0.0)
    );
}
