//! What the steps of a history are made of: templates, and how their requests are delivered.

use mitigation_action_provider::mitigation::{ActionName, StackId};
use proptest::{collection::vec, prelude::*, sample::select};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stand_ins::{OWNER_TAG, iot::IdenticalCreate, stack::World};

use super::super::{
    Definition, FaultKind, ForeignAction, InjectedFault, OnConflict, Tags, any_tags, role_arn,
    tag_list, with,
};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// The number of a stack, and a logical id.
pub(super) type Key = (u8, String);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) enum Step {
    /// Someone else creates an action, if its name is free.
    Appear(ForeignAction),
    Operate {
        stack: u8,
        changes: Vec<Change>,
        end: End,
    },
    /// The last request of a resource is redelivered.
    Repeat {
        stack: u8,
        resource: String,
    },
}

/// What an operation does to one resource: creates or updates it, or removes it from the template.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct Change {
    pub resource: String,
    #[serde(rename = "wish")]
    pub desired: Option<Properties>,
    #[serde(default, skip_serializing_if = "Delivery::is_default")]
    pub delivery: Delivery,
    #[serde(default, skip_serializing_if = "Delivery::is_default")]
    pub follow_up: Delivery,
}

/// How an operation ends if its requests succeed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) enum End {
    Stand,
    /// Something else in the stack fails.
    RollBack,
    /// Something else fails while the last request is being executed: CloudFormation ignores its
    /// response.
    Cancel,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Properties {
    /// Empty for a generated name.
    pub name: String,
    pub definition: Definition,
    pub tags: Tags,
    pub on_conflict: OnConflict,
}

/// The faults that a request meets, and its redelivery.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Delivery {
    pub faults: Vec<InjectedFault>,
    /// The fault of the first PUT of the response.
    pub put: Option<FaultKind>,
    /// Whether the request is redelivered before the next request of the resource.
    #[serde(rename = "again")]
    pub is_redelivered: bool,
    /// Whether an identical create succeeds.
    #[serde(rename = "takes_replays")]
    pub has_idempotent_creates: bool,
}

/// The faults of a PUT after which little time is enough for another one.
const PUT_FAULTS: [FaultKind; 6] = [
    FaultKind::LostBefore,
    FaultKind::LostAfter,
    FaultKind::FailedBefore,
    FaultKind::FailedAfter,
    FaultKind::Throttled,
    FaultKind::Garbled,
];

impl Step {
    pub fn any() -> BoxedStrategy<Self> {
        let end = select(vec![End::Stand, End::Stand, End::Stand, End::RollBack, End::Cancel]);
        let operate = (0..2_u8, vec(Change::any(), 1..=3), end)
            .prop_map(|(stack, changes, end)| Self::Operate { stack, changes, end });
        let repeat = (0..2_u8, any_resource())
            .prop_map(|(stack, resource)| Self::Repeat { stack, resource });
        prop_oneof![
            2 => ForeignAction::any(NAMES.to_vec()).prop_map(Self::Appear),
            8 => operate,
            1 => repeat,
        ]
        .boxed()
    }
}

fn any_resource() -> impl Strategy<Value = String> {
    select(vec!["One", "Two", "Three"]).prop_map(str::to_owned)
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        let desired = prop::option::weighted(0.8, Properties::any());
        (any_resource(), desired, Delivery::any(), Delivery::any()).prop_map(
            |(resource, desired, delivery, follow_up)| Self {
                resource,
                desired,
                delivery,
                follow_up,
            },
        )
    }
}

impl Properties {
    fn any() -> impl Strategy<Value = Self> {
        (select(vec!["a", "b", "c", ""]), Definition::any(), any_tags(), OnConflict::any())
            .prop_map(|(name, definition, tags, on_conflict)| Self {
                name: name.to_owned(),
                definition,
                tags,
                on_conflict,
            })
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
    pub fn action_name(&self, (stack, resource): &Key) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        let stack = StackId::parse(&stack_id(*stack)).unwrap();
        ActionName::generated(&stack, resource).as_str().to_owned()
    }
}

impl Delivery {
    fn any() -> impl Strategy<Value = Self> {
        let put = vec![None; 16].into_iter().chain(PUT_FAULTS.map(Some)).collect::<Vec<_>>();
        (InjectedFault::any_list(2), select(put), prop::bool::weighted(0.2), any::<bool>())
            .prop_map(|(faults, put, is_redelivered, has_idempotent_creates)| Self {
                faults,
                put,
                is_redelivered,
                has_idempotent_creates,
            })
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub fn is_undisturbed(&self) -> bool {
        self.faults.is_empty()
    }

    pub fn set(&self, world: &World) {
        for fault in &self.faults {
            fault.set(&world.aws.iot.faults);
        }
        if let Some(kind) = self.put {
            let fault = InjectedFault { call: "PUT".to_owned(), kind, times: 1 };
            fault.set(&world.aws.bucket.faults);
        }
        world.aws.iot.set_identical_create(if self.has_idempotent_creates {
            IdenticalCreate::Success
        } else {
            IdenticalCreate::Conflict
        });
    }
}

pub(super) fn stack_id(number: u8) -> String {
    let uuid = format!("0000000{number}-0000-4000-8000-000000000000");
    format!("arn:aws:cloudformation:eu-west-1:123456789012:stack/stack-{number}/{uuid}")
}

/// The owner tag of the action that a resource made.
pub(super) fn owner_tag(key: &Key) -> String {
    owner_tag_of_kind("stack", key)
}

/// The owner tag of the action that a resource adopted.
pub(super) fn adopted_tag(key: &Key) -> String {
    owner_tag_of_kind("adopted", key)
}

fn owner_tag_of_kind(kind: &str, (stack, resource): &Key) -> String {
    format!("{kind}/stack-{stack}/0000000{stack}-0000-4000-8000-000000000000/{resource}")
}

/// The user's tags after an update from the properties' tags `old` to `new`.
pub(super) fn updated_tags(tags: &Tags, old: &Tags, new: &Tags) -> Tags {
    let kept = tags.iter().filter(|(key, _)| !old.contains_key(*key) || new.contains_key(*key));
    with(&kept.map(|(key, value)| (key.clone(), value.clone())).collect(), new)
}

pub(super) fn without_owner(tags: &Tags) -> Tags {
    tags.iter()
        .filter(|(key, _)| *key != OWNER_TAG)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
