//! Logs and metrics: lines on standard output, and from the libraries only what a person must see.
//!
//! At TRACE and DEBUG the runtime logs the raw event, and the HTTP and SDK crates their requests: a signed URL and
//! credentials among them. So whatever level is asked for, it is this crate's alone, and theirs is at most WARN.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::{self, Write as _},
    io::Write as _,
    panic,
    time::{Duration, SystemTime},
};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

const THIS_CRATE: &str = env!("CARGO_CRATE_NAME");

/// Starts logging as the runtime would: the level of `AWS_LAMBDA_LOG_LEVEL` or else of `RUST_LOG`, INFO where neither is
/// set, and JSON where `AWS_LAMBDA_LOG_FORMAT` asks for it.
pub fn start() {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let level = level(variable("AWS_LAMBDA_LOG_LEVEL").or_else(|| variable("RUST_LOG")).as_deref());
    let filter = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(THIS_CRATE, level)
        // It would say once more, with the same words, what the handler has said.
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer();
    let registry = tracing_subscriber::registry().with(filter);
    if variable("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        registry.with(lines.json().flatten_event(true).with_span_list(false)).init();
    } else {
        registry.with(lines.with_ansi(false)).init();
    }
    // The message of a panic may hold what caused it; where it happened is enough to find it.
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string);
        tracing::error!(location, "panic");
    }));
}

/// The level that `directives` set for this crate: a level's name, or a list as `RUST_LOG` has it.
fn level(directives: Option<&str>) -> LevelFilter {
    let Some(directives) = directives else { return LevelFilter::INFO };
    if directives.eq_ignore_ascii_case("fatal") {
        return LevelFilter::ERROR;
    }
    let Ok(targets) = directives.parse::<Targets>() else { return LevelFilter::INFO };
    let ours = targets.iter().find(|(target, _)| *target == THIS_CRATE).map(|(_, level)| level);
    ours.or(targets.default_level()).unwrap_or(LevelFilter::INFO)
}

/// What an invocation counts, for CloudWatch: one line in its
/// [embedded metric format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html),
/// no call. By trigger, and for all triggers together; what is nought is left out, as each metric has its price.
#[derive(Default)]
pub struct Metrics(RefCell<BTreeMap<Metric, f64>>);

/// The namespace of all metrics.
pub const NAMESPACE: &str = "MitigationActionProvider";

/// A metric, by its name in CloudWatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Requests, of which a batch holds several.
    Requests,
    /// Of those, creates.
    CreateRequests,
    /// Of those, updates.
    UpdateRequests,
    /// Of those, deletes.
    DeleteRequests,
    /// Of those, describes.
    DescribeRequests,
    /// Requests that made an action, or found that they had.
    Created,
    /// Requests that adopted an action.
    Adopted,
    /// Requests that changed an action.
    Updated,
    /// Requests that deleted an action.
    Deleted,
    /// Deletes of what is not there.
    Absent,
    /// Deletes that left an action as it is not provably the caller's.
    DeletesSkipped,
    /// Requests that read an action.
    Described,
    /// Requests that failed for good.
    Failed,
    /// Requests that failed with what may pass.
    FailedForNow,
    /// Requests that nobody waited for any more.
    Expired,
    /// Calls of AWS IoT.
    ServiceCalls,
    /// Calls that AWS IoT throttled.
    Throttles,
    /// Results that could not be published.
    ResultsUnpublished,
    /// Responses that could not be delivered.
    ResponsesUndelivered,
    /// Milliseconds from the event to the last answer.
    Duration,
}

impl Metrics {
    /// Adds `number` to a metric.
    pub fn add(&self, metric: Metric, number: u32) {
        *self.0.borrow_mut().entry(metric).or_default() += f64::from(number);
    }

    /// Writes the line of an invocation through `trigger` that took `duration`.
    pub fn write(self, trigger: &str, duration: Duration) {
        let mut values = self.0.into_inner();
        values.retain(|_, value| *value > 0.0);
        values.insert(Metric::Duration, duration.as_secs_f64() * 1000.0);
        if let Ok(line) = line(trigger, &values) {
            // Where standard output is closed, nobody reads metrics.
            drop(std::io::stdout().write_all(line.as_bytes()));
        }
    }
}

/// The line, written piece by piece: a tree of JSON would be a tenth of the work of an invocation. No name, and no trigger,
/// holds what JSON would escape.
fn line(trigger: &str, values: &BTreeMap<Metric, f64>) -> Result<String, fmt::Error> {
    let timestamp =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut line = String::with_capacity(640);
    write!(
        line,
        r#"{{"_aws":{{"Timestamp":{timestamp},"CloudWatchMetrics":[{{"Namespace":"{NAMESPACE}","Dimensions":[[],["Trigger"]],"Metrics":["#
    )?;
    for (number, metric) in values.keys().enumerate() {
        let separator = if number == 0 { "" } else { "," };
        let unit = if *metric == Metric::Duration { "Milliseconds" } else { "Count" };
        write!(line, r#"{separator}{{"Name":"{metric:?}","Unit":"{unit}"}}"#)?;
    }
    write!(line, r#"]}}]}},"Trigger":"{trigger}""#)?;
    for (metric, value) in values {
        write!(line, r#","{metric:?}":{value:.3}"#)?;
    }
    line.push_str("}\n");
    Ok(line)
}
