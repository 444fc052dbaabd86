//! Two instances of the function through many invocations of every trigger, with faults and with
//! requests that overlap: memory and descriptors stay flat, and no request is lost.
//!
//! Each of a few actions is created, updated and deleted again and again, through one trigger.

mod action_lifecycle;
mod fault;
mod malformed_events;
mod overlap;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use fastrand::Rng;
use serde_json::Value;
use stand_ins::{
    Function,
    fault::Faults,
    lambda::{Lambda, Returned},
};

use crate::subject::{Stage, memory};
use action_lifecycle::{ActionLifecycle, Trigger};

/// How often memory and descriptors are measured.
const SAMPLES: u32 = 10;
/// The growth that is allowed from the first sample to the last: KiB and descriptors.
const MAX_GROWTH: Usage = Usage { resident: 256, descriptors: 2 };
const TIMEOUT: Duration = Duration::from_secs(3);

const SETTINGS: [(&str, &str); 3] = [
    ("RESULT_EVENT_BUS", "results"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("ROLE_PROPAGATION_SECONDS", "2"),
];

/// The resident memory of a process in KiB, and its open descriptors.
#[derive(Clone, Copy, Debug)]
struct Usage {
    resident: u64,
    descriptors: usize,
}

struct Soak {
    stage: Stage,
    functions: [Function; 2],
    lifecycles: Vec<ActionLifecycle>,
    rng: Rng,
    invocations: u32,
    redeliveries: u32,
    overlaps: u32,
    /// The time that the overlaps took.
    overlap_time: Duration,
}

/// Plays `invocations` invocations and prints the memory and the descriptors of both instances.
pub async fn run(binary: &Path, invocations: u32) -> ExitCode {
    let seed = std::env::var("SOAK_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("seed {seed} (set SOAK_SEED to replay it)\n");
    let mut soak = Soak::start(binary, seed).await;
    println!("| invocations | resident, KiB | descriptors | invocations per second |");
    println!("|--:|--:|--:|--:|");
    let mut samples = Vec::new();
    for sample in 1..=SAMPLES {
        samples.push(soak.play_until(invocations / SAMPLES * sample).await);
        soak.check_account();
    }
    soak.print_summary();
    if soak.has_grown(samples[0], samples[samples.len() - 1]) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

impl Soak {
    async fn start(binary: &Path, seed: u64) -> Self {
        let stage = Stage::start().await;
        let settings = [&stage.tls.settings()[..], &SETTINGS].concat();
        let functions = [(); 2].map(|()| Function::start(binary, &stage.aws, &settings));
        Self {
            stage,
            functions,
            lifecycles: ActionLifecycle::all(),
            rng: Rng::with_seed(seed),
            invocations: 0,
            redeliveries: 0,
            overlaps: 0,
            overlap_time: Duration::ZERO,
        }
    }

    /// Plays until there were so many invocations; prints and returns the usage of both instances.
    async fn play_until(&mut self, invocations: u32) -> [Usage; 2] {
        let (began, before, overlap_time) = (Instant::now(), self.invocations, self.overlap_time);
        while self.invocations < invocations {
            let number = self.rng.usize(..self.lifecycles.len());
            // The calls of a batch are paced: most of the time of the run would be spent waiting.
            if self.lifecycles[number].trigger != Trigger::Sqs || self.rng.u8(..20) == 0 {
                self.advance(number).await;
            }
            if self.rng.u8(..10) == 0 {
                self.send_malformed_event().await;
            }
            // The output would make this process grow.
            self.functions.iter().for_each(Function::clear_output);
        }
        let time = began.elapsed().saturating_sub(self.overlap_time.saturating_sub(overlap_time));
        let rate = f64::from(self.invocations - before) / time.as_secs_f64();
        let usage = self.functions.each_ref().map(|function| Usage::of(function.id()));
        let [first, second] = usage;
        println!(
            "| {} | {}, {} | {}, {} | {rate:.0} |",
            self.invocations,
            first.resident,
            second.resident,
            first.descriptors,
            second.descriptors
        );
        usage
    }

    /// Asserts that the account holds the actions that were asked for, and no other.
    fn check_account(&self) {
        let actions: BTreeSet<String> = self.stage.aws.iot.actions().into_keys().collect();
        let lifecycles = self.lifecycles.iter().filter(|lifecycle| lifecycle.role.is_some());
        let expected = lifecycles.map(|lifecycle| lifecycle.name.clone()).collect();
        assert_eq!(actions, expected, "the account does not hold what was asked for");
    }

    fn print_summary(&mut self) {
        assert!(self.functions.iter_mut().all(Function::is_running), "an instance has exited");
        println!(
            "\ncalls that met a fault: {}; requests redelivered: {}; requests canceled while they \
             waited for a role: {}.\nEach got its response or its result, and after each the \
             account held what was asked for.\nThe rate leaves out the canceled requests.",
            self.faults().map(Faults::injected).iter().sum::<usize>(),
            self.redeliveries,
            self.overlaps
        );
    }

    /// Whether an instance has grown by more than [`MAX_GROWTH`]; prints which.
    fn has_grown(&self, first: [Usage; 2], last: [Usage; 2]) -> bool {
        let mut has_grown = false;
        for ((first, last), function) in first.into_iter().zip(last).zip(&self.functions) {
            if last.resident > first.resident + MAX_GROWTH.resident
                || last.descriptors > first.descriptors + MAX_GROWTH.descriptors
            {
                has_grown = true;
                println!("process {} has grown from {first:?} to {last:?}", function.id());
            }
        }
        has_grown
    }

    fn faults(&self) -> [&Faults; 3] {
        let aws = &self.stage.aws;
        [&aws.iot.faults, &aws.bucket.faults, &aws.bus.faults]
    }

    /// Invokes the function with an event, under the faults that are set.
    async fn invoke(&mut self, event: &Value) -> Returned {
        self.invocations += 1;
        let returned = self.returned(event, TIMEOUT).await;
        self.faults().into_iter().for_each(Faults::clear);
        self.stage.aws.iot.take_calls();
        returned
    }

    async fn returned(&self, event: &Value, timeout: Duration) -> Returned {
        let payload = event.to_string().into_bytes();
        let returned = self.stage.aws.lambda.invoke(payload, timeout, &Lambda::arn()).await;
        let error = returned.as_ref().err();
        let is_timeout = error.is_some_and(|error| error["errorType"] == "Timeout");
        assert!(!is_timeout, "no result in time: {event}");
        returned
    }
}

impl Usage {
    fn of(process: u32) -> Self {
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
        Self { resident: memory(process, "VmRSS"), descriptors }
    }
}
