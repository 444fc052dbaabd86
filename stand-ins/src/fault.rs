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
    /// A status, an error name and a message.
    RefuseWith(u16, &'static str, &'static str),
    /// 200 with an empty object; the call is not executed.
    Empty,
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
#[derive(Debug)]
pub struct Faults {
    is_supported: fn(&str, &Fault) -> bool,
    set: Mutex<Vec<(String, Fault, usize)>>,
    injected: AtomicUsize,
}

impl Faults {
    /// No faults yet, of a stand-in that implements those of which `is_supported` is true.
    pub fn new(is_supported: fn(&str, &Fault) -> bool) -> Self {
        Self { is_supported, set: Mutex::default(), injected: AtomicUsize::default() }
    }

    /// Injects the fault into the next `times` calls of that name (`*` for any). Panics if the
    /// stand-in has no such call, or does not implement such a fault of it.
    pub fn set(&self, call: &str, fault: Fault, times: usize) {
        assert!((self.is_supported)(call, &fault), "{fault:?} of {call:?} is not implemented");
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

#[cfg(test)]
mod tests {
    use super::Fault;
    use crate::{bucket::Bucket, bus::Bus, iot::Iot};

    #[test]
    fn a_fault_of_a_call_of_the_stand_in_is_set() {
        Iot::default().faults.set("*", Fault::Garbage, 1);
        Iot::default().faults.set("TagResource", Fault::Proxy(502), 1);
        Bucket::default().faults.set("PUT", Fault::Proxy(502), 1);
        Bus::default().faults.set("PutEvents", Fault::Garbage, 1);
        Bus::default().faults.set("entry", Fault::Refuse(0, "InternalFailure"), 1);
    }

    #[test]
    #[should_panic(expected = "Throttle of \"PutEvents\" is not implemented")]
    fn a_fault_of_a_call_of_another_stand_in_panics() {
        Iot::default().faults.set("PutEvents", Fault::Throttle, 1);
    }

    #[test]
    #[should_panic(expected = "Hang of \"entry\" is not implemented")]
    fn a_fault_that_an_entry_cannot_have_panics() {
        Bus::default().faults.set("entry", Fault::Hang, 1);
    }
}
