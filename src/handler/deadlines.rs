//! How long to work, and by when a response has to be accepted.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The deadlines of a request.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// When work ends.
    pub work: Instant,
    /// When the response or the result has to be accepted.
    pub respond: Instant,
}

impl Deadlines {
    /// Of the time until the earliest of `ends`, a fifth, or a second if that is less, stays free
    /// after the response, and as much again, up to three seconds, is for delivering it.
    pub fn new(now: SystemTime, ends: impl IntoIterator<Item = SystemTime>) -> Self {
        let left = |end: SystemTime| end.duration_since(now).unwrap_or_default();
        let time = ends.into_iter().map(left).min().unwrap_or_default();
        let now = Instant::now();
        if time.is_zero() {
            // Nobody waits any more: an attempt at a response does no harm, and work would.
            return Self { work: now, respond: now + Duration::from_secs(1) };
        }
        let respond = time.saturating_sub((time / 5).min(Duration::from_secs(1)));
        let work = respond.saturating_sub((time / 5).min(Duration::from_secs(3)));
        Self { work: now + work, respond: now + respond }
    }
}
