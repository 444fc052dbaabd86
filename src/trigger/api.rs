//! Requests and results in the API's JSON, for events, messages and direct invocations.
//!
//! See <https://docs.aws.amazon.com/iot/latest/apireference/API_CreateMitigationAction.html> and
//! its siblings.

mod request;
mod result;

pub use request::ApiRequest;
pub(super) use request::RequestIds;
pub use result::message;

/// The most characters of a text of the request that a result repeats.
const MAX_REPEATED: usize = 256;

/// The beginning of a text of the request, as a result repeats it.
pub(super) fn repeated(text: &str) -> String {
    text.chars().take(MAX_REPEATED).collect()
}
