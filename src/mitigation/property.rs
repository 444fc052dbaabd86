//! The properties of a mitigation action, in a stack's resource and in a request of the API.

use super::Operation;

string_enum! {
    /// A property, by its name in the API. A template writes its first letter in upper case.
    ///
    /// When adding one, follow CONTRIBUTING.md. The compiler asks for the operations that take it and
    /// for a generator in the tests; with a field of [`Create`](super::Create), also for where that is
    /// built, sent and digested. `tests/contract/completeness/properties.rs` reports which of these
    /// still lack it: the code that reads it (`src/trigger/{action_properties,api}.rs`), `schemas/`,
    /// `cdk/src/{index,problems}.ts`, `docs/reference.md` and `fuzz/dict/invocation.dict`.
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
