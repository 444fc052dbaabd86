//! Create, and what a create does if its name is taken.

use super::{ExistingAction, Lifecycle, is_defined_as, now, tag_change, unless_absent};
use crate::mitigation::{
    Create, ErrorCode, Failure, NameConflict, OWNER_TAG, OnConflict, Outcome, Ownership, Remedy,
    Replay, Success, Tags,
};

/// The result of one create call.
pub(super) enum CreateAttempt {
    /// The action was created.
    Created(Success),
    /// The name is taken; `None` if its action is gone again, or its tags lag behind.
    NameTaken(Option<ExistingAction>),
}

impl Lifecycle<'_> {
    /// One create call; more only if the name is taken. An action that disappears meanwhile is
    /// created again.
    pub(super) async fn create(&self, wanted: &Create) -> Result<Success, Failure> {
        let mut attempts = 0;
        loop {
            match self.try_create(wanted).await? {
                CreateAttempt::Created(success) => return Ok(success),
                CreateAttempt::NameTaken(None) => {}
                CreateAttempt::NameTaken(Some(found)) => {
                    let resolved = self.resolve_conflict(wanted, &found).await;
                    if let Some(success) = unless_absent(resolved)? {
                        return Ok(success);
                    }
                }
            }
            attempts += 1;
            self.wait_for_tags(&wanted.name, attempts).await?;
        }
    }

    /// One create call; if the name is taken, looks up the action that has it.
    pub(super) async fn try_create(&self, wanted: &Create) -> Result<CreateAttempt, Failure> {
        let tags = wanted.tags.clone().with(OWNER_TAG, self.request.owner.tag());
        let tags = self.with_request_tag(tags, self.began);
        let before_change = || self.before_change();
        let writes = self.iot.writes_after(&before_change);
        match writes.create(&wanted.name, &wanted.definition, &tags).await {
            Ok(action) => Ok(CreateAttempt::Created(Success::new(Outcome::Created, action))),
            Err(failure) if failure.is_response(ErrorCode::ResourceAlreadyExists) => {
                Ok(CreateAttempt::NameTaken(unless_absent(self.find(&wanted.name).await)?))
            }
            // The limit may be reached by the very action that has the name.
            Err(failure) if failure.is_response(ErrorCode::LimitExceeded) => {
                match self.find_consistently(&wanted.name).await? {
                    None => Err(failure),
                    found => Ok(CreateAttempt::NameTaken(found)),
                }
            }
            Err(failure) => Err(failure),
        }
    }

    /// A create whose name is taken.
    async fn resolve_conflict(
        &self,
        wanted: &Create,
        found: &ExistingAction,
    ) -> Result<Success, Failure> {
        let ownership = self.ownership(&found.tags);
        match ownership {
            Ownership::Own | Ownership::Adopted => self.converge(wanted, found).await,
            Ownership::Foreign => Err(name_conflict(wanted, found, Remedy::DeleteThere)),
            Ownership::Shared | Ownership::Claimable | Ownership::Unowned => {
                match wanted.on_conflict {
                    OnConflict::Fail => Err(name_conflict(wanted, found, Remedy::AdoptOrOverwrite)),
                    OnConflict::Adopt => self.adopt(wanted, found, ownership).await,
                    OnConflict::Overwrite => self.overwrite(wanted, found, ownership).await,
                }
            }
        }
    }

    /// A create that finds its owner's own action: an earlier delivery created it, or a rename is
    /// rolled back. The request tag of another request is replaced last.
    async fn converge(&self, wanted: &Create, found: &ExistingAction) -> Result<Success, Failure> {
        let (action, description) = self.iot.describe(&wanted.name).await?;
        match wanted.replay {
            Replay::Keep => return Ok(Success::new(Outcome::Created, action)),
            Replay::Converge => {}
        }
        let desired = if self.renews_request_tag(found).await? {
            self.with_request_tag(wanted.tags.clone(), now())
        } else {
            wanted.tags.clone()
        };
        let change = tag_change(found, &desired, &[])?;
        self.clear_mark(found).await?;
        let action = if is_defined_as(&description, &wanted.definition) {
            action
        } else {
            self.update_definition(&wanted.name, &wanted.definition).await?
        };
        self.apply(&found.action.arn, change).await?;
        Ok(Success::new(Outcome::Created, action))
    }

    /// Whether another request created or last took over the action; or another delivery of this
    /// request, while a delivery waits. The new tag tells that delivery that this one succeeded.
    async fn renews_request_tag(&self, found: &ExistingAction) -> Result<bool, Failure> {
        if !self.is_of_this_request(&found.tags) {
            return Ok(true);
        }
        let created_at = found.tags.request().map(|tag| tag.acquired_at);
        Ok(created_at != Some(self.began) && self.find_marked().await?.is_some())
    }

    async fn adopt(
        &self,
        wanted: &Create,
        found: &ExistingAction,
        ownership: Ownership,
    ) -> Result<Success, Failure> {
        let (action, description) = self.iot.describe(&wanted.name).await?;
        if !is_defined_as(&description, &wanted.definition) {
            return Err(name_conflict(wanted, found, Remedy::MatchOrOverwrite));
        }
        let desired = match self.request.owner.adopted_tag() {
            Some(tag) => self.tags_after_takeover(wanted, ownership, tag),
            None => wanted.tags.clone(),
        };
        let change = tag_change(found, &desired, &[])?;
        self.apply(&found.action.arn, change).await?;
        Ok(Success::new(Outcome::Adopted, action))
    }

    /// Updates the definition before the owner tag, so that a failed update does not change the
    /// owner.
    async fn overwrite(
        &self,
        wanted: &Create,
        found: &ExistingAction,
        ownership: Ownership,
    ) -> Result<Success, Failure> {
        let desired = self.tags_after_takeover(wanted, ownership, self.request.owner.tag());
        let change = tag_change(found, &desired, &[])?;
        let action = self.update_definition(&wanted.name, &wanted.definition).await?;
        self.apply(&found.action.arn, change).await?;
        Ok(Success::new(Outcome::Updated, action))
    }

    /// The tags of an action that is taken over. An action that events, messages and direct
    /// invocations share keeps its owner.
    fn tags_after_takeover(&self, wanted: &Create, ownership: Ownership, owner_tag: &str) -> Tags {
        match ownership {
            Ownership::Unowned | Ownership::Claimable => {
                let tags = wanted.tags.clone().with(OWNER_TAG, owner_tag);
                self.with_request_tag(tags, now())
            }
            Ownership::Shared | Ownership::Own | Ownership::Adopted | Ownership::Foreign => {
                wanted.tags.clone()
            }
        }
    }
}

fn name_conflict(wanted: &Create, found: &ExistingAction, remedy: Remedy) -> Failure {
    Failure::name_conflict(NameConflict {
        name: wanted.name.clone(),
        arn: found.action.arn.clone(),
        owner: found.tags.owner().map(str::to_owned),
        remedy,
    })
}
