//! What a request that failed or was canceled may have left behind: a later request deletes what
//! the failed one created, and releases what it took over.

use std::time::Duration;

use tokio::time::timeout;

use super::{Stop, existing::ExistingAction, order::Context};
use crate::mitigation::{ActionName, Ownership, RecordType, Records, Success};

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
            let is_adopted = ownership == Ownership::Adopted;
            let created = found.records.created.as_ref().filter(|_| !is_adopted);
            let last = found.records.last().map(|last| &last.request);
            let cleaned = match created {
                // The request took the action over.
                None => found.release_once(context.iot).await,
                Some(created) if last == Some(&created.request) => {
                    found.delete_once(context.iot).await
                }
                // The resource had the action before: it was retained.
                Some(_) => return Ok(None),
            };
            cleaned.map(Some).map_err(|error| error.map(Stop::Failed))
        })
        .await
}

/// Cleans up under the name in the old properties of an Update that has succeeded: an Update that
/// failed in between may have left an action there. A failure is a warning, because the Update
/// itself has succeeded.
pub async fn after_update(context: &Context<'_>, previous: &ActionName) {
    /// Kept for the response.
    const RESERVE: Duration = Duration::from_millis(200);

    context.stop_watching();
    let time = context.iot.time_left().saturating_sub(RESERVE);
    let cleaned =
        timeout(time, clean_up(context, previous, |found| is_of_failed_update(context, found)));
    let why = match cleaned.await {
        Ok(Ok(_) | Err(Stop::Superseded)) => return,
        Ok(Err(Stop::Failed(failure))) => failure.to_string(),
        Err(_) => "no time was left".to_owned(),
    };
    context.iot.warn(format!(
        "the action {previous} of an Update that failed may have been left behind: {why}"
    ));
}

/// Whether the last record is of an Update that failed before this one, by the records of the
/// action with the physical id.
fn is_of_failed_update(context: &Context<'_>, found: &ExistingAction) -> bool {
    let (Some(last), Some(stack)) = (found.records.last(), &context.request.stack) else {
        return false;
    };
    let is_recent = stack.sent.saturating_sub(last.sent) <= DAY;
    let is_failed = match context.physical_records() {
        // Another implementation gave the physical id, or its action is gone: there is nothing to
        // compare with.
        None => is_recent,
        // The failed one came after the resource had its action. An earlier delivery of this
        // request may have overwritten what there was to compare with.
        Some(Records { created: Some(created), .. }) => {
            last.sent > created.sent || is_recent && context.is_own_record(created)
        }
        // The action was taken over: the failed one claimed it last.
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
