//! The steps of a history, and the requests that they send.

use proptest::{prelude::*, sample::select};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stand_ins::{iot::Action, stack::merged};

use super::{
    super::{Params, role_arn},
    Overlap,
};

const STACK: &str = "arn:aws:cloudformation:eu-west-1:123456789012:stack/stack/\
                     00000000-0000-4000-8000-0000000000aa";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) enum Step {
    /// The template declares the resource, which is created or updated.
    Declare(Declaration),
    /// The template has the resource no longer.
    Remove,
}

/// The times are milliseconds after the request was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct Declaration {
    #[serde(rename = "wish")]
    pub desired: Properties,
    /// When AWS IoT can assume the role.
    pub role_after: u16,
    /// When the request is canceled, if it is.
    pub cancel_after: Option<u16>,
    /// When the request is redelivered, if it is.
    pub repeat_after: Option<u16>,
    /// Whether a failed Create is retried before it is cleaned up.
    pub retry: bool,
    pub tag_lag: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Properties {
    /// Empty for a generated name.
    pub name: String,
    pub params: Params,
    /// The number of the request that needs the role, set when it is played.
    #[serde(default)]
    pub role: usize,
}

/// The resource as the stack has it.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub id: String,
    pub properties: Properties,
}

impl Step {
    pub fn any() -> BoxedStrategy<Self> {
        let desired = (select(vec!["a", "b", ""]), Params::any())
            .prop_map(|(name, params)| Properties { name: name.to_owned(), params, role: 0 });
        let role_after = prop_oneof![2 => Just(0_u16), 5 => 0..2900_u16, 1 => Just(60_000)];
        let any_time = || 0..3500_u16;
        let declaration = (
            desired,
            role_after,
            prop::option::weighted(0.5, any_time()),
            prop::option::weighted(0.3, any_time()),
            any::<bool>(),
            prop_oneof![3 => Just(0_u16), 1 => 0..1500_u16],
        )
            .prop_map(
                |(desired, role_after, cancel_after, repeat_after, retry, tag_lag)| Declaration {
                    desired,
                    role_after,
                    cancel_after,
                    repeat_after,
                    retry,
                    tag_lag,
                },
            );
        prop_oneof![8 => declaration.prop_map(Self::Declare), 1 => Just(Self::Remove)].boxed()
    }
}

impl Properties {
    pub fn role_arn(&self) -> String {
        role_arn(&format!("role-{}", self.role))
    }

    fn to_json(&self) -> Value {
        json!({
            "ActionName": self.name,
            "RoleArn": self.role_arn(),
            "ActionParams": self.params.to_template(),
        })
    }

    pub fn matches(&self, action: &Action) -> bool {
        action.role_arn == self.role_arn() && action.params == self.params.to_api()
    }
}

impl Overlap {
    /// When the request is redelivered, without the redeliveries that are excluded.
    pub(super) fn redelivered_after(&self, declaration: &Declaration) -> Option<u16> {
        declaration.repeat_after.filter(|repeat| match (declaration.cancel_after, &self.resource) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(cancel), Some(_)) => *repeat < cancel,
        })
    }

    pub(super) fn next_id(&mut self) -> String {
        self.requests += 1;
        self.requests.to_string()
    }

    /// A request without its type.
    pub(super) fn event(&mut self, properties: &Properties) -> Value {
        json!({
            "StackId": STACK,
            "RequestId": self.next_id(),
            "LogicalResourceId": "One",
            "ResourceType": "Custom::IoTMitigationAction",
            "ResourceProperties": properties.to_json(),
        })
    }

    /// The Create, or the Update to `desired`.
    pub(super) fn request(&mut self, desired: &Properties) -> Value {
        let event = self.event(desired);
        match &self.resource {
            None => merged(event, &json!({ "RequestType": "Create" })),
            Some(old) => merged(event, &update(old, &old.properties)),
        }
    }

    /// What CloudFormation sends after it has canceled that request.
    pub(super) fn rollback(&mut self, desired: &Properties) -> Value {
        if let Some(old) = self.resource.clone() {
            return self.reverse(&old, desired);
        }
        let id = "stack-One-1A2B3C4D5E6F";
        let delete = json!({ "RequestType": "Delete", "PhysicalResourceId": id });
        merged(self.event(desired), &delete)
    }

    /// The Update that rolls the resource back from `desired`.
    pub(super) fn reverse(&mut self, old: &Resource, desired: &Properties) -> Value {
        merged(self.event(&old.properties), &update(old, desired))
    }
}

/// The members that only an Update has.
fn update(resource: &Resource, old: &Properties) -> Value {
    json!({
        "RequestType": "Update",
        "PhysicalResourceId": resource.id,
        "OldResourceProperties": old.to_json(),
    })
}
