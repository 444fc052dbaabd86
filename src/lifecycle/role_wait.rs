//! The wait for a new role, and how a request that has waited ends.

use tokio::time::sleep;

use super::{Lifecycle, is_defined_as, mark::SUPERSEDED, unless_absent, wait_state::MarkState};
use crate::mitigation::{Change, Create, Definition, ErrorCode, Failure, Outcome, Success, Task};

impl Lifecycle<'_> {
    /// Repeats `attempt` for as long as a new role may be the cause of its failure. An attempt
    /// continues what an earlier one has done, as a replay does.
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
                break Err(self.iot.describe_role_wait(failure));
            };
            last = Some(failure);
            self.add_mark().await;
            sleep(wait.min(self.iot.time_left())).await;
        };
        match self.wait.mark.get() {
            MarkState::None => result,
            MarkState::Superseded => self.end_superseded(last).await,
            MarkState::Active => self.end_marked(result, last).await,
        }
    }

    /// Whether a role that was created moments ago may be the cause.
    fn may_be_new_role(&self, failure: &Failure) -> bool {
        let is_refused = [ErrorCode::InvalidRequest, ErrorCode::AccessDenied]
            .into_iter()
            .any(|code| failure.is_response(code));
        is_refused && self.request.stack.is_some()
    }

    /// The end of a request that has waited, and whose mark was there when it last checked.
    async fn end_marked(
        &self,
        result: Result<Success, Failure>,
        last: Option<Failure>,
    ) -> Result<Success, Failure> {
        match self.find_active().await {
            Ok(Some(_)) => {}
            Ok(None) => return self.end_superseded(last).await,
            Err(failure) if failure.is_transient() => return Err(failure),
            // A mark that cannot be read is assumed to be active.
            Err(_) => return result,
        }
        if self.remove_mark().await { result } else { self.end_superseded(last).await }
    }

    /// Deletes what this delivery of a replacement created, if no other delivery has found it.
    async fn delete_own(&self, create: &Create) -> Result<(), Failure> {
        let Some(found) = self.find_consistently(&create.name).await? else { return Ok(()) };
        let created_at = found.tags.request().map(|tag| tag.acquired_at);
        if self.is_of_this_request(&found.tags) && created_at == Some(self.began) {
            self.remove(&found).await?;
        }
        Ok(())
    }

    /// The end of a request that a later one has superseded: it deletes what this delivery of a
    /// replacement created, changes nothing else, and succeeds only if the action is as requested,
    /// as another delivery of the request may have made it so. Otherwise it fails with `last`, the
    /// last failure that its role may have caused.
    async fn end_superseded(&self, last: Option<Failure>) -> Result<Success, Failure> {
        match &self.request.task {
            Task::Create(create) => self.delete_own(create).await?,
            Task::Update(_) | Task::Delete(_) | Task::Describe(_) => {}
        }
        let success = self.find_desired().await?;
        // A request that read the tags before the mark was there has not removed it.
        self.remove_mark().await;
        success.ok_or_else(|| match last {
            Some(last) => last.with_context(SUPERSEDED),
            None => self.superseded(),
        })
    }

    async fn find_desired(&self) -> Result<Option<Success>, Failure> {
        let (name, definition, tags, previous_keys, outcome): (_, &Definition, _, &[String], _) =
            match &self.request.task {
                Task::Create(Create { name, definition, tags, .. }) => {
                    (name, definition, tags, &[], Outcome::Created)
                }
                Task::Update(update) => match &update.change {
                    Change::Whole { definition, .. } => (
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
