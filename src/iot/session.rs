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

use super::{Iot, pace::Pace, role_propagation::RolePropagation};
use crate::{
    mitigation::{ErrorCode, Failure},
    retry::{Attempt, Retry, RetryError, at_once, backoff},
    sdk::CallError,
};

/// The failure of a request whose time runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTimeout {
    /// That of the service's last answer: nobody will ask again.
    LastAnswer,
    /// A transient one, whatever the service answered before: the request is redelivered, and the
    /// next delivery finds out more.
    Transient,
}

/// The calls of one request.
pub struct Session<'s> {
    pub(super) iot: &'s Iot<'s>,
    began: Instant,
    until: Instant,
    on_timeout: OnTimeout,
    pace: Option<&'s Pace>,
    role: RolePropagation,
    /// The most attempts at a call.
    max_attempts: Cell<u32>,
    calls: Cell<u32>,
    throttles: Cell<u32>,
    /// The service's last answer, where it was an error.
    last_answer: RefCell<Option<Failure>>,
    last_no_response: RefCell<Option<String>>,
    warnings: RefCell<Vec<String>>,
}

impl<'s> Session<'s> {
    pub(super) fn new(
        iot: &'s Iot<'s>,
        until: Instant,
        on_timeout: OnTimeout,
        pace: Option<&'s Pace>,
    ) -> Self {
        Self {
            iot,
            began: Instant::now(),
            until,
            on_timeout,
            pace,
            role: RolePropagation::new(iot.settings.role_propagation),
            max_attempts: Cell::new(u32::MAX),
            calls: Cell::default(),
            throttles: Cell::default(),
            last_answer: RefCell::default(),
            last_no_response: RefCell::default(),
            warnings: RefCell::default(),
        }
    }
}

impl Session<'_> {
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

    /// How long ago the request was begun.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// The time that is left for calls.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Adds what deserves attention in the log, whatever comes of the request.
    pub fn warn(&self, warning: impl Into<String>) {
        self.warnings.borrow_mut().push(warning.into());
    }

    /// The warnings so far.
    #[must_use]
    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// Waits as after so many failed attempts at a call.
    ///
    /// # Errors
    /// Where no time is left.
    pub async fn back_off(&self, attempts: u32) -> Result<(), Failure> {
        let wait = backoff(attempts, self.time_left()).ok_or_else(|| self.out_of_time())?;
        sleep(wait).await;
        Ok(())
    }

    /// Limits the attempts at each call from now on. The last transient failure of a call that has
    /// one attempt is its own.
    pub fn set_max_attempts(&self, max_attempts: u32) {
        self.max_attempts.set(max_attempts);
    }

    /// The next wait for a role that may be new; `None` where it has been waited for long enough.
    #[must_use]
    pub fn next_role_wait(&self) -> Option<Duration> {
        self.role.next_wait(self.time_left() / 2)
    }

    /// `failure`, which is final now, with how long a new role was waited for.
    #[must_use]
    pub fn with_role_wait(&self, failure: Failure) -> Failure {
        self.role.describe(failure)
    }

    /// The failure of a request whose time ran out.
    #[must_use]
    pub fn out_of_time(&self) -> Failure {
        let calls = self.calls.get();
        let last = self.last_answer.borrow().clone();
        let last = last.filter(|last| match self.on_timeout {
            OnTimeout::LastAnswer => true,
            OnTimeout::Transient => last.code.is_transient(),
        });
        if let Some(last) = last {
            let last = self.role.describe(last);
            return last.with_context(&format!("time ran out after {calls} calls"));
        }
        let mut text = format!("time ran out after {calls} calls without a response of AWS IoT");
        if let Some(last) = self.last_no_response.borrow().as_deref() {
            text.push_str(": ");
            text.push_str(last);
        }
        Failure::service(ErrorCode::InternalFailure, text)
    }

    /// One call, retried until it succeeds, fails for good, or leaves no time to respond.
    pub(super) async fn call<T, E, R>(
        &self,
        operation: &'static str,
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
                let error = match timeout(limit, send()).await {
                    Ok(Ok(output)) => {
                        self.record_success(operation);
                        output_of_attempt.set(Some(output));
                        return Attempt::Success;
                    }
                    Ok(Err(error)) => CallError::new(operation, &error, self.iot.settings),
                    Err(_) => CallError::no_response(operation),
                };
                self.classify(operation, error)
            })
        };
        self.retry(operation, &attempt).await?;
        output.take().ok_or_else(|| self.out_of_time())
    }

    async fn retry<'a>(
        &'a self,
        operation: &'static str,
        attempt: &(dyn Fn(Duration) -> LocalBoxFuture<'a, Attempt<Failure>> + 'a),
    ) -> Result<(), Failure> {
        let ready = move || -> LocalBoxFuture<'a, ()> {
            match self.pace {
                Some(pace) => Box::pin(pace.turn(operation, self.until)),
                None => at_once(),
            }
        };
        let retry = Retry { until: self.until, max_attempts: self.max_attempts.get() };
        match retry.run(&ready, attempt).await {
            Ok(()) => Ok(()),
            Err(RetryError::Permanent(failure)) => Err(failure),
            Err(RetryError::Exhausted(Some(failure))) if retry.max_attempts == 1 => Err(failure),
            Err(RetryError::Exhausted(_)) => Err(self.out_of_time()),
        }
    }

    fn record_success(&self, operation: &'static str) {
        self.last_answer.take();
        if let Some(pace) = self.pace {
            pace.record_success(operation);
        }
    }

    fn classify(&self, operation: &'static str, error: CallError) -> Attempt<Failure> {
        let is_transient = error.is_transient();
        match &error {
            CallError::Service(failure) => {
                self.last_answer.replace(Some(failure.clone()));
            }
            CallError::NoResponse(text) => {
                self.last_no_response.replace(Some(text.clone()));
            }
        }
        let failure = error.into_failure();
        if failure.code == ErrorCode::Throttling {
            self.throttles.set(self.throttles.get() + 1);
            if let Some(pace) = self.pace {
                pace.record_throttle(operation);
            }
        }
        if is_transient { Attempt::Transient(failure) } else { Attempt::Permanent(failure) }
    }
}
