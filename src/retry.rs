//! How long to try and how long to wait, for every kind of call alike.

use std::time::Duration;

/// How long one attempt may take of the `room` that is left: a service answers within a second or two, and an answer that
/// is lost must leave room to ask again.
#[must_use]
pub fn attempt_time(room: Duration) -> Duration {
    (room / 2).min(Duration::from_secs(5)).max(Duration::from_secs(1)).min(room)
}

/// The wait after the `tries`th attempt: doubling from 100 ms to 5 s, but at most half of the `room` that is left, and less
/// up to half of that by chance, so that callers who were refused together come back apart. `None` where there is no room
/// for another attempt.
#[must_use]
pub fn backoff(tries: u32, room: Duration) -> Option<Duration> {
    const LEAST_ROOM: Duration = Duration::from_millis(150);

    let longest = Duration::from_millis(100 << tries.saturating_sub(1).min(6))
        .min(Duration::from_secs(5))
        .min(room / 2);
    (room >= LEAST_ROOM).then(|| longest.mul_f64(0.5 + fastrand::f64() / 2.0))
}
