//! The response of a Create or an Update that a later request of the resource supersedes.

use super::{
    SUPERSEDED, Stop,
    existing::{is_defined_as, unless_absent},
    order::Context,
};
use crate::mitigation::{Change, Create, Definition, Failure, Outcome, Success, Task, Update};

/// Succeeds only if the action is as requested, as another delivery of the request may have made
/// it. Otherwise it fails; `last` is the last failure that its role may have caused.
pub async fn respond(context: &Context<'_>, last: Option<Failure>) -> Result<Success, Failure> {
    context.stop_watching();
    let success = match find_desired(context).await {
        Ok(success) => success,
        Err(Stop::Superseded) => None,
        Err(Stop::Failed(failure)) => return Err(failure),
    };
    success.ok_or_else(|| match last {
        Some(last) => last.with_context(SUPERSEDED),
        None => Stop::Superseded.into(),
    })
}

async fn find_desired(context: &Context<'_>) -> Result<Option<Success>, Stop> {
    let (name, definition, tags, previous_keys, outcome): (_, &Definition, _, &[String], _) =
        match &context.request.task {
            Task::Create(wanted) => {
                // A new part of the definition has to be compared, too.
                let Create { name, definition, tags, on_conflict: _, if_owned: _ } = wanted;
                (name, definition, tags, &[], Outcome::Created)
            }
            Task::Update(Update { name, change, tags, previous_keys }) => match change {
                Change::Whole(definition) => {
                    (name, definition, tags, previous_keys, Outcome::Updated)
                }
                Change::Parts { .. } => return Ok(None),
            },
            Task::Delete(_) | Task::Describe(_) => return Ok(None),
        };
    let Some(found) = context.find(name).await? else { return Ok(None) };
    let change = found.tags.change_to(tags, previous_keys);
    if !context.ownership(&found).is_exclusive() || !change.is_empty() {
        return Ok(None);
    }
    let described = unless_absent(context.iot.describe(name).await)?;
    Ok(described
        .filter(|(_, description)| is_defined_as(description, definition))
        .map(|(action, _)| Success::new(outcome, action)))
}
