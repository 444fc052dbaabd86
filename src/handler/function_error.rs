//! How an invocation fails: what Lambda reports as a function error.

use std::fmt;

use cloudformation_custom_resource::truncate;
use lambda_runtime::Diagnostic;

use crate::{
    mitigation::{ErrorCode, Failure},
    result_bus::Unpublished,
    trigger::{Unrecognized, api},
};

/// The most bytes of a message.
const MAX_MESSAGE: usize = 4096;

#[derive(Debug, PartialEq, Eq)]
pub struct FunctionError {
    pub error_type: ErrorType,
    /// `errorMessage`: at most 4 KB.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    UnrecognizedEvent,
    /// A response may not be sent to the `ResponseURL`, so nothing is done.
    ForbiddenResponseUrl,
    /// The response to CloudFormation was not accepted.
    UndeliverableResponse,
    /// The result event was not published.
    UndeliverableResult,
    Request(ErrorCode),
}

impl ErrorType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnrecognizedEvent => "UnrecognizedEvent",
            Self::ForbiddenResponseUrl => "ForbiddenResponseUrl",
            Self::UndeliverableResponse => "UndeliverableResponse",
            Self::UndeliverableResult => "UndeliverableResult",
            Self::Request(code) => code.as_str(),
        }
    }
}

impl fmt::Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_type.as_str(), self.message)
    }
}

impl std::error::Error for FunctionError {}

impl From<FunctionError> for Diagnostic {
    fn from(error: FunctionError) -> Self {
        Self { error_type: error.error_type.as_str().to_owned(), error_message: error.message }
    }
}

impl From<Unrecognized> for FunctionError {
    fn from(unrecognized: Unrecognized) -> Self {
        Self { error_type: ErrorType::UnrecognizedEvent, message: unrecognized.to_string() }
    }
}

impl From<&Failure> for FunctionError {
    fn from(failure: &Failure) -> Self {
        Self { error_type: ErrorType::Request(failure.code), message: api::message(failure) }
    }
}

impl From<serde_json::Error> for FunctionError {
    fn from(error: serde_json::Error) -> Self {
        Self {
            error_type: ErrorType::UndeliverableResult,
            message: format!("the result could not be written as JSON: {error}"),
        }
    }
}

impl From<Unpublished> for FunctionError {
    fn from(unpublished: Unpublished) -> Self {
        let message = format!("the work is done, but its result was not published: {unpublished}");
        Self {
            error_type: ErrorType::UndeliverableResult,
            message: truncate(&message, MAX_MESSAGE),
        }
    }
}
