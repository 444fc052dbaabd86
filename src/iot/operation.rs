//! The operations of AWS IoT that are called.

use crate::mitigation::ErrorCode;

string_enum! {
    /// An operation, by its name in the API.
    pub enum IotOperation {
        /// Sets the tags, too.
        Create = "CreateMitigationAction",
        /// Changes what is given; the rest stays.
        Update = "UpdateMitigationAction",
        /// Succeeds if the action does not exist.
        Delete = "DeleteMitigationAction",
        /// Returns the definition without the tags.
        Describe = "DescribeMitigationAction",
        /// Returns the tags, a page at a time.
        ListTags = "ListTagsForResource",
        /// Adds and replaces tags.
        Tag = "TagResource",
        /// Removes tags.
        Untag = "UntagResource",
    }
}

impl IotOperation {
    /// What a 409 without an error name means: to a create, that the name may be taken.
    pub fn unnamed_conflict(self) -> ErrorCode {
        match self {
            Self::Create => ErrorCode::ResourceAlreadyExists,
            Self::Update
            | Self::Delete
            | Self::Describe
            | Self::ListTags
            | Self::Tag
            | Self::Untag => ErrorCode::InternalFailure,
        }
    }
}
