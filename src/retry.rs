//! The one retry loop, for calls to AWS IoT and EventBridge and for the response PUT. Each
//! classifies its own failures.

use std::{fmt, time::Duration};

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

impl<E: fmt::Display> fmt::Display for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permanent(error) | Self::Exhausted(Some(error)) => error.fmt(f),
            Self::Exhausted(None) => f.write_str("no time was left"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for RetryError<E> {}

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

    /// Makes attempts until one succeeds or fails permanently. `before_attempt` runs before each;
    /// if it fails, there is no further attempt. `attempt` gets the time that it may take, and
    /// keeps its own output, so that the binary has this loop once for all calls.
    ///
    /// # Errors
    /// The last failure, whether or not another attempt could succeed.
    pub async fn run<'a, 'b, E>(
        self,
        before_attempt: &(dyn Fn() -> LocalBoxFuture<'b, Result<(), E>> + 'b),
        attempt: &(dyn Fn(Duration) -> LocalBoxFuture<'a, Attempt<E>> + 'a),
    ) -> Result<(), RetryError<E>> {
        let mut attempts = 0;
        let mut last = None;
        loop {
            before_attempt().await.map_err(RetryError::Permanent)?;
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
                Some(wait) if attempts < self.max_attempts => sleep(wait).await,
                Some(_) | None => return Err(RetryError::Exhausted(last)),
            }
        }
    }

    fn left(self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// How much of the time `left` an attempt may take: a service responds within a second or two, and
/// a lost response must leave time for another attempt.
#[must_use]
pub fn attempt_time(left: Duration) -> Duration {
    (left / 2).min(Duration::from_secs(5)).max(Duration::from_secs(1)).min(left)
}

/// The wait after so many attempts: doubling from 100 ms to 5 s, but at most half of the time
/// `left`, and up to half less at random, so that callers that failed together do not retry
/// together. `None` if no time is left for another attempt.
#[must_use]
pub fn backoff(attempts: u32, left: Duration) -> Option<Duration> {
    const MIN_LEFT: Duration = Duration::from_millis(150);

    let doubled = Duration::from_millis(100 << attempts.saturating_sub(1).min(6));
    let longest = doubled.min(Duration::from_secs(5)).min(left / 2);
    (left >= MIN_LEFT).then(|| longest.mul_f64(0.5 + fastrand::f64() / 2.0))
}

/// Nothing to do before an attempt.
#[must_use]
pub fn no_preparation<'a, E: 'a>() -> LocalBoxFuture<'a, Result<(), E>> {
    Box::pin(std::future::ready(Ok(())))
}
