//! What the provider costs, beside others that do the same job. `make bench`, `measure`, `guard`, `queue` and `endure`
//! build what each takes and run it; `docs/benchmarks.md` keeps what came of it.
//!
//! Instructions are counted by callgrind, which repeats to a fraction of a percent whatever else the machine is doing; times
//! are medians of interleaved runs, of which the ratios can be compared and the times themselves cannot.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    reason = "a program that meets the unexpected ends"
)]

mod endure;
mod queue;
mod subject;
mod table;

use std::{env, path::Path, process::ExitCode};

use serde_json::Value;
use stand_ins::stack::read_event;
use subject::{Count, Subject};

/// What the package may cost: the most KiB, bytes, and bytes zipped.
const LIMITS: [(&str, u64); 3] =
    [("peak KiB", 7_168), ("bytes", 5_000_000), ("zipped bytes", 2_400_000)];

/// How many times the instructions of *hello* it may take: to start, to start and work the first event, however the start is, and
/// to work a warm one. On x86_64 these are 1.2 M, 5.8 M and 0.68 M instructions.
const RATIOS: [(&str, f64); 4] =
    [("init", 2.8), ("init and first", 10.6), ("the same, on demand", 10.6), ("warm", 5.9)];

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
        ["endure", binary, invocations] => {
            return endure::run(Path::new(binary), invocations.parse().unwrap()).await;
        }
        _ => {
            println!(
                "usage: bench measure BINARY... | guard HELLO BINARY | compare PACKAGE HELLO STRAIGHTFORWARD PYTHON NODE | \
                 queue BINARY | endure BINARY INVOCATIONS"
            );
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Prints what binaries cost.
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

/// Fails where the package has grown past a limit.
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
            "{name:<24}{count:>12} instructions, {ratio:>5.2} times hello's, of at most {limit}"
        );
        is_within &= ratio <= limit;
    }
    let peak = subject.time().await.peak.min(subject.time().await.peak);
    for ((name, limit), figure) in LIMITS.into_iter().zip([peak, subject.bytes(), subject.zipped()])
    {
        println!("{name:<24}{figure:>12} of at most {limit}");
        is_within &= figure <= limit;
    }
    if is_within {
        return ExitCode::SUCCESS;
    }
    println!("the package has grown past a limit");
    ExitCode::FAILURE
}

/// An event of `events/`; `make` starts the program in the repository's folder.
fn sample(name: &str) -> Value {
    read_event(&Path::new("events").join(name))
}
