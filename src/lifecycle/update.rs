//! Update in place.

use super::{Lifecycle, create::CreateAttempt, not_owned, tag_change, unless_absent};
use crate::mitigation::{
    Action, Change, Create, Definition, ErrorCode, Failure, OWNER_TAG, OnConflict, Outcome,
    Ownership, Params, Provenance, Replay, RoleArn, Success, Update,
};

impl Lifecycle<'_> {
    pub(super) async fn update(&self, wanted: &Update) -> Result<Success, Failure> {
        match &wanted.change {
            Change::Whole { definition, provenance } => {
                self.update_whole(wanted, definition, *provenance).await
            }
            Change::Parts { role_arn, params } => {
                self.update_parts(wanted, role_arn.as_ref(), params.as_ref()).await
            }
        }
    }

    /// Updates the action as declared, or creates it again if it is gone. A name that turns out to
    /// be taken is looked up again, because the tags of its action lag behind.
    async fn update_whole(
        &self,
        wanted: &Update,
        definition: &Definition,
        provenance: Provenance,
    ) -> Result<Success, Failure> {
        let create = Create {
            name: wanted.name.clone(),
            definition: definition.clone(),
            tags: wanted.tags.clone(),
            on_conflict: OnConflict::Fail,
            replay: Replay::Converge,
        };
        let mut attempts = 0;
        loop {
            let updated = self.try_update_whole(wanted, definition, provenance).await;
            if let Some(updated) = unless_absent(updated)? {
                return Ok(updated);
            }
            if let CreateAttempt::Created(success) = self.try_create(&create).await? {
                return Ok(success.with_notice("the action was gone and has been recreated"));
            }
            attempts += 1;
            self.wait_for_tags(&wanted.name, attempts).await?;
        }
    }

    /// Checks the owner, then changes the definition, then the tags that differ.
    async fn try_update_whole(
        &self,
        wanted: &Update,
        definition: &Definition,
        provenance: Provenance,
    ) -> Result<Success, Failure> {
        let found = self.find(&wanted.name).await?;
        let (desired, notice) = match self.ownership(&found.tags) {
            Ownership::Own | Ownership::Adopted | Ownership::Shared => (wanted.tags.clone(), None),
            Ownership::Unowned => {
                let notice = "the action had lost its owner tag and has been tagged again";
                let owner_tag = self.request.owner.tag_after(provenance);
                (wanted.tags.clone().with(OWNER_TAG, owner_tag), Some(notice))
            }
            Ownership::Claimable | Ownership::Foreign => {
                return Err(not_owned(&found, "change"));
            }
        };
        let change = tag_change(&found, &desired, &wanted.previous_keys)?;
        self.clear_mark(&found).await?;
        let action = self.update_definition(&wanted.name, definition).await?;
        self.apply(&found.action.arn, change).await?;
        let success = Success::new(Outcome::Updated, action);
        Ok(Success { notice: notice.map(str::to_owned), ..success })
    }

    /// Changes the parts that are given.
    async fn update_parts(
        &self,
        wanted: &Update,
        role_arn: Option<&RoleArn>,
        params: Option<&Params>,
    ) -> Result<Success, Failure> {
        let Some(found) = self.find_consistently(&wanted.name).await? else {
            let text = format!("there is no action {}", wanted.name);
            return Err(Failure::refusal(ErrorCode::ResourceNotFound, text));
        };
        match self.ownership(&found.tags) {
            Ownership::Own | Ownership::Adopted | Ownership::Shared => {}
            Ownership::Unowned | Ownership::Claimable | Ownership::Foreign => {
                return Err(not_owned(&found, "change"));
            }
        }
        let change = tag_change(&found, &wanted.tags, &[])?;
        let updated = match (role_arn, params) {
            (None, None) => None,
            _ => Some(self.iot.writes().update(&wanted.name, role_arn, params).await?),
        };
        self.apply(&found.action.arn, change).await?;
        let action = match updated {
            Some(action @ Action { action_type: Some(_), .. }) => action,
            _ => self.iot.describe(&wanted.name).await?.0,
        };
        Ok(Success::new(Outcome::Updated, action))
    }
}
