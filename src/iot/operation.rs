//! The operations of AWS IoT that are called.

use crate::sdk::UnnamedConflict;

string_enum! {
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
        Untag = "UntagResource",
    }
}

impl IotOperation {
    pub fn unnamed_conflict(self) -> UnnamedConflict {
        if self == Self::Create { UnnamedConflict::NameTaken } else { UnnamedConflict::Nothing }
    }
}
