//! What a request remembers while it waits.

use std::cell::{Cell, RefCell};

use crate::mitigation::Description;

/// The state of a request that may wait.
pub struct WaitState {
    pub mark: Cell<MarkState>,
    /// The current action as it was read after the mark was added, if it could be.
    pub baseline: RefCell<Option<Description>>,
    /// Whether this request has updated the definition of the current action.
    pub has_updated_definition: Cell<bool>,
}

/// The mark of a request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkState {
    /// The request does not wait, or has nothing to mark.
    None,
    /// The current action carries the mark.
    Active,
    /// A later request for the resource has removed the mark, or changed the action without seeing
    /// it.
    Superseded,
}

impl WaitState {
    pub fn new() -> Self {
        Self {
            mark: Cell::new(MarkState::None),
            baseline: RefCell::default(),
            has_updated_definition: Cell::default(),
        }
    }
}
