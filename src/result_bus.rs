//! The bus for result events: the only module that uses the SDK of EventBridge.
//!
//! The client is created when the first result is published, so an instance that publishes none
//! does not pay for it. See
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>.

use cloudformation_custom_resource::retry::{Retry, attempt_time, time_left};
use std::{cell::OnceCell, pin::Pin};

use aws_sdk_eventbridge::{
    Client,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};
use tokio::time::{Instant, timeout};

use crate::{
    http::Http,
    mitigation::{ErrorCode, Failure},
    sdk::{self, CallError, UnnamedConflict, call_error, incomplete, no_response_in_time},
    settings::Settings,
    trigger::eventbridge::{ResultEvent, SOURCE},
};

const OPERATION: &str = "PutEvents";

/// `PutEvents` has no conflicts.
const CONFLICT: UnnamedConflict = UnnamedConflict::Nothing;

/// The most characters of an entry's `TraceHeader`; a longer one would fail the whole call.
const MAX_TRACE_HEADER: usize = 500;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpublished(pub String);

impl std::fmt::Display for Unpublished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unpublished {}

/// The bus that the settings name, if they name one.
pub struct ResultBus<'s> {
    settings: &'s Settings,
    http: Http,
    client: OnceCell<Client>,
}

impl<'s> ResultBus<'s> {
    /// Entries that a call takes.
    pub(crate) const MAX_ENTRIES: usize = 10;
    /// Bytes of details that a call takes, with room for the rest.
    const MAX_BYTES: usize = 240 * 1024;
    /// Attempts at a call: what fails more often is redelivered.
    const MAX_ATTEMPTS: u32 = 3;

    pub fn new(settings: &'s Settings, http: Http) -> Self {
        Self { settings, http, client: OnceCell::new() }
    }

    pub fn is_set(&self) -> bool {
        self.settings.result_event_bus.is_some()
    }

    /// Publishes one event by `until`, where there is a bus.
    pub async fn publish(
        &self,
        event: &ResultEvent,
        trace: Option<&str>,
        until: Instant,
    ) -> Result<(), Unpublished> {
        let results = self.publish_all(std::slice::from_ref(event), trace, until).await;
        results.into_iter().next().unwrap_or(Ok(()))
    }

    /// Publishes `events` by `until`, ten to a call; says of each whether it was published. Without
    /// a bus all of them count as published. `trace` is the X-Ray trace that they belong to.
    pub async fn publish_all(
        &self,
        events: &[ResultEvent],
        trace: Option<&str>,
        until: Instant,
    ) -> Vec<Result<(), Unpublished>> {
        let Some(bus) = self.settings.result_event_bus.as_deref() else {
            return vec![Ok(()); events.len()];
        };
        let mut results = Vec::with_capacity(events.len());
        let mut rest = events;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(Self::chunk_len(rest));
            results.extend(self.put(bus, chunk, trace, until).await);
            rest = after;
        }
        results
    }

    /// How many of `events` fit one call: at least one.
    fn chunk_len(events: &[ResultEvent]) -> usize {
        let sizes = events.iter().take(Self::MAX_ENTRIES).scan(0, |bytes, event| {
            *bytes += event.detail.len();
            Some(*bytes)
        });
        sizes.take_while(|bytes| *bytes <= Self::MAX_BYTES).count().clamp(1, events.len())
    }

    async fn put(
        &self,
        bus: &str,
        events: &[ResultEvent],
        trace: Option<&str>,
        until: Instant,
    ) -> Vec<Result<(), Unpublished>> {
        let entries = events.iter().map(|event| entry(event, bus, trace)).collect();
        let call = self.client().put_events().set_entries(Some(entries));
        let attempt = async || {
            let limit = attempt_time(time_left(until));
            if limit.is_zero() {
                let text = format!("{OPERATION}: no time was left");
                let failure = Failure::service(ErrorCode::InternalFailure, text);
                return Err(CallError::Permanent(failure));
            }
            let send: Pin<Box<dyn Future<Output = _>>> = Box::pin(call.clone().send());
            match timeout(limit, send).await {
                Ok(Ok(output)) if output.entries().len() < events.len() => {
                    Err(incomplete(OPERATION, "entry for each event"))
                }
                Ok(Ok(output)) => Ok(output),
                Ok(Err(error)) => Err(call_error(OPERATION, CONFLICT, &error, self.settings)),
                Err(_) => Err(no_response_in_time(OPERATION)),
            }
        };
        let retry = Retry { until, max_attempts: Self::MAX_ATTEMPTS };
        match retry.run(attempt).await {
            Ok(output) => entry_results(output.entries(), output.failed_entry_count),
            Err(error) => vec![Err(Unpublished(error.to_string())); events.len()],
        }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            let endpoint = self.settings.eventbridge_endpoint.as_deref();
            Client::new(&sdk::config(self.settings, self.http.clone(), endpoint))
        })
    }
}

fn entry(event: &ResultEvent, bus: &str, trace: Option<&str>) -> PutEventsRequestEntry {
    PutEventsRequestEntry::builder()
        .event_bus_name(bus)
        .source(SOURCE)
        .detail_type(event.detail_type)
        .set_resources(Some(event.resource.iter().cloned().collect()))
        .set_trace_header(
            trace
                .filter(|header| (1..=MAX_TRACE_HEADER).contains(&header.len()))
                .map(str::to_owned),
        )
        .detail(event.detail.as_str())
        .build()
}

/// Whether each of the entries was accepted. If some failed and the response does not say which,
/// all count as failed: a result may be published twice, but must be published.
fn entry_results(entries: &[PutEventsResultEntry], failed: i32) -> Vec<Result<(), Unpublished>> {
    let refused = |why: &str| Err(Unpublished(format!("PutEvents: {why}")));
    let result = |entry: &PutEventsResultEntry| match (&entry.error_code, &entry.event_id) {
        (Some(code), _) => refused(code),
        (None, None) => refused("the entry has no id"),
        (None, Some(_)) => Ok(()),
    };
    let results: Vec<_> = entries.iter().map(result).collect();
    if failed > 0 && results.iter().all(Result::is_ok) {
        return vec![refused("an entry failed"); entries.len()];
    }
    results
}

#[cfg(test)]
mod tests {
    use super::{PutEventsResultEntry, entry_results};

    /// How many of the entries count as failed, by what the response says of each.
    #[track_caller]
    fn check(failed: i32, entries: &[(Option<&str>, Option<&str>)], expected: usize) {
        let entry = |(id, code): &(Option<&str>, Option<&str>)| {
            let entry = PutEventsResultEntry::builder().set_event_id(id.map(str::to_owned));
            entry.set_error_code(code.map(str::to_owned)).build()
        };
        let entries: Vec<_> = entries.iter().map(entry).collect();
        let results = entry_results(&entries, failed);
        assert_eq!(results.iter().filter(|result| result.is_err()).count(), expected);
    }

    #[test]
    fn an_entry_is_published_only_where_the_response_leaves_no_doubt() {
        let taken = (Some("id"), None);
        check(0, &[taken, taken], 0);
        check(0, &[(None, None), taken], 1);
        check(1, &[taken, (None, Some("InternalFailure"))], 1);
        check(1, &[(Some("id"), Some("InternalFailure")), taken], 1);
        check(1, &[taken, taken], 2);
        check(1, &[taken], 1);
        check(0, &[(None, Some("InternalFailure")), taken], 1);
    }
}
