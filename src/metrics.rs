//! Metrics: what an invocation counts, as one line in CloudWatch's [embedded metric
//! format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html),
//! without a call.
//!
//! By function, and by function and trigger, so that two deployments never share an alarm. What is
//! zero is left out, as each metric has its price.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::{self, Write as _},
    io::Write as _,
    time::{Duration, SystemTime},
};

use aws_smithy_types::date_time::{DateTime, Format};

use crate::{settings::Settings, trigger::TriggerName};

/// The counts of one invocation.
#[derive(Default)]
pub struct Metrics(RefCell<BTreeMap<Metric, f64>>);

/// The namespace of all metrics.
pub const NAMESPACE: &str = "MitigationActionProvider";

/// A metric, by its name in CloudWatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Starts of an instance.
    ColdStart,
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
    /// Deletes that found nothing to delete.
    Absent,
    /// Deletes of an adopted action, which stays.
    Released,
    /// Deletes that left what had been the resource's: its owner tag is gone or another's.
    DeletesSkipped,
    /// Requests that read an action.
    Described,
    /// Requests that failed and would fail again.
    PermanentFailures,
    /// Requests that failed and may succeed later.
    TransientFailures,
    /// Failures that nobody but the caller can do anything about.
    CallerMistakes,
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
    /// Milliseconds from the event to the end of the invocation.
    Duration,
}

impl Metrics {
    /// Adds `number` to a metric.
    pub fn add(&self, metric: Metric, number: u32) {
        *self.0.borrow_mut().entry(metric).or_default() += f64::from(number);
    }

    /// Writes the line of an invocation that took `duration`.
    pub fn write(self, settings: &Settings, trigger: TriggerName, duration: Duration) {
        let mut values = self.0.into_inner();
        values.retain(|_, value| *value > 0.0);
        values.insert(Metric::Duration, duration.as_secs_f64() * 1000.0);
        if let Ok(line) = line(settings, trigger, &values) {
            // Where standard output is closed, nobody reads metrics.
            drop(std::io::stdout().write_all(line.as_bytes()));
        }
    }
}

/// The line, written piece by piece: a tree of JSON would be a tenth of the work of an invocation.
/// No name in it has a character that JSON escapes.
///
/// Lambda's log-level filter drops a JSON line without a valid level and timestamp where its level
/// is WARN or ERROR, so the line has the level of the log itself:
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>.
fn line(
    settings: &Settings,
    trigger: TriggerName,
    values: &BTreeMap<Metric, f64>,
) -> Result<String, fmt::Error> {
    let now = SystemTime::now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (milliseconds, level) = (since.as_millis(), settings.log_level);
    let timestamp = DateTime::from(now).fmt(Format::DateTime).unwrap_or_default();
    let mut line = String::with_capacity(1024);
    write!(
        line,
        r#"{{"level":"{level}","timestamp":"{timestamp}","_aws":{{"Timestamp":{milliseconds},"#
    )?;
    write!(line, r#""CloudWatchMetrics":[{{"Namespace":"{NAMESPACE}","#)?;
    line.push_str(r#""Dimensions":[["FunctionName"],["FunctionName","Trigger"]],"Metrics":["#);
    for (number, metric) in values.keys().enumerate() {
        let separator = if number == 0 { "" } else { "," };
        let unit = if *metric == Metric::Duration { "Milliseconds" } else { "Count" };
        write!(line, r#"{separator}{{"Name":"{metric:?}","Unit":"{unit}"}}"#)?;
    }
    let name = &settings.function_name;
    write!(line, r#"]}}]}},"FunctionName":"{name}","Trigger":"{trigger}""#)?;
    for (metric, value) in values {
        write!(line, r#","{metric:?}":{value:.3}"#)?;
    }
    line.push_str("}\n");
    Ok(line)
}
