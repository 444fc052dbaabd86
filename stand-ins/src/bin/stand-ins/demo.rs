//! The demo: the requests of a stack, then an event of each other trigger.

use std::{
    io::{IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use stand_ins::{
    OWNER_TAG,
    iot::{self, Call},
    stack::{World, merged, read_event},
};

/// The requests of a stack: what each shows, and its file in `events/`. Only the last one fails.
const REQUESTS: [(&str, &str); 13] = [
    ("A stack creates an action", "create-add-things-to-thing-group.json"),
    ("The same request is redelivered", "create-add-things-to-thing-group.json"),
    ("It is updated in place", "update.json"),
    ("A new name is a replacement", "rename.json"),
    ("... after which CloudFormation deletes the old one", "delete.json"),
    ("The other kinds", "create-enable-iot-logging.json"),
    ("", "create-publish-finding-to-sns.json"),
    ("", "create-replace-default-policy-version.json"),
    ("", "create-update-ca-certificate.json"),
    ("", "create-update-device-certificate.json"),
    ("Without a name, it is named after the stack and its logical id", "create-without-name.json"),
    ("An identical action that already exists is adopted", "create-adopt.json"),
    ("All problems are reported at once", "create-invalid.json"),
];

/// The events of the other triggers. Only those named invalid fail.
const EVENTS: [(&str, &str); 9] = [
    ("An event on a bus creates an action", "event-create.json"),
    ("... and updates it", "event-update.json"),
    ("An event that fails permanently is reported", "event-invalid.json"),
    ("A result event of the function's own is ignored", "event-result.json"),
    ("A batch: an event, a request, its update, and a message that is unrecognized", "batch.json"),
    ("A direct invocation", "direct-create.json"),
    ("... that describes the action", "direct-describe.json"),
    ("... and one that is invalid", "direct-invalid.json"),
    ("A stack's request through a topic", "notification.json"),
];

/// The width of the output.
const WIDTH: usize = 80;

/// Runs the demo with a binary and a folder of events. Fails if a response is not the expected one.
pub async fn run(bootstrap: &Path, events: &Path) -> ExitCode {
    print(&format!(
        "The real function ({}) and stand-ins for AWS IoT,\nEventBridge, \
         CloudFormation's response bucket and Lambda.\n",
        bootstrap.display()
    ));
    let has_color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut demo = Demo {
        world: World::start(bootstrap, &[("RESULT_EVENT_BUS", "results")]).await,
        events,
        has_color,
        rows: Vec::new(),
    };
    demo.run().await;
    demo.show_account();
    demo.show_table();
    demo.print_summary()
}

/// Prints a line. Exits if the pipe is closed, as by `head`.
fn print(line: &str) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

struct Demo<'a> {
    world: World,
    events: &'a Path,
    has_color: bool,
    rows: Vec<Row>,
}

/// A step in the table at the end.
struct Row {
    what: String,
    response: String,
    calls: usize,
    took: Duration,
    is_expected: bool,
}

impl Demo<'_> {
    async fn run(&mut self) {
        let topic = "arn:aws:sns:eu-west-1:123456789012:security-findings";
        self.world.aws.iot.plant(
            "made-by-hand",
            "arn:aws:iam::123456789012:role/mitigation-actions/publish-findings",
            json!({ "publishFindingToSnsParams": { "topicArn": topic } }),
            &[],
        );
        for (what, file) in REQUESTS {
            let expected = if file.contains("invalid") { "FAILED" } else { "SUCCESS" };
            self.show(what, file, &self.event(file), expected).await;
        }
        self.show_conflict().await;
        for (what, file) in EVENTS {
            self.show_event(what, file).await;
        }
    }

    /// A Create of another resource's name, and the Delete that CloudFormation sends after it.
    async fn show_conflict(&mut self) {
        let other = json!({
            "ResourceProperties": { "OnConflict": "Fail" }, "LogicalResourceId": "AnotherTaken",
        });
        let create = merged(self.event("create-adopt.json"), &other);
        let what = "Another resource cannot take it";
        let failed =
            self.show(what, "create-adopt.json, OnConflict: Fail", &create, "FAILED").await;
        let id = &failed["PhysicalResourceId"];
        let delete = json!({ "RequestType": "Delete", "PhysicalResourceId": id });
        let what = "... and the Delete that follows changes nothing";
        self.show(what, "the same, Delete", &merged(create, &delete), "SUCCESS").await;
    }

    /// Sends a request and prints it with its response.
    async fn show(&mut self, what: &str, file: &str, event: &Value, expected: &str) -> Value {
        if !what.is_empty() {
            print(&self.bold(what));
        }
        let exchange = self.world.send(event).await;
        let response = exchange.response().clone();
        let status = text(&response["Status"]);
        let (kind, id) = (text(&event["RequestType"]), text(&event["LogicalResourceId"]));
        let physical_id = text(&response["PhysicalResourceId"]);
        field("request", &format!("{kind} {id} ({file})"));
        field("response", &format!("{} {physical_id}", self.status(status)));
        if let Some(arn) = response["Data"]["ActionArn"].as_str() {
            field("arn", arn);
        }
        if let Some(reason) = response["Reason"].as_str() {
            field("reason", reason);
        }
        field("calls", &named(&exchange.calls));
        print("");
        self.rows.push(Row {
            what: format!("{kind} {id}"),
            response: status.to_owned(),
            calls: exchange.calls.len(),
            took: exchange.response_time.unwrap_or_default(),
            is_expected: status == expected,
        });
        response
    }

    async fn show_event(&mut self, what: &str, file: &str) {
        print(&self.bold(what));
        field("event", file);
        let aws = self.world.aws.clone();
        let event = self.event(file).to_string().replace("http://127.0.0.1:9010", &aws.url());
        aws.iot.take_calls();
        let began = Instant::now();
        let (timeout, arn) = (self.world.timeout, self.world.arn.clone());
        let returned = aws.lambda.invoke(event.into_bytes(), timeout, &arn).await;
        let took = began.elapsed();
        let (response, is_failure) = match &returned {
            Ok(value) => {
                let response = self.show_result("return", value);
                let is_failure = response == "FAILED";
                (response, is_failure)
            }
            Err(error) => {
                let kind = text(&error["errorType"]);
                field("error", &format!("{kind}: {}", text(&error["errorMessage"])));
                (kind.to_owned(), true)
            }
        };
        for result in aws.bus.take() {
            field("result", &result.detail_type);
            // What the function has returned is not printed twice.
            if returned.as_ref().is_ok_and(|value| value["error"] == result.detail["error"]) {
                continue;
            }
            self.show_result("detail", &result.detail);
        }
        let calls = aws.iot.take_calls();
        field("calls", &named(&calls));
        print("");
        self.rows.push(Row {
            what: file.trim_end_matches(".json").to_owned(),
            response,
            calls: calls.len(),
            took,
            is_expected: is_failure == file.contains("invalid"),
        });
    }

    /// Prints a result in the layout of a stack's response, and returns its outcome.
    fn show_result(&self, label: &str, result: &Value) -> String {
        let status = ["status", "Status"].map(|name| text(&result[name])).concat();
        let name = ["actionName", "PhysicalResourceId"].map(|name| text(&result[name])).concat();
        let outcome = text(&result["outcome"]);
        if let Some(failures) = result["batchItemFailures"].as_array() {
            let ids: Vec<&str> =
                failures.iter().map(|failure| text(&failure["itemIdentifier"])).collect();
            field(label, &format!("redelivered: {}", ids.join(", ")));
            return format!("{} redelivered", ids.len());
        }
        let mut words = vec![self.status(&status), outcome.to_owned(), name];
        words.retain(|word| !word.is_empty());
        field(label, &words.join(" "));
        if let Some(arn) = result["actionArn"].as_str() {
            field("arn", arn);
        }
        if let Some(code) = result["error"]["code"].as_str() {
            field("reason", &format!("{code}: {}", text(&result["error"]["message"])));
        }
        if outcome.is_empty() { status } else { outcome.to_owned() }
    }

    fn show_account(&self) {
        print(&self.bold("AWS IoT now holds"));
        for (name, action) in self.world.aws.iot.actions() {
            let owner = action.tags.get(OWNER_TAG).map_or("no owner", String::as_str);
            print(&format!("  {name:<38} {}", iot::action_type(&action.params)));
            for line in wrapped(owner, WIDTH - 4) {
                print(&format!("    {line}"));
            }
        }
    }

    fn show_table(&self) {
        print(&format!("\n{:<38} {:<25} {:>5} {:>8}", "step", "response", "calls", "ms"));
        for Row { what, response, calls, took, is_expected } in &self.rows {
            let milliseconds = took.as_secs_f64() * 1000.0;
            let line = format!("{what:<38} {response:<25} {calls:>5} {milliseconds:>8.1}");
            print(&if *is_expected { line } else { self.painted("31", &line) });
        }
    }

    fn print_summary(&self) -> ExitCode {
        let wrong = self.rows.iter().filter(|row| !row.is_expected).count();
        if wrong > 0 {
            let summary = format!("\n{wrong} responses are not the expected ones.");
            print(&self.painted("31", &summary));
            return ExitCode::FAILURE;
        }
        print(&format!(
            "\n{}\n\nNext: `make serve` runs an emulated AWS with the function deployed to it.\n\
             The README says how to deploy and use it.",
            self.painted(
                "32",
                &format!("All {} responses are the expected ones.", self.rows.len())
            )
        ));
        ExitCode::SUCCESS
    }

    fn status(&self, status: &str) -> String {
        let color = if status == "FAILED" { "31" } else { "32" };
        self.painted(color, status)
    }

    fn event(&self, file: &str) -> Value {
        read_event(&self.events.join(file))
    }

    fn bold(&self, text: &str) -> String {
        self.painted("1", text)
    }

    fn painted(&self, color: &str, text: &str) -> String {
        if self.has_color { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The calls by their operations, and for what the service has refused one.
fn named(calls: &[Call]) -> String {
    let names: Vec<String> = calls
        .iter()
        .map(|Call { operation, status, .. }| match status {
            200 => (*operation).to_owned(),
            404 => format!("{operation} (404, there is no such action)"),
            409 => format!("{operation} (409, the name is taken)"),
            status => format!("{operation} ({status})"),
        })
        .collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Prints a field, wrapped, with each problem on its own line.
fn field(name: &str, value: &str) {
    let mut label = format!("  {name:<10}");
    for line in value.replace(" problems: ", " problems:; ").split("; ") {
        for line in wrapped(line, WIDTH - label.len()) {
            print(&format!("{label}{line}"));
            label = " ".repeat(label.len());
        }
    }
}

/// Wraps `text` at spaces into lines of at most `width` characters. Breaks a longer word.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let characters: Vec<char> = word.chars().collect();
        for (number, part) in characters.chunks(width).enumerate() {
            let line = lines.last_mut().expect("there is a line");
            let part: String = part.iter().collect();
            if line.is_empty() {
                line.push_str(&part);
            } else if number == 0 && line.chars().count() + 1 + part.chars().count() <= width {
                line.push(' ');
                line.push_str(&part);
            } else {
                lines.push(part);
            }
        }
    }
    lines
}
