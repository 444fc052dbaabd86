//! Metrics: the counts of an invocation, as one line in CloudWatch's [embedded metric
//! format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html),
//! without a call.
//!
//! By function, and by function and trigger, so that two deployments never share an alarm. Zeros
//! are left out, as each metric is charged.

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
pub struct Metrics(RefCell<BTreeMap<Metric, u32>>);

const NAMESPACE: &str = "MitigationActionProvider";

string_enum! {
    pub enum Metric {
        ColdStart = "ColdStart",
        /// Requests, of which a batch holds several.
        Requests = "Requests",
        CreateRequests = "CreateRequests",
        UpdateRequests = "UpdateRequests",
        DeleteRequests = "DeleteRequests",
        DescribeRequests = "DescribeRequests",
        /// Requests that created an action, in this or an earlier delivery.
        Created = "Created",
        Adopted = "Adopted",
        Updated = "Updated",
        Deleted = "Deleted",
        /// Deletes that found nothing to delete.
        Absent = "Absent",
        /// Deletes of an adopted action, which stays.
        Released = "Released",
        /// Deletes that kept an action of the resource, because its owner tag is gone or another's.
        DeletesSkipped = "DeletesSkipped",
        Described = "Described",
        PermanentFailures = "PermanentFailures",
        TransientFailures = "TransientFailures",
        /// Failures that only the caller can fix.
        CallerMistakes = "CallerMistakes",
        Expired = "Expired",
        /// Calls to AWS IoT.
        ServiceCalls = "ServiceCalls",
        /// Calls that AWS IoT throttled.
        Throttles = "Throttles",
        ResultsUnpublished = "ResultsUnpublished",
        ResponsesUndelivered = "ResponsesUndelivered",
    }
}

impl Metrics {
    pub fn add(&self, metric: Metric, number: u32) {
        let mut counts = self.0.borrow_mut();
        let count = counts.entry(metric).or_default();
        *count = count.saturating_add(number);
    }

    pub fn write(self, settings: &Settings, trigger: TriggerName, duration: Duration) {
        let mut counts = self.0.into_inner();
        counts.retain(|_, count| *count > 0);
        if let Ok(line) = line(settings, trigger, &counts, duration) {
            // If standard output is closed, nobody reads metrics.
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
    counts: &BTreeMap<Metric, u32>,
    duration: Duration,
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
    for metric in counts.keys() {
        write!(line, r#"{{"Name":"{metric}","Unit":"Count"}},"#)?;
    }
    let name = &settings.function_name;
    line.push_str(r#"{"Name":"Duration","Unit":"Milliseconds"}]}]},"#);
    write!(line, r#""FunctionName":"{name}","Trigger":"{trigger}""#)?;
    for (metric, count) in counts {
        write!(line, r#","{metric}":{count}"#)?;
    }
    write!(line, r#","Duration":{:.3}"#, duration.as_secs_f64() * 1000.0)?;
    line.push_str("}\n");
    Ok(line)
}
