//! The main job on the embedded stand-ins: `run` plays a stack's life from `events/` and prints it, `serve` leaves the
//! stand-ins up for events of one's own.
//!
//! Usage: `local run|serve PATH_OF_BOOTSTRAP`; `make run` and `make serve` build what it takes. `local stand-ins ADDRESS…`
//! starts the stand-ins alone, for a function that something else runs.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a program that meets the unexpected ends"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{env, io::IsTerminal as _, path::Path, process::ExitCode};

use serde_json::{Value, json};
use support::{
    Aws, Function,
    stack::{World, merged, sample},
};

/// Where Docker's containers reach this machine, where it runs with its defaults.
const BRIDGE: &str = "172.17.0.1:9010";

/// Where `serve` listens, and where the samples' `ResponseURL` leads.
const ADDRESS: &str = "127.0.0.1:9010";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["run", bootstrap] => Tour::start(Path::new(bootstrap)).await.play().await,
        ["serve", bootstrap] => serve(Path::new(bootstrap)).await,
        ["stand-ins", addresses @ ..] if !addresses.is_empty() => stand_ins(addresses).await,
        _ => {
            println!("usage: local run|serve PATH_OF_BOOTSTRAP, or local stand-ins ADDRESS...");
            ExitCode::FAILURE
        }
    }
}

/// A stack's life, told as it happens.
struct Tour {
    world: World,
    colour: bool,
    failed: bool,
}

impl Tour {
    async fn start(bootstrap: &Path) -> Self {
        println!(
            "The real function ({}) and stand-ins for AWS IoT, EventBridge, CloudFormation's bucket and Lambda.\n",
            bootstrap.display()
        );
        Self {
            world: World::start(bootstrap, &[("RESULT_EVENT_BUS", "results")]).await,
            colour: std::io::stdout().is_terminal(),
            failed: false,
        }
    }

    async fn play(mut self) -> ExitCode {
        self.world.aws.iot.plant(
            "made-by-hand",
            "arn:aws:iam::123456789012:role/publish-findings",
            json!({ "publishFindingToSnsParams": { "topicArn": "arn:aws:sns:eu-west-1:123456789012:security-findings" } }),
            &[],
        );
        let create = sample("create-add-things-to-thing-group.json");
        self.show(
            "A stack makes an action",
            "create-add-things-to-thing-group.json",
            &create,
            "SUCCESS",
        )
        .await;
        self.show(
            "The same request is delivered again",
            "create-add-things-to-thing-group.json",
            &create,
            "SUCCESS",
        )
        .await;
        self.show("It is changed in place", "update.json", &sample("update.json"), "SUCCESS").await;
        self.show("A new name is a replacement", "rename.json", &sample("rename.json"), "SUCCESS")
            .await;
        self.show(
            "... after which CloudFormation deletes the old one",
            "delete.json",
            &sample("delete.json"),
            "SUCCESS",
        )
        .await;
        for (what, file) in [
            ("Five more kinds", "create-enable-iot-logging.json"),
            ("", "create-publish-finding-to-sns.json"),
            ("", "create-replace-default-policy-version.json"),
            ("", "create-update-ca-certificate.json"),
            ("", "create-update-device-certificate.json"),
            ("Without a name, it is named after stack and logical id", "create-without-name.json"),
            ("An identical action that somebody made by hand is adopted", "create-adopt.json"),
        ] {
            self.show(what, file, &sample(file), "SUCCESS").await;
        }
        let taken = json!({ "ResourceProperties": { "OnConflict": "Fail" }, "LogicalResourceId": "AnotherTaken" });
        let taken = merged(sample("create-adopt.json"), &taken);
        let failed = self
            .show(
                "Another resource may not take it",
                "create-adopt.json, OnConflict: Fail",
                &taken,
                "FAILED",
            )
            .await;
        let delete =
            json!({ "RequestType": "Delete", "PhysicalResourceId": failed["PhysicalResourceId"] });
        self.show(
            "... and its Delete, which follows, touches nothing",
            "the same, Delete",
            &merged(taken, &delete),
            "SUCCESS",
        )
        .await;
        self.show(
            "All that is wrong is said at once",
            "create-invalid.json",
            &sample("create-invalid.json"),
            "FAILED",
        )
        .await;

        self.show_doors().await;

        println!("{}", self.bold("AWS IoT now holds"));
        for (name, action) in self.world.aws.iot.actions() {
            let owner = action
                .tags
                .get("mitigation-action-provider:owner")
                .map_or("nobody", String::as_str);
            println!("  {name:<38} {:<31} {owner}", support::iot::action_type(&action.params));
        }
        if self.failed {
            println!("\n{}", self.painted("31", "An answer was not the expected one."));
            return ExitCode::FAILURE;
        }
        ExitCode::SUCCESS
    }

    /// Plays one request and prints what went in and what came of it.
    async fn show(&mut self, what: &str, file: &str, event: &Value, expected: &str) -> Value {
        if !what.is_empty() {
            println!("{}", self.bold(what));
        }
        let played = self.world.play(event).await;
        let answer = played.answer().clone();
        let status = answer["Status"].as_str().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        println!(
            "  in      {} {} ({file})",
            text(&event["RequestType"]),
            text(&event["LogicalResourceId"])
        );
        println!(
            "  answer  {} {}",
            self.painted(if status == "SUCCESS" { "32" } else { "31" }, status),
            text(&answer["PhysicalResourceId"])
        );
        if answer["Data"]["ActionArn"].is_string() {
            println!("  arn     {}", text(&answer["Data"]["ActionArn"]));
        }
        if let Some(reason) = answer["Reason"].as_str() {
            println!("  reason  {}", reason.replace("; ", "\n          "));
        }
        let calls = if played.calls.is_empty() {
            "none".to_owned()
        } else {
            played.operations().join(", ")
        };
        println!("  calls   {calls}\n");
        self.failed |= status != expected;
        answer
    }

    /// Plays an event of each of the other triggers.
    async fn show_doors(&mut self) {
        for (what, file) in [
            ("An event on a bus makes an action", "event-create.json"),
            ("... and changes it", "event-update.json"),
            ("An event that can never succeed is reported", "event-invalid.json"),
            ("A result of the provider's own is ignored", "event-result.json"),
            (
                "A batch from a queue: an event, a plain request, its update, and what is no request",
                "batch.json",
            ),
            ("A direct call", "direct-create.json"),
            ("... that asks for what is there", "direct-describe.json"),
            ("... and one that is wrong", "direct-invalid.json"),
            ("A stack's request through a topic", "notification.json"),
        ] {
            self.show_event(what, file).await;
        }
    }

    async fn show_event(&mut self, what: &str, file: &str) {
        println!("{}\n  in      {file}", self.bold(what));
        let text = sample(file).to_string().replace("http://127.0.0.1:9010", &self.world.aws.url());
        self.world.aws.iot.take_calls();
        match self
            .world
            .aws
            .lambda
            .invoke(text.into_bytes(), self.world.timeout, &self.world.arn)
            .await
        {
            Ok(value) => println!("  return  {value}"),
            Err(error) => {
                self.failed |= !file.contains("invalid");
                println!("  error   {} {}", error["errorType"], error["errorMessage"]);
            }
        }
        for event in self.world.aws.bus.take() {
            println!("  event   {}: {}", event.detail_type, event.detail);
        }
        let calls: Vec<&str> =
            self.world.aws.iot.take_calls().iter().map(|call| call.operation).collect();
        println!(
            "  calls   {}\n",
            if calls.is_empty() { "none".to_owned() } else { calls.join(", ") }
        );
    }

    fn bold(&self, text: &str) -> String {
        self.painted("1", text)
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Leaves the stand-ins up at `addresses` until the process is ended.
async fn stand_ins(addresses: &[&str]) -> ExitCode {
    let (first, others) = addresses.split_first().unwrap();
    let aws = Aws::start_at(first).await;
    for address in others {
        aws.listen_at(address).await.unwrap();
    }
    println!("up at {}", addresses.join(" and "));
    drop(tokio::signal::ctrl_c().await);
    ExitCode::SUCCESS
}

/// Leaves stand-ins and function up until interrupted, and prints what the function logs.
async fn serve(bootstrap: &Path) -> ExitCode {
    let aws = Aws::start_at(ADDRESS).await;
    // Where Docker runs, its containers reach this machine by the bridge's address.
    let in_containers = aws.listen_at(BRIDGE).await.is_ok();
    let function = Function::start(bootstrap, &aws, &[("RESULT_EVENT_BUS", "results")]);
    aws.lambda.is_up().await;
    let invoke =
        format!("{}/2015-03-31/functions/mitigation-action-provider/invocations", aws.url());
    println!(
        "The function and the stand-ins are up at {} until you press Ctrl-C. From another terminal, in this folder:\n\n\
         curl --data-binary @events/create-add-things-to-thing-group.json {invoke}\n\n\
         export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local\n\
         aws lambda invoke --endpoint-url {} --region eu-west-1 --function-name mitigation-action-provider \\\n  \
         --payload fileb://events/update.json /dev/stdout\n\
         aws iot list-mitigation-actions --endpoint-url {} --region eu-west-1\n\n\
         curl {}/response/create-add-things-to-thing-group   # what CloudFormation got\n{}\n\
         The function's log:",
        aws.url(),
        aws.url(),
        aws.url(),
        aws.url(),
        if in_containers {
            "\nContainers reach the stand-ins at http://host.docker.internal:9010 (see local/env.json).\n"
        } else {
            ""
        }
    );
    function.follow(|line| println!("{line}")).await
}
