//! What the clients of the AWS SDK share: their configuration, and how a failed call is classified.
//!
//! Credentials, region and endpoints come from the environment alone, as Lambda sets them: no
//! profiles, no SSO, no metadata service. The SDK's own retries and timeouts are off, because only
//! the deadline of an invocation says when to stop.

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
use cloudformation_custom_resource::retry::AttemptError;

use crate::{
    http::Http,
    mitigation::{Detail, ErrorCode, Failure},
    settings::Settings,
};

/// The configuration of a client that calls `endpoint`, or the service's own where that is `None`,
/// over `http`.
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

pub type CallError = AttemptError<Failure>;

/// What a 409 without an error name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnnamedConflict {
    /// The name of a create may be taken.
    NameTaken,
    /// Nothing: it is a proxy's, not the service's.
    Nothing,
}

pub fn call_error<E: ProvideErrorMetadata>(
    operation: &str,
    conflict: UnnamedConflict,
    error: &SdkError<E, HttpResponse>,
    settings: &Settings,
) -> CallError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the SDK may add kinds of errors")]
    let (code, text) = match error {
        SdkError::ServiceError(response) => {
            let status = response.raw().status().as_u16();
            let text = response.err().message();
            let code = error_code(status, response.err().code(), text, conflict);
            match text {
                Some(text) => (code, settings.scrub(text)),
                None => (code, format!("status {status}")),
            }
        }
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            let text = format!("the response with status {status} cannot be parsed");
            (error_code(status, None, None, conflict), text)
        }
        SdkError::DispatchFailure(failure) => {
            let source = failure.as_connector_error().and_then(std::error::Error::source);
            let text =
                source.map_or_else(|| "the connection failed".to_owned(), ToString::to_string);
            return no_response(operation, &text);
        }
        SdkError::TimeoutError(_) => return no_response_in_time(operation),
        _ => (ErrorCode::InternalFailure, "the request could not be built".to_owned()),
    };
    let failure = Failure::service(code, format!("{operation}: {text}"));
    if code.is_transient() {
        AttemptError::Transient(failure)
    } else {
        AttemptError::Permanent(failure)
    }
}

/// A call that had no response in time: whether it took effect is not known.
pub fn no_response_in_time(operation: &str) -> CallError {
    no_response(operation, "no response in time")
}

fn no_response(operation: &str, text: &str) -> CallError {
    AttemptError::Transient(Failure {
        code: ErrorCode::InternalFailure,
        detail: Detail::NoResponse(format!("{operation}: {text}")),
    })
}

/// A success that lacks what it must have, which proves nothing.
pub fn incomplete(operation: &str, what: &str) -> CallError {
    let text = format!("{operation}: the response has no {what}");
    AttemptError::Transient(Failure::service(ErrorCode::InternalFailure, text))
}

/// The API's name for an error, from the status and the name in the response.
///
/// A signature that is not valid at this moment is transient. Any other 401 or 403 is access
/// denied. Any other 4xx without a name comes from a proxy, not from the service, and is transient,
/// except that `conflict` says what a 409 means.
fn error_code(
    status: u16,
    name: Option<&str>,
    text: Option<&str>,
    conflict: UnnamedConflict,
) -> ErrorCode {
    let name = name.unwrap_or_default();
    match (status, name) {
        _ if is_expired_signature(name, text.unwrap_or_default()) => ErrorCode::InternalFailure,
        (401 | 403, _) => ErrorCode::AccessDenied,
        (429, _) => ErrorCode::Throttling,
        (409, "") if conflict == UnnamedConflict::NameTaken => ErrorCode::ResourceAlreadyExists,
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

/// Whether the service rejects the time of a signature. A function that was frozen sends its first
/// call with one that has expired; the next attempt is signed anew.
fn is_expired_signature(name: &str, text: &str) -> bool {
    match name {
        "RequestExpired" | "RequestTimeTooSkewed" => true,
        "InvalidSignatureException" => {
            let text = text.to_ascii_lowercase();
            ["expired", "not yet current"].iter().any(|words| text.contains(words))
        }
        _ => false,
    }
}
