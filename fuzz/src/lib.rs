//! The rules that hold for any input, implemented without the code that they check.

pub mod peak_memory;
pub mod response;
pub mod response_url;
pub mod trigger;
