//! Delete: of a named action, of what a failed Create may have created, and of what a canceled
//! Create may still be creating.

use std::time::Duration;

use tokio::time::sleep;

use super::{ExistingAction, Lifecycle, not_owned, unless_absent};
use crate::{
    iot::Pacing,
    mitigation::{
        Action, ActionName, Delete, DeleteTarget, Failure, Lookup, OWNER_TAG, OnConflict,
        OnForeign, Outcome, Ownership, Provenance, REQUEST_TAG, RequestDigest, Success,
        UnknownPhysicalId,
    },
};

const NO_SUCH_ACTION: &str = "there is no such action";

/// The result of one poll for an action that may still be created.
enum PollResult {
    /// The Delete is done.
    Done(Success),
    /// The Create may still create or take over the action.
    Pending,
}

impl Lifecycle<'_> {
    pub(super) async fn delete(&self, wanted: &Delete) -> Result<Success, Failure> {
        match &wanted.target {
            DeleteTarget::Named(name) => self.delete_named(name, wanted).await,
            DeleteTarget::FailedCreate(name, request) => {
                self.delete_failed_create(name, request).await
            }
            DeleteTarget::UnknownPhysicalId(unknown) => self.delete_unknown(unknown).await,
            DeleteTarget::Nothing => Ok(Success::absent(NO_SUCH_ACTION)),
        }
    }

    async fn delete_named(&self, name: &ActionName, wanted: &Delete) -> Result<Success, Failure> {
        let described = match wanted.lookup {
            Lookup::Tags => None,
            Lookup::Description => match unless_absent(self.iot.describe(name).await)? {
                None => return Ok(Success::absent(NO_SUCH_ACTION)),
                Some((action, _)) => Some(action),
            },
        };
        let Some(found) = self.find_consistently(name).await? else {
            return Ok(Success::absent(NO_SUCH_ACTION));
        };
        let found = ExistingAction { action: described.unwrap_or(found.action), tags: found.tags };
        if let Some(success) = self.remove(&found).await? {
            return Ok(success);
        }
        let failure = not_owned(&found, "delete");
        match (wanted.on_foreign, self.ownership(&found.tags)) {
            (OnForeign::Fail, _) => Err(failure),
            // A release removes both tags; whoever removes only the owner tag leaves the other.
            (OnForeign::Skip(Provenance::Adopted), Ownership::Unowned)
                if !found.tags.contains(REQUEST_TAG) =>
            {
                let notice = format!("the action {name} no longer has an owner tag: it stays");
                Ok(Success::new(Outcome::Released, found.action).with_notice(notice))
            }
            (OnForeign::Skip(Provenance::Adopted | Provenance::Created), _) => {
                let notice = failure.message(usize::MAX);
                Ok(Success::new(Outcome::Skipped, found.action).with_notice(notice))
            }
        }
    }

    /// Removes the action if the failed request created or took it over, and not another one.
    async fn delete_failed_create(
        &self,
        name: &ActionName,
        request: &RequestDigest,
    ) -> Result<Success, Failure> {
        let Some(found) = self.find_consistently(name).await? else {
            return Ok(Success::absent(NO_SUCH_ACTION));
        };
        let is_of_request = found.tags.request().is_some_and(|tag| tag.request == *request);
        let removed = if is_of_request { self.remove(&found).await? } else { None };
        let absent = || {
            let Action { arn, .. } = &found.action;
            Success::absent(format!(
                "the failed request did not create or take over {arn}: it stays"
            ))
        };
        Ok(removed.unwrap_or_else(absent))
    }

    /// Removes what a canceled Create creates: polls until it has removed the action, the name is
    /// another owner's, or time is up.
    async fn delete_unknown(&self, unknown: &UnknownPhysicalId) -> Result<Success, Failure> {
        if let Some(id) = &unknown.id
            && let Some(found) = self.find_consistently(id).await?
            && let Some(success) = self.remove(&found).await?
        {
            return Ok(success);
        }
        let Some(name) = &unknown.name else {
            return Ok(Success::absent(
                "the canceled Create has no valid name: it created nothing",
            ));
        };
        let last_poll = self.time_for_last_poll();
        let mut polls = 0_u32;
        loop {
            let found = unless_absent(self.find(name).await)?;
            if let PollResult::Done(success) = self.poll(found, unknown.on_conflict).await? {
                return Ok(success);
            }
            let step = Duration::from_secs((1 << polls.min(3)).min(5));
            let wait = step.mul_f64(0.9 + fastrand::f64() / 5.0);
            let left = self.iot.time_left().saturating_sub(last_poll);
            sleep(wait.min(left)).await;
            if wait >= left {
                break;
            }
            polls += 1;
        }
        let found = self.find_consistently(name).await?;
        match self.poll(found, unknown.on_conflict).await? {
            PollResult::Done(success) => Ok(success),
            PollResult::Pending => {
                Ok(Success::absent("the canceled Create has created nothing so far"))
            }
        }
    }

    /// The time that is kept for the last poll: more where the calls of other requests come first.
    fn time_for_last_poll(&self) -> Duration {
        let longest = match self.iot.pacing() {
            Pacing::None => Duration::from_secs(2),
            // The Deletes of a batch poll at the same moment.
            Pacing::Shared(_) => Duration::from_secs(5),
        };
        longest.min(self.iot.time_left() / 4)
    }

    async fn poll(
        &self,
        found: Option<ExistingAction>,
        on_conflict: OnConflict,
    ) -> Result<PollResult, Failure> {
        let Some(found) = found else { return Ok(PollResult::Pending) };
        if let Some(success) = self.remove(&found).await? {
            return Ok(PollResult::Done(success));
        }
        let may_be_taken_over = match on_conflict {
            OnConflict::Fail => false,
            OnConflict::Adopt | OnConflict::Overwrite => match self.ownership(&found.tags) {
                Ownership::Foreign => false,
                Ownership::Own
                | Ownership::Adopted
                | Ownership::Shared
                | Ownership::Claimable
                | Ownership::Unowned => true,
            },
        };
        if may_be_taken_over {
            return Ok(PollResult::Pending);
        }
        let why = not_owned(&found, "delete").message(usize::MAX);
        Ok(PollResult::Done(Success::absent(why)))
    }

    /// Deletes an action that this owner created, or releases one that it adopted; `None` if it may
    /// do neither.
    pub(super) async fn remove(&self, found: &ExistingAction) -> Result<Option<Success>, Failure> {
        let action = &found.action;
        match self.ownership(&found.tags) {
            Ownership::Own | Ownership::Shared => {
                // DeleteMitigationAction succeeds if there is no such action; a
                // ResourceNotFoundException means the same.
                unless_absent(self.iot.writes().delete(&action.name).await)?;
                Ok(Some(Success::new(Outcome::Deleted, action.clone())))
            }
            Ownership::Adopted => {
                let mut keys = vec![OWNER_TAG.to_owned()];
                if found.tags.contains(REQUEST_TAG) {
                    keys.push(REQUEST_TAG.to_owned());
                }
                if unless_absent(self.iot.writes().untag(&action.arn, keys).await)?.is_none() {
                    return Ok(Some(Success::absent(NO_SUCH_ACTION)));
                }
                let notice = format!(
                    "the action {} was adopted, not created: it loses its owner tag and stays",
                    action.name
                );
                Ok(Some(Success::new(Outcome::Released, action.clone()).with_notice(notice)))
            }
            Ownership::Unowned | Ownership::Claimable | Ownership::Foreign => Ok(None),
        }
    }
}
