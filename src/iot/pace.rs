//! The pace of the calls of batches: a fixed gap between two calls of one operation.
//!
//! AWS IoT accepts 10 calls per second for each mitigation-action operation in an account
//! (<https://docs.aws.amazon.com/general/latest/gr/iot-core.html>), and at least two instances
//! serve a queue. So an instance makes at most half of these calls for its batches.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::IotOperation;

/// Between two calls of one operation.
const GAP: Duration = Duration::from_millis(200);

/// When the next call of each operation may be made.
#[derive(Default)]
pub struct Pace(RefCell<BTreeMap<IotOperation, Instant>>);

impl Pace {
    /// Waits until a call of `operation` may be made, or until `until`.
    pub async fn wait(&self, operation: IotOperation, until: Instant) {
        let now = Instant::now();
        let at = {
            let mut next = self.0.borrow_mut();
            let next = next.entry(operation).or_insert(now);
            let at = now.max(*next);
            // A call that will not be made takes no place.
            if at < until {
                *next = at + GAP;
            }
            at
        };
        sleep_until(at.min(until)).await;
    }
}
