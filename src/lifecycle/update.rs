//! Update: in place, with a new name, and in parts.

use super::{
    Stop,
    create::create,
    order::{Context, superseded_if_absent},
};
use crate::mitigation::{
    Action, ActionName, Create, Definition, ErrorCode, Failure, IfOwned, OWNER_TAG, OnConflict,
    Outcome, Ownership, Params, RoleArn, Success, Tags, Update,
};

/// Updates the action as declared, or creates it again if it is gone. Checks the owner, claims,
/// then changes the definition, then the tags that differ.
pub async fn update(
    context: &Context<'_>,
    wanted: &Update,
    definition: &Definition,
) -> Result<Success, Stop> {
    let Some(found) = context.find(&wanted.name).await? else {
        return create_again(context, wanted, definition).await;
    };
    let owner = &context.request.owner;
    let owner_tag = match context.ownership(&found) {
        Ownership::Own | Ownership::Adopted | Ownership::Shared => None,
        // Only what the resource created may be deleted later.
        Ownership::Unowned if found.records.created.is_some() => Some(owner.tag()),
        Ownership::Unowned => Some(owner.adopted_tag().unwrap_or(owner.tag())),
        Ownership::OfEvents | Ownership::OfAnother => return Err(found.not_owned("change").into()),
    };
    if context.is_later(&found) {
        return Err(Stop::Superseded);
    }
    let mut claim = context.claim_tags(&found);
    if let Some(owner_tag) = owner_tag {
        context.iot.warn("the action had lost its owner tag and has been tagged again");
        claim.set(OWNER_TAG, owner_tag);
    }
    let change = found.tag_change(&wanted.tags, &wanted.previous_keys, &claim)?;
    context.claim(&found, &claim).await?;
    let updated = context.update_definition(&wanted.name, definition).await;
    let action = superseded_if_absent(updated)?;
    superseded_if_absent(context.apply(&found.action.arn, &change).await)?;
    Ok(Success::new(Outcome::Updated, action))
}

async fn create_again(
    context: &Context<'_>,
    wanted: &Update,
    definition: &Definition,
) -> Result<Success, Stop> {
    context.watch_absent(&wanted.name);
    let wanted = Create {
        name: wanted.name.clone(),
        definition: definition.clone(),
        tags: wanted.tags.clone(),
        on_conflict: OnConflict::Fail,
        if_owned: IfOwned::Update,
    };
    let success = create(context, &wanted).await?;
    Ok(success.with_notice("the action was gone and has been recreated"))
}

/// Creates the action with the new name. The claim on the old action comes first, so that a later
/// request, such as the rollback, stops this one.
pub async fn rename(
    context: &Context<'_>,
    physical: &ActionName,
    wanted: &Create,
) -> Result<Success, Stop> {
    match context.find(physical).await? {
        None => context.watch_absent(physical),
        Some(found) if !context.ownership(&found).is_exclusive() => context.watch(&found),
        Some(found) if context.is_later(&found) => return Err(Stop::Superseded),
        Some(found) => {
            let claim = context.claim_tags(&found);
            found.tag_change(&Tags::default(), &[], &claim)?;
            context.claim(&found, &claim).await?;
        }
    }
    create(context, wanted).await
}

/// Changes the parts that are given, of what an event, a message or a direct invocation made.
pub async fn update_parts(
    context: &Context<'_>,
    wanted: &Update,
    role_arn: Option<&RoleArn>,
    params: Option<&Params>,
) -> Result<Success, Stop> {
    let Some(found) = context.find(&wanted.name).await? else {
        let text = format!("there is no action {}", wanted.name);
        return Err(Failure::refusal(ErrorCode::ResourceNotFound, text).into());
    };
    match context.ownership(&found) {
        Ownership::Own | Ownership::Adopted | Ownership::Shared => {}
        Ownership::Unowned | Ownership::OfEvents | Ownership::OfAnother => {
            return Err(found.not_owned("change").into());
        }
    }
    let change = found.tag_change(&wanted.tags, &[], &Tags::default())?;
    let updated = if role_arn.is_some() || params.is_some() {
        let update = async || context.iot.update(&wanted.name, role_arn, params).await;
        Some(context.change(update).await?)
    } else {
        None
    };
    context.apply(&found.action.arn, &change).await?;
    let action = match updated {
        Some(action @ Action { action_type: Some(_), .. }) => action,
        _ => context.iot.describe(&wanted.name).await?.0,
    };
    Ok(Success::new(Outcome::Updated, action))
}
