//! The calls of one request, one after another, and what they cost.

use cloudformation_custom_resource::retry::{
    AttemptError, Retry, RetryError, attempt_time, backoff, time_left,
};
use std::{
    cell::{Cell, RefCell},
    fmt::Debug,
    pin::Pin,
    time::Duration,
};

use aws_sdk_iot::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::{Instant, sleep, timeout};

use super::{Iot, IotOperation};
use crate::{
    mitigation::{ActionName, Detail, ErrorCode, Failure},
    sdk::{CallError, call_error, no_response_in_time},
};

/// A call of the SDK. Boxed, else the types of its futures overflow the compiler's queries.
type BoxedCall<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, SdkError<E, HttpResponse>>> + 'a>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTimeout {
    /// The last error from the service, because the request is not redelivered.
    LastError,
    /// A transient one, whatever the last error was, because the request is redelivered.
    Transient,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// Not at all: the request comes alone.
    None,
    /// With a gap that all requests of a batch share.
    Shared,
}

/// The calls of one request.
pub struct Session<'s> {
    pub(super) iot: &'s Iot<'s>,
    began: Instant,
    until: Instant,
    on_timeout: OnTimeout,
    pacing: Pacing,
    role: RolePropagation,
    calls: Cell<u32>,
    throttles: Cell<u32>,
    /// The response of the last call that had one, if it was an error.
    last_error: RefCell<Option<Failure>>,
    last_no_response: RefCell<Option<String>>,
    warnings: RefCell<Vec<String>>,
}

impl Iot<'_> {
    pub fn session(&self, until: Instant, on_timeout: OnTimeout, pacing: Pacing) -> Session<'_> {
        Session {
            iot: self,
            began: Instant::now(),
            until,
            on_timeout,
            pacing,
            role: RolePropagation::new(self.settings.role_propagation),
            calls: Cell::default(),
            throttles: Cell::default(),
            last_error: RefCell::default(),
            last_no_response: RefCell::default(),
            warnings: RefCell::default(),
        }
    }
}

impl Session<'_> {
    /// Calls made, those that failed included.
    pub fn calls(&self) -> u32 {
        self.calls.get()
    }

    pub fn throttles(&self) -> u32 {
        self.throttles.get()
    }

    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn time_left(&self) -> Duration {
        time_left(self.until)
    }

    /// Adds a warning to the log, whatever the outcome of the request.
    pub fn warn(&self, warning: impl Into<String>) {
        self.warnings.borrow_mut().push(warning.into());
    }

    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// Waits as after that number of failed attempts at a call.
    pub async fn back_off(&self, attempts: u32) -> Result<(), Failure> {
        let wait = backoff(attempts, self.time_left()).ok_or_else(|| self.out_of_time())?;
        sleep(wait).await;
        Ok(())
    }

    /// Waits for the tags of an action that is there, which lag behind.
    pub async fn wait_for_tags(&self, name: &ActionName, attempts: u32) -> Result<(), Failure> {
        let text = format!("the tags of the action {name} are not visible yet");
        self.last_no_response.replace(Some(text));
        self.back_off(attempts).await
    }

    /// The next wait for a role that may be new; `None` after long enough.
    pub fn next_role_wait(&self) -> Option<Duration> {
        self.role.next_wait(self.time_left() / 2)
    }

    /// `failure`, which is now permanent, with the time spent waiting for a new role.
    pub fn describe_role_wait(&self, failure: Failure) -> Failure {
        self.role.describe(failure)
    }

    pub fn out_of_time(&self) -> Failure {
        let calls = self.calls.get();
        let noun = if calls == 1 { "call" } else { "calls" };
        let last = self.last_error.borrow().clone();
        let last = last.filter(|last| match self.on_timeout {
            OnTimeout::LastError => true,
            OnTimeout::Transient => last.code.is_transient(),
        });
        if let Some(last) = last {
            let last = self.role.describe(last);
            let last = last.with_context(&format!("time ran out after {calls} {noun}"));
            return Failure { detail: Detail::OutOfTime(last.message(usize::MAX)), ..last };
        }
        let mut text = format!("time ran out after {calls} {noun} to AWS IoT");
        if let Some(last) = self.last_no_response.borrow().as_deref() {
            text.push_str(": ");
            text.push_str(last);
        }
        Failure { code: ErrorCode::InternalFailure, detail: Detail::OutOfTime(text) }
    }

    /// Makes `attempt` until it succeeds, fails permanently or leaves no time to respond.
    pub async fn retry<T, E: From<Failure>>(
        &self,
        attempt: impl AsyncFnMut() -> Result<T, AttemptError<E>>,
    ) -> Result<T, E> {
        Retry::until(self.until).run(attempt).await.map_err(|error| match error {
            RetryError::Permanent(error) => error,
            RetryError::Exhausted(_) => self.out_of_time().into(),
        })
    }

    pub(super) async fn attempt<T, E>(
        &self,
        operation: IotOperation,
        send: BoxedCall<'_, T, E>,
    ) -> Result<T, CallError>
    where
        E: ProvideErrorMetadata + Debug,
    {
        if self.pacing == Pacing::Shared {
            self.iot.pace.wait(operation, self.until).await;
        }
        let limit = attempt_time(self.time_left());
        if limit.is_zero() {
            return Err(AttemptError::Permanent(self.out_of_time()));
        }
        self.calls.set(self.calls.get() + 1);
        let name = operation.as_str();
        let error = match timeout(limit, send).await {
            Ok(Ok(output)) => {
                self.last_error.take();
                self.last_no_response.take();
                return Ok(output);
            }
            Ok(Err(error)) => {
                call_error(name, operation.unnamed_conflict(), &error, self.iot.settings)
            }
            Err(_) => no_response_in_time(name),
        };
        let (AttemptError::Transient(failure) | AttemptError::Permanent(failure)) = &error;
        self.record_error(failure);
        Err(error)
    }

    /// Remembers the last error, for a request whose time runs out.
    pub(super) fn record_error(&self, failure: &Failure) {
        if let Detail::NoResponse(text) = &failure.detail {
            // An attempt that ends with the time says less than the failure before it.
            let says_nothing =
                self.time_left().is_zero() && self.last_no_response.borrow().is_some();
            if !says_nothing {
                self.last_no_response.replace(Some(text.clone()));
            }
            return;
        }
        self.last_error.replace(Some(failure.clone()));
        if failure.code == ErrorCode::Throttling {
            self.throttles.set(self.throttles.get() + 1);
        }
    }
}

/// The waits for a new role: IAM propagates it within seconds, and until then AWS IoT rejects it.
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>, "Changes that I make
/// are not always immediately visible".
///
/// Waits of 1, 2, 4, 8 s, and 8 s from then on; the last one is cut so that their sum is the limit.
struct RolePropagation {
    limit: Duration,
    waited: Cell<Duration>,
    waits: Cell<u32>,
}

impl RolePropagation {
    const MIN_WAIT: Duration = Duration::from_millis(100);

    fn new(limit: Duration) -> Self {
        Self { limit, waited: Cell::default(), waits: Cell::default() }
    }

    fn next_wait(&self, longest: Duration) -> Option<Duration> {
        let waits = self.waits.get();
        let left = self.limit.saturating_sub(self.waited.get());
        let wait = Duration::from_secs(1 << waits.min(3)).min(left).min(longest);
        if wait < Self::MIN_WAIT {
            return None;
        }
        self.waited.set(self.waited.get() + wait);
        self.waits.set(waits + 1);
        Some(wait)
    }

    /// `failure` with how long the role was waited for.
    fn describe(&self, failure: Failure) -> Failure {
        match self.waited.get().as_secs() {
            0 => failure,
            waited => failure.with_context(&format!(
                "still failing after {waited} s of retries, in case the role is new"
            )),
        }
    }
}
