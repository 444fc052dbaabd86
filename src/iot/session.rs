//! The calls of one request, one after another, and what they cost.

use std::{
    cell::{Cell, RefCell},
    fmt::Debug,
    time::Duration,
};

use aws_sdk_iot::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::future::LocalBoxFuture;
use tokio::time::{Instant, sleep, timeout};

use super::{Iot, IotOperation, pace::Urgency, role_propagation::RolePropagation};
use crate::{
    mitigation::{Detail, ErrorCode, Failure},
    retry::{Attempt, Retry, RetryError, backoff, no_preparation},
    sdk::CallError,
};

/// The failure of a request whose time runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTimeout {
    /// The last error from the service, because the request is not redelivered.
    LastError,
    /// A transient one, whatever the last error was, because the request is redelivered.
    Transient,
}

/// How the calls of a request are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// Not at all: the request comes alone.
    None,
    /// At the rate that all paced requests of this instance share, for batches.
    Shared(Urgency),
}

/// Runs before each attempt of a call. If it fails, the call fails with it.
pub type BeforeAttempt<'a> = &'a (dyn Fn() -> LocalBoxFuture<'a, Result<(), Failure>> + 'a);

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
    /// The calls of one request, which end by `until`.
    #[must_use]
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
    /// How the calls are spaced.
    #[must_use]
    pub fn pacing(&self) -> Pacing {
        self.pacing
    }

    /// Calls made, those that failed included.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.calls.get()
    }

    /// Calls that the service throttled.
    #[must_use]
    pub fn throttles(&self) -> u32 {
        self.throttles.get()
    }

    /// How long ago the request began.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// The time that is left for calls.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Adds a warning to the log, whatever the outcome of the request.
    pub fn warn(&self, warning: impl Into<String>) {
        self.warnings.borrow_mut().push(warning.into());
    }

    /// The warnings so far.
    #[must_use]
    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// Waits as after that number of failed attempts at a call.
    ///
    /// # Errors
    /// If no time is left.
    pub async fn back_off(&self, attempts: u32) -> Result<(), Failure> {
        let wait = backoff(attempts, self.time_left()).ok_or_else(|| self.out_of_time())?;
        sleep(wait).await;
        Ok(())
    }

    /// The next wait for a role that may be new; `None` after long enough.
    #[must_use]
    pub fn next_role_wait(&self) -> Option<Duration> {
        self.role.next_wait(self.time_left() / 2)
    }

    /// `failure`, which is now permanent, with the time spent waiting for a new role.
    #[must_use]
    pub fn describe_role_wait(&self, failure: Failure) -> Failure {
        self.role.describe(failure)
    }

    /// The failure of a request whose time ran out.
    #[must_use]
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
            let detail = Detail::OutOfTime(last.message(usize::MAX));
            return Failure { detail, ..last };
        }
        let mut text = format!("time ran out after {calls} {noun} to AWS IoT");
        if let Some(last) = self.last_no_response.borrow().as_deref() {
            text.push_str(": ");
            text.push_str(last);
        }
        let detail = if calls == 0 { Detail::NotStarted(text) } else { Detail::OutOfTime(text) };
        Failure { code: ErrorCode::InternalFailure, detail }
    }

    /// Makes a call, retried until it succeeds, fails permanently or leaves no time to respond.
    /// `before_attempt` may end it before any attempt.
    pub(super) async fn call<'s, T, E, R>(
        &'s self,
        operation: IotOperation,
        before_attempt: Option<BeforeAttempt<'s>>,
        send: impl Fn() -> R,
    ) -> Result<T, Failure>
    where
        R: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Debug,
    {
        let output = Cell::new(None);
        let (output_of_attempt, send) = (&output, &send);
        let attempt = move |limit| -> LocalBoxFuture<'_, Attempt<Failure>> {
            Box::pin(async move {
                self.calls.set(self.calls.get() + 1);
                let name = operation.as_str();
                let error = match timeout(limit, send()).await {
                    Ok(Ok(output)) => {
                        self.record_success(operation);
                        output_of_attempt.set(Some(output));
                        return Attempt::Success;
                    }
                    Ok(Err(error)) => {
                        let conflict = operation.unnamed_conflict();
                        CallError::new(name, conflict, &error, self.iot.settings)
                    }
                    Err(_) => CallError::no_response(name),
                };
                self.record_error(operation, &error);
                error.into_attempt()
            })
        };
        self.retry(operation, before_attempt, &attempt).await?;
        output.take().ok_or_else(|| self.out_of_time())
    }

    async fn retry<'a, 's>(
        &'s self,
        operation: IotOperation,
        before_attempt: Option<BeforeAttempt<'s>>,
        attempt: &(dyn Fn(Duration) -> LocalBoxFuture<'a, Attempt<Failure>> + 'a),
    ) -> Result<(), Failure> {
        let before = move || -> LocalBoxFuture<'s, Result<(), Failure>> {
            match (self.pacing, before_attempt) {
                (Pacing::None, None) => no_preparation(),
                (pacing, before_attempt) => Box::pin(async move {
                    match pacing {
                        Pacing::None => {}
                        Pacing::Shared(urgency) => {
                            self.iot.pace.turn(operation, urgency, self.until).await;
                        }
                    }
                    match before_attempt {
                        Some(before_attempt) => before_attempt().await,
                        None => Ok(()),
                    }
                }),
            }
        };
        match Retry::until(self.until).run(&before, attempt).await {
            Ok(()) => Ok(()),
            Err(RetryError::Permanent(failure)) => Err(failure),
            Err(RetryError::Exhausted(_)) => Err(self.out_of_time()),
        }
    }

    fn record_success(&self, operation: IotOperation) {
        self.last_error.take();
        self.last_no_response.take();
        match self.pacing {
            Pacing::None => {}
            Pacing::Shared(_) => self.iot.pace.record_success(operation),
        }
    }

    fn record_error(&self, operation: IotOperation, error: &CallError) {
        match error {
            CallError::Service(failure) => {
                self.last_error.replace(Some(failure.clone()));
                if failure.code == ErrorCode::Throttling {
                    self.throttles.set(self.throttles.get() + 1);
                    match self.pacing {
                        Pacing::None => {}
                        Pacing::Shared(_) => self.iot.pace.record_throttle(operation),
                    }
                }
            }
            CallError::NoResponse(text) => {
                self.last_no_response.replace(Some(text.clone()));
            }
        }
    }
}
