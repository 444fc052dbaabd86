//! The mark of an Update, in place or by replacement, that waits: for its role, or for tags that
//! lag behind.
//!
//! CloudFormation may cancel an Update that waits and roll it back at once, in another instance of
//! the function. So before an Update waits, it adds a mark to the request tag of the resource's
//! current action: its own digest, and when it began. Every later request for the resource removes
//! the mark before its first change. The Update checks its mark before each attempt of a change; if
//! the mark is gone, a later request has superseded it, and it changes nothing more.
//!
//! A rollback that reads the tags before the mark is there removes nothing. But it updates the
//! action to the definition that the action already has: `lastModifiedDate` changes, the definition
//! does not. So the Update compares both with what it read when it added its mark.

use futures_util::future::LocalBoxFuture;

use super::{ExistingAction, Lifecycle, is_defined_as, unless_absent, wait_state::MarkState};
use crate::mitigation::{
    Change, Definition, Description, ErrorCode, Failure, REQUEST_TAG, RequestMark, RequestTag,
    Tags, Task,
};

pub(super) const SUPERSEDED: &str =
    "a later request for this resource has taken over, so nothing is changed";

impl Lifecycle<'_> {
    /// Adds the mark to the current action before the first wait. If there is no action or no
    /// request tag, or a call fails, the request waits unmarked.
    pub(super) async fn add_mark(&self) {
        if self.wait.mark.get() == MarkState::None {
            drop(self.try_add_mark().await);
        }
    }

    async fn try_add_mark(&self) -> Result<(), Failure> {
        let Some(before) = self.describe_current().await? else { return Ok(()) };
        let Some(found) = self.find_current().await? else { return Ok(()) };
        let Some(tag) = found.tags.request() else { return Ok(()) };
        if !self.ownership(&found.tags).is_exclusive() {
            return Ok(());
        }
        let is_superseded = self.was_changed(&before)
            || tag.mark.as_ref().is_some_and(|mark| self.is_later(mark))
            || !self.set_mark(&found, &tag, self.own_mark()).await?;
        if is_superseded {
            self.wait.mark.set(MarkState::Superseded);
            return Ok(());
        }
        self.wait.mark.set(MarkState::Active);
        let after = self.describe_current().await?;
        let baseline = match after {
            Some(after) if after.modified != before.modified && is_same(&after, &before) => {
                self.confirm_no_rollback(&found, &tag, &after).await?
            }
            after => after,
        };
        match baseline {
            None => self.wait.mark.set(MarkState::Superseded),
            baseline => drop(self.wait.baseline.replace(baseline)),
        }
        Ok(())
    }

    /// `lastModifiedDate` changed while the mark was added: by a rollback, or because the service
    /// counts a tag as a change. Adds the mark once more to find out which; `None` for a rollback.
    async fn confirm_no_rollback(
        &self,
        found: &ExistingAction,
        tag: &RequestTag,
        after: &Description,
    ) -> Result<Option<Description>, Failure> {
        self.set_mark(found, tag, self.own_mark()).await?;
        let last = self.describe_current().await?;
        Ok(last.filter(|last| last.modified != after.modified))
    }

    /// Whether another request changed the current action between the beginning of this one and its
    /// first wait. The date is by the service's clock, the beginning by this function's.
    fn was_changed(&self, description: &Description) -> bool {
        let is_as_requested =
            self.definition().is_some_and(|wanted| is_defined_as(description, wanted));
        if self.wait.has_updated_definition.get() {
            return !is_as_requested;
        }
        let is_newer = description.modified.as_ref().is_some_and(|d| d.milliseconds > self.began);
        is_newer && !is_as_requested
    }

    /// Whether the mark is of this request, in this delivery or another.
    fn is_own(&self, mark: &RequestMark) -> bool {
        Some(&mark.request) == self.request.digest()
    }

    /// Whether the mark is of another request, which began later than this one.
    fn is_later(&self, mark: &RequestMark) -> bool {
        !self.is_own(mark) && mark.began > self.began
    }

    fn own_mark(&self) -> Option<RequestMark> {
        let request = self.request.digest()?.clone();
        Some(RequestMark { request, began: self.began })
    }

    /// The definition that this request asks for, of the current action.
    fn definition(&self) -> Option<&Definition> {
        match &self.request.task {
            Task::Update(update) => match &update.change {
                Change::Whole { definition, .. } => Some(definition),
                Change::Parts { .. } => None,
            },
            Task::Create(_) | Task::Delete(_) | Task::Describe(_) => None,
        }
    }

    /// Runs before each attempt of a call that changes something.
    ///
    /// # Errors
    /// As [`Self::check_mark`].
    //
    // Without `inline` the library would get its own copy of everything that this future polls, in
    // addition to the binary's: 200 KB.
    #[inline]
    pub(super) fn before_change(&self) -> LocalBoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.check_mark())
    }

    /// Checks that the mark is still there, if the request has added one.
    ///
    /// # Errors
    /// If a later request has superseded this one.
    pub(super) async fn check_mark(&self) -> Result<(), Failure> {
        let is_active = match self.wait.mark.get() {
            MarkState::None => true,
            MarkState::Active => self.find_active().await?.is_some(),
            MarkState::Superseded => false,
        };
        if is_active { Ok(()) } else { Err(self.superseded()) }
    }

    /// The failure of a request that a later one has superseded.
    pub(super) fn superseded(&self) -> Failure {
        self.wait.mark.set(MarkState::Superseded);
        Failure::refusal(ErrorCode::InternalFailure, SUPERSEDED)
    }

    /// The current action, unless a later request has superseded this one. Reads the tags last, as
    /// most later requests remove the mark.
    pub(super) async fn find_active(&self) -> Result<Option<ExistingAction>, Failure> {
        let baseline = self.wait.baseline.borrow().clone();
        if let Some(baseline) = baseline {
            match self.describe_current().await? {
                Some(description) if !self.is_rolled_back(&description, &baseline) => {}
                _ => return Ok(None),
            }
        }
        let Some(found) = self.find_current().await? else { return Ok(None) };
        let Some(tag @ RequestTag { mark: Some(mark), .. }) = &found.tags.request() else {
            return Ok(None);
        };
        if self.is_own(mark) {
            return Ok(Some(found));
        }
        // An earlier request added its mark at the same time as this one.
        let is_set_again =
            !self.is_later(mark) && self.set_mark(&found, tag, self.own_mark()).await?;
        Ok(is_set_again.then_some(found))
    }

    /// Whether a request that did not see the mark has changed the action since. One that changed
    /// the definition is an earlier one, or another delivery of this one, unless this one had
    /// already updated it.
    fn is_rolled_back(&self, description: &Description, baseline: &Description) -> bool {
        let has_new_date = description.modified != baseline.modified;
        has_new_date
            && if self.wait.has_updated_definition.get() {
                self.definition().is_some_and(|wanted| !is_defined_as(description, wanted))
            } else {
                is_same(description, baseline)
            }
    }

    /// The current action, where it carries the mark of this request.
    pub(super) async fn find_marked(&self) -> Result<Option<ExistingAction>, Failure> {
        let found = self.find_current().await?;
        Ok(found.filter(|found| {
            let mark = found.tags.request().and_then(|tag| tag.mark);
            mark.is_some_and(|mark| self.is_own(&mark))
        }))
    }

    async fn find_current(&self) -> Result<Option<ExistingAction>, Failure> {
        match self.request.current() {
            None => Ok(None),
            Some(name) => unless_absent(self.find(name).await),
        }
    }

    async fn describe_current(&self) -> Result<Option<Description>, Failure> {
        let Some(name) = self.request.current() else { return Ok(None) };
        let described = unless_absent(self.iot.describe(name).await)?;
        Ok(described.map(|(_, description)| description))
    }

    /// Removes the mark of an earlier request, which then changes nothing more.
    ///
    /// # Errors
    /// If a later request added it.
    pub(super) async fn clear_mark(&self, found: &ExistingAction) -> Result<(), Failure> {
        let Some(tag @ RequestTag { mark: Some(mark), .. }) = &found.tags.request() else {
            return Ok(());
        };
        if self.is_own(mark) {
            return Ok(());
        }
        if self.is_later(mark) {
            return Err(self.superseded());
        }
        self.set_mark(found, tag, None).await?;
        Ok(())
    }

    /// Removes the request's own mark at its end; `false` if it is no longer there. If a call
    /// fails, the next request removes it.
    pub(super) async fn remove_mark(&self) -> bool {
        let removal = async {
            let Some(found) = self.find_marked().await? else { return Ok(false) };
            let Some(tag) = found.tags.request() else { return Ok(false) };
            self.set_mark(&found, &tag, None).await
        };
        match removal.await {
            Ok(is_removed) => is_removed,
            Err(failure) => {
                let text = failure.message(usize::MAX);
                self.iot.warn(format!("{REQUEST_TAG} still says that this request waits: {text}"));
                true
            }
        }
    }

    /// Sets the mark in the request tag of an action; `false` if the action is gone.
    async fn set_mark(
        &self,
        found: &ExistingAction,
        tag: &RequestTag,
        mark: Option<RequestMark>,
    ) -> Result<bool, Failure> {
        let tag = tag.clone().marked(mark).to_string();
        let tags = Tags::default().with(REQUEST_TAG, tag);
        Ok(unless_absent(self.iot.writes().tag(&found.action.arn, &tags).await)?.is_some())
    }
}

fn is_same(one: &Description, other: &Description) -> bool {
    one.role_arn == other.role_arn && one.params == other.params
}
