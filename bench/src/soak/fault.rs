//! The faults that invocations meet now and then.

use std::time::Duration;

use stand_ins::fault::Fault;

use super::Soak;

/// One request in so many meets a fault.
const FAULT_ONE_IN: u32 = 50;
/// One request in so many hangs until its deadline.
const HANG_ONE_IN: u32 = 5000;

/// How the outcome of a request gets to its caller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delivery {
    Put,
    ResultBus,
    ReturnValue,
}

impl Soak {
    /// Sets a fault for the next invocation now and then: of a call to AWS IoT, or of the delivery
    /// of the outcome.
    pub fn inject_fault(&mut self, operation: &str, delivery: Delivery) {
        let first_call =
            if operation == "Create" { "CreateMitigationAction" } else { "ListTagsForResource" };
        let call = if self.rng.bool() {
            first_call.to_owned()
        } else {
            format!("{operation}MitigationAction")
        };
        if self.rng.u32(..HANG_ONE_IN) == 0 {
            let fault = if self.rng.bool() { Fault::Hang } else { Fault::HangAfter };
            self.stage.aws.iot.faults.set(&call, fault, 1000);
        } else if self.rng.u32(..FAULT_ONE_IN) == 0 {
            self.inject_transient_fault(&call, delivery);
        }
    }

    fn inject_transient_fault(&mut self, call: &str, delivery: Delivery) {
        let fault = match self.rng.u8(..7) {
            0 => Fault::Throttle,
            1 => Fault::LoseBefore,
            2 => Fault::LoseAfter,
            3 => Fault::FailAfter,
            4 => Fault::Refuse(503, "ServiceUnavailableException"),
            5 => Fault::Slow(Duration::from_millis(5)),
            _ => Fault::Garbage,
        };
        let aws = &self.stage.aws;
        match (self.rng.bool(), delivery) {
            (true, Delivery::Put) => aws.bucket.faults.set("PUT", fault, 1),
            (true, Delivery::ResultBus) if self.rng.bool() => {
                aws.bus.faults.set("entry", Fault::Refuse(0, "InternalFailure"), 1);
            }
            (true, Delivery::ResultBus) => aws.bus.faults.set("PutEvents", fault, 1),
            (true, Delivery::ReturnValue) | (false, _) => aws.iot.faults.set(call, fault, 1),
        }
    }
}
