//! What the clients of the AWS SDK share: their configuration, and what a failed call was.
//!
//! Credentials, region and endpoints come from the environment alone, as Lambda sets them: no profiles, no SSO, no metadata
//! service. The SDK's own retries and time-outs are off, as only the deadline of an invocation tells when to stop.

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse, result::SdkError,
    stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_smithy_types::{
    error::metadata::ProvideErrorMetadata, retry::RetryConfig, timeout::TimeoutConfig,
};

use crate::{
    http::Http,
    mitigation::{Code, Failure},
    settings::Settings,
};

/// The configuration of a client that calls `endpoint`, or the service's own where that is `None`, over `http`.
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
pub enum Fault {
    /// The service said so.
    Answer(Failure),
    /// No answer came: whether the call was carried out is not known.
    Silence(String),
}

impl Fault {
    /// What `error`, with which `operation` failed, comes to.
    #[must_use]
    pub fn of<E: ProvideErrorMetadata>(
        operation: &str,
        error: &SdkError<E, HttpResponse>,
        settings: &Settings,
    ) -> Self {
        match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let code = code_of(status, answer.err().code().unwrap_or_default());
                let message = answer.err().message().map_or_else(
                    || format!("status {status}"),
                    |text| settings.scrub(text.to_owned()),
                );
                Self::Answer(Failure::new(code, format!("{operation}: {message}")))
            }
            SdkError::ResponseError(answer) => {
                let status = answer.raw().status().as_u16();
                Self::Answer(Failure::new(
                    code_of(status, ""),
                    format!("{operation}: the answer of status {status} could not be read"),
                ))
            }
            SdkError::DispatchFailure(_) => {
                Self::Silence(format!("{operation}: the connection could not be made or was lost"))
            }
            SdkError::TimeoutError(_) => Self::Silence(format!("{operation}: no answer in time")),
            _ => Self::Answer(Failure::new(
                Code::InternalFailure,
                format!("{operation}: the request could not be built"),
            )),
        }
    }
}

/// The API's name for an error, from what the answer says of it.
fn code_of(status: u16, name: &str) -> Code {
    match (status, name) {
        (401 | 403, _) => Code::AccessDenied,
        // A success that cannot be read is a success to be asked for again.
        (500.. | ..=399 | 408, _) | (_, "InternalFailureException") => Code::InternalFailure,
        (429, _)
        | (
            _,
            "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded",
        ) => Code::Throttling,
        (_, "AccessDeniedException") => Code::AccessDenied,
        (_, "ResourceAlreadyExistsException") | (409, "") => Code::ResourceAlreadyExists,
        (_, "ResourceNotFoundException") | (404, "") => Code::ResourceNotFound,
        (_, "LimitExceededException") | (410, "") => Code::LimitExceeded,
        _ => Code::InvalidRequest,
    }
}
