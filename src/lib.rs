//! An AWS Lambda function that makes AWS IoT Device Defender mitigation actions out of `CloudFormation` requests.
//!
//! ```text
//! event -> Trigger -> Request -> (life cycle over IoT) -> Outcome -> Report
//! ```
//!
//! Imports run one way: `main -> handler -> trigger -> mitigation`, and `handler -> lifecycle -> iot -> mitigation`.

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
