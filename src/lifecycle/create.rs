//! Create, and what a create does if its name is taken.

use super::{
    Stop,
    existing::{ExistingAction, is_defined_as, unless_absent},
    order::{Context, superseded_if_absent},
};
use crate::mitigation::{
    Action, CLAIMED_TAG, CREATED_TAG, Create, ErrorCode, Failure, IfOwned, NameConflict, OWNER_TAG,
    OnConflict, Outcome, Ownership, Remedy, Success, Tags,
};
use cloudformation_custom_resource::retry::AttemptError;

enum Sent {
    Created(Action),
    /// An action may have the name. If none has, the failure is final.
    MayBeTaken(Option<Failure>),
}

/// One create call; more only if the name is taken. An action that has the name and disappears is
/// created anew.
pub async fn create(context: &Context<'_>, wanted: &Create) -> Result<Success, Stop> {
    let mut attempts = 0;
    loop {
        let refused = match send(context, wanted).await? {
            Sent::Created(action) => return Ok(Success::new(Outcome::Created, action)),
            Sent::MayBeTaken(refused) => refused,
        };
        match (context.find(&wanted.name).await?, refused) {
            (Some(found), _) => {
                if let Some(success) = resolve_conflict(context, wanted, &found).await? {
                    return Ok(success);
                }
            }
            (None, Some(failure)) => return Err(failure.into()),
            (None, None) => {}
        }
        attempts += 1;
        context.iot.back_off(attempts).await?;
    }
}

async fn send(context: &Context<'_>, wanted: &Create) -> Result<Sent, Stop> {
    let Create { name, definition, tags, on_conflict: _, if_owned: _ } = wanted;
    let mut tags = tags.clone().with(OWNER_TAG, context.request.owner.tag());
    if let Some(record) = context.record() {
        tags.set(CREATED_TAG, record.to_string());
    }
    let mut may_have_worked = false;
    let attempt = async || {
        let created = context.iot.create(name, definition, &tags).await;
        may_have_worked |= created.as_ref().is_err_and(AttemptError::is_transient);
        created
    };
    match context.change(attempt).await {
        Ok(Some(action)) => Ok(Sent::Created(action)),
        Ok(None) => Ok(Sent::MayBeTaken(None)),
        Err(Stop::Failed(failure)) if failure.is_response(ErrorCode::ResourceAlreadyExists) => {
            Ok(Sent::MayBeTaken(None))
        }
        // The limit may be reached by the very action that has the name, and the response of a
        // call that created it may have been lost.
        Err(Stop::Failed(failure))
            if failure.is_response(ErrorCode::LimitExceeded)
                || may_have_worked && failure.is_response(ErrorCode::AccessDenied) =>
        {
            Ok(Sent::MayBeTaken(Some(failure)))
        }
        Err(stop) => Err(stop),
    }
}

/// A create whose name is taken; `None` if the action is gone meanwhile.
async fn resolve_conflict(
    context: &Context<'_>,
    wanted: &Create,
    found: &ExistingAction,
) -> Result<Option<Success>, Stop> {
    let ownership = context.ownership(found);
    match ownership {
        Ownership::Own | Ownership::Adopted => match wanted.if_owned {
            IfOwned::Return => {
                let described = unless_absent(context.iot.describe(&wanted.name).await)?;
                Ok(described.map(|(action, _)| Success::new(Outcome::Created, action)))
            }
            IfOwned::Update => update_owned(context, wanted, found).await.map(Some),
        },
        Ownership::OfAnother => Err(name_conflict(wanted, found, Remedy::DeleteThere)),
        // Presumably the resource's own, which lost its owner tag.
        Ownership::Unowned if context.is_later(found) => Err(Stop::Superseded),
        Ownership::Shared | Ownership::OfEvents | Ownership::Unowned => match wanted.on_conflict {
            OnConflict::Fail => Err(name_conflict(wanted, found, Remedy::AdoptOrOverwrite)),
            OnConflict::Adopt => adopt(context, wanted, found, ownership).await,
            OnConflict::Overwrite => overwrite(context, wanted, found, ownership).await,
        },
    }
}

/// A create that finds its resource's own action: an earlier delivery created it, a rename is
/// rolled back, or the action was retained.
async fn update_owned(
    context: &Context<'_>,
    wanted: &Create,
    found: &ExistingAction,
) -> Result<Success, Stop> {
    if context.is_later(found) {
        return Err(Stop::Superseded);
    }
    let claim = context.claim_tags(found);
    let change = found.tag_change(&wanted.tags, &[], &claim)?;
    context.claim(found, &claim).await?;
    let described = unless_absent(context.iot.describe(&wanted.name).await)?;
    let (action, description) = described.ok_or(Stop::Superseded)?;
    let action = if is_defined_as(&description, &wanted.definition) {
        action
    } else {
        superseded_if_absent(context.update_definition(&wanted.name, &wanted.definition).await)?
    };
    superseded_if_absent(context.apply(&found.action.arn, &change).await)?;
    Ok(Success::new(Outcome::Created, action))
}

async fn adopt(
    context: &Context<'_>,
    wanted: &Create,
    found: &ExistingAction,
    ownership: Ownership,
) -> Result<Option<Success>, Stop> {
    let Some((action, description)) = unless_absent(context.iot.describe(&wanted.name).await)?
    else {
        return Ok(None);
    };
    if !is_defined_as(&description, &wanted.definition) {
        return Err(name_conflict(wanted, found, Remedy::MatchOrOverwrite));
    }
    let owner = context.request.owner.adopted_tag();
    let own = owner.map(|owner| own_tags(context, ownership, owner)).unwrap_or_default();
    let is_taken = take_over(context, wanted, found, own).await?;
    Ok(is_taken.then(|| Success::new(Outcome::Adopted, action)))
}

/// Updates the definition before the owner tag, so that a failed update does not change the owner.
async fn overwrite(
    context: &Context<'_>,
    wanted: &Create,
    found: &ExistingAction,
    ownership: Ownership,
) -> Result<Option<Success>, Stop> {
    let own = own_tags(context, ownership, context.request.owner.tag());
    found.tag_change(&wanted.tags, &[], &own)?;
    let action = match context.update_definition(&wanted.name, &wanted.definition).await {
        Err(Stop::Failed(failure)) if failure.is_response(ErrorCode::ResourceNotFound) => {
            return Ok(None);
        }
        updated => updated?,
    };
    let is_taken = take_over(context, wanted, found, own).await?;
    Ok(is_taken.then(|| Success::new(Outcome::Updated, action)))
}

/// The provider's own tags on an action that is taken over from nobody, or by a stack from events.
fn own_tags(context: &Context<'_>, ownership: Ownership, owner_tag: &str) -> Tags {
    let mut tags = Tags::default();
    if matches!(ownership, Ownership::Unowned | Ownership::OfEvents) {
        tags.set(OWNER_TAG, owner_tag);
        if let Some(record) = context.record() {
            tags.set(CLAIMED_TAG, record.to_string());
        }
    }
    tags
}

/// Tags an action as taken over; `false` if it is gone. Whoever created it, this resource did not.
async fn take_over(
    context: &Context<'_>,
    wanted: &Create,
    found: &ExistingAction,
    own: Tags,
) -> Result<bool, Stop> {
    /// Voids the record of the former creator in the call that sets the owner; it is removed next.
    const NOBODY: &str = "-";

    let mut change = found.tag_change(&wanted.tags, &[], &own)?;
    let mut former = Vec::new();
    if own.contains(OWNER_TAG) && found.tags.contains(CREATED_TAG) {
        former.push(CREATED_TAG.to_owned());
        change.set.set(CREATED_TAG, NOBODY);
    }
    if own.contains(CLAIMED_TAG) {
        context.watch(found);
    } else if own.contains(OWNER_TAG) && found.tags.contains(CLAIMED_TAG) {
        former.push(CLAIMED_TAG.to_owned());
    }
    change.set.extend(own);
    match context.apply(&found.action.arn, &change).await {
        Err(Stop::Failed(failure)) if failure.is_response(ErrorCode::ResourceNotFound) => {
            return Ok(false);
        }
        applied => applied?,
    }
    if !former.is_empty() {
        let untag = async || context.iot.untag(&found.action.arn, &former).await;
        superseded_if_absent(context.change(untag).await)?;
    }
    Ok(true)
}

fn name_conflict(wanted: &Create, found: &ExistingAction, remedy: Remedy) -> Stop {
    Stop::Failed(Failure::name_conflict(NameConflict {
        name: wanted.name.clone(),
        arn: found.action.arn.clone(),
        owner: found.tags.owner().map(str::to_owned),
        remedy,
    }))
}
