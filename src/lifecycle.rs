//! The verbs: make, change, delete and read an action, whoever asks, and touch only what is theirs.
//!
//! Ownership is the owner tag, put in with the create call and proven before every change. No verb remembers anything:
//! each reads from the service what an earlier delivery of the same request may have done, so that a replay is free.

use std::time::SystemTime;

use crate::{
    iot::Session,
    mitigation::{
        Action, ActionName, Change, Code, Create, Definition, Delete, Described, Failure, Foreign,
        OWNER_TAG, OnConflict, Outcome, Owner, Place, Replay, Request, Standing, Tags, Task,
        Update, Verdict,
    },
};

/// Carries out `request` with the calls of `iot`.
///
/// # Errors
/// Where the request cannot be carried out: by the service's word, or because it would change what is not its owner's.
pub async fn carry_out(request: &Request, iot: &Session<'_>) -> Result<Outcome, Failure> {
    let life = Lifecycle { iot, owner: &request.owner, place: request.place.as_ref() };
    if let Some(leftover) = &request.leftover {
        life.release(leftover, false).await?;
    }
    match &request.task {
        Task::Create(create) => life.create(create).await,
        Task::Update(update) => life.update(update).await,
        Task::Delete(delete) => life.delete(delete).await,
        Task::Describe(name) => life.describe(name).await,
    }
}

struct Lifecycle<'r> {
    iot: &'r Session<'r>,
    owner: &'r Owner,
    place: Option<&'r Place>,
}

/// What [`Lifecycle::release`] found under a name, and what it left there.
enum Released {
    Deleted(Action),
    Disowned(Action),
    Foreign(Action, String),
    Absent,
}

impl Lifecycle<'_> {
    async fn create(&self, wanted: &Create) -> Result<Outcome, Failure> {
        let began = SystemTime::now();
        let result = self.make(wanted).await;
        if result.is_err() && wanted.undo && self.iot.tally().lost_creates.get() > 0 {
            self.undo(&wanted.name, began).await;
        }
        result
    }

    /// One create call; whatever else is only where the name is taken. An action that goes away in between is made again.
    async fn make(&self, wanted: &Create) -> Result<Outcome, Failure> {
        const ROUNDS: u32 = 5;

        let tags = wanted.tags.owned_by(self.owner.made());
        let mut round = 1;
        loop {
            match self.iot.create(&wanted.name, &wanted.definition, &tags).await {
                Err(failure) if failure.code == Code::ResourceAlreadyExists => {}
                // The limit may be met by the very action that an earlier delivery made.
                Err(failure) if failure.code == Code::LimitExceeded => {
                    return self.met_at_limit(wanted).await.unwrap_or(Err(failure));
                }
                made => return made.map(|action| Outcome::of(Verdict::Created, action)),
            }
            match self.meet(wanted).await {
                Err(failure) if failure.code == Code::ResourceNotFound && round < ROUNDS => {
                    self.iot.pause(round).await
                }
                Err(failure) if failure.code == Code::ResourceNotFound => {
                    let text = format!(
                        "the name {} is taken, and there is no such action: AWS IoT contradicts itself",
                        wanted.name
                    );
                    return Err(Failure::new(Code::InternalFailure, text));
                }
                met => return met,
            }
            round += 1;
        }
    }

    /// A create that met the account's limit, where its owner's own action has the name.
    async fn met_at_limit(&self, wanted: &Create) -> Option<Result<Outcome, Failure>> {
        let (arn, tags) = match self.tags(&wanted.name).await {
            Ok(found) => found,
            Err(failure) if failure.code.is_retryable() => return Some(Err(failure)),
            Err(_) => return None,
        };
        let is_ours =
            matches!(self.owner.standing(tags.owner()), Standing::Made | Standing::Adopted);
        if is_ours { Some(self.again(wanted, &arn, &tags).await) } else { None }
    }

    /// A create whose name is taken.
    async fn meet(&self, wanted: &Create) -> Result<Outcome, Failure> {
        let (arn, tags) = self.tags(&wanted.name).await?;
        let (take, standing) = match self.owner.standing(tags.owner()) {
            Standing::Made | Standing::Adopted => return self.again(wanted, &arn, &tags).await,
            standing @ (Standing::Unowned | Standing::Loose(_) | Standing::Shared) => {
                (wanted.on_conflict, standing)
            }
            standing @ Standing::Foreign(_) => (OnConflict::Fail, standing),
        };
        match take {
            OnConflict::Fail => Err(self.taken(wanted, &arn, &tags, &standing)),
            OnConflict::Adopt => self.adopt(wanted, &arn, &tags, &standing).await,
            OnConflict::Overwrite => self.overwrite(wanted, &arn, &tags, &standing).await,
        }
    }

    /// A create that meets its owner's own action: an earlier delivery made it, or a rename is rolled back.
    async fn again(&self, wanted: &Create, arn: &str, tags: &Tags) -> Result<Outcome, Failure> {
        let (found, described) = self.iot.describe(&wanted.name).await?;
        if wanted.replay == Replay::Keep {
            return Ok(Outcome::of(Verdict::Created, found));
        }
        let action = if is_defined_as(&described, &wanted.definition) {
            found
        } else {
            let Definition { role_arn, params } = &wanted.definition;
            self.iot.update(&wanted.name, Some(role_arn), Some(params)).await?
        };
        self.retag(arn, tags, &wanted.tags, &[]).await?;
        Ok(Outcome::of(Verdict::Created, action))
    }

    async fn adopt(
        &self,
        wanted: &Create,
        arn: &str,
        tags: &Tags,
        standing: &Standing,
    ) -> Result<Outcome, Failure> {
        let (action, described) = self.iot.describe(&wanted.name).await?;
        if !is_defined_as(&described, &wanted.definition) {
            let failure = self.taken(wanted, arn, tags, standing);
            return Err(failure.because(
                "its role or its parameters are not the same, so that it cannot be adopted",
            ));
        }
        let marked = match (standing, self.owner.adopted()) {
            (Standing::Unowned | Standing::Loose(_), Some(mark)) => wanted.tags.owned_by(mark),
            _ => wanted.tags.clone(),
        };
        self.retag(arn, tags, &marked, &[]).await?;
        Ok(Outcome::of(Verdict::Adopted, action))
    }

    /// The definition first, the owner's tag last: what could not be changed is not taken either.
    async fn overwrite(
        &self,
        wanted: &Create,
        arn: &str,
        tags: &Tags,
        standing: &Standing,
    ) -> Result<Outcome, Failure> {
        let Definition { role_arn, params } = &wanted.definition;
        let action = self.iot.update(&wanted.name, Some(role_arn), Some(params)).await?;
        let marked = match standing {
            Standing::Unowned | Standing::Loose(_) => wanted.tags.owned_by(self.owner.made()),
            _ => wanted.tags.clone(),
        };
        self.retag(arn, tags, &marked, &[]).await?;
        Ok(Outcome::of(Verdict::Updated, action))
    }

    async fn update(&self, wanted: &Update) -> Result<Outcome, Failure> {
        match (self.change(wanted).await, &wanted.change) {
            (Err(failure), Change::Whole(definition)) if failure.code == Code::ResourceNotFound => {
                let tags = wanted.tags.clone();
                let (on_conflict, replay) = (OnConflict::Fail, Replay::Converge);
                let create = Create {
                    name: wanted.name.clone(),
                    definition: definition.clone(),
                    tags,
                    on_conflict,
                    replay,
                    undo: false,
                };
                let outcome = self.create(&create).await?;
                Ok(Outcome {
                    notice: Some("the action was gone and has been made again".to_owned()),
                    ..outcome
                })
            }
            (changed, _) => changed,
        }
    }

    /// Proves the owner, changes the definition, then the tags that differ.
    async fn change(&self, wanted: &Update) -> Result<Outcome, Failure> {
        let (arn, tags) = self.tags(&wanted.name).await?;
        let (role_arn, params, is_whole) = match &wanted.change {
            Change::Whole(Definition { role_arn, params }) => (Some(role_arn), Some(params), true),
            Change::Parts { role_arn, params } => (role_arn.as_ref(), params.as_ref(), false),
        };
        let (desired, notice) = match self.owner.standing(tags.owner()) {
            Standing::Made | Standing::Adopted | Standing::Shared => (wanted.tags.clone(), None),
            Standing::Unowned if is_whole => {
                let notice =
                    "the action had lost its owner tag and has been tagged again".to_owned();
                (wanted.tags.owned_by(self.owner.made()), Some(notice))
            }
            Standing::Unowned | Standing::Loose(_) | Standing::Foreign(_) => {
                return Err(not_ours(&wanted.name, &arn, tags.owner(), "changed"));
            }
        };
        let updated = match (role_arn, params) {
            (None, None) => None,
            (role_arn, params) => Some(self.iot.update(&wanted.name, role_arn, params).await?),
        };
        self.retag(&arn, &tags, &desired, &wanted.forgotten).await?;
        let action = match updated {
            Some(action @ Action { kind: Some(_), .. }) => action,
            _ => self.iot.describe(&wanted.name).await?.0,
        };
        Ok(Outcome { notice, ..Outcome::of(Verdict::Updated, action) })
    }

    async fn delete(&self, wanted: &Delete) -> Result<Outcome, Failure> {
        let mut foreign = None;
        for name in &wanted.names {
            match self.release(name, wanted.tell).await? {
                Released::Deleted(action) => return Ok(Outcome::of(Verdict::Deleted, action)),
                Released::Disowned(action) => {
                    let notice = format!(
                        "the action {name} was adopted, not made: it has lost the owner tag and stays"
                    );
                    return Ok(Outcome {
                        notice: Some(notice),
                        ..Outcome::of(Verdict::Left, action)
                    });
                }
                Released::Foreign(action, failure) => foreign = foreign.or(Some((action, failure))),
                Released::Absent => {}
            }
        }
        match foreign {
            None => Ok(Outcome {
                verdict: Verdict::Absent,
                action: None,
                notice: Some("there is no such action".to_owned()),
            }),
            Some((action, why)) if wanted.foreign == Foreign::Leave => {
                Ok(Outcome { notice: Some(why), ..Outcome::of(Verdict::Left, action) })
            }
            Some((_, why)) => Err(Failure::new(Code::InvalidRequest, why)),
        }
    }

    /// Deletes the action of that name if the owner made it, takes the owner's tag off if it was adopted, else leaves it.
    async fn release(&self, name: &ActionName, tell: bool) -> Result<Released, Failure> {
        let (action, tags) = match self.found(name, tell).await {
            Err(failure) if failure.code == Code::ResourceNotFound => return Ok(Released::Absent),
            found => found?,
        };
        match self.owner.standing(tags.owner()) {
            // The service does not fail on what is not there; whoever else answers so means that it is gone.
            Standing::Made | Standing::Shared => match self.iot.delete(name).await {
                Err(failure) if failure.code != Code::ResourceNotFound => Err(failure),
                _ => Ok(Released::Deleted(action)),
            },
            Standing::Adopted => {
                match self.iot.untag(&action.arn, vec![OWNER_TAG.to_owned()]).await {
                    Err(failure) if failure.code == Code::ResourceNotFound => Ok(Released::Absent),
                    untagged => untagged.map(|()| Released::Disowned(action)),
                }
            }
            Standing::Unowned | Standing::Loose(_) | Standing::Foreign(_) => {
                let why = not_ours(name, &action.arn, tags.owner(), "deleted").message(usize::MAX);
                Ok(Released::Foreign(action, why))
            }
        }
    }

    async fn describe(&self, name: &ActionName) -> Result<Outcome, Failure> {
        let (action, described) = self.iot.describe(name).await?;
        let tags = self.iot.tags(&action.arn).await?;
        Ok(Outcome::of(Verdict::Described(Box::new(Described { tags, ..described })), action))
    }

    /// The ARN and the tags of the action of that name: one call where its ARN is known beforehand.
    async fn tags(&self, name: &ActionName) -> Result<(String, Tags), Failure> {
        let (action, tags) = self.found(name, false).await?;
        Ok((action.arn, tags))
    }

    /// The action of that name and its tags; its id and type where they are to be told, or where its ARN has to be asked for.
    async fn found(&self, name: &ActionName, tell: bool) -> Result<(Action, Tags), Failure> {
        let action = match self.place {
            Some(place) if !tell => {
                Action { name: name.clone(), arn: place.action_arn(name), id: None, kind: None }
            }
            _ => self.iot.describe(name).await?.0,
        };
        let tags = self.iot.tags(&action.arn).await?;
        Ok((action, tags))
    }

    /// Changes the tags that differ: first what goes, then what comes, so that the limit on their number is kept.
    async fn retag(
        &self,
        arn: &str,
        tags: &Tags,
        desired: &Tags,
        forgotten: &[String],
    ) -> Result<(), Failure> {
        let change = tags.change_to(desired, forgotten);
        if !change.remove.is_empty() {
            self.iot.untag(arn, change.remove).await?;
        }
        if !change.set.is_empty() {
            self.iot.tag(arn, &change.set).await?;
        }
        Ok(())
    }

    /// The failure of a create whose name is another's: whose, where, and the way out, in the words of who asks.
    fn taken(&self, wanted: &Create, arn: &str, tags: &Tags, standing: &Standing) -> Failure {
        let owner = owner_in_words(tags.owner());
        let [set, adopt, overwrite] = match self.owner.adopted() {
            Some(_) => ["OnConflict", "Adopt", "Overwrite"],
            None => ["onConflict", "adopt", "overwrite"],
        };
        let way_out = match (standing, wanted.on_conflict) {
            (Standing::Foreign(_), _) => {
                "choose another name, or have its owner delete it first".to_owned()
            }
            (_, OnConflict::Fail) => {
                format!(
                    "choose another name, or set {set} to {adopt} (take it as it is, if it is the same) or to {overwrite}"
                )
            }
            _ => format!(
                "choose another name, make the definition the same, or set {set} to {overwrite}"
            ),
        };
        let text =
            format!("the name {} is taken by {arn}, owned by {owner}: {way_out}", wanted.name);
        Failure::new(Code::ResourceAlreadyExists, text)
    }

    /// Takes away what a failed create made although its answer was lost: an action of the owner's that is no older than
    /// the request. Where that cannot be told, whatever follows the failure finds it.
    async fn undo(&self, name: &ActionName, began: SystemTime) {
        let Ok((_, described)) = self.iot.describe(name).await else { return };
        let began = began
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(u128::MAX, |since| since.as_millis());
        let began = i64::try_from(began).unwrap_or(i64::MAX);
        let is_new = described.created.is_some_and(|created| created.milliseconds >= began);
        if is_new && let Err(failure) = self.release(name, false).await {
            tracing::warn!(action = %name, %failure, "what the failed request made could not be taken away");
        }
    }
}

fn is_defined_as(found: &Described, wanted: &Definition) -> bool {
    found.role_arn.as_ref() == Some(&wanted.role_arn)
        && found.params.as_ref() == Some(&wanted.params)
}

/// Who an owner tag names, in words.
fn owner_in_words(tag: Option<&str>) -> String {
    tag.map_or_else(
        || "nobody that this provider knows (it carries no owner tag)".to_owned(),
        |tag| format!("\"{tag}\""),
    )
}

fn not_ours(name: &ActionName, arn: &str, owner: Option<&str>, verb: &str) -> Failure {
    let owner = owner_in_words(owner);
    Failure::new(
        Code::InvalidRequest,
        format!("the action {name} ({arn}) is owned by {owner} and is not {verb} by this request"),
    )
}
