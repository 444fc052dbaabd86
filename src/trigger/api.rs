//! The API's own JSON, which events, messages and direct calls share: a request in, a result out.
//!
//! See <https://docs.aws.amazon.com/iot/latest/apireference/API_CreateMitigationAction.html> and
//! its siblings.

mod request;
mod result;

pub use request::ApiRequest;
pub(super) use request::RequestIds;
pub use result::message;

/// The most characters of a request's text that a result repeats.
const MAX_REPEATED: usize = 256;

/// The beginning of a request's text, as a result repeats it.
pub(super) fn repeated(text: &str) -> String {
    text.chars().take(MAX_REPEATED).collect()
}
