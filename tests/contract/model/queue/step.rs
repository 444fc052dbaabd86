//! The steps of a history.

use proptest::{collection::vec, prelude::*, sample::select};
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Definition, FaultKind, ForeignAction, InjectedFault, OnConflict, Params, Tags, any_role,
        any_tags,
    },
    request::{Operation, Request},
};

const NAMES: [&str; 3] = ["a", "b", "c"];
pub(super) const MAX_BATCH: usize = 6;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct History {
    pub queue_type: QueueType,
    pub has_bus: bool,
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in super::super) enum QueueType {
    #[default]
    Standard,
    Fifo,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) enum Step {
    /// Someone else creates an action, if its name is free.
    Appear(ForeignAction),
    Send(Content),
    /// A request that has an id of its own is sent a second time, in another message.
    SendAgain(usize),
    /// The queue delivers a batch of at most `max` messages.
    Deliver {
        max: usize,
        beside: Beside,
        /// Whether the batch is delivered again, whatever its outcome.
        is_redelivered: bool,
        faults: Vec<InjectedFault>,
    },
}

/// What the other instance handles at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) enum Beside {
    Nothing,
    Another,
    Itself,
}

/// The content of a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) enum Content {
    Event(Request),
    Plain(Request),
    /// A plain request with a `requestId`.
    WithId(Request),
    /// Text that is no request.
    Noise,
    /// A stack's request, which is not taken from a queue.
    OfStack,
}

impl History {
    pub fn any() -> BoxedStrategy<Self> {
        let queue_type = select(vec![QueueType::Standard, QueueType::Fifo]);
        (queue_type, prop::bool::weighted(0.7), vec(Step::any(), 1..=12))
            .prop_map(|(queue_type, has_bus, steps)| Self { queue_type, has_bus, steps })
            .boxed()
    }
}

impl Step {
    fn any() -> impl Strategy<Value = Self> {
        let beside = prop_oneof![
            4 => Just(Beside::Nothing),
            1 => Just(Beside::Another),
            1 => Just(Beside::Itself),
        ];
        let deliver = (1..=MAX_BATCH, beside, prop::bool::weighted(0.25), any_faults()).prop_map(
            |(max, beside, is_redelivered, faults)| Self::Deliver {
                max,
                beside,
                is_redelivered,
                faults,
            },
        );
        prop_oneof![
            2 => ForeignAction::any(NAMES.to_vec()).prop_map(Self::Appear),
            12 => Content::any().prop_map(Self::Send),
            1 => (0..5_usize).prop_map(Self::SendAgain),
            5 => deliver,
        ]
    }
}

impl Content {
    fn any() -> impl Strategy<Value = Self> {
        let request = Request::any().boxed();
        prop_oneof![
            10 => request.clone().prop_map(Self::Event),
            4 => request.clone().prop_map(Self::Plain),
            3 => request.prop_map(Self::WithId),
            1 => select(vec![Self::Noise, Self::OfStack]),
        ]
    }
}

impl Request {
    fn any() -> impl Strategy<Value = Self> {
        (Operation::any(), select(NAMES.to_vec()), any_tags()).prop_map(
            |(operation, name, tags)| {
                let takes_tags = matches!(operation, Operation::Create(..) | Operation::Update(..));
                let tags = if takes_tags { tags } else { Tags::new() };
                Self { operation, name: name.to_owned(), tags }
            },
        )
    }
}

impl Operation {
    fn any() -> impl Strategy<Value = Self> {
        let create = (Definition::any(), OnConflict::any())
            .prop_map(|(definition, on_conflict)| Self::Create(definition, on_conflict));
        let update = (prop::option::of(any_role()), prop::option::of(Params::any()))
            .prop_map(|(role, params)| Self::Update(role, params));
        prop_oneof![
            5 => create,
            3 => update,
            2 => Just(Self::Delete),
            1 => Just(Self::Describe),
        ]
    }
}

/// Faults of AWS IoT, and now and then one of the result bus.
fn any_faults() -> impl Strategy<Value = Vec<InjectedFault>> {
    let kinds = [&FaultKind::OF_PUT[..], &[FaultKind::Denied]].concat();
    let of_call = (Just("PutEvents"), select(kinds), 1..=3_usize);
    let of_entry = (Just("entry"), Just(FaultKind::FailedBefore), 1..=2_usize);
    let of_bus = prop_oneof![of_call, of_entry].prop_map(|(call, kind, times)| InjectedFault {
        call: call.to_owned(),
        kind,
        times,
    });
    (InjectedFault::any_list(), prop::option::weighted(0.15, of_bus)).prop_map(
        |(mut faults, of_bus)| {
            faults.extend(of_bus);
            faults
        },
    )
}
