//! The lifecycle: creates, updates, deletes and describes an action for any trigger, and changes
//! only actions of the request's owner.
//!
//! Ownership is the owner tag. The create call sets it, and every change checks it first. Nothing
//! is remembered: each operation reads from the service what an earlier delivery of the same
//! request may have done, so that a replay changes nothing more.
//!
//! The requests of a stack's resource can overlap and arrive late. CloudFormation's own order
//! decides between them: see [`order`].

mod clean_up;
mod create;
mod delete;
mod existing;
mod order;
mod superseded;
mod update;

use tokio::time::sleep;

use self::{existing::unless_absent, order::Context};
use crate::{
    iot::Session,
    mitigation::{
        ActionName, Change, Description, ErrorCode, Failure, Outcome, Request, Success, Task,
    },
};

#[derive(Debug)]
enum Stop {
    Failed(Failure),
    /// A later request for the resource decides.
    Superseded,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

const SUPERSEDED: &str =
    "superseded: a later request for this resource has taken over, so nothing more is changed";

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failed(failure) => failure,
            Stop::Superseded => Self::refusal(ErrorCode::InternalFailure, SUPERSEDED),
        }
    }
}

/// # Errors
/// If the service rejects the request, or if it would change an action of another owner.
pub async fn execute(request: &Request, iot: &Session<'_>) -> Result<Success, Failure> {
    let context = Context::new(request, iot);
    match &request.task {
        Task::Create(wanted) => {
            // An Update with a new name is a create with a physical id.
            with_role_wait(&context, async || match context.physical_name() {
                None => create::create(&context, wanted).await,
                Some(physical) => update::rename(&context, physical, wanted).await,
            })
            .await
        }
        Task::Update(wanted) => match &wanted.change {
            Change::Whole(definition) => {
                with_role_wait(&context, async || {
                    update::update(&context, wanted, definition).await
                })
                .await
            }
            Change::Parts { role_arn, params } => {
                let (role_arn, params) = (role_arn.as_ref(), params.as_ref());
                Ok(update::update_parts(&context, wanted, role_arn, params).await?)
            }
        },
        Task::Delete(wanted) => Ok(delete::delete(&context, wanted).await?),
        Task::Describe(name) => describe(name, iot).await,
    }
}

async fn describe(name: &ActionName, iot: &Session<'_>) -> Result<Success, Failure> {
    let mut attempts = 0;
    loop {
        let (action, description) = iot.describe(name).await?;
        if let Some(tags) = unless_absent(iot.tags(&action.arn).await)? {
            let description = Box::new(Description { tags, ..description });
            return Ok(Success::new(Outcome::Described(description), action));
        }
        // The action is there, so its tags lag behind; or it has been deleted since.
        attempts += 1;
        iot.wait_for_tags(name, attempts).await?;
    }
}

/// Repeats `attempt` for as long as a new role may be the cause of its failure. An attempt
/// continues what an earlier one has done, as a replay does. Then cleans up after a failed Update,
/// or responds as superseded.
async fn with_role_wait(
    context: &Context<'_>,
    attempt: impl AsyncFn() -> Result<Success, Stop>,
) -> Result<Success, Failure> {
    let mut last = None;
    loop {
        match attempt().await {
            Ok(success) => {
                let stack = context.request.stack.as_ref();
                if let Some(previous) = stack.and_then(|stack| stack.previous_name.as_ref()) {
                    clean_up::after_update(context, previous).await;
                }
                return Ok(success);
            }
            Err(Stop::Superseded) => return superseded::respond(context, last).await,
            Err(Stop::Failed(failure)) if may_be_new_role(context, &failure) => {
                let Some(wait) = context.iot.next_role_wait() else {
                    return Err(context.iot.describe_role_wait(failure));
                };
                last = Some(failure);
                sleep(wait).await;
            }
            Err(Stop::Failed(failure)) => return Err(failure),
        }
    }
}

fn may_be_new_role(context: &Context<'_>, failure: &Failure) -> bool {
    let is_refused = [ErrorCode::InvalidRequest, ErrorCode::AccessDenied]
        .into_iter()
        .any(|code| failure.is_response(code));
    is_refused && context.request.stack.is_some()
}
