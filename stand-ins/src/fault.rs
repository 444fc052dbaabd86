//! Faults to inject into calls.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// A fault of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 400 `ThrottlingException`.
    Throttle,
    /// A status and an error name.
    Refuse(u16, &'static str),
    /// A status and a page without an error name, as a proxy responds.
    Proxy(u16),
    /// The connection closes before the call is executed.
    LoseBefore,
    /// The call is executed, then the connection closes without a response.
    LoseAfter,
    /// The call is executed, and the response is a 500.
    FailAfter,
    /// The call is not executed and gets no response.
    Hang,
    /// The call is executed and gets no response.
    HangAfter,
    /// The call is delayed.
    Slow(Duration),
    /// 200 with a body that is not JSON.
    Garbage,
}

/// The faults to inject, by the name of the call.
#[derive(Debug, Default)]
pub struct Faults {
    set: Mutex<Vec<(String, Fault, usize)>>,
    injected: AtomicUsize,
}

impl Faults {
    /// Injects the fault into the next `times` calls of that name (`*` for any).
    pub fn set(&self, call: &str, fault: Fault, times: usize) {
        self.set.lock().unwrap().push((call.to_owned(), fault, times));
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.set.lock().unwrap().clear();
    }

    /// The number of faults injected so far.
    pub fn injected(&self) -> usize {
        self.injected.load(Ordering::SeqCst)
    }

    /// Takes the fault for this call, if there is one.
    pub fn next(&self, call: &str) -> Option<Fault> {
        let mut faults = self.set.lock().unwrap();
        let (_, fault, times) = faults
            .iter_mut()
            .find(|(name, _, times)| (name == call || name == "*") && *times > 0)?;
        *times -= 1;
        self.injected.fetch_add(1, Ordering::SeqCst);
        Some(fault.clone())
    }
}
