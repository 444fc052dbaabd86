//! The wait for a new role, and how a request ends that has waited.

use tokio::time::sleep;

use super::{
    Lifecycle, is_defined_as,
    mark::{Mark, OVERTAKEN},
    unless_absent,
};
use crate::mitigation::{
    Change, Create, Definition, Detail, ErrorCode, Failure, Outcome, Success, Task,
};

impl Lifecycle<'_> {
    /// Runs `attempt` again for as long as a new role may be the cause of its failure. The life
    /// cycle takes an attempt that is half done for a replay.
    pub(super) async fn with_role_wait(
        &self,
        attempt: impl AsyncFn() -> Result<Success, Failure>,
    ) -> Result<Success, Failure> {
        let mut last = None;
        let result = loop {
            let attempted = match self.check_mark().await {
                Ok(()) => attempt().await,
                Err(failure) => Err(failure),
            };
            let failure = match attempted {
                Err(failure) if self.may_be_new_role(&failure) => failure,
                result => break result,
            };
            let Some(wait) = self.iot.next_role_wait() else {
                break Err(self.iot.with_role_wait(failure));
            };
            last = Some(failure);
            self.put_mark().await;
            sleep(wait.min(self.iot.time_left())).await;
        };
        match self.waiter.mark.get() {
            Mark::None => result,
            Mark::Lost => self.end_without_mark(last).await,
            Mark::Held => self.end_with_mark(result, last).await,
        }
    }

    /// Whether a role that was made moments ago can be the cause.
    fn may_be_new_role(&self, failure: &Failure) -> bool {
        let is_refused =
            matches!(failure.code, ErrorCode::InvalidRequest | ErrorCode::AccessDenied);
        is_refused && matches!(failure.detail, Detail::Service(_)) && self.request.digest.is_some()
    }

    /// The end of a request that has waited, and holds its mark unless one look says otherwise.
    async fn end_with_mark(
        &self,
        result: Result<Success, Failure>,
        last: Option<Failure>,
    ) -> Result<Success, Failure> {
        match self.find_held().await {
            Ok(Some(_)) => {}
            Ok(None) => return self.end_without_mark(last).await,
            Err(failure) if failure.code.is_transient() => return Err(failure),
            // What cannot be looked at is taken for held.
            Err(_) => return result,
        }
        if self.take_mark_off().await { result } else { self.end_without_mark(last).await }
    }

    /// Deletes what this delivery of a replacement made, where no other delivery has met it.
    async fn delete_own(&self, create: &Create) -> Result<(), Failure> {
        let Some(found) = self.find_consistently(&create.name).await? else { return Ok(()) };
        let made_at = found.tags.request().map(|tag| tag.milliseconds);
        if self.is_of_this_request(&found.tags) && made_at == Some(self.began) {
            self.remove(&found).await?;
        }
        Ok(())
    }

    /// The end of a request that has lost its mark: it changes nothing, and succeeds only where the
    /// action is as it asks, as another delivery of it may have made it so. Otherwise it fails with
    /// `last`, the last failure that its role may have caused.
    async fn end_without_mark(&self, last: Option<Failure>) -> Result<Success, Failure> {
        if let Task::Create(create) = &self.request.task {
            self.delete_own(create).await?;
        }
        let success = self.find_as_asked().await?;
        // A request that read the tags before the mark was there has not taken it off.
        self.take_mark_off().await;
        success.ok_or_else(|| match last {
            Some(last) => last.with_context(OVERTAKEN),
            None => self.overtaken(),
        })
    }

    async fn find_as_asked(&self) -> Result<Option<Success>, Failure> {
        let (name, definition, tags, previous_keys, outcome): (_, &Definition, _, &[String], _) =
            match &self.request.task {
                Task::Create(Create { name, definition, tags, .. }) => {
                    (name, definition, tags, &[], Outcome::Created)
                }
                Task::Update(update) => match &update.change {
                    Change::Whole(definition) => (
                        &update.name,
                        definition,
                        &update.tags,
                        &update.previous_keys,
                        Outcome::Updated,
                    ),
                    Change::Parts { .. } => return Ok(None),
                },
                Task::Delete(_) | Task::Describe(_) => return Ok(None),
            };
        let Some(found) = unless_absent(self.find(name).await)? else { return Ok(None) };
        let change = found.tags.change_to(tags, previous_keys);
        if !self.ownership(&found.tags).is_exclusive() || !change.is_empty() {
            return Ok(None);
        }
        let Some((action, description)) = unless_absent(self.iot.describe(name).await)? else {
            return Ok(None);
        };
        Ok(is_defined_as(&description, definition).then(|| Success::new(outcome, action)))
    }
}
