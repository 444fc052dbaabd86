//! An AWS Lambda function that manages AWS IoT Device Defender mitigation actions.
//!
//! ```text
//! event -> trigger -> plan -> lifecycle, with calls to AWS IoT -> outcome -> response or result
//! ```
//!
//! [`trigger`] recognizes the event; it has a file for each protocol and does no I/O.
//! [`mitigation`] is the domain, pure. `lifecycle` creates, updates, deletes and describes an
//! action, and decides who may do what. `iot` calls AWS IoT, and `result_bus` calls EventBridge,
//! both over [`http`]. [`handler`] is one invocation from start to finish, with a file for how each
//! trigger is served. CloudFormation's protocol is the crate `cloudformation_custom_resource`.
//!
//! [`settings`] reads the environment. `sdk` configures the SDK's clients and classifies their
//! errors. [`logs`] and `metrics` write to standard output. `string_enum` declares enums that are
//! words on the wire.
//!
//! Imports run one way: `main -> handler -> trigger -> mitigation`, and `handler -> lifecycle ->
//! iot -> mitigation`. Only what `main.rs`, the tests and the fuzzer use is public.

#[macro_use]
mod string_enum;

pub mod handler;
pub mod http;
mod iot;
mod lifecycle;
pub mod logs;
mod metrics;
pub mod mitigation;
mod result_bus;
mod sdk;
pub mod settings;
pub mod trigger;
