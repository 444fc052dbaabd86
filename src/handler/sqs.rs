//! A batch of messages: unfinished ones are batch item failures, which the queue redelivers.
//!
//! Groups of messages are served concurrently, the messages of a group in order. Once a message is
//! to be redelivered, every later one of its group is redelivered too, so that none overtakes
//! another.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{
    Deadlines, FunctionError, Handler, Invocation, Label, Limits, execute::catch_panic, telemetry,
};
use crate::{
    iot::{OnTimeout, Pacing},
    metrics::Metric,
    result_bus::ResultBus,
    trigger::{
        Trigger, Unrecognized,
        eventbridge::{EventRequest, ResultEvent},
        sqs::{Batch, Message, batch_item_failures},
    },
};

#[derive(Clone, Copy)]
struct BatchContext<'a> {
    invocation: &'a Invocation,
    deadlines: Deadlines,
}

impl BatchContext<'_> {
    fn message_label<'l>(&'l self, message: &'l Message) -> Label<'l> {
        Label { id: &message.id, ..self.invocation.label() }
    }
}

enum MessageOutcome {
    /// It is done, and there is nothing to publish.
    Done,
    /// It is done, and this result has to be published.
    Result(ResultEvent),
    Redelivered,
}

#[derive(Default)]
struct GroupOutcome {
    redelivered: Vec<String>,
    /// The result of the last message, which is published together with those of other groups.
    last: Option<(String, ResultEvent)>,
}

impl Handler<'_> {
    /// Groups that are served at once: more would wait for the pace of calls anyway, and each takes
    /// memory.
    const CONCURRENT_GROUPS: usize = 64;

    /// Calls that publish results at once.
    const CONCURRENT_PUBLICATIONS: usize = 8;

    pub(super) async fn serve_batch(
        &self,
        batch: Batch,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let context = BatchContext { invocation, deadlines: invocation.deadlines() };
        let redelivered = stream::iter(batch.groups())
            .map(|group| self.serve_group(group, context))
            .buffer_unordered(Self::CONCURRENT_GROUPS)
            .chunks(ResultBus::MAX_ENTRIES)
            .map(|outcomes| self.publish_last(outcomes, context))
            .buffer_unordered(Self::CONCURRENT_PUBLICATIONS)
            .concat()
            .await;
        Ok(batch_item_failures(redelivered)?)
    }

    /// Serves the messages of a group in order.
    async fn serve_group(&self, group: Vec<Message>, context: BatchContext<'_>) -> GroupOutcome {
        let mut outcome = GroupOutcome::default();
        let mut messages = group.into_iter().peekable();
        while let Some(message) = messages.next() {
            let is_redelivered = match self.serve_message(&message, context).await {
                MessageOutcome::Done => false,
                MessageOutcome::Redelivered => true,
                MessageOutcome::Result(event) if messages.peek().is_none() => {
                    outcome.last = Some((message.id, event));
                    break;
                }
                // The next message is served only once this result is published.
                MessageOutcome::Result(event) => {
                    let result = vec![(message.id.clone(), event)];
                    !self.publish(result, context).await.is_empty()
                }
            };
            if is_redelivered {
                outcome.redelivered.push(message.id);
                break;
            }
        }
        for message in messages {
            let label = context.message_label(&message);
            telemetry::record_redelivery(&label, "an earlier message is redelivered");
            outcome.redelivered.push(message.id);
        }
        outcome
    }

    /// Serves a message. A panic sends it back to its queue, and not the whole batch.
    async fn serve_message(&self, message: &Message, context: BatchContext<'_>) -> MessageOutcome {
        if Instant::now() >= context.deadlines.work {
            let label = context.message_label(message);
            telemetry::record_redelivery(&label, "too little time is left");
            return MessageOutcome::Redelivered;
        }
        let served = async {
            match message.content() {
                Ok(Trigger::EventBridge(request)) => {
                    Ok(self.serve_request(&request, context).await)
                }
                Ok(Trigger::OwnResult) => Ok(MessageOutcome::Done),
                Ok(Trigger::CloudFormation(_)) => Err(Unrecognized::StackRequestInQueue.into()),
                // A message holds none of these.
                Ok(Trigger::Sns(_) | Trigger::Sqs(_) | Trigger::Direct(_)) => {
                    Err(Unrecognized::NoRequestInside.into())
                }
                Err(unrecognized) => {
                    context.invocation.metrics.add(Metric::CallerMistakes, 1);
                    Err(unrecognized.into())
                }
            }
        };
        let error: FunctionError = match catch_panic(served).await {
            Ok(Ok(outcome)) => return outcome,
            Ok(Err(error)) => error,
            Err(panicked) => (&panicked).into(),
        };
        let label = context.message_label(message);
        telemetry::record_error(&label, &error, "the message is redelivered");
        MessageOutcome::Redelivered
    }

    async fn serve_request(
        &self,
        request: &EventRequest,
        context: BatchContext<'_>,
    ) -> MessageOutcome {
        let limits = Limits {
            until: context.deadlines.work,
            on_timeout: OnTimeout::Transient,
            pacing: Pacing::Shared,
        };
        match self.execute_event(request, context.invocation, limits).await {
            Err(failure) if self.is_redelivered(&failure) => MessageOutcome::Redelivered,
            result => MessageOutcome::Result(request.result_event(&result)),
        }
    }

    /// Publishes the last results of groups; returns the ids of all messages that are redelivered.
    async fn publish_last(
        &self,
        outcomes: Vec<GroupOutcome>,
        context: BatchContext<'_>,
    ) -> Vec<String> {
        let (mut redelivered, mut results) = (Vec::new(), Vec::new());
        for outcome in outcomes {
            redelivered.extend(outcome.redelivered);
            results.extend(outcome.last);
        }
        redelivered.extend(self.publish(results, context).await);
        redelivered
    }

    /// Publishes results; returns the ids of the messages whose result was not.
    async fn publish(
        &self,
        results: Vec<(String, ResultEvent)>,
        context: BatchContext<'_>,
    ) -> Vec<String> {
        /// A publication that begins before the work ends leaves time to redeliver the rest.
        const LEAST: Duration = Duration::from_secs(2);

        let BatchContext { invocation, deadlines } = context;
        let until = deadlines.work.max(Instant::now() + LEAST).min(deadlines.respond);
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
