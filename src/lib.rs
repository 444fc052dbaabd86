//! An AWS Lambda function that makes AWS IoT Device Defender mitigation actions out of events.
//!
//! ```text
//! event -> Trigger -> Request -> (life cycle over IoT) -> Outcome -> Report
//! ```
//!
//! Imports run one way: `main -> handler -> trigger -> mitigation`, and `handler -> lifecycle -> iot -> mitigation`.
//!
//! [`trigger`] recognises who called and holds a protocol a file; [`mitigation`] the nouns and their rules, pure; [`lifecycle`] the
//! verbs and who may do what; [`iot`] and [`bus`] the two services that are called, over [`sdk`] and [`http`]; [`handler`] one
//! invocation from start to finish.

pub mod bus;
pub mod handler;
pub mod http;
pub mod iot;
pub mod lifecycle;
pub mod mitigation;
pub mod retry;
pub mod sdk;
pub mod settings;
pub mod telemetry;
pub mod trigger;
