//! A stack's life, then an event of each other trigger, printed as they happen.

use std::{io::IsTerminal as _, path::Path, process::ExitCode};

use serde_json::{Value, json};
use stand_ins::{
    OWNER_TAG, iot,
    stack::{World, merged, read_event},
};

/// The requests of a stack: what each shows, and the event. All succeed but the last.
const REQUESTS: [(&str, &str); 13] = [
    ("A stack creates an action", "create-add-things-to-thing-group.json"),
    ("The same request is redelivered", "create-add-things-to-thing-group.json"),
    ("It is updated in place", "update.json"),
    ("A new name is a replacement", "rename.json"),
    ("... after which CloudFormation deletes the old one", "delete.json"),
    ("Five more kinds", "create-enable-iot-logging.json"),
    ("", "create-publish-finding-to-sns.json"),
    ("", "create-replace-default-policy-version.json"),
    ("", "create-update-ca-certificate.json"),
    ("", "create-update-device-certificate.json"),
    ("Without a name, it is named after the stack and the logical id", "create-without-name.json"),
    ("An identical action that somebody made by hand is adopted", "create-adopt.json"),
    ("All problems are reported at once", "create-invalid.json"),
];

/// What each event of another trigger shows. All succeed but those named invalid.
const EVENTS: [(&str, &str); 9] = [
    ("An event on a bus creates an action", "event-create.json"),
    ("... and updates it", "event-update.json"),
    ("An event that fails permanently is reported", "event-invalid.json"),
    ("A result event of the function's own is ignored", "event-result.json"),
    (
        "A batch from a queue: an event, a request, its update, and a message that is unrecognized",
        "batch.json",
    ),
    ("A direct invocation", "direct-create.json"),
    ("... that describes the action", "direct-describe.json"),
    ("... and one that is invalid", "direct-invalid.json"),
    ("A stack's request through a topic", "notification.json"),
];

/// Plays it with the binary and the folder of events; fails where a response is not the expected one.
pub async fn run(bootstrap: &Path, events: &Path) -> ExitCode {
    println!(
        "The real function ({}) and stand-ins for AWS IoT, EventBridge, CloudFormation's response \
         bucket and Lambda.\n",
        bootstrap.display()
    );
    let mut demo = Demo {
        world: World::start(bootstrap, &[("RESULT_EVENT_BUS", "results")]).await,
        events,
        has_colour: std::io::stdout().is_terminal(),
        has_failed: false,
    };
    demo.play().await;
    demo.show_account();
    if demo.has_failed {
        println!("\n{}", demo.painted("31", "A response was not the expected one."));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

struct Demo<'a> {
    world: World,
    events: &'a Path,
    has_colour: bool,
    has_failed: bool,
}

impl Demo<'_> {
    async fn play(&mut self) {
        let topic = "arn:aws:sns:eu-west-1:123456789012:security-findings";
        self.world.aws.iot.plant(
            "made-by-hand",
            "arn:aws:iam::123456789012:role/publish-findings",
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

    /// A name that another resource has, and the Delete that CloudFormation sends after the failure.
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

    /// Plays one request and prints the request and its response.
    async fn show(&mut self, what: &str, file: &str, event: &Value, expected: &str) -> Value {
        if !what.is_empty() {
            println!("{}", self.bold(what));
        }
        let played = self.world.play(event).await;
        let response = played.answer().clone();
        let status = text(&response["Status"]);
        let (kind, id) = (text(&event["RequestType"]), text(&event["LogicalResourceId"]));
        let colour = if status == "SUCCESS" { "32" } else { "31" };
        println!("  request   {kind} {id} ({file})");
        println!(
            "  response  {} {}",
            self.painted(colour, status),
            text(&response["PhysicalResourceId"])
        );
        if let Some(arn) = response["Data"]["ActionArn"].as_str() {
            println!("  arn       {arn}");
        }
        if let Some(reason) = response["Reason"].as_str() {
            println!("  reason    {}", reason.replace("; ", "\n            "));
        }
        println!("  calls     {}\n", listed(&played.operations()));
        self.has_failed |= status != expected;
        response
    }

    async fn show_event(&mut self, what: &str, file: &str) {
        println!("{}\n  event     {file}", self.bold(what));
        let aws = &self.world.aws;
        let event = self.event(file).to_string().replace("http://127.0.0.1:9010", &aws.url());
        aws.iot.take_calls();
        match aws.lambda.invoke(event.into_bytes(), self.world.timeout, &self.world.arn).await {
            Ok(value) => println!("  return    {value}"),
            Err(error) => {
                self.has_failed |= !file.contains("invalid");
                println!("  error     {} {}", error["errorType"], error["errorMessage"]);
            }
        }
        for result in aws.bus.take() {
            println!("  result    {}: {}", result.detail_type, result.detail);
        }
        let calls = aws.iot.take_calls();
        println!(
            "  calls     {}\n",
            listed(&calls.iter().map(|call| call.operation).collect::<Vec<_>>())
        );
    }

    fn show_account(&self) {
        println!("{}", self.bold("AWS IoT now holds"));
        for (name, action) in self.world.aws.iot.actions() {
            let owner = action.tags.get(OWNER_TAG);
            let kind = iot::action_type(&action.params);
            println!("  {name:<38} {kind:<31} {}", owner.map_or("no owner", String::as_str));
        }
    }

    fn event(&self, file: &str) -> Value {
        read_event(&self.events.join(file))
    }

    fn bold(&self, text: &str) -> String {
        self.painted("1", text)
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.has_colour { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn listed(calls: &[&str]) -> String {
    if calls.is_empty() { "none".to_owned() } else { calls.join(", ") }
}
