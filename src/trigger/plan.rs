//! What to do about a request.

use crate::mitigation::{Failure, Request, Success};

/// What to do about a request.
pub enum Plan {
    /// Execute the request, and log the warnings.
    Execute(Box<Request>, Vec<String>),
    /// Respond at once, because the result is known without a call to AWS IoT.
    Respond(Result<Success, Failure>),
}
