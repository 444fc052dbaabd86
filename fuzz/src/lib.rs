//! The laws that any input is held to, written from the words of the contract and not from the code that keeps them.

pub mod answer;
pub mod host;
