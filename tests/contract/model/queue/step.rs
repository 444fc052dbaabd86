//! The steps of a history.

use proptest::{prelude::*, sample::select};
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Definition, FaultKind, ForeignAction, InjectedFault, OnConflict, Params, Tags, any_role,
        any_tags,
    },
    request::{Operation, Request},
};

const NAMES: [&str; 3] = ["a", "b", "c"];
pub(super) const MAX_BATCH: usize = 4;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) enum Step {
    /// Someone else creates an action, if its name is free.
    Appear(ForeignAction),
    Send(Content),
    /// EventBridge sends an event a second time, in another message.
    SendAgain {
        turn: usize,
    },
    /// The queue delivers a batch of at most `max` messages.
    Deliver {
        #[serde(rename = "most")]
        max: usize,
        #[serde(rename = "beside")]
        concurrent: Concurrent,
        /// Whether the batch is redelivered, whatever its outcome.
        #[serde(rename = "again")]
        is_redelivered: bool,
        faults: Vec<InjectedFault>,
    },
}

/// What the other instance handles at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) enum Concurrent {
    Nothing,
    Another,
    Itself,
}

/// The content of a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) enum Content {
    Event(Request),
    Plain(Request),
    /// Text that is no request.
    Noise,
}

impl Step {
    pub fn any() -> BoxedStrategy<Self> {
        let deliver = (1..=MAX_BATCH, Concurrent::any(), prop::bool::weighted(0.25), any_faults())
            .prop_map(|(max, concurrent, is_redelivered, faults)| Self::Deliver {
                max,
                concurrent,
                is_redelivered,
                faults,
            });
        prop_oneof![
            2 => ForeignAction::any(NAMES.to_vec()).prop_map(Self::Appear),
            10 => Content::any().prop_map(Self::Send),
            1 => (0..5_usize).prop_map(|turn| Self::SendAgain { turn }),
            5 => deliver,
        ]
        .boxed()
    }
}

impl Concurrent {
    fn any() -> impl Strategy<Value = Self> {
        select(vec![
            Self::Nothing,
            Self::Nothing,
            Self::Nothing,
            Self::Nothing,
            Self::Another,
            Self::Itself,
        ])
    }
}

impl Content {
    fn any() -> impl Strategy<Value = Self> {
        let request = Request::any().boxed();
        prop_oneof![
            12 => request.clone().prop_map(Self::Event),
            5 => request.prop_map(Self::Plain),
            1 => Just(Self::Noise),
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
    let kinds = vec![
        FaultKind::Throttled,
        FaultKind::LostBefore,
        FaultKind::LostAfter,
        FaultKind::FailedBefore,
        FaultKind::FailedAfter,
        FaultKind::Garbled,
        FaultKind::Denied,
    ];
    let of_call = (select(kinds), 1..=3_usize).prop_map(|(kind, times)| InjectedFault {
        call: "PutEvents".to_owned(),
        kind,
        times,
    });
    let of_entry = (1..=2_usize).prop_map(|times| InjectedFault {
        call: "entry".to_owned(),
        kind: FaultKind::FailedBefore,
        times,
    });
    let of_bus = prop_oneof![of_call, of_entry];
    (InjectedFault::any_list(1), prop::option::weighted(0.15, of_bus)).prop_map(
        |(mut faults, of_bus)| {
            faults.extend(of_bus);
            faults
        },
    )
}
