//! Settings: environment variables, read once at startup.
//!
//! An invalid setting does not stop the process, because a stack would then wait until it times
//! out: every request fails with the error instead.

use std::time::Duration;

use hyper::Uri;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::mitigation::{Arn, ErrorCode, Failure, Problem, Problems, partition_of};

/// The settings of the function. An invalid variable counts as unset, but for the valid hosts of a
/// list.
pub struct Settings {
    /// `AWS_REGION`: where the calls go.
    pub(crate) region: String,
    /// `AWS_ENDPOINT_URL_IOT`, or else `AWS_ENDPOINT_URL`.
    pub(crate) iot_endpoint: Option<String>,
    /// `AWS_ENDPOINT_URL_EVENTBRIDGE`, or else `AWS_ENDPOINT_URL`.
    pub(crate) eventbridge_endpoint: Option<String>,
    /// `AWS_LAMBDA_INITIALIZATION_TYPE`: whether the init is `on-demand`, for an event that waits.
    pub(crate) is_on_demand: bool,
    /// `AWS_LAMBDA_FUNCTION_NAME`: the dimension of the metrics.
    pub(crate) function_name: String,
    /// `AWS_LAMBDA_LOG_LEVEL`: the level that passes Lambda's filter; INFO if it is not set.
    pub(crate) log_level: &'static str,
    /// `RESULT_EVENT_BUS`: the name or the ARN of the bus for result events; `None` for no result
    /// events.
    pub(crate) result_event_bus: Option<String>,
    /// `ROLE_PROPAGATION_SECONDS`: how long requests are retried while IAM propagates
    /// a new role.
    pub(crate) role_propagation: Duration,
    /// `RESPONSE_URL_ALLOWED_HOSTS`: hosts that a response may be sent to besides CloudFormation's
    /// own, in lower case.
    pub(crate) response_hosts: Vec<String>,
    /// `SSL_CERT_FILE`: root certificates that replace the built-in ones; `None` for those.
    pub roots: Option<RootCertStore>,
    secrets: Vec<String>,
    problems: Problems,
}

impl Settings {
    pub fn from_environment() -> Self {
        Self::read(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let mut variables = Variables { lookup, problems: Problems::default() };
        let everywhere = variables.optional("AWS_ENDPOINT_URL", ENDPOINT, endpoint);
        let iot_endpoint =
            variables.optional("AWS_ENDPOINT_URL_IOT", ENDPOINT, endpoint).or(everywhere.clone());
        let eventbridge_endpoint =
            variables.optional("AWS_ENDPOINT_URL_EVENTBRIDGE", ENDPOINT, endpoint).or(everywhere);
        let region = variables
            .required("AWS_REGION", "the name of a region, such as eu-west-1", region)
            .unwrap_or_default();
        Self {
            function_name: variables.function_name(),
            log_level: variables.log_level(),
            iot_endpoint,
            eventbridge_endpoint,
            is_on_demand: variables
                .value("AWS_LAMBDA_INITIALIZATION_TYPE")
                .is_some_and(|value| value == "on-demand"),
            result_event_bus: variables.optional(
                "RESULT_EVENT_BUS",
                &format!("the name of an event bus, or the ARN of one in {region}"),
                |value| event_bus(value, &region),
            ),
            role_propagation: variables
                .optional("ROLE_PROPAGATION_SECONDS", "a whole number of seconds", seconds)
                .unwrap_or(Duration::from_secs(30)),
            response_hosts: variables.hosts(),
            roots: variables.optional(
                "SSL_CERT_FILE",
                "the path of a PEM file with at least one certificate",
                certificates,
            ),
            secrets: variables.credentials(),
            problems: variables.problems,
            region,
        }
    }

    /// # Errors
    /// Everything that is wrong with them: the failure of every request.
    pub fn check(&self) -> Result<(), Failure> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let failure = Failure::invalid(self.problems.clone());
        Err(Failure { code: ErrorCode::InvalidSetting, ..failure })
    }

    /// `text` without the credentials that AWS repeats when it rejects a signature.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let text = text.to_owned();
        self.secrets.iter().fold(text, |text, secret| text.replace(secret, "[credential]"))
    }
}

const ENDPOINT: &str = "an http or https URL";

/// The environment and its problems. An empty value counts as unset.
struct Variables<F> {
    lookup: F,
    problems: Problems,
}

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    fn value(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    fn optional<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.problems.add(|| Problem::invalid(name, &format!("{value:?}"), expected));
        }
        parsed
    }

    fn required<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        if self.value(name).is_none() {
            self.problems.add(|| Problem::missing(name, expected));
        }
        self.optional(name, expected, parse)
    }

    /// The name that Lambda sets; elsewhere the provider's own.
    fn function_name(&self) -> String {
        let is_name =
            |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        let name = self.value("AWS_LAMBDA_FUNCTION_NAME").filter(is_name);
        name.unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned())
    }

    fn log_level(&self) -> &'static str {
        let given = self.value("AWS_LAMBDA_LOG_LEVEL").unwrap_or_default();
        let levels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
        levels.into_iter().find(|level| given.eq_ignore_ascii_case(level)).unwrap_or("INFO")
    }

    /// The valid hosts, so that a request whose response goes to one of them is answered although
    /// others are invalid.
    fn hosts(&mut self) -> Vec<String> {
        const NAME: &str = "RESPONSE_URL_ALLOWED_HOSTS";

        let value = self.value(NAME).unwrap_or_default();
        let given = value.split(',').map(str::trim).filter(|given| !given.is_empty());
        let hosts: Vec<Option<String>> = given.map(host).collect();
        if hosts.contains(&None) {
            let expected = "host names without scheme, port or path, separated by commas";
            self.problems.add(|| Problem::invalid(NAME, &format!("{value:?}"), expected));
        }
        hosts.into_iter().flatten().collect()
    }

    /// Values to remove from messages. Values under 8 characters are not real credentials, and
    /// removing them would damage ordinary words.
    fn credentials(&mut self) -> Vec<String> {
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            if self.value(name).is_none() {
                let expected = "the function's credential, which Lambda sets";
                self.problems.add(|| Problem::missing(name, expected));
            }
        }
        let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
        let found = names.map(|name| {
            let value = self.value(name)?;
            if !value.bytes().all(|b| b.is_ascii_graphic()) {
                let words = "invalid value (not shown): expected visible ASCII characters";
                self.problems.add(|| Problem::other(name, words));
            }
            Some(value)
        });
        found.into_iter().flatten().filter(|secret| secret.len() >= 8).collect()
    }
}

/// A host name, or an IPv6 address with or without brackets; in lower case and without brackets.
fn host(given: &str) -> Option<String> {
    let address = given.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host = address.unwrap_or(given).to_ascii_lowercase();
    let is_in_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let is_name = address.is_none() && !host.is_empty() && host.bytes().all(is_in_name);
    (is_name || host.parse::<std::net::Ipv6Addr>().is_ok()).then_some(host)
}

fn endpoint(value: &str) -> Option<String> {
    let uri: Uri = value.parse().ok()?;
    let (authority, host) = (uri.authority()?.as_str(), uri.host()?);
    let has_valid_port = authority.ends_with(host) || uri.port_u16().is_some();
    (matches!(uri.scheme_str(), Some("http" | "https")) && !host.is_empty() && has_valid_port)
        .then(|| value.to_owned())
}

fn region(value: &str) -> Option<String> {
    value
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        .then(|| value.to_owned())
}

/// As the API's
/// [`EventBusName`](https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html).
fn event_bus(value: &str, region: &str) -> Option<String> {
    let name = match Arn::parse(value) {
        Some(arn) => {
            let is_here = arn.service == "events"
                && arn.region == region
                && arn.partition == partition_of(region);
            arn.resource.strip_prefix("event-bus/").filter(|_| is_here)?
        }
        None => value,
    };
    let is_valid =
        name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_'));
    (is_valid && (1..=256).contains(&name.len())).then(|| value.to_owned())
}

fn seconds(value: &str) -> Option<Duration> {
    value.parse().ok().map(|seconds: u32| Duration::from_secs(seconds.into()))
}

fn certificates(path: &str) -> Option<RootCertStore> {
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).ok()?.collect::<Result<_, _>>().ok()?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    (!roots.is_empty()).then_some(roots)
}
