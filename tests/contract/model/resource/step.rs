//! The steps of a history.

use mitigation_action_provider::mitigation::{ActionName, StackId};
use proptest::{prelude::*, sample::select};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stand_ins::iot::IdenticalCreate;

use super::super::{
    Definition, FaultKind, ForeignAction, InjectedFault, OnConflict, Tags, any_tags, role_arn,
    tag_list,
};

pub(super) const STACK: &str = "arn:aws:cloudformation:eu-west-1:123456789012:stack/stack/\
                                00000000-0000-4000-8000-0000000000aa";
pub(super) const LOGICAL_ID: &str = "One";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) enum Step {
    /// Someone else creates an action, if its name is free.
    Appear(ForeignAction),
    /// Someone takes the owner tag off the action of the resource.
    Untag,
    /// If there is no resource, there is one of another implementation, with an id of its own.
    Inherit(Properties, OtherId),
    /// The template declares the resource, which is created or updated.
    Declare(Declaration),
    /// The template has the resource no longer.
    Remove(Removal, Delivery),
    /// An earlier request is delivered once more: the last one, the one before it, ...
    Repeat(usize),
}

/// A physical id that this provider would not give.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(in super::super) enum OtherId {
    CfnResponse,
    CrHelper,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct Declaration {
    pub desired: Properties,
    #[serde(default, skip_serializing_if = "Delivery::is_default")]
    pub delivery: Delivery,
    /// When AWS IoT can assume the role, which is then a new one.
    pub role_after: Option<u16>,
    /// When CloudFormation cancels the request, in milliseconds. It ignores the response, and so
    /// cancels a request that has responded, too.
    pub cancel_after: Option<u16>,
    pub end: End,
    /// How the requests are delivered that roll back or clean up.
    #[serde(default, skip_serializing_if = "Delivery::is_default")]
    pub follow_up: Delivery,
}

/// What follows the response to a Create or an Update.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) enum End {
    Stand,
    /// The old action of a replacement is retained.
    RetainOld,
    /// Something else in the stack fails.
    RollBack,
    /// As [`End::RollBack`], but a replacement is only deleted.
    Withdraw,
    /// A failure is not rolled back.
    StayFailed,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) enum Removal {
    Delete,
    Retain,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Properties {
    /// Empty for a generated name.
    pub name: String,
    pub definition: Definition,
    pub tags: Tags,
    pub on_conflict: OnConflict,
}

/// What a request meets. The times are in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in super::super) struct Delivery {
    pub faults: Vec<InjectedFault>,
    /// The fault of the first PUT of the response.
    pub put: Option<FaultKind>,
    /// When the request is delivered a second time.
    pub repeat_after: Option<u16>,
    /// How long the tags of a new action stay invisible.
    pub tag_lag: u16,
    /// Whether an identical create succeeds.
    pub has_idempotent_creates: bool,
}

impl Step {
    pub fn any() -> BoxedStrategy<Self> {
        let removal = prop_oneof![2 => Just(Removal::Delete), 1 => Just(Removal::Retain)];
        prop_oneof![
            4 => ForeignAction::any(vec!["a", "b", "c"]).prop_map(Self::Appear),
            1 => Just(Self::Untag),
            1 => (Properties::any(), select(OtherId::ALL.to_vec()))
                .prop_map(|(properties, id)| Self::Inherit(properties, id)),
            16 => Declaration::any().prop_map(Self::Declare),
            3 => (removal, Delivery::any())
                .prop_map(|(removal, delivery)| Self::Remove(removal, delivery)),
            3 => prop_oneof![Just(0), 0..5_usize].prop_map(Self::Repeat),
        ]
        .boxed()
    }
}

impl OtherId {
    pub const ALL: [Self; 2] = [Self::CfnResponse, Self::CrHelper];

    pub fn text(self) -> &'static str {
        match self {
            Self::CfnResponse => "2026/11/28/[$LATEST]0123456789abcdef0123456789abcdef",
            Self::CrHelper => "stack_One_a1b2c3d4",
        }
    }
}

impl Declaration {
    fn any() -> impl Strategy<Value = Self> {
        let role_after = || prop_oneof![5 => 500..2900_u16, 1 => Just(60_000)];
        // A request that waits is canceled before its last attempt, after three seconds.
        let waits = prop_oneof![
            12 => Just((None, vec![], None)),
            2 => role_after().prop_map(|role| (Some(role), vec![], None)),
            3 => (100..500_u16).prop_map(|cancel| (None, vec![], Some(cancel))),
            3 => (role_after(), 100..2000_u16)
                .prop_map(|(role, cancel)| (Some(role), vec![], Some(cancel))),
            5 => (InjectedFault::any_storm(), 800..1600_u16)
                .prop_map(|(storm, cancel)| (None, storm, Some(cancel))),
        ];
        let end = prop_oneof![
            12 => Just(End::Stand),
            3 => Just(End::RollBack),
            1 => select(vec![End::RetainOld, End::Withdraw, End::StayFailed]),
        ];
        (Properties::any(), Delivery::any(), waits, end, Delivery::any()).prop_map(
            |(desired, mut delivery, (role_after, storm, cancel_after), end, follow_up)| {
                delivery.faults.extend(storm);
                Self { desired, delivery, role_after, cancel_after, end, follow_up }
            },
        )
    }
}

impl Properties {
    fn any() -> impl Strategy<Value = Self> {
        let on_conflict = prop_oneof![2 => Just(OnConflict::Fail), 3 => OnConflict::any()];
        (select(vec!["a", "b", ""]), Definition::any(), any_tags(), on_conflict).prop_map(
            |(name, definition, tags, on_conflict)| Self {
                name: name.to_owned(),
                definition,
                tags,
                on_conflict,
            },
        )
    }

    pub fn to_json(&self) -> Value {
        json!({
            "ActionName": self.name,
            "RoleArn": role_arn(&self.definition.role),
            "ActionParams": self.definition.params.to_template(),
            "Tags": tag_list(&self.tags),
            "OnConflict": format!("{:?}", self.on_conflict),
        })
    }

    /// The name of the action, which may be generated.
    pub fn action_name(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        let stack = StackId::parse(STACK).unwrap();
        ActionName::generated(&stack, LOGICAL_ID).as_str().to_owned()
    }
}

impl Delivery {
    /// Mostly undisturbed.
    fn any() -> impl Strategy<Value = Self> {
        let put = prop::option::weighted(0.2, select(FaultKind::OF_PUT.to_vec()));
        let repeat_after = prop_oneof![Just(0), 0..4000_u16];
        let some = (
            InjectedFault::any_list(),
            put,
            prop::option::weighted(0.15, repeat_after),
            prop_oneof![5 => Just(0), 1 => 0..1500_u16],
            any::<bool>(),
        )
            .prop_map(|(faults, put, repeat_after, tag_lag, has_idempotent_creates)| Self {
                faults,
                put,
                repeat_after,
                tag_lag,
                has_idempotent_creates,
            });
        prop_oneof![1 => Just(Self::default()), 3 => some]
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether nothing keeps the request from being executed as the account is.
    pub fn is_undisturbed(&self) -> bool {
        self.faults.is_empty() && self.repeat_after.is_none() && self.tag_lag == 0
    }

    pub fn identical_create(&self) -> IdenticalCreate {
        if self.has_idempotent_creates {
            IdenticalCreate::Success
        } else {
            IdenticalCreate::Conflict
        }
    }
}
