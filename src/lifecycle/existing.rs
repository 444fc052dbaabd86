//! Looks up actions.

use tokio::time::Instant;

use super::order::{Context, Stop};
use crate::{
    mitigation::{
        Action, ActionName, CLAIMED_TAG, CREATED_TAG, Definition, Description, ErrorCode, Failure,
        OWNER_TAG, Outcome, Records, Success, TagChange, Tags, owned_by,
    },
    sdk::CallError,
};

pub struct ExistingAction {
    pub action: Action,
    pub tags: Tags,
    pub records: Records,
    /// When the call that read the tags was sent, or earlier.
    pub read_at: Instant,
}

impl ExistingAction {
    /// The change from the action's tags to `desired`, if the provider also sets `own`, before.
    ///
    /// # Errors
    /// If the action would have more tags than the service allows.
    pub fn tag_change(
        &self,
        desired: &Tags,
        previous_keys: &[String],
        own: &Tags,
    ) -> Result<TagChange, Failure> {
        let change = self.tags.change_to(desired, previous_keys);
        let new_own = own.iter().filter(|(key, _)| !self.tags.contains(key)).count();
        let count = new_own + self.tags.len().max(self.tags.len_after(&change));
        if count <= Tags::MAX || count == self.tags.len() {
            return Ok(change);
        }
        let text = format!(
            "the action {} would have {count} tags, including those of others: expected at most {}",
            self.action.name,
            Tags::MAX
        );
        Err(Failure::refusal(ErrorCode::InvalidRequest, text))
    }

    /// One attempt to delete the action. `DeleteMitigationAction` succeeds if there is no such
    /// action; a `ResourceNotFoundException` means the same.
    pub async fn delete_once(&self, context: &Context<'_>) -> Result<Success, CallError> {
        absent_is_done(context.iot.delete(&self.action.name).await)?;
        Ok(Success::new(Outcome::Deleted, self.action.clone()))
    }

    /// One attempt to release the action, which stays: the provider's own tags are removed.
    pub async fn release_once(&self, context: &Context<'_>) -> Result<Success, CallError> {
        let Action { name, arn, .. } = &self.action;
        let own = [OWNER_TAG, CLAIMED_TAG, CREATED_TAG].into_iter();
        let keys: Vec<String> =
            own.filter(|key| self.tags.contains(key)).map(str::to_owned).collect();
        absent_is_done(context.iot.untag(arn, &keys).await)?;
        let notice = format!(
            "the action {name} was taken over, not created: it loses its owner tag and stays"
        );
        Ok(Success::new(Outcome::Released, self.action.clone()).with_notice(notice))
    }

    pub fn not_owned(&self, verb: &str) -> Failure {
        let Action { name, arn, .. } = &self.action;
        let owner = owned_by(self.tags.owner());
        let text = format!("this request may not {verb} the action {name} ({arn}), {owner}");
        Failure::refusal(ErrorCode::InvalidRequest, text)
    }
}

impl Context<'_> {
    /// Looks up an action and its tags. Absence is believed only if `DescribeMitigationAction`
    /// confirms it, because the tags of a new action lag behind.
    ///
    /// # Errors
    /// That a later request supersedes this one: the action was there a moment ago and is gone, or
    /// it is watched and has changed hands.
    pub async fn find(&self, name: &ActionName) -> Result<Option<ExistingAction>, Stop> {
        let mut attempts = 0;
        loop {
            let read_at = Instant::now();
            let found = unless_absent(self.find_tags(name).await)?;
            if found.is_some() || unless_absent(self.iot.describe(name).await)?.is_none() {
                let was_there = attempts > 0 && self.record().is_some();
                if found.is_none() && was_there {
                    return Err(Stop::Superseded);
                }
                self.check(name, found.as_ref(), read_at)?;
                return Ok(found);
            }
            attempts += 1;
            self.iot.wait_for_tags(name, attempts).await?;
        }
    }

    /// Looks up an action and its tags, with one call if its ARN is known beforehand.
    ///
    /// # Errors
    /// `ResourceNotFoundException` if there is no such action, or if its tags lag behind.
    pub async fn find_tags(&self, name: &ActionName) -> Result<ExistingAction, Failure> {
        let read_at = Instant::now();
        let action = match &self.request.location {
            Some(location) => {
                Action { name: name.clone(), arn: name.arn(location), id: None, action_type: None }
            }
            None => self.iot.describe(name).await?.0,
        };
        let tags = self.iot.tags(&action.arn).await?;
        let records = tags.records(self.now());
        self.remember_physical_records(name, &records);
        Ok(ExistingAction { action, tags, records, read_at })
    }
}

/// `None` if the failure is that AWS IoT finds no such action.
pub fn unless_absent<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.is_response(ErrorCode::ResourceNotFound) => Ok(None),
        Err(failure) => Err(failure),
    }
}

pub fn is_defined_as(found: &Description, wanted: &Definition) -> bool {
    found.role_arn.as_ref() == Some(&wanted.role_arn)
        && found.params.as_ref() == Some(&wanted.params)
}

fn absent_is_done(result: Result<(), CallError>) -> Result<(), CallError> {
    match result {
        Err(CallError::Permanent(failure)) if failure.is_response(ErrorCode::ResourceNotFound) => {
            Ok(())
        }
        other => other,
    }
}
