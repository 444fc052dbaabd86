//! An action that was looked up.

use tokio::time::Instant;

use crate::mitigation::{
    Action, Definition, Description, ErrorCode, Failure, Records, TagChange, Tags, owned_by,
};

/// An action that was looked up.
pub struct ExistingAction {
    pub action: Action,
    pub tags: Tags,
    /// The records in its tags.
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

    /// The failure of a request that would change another owner's action.
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
