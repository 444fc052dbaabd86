//! When work on a request ends, and when its response must have been accepted.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The deadlines of a request.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// When work ends.
    pub work: Instant,
    /// When the response must have been accepted.
    pub respond: Instant,
}

impl Deadlines {
    /// Of the time until the earliest of `ends`, a fifth, but at most a second, stays free after
    /// the response. Another fifth, but at most three seconds, is reserved for its delivery.
    #[must_use]
    pub fn new(now: SystemTime, ends: impl IntoIterator<Item = SystemTime>) -> Self {
        let left = |end: SystemTime| end.duration_since(now).unwrap_or_default();
        let time = ends.into_iter().map(left).min().unwrap_or_default();
        let now = Instant::now();
        if time.is_zero() {
            // The caller no longer waits: an attempt to respond does no harm, but work would.
            return Self { work: now, respond: now + Duration::from_secs(1) };
        }
        let respond = time.saturating_sub((time / 5).min(Duration::from_secs(1)));
        let work = respond.saturating_sub((time / 5).min(Duration::from_secs(3)));
        Self { work: now + work, respond: now + respond }
    }

    /// When work that has not ended is abandoned. Work that looks at its deadline ends by itself,
    /// and says more about why.
    pub(crate) fn abandon(self) -> Instant {
        let reserve = self.respond.saturating_duration_since(self.work);
        self.work + (reserve / 4).min(Duration::from_millis(250))
    }
}
