//! What to do about a request.

use crate::mitigation::{Failure, Request, Success};

/// What to do about a request.
pub enum Plan {
    /// Execute it, and log the warnings.
    Execute(Box<Request>, Vec<String>),
    /// Respond at once: the result is clear without a call.
    Respond(Result<Success, Failure>),
}
