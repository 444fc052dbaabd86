//! Faults to inject: what goes wrong, where, how often.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 400 `ThrottlingException`.
    Throttle,
    /// A status with the name of an error.
    Refuse(u16, &'static str),
    /// The connection is lost before the work is done.
    LoseBefore,
    /// The work is done, and the connection lost before the answer.
    LoseAfter,
    /// The work is done, and answered with a 500.
    FailAfter,
    /// No answer, no work.
    Hang,
    /// The work is done, and no answer comes.
    HangAfter,
    /// The answer takes this long.
    Slow(Duration),
    /// 200, and a body that is no JSON.
    Garbage,
}

/// The faults that are set, by the name of the call.
#[derive(Debug, Default)]
pub struct Faults {
    set: Mutex<Vec<(String, Fault, usize)>>,
    met: AtomicUsize,
}

impl Faults {
    /// The next `times` calls of that name (`*` for any) have this fault.
    pub fn set(&self, call: &str, fault: Fault, times: usize) {
        self.set.lock().unwrap().push((call.to_owned(), fault, times));
    }

    /// All faults are over.
    pub fn clear(&self) {
        self.set.lock().unwrap().clear();
    }

    /// How many calls have had one.
    pub fn met(&self) -> usize {
        self.met.load(Ordering::SeqCst)
    }

    /// The fault of this call, if it has one.
    pub fn next(&self, call: &str) -> Option<Fault> {
        let mut faults = self.set.lock().unwrap();
        let (_, fault, times) = faults
            .iter_mut()
            .find(|(name, _, times)| (name == call || name == "*") && *times > 0)?;
        *times -= 1;
        self.met.fetch_add(1, Ordering::SeqCst);
        Some(fault.clone())
    }
}
