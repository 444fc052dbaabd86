//! What holds for any input, worded by other means than those of the code.

pub mod bound;
pub mod host;
pub mod response;
