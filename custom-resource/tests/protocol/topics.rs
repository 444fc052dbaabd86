//! `Custom::Topic`, a resource type in memory. `Behave` makes it misbehave.

use std::{cell::RefCell, collections::BTreeMap, future::pending};

use cloudformation_custom_resource::{
    CustomResource, Failure, Request, RequestDigest, Resource, Target, scalar,
};
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};
use tokio::time::Instant;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Properties {
    name: String,
    #[serde(deserialize_with = "scalar::number")]
    size: u32,
    #[serde(default)]
    behave: Option<String>,
}

/// A topic, and the request that created it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub size: u32,
    pub creator: RequestDigest,
}

#[derive(Default)]
pub struct Topics {
    pub existing: RefCell<BTreeMap<String, Topic>>,
    /// The methods called.
    pub calls: RefCell<Vec<&'static str>>,
    /// The time that was left for the last call.
    pub deadline: RefCell<Option<Instant>>,
}

/// The attributes, whether or not they can be written.
pub enum Attributes {
    Topic { url: String, size: u32 },
    None,
    NoObject,
    Unwritable,
    Panicking,
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Topic { url, size } => {
                BTreeMap::from([("Url", url.clone()), ("Size", size.to_string())])
                    .serialize(serializer)
            }
            Self::None => ().serialize(serializer),
            Self::NoObject => [1].serialize(serializer),
            Self::Unwritable => Err(S::Error::custom("it is a secret")),
            Self::Panicking => panic!("attributes"),
        }
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "dropped");
    }
}

impl Topics {
    pub fn names(&self) -> Vec<String> {
        self.existing.borrow().keys().cloned().collect()
    }

    pub fn take_calls(&self) -> Vec<&'static str> {
        self.calls.take()
    }

    fn called(&self, method: &'static str, request: &Request) {
        self.calls.borrow_mut().push(method);
        self.deadline.replace(Some(request.deadline));
    }

    async fn put(
        &self,
        request: &Request,
        creator: RequestDigest,
    ) -> Result<Resource<Attributes>, Failure> {
        let Properties { name, size, behave } = request.properties()?;
        self.existing.borrow_mut().insert(name.clone(), Topic { size, creator });
        let url = format!("https://topics.example/{name}");
        let resource = |attributes| Resource { physical_id: name.clone(), attributes };
        let topic = Attributes::Topic { url, size };
        match behave.as_deref().unwrap_or_default() {
            "fail" => Err(Failure::new("the topic is broken")),
            "fail without a reason" => Err(Failure::new("")),
            "fail at length" => Err(Failure::new("why\u{1f512}\"".repeat(2000))),
            "fail to say why" => Err(Failure::fitting(|_| panic!("reason"))),
            "panic" => panic!("create"),
            "hang" => pending().await,
            "hang and panic" => {
                let _bomb = Bomb;
                pending().await
            }
            "no attributes" => Ok(resource(Attributes::None)),
            "attributes that are no object" => Ok(resource(Attributes::NoObject)),
            "attributes that cannot be written" => Ok(resource(Attributes::Unwritable)),
            "attributes that panic" => Ok(resource(Attributes::Panicking)),
            "attributes that do not fit" => {
                Ok(resource(Attributes::Topic { url: "u".repeat(4096), size }))
            }
            "no id" => Ok(Resource { physical_id: String::new(), attributes: topic }),
            "long id" => Ok(Resource { physical_id: "i".repeat(1025), attributes: topic }),
            "reserved id" => {
                Ok(Resource { physical_id: "not-created:a".to_owned(), attributes: topic })
            }
            "another id" => Ok(Resource { physical_id: name.repeat(2), attributes: topic }),
            _ => Ok(resource(topic)),
        }
    }
}

impl CustomResource for Topics {
    type Attributes = Attributes;

    async fn create(&self, request: &Request) -> Result<Resource<Attributes>, Failure> {
        self.called("create", request);
        let Properties { name, .. } = request.properties()?;
        if let Some(topic) = self.existing.borrow().get(&name)
            && topic.creator != request.digest
        {
            return Err(Failure::new(format!("the name {name} is taken")));
        }
        self.put(request, request.digest.clone()).await
    }

    async fn update(&self, request: &Request, id: &str) -> Result<Resource<Attributes>, Failure> {
        self.called("update", request);
        let Properties { name, .. } = request.properties()?;
        let creator = self.existing.borrow().get(id).map(|topic| topic.creator.clone());
        let creator = creator.filter(|_| id == name).unwrap_or_else(|| request.digest.clone());
        self.put(request, creator).await
    }

    async fn delete(&self, request: &Request, target: Target<'_>) -> Result<(), Failure> {
        self.called("delete", request);
        let mut existing = self.existing.borrow_mut();
        match target {
            Target::Id("stuck") => return Err(Failure::new("the topic is stuck")),
            Target::Id(name) => drop(existing.remove(name)),
            Target::FailedCreate { name, request } => {
                if existing.get(name).is_some_and(|topic| Some(&topic.creator) == request.as_ref())
                {
                    existing.remove(name);
                }
            }
        }
        Ok(())
    }

    fn name(&self, request: &Request) -> Option<String> {
        let Properties { name, behave, .. } = request.properties().ok()?;
        assert_ne!(behave.as_deref(), Some("panic"), "name");
        Some(name)
    }
}
