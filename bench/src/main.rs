//! Measures the provider, alone and beside other functions that do the same. `make bench`,
//! `measure`, `guard` and `soak` build the binaries and run this program. `docs/benchmarks.md`
//! has the results.
//!
//! Callgrind counts the instructions: the counts repeat to a fraction of a percent, whatever else
//! runs on the machine. Times are medians of interleaved runs. Compare their ratios, not the times.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    reason = "an unexpected value ends the program"
)]

mod queue;
mod soak;
mod subject;
mod table;

use std::{env, path::Path, process::ExitCode};

use serde_json::Value;
use stand_ins::stack::read_event;
use subject::{Count, Subject};

const HELP: &str = "\
Measures the provider, alone and beside other functions that do the same.

usage:
  bench measure BINARY...            print the instructions, memory and size of binaries
  bench guard HELLO BINARY           fail if the package exceeds its limits
  bench compare PACKAGE HELLO STRAIGHTFORWARD PYTHON NODE
                                     print the comparison of docs/benchmarks.md
  bench queue BINARY                 print the throughput of events and of SQS batches
  bench soak BINARY INVOCATIONS      watch memory and descriptors over many invocations

measure, guard and compare need valgrind. Run it in the repository's folder; `make` builds the
binaries.

examples:
  bench measure .aws-sam/build/Function/bootstrap
  bench guard target/bench/release/hello .aws-sam/build/Function/bootstrap";

/// The limits of the package: peak memory and size.
const LIMITS: [(&str, u64); 3] =
    [("peak KiB", 7_168), ("bytes", 5_000_000), ("zipped bytes", 2_400_000)];

/// The limits of the package as multiples of the instructions of *hello*: for the init, for the
/// init and the first event (of either initialization type), and for a warm event. On x86_64 these
/// are 1.23 M, 5.8 M and 0.69 M instructions.
const RATIOS: [(&str, f64); 4] =
    [("init", 2.85), ("init and first", 10.6), ("the same, on demand", 10.6), ("warm", 6.0)];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["measure", binaries @ ..] if !binaries.is_empty() => measure(binaries).await,
        ["guard", hello, binary] => return guard(hello, binary).await,
        ["compare", package, hello, straightforward, python, node] => {
            table::print(&Subject::all(package, hello, straightforward, python, node)).await;
        }
        ["queue", binary] => queue::print(Path::new(binary)).await,
        ["soak", binary, invocations] => {
            return soak::run(Path::new(binary), invocations.parse().unwrap()).await;
        }
        ["help" | "--help" | "-h"] => println!("{HELP}"),
        _ => {
            eprintln!("{HELP}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Prints the instructions, the peak memory and the size of binaries.
async fn measure(binaries: &[&str]) {
    println!(
        "{:<48}{:>12}{:>12}{:>12}{:>12}{:>12}",
        "binary", "init Ir", "first Ir", "warm Ir", "peak KiB", "bytes"
    );
    for path in binaries {
        let subject = Subject::binary("", path);
        let Count { init, first, warm } = subject.count().await;
        println!(
            "{path:<48}{init:>12}{first:>12}{warm:>12}{:>12}{:>12}",
            subject.time().await.peak,
            subject.bytes()
        );
    }
}

/// Fails if the package exceeds a limit.
async fn guard(hello: &str, binary: &str) -> ExitCode {
    let floor = Subject::binary("hello", hello).count().await;
    let subject = Subject::binary("package", binary);
    let Count { init, first, warm } = subject.count().await;
    let on_demand = Subject::on_demand("package", binary).count().await;
    let counts = [
        (init, floor.init),
        (init + first, floor.init + floor.first),
        (on_demand.init + on_demand.first, floor.init + floor.first),
        (warm, floor.warm),
    ];
    let mut is_within = true;
    for ((name, limit), (count, floor)) in RATIOS.into_iter().zip(counts) {
        #[expect(clippy::cast_precision_loss, reason = "instructions, far below 2^53")]
        let ratio = count as f64 / floor as f64;
        println!(
            "{name:<24}{count:>12} instructions, {ratio:>5.2} times hello's (at most {limit})"
        );
        is_within &= ratio <= limit;
    }
    let peak = subject.time().await.peak.min(subject.time().await.peak);
    for ((name, limit), figure) in LIMITS.into_iter().zip([peak, subject.bytes(), subject.zipped()])
    {
        println!("{name:<24}{figure:>12} (at most {limit})");
        is_within &= figure <= limit;
    }
    if is_within {
        return ExitCode::SUCCESS;
    }
    println!("the package exceeds a limit");
    ExitCode::FAILURE
}

/// Reads an event of `events/` in the current folder.
fn sample(name: &str) -> Value {
    read_event(&Path::new("events").join(name))
}
