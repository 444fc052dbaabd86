//! A batch of messages: unfinished ones are batch item failures, which the queue redelivers.
//!
//! Messages that share an action, a stack's resource or a message group form a chain, which is
//! served in order. Chains are served concurrently. Chains with stacks' requests have slots of
//! their own, so they do not wait for the others. Once a message is to be redelivered, every later
//! one that shares any of these with it is redelivered too, so that none overtakes another.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use futures_util::{
    future::join,
    stream::{self, FuturesUnordered, StreamExt as _},
};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{
    Deadlines, Delivery, FunctionError, Handler, IfNotStarted, Invocation, Label, Limits,
    custom_resource::waits_until, telemetry,
};
use crate::{
    iot::{OnTimeout, Pacing, Urgency},
    metrics::Metric,
    result_bus::ResultBus,
    trigger::{
        Content,
        cloudformation::CustomResourceRequest,
        eventbridge::{EventRequest, ResultEvent},
        sqs::{Batch, Message, batch_item_failures},
    },
};

/// What the work on a batch shares.
#[derive(Clone, Copy)]
struct BatchContext<'a> {
    invocation: &'a Invocation,
    deadlines: Deadlines,
    /// The least time in which a stack's request, which may have to wait for a role, is started.
    least_time: Duration,
    /// When a message that is redelivered is delivered again.
    redelivered_at: SystemTime,
}

impl<'a> BatchContext<'a> {
    /// The visibility timeout of a queue is this many times the timeout of its function, as AWS
    /// recommends: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>.
    const VISIBILITY_TIMEOUTS: u32 = 6;

    fn new(invocation: &'a Invocation) -> Self {
        let received = invocation.received;
        let timeout = invocation.deadline.duration_since(received).unwrap_or_default();
        let deadlines = invocation.deadlines();
        let whole = deadlines.work.saturating_duration_since(Instant::now());
        Self {
            invocation,
            deadlines,
            least_time: (whole / 2).min(Duration::from_secs(30)),
            redelivered_at: received
                .checked_add(timeout.saturating_mul(Self::VISIBILITY_TIMEOUTS))
                .unwrap_or(received),
        }
    }

    /// The time that is left for work.
    fn time_left(&self) -> Duration {
        self.deadlines.work.saturating_duration_since(Instant::now())
    }

    /// The label of a message, whatever it holds.
    fn message_label<'l>(&'l self, message: &'l Message) -> Label<'l> {
        Label { id: &message.id, ..self.invocation.label() }
    }
}

/// The outcome of a message.
enum MessageOutcome {
    /// It is done, and there is nothing to publish.
    Done,
    /// It is done, and this result has to be published.
    Result(ResultEvent),
    /// It is redelivered.
    Redelivered,
}

/// The outcome of a chain.
#[derive(Default)]
struct ChainOutcome {
    /// The messages that are redelivered.
    redelivered: Vec<String>,
    /// The result of the last message, which is published together with those of other chains.
    last: Option<(String, ResultEvent)>,
}

/// A part of the work on a batch that has ended.
enum Ended {
    Chain(ChainOutcome),
    /// The ids of the messages whose result was not published.
    Publication(Vec<String>),
}

impl Handler<'_> {
    /// Chains that are served at once: more would wait for the pace of calls anyway, and each takes
    /// memory.
    const CONCURRENT_CHAINS: usize = 64;

    /// Calls that publish results at once: while as many are in flight, no chain is started.
    const CONCURRENT_PUBLICATIONS: usize = 8;

    pub(super) async fn serve_batch(
        &self,
        batch: Batch,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let context = BatchContext::new(invocation);
        let is_of_stack = |chain: &Vec<Message>| chain.iter().any(Message::is_of_stack);
        let (of_stacks, others) = batch.chains().into_iter().partition(is_of_stack);
        // Neither a stack's request that waits for its role nor many messages hold up the others.
        let (mut redelivered, more) =
            join(self.serve_chains(of_stacks, context), self.serve_chains(others, context)).await;
        redelivered.extend(more);
        Ok(batch_item_failures(redelivered)?)
    }

    /// Serves chains concurrently, and publishes their results meanwhile; returns the ids of the
    /// messages that are redelivered.
    async fn serve_chains(
        &self,
        chains: Vec<Vec<Message>>,
        context: BatchContext<'_>,
    ) -> Vec<String> {
        let mut chains = chains.into_iter();
        let (mut serving, mut publishing) = (FuturesUnordered::new(), FuturesUnordered::new());
        let (mut redelivered, mut results) = (Vec::new(), Vec::new());
        loop {
            while serving.len() < Self::CONCURRENT_CHAINS
                && publishing.len() < Self::CONCURRENT_PUBLICATIONS
                && let Some(chain) = chains.next()
            {
                serving.push(self.serve_chain(chain, context));
            }
            let chain = (&mut serving).map(Ended::Chain);
            let publication = (&mut publishing).map(Ended::Publication);
            match stream::select(chain, publication).next().await {
                None => return redelivered,
                Some(Ended::Chain(outcome)) => {
                    redelivered.extend(outcome.redelivered);
                    results.extend(outcome.last);
                }
                Some(Ended::Publication(unpublished)) => redelivered.extend(unpublished),
            }
            let are_last = serving.is_empty() && chains.len() == 0 && !results.is_empty();
            if are_last || results.len() >= ResultBus::MAX_ENTRIES {
                // The chains that are left need the time after the work, to be redelivered.
                let Deadlines { work, respond } = context.deadlines;
                let until = if chains.len() == 0 { respond } else { work };
                publishing.push(self.publish(std::mem::take(&mut results), until, context));
            }
        }
    }

    /// Serves the messages of a chain in order.
    async fn serve_chain(&self, chain: Vec<Message>, context: BatchContext<'_>) -> ChainOutcome {
        let mut outcome = ChainOutcome::default();
        let mut blocked = BTreeSet::new();
        let mut messages = chain.into_iter().peekable();
        while let Some(message) = messages.next() {
            let is_blocked = message.keys().iter().any(|key| blocked.contains(key));
            let message_outcome = if is_blocked {
                let label = context.message_label(&message);
                telemetry::record_redelivery(&label, "an earlier message is redelivered");
                MessageOutcome::Redelivered
            } else {
                self.serve_message(&message, context).await
            };
            let is_redelivered = match message_outcome {
                MessageOutcome::Done => false,
                MessageOutcome::Redelivered => true,
                MessageOutcome::Result(event) if messages.peek().is_none() => {
                    outcome.last = Some((message.id, event));
                    break;
                }
                // The next message is served only once this result is published.
                MessageOutcome::Result(event) => {
                    let result = vec![(message.id.clone(), event)];
                    !self.publish(result, context.deadlines.respond, context).await.is_empty()
                }
            };
            if is_redelivered {
                blocked.extend(message.keys().iter().cloned());
                outcome.redelivered.push(message.id);
            }
        }
        outcome
    }

    async fn serve_message(&self, message: &Message, context: BatchContext<'_>) -> MessageOutcome {
        let BatchContext { invocation, deadlines, .. } = context;
        if context.time_left().is_zero() && !message.is_of_stack() {
            let label = context.message_label(message);
            telemetry::record_redelivery(&label, "too little time is left");
            return MessageOutcome::Redelivered;
        }
        match message.content() {
            Content::CustomResource(request) => self.serve_stack_message(&request, context).await,
            Content::Request(request) => self.serve_request(&request, invocation, deadlines).await,
            Content::OwnResult => MessageOutcome::Done,
            Content::Unrecognized(unrecognized) => {
                let label = context.message_label(message);
                telemetry::record_error(&label, &unrecognized.into(), "the message is redelivered");
                invocation.metrics.add(Metric::CallerMistakes, 1);
                MessageOutcome::Redelivered
            }
        }
    }

    async fn serve_request(
        &self,
        request: &EventRequest,
        invocation: &Invocation,
        deadlines: Deadlines,
    ) -> MessageOutcome {
        let limits = Limits {
            until: deadlines.work,
            on_timeout: OnTimeout::Transient,
            pacing: Pacing::Shared(Urgency::Normal),
        };
        match self.execute_event(request, invocation, limits).await {
            Err(failure) if self.is_redelivered(&failure) => MessageOutcome::Redelivered,
            result => MessageOutcome::Result(request.result_event(&result)),
        }
    }

    /// Serves a stack's request, or has it redelivered if it cannot start in time.
    async fn serve_stack_message(
        &self,
        request: &CustomResourceRequest,
        context: BatchContext<'_>,
    ) -> MessageOutcome {
        let invocation = context.invocation;
        let if_not_started = if self.can_be_redelivered(request, context) {
            IfNotStarted::Fail
        } else {
            IfNotStarted::Respond
        };
        if if_not_started == IfNotStarted::Fail && context.time_left() < context.least_time {
            let label = invocation.resource_label(request);
            telemetry::record_redelivery(&label, "too little time is left");
            return MessageOutcome::Redelivered;
        }
        let pacing = Pacing::Shared(Urgency::Urgent);
        let delivery = Delivery { deadline: invocation.deadline, pacing, if_not_started };
        match self.serve_custom_resource(request, invocation, delivery).await {
            Ok(_) => MessageOutcome::Done,
            Err(error) => {
                let label = invocation.resource_label(request);
                telemetry::record_error(&label, &error, "the message is redelivered");
                MessageOutcome::Redelivered
            }
        }
    }

    /// Whether CloudFormation still waits for the response when the message is delivered again.
    fn can_be_redelivered(
        &self,
        request: &CustomResourceRequest,
        context: BatchContext<'_>,
    ) -> bool {
        let url = request.response_url(&self.settings.region, &self.settings.response_hosts);
        url.is_ok_and(|url| {
            let waits_until = waits_until(request, &url, SystemTime::now());
            let time = waits_until.duration_since(context.redelivered_at);
            time.is_ok_and(|time| time > context.least_time)
        })
    }

    /// Publishes results by `until`; returns the ids of the messages whose result was not.
    async fn publish(
        &self,
        results: Vec<(String, ResultEvent)>,
        until: Instant,
        context: BatchContext<'_>,
    ) -> Vec<String> {
        let invocation = context.invocation;
        let (ids, events): (Vec<String>, Vec<ResultEvent>) = results.into_iter().unzip();
        let trace = invocation.trace_header.as_deref();
        let published = self.result_bus.publish_all(&events, trace, until).await;
        let mut redelivered = Vec::new();
        for ((id, event), published) in ids.into_iter().zip(&events).zip(published) {
            if let Err(why) = published {
                invocation.metrics.add(Metric::ResultsUnpublished, 1);
                let label = Label { id: &event.request_id, ..invocation.label() };
                telemetry::record_error(&label, &why.into(), "the message is redelivered");
                redelivered.push(id);
            }
        }
        redelivered
    }
}
