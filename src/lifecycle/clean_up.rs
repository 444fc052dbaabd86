//! What a request that failed or was canceled may have left behind: a later request deletes what
//! the failed one created, and releases what it took over.

use std::time::Duration;

use tokio::time::timeout;

use super::{
    existing::{ExistingAction, unless_absent},
    order::{Context, Stop},
};
use crate::{
    mitigation::{
        ActionName, CLAIMED_TAG, CREATED_TAG, OWNER_TAG, Outcome, Ownership, RecordType, Records,
        Success, Task,
    },
    sdk::CallError,
};

/// Seconds. What is older than that was retained.
pub const DAY: u64 = 24 * 60 * 60;

/// Cleans up the action of that name, if it is the resource's own and `is_left` by the request that
/// failed; `None` if there is nothing to do. Reads the action again before it repeats its call.
pub async fn clean_up(
    context: &Context<'_>,
    name: &ActionName,
    is_left: impl Fn(&ExistingAction) -> bool,
) -> Result<Option<Success>, Stop> {
    context
        .iot
        .retry(async || {
            let Some(found) = context.find(name).await? else { return Ok(None) };
            let ownership = context.ownership(&found);
            if !ownership.is_exclusive() || !is_left(&found) {
                return Ok(None);
            }
            let records = &found.records;
            let is_adopted = ownership == Ownership::Adopted;
            let cleaned = match (&records.created, records.last()) {
                // The request created the action.
                (Some(created), Some(last)) if !is_adopted && created.request == last.request => {
                    delete(context, &found).await
                }
                // The resource had the action before: it was retained.
                (Some(_), _) if !is_adopted => return Ok(None),
                // The request took the action over.
                _ => release(context, &found).await,
            };
            cleaned.map(Some).map_err(|error| error.map(Stop::Failed))
        })
        .await
}

/// One attempt to delete an action. `DeleteMitigationAction` succeeds if there is no such action; a
/// `ResourceNotFoundException` means the same.
pub async fn delete(context: &Context<'_>, found: &ExistingAction) -> Result<Success, CallError> {
    let action = &found.action;
    absent_is_done(context.iot.delete(&action.name).await)?;
    Ok(Success::new(Outcome::Deleted, action.clone()))
}

/// One attempt to release an action, which stays: the provider's own tags are removed.
pub async fn release(context: &Context<'_>, found: &ExistingAction) -> Result<Success, CallError> {
    let action = &found.action;
    let own = [OWNER_TAG, CLAIMED_TAG, CREATED_TAG];
    let keys: Vec<String> =
        own.iter().filter(|key| found.tags.contains(key)).map(ToString::to_string).collect();
    absent_is_done(context.iot.untag(&action.arn, &keys).await)?;
    let notice = format!(
        "the action {} was taken over, not created: it loses its owner tag and stays",
        action.name
    );
    Ok(Success::new(Outcome::Released, action.clone()).with_notice(notice))
}

fn absent_is_done(result: Result<(), CallError>) -> Result<(), CallError> {
    match result {
        Err(CallError::Permanent(failure)) => {
            unless_absent(Err(failure)).map(|_: Option<()>| ()).map_err(CallError::Permanent)
        }
        other => other,
    }
}

/// Cleans up under the name in the old properties of an Update that has succeeded: an Update that
/// failed in between may have left an action there. A failure is a warning, because the Update
/// itself has succeeded.
pub async fn after_update(context: &Context<'_>) {
    /// Kept for the response.
    const RESERVE: Duration = Duration::from_millis(200);

    let stack = context.request.stack.as_ref();
    let Some(previous) = stack.and_then(|stack| stack.previous_name.as_ref()) else { return };
    context.end();
    let time = context.iot.time_left().saturating_sub(RESERVE);
    let cleaned = timeout(time, clean_up(context, previous, |found| is_left(context, found)));
    let why = match cleaned.await {
        Ok(Ok(_) | Err(Stop::Superseded)) => return,
        Ok(Err(Stop::Failed(failure))) => failure.to_string(),
        Err(_) => "no time was left".to_owned(),
    };
    context.iot.warn(format!(
        "the action {previous} of an Update that failed may have been left behind: {why}"
    ));
}

/// Whether an Update that failed left the action: one that was sent after the resource's action was
/// created; or, if that was taken over, the one that claimed it last. If another implementation gave
/// the physical id, or an earlier delivery of this request has overwritten what there was to compare
/// with, it is one of the last day.
fn is_left(context: &Context<'_>, found: &ExistingAction) -> bool {
    let (Some(last), Some(stack)) = (found.records.last(), &context.request.stack) else {
        return false;
    };
    let is_recent = stack.sent.saturating_sub(last.sent) <= DAY;
    let is_failed = match context.physical_records() {
        None => is_recent && matches!(context.request.task, Task::Create(_)),
        Some(Records { created: Some(created), .. }) => {
            last.sent > created.sent || is_recent && context.is_own_record(created)
        }
        Some(Records { created: None, claimed: Some(claimed) }) => {
            claimed.request == last.request || is_recent && context.is_own_record(claimed)
        }
        Some(Records { created: None, claimed: None }) => false,
    };
    is_failed
        && last.request_type == RecordType::Update
        && !context.is_own_record(last)
        && !context.is_later(found)
}
