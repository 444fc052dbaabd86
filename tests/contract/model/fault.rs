//! Faults of the calls that a history makes.

use std::time::Duration;

use proptest::{collection::vec, prelude::*, sample::select, strategy::LazyJust};
use serde::{Deserialize, Serialize};
use stand_ins::fault::{Fault, Faults};

/// A fault of the next `times` calls of one name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct InjectedFault {
    pub call: String,
    #[serde(rename = "fault")]
    pub kind: FaultKind,
    pub times: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum FaultKind {
    Throttled,
    LostBefore,
    LostAfter,
    FailedBefore,
    FailedAfter,
    /// The call is executed, and its response cannot be read.
    Garbled,
    /// The call is executed after so many milliseconds.
    Slow(u16),
    Denied,
    AtLimit,
    /// The call gets no response.
    Hung,
    /// As [`FaultKind::Hung`], but the call is executed.
    HungAfter,
}

impl FaultKind {
    /// After these faults of a PUT, little time is enough for another one.
    pub const OF_PUT: [Self; 6] = [
        Self::LostBefore,
        Self::LostAfter,
        Self::FailedBefore,
        Self::FailedAfter,
        Self::Throttled,
        Self::Garbled,
    ];
}

impl FaultKind {
    pub fn is_hang(self) -> bool {
        matches!(self, Self::Hung | Self::HungAfter)
    }

    /// Whether the call is not repeated, or in vain.
    pub fn is_final(self) -> bool {
        self.is_hang() || matches!(self, Self::Denied | Self::AtLimit)
    }
}

impl InjectedFault {
    pub fn set(&self, faults: &Faults) {
        let fault = match self.kind {
            FaultKind::Throttled => Fault::Throttle,
            FaultKind::LostBefore => Fault::LoseBefore,
            FaultKind::LostAfter => Fault::LoseAfter,
            FaultKind::FailedBefore => Fault::Refuse(500, "InternalFailureException"),
            FaultKind::FailedAfter => Fault::FailAfter,
            FaultKind::Garbled => Fault::Garbage,
            FaultKind::Slow(time) => Fault::Slow(Duration::from_millis(time.into())),
            FaultKind::Denied => Fault::Refuse(403, "AccessDeniedException"),
            FaultKind::AtLimit => Fault::Refuse(410, "LimitExceededException"),
            FaultKind::Hung => Fault::Hang,
            FaultKind::HungAfter => Fault::HangAfter,
        };
        faults.set(&self.call, fault, self.times);
    }

    /// Mostly none. A hang is rare: it takes the time of a whole deadline.
    pub fn any_list() -> impl Strategy<Value = Vec<Self>> {
        let kind = prop_oneof![
            2 => Just(FaultKind::Throttled),
            5 => select(FaultKind::OF_PUT.to_vec()),
            1 => select(vec![FaultKind::Slow(300), FaultKind::Slow(1500)]),
            2 => select(vec![FaultKind::Denied, FaultKind::Denied, FaultKind::AtLimit]),
        ];
        let some = vec(Self::any_of(kind.boxed(), 1..=2), 1..=3);
        let hang = select(vec![FaultKind::Hung, FaultKind::HungAfter]).boxed();
        let before = vec(Self::any_of(Just(FaultKind::LostAfter).boxed(), 1..=1), 0..=1);
        let hang = (before, Self::any_of(hang, 1000..=1000)).prop_map(|(mut faults, hang)| {
            faults.push(hang);
            faults
        });
        prop_oneof![140 => LazyJust::new(Vec::new), 58 => some, 2 => hang]
    }

    /// So much throttling of a call that it takes seconds.
    pub fn any_storm() -> impl Strategy<Value = Vec<Self>> {
        let call = select(vec!["CreateMitigationAction", "UpdateMitigationAction", "TagResource"]);
        (call, 5..=6_usize).prop_map(|(call, times)| {
            vec![Self { call: call.to_owned(), kind: FaultKind::Throttled, times }]
        })
    }

    fn any_of(
        kind: BoxedStrategy<FaultKind>,
        times: std::ops::RangeInclusive<usize>,
    ) -> impl Strategy<Value = Self> {
        (select(CALLS.to_vec()), kind, times).prop_map(|(call, kind, times)| Self {
            call: call.to_owned(),
            kind,
            times,
        })
    }
}

/// The more often a call is made, the more often it is listed.
const CALLS: [&str; 10] = [
    "CreateMitigationAction",
    "CreateMitigationAction",
    "CreateMitigationAction",
    "UpdateMitigationAction",
    "DeleteMitigationAction",
    "ListTagsForResource",
    "ListTagsForResource",
    "TagResource",
    "UntagResource",
    "DescribeMitigationAction",
];
