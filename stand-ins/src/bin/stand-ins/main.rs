//! Runs the function and the stand-ins for AWS on this machine. `make run` and `make serve` use it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "an unexpected value ends the program"
)]

mod demo;

use std::{env, path::Path, process::ExitCode};

use stand_ins::{Aws, Function};

const HELP: &str = "\
Stand-ins for AWS IoT, EventBridge, Lambda and CloudFormation's response bucket, over HTTP.

usage:
  stand-ins run BOOTSTRAP [EVENTS]   run the function with a stack's requests and other events
  stand-ins serve BOOTSTRAP          run the function and the stand-ins at 127.0.0.1:9010
  stand-ins listen ADDRESS...        run only the stand-ins, for a function that runs elsewhere

BOOTSTRAP is the function's binary, EVENTS the folder of its events (events, if not given).

examples:
  stand-ins run target/debug/bootstrap
  stand-ins serve target/debug/bootstrap
  stand-ins listen 127.0.0.1:9010 172.17.0.1:9010";

/// The address of `serve`, which the `ResponseURL`s of `events/` name.
const ADDRESS: &str = "127.0.0.1:9010";

/// The address at which containers reach this machine, with Docker's defaults.
const BRIDGE: &str = "172.17.0.1:9010";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["run", bootstrap] => demo::run(Path::new(bootstrap), Path::new("events")).await,
        ["run", bootstrap, events] => demo::run(Path::new(bootstrap), Path::new(events)).await,
        ["serve", bootstrap] => serve(Path::new(bootstrap)).await,
        ["listen", first, others @ ..] => listen(first, others).await,
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{HELP}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the stand-ins until Ctrl-C.
async fn listen(first: &str, others: &[&str]) -> ExitCode {
    let aws = Aws::start_at(first).await;
    for address in others {
        aws.listen_at(address).await.unwrap();
    }
    println!("up at {}", [&[first], others].concat().join(" and "));
    drop(tokio::signal::ctrl_c().await);
    ExitCode::SUCCESS
}

/// Runs the function and the stand-ins until Ctrl-C, and prints the function's log.
async fn serve(bootstrap: &Path) -> ExitCode {
    let aws = Aws::start_at(ADDRESS).await;
    let in_containers = aws.listen_at(BRIDGE).await.is_ok();
    let function = Function::start(bootstrap, &aws, &[("RESULT_EVENT_BUS", "results")]);
    aws.lambda.ready().await;
    let url = aws.url();
    println!(
        "The function and the stand-ins are up at {url} until you press Ctrl-C. From another
terminal, in this folder:

curl --data-binary @events/create-add-things-to-thing-group.json \\
  {url}/2015-03-31/functions/mitigation-action-provider/invocations

export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local
aws lambda invoke --endpoint-url {url} --region eu-west-1 \\
  --function-name mitigation-action-provider --payload fileb://events/update.json /tmp/returned.json
cat /tmp/returned.json
aws iot list-mitigation-actions --endpoint-url {url} --region eu-west-1

# What CloudFormation received:
curl {url}/response/create-add-things-to-thing-group"
    );
    if in_containers {
        println!(
            "\nContainers reach the stand-ins at http://host.docker.internal:9010 \
             (see local/env.json)."
        );
    }
    println!("\nThe function's log:");
    function.follow(|line| println!("{line}")).await
}
