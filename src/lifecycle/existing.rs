//! Looks up actions.

use tokio::time::Instant;

use super::order::{Context, Stop};
use crate::mitigation::{
    Action, ActionName, Definition, Description, ErrorCode, Failure, Records, TagChange, Tags,
    owned_by,
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
    /// That a later request supersedes this one, if the action is watched.
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
        self.note(name, &records);
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
