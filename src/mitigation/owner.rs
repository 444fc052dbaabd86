//! Who owns an action: one tag, put in with the create call itself and compared whole.

use super::{StackId, digest};

/// The key of the tag that says who owns an action.
pub const OWNER_TAG: &str = "mitigation-action-provider:owner";

/// Who a request makes, changes and deletes actions for.
///
/// A stack's resource keeps its action over many requests and shares it with nobody. What an event, a message or a
/// direct call made is that one's only for telling a replay from a conflict: any later event, message or call may change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    made: String,
    adopted: Option<String>,
}

/// What an action's owner tag says to an [`Owner`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// This owner made it.
    Made,
    /// This owner adopted it: may change it, and leaves it at the end.
    Adopted,
    /// Another made it who shares with this owner.
    Shared,
    /// An event, a message or a direct call made it, and this owner is a stack: it may be taken where the template asks for
    /// that, and is another's otherwise.
    Loose(String),
    /// It carries no owner tag: the provider did not make it, or somebody took the tag off.
    Unowned,
    /// Another owner's, or a tag that nobody here writes; its value.
    Foreign(String),
}

impl Owner {
    const SHARING: [&'static str; 3] = ["event/", "message/", "request/"];

    /// The resource `logical_id` of a stack.
    #[must_use]
    pub fn stack(stack: &StackId, logical_id: &str) -> Self {
        let parts = [stack.name.as_str(), &stack.uuid, logical_id];
        Self { made: tag_value("stack", &parts), adopted: Some(tag_value("adopted", &parts)) }
    }

    /// The `EventBridge` event `id` of `source`.
    #[must_use]
    pub fn event(source: &str, id: &str) -> Self {
        Self { made: tag_value("event", &[source, id]), adopted: None }
    }

    /// The queue's message `id`.
    #[must_use]
    pub fn message(id: &str) -> Self {
        Self { made: tag_value("message", &[id]), adopted: None }
    }

    /// The direct call `id`.
    #[must_use]
    pub fn request(id: &str) -> Self {
        Self { made: tag_value("request", &[id]), adopted: None }
    }

    /// The owner tag's value on what this owner makes.
    #[must_use]
    pub fn made(&self) -> &str {
        &self.made
    }

    /// The owner tag's value on what this owner adopts; `None` where adopting leaves the owner tag alone.
    #[must_use]
    pub fn adopted(&self) -> Option<&str> {
        self.adopted.as_deref()
    }

    /// What `tag`, the value of an action's owner tag, says to this owner.
    #[must_use]
    pub fn standing(&self, tag: Option<&str>) -> Standing {
        let Some(tag) = tag else { return Standing::Unowned };
        let shares = |tag: &str| Self::SHARING.iter().any(|prefix| tag.starts_with(prefix));
        match (shares(&self.made), shares(tag)) {
            _ if tag == self.made => Standing::Made,
            _ if Some(tag) == self.adopted() => Standing::Adopted,
            (true, true) => Standing::Shared,
            (false, true) => Standing::Loose(tag.to_owned()),
            (_, false) => Standing::Foreign(tag.to_owned()),
        }
    }
}

/// `<kind>/<part>/…`, at most the 256 characters of a tag's value; what is longer ends in a hash of the whole.
fn tag_value(kind: &str, parts: &[&str]) -> String {
    const MOST: usize = 256;
    const HASH: usize = 32;

    let mut value = kind.to_owned();
    for part in parts {
        value.push('/');
        for byte in part.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' => {
                    value.push(char::from(byte))
                }
                other => value.extend(['=', digit(other >> 4), digit(other & 0xf)]),
            }
        }
    }
    if value.len() > MOST {
        let hash = digest(&[&value]);
        value.truncate(MOST - HASH - 1);
        value.push('-');
        for byte in hash.iter().take(HASH / 2) {
            value.extend([digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
    value
}

fn digit(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).unwrap_or('0').to_ascii_uppercase()
}
