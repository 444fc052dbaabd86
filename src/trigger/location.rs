//! Where the function is, and therefore which stacks it can serve.

use std::fmt;

use crate::mitigation::{Arn, Location, partition_of};

/// The region of the function and, except with an emulator, its account.
pub struct FunctionLocation {
    region: String,
    location: Option<Location>,
}

/// The error for a stack in another account or region than the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationMismatch {
    stack: String,
    function: String,
}

impl FunctionLocation {
    /// The account in the ARN that emulators give every function.
    const EMULATED: &str = "012345678912";

    /// The location in the function's ARN. An emulator invents the ARN, so then only `region` is
    /// known.
    #[must_use]
    pub fn new(arn: &str, region: &str) -> Self {
        let arn =
            Arn::parse(arn).filter(|arn| arn.account != Self::EMULATED && !arn.region.is_empty());
        Self { region: region.to_owned(), location: arn.map(Location::from) }
    }

    /// Where the actions of the function are; `None` with an emulator.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    /// Checks that the function can serve a stack in `stack`.
    ///
    /// # Errors
    /// If the stack is in another account or region.
    pub fn check(&self, stack: &Location) -> Result<(), LocationMismatch> {
        let (is_same, function) = match &self.location {
            Some(location) => (location == stack, location.to_string()),
            None => (
                self.region == stack.region && partition_of(&self.region) == stack.partition,
                format!("region {}", self.region),
            ),
        };
        if is_same { Ok(()) } else { Err(LocationMismatch { stack: stack.to_string(), function }) }
    }
}

impl fmt::Display for LocationMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stack, function } = self;
        write!(f, "the stack is in {stack}, and the function in {function}: expected the same")
    }
}

impl std::error::Error for LocationMismatch {}
