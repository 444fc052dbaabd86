//! The retry loop of the response PUT, which serves calls of yours as well: until a deadline, with
//! jittered backoff. Each caller classifies its own failures.
//!
//! ```
//! # use cloudformation_custom_resource::{Failure, Request, retry::{AttemptError, Retry}};
//! # async fn call() -> Result<u32, u16> { Ok(1) }
//! async fn create(request: &Request) -> Result<u32, Failure> {
//!     let attempt = async || {
//!         call().await.map_err(|status| match status {
//!             429 | 500.. => AttemptError::Transient(status),
//!             _ => AttemptError::Permanent(status),
//!         })
//!     };
//!     Retry::until(request.deadline).run(attempt).await.map_err(Failure::new)
//! }
//! ```

use std::{fmt, time::Duration};

use tokio::time::{Instant, sleep};

/// How an attempt failed.
#[derive(Debug)]
pub enum AttemptError<E> {
    /// It may succeed later.
    Transient(E),
    /// It would fail again.
    Permanent(E),
}

impl<E> AttemptError<E> {
    /// Whether another attempt may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_))
    }

    /// The same with another error.
    pub fn map<F>(self, to: impl FnOnce(E) -> F) -> AttemptError<F> {
        match self {
            Self::Transient(error) => AttemptError::Transient(to(error)),
            Self::Permanent(error) => AttemptError::Permanent(to(error)),
        }
    }
}

/// What fails beside the attempt itself ends the attempts.
impl<E> From<E> for AttemptError<E> {
    fn from(error: E) -> Self {
        Self::Permanent(error)
    }
}

/// Why there are no more attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryError<E> {
    /// The last attempt failed, and would fail again.
    Permanent(E),
    /// Time or attempts are used up; how the last attempt failed.
    Exhausted(E),
}

impl<E: fmt::Display> fmt::Display for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permanent(error) | Self::Exhausted(error) => error.fmt(f),
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
    /// As many attempts as fit before `until`.
    #[must_use]
    pub fn until(until: Instant) -> Self {
        Self { until, max_attempts: u32::MAX }
    }

    /// Makes attempts until one succeeds or fails permanently; at least one, however little time
    /// is left.
    ///
    /// # Errors
    /// The last failure, whether or not another attempt could succeed.
    pub async fn run<T, E>(
        self,
        mut attempt: impl AsyncFnMut() -> Result<T, AttemptError<E>>,
    ) -> Result<T, RetryError<E>> {
        let mut attempts = 0;
        loop {
            let last = match attempt().await {
                Ok(value) => return Ok(value),
                Err(AttemptError::Permanent(error)) => return Err(RetryError::Permanent(error)),
                Err(AttemptError::Transient(error)) => error,
            };
            attempts += 1;
            match backoff(attempts, time_left(self.until)) {
                Some(wait) if attempts < self.max_attempts => sleep(wait).await,
                Some(_) | None => return Err(RetryError::Exhausted(last)),
            }
        }
    }
}

/// The time until `until`.
#[must_use]
pub fn time_left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
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
