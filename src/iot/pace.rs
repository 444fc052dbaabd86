//! The pace of the calls of batches: below the service's rate, and slower if others share it.
//!
//! AWS IoT accepts 10 calls per second for each mitigation-action operation in an account
//! (<https://docs.aws.amazon.com/general/latest/gr/iot-core.html>), and at least two instances
//! serve a queue. So an instance makes at most half of these calls, evenly spaced. The rate halves
//! when the service throttles, and rises a little with each success (additive increase,
//! multiplicative decrease).

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

use super::IotOperation;

/// The most calls per second of one operation from one instance.
const MAX_RATE: f64 = 5.0;
/// The least.
const MIN_RATE: f64 = 0.5;

/// The pace of one instance, by operation.
#[derive(Default)]
pub struct Pace(RefCell<BTreeMap<IotOperation, Rc<Turns>>>);

/// Which of the calls that wait for their turn is made first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// A stack waits for the request: its calls overtake the others.
    Urgent,
    /// The request can be redelivered.
    Normal,
}

/// The calls of one operation. They take turns in order, and no turn is assigned ahead of time, so
/// that a lower rate also slows down waiting calls.
struct Turns {
    /// The queue of normal calls, whose first one also waits for its turn: an urgent call waits
    /// only for that one and for other urgent ones.
    normal: Mutex<()>,
    turn: Mutex<()>,
    rate: Cell<f64>,
    /// When the next call may be made.
    next: Cell<Instant>,
    /// When the rate was last halved.
    slowed: Cell<Option<Instant>>,
}

impl Pace {
    /// Waits until a call of `operation` may be made, or until `until`.
    pub async fn turn(&self, operation: IotOperation, urgency: Urgency, until: Instant) {
        let turns = self.turns(operation);
        let turn = async {
            let _first = match urgency {
                Urgency::Urgent => None,
                Urgency::Normal => Some(turns.normal.lock().await),
            };
            let _turn = turns.turn.lock().await;
            while Instant::now() < turns.next.get() {
                sleep_until(turns.next.get()).await;
            }
            turns.next.set(Instant::now() + turns.gap());
        };
        // If time runs out, the caller notices.
        drop(tokio::time::timeout_at(until, turn).await);
    }

    /// A call of `operation` succeeded.
    pub fn record_success(&self, operation: IotOperation) {
        let turns = self.turns(operation);
        turns.rate.set((turns.rate.get() + 0.2).min(MAX_RATE));
    }

    /// A call of `operation` was throttled.
    pub fn record_throttle(&self, operation: IotOperation) {
        /// Calls in flight when one is throttled are throttled for the same reason.
        const IN_FLIGHT: Duration = Duration::from_millis(500);

        let turns = self.turns(operation);
        let now = Instant::now();
        if turns
            .slowed
            .get()
            .is_none_or(|slowed| now.duration_since(slowed) >= turns.gap().max(IN_FLIGHT))
        {
            turns.slowed.set(Some(now));
            turns.rate.set((turns.rate.get() / 2.0).max(MIN_RATE));
            turns.next.set(turns.next.get().max(now + turns.gap()));
        }
    }

    fn turns(&self, operation: IotOperation) -> Rc<Turns> {
        let turns = || Turns {
            normal: Mutex::default(),
            turn: Mutex::default(),
            rate: Cell::new(MAX_RATE),
            next: Cell::new(Instant::now()),
            slowed: Cell::default(),
        };
        Rc::clone(self.0.borrow_mut().entry(operation).or_insert_with(|| Rc::new(turns())))
    }
}

impl Turns {
    fn gap(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate.get())
    }
}
