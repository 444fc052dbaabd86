//! The wait for a new role, and the mark under which an Update waits, for its role or for tags that
//! lag behind.
//!
//! CloudFormation may cancel an Update that waits and roll it back at once, with another instance
//! of the function. So an Update that is about to wait puts a mark, its own digest, into the
//! request tag of the resource's current action. Every other request of the resource takes the mark
//! off before its first change, and the one that waited then changes nothing more.
//!
//! A rollback may read the tags before the mark is there. It takes no mark off, but it updates the
//! action: so the one that waits compares `lastModifiedDate` too. That date is the service's clock,
//! the other this function's; clocks that differ by more than the time between two requests make an
//! Update fail that might have succeeded, or miss such a rollback.

use tokio::time::sleep;

use super::{Found, Lifecycle, Mark, is_defined_as, now, unless_absent};
use crate::mitigation::{
    Change, Create, Definition, Detail, ErrorCode, Failure, Outcome, Success, Tags, Task,
};

const OVERTAKEN: &str = "a later request for this resource has taken over, so nothing is changed";

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
            let failure = match attempt().await {
                Err(failure) if self.may_be_new_role(&failure) => failure,
                result => break result,
            };
            let Some(wait) = self.iot.next_role_wait() else {
                break Err(self.iot.with_role_wait(failure));
            };
            last = Some(failure);
            self.put_mark().await?;
            sleep(wait).await;
            if let Err(lost) = self.check_mark().await {
                break Err(lost);
            }
        };
        match self.mark.get() {
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

    /// Puts the mark on the current action, where there is one with a request tag, before the first
    /// wait.
    pub(super) async fn put_mark(&self) -> Result<(), Failure> {
        if self.mark.get() != Mark::None {
            return Ok(());
        }
        let Some(found) = self.find_current().await? else { return Ok(()) };
        let Some(tag) = found.tags.request() else { return Ok(()) };
        if !self.ownership(&found.tags).is_exclusive() {
            return Ok(());
        }
        match self.set_mark(&found, tag, self.request.digest.clone()).await {
            Ok(()) => self.mark.set(Mark::Held),
            // The action was there a moment ago: a later request has deleted it.
            Err(failure) if failure.code == ErrorCode::ResourceNotFound => {
                self.mark.set(Mark::Lost);
            }
            // Where tags cannot be written, the request waits unmarked.
            Err(failure) if !failure.code.is_transient() => {}
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Checks that the mark is still there, where the request waits under one, and that no other
    /// request has changed the action.
    ///
    /// # Errors
    /// Where a later request has taken the mark off, or changed the action without it.
    pub(super) async fn check_mark(&self) -> Result<(), Failure> {
        if self.mark.get() == Mark::None {
            return Ok(());
        }
        if self.mark.get() == Mark::Held && self.find_held().await?.is_some() {
            return Ok(());
        }
        self.mark.set(Mark::Lost);
        Err(overtaken())
    }

    async fn find_current(&self) -> Result<Option<Found>, Failure> {
        match &self.request.current {
            None => Ok(None),
            Some(name) => unless_absent(self.find(name).await),
        }
    }

    /// The current action, where it carries the mark of this request.
    pub(super) async fn find_marked(&self) -> Result<Option<Found>, Failure> {
        let found = self.find_current().await?;
        Ok(found.filter(|found| {
            found.tags.request().is_some_and(|tag| tag.mark == self.request.digest)
        }))
    }

    /// As [`Self::find_marked`], where no other request has changed the action since this one
    /// began. The tags are read last, as a mark that is taken off is the likelier of the two.
    async fn find_held(&self) -> Result<Option<Found>, Failure> {
        let Some(name) = &self.request.current else { return Ok(None) };
        let Some((_, description)) = unless_absent(self.iot.describe(name).await)? else {
            return Ok(None);
        };
        let last_change = self.last_change.get();
        if description.modified.is_some_and(|date| date.milliseconds > last_change) {
            return Ok(None);
        }
        self.find_marked().await
    }

    /// The end of a request that has waited, and holds its mark unless one look says otherwise.
    async fn end_with_mark(
        &self,
        result: Result<Success, Failure>,
        last: Option<Failure>,
    ) -> Result<Success, Failure> {
        let Some(found) = self.find_held().await? else {
            self.mark.set(Mark::Lost);
            return self.end_without_mark(last).await;
        };
        if let (Ok(success), Task::Create(_)) = (&result, &self.request.task) {
            self.confirm(success).await?;
        }
        if let Some(tag) = found.tags.request() {
            self.set_mark(&found, tag, None).await?;
        }
        result
    }

    /// A replacement that succeeds after a wait renews the request tag of the new action. So
    /// another delivery of it that finds the mark gone knows that this one has succeeded.
    async fn confirm(&self, success: &Success) -> Result<(), Failure> {
        let Some(action) = &success.action else { return Ok(()) };
        let milliseconds = now().max(self.began.saturating_add(1));
        let tags = self.with_request_tag(Tags::default(), milliseconds);
        self.iot.tag(&action.arn, &tags).await
    }

    /// Deletes what this delivery of a replacement made, where no other delivery has confirmed it.
    async fn delete_own(&self, create: &Create) -> Result<(), Failure> {
        let Some(found) = self.find_consistently(&create.name).await? else { return Ok(()) };
        let is_of_this_delivery = self.is_of_this_request(&found.tags)
            && found.tags.request().is_some_and(|tag| tag.milliseconds == self.began);
        if is_of_this_delivery {
            self.remove(&found).await?;
        }
        Ok(())
    }

    /// The end of a request that has lost its mark: it changes nothing, and succeeds only where the
    /// action is as it asks, as another delivery of it may have made it so. One that has the
    /// definition but not yet the tags may be that delivery's, at work. Otherwise it fails with
    /// `last`, the last failure that its role may have caused.
    async fn end_without_mark(&self, last: Option<Failure>) -> Result<Success, Failure> {
        /// Some three seconds of waits: longer than an Update takes to change the tags.
        const MAX_LOOKS: u32 = 5;

        if let Task::Create(create) = &self.request.task {
            self.delete_own(create).await?;
        }
        let mut looks = 0;
        loop {
            match self.compare().await? {
                Comparison::AsAsked(success) => return Ok(success),
                Comparison::TagsDiffer if looks < MAX_LOOKS => looks += 1,
                Comparison::TagsDiffer | Comparison::Different => break,
            }
            self.iot.back_off(looks).await?;
        }
        // A request that read the tags before the mark was there has not taken it off.
        if let Some(found) = self.find_marked().await?
            && let Some(tag) = found.tags.request()
        {
            self.set_mark(&found, tag, None).await?;
        }
        Err(last.map_or_else(overtaken, |last| last.with_context(OVERTAKEN)))
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

fn overtaken() -> Failure {
    Failure::refusal(ErrorCode::InternalFailure, OVERTAKEN)
}
