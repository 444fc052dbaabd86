//! Random histories against the real binary, with faults at every call: of stacks, as
//! CloudFormation operates them, and of queues that redeliver.
//!
//! A history is data. What a step means depends on the state in which it is played, so any part of
//! a history is a history too. One that fails is shrunk and saved in `histories/`. A run plays the
//! saved histories first, and then as many random ones as `MODEL_HISTORIES` says. `MODEL_SEED` is
//! the seed of the first; without `MODEL_HISTORIES` it is the only one.

mod fault;
mod queue;
mod resource;
mod run;
mod vocabulary;

use std::fmt::Debug;

use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestCaseResult},
};
use serde::{Serialize, de::DeserializeOwned};

use fault::{FaultKind, InjectedFault};
use run::run;
use vocabulary::{
    Definition, ForeignAction, OnConflict, Params, Tags, any_role, any_tags, has_same_definition,
    is_same, owner_of, role_arn, tag_list, with, with_owner,
};

/// Stand-ins, instances of the function that serve one history after another, and the claims about
/// every history.
trait Model: Sized {
    type History: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    const NAME: &'static str;
    /// The number of random histories, unless `MODEL_HISTORIES` says otherwise.
    const HISTORIES: u64;
    /// How many histories are played at once: most of their time is spent waiting.
    const LANES: usize;

    fn history() -> BoxedStrategy<Self::History>;
    async fn start() -> Self;
    /// Plays a history in an empty account, and fails if a claim does not hold.
    async fn play(&mut self, history: &Self::History) -> Result<Played, TestCaseError>;
    /// The requests, the calls and the responses of the history that was played last.
    fn transcript(&self) -> String;
}

/// How a history ended that did not fail.
#[derive(Clone, Copy, Debug)]
enum Played {
    Held,
    /// A claim did not hold, and the contract says why: nothing is promised then.
    Excluded,
}

#[test]
fn after_any_history_the_account_holds_exactly_the_action_of_the_stack() {
    run::<resource::Requests>();
}

#[test]
fn whatever_a_queue_redelivers_each_message_is_executed_and_published() {
    run::<queue::Messages>();
}

/// Fails with `why` unless `holds`.
fn ensure(holds: bool, why: impl FnOnce() -> String) -> TestCaseResult {
    if holds { Ok(()) } else { Err(TestCaseError::fail(why())) }
}
