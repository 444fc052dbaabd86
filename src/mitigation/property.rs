//! The properties of a mitigation action, in a stack's resource and in a request of the API.

use super::Operation;

string_enum! {
    /// A property, by its name in the API. A template writes its first letter in upper case.
    ///
    /// When adding one, the compiler asks for the operations that take it, and where
    /// [`Create`](super::Create) is read, sent and digested. The tests of
    /// `tests/contract/completeness/properties.rs` report which of these still lack it: the code that
    /// reads it (`src/trigger/action_properties.rs`), `schemas/`, `cdk/src/index.ts`,
    /// `docs/reference.md` and `fuzz/dict/invocation.dict`.
    pub enum Property {
        ActionName = "actionName",
        RoleArn = "roleArn",
        ActionParams = "actionParams",
        Tags = "tags",
        OnConflict = "onConflict",
        /// The audit checks that the action is meant for.
        CheckNames = "checkNames",
    }
}

impl Property {
    /// Whether a request of `operation` may have this property. A create takes all.
    pub fn is_accepted_by(self, operation: Operation) -> bool {
        let is_read = matches!(operation, Operation::Delete | Operation::Describe);
        match self {
            Self::ActionName => true,
            Self::RoleArn | Self::ActionParams | Self::Tags | Self::CheckNames => !is_read,
            Self::OnConflict => operation == Operation::Create,
        }
    }

    pub fn names_of(operation: Operation) -> Vec<&'static str> {
        let accepted = Self::ALL.iter().filter(|property| property.is_accepted_by(operation));
        accepted.map(|property| property.as_str()).collect()
    }
}
