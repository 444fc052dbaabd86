//! The pace of calls that come in numbers: under the service's rate, and slower where that is shared by more.
//!
//! AWS IoT takes 10 calls a second of each mitigation-action operation in an account
//! (<https://docs.aws.amazon.com/general/latest/gr/iot-core.html>), and a queue's messages are worked by at least two
//! instances. So an instance makes at most half of that, evenly spaced; where the service throttles, half as many, and
//! with each answer a little more again.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

/// Calls a second of one operation from one instance.
const MOST: f64 = 5.0;
const LEAST: f64 = 0.5;

/// The pace of one instance, by operation.
#[derive(Default)]
pub(super) struct Pace(RefCell<BTreeMap<&'static str, Rc<Lane>>>);

/// The calls of one operation. Who waits takes a turn, in the order of asking, and nobody has one before it: so that
/// those who wait are slowed down, too.
struct Lane {
    turn: Mutex<()>,
    rate: Cell<f64>,
    /// When the next call may be made.
    next: Cell<Instant>,
    /// Throttles of calls that were made before this say nothing new.
    slowed: Cell<Option<Instant>>,
}

impl Pace {
    /// Waits until a call of `operation` may be made, or until `until`.
    pub(super) async fn turn(&self, operation: &'static str, until: Instant) {
        let lane = self.lane(operation);
        let turn = async {
            let _turn = lane.turn.lock().await;
            while Instant::now() < lane.next.get() {
                sleep_until(lane.next.get()).await;
            }
            lane.next.set(Instant::now() + lane.gap());
        };
        // Where the time runs out the caller finds so itself.
        drop(tokio::time::timeout_at(until, turn).await);
    }

    /// A call of `operation` has been answered.
    pub(super) fn answered(&self, operation: &'static str) {
        let lane = self.lane(operation);
        lane.rate.set((lane.rate.get() + 0.2).min(MOST));
    }

    /// A call of `operation` has been throttled.
    pub(super) fn throttled(&self, operation: &'static str) {
        /// Calls that are under way when one is throttled are throttled for the same reason.
        const UNDER_WAY: Duration = Duration::from_millis(500);

        let lane = self.lane(operation);
        let now = Instant::now();
        if lane
            .slowed
            .get()
            .is_none_or(|slowed| now.duration_since(slowed) >= lane.gap().max(UNDER_WAY))
        {
            lane.slowed.set(Some(now));
            lane.rate.set((lane.rate.get() / 2.0).max(LEAST));
            lane.next.set(lane.next.get().max(now + lane.gap()));
        }
    }

    fn lane(&self, operation: &'static str) -> Rc<Lane> {
        let lane = || Lane {
            turn: Mutex::default(),
            rate: Cell::new(MOST),
            next: Cell::new(Instant::now()),
            slowed: Cell::default(),
        };
        Rc::clone(self.0.borrow_mut().entry(operation).or_insert_with(|| Rc::new(lane())))
    }
}

impl Lane {
    fn gap(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate.get())
    }
}
