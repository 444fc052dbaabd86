//! Settings: environment variables, read once at start.
//!
//! A bad one does not end the process, as a stack would be left hanging: it is kept, and every request answered with it.

use std::time::Duration;

use hyper::Uri;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::mitigation::{Arn, Code, Failure, Problem, Problems};

/// The settings of the function. Where a variable is bad, its field is as if it were unset.
pub struct Settings {
    /// `AWS_REGION`: where the calls go.
    pub region: String,
    /// `AWS_ENDPOINT_URL_IOT`, or else `AWS_ENDPOINT_URL`.
    pub iot_endpoint: Option<String>,
    /// `AWS_ENDPOINT_URL_EVENTBRIDGE`, or else `AWS_ENDPOINT_URL`.
    pub eventbridge_endpoint: Option<String>,
    /// `AWS_LAMBDA_INITIALIZATION_TYPE`: whether the start is `on-demand`, for an event that waits.
    pub event_waits: bool,
    /// `RESULT_EVENT_BUS`: the name or the ARN of the bus for result events; `None` for no result events.
    pub result_event_bus: Option<String>,
    /// `ROLE_PROPAGATION_SECONDS`: how long a role made moments ago may take to be known everywhere.
    pub role_propagation: Duration,
    /// `RESPONSE_URL_ALLOWED_HOSTS`: hosts that are answered besides CloudFormation's own, in lower case.
    pub response_hosts: Vec<String>,
    /// `SSL_CERT_FILE`: the root certificates in place of the built-in ones; `None` for those.
    pub roots: Option<RootCertStore>,
    secrets: Vec<String>,
    problems: Problems,
}

impl Settings {
    /// The settings in the process's environment.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::read(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// The settings in the variables that `lookup` finds by name.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let mut variables = Variables { lookup, problems: Problems::new() };
        let everywhere = variables.optional("AWS_ENDPOINT_URL", ENDPOINT, endpoint);
        let iot_endpoint =
            variables.optional("AWS_ENDPOINT_URL_IOT", ENDPOINT, endpoint).or(everywhere.clone());
        let eventbridge_endpoint =
            variables.optional("AWS_ENDPOINT_URL_EVENTBRIDGE", ENDPOINT, endpoint).or(everywhere);
        Self {
            region: variables
                .required("AWS_REGION", "the name of a region, such as eu-west-1", region)
                .unwrap_or_default(),
            iot_endpoint,
            eventbridge_endpoint,
            event_waits: variables
                .value("AWS_LAMBDA_INITIALIZATION_TYPE")
                .is_some_and(|value| value == "on-demand"),
            result_event_bus: variables.optional(
                "RESULT_EVENT_BUS",
                "the name or the ARN of an event bus",
                event_bus,
            ),
            role_propagation: variables
                .optional("ROLE_PROPAGATION_SECONDS", "a whole number of seconds", seconds)
                .unwrap_or(Duration::from_secs(20)),
            response_hosts: variables.hosts(),
            roots: variables.optional(
                "SSL_CERT_FILE",
                "the path of a PEM file with at least one certificate",
                certificates,
            ),
            secrets: variables.credentials(),
            problems: variables.problems,
        }
    }

    /// What is wrong with the settings, as the failure of every request.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let failure =
            || Failure { code: Code::InvalidSetting, ..Failure::invalid(self.problems.clone()) };
        (!self.problems.is_empty()).then(failure)
    }

    /// `text` without the credentials that an answer of AWS may repeat, as it does where it refuses a signature.
    #[must_use]
    pub fn scrub(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| text.replace(secret, "[credential]"))
    }
}

const ENDPOINT: &str = "an http or https URL";

/// The environment, and what is wrong with it. An empty value is unset.
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
        legal: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.problems.push(Problem::illegal(name, &format!("{value:?}"), legal));
        }
        parsed
    }

    fn required<T>(
        &mut self,
        name: &str,
        legal: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        if self.value(name).is_none() {
            self.problems.push(Problem::missing(name, legal));
        }
        self.optional(name, legal, parse)
    }

    /// The hosts that can be told, even where something is wrong with the list: whoever can be answered is.
    fn hosts(&mut self) -> Vec<String> {
        const NAME: &str = "RESPONSE_URL_ALLOWED_HOSTS";

        let is_name = |host: &str| {
            host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        let value = self.value(NAME).unwrap_or_default();
        let mut hosts = Vec::new();
        let mut is_legal = true;
        for given in value.split(',').map(str::trim).filter(|given| !given.is_empty()) {
            let host = given.trim_matches(['[', ']']).to_ascii_lowercase();
            if is_name(&host) || host.parse::<std::net::Ipv6Addr>().is_ok() {
                hosts.push(host);
            } else {
                is_legal = false;
                hosts.extend(
                    host.split_once(':')
                        .map(|(name, _port)| name.to_owned())
                        .filter(|name| is_name(name)),
                );
            }
        }
        if !is_legal {
            let words = "host names without scheme, port or path, between commas";
            self.problems.push(Problem::illegal(NAME, &format!("{value:?}"), words));
        }
        hosts
    }

    /// What may never be printed. Something shorter than any credential is a local run's, and would blot out words.
    fn credentials(&mut self) -> Vec<String> {
        let names = [
            ("AWS_ACCESS_KEY_ID", true),
            ("AWS_SECRET_ACCESS_KEY", true),
            ("AWS_SESSION_TOKEN", false),
        ];
        let found = names.map(|(name, is_needed)| {
            let value = self.value(name);
            let is_legal = |value: &String| value.bytes().all(|b| b.is_ascii_graphic());
            if is_needed && value.is_none() {
                self.problems
                    .push(Problem::missing(name, "the function's credential, which Lambda sets"));
            } else if !value.as_ref().is_none_or(is_legal) {
                self.problems.push(Problem::other(
                    name,
                    "is no credential (its value is not shown), legal are visible ASCII characters",
                ));
            }
            value
        });
        found.into_iter().flatten().filter(|secret| secret.len() >= 8).collect()
    }
}

fn endpoint(value: &str) -> Option<String> {
    let uri: Uri = value.parse().ok()?;
    (matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
        .then(|| value.to_owned())
}

fn region(value: &str) -> Option<String> {
    value
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        .then(|| value.to_owned())
}

/// As the API's [`EventBusName`](https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html).
fn event_bus(value: &str) -> Option<String> {
    let name = match Arn::parse(value) {
        Some(arn) if arn.service == "events" => arn.resource.strip_prefix("event-bus/")?,
        Some(_) => return None,
        None => value,
    };
    let is_legal =
        name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_'));
    (is_legal && (1..=256).contains(&name.len())).then(|| value.to_owned())
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
