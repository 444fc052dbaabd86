//! AWS IoT: the one module that names its SDK. Nouns go in and come out; errors are classified here, once.
//!
//! A call is tried again for as long as there is room to answer afterwards: the SDK's own retries, which stop after a
//! few attempts, are off. See <https://docs.aws.amazon.com/iot/latest/apireference/API_Operations_AWS_IoT.html>.

mod pace;

use std::{
    cell::{Cell, RefCell},
    fmt::Debug,
    time::Duration,
};

use aws_sdk_iot::{
    Client,
    config::endpoint::{self, ResolveEndpoint as _},
    error::{ProvideErrorMetadata, SdkError},
    operation::describe_mitigation_action::DescribeMitigationActionOutput,
    primitives::{DateTime, DateTimeFormat},
    types::{self, MitigationActionParams, Tag},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::{Instant, sleep, timeout};

use self::pace::Pace;
use crate::{
    http::Http,
    mitigation::{
        Action, ActionName, CertificateAction, Code, Definition, Described, Failure, Flag,
        LogLevel, Moment, Params, PolicyTemplate, RoleArn, Tags, ThingGroupNames, TopicArn,
    },
    retry::{attempt_time, backoff},
    sdk::{self, Fault},
    settings::Settings,
};

/// How long a start waits for its first connection: longer than any takes to be made where the network is well.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The service, and the settings of its calls.
pub struct Iot<'s> {
    client: Client,
    settings: &'s Settings,
    pace: Pace,
}

impl<'s> Iot<'s> {
    /// A client for the region and endpoint of `settings`, over `http`, with the environment's credentials.
    #[must_use]
    pub fn new(settings: &'s Settings, http: Http) -> Self {
        let config = sdk::config(settings, http, settings.iot_endpoint.as_deref());
        Self { client: Client::new(&config), settings, pace: Pace::default() }
    }

    /// Makes the first call's connection over `http`, if that can be done in a short time.
    pub async fn connect(&self, http: &Http) {
        let endpoint = match &self.settings.iot_endpoint {
            Some(endpoint) => Some(endpoint.clone()),
            None => self.endpoint().await,
        };
        if let Some(uri) = endpoint.and_then(|endpoint| endpoint.parse().ok()) {
            drop(timeout(CONNECT_TIMEOUT, http.connect(uri)).await);
        }
    }

    /// The service's own endpoint, as the client finds it.
    async fn endpoint(&self) -> Option<String> {
        let params =
            endpoint::Params::builder().region(self.settings.region.as_str()).build().ok()?;
        Some(
            endpoint::DefaultResolver::new().resolve_endpoint(&params).await.ok()?.url().to_owned(),
        )
    }

    /// The calls of one request, which end by `until`.
    #[must_use]
    pub fn session(&self, until: Instant) -> Session<'_> {
        Session {
            iot: self,
            began: Instant::now(),
            until,
            pace: None,
            comes_again: false,
            propagation: Propagation::default(),
            tally: Tally::default(),
            last_answer: RefCell::default(),
            last_silence: RefCell::default(),
        }
    }
}

/// The calls of one request, one after another.
pub struct Session<'s> {
    iot: &'s Iot<'s>,
    began: Instant,
    until: Instant,
    pace: Option<&'s Pace>,
    comes_again: bool,
    propagation: Propagation,
    tally: Tally,
    last_answer: RefCell<Option<Failure>>,
    last_silence: RefCell<String>,
}

/// What a request cost.
#[derive(Debug, Default)]
pub struct Tally {
    /// Calls made, those that failed included.
    pub calls: Cell<u32>,
    /// Calls that the service throttled.
    pub throttles: Cell<u32>,
    /// Creates whose outcome is not known, as no answer came or one that says nothing of it.
    pub lost_creates: Cell<u32>,
}

impl Session<'_> {
    /// The same calls, at the pace that all paced calls of this instance share: for requests that come in numbers.
    #[must_use]
    pub fn paced(self) -> Self {
        Self { pace: Some(&self.iot.pace), ..self }
    }

    /// The same calls, for a request that is delivered again where it fails for now: running out of time is such a failure,
    /// whatever the service answered before, for the next delivery finds out more.
    #[must_use]
    pub fn that_comes_again(self) -> Self {
        Self { comes_again: true, ..self }
    }

    /// [`CreateMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_CreateMitigationAction.html).
    ///
    /// # Errors
    /// As the service's, and [`Code::InternalFailure`] where there was no answer in time.
    pub async fn create(
        &self,
        name: &ActionName,
        definition: &Definition,
        tags: &Tags,
    ) -> Result<Action, Failure> {
        let call = self
            .iot
            .client
            .create_mitigation_action()
            .action_name(name.as_str())
            .role_arn(definition.role_arn.as_str());
        let call = call.action_params(to_sdk(&definition.params)?).set_tags(Some(sdk_tags(tags)?));
        let lost = || self.tally.lost_creates.set(self.tally.lost_creates.get() + 1);
        let made = self.call("CreateMitigationAction", lost, || call.clone().send()).await?;
        self.told(
            name,
            made.action_arn,
            made.action_id,
            Some(definition.params.action_type().to_owned()),
        )
        .await
    }

    /// [`UpdateMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateMitigationAction.html):
    /// what is given changes, the rest stays.
    ///
    /// # Errors
    /// As [`Session::create`].
    pub async fn update(
        &self,
        name: &ActionName,
        role_arn: Option<&RoleArn>,
        params: Option<&Params>,
    ) -> Result<Action, Failure> {
        let call = self.iot.client.update_mitigation_action().action_name(name.as_str());
        let call = call
            .set_role_arn(role_arn.map(|arn| arn.as_str().to_owned()))
            .set_action_params(params.map(to_sdk).transpose()?);
        let updated = self.call("UpdateMitigationAction", || (), || call.clone().send()).await?;
        self.told(
            name,
            updated.action_arn,
            updated.action_id,
            params.map(|params| params.action_type().to_owned()),
        )
        .await
    }

    /// [`DeleteMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteMitigationAction.html),
    /// which succeeds on what is not there.
    ///
    /// # Errors
    /// As [`Session::create`].
    pub async fn delete(&self, name: &ActionName) -> Result<(), Failure> {
        let call = self.iot.client.delete_mitigation_action().action_name(name.as_str());
        self.call("DeleteMitigationAction", || (), || call.clone().send()).await.map(drop)
    }

    /// [`DescribeMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeMitigationAction.html);
    /// the tags are another call's.
    ///
    /// # Errors
    /// As [`Session::create`].
    pub async fn describe(&self, name: &ActionName) -> Result<(Action, Described), Failure> {
        let call = self.iot.client.describe_mitigation_action().action_name(name.as_str());
        let found = self.call("DescribeMitigationAction", || (), || call.clone().send()).await?;
        described(name, found)
    }

    /// [`ListTagsForResource`](https://docs.aws.amazon.com/iot/latest/apireference/API_ListTagsForResource.html), all pages.
    ///
    /// # Errors
    /// As [`Session::create`].
    pub async fn tags(&self, arn: &str) -> Result<Tags, Failure> {
        let mut tags = Tags::default();
        let mut page = None;
        loop {
            let call =
                self.iot.client.list_tags_for_resource().resource_arn(arn).set_next_token(page);
            let found = self.call("ListTagsForResource", || (), || call.clone().send()).await?;
            for tag in found.tags.unwrap_or_default() {
                tags.set(tag.key, tag.value.unwrap_or_default());
            }
            page = found.next_token.filter(|token| !token.is_empty());
            if page.is_none() {
                return Ok(tags);
            }
        }
    }

    /// [`TagResource`](https://docs.aws.amazon.com/iot/latest/apireference/API_TagResource.html): adds and changes.
    ///
    /// # Errors
    /// As [`Session::create`].
    pub async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), Failure> {
        let call = self.iot.client.tag_resource().resource_arn(arn).set_tags(Some(sdk_tags(tags)?));
        self.call("TagResource", || (), || call.clone().send()).await.map(drop)
    }

    /// [`UntagResource`](https://docs.aws.amazon.com/iot/latest/apireference/API_UntagResource.html).
    ///
    /// # Errors
    /// As [`Session::create`].
    pub async fn untag(&self, arn: &str, keys: Vec<String>) -> Result<(), Failure> {
        let call = self.iot.client.untag_resource().resource_arn(arn).set_tag_keys(Some(keys));
        self.call("UntagResource", || (), || call.clone().send()).await.map(drop)
    }

    /// From here on, refusals that a role made moments ago can cause are tried again for as long as the settings say.
    pub fn wait_for_role(&self) {
        self.propagation.limit.set(self.iot.settings.role_propagation);
    }

    /// The action that an answer tells of; where it says too little, it is asked for.
    async fn told(
        &self,
        name: &ActionName,
        arn: Option<String>,
        id: Option<String>,
        kind: Option<String>,
    ) -> Result<Action, Failure> {
        match action(name, arn, id, kind) {
            Ok(action) => Ok(action),
            Err(_) => Ok(self.describe(name).await?.0),
        }
    }

    /// Waits as after `tries` failed attempts at a call, for as long as there is room.
    pub async fn pause(&self, tries: u32) {
        sleep(self.room().and_then(|room| backoff(tries, room)).unwrap_or_default()).await;
    }

    /// How long ago the request was begun.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// What the calls so far cost.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The failure of a request whose time ran out: that of the service's last answer, if it was one.
    #[must_use]
    pub fn out_of_time(&self) -> Failure {
        let calls = self.tally.calls.get();
        let last = self
            .last_answer
            .borrow()
            .clone()
            .filter(|last| last.code.is_retryable() || !self.comes_again);
        let last = last.map(|last| self.propagation.tell(last));
        let Some(last) = last else {
            let silence = self.last_silence.borrow();
            let text = format!("time ran out after {calls} calls without an answer of AWS IoT's");
            let text = if silence.is_empty() { text } else { format!("{text}: {silence}") };
            return Failure::new(Code::InternalFailure, text);
        };
        last.because(&format!("time ran out after {calls} calls"))
    }

    /// One call, tried until it succeeds, fails for good, or leaves no room to answer.
    async fn call<T, E, R>(
        &self,
        operation: &'static str,
        lost: impl Fn(),
        attempt: impl Fn() -> R,
    ) -> Result<T, Failure>
    where
        R: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Debug,
    {
        let mut tries = 0;
        loop {
            if let Some(pace) = self.pace {
                pace.turn(operation, self.until).await;
            }
            let Some(room) = self.room() else {
                return Err(self.out_of_time());
            };
            tries += 1;
            self.tally.calls.set(self.tally.calls.get() + 1);
            let fault = match timeout(attempt_time(room), Box::pin(attempt())).await {
                Ok(Ok(answer)) => {
                    self.last_answer.take();
                    self.pace.inspect(|pace| pace.answered(operation));
                    return Ok(answer);
                }
                Ok(Err(error)) => Fault::of(operation, &error, self.iot.settings),
                Err(_) => Fault::Silence(format!(
                    "{operation} was not answered within {} ms",
                    attempt_time(room).as_millis()
                )),
            };
            let wait = match self.judge(operation, fault, tries, &lost) {
                Judgement::Wait(wait) => wait,
                Judgement::Final(failure) => return Err(failure),
            };
            tracing::debug!(
                operation,
                tries,
                wait_ms = wait.as_millis(),
                "call failed and is tried again"
            );
            sleep(wait).await;
        }
    }

    /// What becomes of a failed call.
    fn judge(
        &self,
        operation: &'static str,
        fault: Fault,
        tries: u32,
        lost: impl Fn(),
    ) -> Judgement {
        let failure = match fault {
            Fault::Answer(failure) => {
                *self.last_answer.borrow_mut() = Some(failure.clone());
                failure
            }
            Fault::Silence(text) => {
                self.last_silence.replace(text.clone());
                Failure::new(Code::InternalFailure, text)
            }
        };
        match failure.code {
            Code::Throttling => {
                self.tally.throttles.set(self.tally.throttles.get() + 1);
                self.pace.inspect(|pace| pace.throttled(operation));
            }
            Code::InternalFailure => lost(),
            _ => {}
        }
        let room = self.room();
        match failure.code {
            Code::Throttling | Code::InternalFailure => {
                match room.and_then(|room| backoff(tries, room)) {
                    Some(wait) => Judgement::Wait(wait),
                    None => Judgement::Final(self.out_of_time()),
                }
            }
            Code::InvalidRequest | Code::AccessDenied => {
                match room.and_then(|room| self.propagation.next(room / 2)) {
                    Some(wait) => Judgement::Wait(wait),
                    None => Judgement::Final(self.propagation.tell(failure)),
                }
            }
            _ => Judgement::Final(failure),
        }
    }

    /// The time that is left for calls, where it is enough for one.
    fn room(&self) -> Option<Duration> {
        const LEAST: Duration = Duration::from_millis(50);
        Some(self.until.saturating_duration_since(Instant::now())).filter(|room| *room >= LEAST)
    }
}

enum Judgement {
    Wait(Duration),
    Final(Failure),
}

/// The waits for a role made moments ago: 1, 2, 4, 8 s, and 8 s from then on, the last one cut so that their sum is the limit.
#[derive(Default)]
struct Propagation {
    limit: Cell<Duration>,
    waited: Cell<Duration>,
    waits: Cell<u32>,
}

impl Propagation {
    /// The next wait, no longer than `most`.
    fn next(&self, most: Duration) -> Option<Duration> {
        let waits = self.waits.get();
        let left = self.limit.get().saturating_sub(self.waited.get());
        let wait = Duration::from_secs(1 << waits.min(3)).min(left).min(most);
        (wait >= Duration::from_millis(100)).then(|| {
            self.waited.set(self.waited.get() + wait);
            self.waits.set(waits + 1);
            wait
        })
    }

    /// `failure`, which is final now, saying how long it was waited for.
    fn tell(&self, failure: Failure) -> Failure {
        match self.waited.get().as_secs() {
            0 => failure,
            waited => {
                failure.because(&format!("still so after {waited} s of retries, in which a role made moments ago would have become known"))
            }
        }
    }
}

fn action(
    name: &ActionName,
    arn: Option<String>,
    id: Option<String>,
    kind: Option<String>,
) -> Result<Action, Failure> {
    match (arn, id) {
        (Some(arn), Some(id)) => Ok(Action { name: name.clone(), arn, id: Some(id), kind }),
        _ => Err(Failure::new(
            Code::InternalFailure,
            format!("AWS IoT gave no ARN or no id for the action {name}"),
        )),
    }
}

fn described(
    name: &ActionName,
    found: DescribeMitigationActionOutput,
) -> Result<(Action, Described), Failure> {
    let moment = |at: DateTime| {
        // The service tells milliseconds, as a fraction of a second that no binary number holds exactly.
        let milliseconds = format!("{:.0}", at.as_secs_f64() * 1000.0).parse().unwrap_or_default();
        Moment {
            milliseconds,
            text: DateTime::from_millis(milliseconds)
                .fmt(DateTimeFormat::DateTime)
                .unwrap_or_default(),
        }
    };
    let described = Described {
        role_arn: found.role_arn.map(RoleArn::found),
        params: found.action_params.and_then(from_sdk),
        tags: Tags::default(),
        created: found.creation_date.map(moment),
        modified: found.last_modified_date.map(moment),
    };
    let kind = found.action_type.map(|kind| kind.as_str().to_owned());
    let kind =
        kind.or_else(|| described.params.as_ref().map(|params| params.action_type().to_owned()));
    Ok((action(name, found.action_arn, found.action_id, kind)?, described))
}

/// What the SDK's builders answer where a member is missing, which none here is.
fn incomplete(error: impl std::error::Error) -> Failure {
    Failure::new(Code::InternalFailure, format!("the request could not be built: {error}"))
}

fn sdk_tags(tags: &Tags) -> Result<Vec<Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build().map_err(incomplete))
        .collect()
}

fn to_sdk(params: &Params) -> Result<MitigationActionParams, Failure> {
    let sdk = MitigationActionParams::builder();
    let sdk = match params {
        Params::AddThingsToThingGroup { thing_group_names, override_dynamic_groups } => sdk
            .add_things_to_thing_group_params(
                types::AddThingsToThingGroupParams::builder()
                    .set_thing_group_names(Some(
                        thing_group_names.iter().map(str::to_owned).collect(),
                    ))
                    .set_override_dynamic_groups(override_dynamic_groups.0)
                    .build()
                    .map_err(incomplete)?,
            ),
        Params::EnableIoTLogging { log_level, role_arn_for_logging } => sdk
            .enable_io_t_logging_params(
                types::EnableIoTLoggingParams::builder()
                    .log_level(log_level.as_str().into())
                    .role_arn_for_logging(role_arn_for_logging.as_str())
                    .build()
                    .map_err(incomplete)?,
            ),
        Params::PublishFindingToSns { topic_arn } => sdk.publish_finding_to_sns_params(
            types::PublishFindingToSnsParams::builder()
                .topic_arn(topic_arn.as_str())
                .build()
                .map_err(incomplete)?,
        ),
        Params::ReplaceDefaultPolicyVersion { template_name } => sdk
            .replace_default_policy_version_params(
                types::ReplaceDefaultPolicyVersionParams::builder()
                    .template_name(template_name.as_str().into())
                    .build()
                    .map_err(incomplete)?,
            ),
        Params::UpdateCaCertificate { action } => sdk.update_ca_certificate_params(
            types::UpdateCaCertificateParams::builder()
                .action(action.as_str().into())
                .build()
                .map_err(incomplete)?,
        ),
        Params::UpdateDeviceCertificate { action } => sdk.update_device_certificate_params(
            types::UpdateDeviceCertificateParams::builder()
                .action(action.as_str().into())
                .build()
                .map_err(incomplete)?,
        ),
    };
    Ok(sdk.build())
}

/// The parameters that the service holds; `None` for a kind that came after this version.
fn from_sdk(params: MitigationActionParams) -> Option<Params> {
    if let Some(found) = params.add_things_to_thing_group_params {
        let thing_group_names = ThingGroupNames::found(found.thing_group_names);
        Some(Params::AddThingsToThingGroup {
            thing_group_names,
            override_dynamic_groups: Flag(found.override_dynamic_groups),
        })
    } else if let Some(found) = params.enable_io_t_logging_params {
        let log_level = LogLevel::found(found.log_level.as_str().to_owned());
        Some(Params::EnableIoTLogging {
            log_level,
            role_arn_for_logging: RoleArn::found(found.role_arn_for_logging),
        })
    } else if let Some(found) = params.publish_finding_to_sns_params {
        Some(Params::PublishFindingToSns { topic_arn: TopicArn::found(found.topic_arn) })
    } else if let Some(found) = params.replace_default_policy_version_params {
        Some(Params::ReplaceDefaultPolicyVersion {
            template_name: PolicyTemplate::found(found.template_name.as_str().to_owned()),
        })
    } else if let Some(found) = params.update_ca_certificate_params {
        Some(Params::UpdateCaCertificate {
            action: CertificateAction::found(found.action.as_str().to_owned()),
        })
    } else {
        let found = params.update_device_certificate_params?;
        Some(Params::UpdateDeviceCertificate {
            action: CertificateAction::found(found.action.as_str().to_owned()),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that meets the unexpected ends")]
mod tests {
    use super::{Http, Iot, Settings};

    #[tokio::test]
    async fn the_first_connection_goes_to_the_regions_own_endpoint() {
        for (region, endpoint) in [
            ("eu-west-1", "https://iot.eu-west-1.amazonaws.com"),
            ("cn-north-1", "https://iot.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", "https://iot.us-gov-west-1.amazonaws.com"),
        ] {
            let settings = Settings::read(|name| (name == "AWS_REGION").then(|| region.to_owned()));
            let iot = Iot::new(&settings, Http::new(None).unwrap());
            assert_eq!(iot.endpoint().await.unwrap().trim_end_matches('/'), endpoint);
        }
    }
}
