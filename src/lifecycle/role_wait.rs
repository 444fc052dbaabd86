//! The wait for a new role, and how a request ends that has waited.

use tokio::time::sleep;

use super::{
    Lifecycle, is_defined_as,
    mark::{Mark, OVERTAKEN},
    now, unless_absent,
};
use crate::mitigation::{
    Change, Create, Definition, Detail, ErrorCode, Failure, Outcome, Success, Tags, Task,
};

/// How an action compares with what a request asks for.
enum Comparison {
    AsAsked(Success),
    /// The definition is as asked, the tags are not.
    TagsDiffer,
    /// Another definition, another owner, or no action.
    Different,
}

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
        if let (Ok(success), Task::Create(_)) = (&result, &self.request.task) {
            let consequence = "another delivery of this request may not know that it succeeded";
            self.or_warn(self.confirm(success).await, consequence);
        }
        if self.take_mark_off().await { result } else { self.end_without_mark(last).await }
    }

    /// A replacement that succeeds after a wait renews the request tag of the new action. So
    /// another delivery of it that finds the mark gone knows that this one has succeeded.
    async fn confirm(&self, success: &Success) -> Result<(), Failure> {
        let Some(action) = &success.action else { return Ok(()) };
        let milliseconds = now().max(self.began.saturating_add(1));
        let tags = self.with_request_tag(Tags::default(), milliseconds);
        self.iot.tag(&action.arn, &tags).await?;
        self.waiter.made_at.set(milliseconds);
        Ok(())
    }

    /// Deletes what this delivery of a replacement made, where no other delivery has confirmed it.
    async fn delete_own(&self, create: &Create) -> Result<(), Failure> {
        let Some(found) = self.find_consistently(&create.name).await? else { return Ok(()) };
        let made_at = found.tags.request().map(|tag| tag.milliseconds);
        if self.is_of_this_request(&found.tags) && made_at == Some(self.waiter.made_at.get()) {
            self.remove(&found).await?;
        }
        Ok(())
    }

    /// The end of a request that has lost its mark: it changes nothing, and succeeds only where the
    /// action is as it asks, as another delivery of it may have made it so. One that has the
    /// definition but not yet the tags may be that delivery's, at work. Otherwise it fails with
    /// `last`, the last failure that its role may have caused.
    async fn end_without_mark(&self, last: Option<Failure>) -> Result<Success, Failure> {
        /// Two or three seconds of waits: longer than an Update takes to change the tags.
        const MAX_LOOKS: u32 = 5;

        if let Task::Create(create) = &self.request.task {
            self.delete_own(create).await?;
        }
        let mut looks = 0;
        let success = loop {
            match self.compare().await? {
                Comparison::AsAsked(success) => break Some(success),
                Comparison::TagsDiffer if looks < MAX_LOOKS => looks += 1,
                Comparison::TagsDiffer | Comparison::Different => break None,
            }
            self.iot.back_off(looks).await?;
        };
        // A request that read the tags before the mark was there has not taken it off.
        self.take_mark_off().await;
        success.ok_or_else(|| match last {
            Some(last) => last.with_context(OVERTAKEN),
            None => self.overtaken(),
        })
    }

    /// Compares the action with what this request asks for.
    async fn compare(&self) -> Result<Comparison, Failure> {
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
                    Change::Parts { .. } => return Ok(Comparison::Different),
                },
                Task::Delete(_) | Task::Describe(_) => return Ok(Comparison::Different),
            };
        let Some(found) = unless_absent(self.find(name).await)? else {
            return Ok(Comparison::Different);
        };
        if !self.ownership(&found.tags).is_exclusive() {
            return Ok(Comparison::Different);
        }
        Ok(match unless_absent(self.iot.describe(name).await)? {
            Some((action, description)) if is_defined_as(&description, definition) => {
                if found.tags.change_to(tags, previous_keys).is_empty() {
                    Comparison::AsAsked(Success::new(outcome, action))
                } else {
                    Comparison::TagsDiffer
                }
            }
            _ => Comparison::Different,
        })
    }
}
