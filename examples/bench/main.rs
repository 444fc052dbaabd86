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

#[path = "../../tests/support/mod.rs"]
mod support;

mod endure;
mod queue;
mod subject;
mod table;

use std::{env, path::Path, process::ExitCode};

use subject::{Count, Subject};

/// What the package may cost, with some room over what it does: instructions to the first poll and of a warm event; those
/// of start and first event together; KiB; bytes, of the binary and of its package.
const LIMITS: [(&str, u64); 6] = [
    ("init Ir", 1_180_000),
    ("init and first Ir", 5_800_000),
    ("warm Ir", 680_000),
    ("peak KiB", 7_168),
    ("bytes", 5_000_000),
    ("zipped bytes", 2_400_000),
];

/// How many times the instructions of *hello* the start may take.
const MOST_OF_HELLO: f64 = 2.8;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["measure", binaries @ ..] if !binaries.is_empty() => measure(binaries).await,
        ["guard", hello, binary] => return guard(hello, binary).await,
        ["compare", product, hello, straightforward, python, node] => {
            table::print(&Subject::all(product, hello, straightforward, python, node)).await;
        }
        ["queue", binary] => queue::print(Path::new(binary)).await,
        ["endure", binary, invocations] => return endure::run(Path::new(binary), invocations.parse().unwrap()).await,
        _ => {
            println!(
                "usage: bench measure BINARY... | guard HELLO BINARY | compare PRODUCT HELLO STRAIGHTFORWARD PYTHON NODE | \
                 queue BINARY | endure BINARY INVOCATIONS"
            );
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Prints what binaries cost.
async fn measure(binaries: &[&str]) {
    println!("{:<48}{:>12}{:>12}{:>12}{:>12}{:>12}", "binary", "init Ir", "first Ir", "warm Ir", "peak KiB", "bytes");
    for path in binaries {
        let subject = Subject::binary("", path);
        let Count { init, first, warm } = subject.count().await;
        println!("{path:<48}{init:>12}{first:>12}{warm:>12}{:>12}{:>12}", subject.time().await.peak, subject.bytes());
    }
}

/// Fails where the package has grown past a limit.
async fn guard(hello: &str, binary: &str) -> ExitCode {
    let floor = Subject::binary("hello", hello).count().await;
    let subject = Subject::binary("product", binary);
    let Count { init, first, warm } = subject.count().await;
    let figures = [init, init + first, warm, subject.time().await.peak, subject.bytes(), subject.zipped()];
    let mut code = ExitCode::SUCCESS;
    for ((name, limit), figure) in LIMITS.into_iter().zip(figures) {
        println!("{name:<24}{figure:>12} of at most {limit:>10}");
        if figure > limit {
            println!("{name} is {figure}, past its limit of {limit}");
            code = ExitCode::FAILURE;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "instructions of a start")]
    let ratio = init as f64 / floor.init as f64;
    println!("{:<24}{ratio:>12.2} of at most {MOST_OF_HELLO:>10.2}", "init of hello's");
    if ratio > MOST_OF_HELLO {
        println!("the start takes {ratio:.2} times the instructions of hello's, past its limit of {MOST_OF_HELLO}");
        code = ExitCode::FAILURE;
    }
    code
}
