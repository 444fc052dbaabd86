//! What a caller can do about a name conflict, in the words of its trigger.

use super::reader::Casing;
use crate::mitigation::{Detail, Failure, OWNER_TAG, OnConflict, Property, Remedy};

/// Describes a name conflict with the property names of `casing`; leaves other failures alone.
#[must_use]
pub fn describe_conflict(failure: Failure, casing: Casing) -> Failure {
    let Detail::NameConflict(conflict) = &failure.detail else { return failure };
    let [property, adopt, overwrite] =
        [Property::OnConflict.as_str(), OnConflict::Adopt.as_str(), OnConflict::Overwrite.as_str()]
            .map(|name| casing.name(name));
    let remedy = match conflict.remedy {
        Remedy::AdoptOrOverwrite => format!(
            "choose another name, or set {property} to {adopt} (which accepts an \
             identical action) or {overwrite} (which also replaces its definition)"
        ),
        Remedy::MatchOrOverwrite => format!(
            "its role or its parameters differ, so that it cannot be adopted: choose another name, \
             make them the same, or set {property} to {overwrite}"
        ),
        Remedy::DeleteThere => format!(
            "choose another name, or have its owner delete it (if that owner no longer exists, \
             remove the tag {OWNER_TAG} from the action and set {property} to {adopt} or \
             {overwrite})"
        ),
    };
    Failure::refusal(failure.code, format!("{conflict}: {remedy}"))
}
