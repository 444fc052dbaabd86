//! The rules that hold for any input, implemented without the code that they check.

pub mod bound;
pub mod host;
pub mod response;
pub mod trigger;
