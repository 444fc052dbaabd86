//! The mark under which an Update waits, for its role or for tags that lag behind.
//!
//! CloudFormation may cancel an Update that waits and roll it back at once, with another instance
//! of the function. So an Update that is about to wait puts a mark into the request tag of the
//! resource's current action: its own digest, and when it began. Every later request of the
//! resource takes the mark off before its first change, and the one that waited then changes
//! nothing more.
//!
//! A rollback that reads the tags before the mark is there takes nothing off. But it updates the
//! action to the definition that it has already: `lastModifiedDate` moves, the definition does not.
//! So the one that waits compares both with what it read when it put its mark.

use std::cell::{Cell, RefCell};

use super::{Found, Lifecycle, is_defined_as, unless_absent};
use crate::mitigation::{
    Change, Definition, Description, ErrorCode, Failure, REQUEST_TAG, RequestMark, RequestTag,
    Tags, Task,
};

pub(super) const OVERTAKEN: &str =
    "a later request for this resource has taken over, so nothing is changed";

/// What a request knows as one that waits.
pub(super) struct Waiter {
    pub mark: Cell<Mark>,
    /// The current action once the mark was on it, where it could be read.
    baseline: RefCell<Option<Description>>,
    /// Whether this request has updated the definition of the current action.
    pub has_redefined: Cell<bool>,
}

/// The mark of a request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The request does not wait, or has nothing to mark.
    None,
    /// The current action carries the mark.
    Held,
    /// A later request of the resource has taken the mark off, or changed the action without it.
    Lost,
}

impl Waiter {
    pub fn new() -> Self {
        Self {
            mark: Cell::new(Mark::None),
            baseline: RefCell::default(),
            has_redefined: Cell::default(),
        }
    }
}

impl Lifecycle<'_> {
    /// Puts the mark on the current action before the first wait. Where there is no action, or no
    /// tag to add to, or a call fails, the request waits unmarked.
    pub(super) async fn put_mark(&self) {
        if self.waiter.mark.get() == Mark::None {
            drop(self.try_put_mark().await);
        }
    }

    async fn try_put_mark(&self) -> Result<(), Failure> {
        let Some(before) = self.describe_current().await? else { return Ok(()) };
        let Some(found) = self.find_current().await? else { return Ok(()) };
        let Some(tag) = found.tags.request() else { return Ok(()) };
        if !self.ownership(&found.tags).is_exclusive() {
            return Ok(());
        }
        let is_overtaken = self.was_changed(&before)
            || tag.mark.as_ref().is_some_and(|mark| self.is_later(mark))
            || !self.set_mark(&found, &tag, self.own_mark()).await?;
        if is_overtaken {
            self.waiter.mark.set(Mark::Lost);
            return Ok(());
        }
        self.waiter.mark.set(Mark::Held);
        let after = self.describe_current().await?;
        let baseline = match after {
            Some(after) if after.modified != before.modified && is_same(&after, &before) => {
                self.tell_apart(&found, &tag, &after).await?
            }
            after => after,
        };
        match baseline {
            None => self.waiter.mark.set(Mark::Lost),
            baseline => drop(self.waiter.baseline.replace(baseline)),
        }
        Ok(())
    }

    /// `lastModifiedDate` moved while the mark was put: by a rollback, or because the service
    /// counts a tag as a change. Puts the mark once more to tell them apart; `None` for a rollback.
    async fn tell_apart(
        &self,
        found: &Found,
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
        let is_as_asked =
            self.definition().is_some_and(|wanted| is_defined_as(description, wanted));
        if self.waiter.has_redefined.get() {
            return !is_as_asked;
        }
        let is_newer = description.modified.as_ref().is_some_and(|d| d.milliseconds > self.began);
        is_newer && !is_as_asked
    }

    /// Whether the mark is of this request, in this delivery or another.
    fn is_own(&self, mark: &RequestMark) -> bool {
        Some(&mark.request) == self.request.digest.as_ref()
    }

    /// Whether the mark is of another request, which began later than this one.
    fn is_later(&self, mark: &RequestMark) -> bool {
        !self.is_own(mark) && mark.began > self.began
    }

    fn own_mark(&self) -> Option<RequestMark> {
        let request = self.request.digest.clone()?;
        Some(RequestMark { request, began: self.began })
    }

    /// The definition that this request asks for, of the current action.
    fn definition(&self) -> Option<&Definition> {
        match &self.request.task {
            Task::Update(update) => match &update.change {
                Change::Whole(definition) => Some(definition),
                Change::Parts { .. } => None,
            },
            Task::Create(_) | Task::Delete(_) | Task::Describe(_) => None,
        }
    }

    /// Makes a call that changes something. A request that waits under a mark looks before each
    /// attempt whether it still holds it.
    ///
    /// # Errors
    /// Those of the call; and where a later request has taken over.
    pub(super) async fn unless_overtaken<T>(
        &self,
        call: impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut attempts = 0;
        loop {
            self.check_mark().await?;
            let is_marked = self.waiter.mark.get() == Mark::Held;
            self.iot.set_max_attempts(if is_marked { 1 } else { u32::MAX });
            let result = call().await;
            self.iot.set_max_attempts(u32::MAX);
            match result {
                Err(failure) if is_marked && failure.code.is_transient() => {}
                result => return result,
            }
            attempts += 1;
            self.iot.back_off(attempts).await?;
        }
    }

    /// Checks that the request still holds its mark, where it waits under one.
    ///
    /// # Errors
    /// Where a later request has taken over.
    pub(super) async fn check_mark(&self) -> Result<(), Failure> {
        let is_held = match self.waiter.mark.get() {
            Mark::None => true,
            Mark::Held => self.find_held().await?.is_some(),
            Mark::Lost => false,
        };
        if is_held { Ok(()) } else { Err(self.overtaken()) }
    }

    /// The failure of a request that is not the latest one, which has lost its mark.
    pub(super) fn overtaken(&self) -> Failure {
        self.waiter.mark.set(Mark::Lost);
        Failure::refusal(ErrorCode::InternalFailure, OVERTAKEN)
    }

    /// The current action, where no later request has taken over. The tags are read last, as a mark
    /// that is taken off is the likelier sign.
    pub(super) async fn find_held(&self) -> Result<Option<Found>, Failure> {
        let baseline = self.waiter.baseline.borrow().clone();
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
        // The mark of an earlier request, which was on its way when this one put its own.
        let is_put = !self.is_later(mark) && self.set_mark(&found, tag, self.own_mark()).await?;
        Ok(is_put.then_some(found))
    }

    /// Whether a request that met no mark has changed the action since. One that changed the
    /// definition is an earlier one, or another delivery of this one, unless this one had set it.
    fn is_rolled_back(&self, description: &Description, baseline: &Description) -> bool {
        let is_moved = description.modified != baseline.modified;
        is_moved
            && if self.waiter.has_redefined.get() {
                self.definition().is_some_and(|wanted| !is_defined_as(description, wanted))
            } else {
                is_same(description, baseline)
            }
    }

    /// The current action, where it carries the mark of this request.
    pub(super) async fn find_marked(&self) -> Result<Option<Found>, Failure> {
        let found = self.find_current().await?;
        Ok(found.filter(|found| {
            let mark = found.tags.request().and_then(|tag| tag.mark);
            mark.is_some_and(|mark| self.is_own(&mark))
        }))
    }

    async fn find_current(&self) -> Result<Option<Found>, Failure> {
        match &self.request.current {
            None => Ok(None),
            Some(name) => unless_absent(self.find(name).await),
        }
    }

    async fn describe_current(&self) -> Result<Option<Description>, Failure> {
        let Some(name) = &self.request.current else { return Ok(None) };
        let described = unless_absent(self.iot.describe(name).await)?;
        Ok(described.map(|(_, description)| description))
    }

    /// Takes the mark of an earlier request off, which then changes nothing more.
    ///
    /// # Errors
    /// Where the mark is of a later one.
    pub(super) async fn clear_mark(&self, found: &Found) -> Result<(), Failure> {
        let Some(tag @ RequestTag { mark: Some(mark), .. }) = &found.tags.request() else {
            return Ok(());
        };
        if self.is_own(mark) {
            return Ok(());
        }
        if self.is_later(mark) {
            return Err(self.overtaken());
        }
        self.set_mark(found, tag, None).await?;
        Ok(())
    }

    /// Takes the own mark off at the end; `false` where it is not there any more. Where a call
    /// fails, the next request takes it off.
    pub(super) async fn take_mark_off(&self) -> bool {
        let taken_off = async {
            let Some(found) = self.find_marked().await? else { return Ok(false) };
            let Some(tag) = found.tags.request() else { return Ok(false) };
            self.set_mark(&found, &tag, None).await
        };
        match taken_off.await {
            Ok(is_taken_off) => is_taken_off,
            Err(failure) => {
                let text = failure.message(usize::MAX);
                self.iot.warn(format!("the mark of this request stays on the action: {text}"));
                true
            }
        }
    }

    /// Sets the mark in the request tag of an action; `false` where the action is gone.
    async fn set_mark(
        &self,
        found: &Found,
        tag: &RequestTag,
        mark: Option<RequestMark>,
    ) -> Result<bool, Failure> {
        let tag = tag.clone().marked(mark).to_string();
        let tags = Tags::default().with(REQUEST_TAG, tag);
        Ok(unless_absent(self.iot.tag(&found.action.arn, &tags).await)?.is_some())
    }
}

fn is_same(one: &Description, other: &Description) -> bool {
    one.role_arn == other.role_arn && one.params == other.params
}
