//! An action that was looked up, and what is done with it in one attempt.

use tokio::time::Instant;

use crate::{
    iot::Session,
    mitigation::{
        Action, CLAIMED_TAG, CREATED_TAG, Definition, Description, ErrorCode, Failure, OWNER_TAG,
        Outcome, Records, Success, TagChange, Tags, owned_by,
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
    pub async fn delete_once(&self, iot: &Session<'_>) -> Result<Success, CallError> {
        absent_is_done(iot.delete(&self.action.name).await)?;
        Ok(self.deleted())
    }

    pub fn deleted(&self) -> Success {
        Success::new(Outcome::Deleted, self.action.clone())
    }

    /// One attempt to release the action, which stays: the provider's own tags are removed.
    pub async fn release_once(&self, iot: &Session<'_>) -> Result<Success, CallError> {
        let own = [OWNER_TAG, CLAIMED_TAG, CREATED_TAG].into_iter();
        let keys: Vec<String> =
            own.filter(|key| self.tags.contains(key)).map(str::to_owned).collect();
        absent_is_done(iot.untag(&self.action.arn, &keys).await)?;
        Ok(self.released())
    }

    pub fn released(&self) -> Success {
        let name = &self.action.name;
        let notice = format!(
            "the action {name} was taken over, not created: it loses its owner tag and stays"
        );
        Success::new(Outcome::Released, self.action.clone()).with_notice(notice)
    }

    pub fn not_owned(&self, verb: &str) -> Failure {
        let Action { name, arn, .. } = &self.action;
        let owner = owned_by(self.tags.owner());
        let text = format!("this request may not {verb} the action {name} ({arn}), {owner}");
        Failure::refusal(ErrorCode::InvalidRequest, text)
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
