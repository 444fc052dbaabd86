//! The waits for a new role: IAM propagates it within seconds, and until then AWS IoT rejects it.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>, "Changes that I make
//! are not always immediately visible".

use std::{cell::Cell, time::Duration};

use crate::mitigation::Failure;

/// Waits of 1, 2, 4, 8 s, and 8 s from then on; the last one is cut so that their sum is the limit.
pub struct RolePropagation {
    limit: Duration,
    waited: Cell<Duration>,
    waits: Cell<u32>,
}

impl RolePropagation {
    const MIN_WAIT: Duration = Duration::from_millis(100);

    pub fn new(limit: Duration) -> Self {
        Self { limit, waited: Cell::default(), waits: Cell::default() }
    }

    pub fn next_wait(&self, longest: Duration) -> Option<Duration> {
        let waits = self.waits.get();
        let left = self.limit.saturating_sub(self.waited.get());
        let wait = Duration::from_secs(1 << waits.min(3)).min(left).min(longest);
        if wait < Self::MIN_WAIT {
            return None;
        }
        self.waited.set(self.waited.get() + wait);
        self.waits.set(waits + 1);
        Some(wait)
    }

    /// `failure` with how long the role was waited for.
    pub fn describe(&self, failure: Failure) -> Failure {
        match self.waited.get().as_secs() {
            0 => failure,
            waited => failure.with_context(&format!(
                "still failing after {waited} s of retries, in case the role is new"
            )),
        }
    }
}
