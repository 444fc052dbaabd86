//! Delete: of a named action, of what a failed request may have created, and of what a canceled
//! Create may still be creating.

use cloudformation_custom_resource::{RequestDigest, retry::AttemptError};
use std::{cell::Cell, time::Duration};

use tokio::time::sleep;

use super::{
    Stop,
    clean_up::{DAY, clean_up},
    existing::{ExistingAction, unless_absent},
    order::Context,
};
use crate::mitigation::{
    ActionName, CLAIMED_TAG, CREATED_TAG, Delete, DeleteTarget, IfNotOwned, Lookup, OnConflict,
    Outcome, Ownership, RecordType, Success, UnknownPhysicalId,
};

const NO_SUCH_ACTION: &str = "there is no such action";
const LATER: &str = "a later request for this resource has taken over, so the action stays";

pub async fn delete(context: &Context<'_>, wanted: &Delete) -> Result<Success, Stop> {
    match &wanted.target {
        DeleteTarget::Named(name) => {
            delete_named(context, name, wanted.if_not_owned, wanted.lookup).await
        }
        DeleteTarget::FailedCreate(name, request) => {
            delete_failed_create(context, name, request).await
        }
        DeleteTarget::UnknownPhysicalId(unknown) => delete_unknown(context, unknown).await,
        DeleteTarget::Nothing => Ok(Success::absent(NO_SUCH_ACTION)),
    }
}

async fn delete_named(
    context: &Context<'_>,
    name: &ActionName,
    if_not_owned: IfNotOwned,
    lookup: Lookup,
) -> Result<Success, Stop> {
    // An attempt whose response was lost may have deleted or released the action.
    let tried: Cell<Option<Success>> = Cell::default();
    let absent = || tried.take().unwrap_or_else(|| Success::absent(NO_SUCH_ACTION));
    let attempt = async || {
        let described = match lookup {
            Lookup::Tags => None,
            Lookup::Description => {
                match unless_absent(context.iot.describe(name).await).map_err(Stop::Failed)? {
                    None => return Ok(absent()),
                    Some((action, _)) => Some(action),
                }
            }
        };
        let Some(found) = context.find(name).await? else { return Ok(absent()) };
        if context.is_later(&found) {
            return Ok(Success::absent(LATER));
        }
        let found = ExistingAction { action: described.unwrap_or(found.action.clone()), ..found };
        if let Some(success) = remove(context, &found, &tried).await? {
            return Ok(success);
        }
        let ownership = context.ownership(&found);
        let released = tried.take().filter(|tried| tried.outcome == Outcome::Released);
        match released.filter(|_| ownership == Ownership::Unowned) {
            Some(released) => Ok(released),
            None => Ok(leave(name, &found, ownership, if_not_owned)?),
        }
    };
    context.iot.retry(attempt).await
}

/// One attempt to delete an action that this owner created, or to release one that it adopted;
/// `None` if it may do neither.
async fn remove(
    context: &Context<'_>,
    found: &ExistingAction,
    tried: &Cell<Option<Success>>,
) -> Result<Option<Success>, AttemptError<Stop>> {
    let removed = match context.ownership(found) {
        Ownership::Own | Ownership::Shared => {
            tried.set(Some(found.deleted()));
            found.delete_once(context.iot).await
        }
        Ownership::Adopted => {
            tried.set(Some(found.released()));
            found.release_once(context.iot).await
        }
        Ownership::Unowned | Ownership::OfEvents | Ownership::OfAnother => return Ok(None),
    };
    removed.map(Some).map_err(|error| error.map(Stop::Failed))
}

/// A delete of an action that is not this owner's.
fn leave(
    name: &ActionName,
    found: &ExistingAction,
    ownership: Ownership,
    if_not_owned: IfNotOwned,
) -> Result<Success, Stop> {
    let failure = found.not_owned("delete");
    let IfNotOwned::Skip(policy) = if_not_owned else { return Err(failure.into()) };
    // A release removes all of the provider's tags; whoever removes only the owner tag leaves the
    // others.
    let has_record = found.tags.contains(CREATED_TAG) || found.tags.contains(CLAIMED_TAG);
    let (outcome, notice) =
        if policy == OnConflict::Adopt && ownership == Ownership::Unowned && !has_record {
            let notice = format!("the action {name} no longer has an owner tag: it stays");
            (Outcome::Released, notice)
        } else {
            (Outcome::Skipped, failure.message(usize::MAX))
        };
    Ok(Success::new(outcome, found.action.clone()).with_notice(notice))
}

/// Cleans up the action if its last record is the failed request's.
async fn delete_failed_create(
    context: &Context<'_>,
    name: &ActionName,
    request: &RequestDigest,
) -> Result<Success, Stop> {
    let is_left =
        |found: &ExistingAction| found.records.last().is_some_and(|last| last.request == *request);
    let cleaned = clean_up(context, name, is_left).await?;
    Ok(cleaned.unwrap_or_else(|| {
        Success::absent(format!("the failed request has left nothing behind under the name {name}"))
    }))
}

/// Cleans up what a canceled Create leaves: polls until that is there, or it is certain that
/// nothing will be, or time is up.
async fn delete_unknown(
    context: &Context<'_>,
    unknown: &UnknownPhysicalId,
) -> Result<Success, Stop> {
    if let Some(id) = &unknown.id
        && let Some(found) = context.find(id).await?
        && context.ownership(&found).is_exclusive()
    {
        // The id is known, as the name of an action with the resource's tag.
        let if_not_owned = IfNotOwned::Skip(unknown.on_conflict);
        return delete_named(context, id, if_not_owned, Lookup::Tags).await;
    }
    let Some(name) = &unknown.name else {
        return Ok(Success::absent("the canceled Create has no valid name: it created nothing"));
    };
    let for_last_poll = Duration::from_secs(2).min(context.iot.time_left() / 4);
    let mut polls = 0_u32;
    loop {
        // Only the last look has absence confirmed.
        let found = unless_absent(context.find_tags(name).await)?;
        if let Some(success) = decide(context, name, found, unknown.on_conflict).await? {
            return Ok(success);
        }
        let step = Duration::from_secs((1 << polls.min(3)).min(5));
        let wait = step.mul_f64(0.9 + fastrand::f64() / 5.0);
        let left = context.iot.time_left().saturating_sub(for_last_poll);
        sleep(wait.min(left)).await;
        if wait >= left {
            break;
        }
        polls += 1;
    }
    let found = context.find(name).await?;
    let done = decide(context, name, found, unknown.on_conflict).await?;
    Ok(done.unwrap_or_else(|| Success::absent("the canceled Create has created nothing so far")))
}

/// Decides about what a canceled Create leaves; `None` if it may still create or claim the action.
async fn decide(
    context: &Context<'_>,
    name: &ActionName,
    found: Option<ExistingAction>,
    on_conflict: OnConflict,
) -> Result<Option<Success>, Stop> {
    let Some(found) = found else { return Ok(None) };
    let may_still_act = match context.ownership(&found) {
        // A record says whether the Create has claimed the action.
        Ownership::Own | Ownership::Adopted => found.records.last().is_none(),
        Ownership::Shared | Ownership::OfEvents | Ownership::Unowned => {
            on_conflict != OnConflict::Fail
        }
        Ownership::OfAnother => false,
    };
    if may_still_act {
        return Ok(None);
    }
    let cleaned = clean_up(context, name, |found| is_of_canceled_create(context, found)).await?;
    Ok(Some(cleaned.unwrap_or_else(|| {
        let arn = &found.action.arn;
        Success::absent(format!("the canceled Create did not create or take over {arn}: it stays"))
    })))
}

/// Whether the last record is of a Create that was sent before this Delete, and at most a day
/// before: what is older was retained.
fn is_of_canceled_create(context: &Context<'_>, found: &ExistingAction) -> bool {
    let (Some(last), Some(stack)) = (found.records.last(), &context.request.stack) else {
        return false;
    };
    last.request_type == RecordType::Create
        && last.sent <= stack.sent
        && stack.sent - last.sent <= DAY
}
