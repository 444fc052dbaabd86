//! What a binary costs: one CloudFormation Create over TLS, against the stand-ins. `make measure` builds what it takes.
//!
//! Usage: `measure [--check] BINARY…`; with `--check` it fails where a figure is past its limit. Instructions by callgrind, which repeats to a fraction of a percent whatever else the machine is
//! doing: to the first poll for an event, through the first event, and of a warm event (the mean of ten). Peak memory is
//! that of a run without callgrind, after one event. Compare binaries in one run.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program that meets the unexpected ends"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{env, path::Path, process::ExitCode, time::Duration};

use serde_json::json;
use support::{
    Aws, Function,
    lambda::Lambda,
    stack::{merged, sample},
    tls,
};

const CALLGRIND: [&str; 3] = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];
const WARM: u64 = 10;

/// What the package may cost, with some room over what it does: instructions to the first poll, through the first event, of a
/// warm event; KiB; bytes.
const LIMITS: [(&str, u64); 5] =
    [("init Ir", 1_180_000), ("first Ir", 4_000_000), ("warm Ir", 750_000), ("peak KiB", 7_168), ("bytes", 5_242_880)];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let checks = env::args().any(|argument| argument == "--check");
    let mut code = ExitCode::SUCCESS;
    println!("{:<40}{}", "binary", LIMITS.map(|(name, _)| format!("{name:>12}")).concat());
    for path in env::args().skip(1).filter(|argument| argument != "--check") {
        let binary = Path::new(&path);
        let [init, first, warm] = [instructions(binary, 0).await, instructions(binary, 1).await, instructions(binary, 1 + WARM).await];
        let size = std::fs::metadata(binary).unwrap().len();
        let figures = [init, first - init, (warm - first) / WARM, peak(binary).await, size];
        println!("{path:<40}{}", figures.map(|figure| format!("{figure:>12}")).concat());
        for ((name, limit), figure) in LIMITS.into_iter().zip(figures) {
            if checks && figure > limit {
                println!("{name} is {figure}, past its limit of {limit}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// The instructions of a run that works so many events and ends at the next poll.
async fn instructions(binary: &Path, events: u64) -> u64 {
    let aws = Aws::start().await;
    let (url, roots) = tls::serve(&aws).await;
    aws.lambda.end_after(events);
    let function = Function::start_under(&CALLGRIND, binary, &aws, &settings(&url, roots.to_str().unwrap()));
    play(&aws, &url, events).await;
    let output = function.ended().await;
    std::fs::remove_file(roots).unwrap();
    let collected = output.lines().find_map(|line| line.split_once("Collected : ")).unwrap_or_else(|| panic!("{output}"));
    collected.1.trim().parse().unwrap()
}

/// The most memory that it had resident, in KiB, after one event.
async fn peak(binary: &Path) -> u64 {
    let aws = Aws::start().await;
    let (url, roots) = tls::serve(&aws).await;
    let function = Function::start(binary, &aws, &settings(&url, roots.to_str().unwrap()));
    play(&aws, &url, 1).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", function.id())).unwrap();
    std::fs::remove_file(roots).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn settings<'a>(url: &'a str, roots: &'a str) -> [(&'static str, &'a str); 3] {
    [("AWS_ENDPOINT_URL", url), ("SSL_CERT_FILE", roots), ("AWS_LAMBDA_LOG_FORMAT", "JSON")]
}

async fn play(aws: &Aws, url: &str, events: u64) {
    for number in 0..events {
        let event = json!({
            "ResponseURL": format!("{url}/response/{number}?X-Amz-Expires=7200"), "LogicalResourceId": format!("R{number}"),
            "ResourceProperties": { "ActionName": format!("action-{number}") },
        });
        let event = merged(sample("create-add-things-to-thing-group.json"), &event).to_string().into_bytes();
        let answer = aws.lambda.invoke(event, Duration::from_mins(2), &Lambda::arn()).await.expect("an answer");
        assert!(answer["Status"] == "SUCCESS", "{answer}");
    }
}
