//! Input as large as Lambda delivers it, and as malformed as can be, under the limits of a function
//! of 128 MB: its memory and its share of CPU.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use stand_ins::{
    Aws, Function,
    fault::Fault,
    lambda::{Lambda, Returned},
    stack::{World, merged},
};

use crate::{
    create_request,
    invocation::{BUS, create_event},
};

const KB: usize = 1024;
const MB: usize = 1024 * KB;

/// The timeout that the template gives the function.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The package if it has been built (`make package`), otherwise the binary of the tests; and its
/// microseconds of CPU per 100 ms. Lambda grants 128/1769 of a CPU to a function of 128 MB, and a
/// debug build needs about twenty times as much.
fn subject() -> (PathBuf, &'static str) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join(".aws-sam/build/Function/bootstrap");
    if package.exists() {
        (package, "7236")
    } else {
        (env!("CARGO_BIN_EXE_bootstrap").into(), "144720")
    }
}

/// A function under limits: in its own control groups if they can be created, otherwise with a
/// limit on its address space.
struct Limited {
    world: World,
    groups: Vec<PathBuf>,
}

impl Limited {
    async fn start() -> Self {
        let aws = Aws::start().await;
        let (binary, cpu) = subject();
        let groups = control_groups(cpu).unwrap_or_default();
        let limits: Vec<String> = match groups.as_slice() {
            [] => vec!["ulimit -v 196608".to_owned()],
            groups => {
                groups.iter().map(|it| format!("echo $$ >{}/cgroup.procs", it.display())).collect()
            }
        };
        let script = format!("{} && exec \"$0\"", limits.join(" && "));
        let settings = [("RESULT_EVENT_BUS", BUS)];
        let function =
            Function::start_with_runner(&["/bin/sh", "-c", &script], &binary, &aws, &settings);
        Self { world: World::new(aws, function).with_timeout(TIMEOUT), groups }
    }

    /// The result of `payload`. The function must still run afterwards.
    async fn invoke(&mut self, what: &str, payload: String) -> Returned {
        let lambda = &self.world.aws.lambda;
        let returned = lambda.invoke(payload.into_bytes(), TIMEOUT, &Lambda::arn()).await;
        assert!(self.world.function.is_running(), "{what}: the process has ended");
        if let Err(error) = &returned {
            assert_ne!(error["errorType"], "Timeout", "{what}");
        }
        returned
    }

    async fn end(self) {
        self.world.function.stop().await;
        for group in self.groups {
            // A group that remains does no harm.
            drop(fs::remove_dir(group));
        }
    }
}

/// Control groups of version 1 with the memory and the CPU of a function of 128 MB.
fn control_groups(cpu: &str) -> io::Result<Vec<PathBuf>> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);

    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    let name = format!("limits-{}-{number}", std::process::id());
    let group = |controller: &str, limit: &str, value: &str| -> io::Result<PathBuf> {
        let path = Path::new("/sys/fs/cgroup").join(controller).join(&name);
        fs::create_dir(&path)?;
        fs::write(path.join(limit), value)?;
        Ok(path)
    };
    Ok(vec![
        group("memory", "memory.limit_in_bytes", "134217728")?,
        group("cpu", "cpu.cfs_quota_us", cpu)?,
    ])
}

/// `item`, separated by commas, as often as `size` bytes allow.
fn list(item: &str, size: usize) -> String {
    let mut list = format!("{item},").repeat(size / (item.len() + 1));
    list.pop();
    list
}

/// Members of `size` bytes, all unknown, and each similar to a known one.
fn unknown_members(size: usize) -> String {
    let members: Vec<String> = (0..size / 22).map(|n| format!("\"actionNam{n:08}\":0")).collect();
    members.join(",")
}

/// Requests of about `size` bytes that are invalid throughout, in the API's syntax.
fn hostile_requests(size: usize) -> Vec<(&'static str, String)> {
    let with = |member: &str, value: &str| format!("{{\"actionName\":\"a\",\"{member}\":{value}}}");
    let list_of = |item: &str| format!("[{}]", list(item, size));
    let groups = |item: &str| {
        let names = list_of(item);
        let params = format!("{{\"addThingsToThingGroupParams\":{{\"thingGroupNames\":{names}}}}}");
        with("actionParams", &params)
    };
    let depth = size / 6;
    vec![
        ("groups that are objects", groups("{}")),
        ("groups that are numbers", groups("0")),
        ("tags without members", with("tags", &list_of("{}"))),
        ("tags with unknown members", with("tags", &list_of("{\"a\":0}"))),
        ("one tag many times", with("tags", &list_of("{\"Key\":\"a\",\"Value\":\"b\"}"))),
        ("checks without a name", with("checkNames", &list_of("\"\""))),
        ("checks that are unknown", with("checkNames", &list_of("\"a\""))),
        ("unknown members", format!("{{\"actionName\":\"a\",{}}}", unknown_members(size))),
        ("one member many times", format!("{{{}}}", list("\"actionName\":0", size))),
        ("an escaped text", with("roleArn", &format!("\"{}\"", "\\u00e9".repeat(depth)))),
        ("deep lists", with("tags", &format!("{}{}", "[".repeat(size / 2), "]".repeat(size / 2)))),
        (
            "deep objects",
            with("tags", &format!("{}0{}", "{\"a\":".repeat(depth), "}".repeat(depth))),
        ),
        ("open brackets", with("tags", &"[".repeat(size))),
    ]
}

/// A request in CloudFormation's syntax.
fn properties(request: &str) -> String {
    let names =
        ["actionName", "roleArn", "actionParams", "addThingsToThingGroupParams", "thingGroupNames"];
    names.iter().chain(&["tags", "checkNames"]).fold(request.to_owned(), |text, name| {
        let (first, rest) = name.split_at(1);
        text.replace(&format!("\"{name}\""), &format!("\"{}{rest}\"", first.to_uppercase()))
    })
}

fn record(id: &str, body: &str) -> Value {
    json!({
        "messageId": id, "eventSource": "aws:sqs", "body": body,
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:requests", "attributes": {},
    })
}

fn failures(returned: &Returned) -> usize {
    returned.as_ref().unwrap()["batchItemFailures"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_direct_call_of_6_mb_gets_a_result() {
    let mut limited = Limited::start().await;
    for (what, request) in hostile_requests(6 * MB - KB) {
        let error = limited.invoke(what, request).await.unwrap_err();
        let expected = match what {
            "open brackets" => "UnrecognizedEvent",
            _ => "InvalidRequestException",
        };
        assert_eq!(error["errorType"], expected, "{what}");
    }
    limited.end().await;
}

#[tokio::test]
async fn a_payload_of_6_mb_that_is_no_request_gets_a_result() {
    let mut limited = Limited::start().await;
    for (what, payload) in [
        ("brackets", "[".repeat(6 * MB)),
        ("braces", "{\"a\":".repeat(6 * MB / 5)),
        ("unknown members", format!("{{{}}}", unknown_members(6 * MB))),
        ("records that are numbers", format!("{{\"Records\":[{}]}}", list("0", 6 * MB))),
        ("records that are open brackets", format!("{{\"Records\":[{}", "[".repeat(6 * MB))),
    ] {
        let error = limited.invoke(what, payload).await.unwrap_err();
        assert_eq!(error["errorType"], "UnrecognizedEvent", "{what}");
    }
    limited.end().await;
}

#[tokio::test]
async fn a_stacks_request_of_1_mb_has_its_response_within_20_seconds() {
    let mut limited = Limited::start().await;
    for (what, request) in hostile_requests(MB - 4 * KB) {
        if what == "open brackets" {
            continue;
        }
        let (key, url) = limited.world.response_url("");
        let patch = json!({ "ResponseURL": url, "ResourceProperties": null });
        let event = merged(create_request(), &patch).to_string();
        let member = format!("{{\"ResourceProperties\":{},", properties(&request));
        let began = Instant::now();
        limited.invoke(what, event.replacen('{', &member, 1)).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(19), "{what}: {:?}", began.elapsed());
        let puts = limited.world.aws.bucket.puts(&key);
        assert_eq!(puts[0].response()["Status"], "FAILED", "{what}");
    }
    limited.end().await;
}

#[tokio::test]
async fn a_notification_of_256_kb_gets_a_result() {
    let mut limited = Limited::start().await;
    for (what, request) in hostile_requests(256 * KB) {
        let message = json!({ "MessageId": "m", "Message": request });
        let notification = json!({ "Records": [{ "EventSource": "aws:sns", "Sns": message }] });
        drop(limited.invoke(what, notification.to_string()).await);
    }
    limited.end().await;
}

#[tokio::test]
async fn nine_large_invalid_messages_do_not_affect_a_valid_one() {
    let mut limited = Limited::start().await;
    for (number, (what, request)) in hostile_requests(256 * KB).into_iter().enumerate() {
        let mut records: Vec<Value> =
            (0..9).map(|n| record(&format!("junk-{n}"), &request)).collect();
        let name = json!({ "actionName": format!("good-{number}") });
        let good = merged(create_event()["detail"].clone(), &name);
        records.push(record("good", &good.to_string()));
        let payload = json!({ "Records": records }).to_string();
        let redelivered = failures(&limited.invoke(what, payload).await);
        let results = limited.world.aws.bus.take().len();
        assert_eq!(redelivered, if what == "open brackets" { 9 } else { 0 }, "{what}");
        assert_eq!(redelivered + results, 10, "{what}");
        assert_eq!(limited.world.aws.iot.actions().len(), number + 1, "{what}");
    }
    limited.end().await;
}

#[tokio::test]
async fn every_message_of_a_batch_of_10_000_is_reported_or_redelivered() {
    let mut limited = Limited::start().await;
    let body = |n: usize| match n % 3 {
        0 => json!({ "operation": "DeleteMitigationAction", "actionName": format!("a{n}") }),
        1 => json!({ "actionName": format!("a{n}") }),
        _ => json!("junk"),
    };
    let records: Vec<Value> =
        (0..10_000).map(|n| record(&format!("{n:036}"), &body(n).to_string())).collect();
    let payload = json!({ "Records": records }).to_string();
    let redelivered = failures(&limited.invoke("a batch of 10,000", payload).await);
    let results = limited.world.aws.bus.take().len();
    assert_eq!(redelivered + results, 10_000, "{results} results");
    assert!(results > 500, "{results} results");
    limited.end().await;
}

#[tokio::test]
async fn a_batch_of_10_000_ends_in_time_though_the_result_bus_is_slow() {
    let mut limited = Limited::start().await;
    let is_slow = Fault::Slow(Duration::from_secs(2));
    limited.world.aws.bus.faults.set("PutEvents", is_slow, 10_000);
    let record = |n: usize| {
        record(&format!("{n:036}"), &json!({ "actionName": format!("a {n}") }).to_string())
    };
    let records: Vec<Value> = (0..10_000).map(record).collect();
    let payload = json!({ "Records": records }).to_string();
    let redelivered = failures(&limited.invoke("a batch with a slow bus", payload).await);
    let results = limited.world.aws.bus.take().len();
    // Calls that time out may have published, too: at most eight, of ten results each.
    assert!((10_000..=10_080).contains(&(redelivered + results)), "{redelivered} and {results}");
    assert!(results >= 1000, "{results} results");
    limited.end().await;
}
