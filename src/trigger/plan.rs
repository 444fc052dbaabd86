//! What to do about a request.

use crate::mitigation::{Failure, Request, Success};

/// What to do about a request.
pub struct Plan {
    /// The next step.
    pub step: Step,
    /// The name of the action, for the log; `None` if the request does not give one.
    pub action_name: Option<String>,
    /// Warnings for the log, whether or not the request is valid.
    pub warnings: Vec<String>,
}

/// The next step of a plan.
pub enum Step {
    /// Execute the request.
    Execute(Box<Request>),
    /// Respond at once, because the result is known without a call to AWS IoT.
    Respond(Result<Success, Failure>),
}
