//! The lifecycle: creates, updates, deletes and describes an action for any trigger, and changes
//! only actions of the request's owner.
//!
//! Ownership is the owner tag. The create call sets it, and every change checks it first. Nothing
//! is remembered: each operation reads from the service what an earlier delivery of the same
//! request may have done, so that a replay changes nothing more. An operation on a stack's action
//! also reads and writes its request tag: see [`mark`] and [`orphan`].

mod create;
mod delete;
mod mark;
mod orphan;
mod role_wait;
mod update;
mod wait_state;

use std::time::SystemTime;

use self::wait_state::WaitState;
use crate::{
    iot::Session,
    mitigation::{
        Action, ActionName, Definition, Description, ErrorCode, Failure, Outcome, Ownership,
        REQUEST_TAG, Request, RequestTag, Success, TagChange, Tags, Task, owned_by,
    },
};

/// Executes `request` with the calls of `iot`.
///
/// # Errors
/// If the service rejects the request, or if it would change an action of another owner.
pub async fn execute(request: &Request, iot: &Session<'_>) -> Result<Success, Failure> {
    let lifecycle = Lifecycle::new(request, iot);
    match &request.task {
        Task::Create(create) => {
            lifecycle.with_role_wait(async || lifecycle.create(create).await).await
        }
        Task::Update(update) => {
            let attempt = async || {
                if let Some(orphan) = request.orphan() {
                    lifecycle.remove_orphan(orphan).await?;
                }
                lifecycle.update(update).await
            };
            lifecycle.with_role_wait(attempt).await
        }
        Task::Delete(delete) => lifecycle.delete(delete).await,
        Task::Describe(name) => lifecycle.describe(name).await,
    }
}

/// One request being executed.
struct Lifecycle<'r> {
    iot: &'r Session<'r>,
    request: &'r Request,
    /// When the request began, as its request tag says: milliseconds since 1970.
    began: u64,
    /// Its state while it waits.
    wait: WaitState,
}

/// An action that was looked up.
struct ExistingAction {
    action: Action,
    tags: Tags,
}

impl<'r> Lifecycle<'r> {
    fn new(request: &'r Request, iot: &'r Session<'r>) -> Self {
        Self { iot, request, began: now(), wait: WaitState::new() }
    }

    async fn describe(&self, name: &ActionName) -> Result<Success, Failure> {
        let mut attempts = 0;
        loop {
            let (action, description) = self.iot.describe(name).await?;
            if let Some(tags) = unless_absent(self.iot.tags(&action.arn).await)? {
                let description = Box::new(Description { tags, ..description });
                return Ok(Success::new(Outcome::Described(description), action));
            }
            // The action is there, so its tags lag behind; or it has been deleted since.
            attempts += 1;
            self.wait_for_tags(name, attempts).await?;
        }
    }

    /// Looks up the tags of the action of that name, with one call if its ARN is known beforehand.
    ///
    /// # Errors
    /// [`ErrorCode::ResourceNotFound`] if there is no such action, or if its tags lag behind.
    async fn find(&self, name: &ActionName) -> Result<ExistingAction, Failure> {
        let action = match &self.request.location {
            Some(location) => {
                Action { name: name.clone(), arn: name.arn(location), id: None, action_type: None }
            }
            None => self.iot.describe(name).await?.0,
        };
        let tags = self.iot.tags(&action.arn).await?;
        Ok(ExistingAction { action, tags })
    }

    /// As [`Self::find`], but absent only if `DescribeMitigationAction` confirms it, because tags
    /// may lag behind.
    async fn find_consistently(
        &self,
        name: &ActionName,
    ) -> Result<Option<ExistingAction>, Failure> {
        let mut attempts = 0;
        loop {
            if let Some(found) = unless_absent(self.find(name).await)? {
                return Ok(Some(found));
            }
            if unless_absent(self.iot.describe(name).await)?.is_none() {
                return Ok(None);
            }
            attempts += 1;
            self.iot.back_off(attempts).await?;
        }
    }

    /// Waits for the tags of an action, which lag behind.
    ///
    /// # Errors
    /// After more attempts than a lag can explain.
    async fn wait_for_tags(&self, name: &ActionName, attempts: u32) -> Result<(), Failure> {
        /// Some ten seconds of waits: longer than tags lag behind.
        const MAX_ATTEMPTS: u32 = 8;

        if attempts == MAX_ATTEMPTS {
            let text = format!("the action {name} exists, but its tags are not found");
            return Err(Failure::service(ErrorCode::InternalFailure, text));
        }
        self.add_mark().await;
        self.iot.back_off(attempts).await
    }

    /// What the owner tag of `tags` allows the owner of this request.
    fn ownership(&self, tags: &Tags) -> Ownership {
        self.request.owner.ownership(tags.owner())
    }

    /// Changes tags: removes first, so that the limit on their number is kept.
    async fn apply(&self, arn: &str, change: TagChange) -> Result<(), Failure> {
        if !change.remove.is_empty() {
            self.iot.writes_after(&|| self.before_change()).untag(arn, change.remove).await?;
        }
        if !change.set.is_empty() {
            self.iot.writes_after(&|| self.before_change()).tag(arn, &change.set).await?;
        }
        Ok(())
    }

    /// Updates the definition of an action.
    async fn update_definition(
        &self,
        name: &ActionName,
        wanted: &Definition,
    ) -> Result<Action, Failure> {
        let Definition { role_arn, params } = wanted;
        let before_change = || self.before_change();
        let writes = self.iot.writes_after(&before_change);
        let action = writes.update(name, Some(role_arn), Some(params)).await?;
        if self.request.current() == Some(name) {
            self.wait.has_updated_definition.set(true);
        }
        Ok(action)
    }

    /// `tags` with the request tag of this request, where it has one.
    fn with_request_tag(&self, tags: Tags, acquired_at: u64) -> Tags {
        match self.request.digest() {
            None => tags,
            Some(digest) => {
                let tag = RequestTag { acquired_at, request: digest.clone(), mark: None };
                tags.with(REQUEST_TAG, tag.to_string())
            }
        }
    }

    /// Whether this request, in this or another delivery, created or last took over the action with
    /// `tags`.
    fn is_of_this_request(&self, tags: &Tags) -> bool {
        let tag = tags.request();
        tag.is_some_and(|tag| Some(&tag.request) == self.request.digest())
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `None` if the failure is that AWS IoT finds no such action.
fn unless_absent<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.is_response(ErrorCode::ResourceNotFound) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn is_defined_as(found: &Description, wanted: &Definition) -> bool {
    found.role_arn.as_ref() == Some(&wanted.role_arn)
        && found.params.as_ref() == Some(&wanted.params)
}

/// The change from `tags` to `desired`.
///
/// # Errors
/// If the action would have more tags than the service allows.
fn tag_change(
    found: &ExistingAction,
    desired: &Tags,
    previous_keys: &[String],
) -> Result<TagChange, Failure> {
    let change = found.tags.change_to(desired, previous_keys);
    let count = found.tags.len_after(&change);
    if count <= Tags::MAX || count <= found.tags.len() {
        return Ok(change);
    }
    let text = format!(
        "the action {} would have {count} tags, including those of others: expected at most {}",
        found.action.name,
        Tags::MAX
    );
    Err(Failure::refusal(ErrorCode::InvalidRequest, text))
}

/// The failure of a request that would change another owner's action.
fn not_owned(found: &ExistingAction, verb: &str) -> Failure {
    let Action { name, arn, .. } = &found.action;
    let owner = owned_by(found.tags.owner());
    let text = format!("this request may not {verb} the action {name} ({arn}), {owner}");
    Failure::refusal(ErrorCode::InvalidRequest, text)
}
