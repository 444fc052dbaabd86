//! The bus for result events: the one module that names the SDK of EventBridge.
//!
//! The client is made when the first result is published, so that an instance that publishes none does not pay for it.
//! See <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>.

use std::cell::OnceCell;

use aws_sdk_eventbridge::{
    Client,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};
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
        let Some(bus) = self.settings.result_event_bus.as_deref() else {
            return vec![None; events.len()];
        };
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
            let entry = PutEventsRequestEntry::builder()
                .event_bus_name(bus)
                .source(SOURCE)
                .detail_type(event.detail_type);
            entry
                .set_resources(Some(event.resource.iter().cloned().collect()))
                .detail(event.detail.as_str())
                .build()
        };
        let client = self.client.get_or_init(|| {
            Client::new(&sdk::config(
                self.settings,
                self.http.clone(),
                self.settings.eventbridge_endpoint.as_deref(),
            ))
        });
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
                    return entry_faults(
                        &answer.entries.unwrap_or_default(),
                        answer.failed_entry_count,
                        events.len(),
                    );
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

/// Why each of `sent` entries was not taken. Where some failed and the answer does not say which, all count as failed: a
/// result may come twice, but must come.
fn entry_faults(entries: &[PutEventsResultEntry], failed: i32, sent: usize) -> Vec<Option<String>> {
    let fault = |index: usize| match entries.get(index) {
        Some(PutEventsResultEntry { error_code: Some(code), .. }) => {
            Some(format!("PutEvents: {code}"))
        }
        Some(entry) if failed > 0 && entry.event_id.is_none() => {
            Some("PutEvents: the entry was not taken".to_owned())
        }
        None if failed > 0 => Some("PutEvents: the answer lacks the entry".to_owned()),
        _ => None,
    };
    let faults: Vec<_> = (0..sent).map(fault).collect();
    if failed > 0 && faults.iter().all(Option::is_none) {
        return vec![Some("PutEvents: an entry was not taken".to_owned()); sent];
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::{PutEventsResultEntry, entry_faults};

    /// How many of two entries count as failed, by what the answer says of each.
    #[track_caller]
    fn check(failed: i32, entries: &[(Option<&str>, Option<&str>)], expected: usize) {
        let entry = |(id, code): &(Option<&str>, Option<&str>)| {
            let entry = PutEventsResultEntry::builder().set_event_id(id.map(str::to_owned));
            entry.set_error_code(code.map(str::to_owned)).build()
        };
        let entries: Vec<_> = entries.iter().map(entry).collect();
        assert_eq!(entry_faults(&entries, failed, 2).iter().flatten().count(), expected);
    }

    #[test]
    fn an_entry_is_published_only_where_the_answer_leaves_no_doubt() {
        let taken = (Some("id"), None);
        check(0, &[taken, taken], 0);
        check(0, &[], 0);
        check(0, &[(None, None), taken], 0);
        check(1, &[taken, (None, Some("InternalFailure"))], 1);
        check(1, &[(Some("id"), Some("InternalFailure")), taken], 1);
        check(1, &[taken, taken], 2);
        check(1, &[taken], 1);
        check(2, &[], 2);
        check(0, &[(None, Some("InternalFailure")), taken], 1);
    }
}
