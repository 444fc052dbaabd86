//! What the clients of the AWS SDK share: their configuration, and how a failed call is classified.
//!
//! Credentials, region and endpoints come from the environment alone, as Lambda sets them: no
//! profiles, no SSO, no metadata service. The SDK's own retries and time-outs are off, as only the
//! deadline of an invocation says when to stop.

use std::fmt;

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse, result::SdkError,
    stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_smithy_types::{
    error::metadata::ProvideErrorMetadata, retry::RetryConfig, timeout::TimeoutConfig,
};

use crate::{
    http::Http,
    mitigation::{ErrorCode, Failure},
    settings::Settings,
};

/// The configuration of a client that calls `endpoint`, or the service's own where that is `None`,
/// over `http`.
#[must_use]
pub fn config(settings: &Settings, http: Http, endpoint: Option<&str>) -> SdkConfig {
    let credentials = SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new());
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .credentials_provider(credentials)
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_endpoint_url(endpoint.map(str::to_owned));
    config.build()
}

/// How a call failed.
#[derive(Debug)]
pub enum CallError {
    /// The service said so.
    Service(Failure),
    /// There was no response: whether the call took effect is not known.
    NoResponse(String),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(failure) => failure.fmt(f),
            Self::NoResponse(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for CallError {}

impl CallError {
    /// The classification of `error`, with which `operation` failed.
    #[must_use]
    pub fn new<E: ProvideErrorMetadata>(
        operation: &str,
        error: &SdkError<E, HttpResponse>,
        settings: &Settings,
    ) -> Self {
        let service = |code, text: &str| {
            Self::Service(Failure::service(code, format!("{operation}: {text}")))
        };
        match error {
            SdkError::ServiceError(response) => {
                let status = response.raw().status().as_u16();
                let code = error_code(operation, status, response.err().code());
                match response.err().message() {
                    Some(text) => service(code, &settings.scrub(text)),
                    None => service(code, &format!("status {status}")),
                }
            }
            SdkError::ResponseError(response) => {
                let status = response.raw().status().as_u16();
                let code = error_code(operation, status, None);
                service(code, &format!("the response of status {status} cannot be read"))
            }
            SdkError::DispatchFailure(_) => {
                Self::NoResponse(format!("{operation}: no connection, or it was lost"))
            }
            SdkError::TimeoutError(_) => Self::no_response(operation),
            _ => service(ErrorCode::InternalFailure, "the request could not be built"),
        }
    }

    /// A call that had no response in time.
    #[must_use]
    pub fn no_response(operation: &str) -> Self {
        Self::NoResponse(format!("{operation}: no response in time"))
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Service(failure) => failure.code.is_transient(),
            Self::NoResponse(_) => true,
        }
    }

    /// The failure of a request that ends with this.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Service(failure) => failure,
            Self::NoResponse(text) => Failure::service(ErrorCode::InternalFailure, text),
        }
    }
}

/// The API's name for an error, from the status and the name in the response.
///
/// A 4xx without a name is not the service's own but a proxy's, and so transient; save that a
/// nameless 409 to a create is looked into as a name that is taken.
fn error_code(operation: &str, status: u16, name: Option<&str>) -> ErrorCode {
    let name = name.unwrap_or_default();
    match (status, name) {
        (401 | 403, _) => ErrorCode::AccessDenied,
        (429, _) => ErrorCode::Throttling,
        (409, "") if operation == "CreateMitigationAction" => ErrorCode::ResourceAlreadyExists,
        // A success that cannot be read is a success to ask for again.
        (500.. | ..=399 | 408, _) | (_, "") => ErrorCode::InternalFailure,
        // It is in the SDK's list of throttling errors, and final here.
        (_, "LimitExceededException") => ErrorCode::LimitExceeded,
        (_, "AccessDeniedException") => ErrorCode::AccessDenied,
        (_, "ResourceAlreadyExistsException") => ErrorCode::ResourceAlreadyExists,
        (_, "ResourceNotFoundException") => ErrorCode::ResourceNotFound,
        (_, name) if THROTTLING_ERRORS.contains(&name) => ErrorCode::Throttling,
        (_, name) if TRANSIENT_ERRORS.contains(&name) || name == "InternalFailureException" => {
            ErrorCode::InternalFailure
        }
        _ => ErrorCode::InvalidRequest,
    }
}
