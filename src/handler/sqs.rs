//! A batch of messages: unfinished ones are batch item failures, which the queue redelivers.
//!
//! Messages that share a name or a group are in one chain and served in order; chains are served
//! concurrently. Once a message is to be redelivered, every later one that shares a name or a group
//! with it is redelivered too, so that none overtakes another.

use std::{collections::BTreeSet, time::Duration};

use futures_util::stream::{self, StreamExt as _};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Deadlines, FunctionError, Handler, Invocation, Limits, outcome};
use crate::{
    iot::{OnTimeout, Pacing},
    metrics::Metric,
    result_bus::Unpublished,
    trigger::{
        Content,
        cloudformation::CustomResourceRequest,
        eventbridge::{EventRequest, ResultEvent},
        sqs::{Batch, Message, batch_item_failures},
    },
};

/// How a message ends.
enum End {
    /// It is done, and there is nothing to publish.
    Done,
    /// It is done, and this result has to be published.
    Result(ResultEvent),
    /// It is redelivered.
    Redelivered,
}

/// How a chain ends.
#[derive(Default)]
struct ChainEnd {
    /// The messages that are redelivered.
    redelivered: Vec<String>,
    /// The result of the last message, which is published together with those of other chains.
    last: Option<(String, ResultEvent)>,
}

impl Handler<'_> {
    /// Chains that are served at once: more would wait for the pace of calls anyway, and each takes
    /// memory.
    const CONCURRENT_CHAINS: usize = 64;

    /// Results that are kept to be published together.
    const KEPT_RESULTS: usize = 50;

    pub(super) async fn serve_batch(
        &self,
        batch: Batch,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let deadlines = invocation.deadlines();
        let began = Instant::now();
        let chains = batch.chains().into_iter();
        let serve = |chain| self.serve_chain(chain, invocation, deadlines, began);
        let mut ends = stream::iter(chains.map(serve)).buffer_unordered(Self::CONCURRENT_CHAINS);
        let mut redelivered = Vec::new();
        let mut results = Vec::new();
        while let Some(end) = ends.next().await {
            redelivered.extend(end.redelivered);
            results.extend(end.last);
            if results.len() >= Self::KEPT_RESULTS {
                let results = std::mem::take(&mut results);
                redelivered.extend(self.publish(results, invocation, deadlines).await);
            }
        }
        redelivered.extend(self.publish(results, invocation, deadlines).await);
        batch_item_failures(redelivered).map_err(|error| Unpublished(error.to_string()).into())
    }

    /// Serves the messages of a chain in order.
    async fn serve_chain(
        &self,
        chain: Vec<Message>,
        invocation: &Invocation,
        deadlines: Deadlines,
        began: Instant,
    ) -> ChainEnd {
        let mut end = ChainEnd::default();
        let mut blocked = BTreeSet::new();
        let mut messages = chain.into_iter().peekable();
        while let Some(message) = messages.next() {
            let is_blocked = message.keys().iter().any(|key| blocked.contains(key));
            let message_end = if is_blocked {
                End::Redelivered
            } else {
                self.serve_message(&message, invocation, deadlines, began).await
            };
            let is_redelivered = match message_end {
                End::Done => false,
                End::Redelivered => true,
                End::Result(event) if messages.peek().is_none() => {
                    end.last = Some((message.id, event));
                    break;
                }
                // The next message is served only once this result is published.
                End::Result(event) => {
                    let result = vec![(message.id.clone(), event)];
                    !self.publish(result, invocation, deadlines).await.is_empty()
                }
            };
            if is_redelivered {
                blocked.extend(message.keys().iter().cloned());
                end.redelivered.push(message.id);
            }
        }
        end
    }

    async fn serve_message(
        &self,
        message: &Message,
        invocation: &Invocation,
        deadlines: Deadlines,
        began: Instant,
    ) -> End {
        match message.content() {
            Content::CustomResource(request) => {
                self.serve_stack_message(&request, invocation, deadlines, began).await
            }
            Content::Request(request) => self.serve_request(&request, invocation, deadlines).await,
            Content::OwnResult => End::Done,
            Content::Unrecognized(unrecognized) => {
                tracing::error!(
                    trigger = invocation.trigger.as_str(),
                    id = message.id,
                    reason = %unrecognized,
                    "the message is redelivered until it reaches the dead-letter queue"
                );
                invocation.metrics.add(Metric::CallerMistakes, 1);
                End::Redelivered
            }
        }
    }

    async fn serve_request(
        &self,
        request: &EventRequest,
        invocation: &Invocation,
        deadlines: Deadlines,
    ) -> End {
        let limits = Limits {
            until: deadlines.work,
            on_timeout: OnTimeout::Transient,
            pacing: Pacing::Shared,
        };
        match self.execute_event(request, invocation, limits).await {
            Err(failure) if self.is_redelivered(&failure) => End::Redelivered,
            result => End::Result(request.result_event(&result)),
        }
    }

    /// Serves a stack's request. It may have to wait for a role, so it is redelivered if less than
    /// half of the time for work, and less than 30 s, is left.
    async fn serve_stack_message(
        &self,
        request: &CustomResourceRequest,
        invocation: &Invocation,
        deadlines: Deadlines,
        began: Instant,
    ) -> End {
        let now = Instant::now();
        let (whole, left) = (
            deadlines.work.saturating_duration_since(began),
            deadlines.work.saturating_duration_since(now),
        );
        if left < (whole / 2).min(Duration::from_secs(30)) {
            tracing::warn!(
                trigger = invocation.trigger.as_str(),
                subject = request.logical_id,
                id = request.request_id,
                "too little time is left, so the message is redelivered"
            );
            return End::Redelivered;
        }
        let end = invocation.end;
        match self.serve_custom_resource(request, invocation, end, Pacing::Shared).await {
            Ok(_) => End::Done,
            Err(error) => {
                let label = invocation.resource_label(request);
                outcome::record_error(label, &error, "the message is redelivered");
                End::Redelivered
            }
        }
    }

    /// Publishes results; returns the ids of the messages whose result was not published.
    async fn publish(
        &self,
        results: Vec<(String, ResultEvent)>,
        invocation: &Invocation,
        deadlines: Deadlines,
    ) -> Vec<String> {
        let (ids, events): (Vec<String>, Vec<ResultEvent>) = results.into_iter().unzip();
        let trace = invocation.trace.as_deref();
        let published = self.result_bus.publish_all(&events, trace, deadlines.respond).await;
        let mut redelivered = Vec::new();
        for ((id, event), published) in ids.into_iter().zip(&events).zip(published) {
            if let Err(why) = published {
                invocation.metrics.add(Metric::ResultsUnpublished, 1);
                tracing::error!(
                    trigger = invocation.trigger.as_str(),
                    id = event.request_id,
                    reason = %why,
                    "the result was not published, so the message is redelivered"
                );
                redelivered.push(id);
            }
        }
        redelivered
    }
}
