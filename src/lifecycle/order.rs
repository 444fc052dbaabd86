//! The order of the requests of a stack's resource: of two, the one that CloudFormation sent later
//! decides, whatever overlaps or arrives late.
//!
//! - A request that finds the [record](Record) of a later one changes nothing: it is *superseded*.
//! - Before a Create or an Update changes an action of its resource, it *claims* it: it writes its
//!   own record. So an earlier request that still runs sees it.
//! - Before each changing call, a Create or an Update *looks* at the actions that it has claimed
//!   and at the one with the physical id, unless it has read their records within a second.
//!
//! Events, messages and direct invocations have no such order: they leave no records, and none
//! supersedes them.

use std::{
    cell::{OnceCell, RefCell},
    cmp::Ordering,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    Stop,
    existing::{ExistingAction, unless_absent},
};
use crate::{
    iot::Session,
    mitigation::{
        Action, ActionName, CLAIMED_TAG, Definition, ErrorCode, Failure, Ownership, Record,
        Records, Request, TagChange, Tags,
    },
    sdk::CallError,
};

/// For how long what was read is fresh enough for a change.
const FRESH: Duration = Duration::from_secs(1);

/// A request that is being executed.
pub struct Context<'r> {
    pub iot: &'r Session<'r>,
    pub request: &'r Request,
    began: Instant,
    /// The actions at which to look before each change.
    watched: RefCell<Vec<Watched>>,
    /// The records of the action with the physical id, as first read.
    physical_records: OnceCell<Records>,
}

struct Watched {
    name: ActionName,
    read_at: Instant,
    /// What was read; `None` if there was no action.
    seen: Option<Ownership>,
}

impl<'r> Context<'r> {
    pub fn new(request: &'r Request, iot: &'r Session<'r>) -> Self {
        Self {
            iot,
            request,
            began: Instant::now(),
            watched: RefCell::default(),
            physical_records: OnceCell::new(),
        }
    }

    pub fn physical_name(&self) -> Option<&ActionName> {
        self.request.stack.as_ref()?.physical_name.as_ref()
    }

    /// The records of the action with the physical id, as they were before this request.
    pub fn physical_records(&self) -> Option<&Records> {
        self.physical_records.get()
    }

    /// Remembers the records of the action with the physical id, as first read, for the clean-up
    /// after this request.
    fn remember_physical_records(&self, name: &ActionName, records: &Records) {
        if self.physical_name() == Some(name) {
            self.physical_records.get_or_init(|| records.clone());
        }
    }

    pub fn ownership(&self, found: &ExistingAction) -> Ownership {
        self.request.owner.ownership(found.tags.owner())
    }

    pub fn record(&self) -> Option<Record> {
        self.request.stack.as_ref()?.record()
    }

    /// Whether `record` is of this request, in any delivery.
    pub fn is_own_record(&self, record: &Record) -> bool {
        self.request.stack.as_ref().is_some_and(|stack| stack.digest == record.request)
    }

    /// Whether the last record of an action is of a request that was sent later than this one.
    pub fn is_later(&self, found: &ExistingAction) -> bool {
        self.compare(found).is_some_and(Ordering::is_gt)
    }

    /// How the request of the last record compares with this one, by when they were sent; `None` if
    /// there is no record, or if it is this request's or of another resource.
    fn compare(&self, found: &ExistingAction) -> Option<Ordering> {
        let sent = self.request.stack.as_ref()?.sent;
        let last = found.records.last().filter(|last| !self.is_own_record(last))?;
        if self.ownership(found) == Ownership::OfAnother {
            return None;
        }
        Some(last.sent.cmp(&sent))
    }

    /// Looks up an action and its tags. Absence is believed only if `DescribeMitigationAction`
    /// confirms it, because the tags of a new action lag behind.
    ///
    /// # Errors
    /// That a later request supersedes this one: the action was there a moment ago and is gone, or
    /// it is watched and has changed hands.
    pub async fn find(&self, name: &ActionName) -> Result<Option<ExistingAction>, Stop> {
        let mut attempts = 0;
        loop {
            let read_at = Instant::now();
            let found = unless_absent(self.find_tags(name).await)?;
            if found.is_some() || unless_absent(self.iot.describe(name).await)?.is_none() {
                let was_there = attempts > 0 && self.record().is_some();
                if found.is_none() && was_there {
                    return Err(Stop::Superseded);
                }
                self.check(name, found.as_ref(), read_at)?;
                return Ok(found);
            }
            attempts += 1;
            self.iot.wait_for_tags(name, attempts).await?;
        }
    }

    /// Looks up an action and its tags, with one call if its ARN is known beforehand.
    ///
    /// # Errors
    /// `ResourceNotFoundException` if there is no such action, or if its tags lag behind.
    pub async fn find_tags(&self, name: &ActionName) -> Result<ExistingAction, Failure> {
        let read_at = Instant::now();
        let action = match &self.request.location {
            Some(location) => {
                Action { name: name.clone(), arn: name.arn(location), id: None, action_type: None }
            }
            None => self.iot.describe(name).await?.0,
        };
        let tags = self.iot.tags(&action.arn).await?;
        let records = tags.records(self.now());
        self.remember_physical_records(name, &records);
        Ok(ExistingAction { action, tags, records, read_at })
    }

    /// The time by which a record is of the future, in seconds since 1970. A request that is dated
    /// by the expiry of its URL is ahead of the clock, as are the others of its resource.
    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let sent = self.request.stack.as_ref().map_or(0, |stack| stack.sent);
        let by_requests = sent.saturating_add(self.began.elapsed().as_secs());
        since.unwrap_or_default().as_secs().max(by_requests)
    }

    /// Checks what was read of a watched action.
    fn check(
        &self,
        name: &ActionName,
        found: Option<&ExistingAction>,
        read_at: Instant,
    ) -> Result<(), Stop> {
        let mut watched = self.watched.borrow_mut();
        let Some(watched) = watched.iter_mut().find(|watched| watched.name == *name) else {
            return Ok(());
        };
        let seen = found.map(|found| self.ownership(found));
        let is_superseded = match (watched.seen, seen) {
            (_, None) => watched.seen.is_some(),
            (Some(before), Some(now)) if before.is_exclusive() && !now.is_exclusive() => true,
            (before, Some(Ownership::OfAnother)) => before != Some(Ownership::OfAnother),
            (_, Some(_)) => false,
        };
        // A request of the same second that came in between counts as later.
        let is_overtaken = found.and_then(|found| self.compare(found)).is_some_and(Ordering::is_ge);
        if is_superseded || is_overtaken {
            return Err(Stop::Superseded);
        }
        *watched = Watched { name: name.clone(), read_at, seen };
        Ok(())
    }

    /// Looks at an action before each change from now on.
    pub fn watch(&self, found: &ExistingAction) {
        let name = found.action.name.clone();
        self.add(Watched { name, read_at: found.read_at, seen: Some(self.ownership(found)) });
    }

    /// Looks at the name of an action that is not there before each change from now on.
    pub fn watch_absent(&self, name: &ActionName) {
        self.add(Watched { name: name.clone(), read_at: Instant::now(), seen: None });
    }

    fn add(&self, new: Watched) {
        let mut watched = self.watched.borrow_mut();
        if watched.iter().all(|watched| watched.name != new.name) {
            watched.push(new);
        }
    }

    /// Watches no action any more: the work is over.
    pub fn stop_watching(&self) {
        self.watched.take();
    }

    /// Reads the records of the watched actions that were read more than a second ago. A read that
    /// itself took that long is repeated; but a slow service must not keep a request from its work
    /// for ever.
    async fn look(&self) -> Result<(), Stop> {
        const MAX_READS: usize = 3;

        for _ in 0..MAX_READS {
            let stale = self.stale();
            if stale.is_empty() {
                break;
            }
            for name in &stale {
                self.find(name).await?;
            }
        }
        Ok(())
    }

    fn stale(&self) -> Vec<ActionName> {
        let watched = self.watched.borrow();
        let stale = watched.iter().filter(|watched| watched.read_at.elapsed() > FRESH);
        stale.map(|watched| watched.name.clone()).collect()
    }

    /// Makes a changing call until it succeeds or fails permanently, and looks before each attempt.
    pub async fn change<T>(
        &self,
        mut attempt: impl AsyncFnMut() -> Result<T, CallError>,
    ) -> Result<T, Stop> {
        let attempt = async || {
            self.look().await?;
            attempt().await.map_err(|error: CallError| error.map(Stop::Failed))
        };
        self.iot.retry(attempt).await
    }

    pub async fn update_definition(
        &self,
        name: &ActionName,
        Definition { role_arn, params }: &Definition,
    ) -> Result<Action, Stop> {
        self.change(async || self.iot.update(name, Some(role_arn), Some(params)).await).await
    }

    /// The tag with which this request claims an action; none if it has done so already.
    pub fn claim_tags(&self, found: &ExistingAction) -> Tags {
        match self.record() {
            Some(record) if !found.records.last().is_some_and(|last| self.is_own_record(last)) => {
                Tags::default().with(CLAIMED_TAG, record.to_string())
            }
            _ => Tags::default(),
        }
    }

    /// Claims an action of the resource, and sets `tags` in the same call.
    ///
    /// # Errors
    /// That a later request supersedes this one, which also an action that is gone says.
    pub async fn claim(&self, found: &ExistingAction, tags: &Tags) -> Result<(), Stop> {
        self.watch(found);
        if tags.is_empty() {
            return Ok(());
        }
        let arn = found.action.arn.as_str();
        superseded_if_absent(self.change(async || self.iot.tag(arn, tags).await).await)
    }

    /// Changes tags: removes first, so that the limit on their number is kept.
    pub async fn apply(&self, arn: &str, change: &TagChange) -> Result<(), Stop> {
        if !change.remove.is_empty() {
            self.change(async || self.iot.untag(arn, &change.remove).await).await?;
        }
        if !change.set.is_empty() {
            self.change(async || self.iot.tag(arn, &change.set).await).await?;
        }
        Ok(())
    }
}

/// An action that this request had found, and that is gone, was deleted by a later one.
pub fn superseded_if_absent<T>(result: Result<T, Stop>) -> Result<T, Stop> {
    match result {
        Err(Stop::Failed(failure)) if failure.is_response(ErrorCode::ResourceNotFound) => {
            Err(Stop::Superseded)
        }
        other => other,
    }
}
