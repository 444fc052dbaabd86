//! Ownership of actions: one tag, which the create call sets, and which is compared as a whole.

use super::{
    StackId,
    text::{digest, hex, hex_digit},
};

string_enum! {
    /// The part of an owner tag before the first slash.
    pub enum OwnerKind {
        /// Created or overwritten by a stack's resource.
        Stack = "stack",
        /// Adopted by a stack's resource.
        Adopted = "adopted",
        /// Created or overwritten by an EventBridge event.
        Event = "event",
        /// Created or overwritten by a message without a request id.
        Message = "message",
        /// Created or overwritten by a direct invocation, or by a message with a request id.
        Request = "request",
    }
}

impl OwnerKind {
    fn of(tag: &str) -> Option<Self> {
        let (word, _) = tag.split_once('/')?;
        Self::from_word(word)
    }

    /// Whether any event, message or direct invocation may change an action of such an owner.
    fn is_shared(self) -> bool {
        matches!(self, Self::Event | Self::Message | Self::Request)
    }
}

/// The owner for whom a request creates, changes and deletes actions.
///
/// A stack's resource keeps its action over many requests and shares it with nobody. The owner tag
/// of an action that an event, a message or a direct invocation created only distinguishes a replay
/// from a conflict: any later event, message or direct invocation may change the action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    kind: OwnerKind,
    tag: String,
    adopted_tag: Option<String>,
}

/// What an [`Owner`] may do with an action, by the action's owner tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Created or overwritten by this owner, who may change and delete it.
    Own,
    /// Adopted by this owner, who may change it, and releases it instead of deleting it.
    Adopted,
    /// Created by an event, a message or a direct invocation, as this owner is: may be changed and
    /// deleted.
    Shared,
    /// Created by an event, a message or a direct invocation, while this owner is a stack: may be
    /// taken over with `OnConflict`, and is otherwise left alone.
    OfEvents,
    /// Has no owner tag: may be taken over with `OnConflict`, and is otherwise left alone.
    Unowned,
    /// Has another owner's tag, or one that this provider does not write: never changed.
    OfAnother,
}

impl Ownership {
    pub(crate) fn is_exclusive(self) -> bool {
        matches!(self, Self::Own | Self::Adopted)
    }
}

impl Owner {
    pub fn stack(stack: &StackId, logical_id: &str) -> Self {
        let parts = [stack.name.as_str(), &stack.uuid, logical_id];
        let adopted_tag = Some(tag_value(OwnerKind::Adopted, &parts));
        Self { kind: OwnerKind::Stack, tag: tag_value(OwnerKind::Stack, &parts), adopted_tag }
    }

    pub fn event(source: &str, id: &str) -> Self {
        Self::shared(OwnerKind::Event, &[source, id])
    }

    pub fn message(id: &str) -> Self {
        Self::shared(OwnerKind::Message, &[id])
    }

    /// The direct invocation or the message with the request id `id`. The digest of a create is
    /// part of the tag, so that using an id again for another action is a conflict and not a
    /// replay.
    pub fn request(id: &str, create_digest: Option<&str>) -> Self {
        match create_digest {
            None => Self::shared(OwnerKind::Request, &[id]),
            Some(digest) => Self::shared(OwnerKind::Request, &[id, digest]),
        }
    }

    fn shared(kind: OwnerKind, parts: &[&str]) -> Self {
        Self { kind, tag: tag_value(kind, parts), adopted_tag: None }
    }

    /// The owner tag of actions that this owner creates or overwrites.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The owner tag of actions that this owner adopts; `None` if adopting does not change the tag.
    pub fn adopted_tag(&self) -> Option<&str> {
        self.adopted_tag.as_deref()
    }

    pub fn ownership(&self, tag: Option<&str>) -> Ownership {
        let Some(tag) = tag else { return Ownership::Unowned };
        if tag == self.tag {
            return Ownership::Own;
        }
        if Some(tag) == self.adopted_tag() {
            return Ownership::Adopted;
        }
        let is_shared = OwnerKind::of(tag).is_some_and(OwnerKind::is_shared);
        match (is_shared, self.kind.is_shared()) {
            (true, true) => Ownership::Shared,
            (true, false) => Ownership::OfEvents,
            (false, _) => Ownership::OfAnother,
        }
    }
}

/// `<kind>/<part>/…` in at most the 256 characters of a tag's value; a longer one ends in a hash of
/// the whole.
fn tag_value(kind: OwnerKind, parts: &[&str]) -> String {
    const MAX_LENGTH: usize = 256;
    const HASH_BYTES: usize = 16;

    let mut value = kind.as_str().to_owned();
    for part in parts {
        value.push('/');
        for byte in part.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' => {
                    value.push(char::from(byte));
                }
                other => value.extend(['=', hex_digit(other >> 4), hex_digit(other & 0xf)]),
            }
        }
    }
    if value.len() > MAX_LENGTH {
        let hash = hex(&digest(&[&value]), HASH_BYTES);
        value.truncate(MAX_LENGTH - hash.len() - 1);
        value.push('-');
        value.push_str(&hash);
    }
    value
}
