//! What the clients of the AWS SDK share: their configuration, and how a failed call is classified.
//!
//! Credentials, region and endpoints come from the environment alone, as Lambda sets them: no
//! profiles, no SSO, no metadata service. The SDK's own retries and timeouts are off, because only
//! the deadline of an invocation says when to stop.

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
    retry::Attempt,
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
    /// The service returned an error.
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
    /// The classification of `error`, with which `operation` failed; `unnamed_conflict` is what a
    /// 409 without an error name means.
    #[must_use]
    pub fn new<E: ProvideErrorMetadata>(
        operation: &str,
        unnamed_conflict: ErrorCode,
        error: &SdkError<E, HttpResponse>,
        settings: &Settings,
    ) -> Self {
        let service = |code, text: &str| {
            Self::Service(Failure::service(code, format!("{operation}: {text}")))
        };
        #[expect(clippy::wildcard_enum_match_arm, reason = "the SDK may add kinds of errors")]
        match error {
            SdkError::ServiceError(response) => {
                let status = response.raw().status().as_u16();
                let code = error_code(status, response.err().code(), unnamed_conflict);
                match response.err().message() {
                    Some(text) => service(code, &settings.scrub(text)),
                    None => service(code, &format!("status {status}")),
                }
            }
            SdkError::ResponseError(response) => {
                let status = response.raw().status().as_u16();
                let code = error_code(status, None, unnamed_conflict);
                service(code, &format!("the response with status {status} cannot be parsed"))
            }
            SdkError::DispatchFailure(_) => {
                Self::NoResponse(format!("{operation}: the connection failed or was lost"))
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

    /// Classifies the attempt that failed with this as transient or permanent.
    #[must_use]
    pub fn into_attempt(self) -> Attempt<Failure> {
        let is_transient = match &self {
            Self::Service(failure) => failure.code.is_transient(),
            Self::NoResponse(_) => true,
        };
        let failure = self.into_failure();
        if is_transient { Attempt::Transient(failure) } else { Attempt::Permanent(failure) }
    }

    fn into_failure(self) -> Failure {
        match self {
            Self::Service(failure) => failure,
            Self::NoResponse(text) => Failure::service(ErrorCode::InternalFailure, text),
        }
    }
}

/// The API's name for an error, from the status and the name in the response.
///
/// Any 401 or 403 is access denied. Any other 4xx without a name comes from a proxy, not from the
/// service, and is transient, except that the operation says what a 409 means.
fn error_code(status: u16, name: Option<&str>, unnamed_conflict: ErrorCode) -> ErrorCode {
    let name = name.unwrap_or_default();
    match (status, name) {
        (401 | 403, _) => ErrorCode::AccessDenied,
        (429, _) => ErrorCode::Throttling,
        (409, "") => unnamed_conflict,
        // A success that cannot be read is retried.
        (500.. | ..=399 | 408, _) | (_, "") => ErrorCode::InternalFailure,
        // The API's own names come first: the SDK lists LimitExceededException, which is permanent
        // here, as a throttling error.
        (_, name) => match ErrorCode::from_word(name) {
            // Only the provider itself reports this one.
            Some(ErrorCode::InvalidSetting) => ErrorCode::InvalidRequest,
            Some(code) => code,
            None if THROTTLING_ERRORS.contains(&name) => ErrorCode::Throttling,
            None if TRANSIENT_ERRORS.contains(&name) => ErrorCode::InternalFailure,
            None => ErrorCode::InvalidRequest,
        },
    }
}
