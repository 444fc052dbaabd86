//! The pace of calls that come in numbers: under the service's rate, and slower where that is shared by more.
//!
//! AWS IoT takes 10 calls a second of each mitigation-action operation in an account
//! (<https://docs.aws.amazon.com/general/latest/gr/iot-core.html>), and a queue's messages are worked by at least two
//! instances. So an instance makes at most half of that, evenly spaced; where the service throttles, half as many, and
//! with each answer a little more again.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use tokio::time::Instant;

/// Calls a second of one operation from one instance.
const MOST: f64 = 5.0;
const LEAST: f64 = 0.5;

/// The pace of one instance, by operation.
#[derive(Default)]
pub(super) struct Pace(RefCell<BTreeMap<&'static str, Lane>>);

struct Lane {
    rate: f64,
    /// When the next call may be made.
    next: Instant,
    /// Throttles of calls that were made before this say nothing new.
    slowed: Instant,
}

impl Pace {
    /// When the next call of `operation` may be made. It is the caller's then, unless that is not before `until`.
    pub(super) fn slot(&self, operation: &'static str, until: Instant) -> Instant {
        self.with(operation, |lane| {
            let slot = lane.next.max(Instant::now());
            if slot < until {
                lane.next = slot + lane.gap();
            }
            slot
        })
    }

    /// A call of `operation` has been answered.
    pub(super) fn answered(&self, operation: &'static str) {
        self.with(operation, |lane| lane.rate = (lane.rate + 0.1).min(MOST));
    }

    /// A call of `operation` has been throttled.
    pub(super) fn throttled(&self, operation: &'static str) {
        self.with(operation, |lane| {
            let now = Instant::now();
            if now.duration_since(lane.slowed) >= lane.gap() {
                lane.slowed = now;
                lane.rate = (lane.rate / 2.0).max(LEAST);
                lane.next = lane.next.max(now + lane.gap());
            }
        });
    }

    fn with<T>(&self, operation: &'static str, change: impl FnOnce(&mut Lane) -> T) -> T {
        let mut lanes = self.0.borrow_mut();
        let now = Instant::now();
        change(lanes.entry(operation).or_insert(Lane { rate: MOST, next: now, slowed: now }))
    }
}

impl Lane {
    fn gap(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }
}
