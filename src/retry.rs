//! How long to try and how long to wait, for every kind of call alike.

use std::time::Duration;

/// How long one attempt may take of the `room` that is left: a service answers within a second or two, and an answer that
/// is lost must leave room to ask again.
#[must_use]
pub fn attempt_time(room: Duration) -> Duration {
    (room / 2).min(Duration::from_secs(5)).max(Duration::from_secs(1)).min(room)
}

/// The wait after the `tries`th attempt: doubling from 100 ms to 5 s, less up to half of it by chance, so that callers who
/// were refused together come back apart.
#[must_use]
pub fn backoff(tries: u32) -> Duration {
    let longest = Duration::from_millis(100 << tries.saturating_sub(1).min(6)).min(Duration::from_secs(5));
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}
