//! The bus for result events: the one module that names the SDK of EventBridge.
//!
//! The client is made when the first result is published, so that an instance that publishes none does not pay for it.
//! See <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>.

use std::cell::OnceCell;

use aws_sdk_eventbridge::{Client, types::PutEventsRequestEntry};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    http::Http,
    retry::{attempt_time, backoff},
    sdk::{self, Fault},
    settings::Settings,
    trigger::eventbridge::{ResultEvent, SOURCE},
};

/// The bus that the settings name, if they do.
pub struct Bus<'s> {
    settings: &'s Settings,
    http: Http,
    client: OnceCell<Client>,
}

impl<'s> Bus<'s> {
    /// Entries that a call takes.
    const ENTRIES: usize = 10;
    /// Bytes that a call takes, with room for what is not the detail.
    const BYTES: usize = 240 * 1024;
    /// Attempts at a call: what still fails then is the caller's to report, so that the request comes again.
    const TRIES: u32 = 3;

    /// The bus of `settings`, reached over `http`.
    #[must_use]
    pub fn new(settings: &'s Settings, http: Http) -> Self {
        Self { settings, http, client: OnceCell::new() }
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.settings.result_event_bus.is_some()
    }

    /// Publishes `events` by `until`, ten to a call; says of each why it was not published, or `None` where it was or where
    /// there is no bus.
    pub async fn publish(&self, events: &[ResultEvent], until: Instant) -> Vec<Option<String>> {
        let Some(bus) = self.settings.result_event_bus.as_deref() else { return vec![None; events.len()] };
        let mut faults = Vec::with_capacity(events.len());
        let mut rest = events;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(Self::fitting(rest));
            faults.extend(self.put(bus, chunk, until).await);
            rest = after;
        }
        faults
    }

    /// How many of `events` fit one call: at least one.
    fn fitting(events: &[ResultEvent]) -> usize {
        let sizes = events.iter().take(Self::ENTRIES).scan(0, |bytes, event| {
            *bytes += event.detail.len();
            Some(*bytes)
        });
        sizes.take_while(|bytes| *bytes <= Self::BYTES).count().clamp(1, events.len())
    }

    async fn put(&self, bus: &str, events: &[ResultEvent], until: Instant) -> Vec<Option<String>> {
        let entry = |event: &ResultEvent| {
            let entry = PutEventsRequestEntry::builder().event_bus_name(bus).source(SOURCE).detail_type(event.detail_type);
            entry.set_resources(event.resource.clone().map(|arn| vec![arn])).detail(event.detail.as_str()).build()
        };
        let client = self
            .client
            .get_or_init(|| Client::new(&sdk::config(self.settings, self.http.clone(), self.settings.eventbridge_endpoint.as_deref())));
        let call = client.put_events().set_entries(Some(events.iter().map(entry).collect()));
        let mut tries = 0;
        let fault = loop {
            let room = until.saturating_duration_since(Instant::now());
            if room.is_zero() {
                break "no time was left for PutEvents".to_owned();
            }
            tries += 1;
            let fault = match timeout(attempt_time(room), Box::pin(call.clone().send())).await {
                Ok(Ok(answer)) => {
                    let entries = answer.entries.unwrap_or_default();
                    let fault = |index: usize| match entries.get(index) {
                        Some(entry) if entry.event_id.is_some() => None,
                        Some(entry) => Some(format!("PutEvents: {}", entry.error_code.as_deref().unwrap_or("the entry was not taken"))),
                        None if answer.failed_entry_count == 0 => None,
                        None => Some("PutEvents: the answer lacks the entry".to_owned()),
                    };
                    return (0..events.len()).map(fault).collect();
                }
                Ok(Err(error)) => Fault::of("PutEvents", &error, self.settings),
                Err(_) => Fault::Silence("PutEvents was not answered in time".to_owned()),
            };
            let (text, passes) = match fault {
                Fault::Answer(failure) => (failure.to_string(), failure.code.is_retryable()),
                Fault::Silence(text) => (text, true),
            };
            match backoff(tries, until.saturating_duration_since(Instant::now())) {
                Some(wait) if passes && tries < Self::TRIES => sleep(wait).await,
                _ => break text,
            }
        };
        vec![Some(fault); events.len()]
    }
}
