//! The one retry loop, for calls of AWS IoT and of EventBridge and for the response PUT. What
//! differs is how each classifies an answer.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use tokio::time::{Instant, sleep};

/// How an attempt ended.
pub enum Attempt<E> {
    /// It succeeded.
    Success,
    /// It failed, and may succeed later.
    Transient(E),
    /// It failed, and would fail again.
    Permanent(E),
}

/// Why there are no more attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryError<E> {
    /// The last attempt failed, and would fail again.
    Permanent(E),
    /// Time or attempts are used up; how the last attempt failed, where there was one.
    Exhausted(Option<E>),
}

/// How long to retry.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// When the last attempt has to be over.
    pub until: Instant,
    /// The most attempts.
    pub max_attempts: u32,
}

impl Retry {
    /// The least time that an attempt is worth.
    const MIN_ATTEMPT: Duration = Duration::from_millis(50);

    /// As many attempts as fit before `until`.
    #[must_use]
    pub fn until(until: Instant) -> Self {
        Self { until, max_attempts: u32::MAX }
    }

    /// Makes attempts until one succeeds or fails permanently. Each is given the time that it may
    /// take, and waits for `ready` first. An attempt keeps its own result, so that the binary has
    /// this loop once for all calls.
    pub async fn run<'a, E>(
        self,
        ready: &(dyn Fn() -> LocalBoxFuture<'a, ()> + 'a),
        attempt: &(dyn Fn(Duration) -> LocalBoxFuture<'a, Attempt<E>> + 'a),
    ) -> Result<(), RetryError<E>> {
        let mut attempts = 0;
        let mut last = None;
        loop {
            ready().await;
            let left = self.left();
            if left < Self::MIN_ATTEMPT {
                return Err(RetryError::Exhausted(last));
            }
            attempts += 1;
            match attempt(attempt_time(left)).await {
                Attempt::Success => return Ok(()),
                Attempt::Permanent(error) => return Err(RetryError::Permanent(error)),
                Attempt::Transient(error) => last = Some(error),
            }
            match backoff(attempts, self.left()) {
                Some(wait) if attempts < self.max_attempts => {
                    sleep(wait).await;
                }
                _ => return Err(RetryError::Exhausted(last)),
            }
        }
    }

    fn left(self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// How long one attempt may take of the time `left`: a service answers within a second or two, and
/// a lost answer must leave time to ask again.
#[must_use]
pub fn attempt_time(left: Duration) -> Duration {
    (left / 2).min(Duration::from_secs(5)).max(Duration::from_secs(1)).min(left)
}

/// The wait after so many attempts: doubling from 100 ms to 5 s, but at most half of the time
/// `left`, and up to half less at random, so that callers who were refused together do not return
/// together. `None` where no time is left for another attempt.
#[must_use]
pub fn backoff(attempts: u32, left: Duration) -> Option<Duration> {
    const MIN_LEFT: Duration = Duration::from_millis(150);

    let doubled = Duration::from_millis(100 << attempts.saturating_sub(1).min(6));
    let longest = doubled.min(Duration::from_secs(5)).min(left / 2);
    (left >= MIN_LEFT).then(|| longest.mul_f64(0.5 + fastrand::f64() / 2.0))
}

/// No preparation for an attempt.
#[must_use]
pub fn at_once<'a>() -> LocalBoxFuture<'a, ()> {
    Box::pin(std::future::ready(()))
}
