//! Serves a request: one response, whatever happens.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::SystemTime,
};

use futures_util::FutureExt as _;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::timeout_at;

use crate::{
    Failure, ForbiddenUrl, Put, Request, RequestType, Target, Undelivered,
    physical_id::not_created, put::put_response, response::to_json,
};

/// A resource type: what three methods do for any resource of it.
///
/// Each method has to be idempotent, because a request may be delivered twice, also at the same
/// time, and has to end by [`Request::deadline`]. A method that is still running a moment later is
/// dropped, and the request has failed.
#[expect(async_fn_in_trait, reason = "a Lambda function serves its requests on one thread")]
pub trait CustomResource {
    /// The attributes for `Fn::GetAtt`: an object with a scalar for each, or `()` for none.
    type Attributes: Serialize;

    /// Creates the resource. Also for an Update of a resource whose Create has failed.
    ///
    /// # Errors
    /// Why it is not created. CloudFormation then sends a Delete of
    /// [`Target::FailedCreate`], which removes what was created nevertheless.
    async fn create(&self, request: &Request) -> Result<Resource<Self::Attributes>, Failure>;

    /// Changes the resource with that physical id. To replace it, creates another and returns that
    /// one's id: CloudFormation then sends a Delete of the old id.
    ///
    /// # Errors
    /// Why it is not changed. CloudFormation then sends an Update back to the old properties.
    async fn update(
        &self,
        request: &Request,
        id: &str,
    ) -> Result<Resource<Self::Attributes>, Failure>;

    /// Deletes what `target` means. What does not exist is deleted.
    ///
    /// # Errors
    /// Why it is not deleted. The stack's operation then fails.
    async fn delete(&self, request: &Request, target: Target<'_>) -> Result<(), Failure>;

    /// The name under which a Create with these properties creates the resource; it comes back with
    /// the Delete after a Create that failed, unless it is longer than 900 bytes. None by default.
    fn name(&self, request: &Request) -> Option<String> {
        let _ = request;
        None
    }

    /// The failure of a request that is served by no method, because of `problem`: its
    /// `RequestType` is unknown, or an Update has no physical id. By default, `problem`.
    async fn refuse(&self, request: &Request, problem: &str) -> Failure {
        let _ = request;
        Failure::new(problem)
    }

    /// The failure of a request to which no method has given a usable result: one has panicked, has
    /// not ended in time, or has returned what no response can hold. By default, `problem`.
    fn failure(&self, problem: &str) -> Failure {
        Failure::new(problem)
    }
}

const PANICKED: &str = "the provider panicked, which is a bug";

/// A resource that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource<A> {
    /// `PhysicalResourceId`, for `Ref`: 1 to 1024 characters, which do not begin with
    /// `not-created:`. With another id, the request fails.
    pub physical_id: String,
    /// `Data`, for `Fn::GetAtt`. If it does not fit the response of 4096 bytes, or is not an
    /// object, the request fails.
    pub attributes: A,
}

/// Serves requests in a region, with one way to send a PUT.
#[derive(Clone, Debug)]
pub struct Provider<P> {
    region: String,
    allowed_hosts: Vec<String>,
    put: P,
}

/// How a request was served.
#[derive(Debug)]
pub enum Served {
    /// It got this response.
    Responded(Box<RawValue>),
    /// CloudFormation no longer waits for a response, so nothing was done.
    Expired,
}

/// Why a request got no response.
#[derive(Debug)]
pub enum Error {
    /// The event is no request of CloudFormation, nor a notification of a topic that holds one.
    NotARequest,
    /// A response may not be sent to its `ResponseURL`, so nothing was done.
    Forbidden(ForbiddenUrl),
    /// The work is done, and the response was not delivered.
    Undelivered(Undelivered),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARequest => f.write_str("the event is no request of CloudFormation"),
            Self::Forbidden(why) => {
                write!(f, "invalid ResponseURL, so no work is done: {why}")
            }
            Self::Undelivered(why) => write!(f, "the response could not be delivered: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl<P: Put> Provider<P> {
    /// A provider in `region`, which `AWS_REGION` names.
    #[must_use]
    pub fn new(region: impl Into<String>, put: P) -> Self {
        Self { region: region.into(), allowed_hosts: Vec::new(), put }
    }

    /// Also accepts a `ResponseURL` of these hosts (without a port, and an IPv6 address without its
    /// brackets), on any port and over http: for tests and emulators. Whoever may invoke the
    /// function can have it send requests to them.
    #[must_use]
    pub fn allow_hosts(self, hosts: impl IntoIterator<Item = String>) -> Self {
        let hosts = hosts.into_iter().filter(|host| !host.is_empty());
        Self { allowed_hosts: hosts.map(|host| host.to_ascii_lowercase()).collect(), ..self }
    }

    /// Serves an event, in an invocation that ends `until`: a request, or the notifications of a
    /// topic that hold requests, each in turn.
    ///
    /// # Errors
    /// The first, once all are served.
    pub async fn handle<R: CustomResource>(
        &self,
        resource: &R,
        event: &str,
        until: SystemTime,
    ) -> Result<Vec<Served>, Error> {
        let mut served = Vec::new();
        let mut failed = Ok(());
        for request in Request::read_all(event) {
            let result = match request {
                Some(mut request) => self.serve(resource, &mut request, until).await,
                None => Err(Error::NotARequest),
            };
            match result {
                Ok(done) => served.push(done),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed.map(|()| served)
    }

    /// Serves a request, in an invocation that ends `until`.
    ///
    /// # Errors
    /// If its `ResponseURL` is forbidden, or its response was not delivered.
    pub async fn serve<R: CustomResource>(
        &self,
        resource: &R,
        request: &mut Request,
        until: SystemTime,
    ) -> Result<Served, Error> {
        let url =
            request.response_url(&self.region, &self.allowed_hosts).map_err(Error::Forbidden)?;
        let Some(deadlines) = request.begin(until) else { return Ok(Served::Expired) };
        let request = &*request;
        let mut work = Box::pin(AssertUnwindSafe(execute(resource, request)).catch_unwind());
        let result = match timeout_at(deadlines.abandon(), &mut work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(resource.failure(PANICKED)),
            Err(_) => Err(resource.failure("time ran out")),
        };
        // What a method holds is dropped here if it is abandoned, and may panic then, too.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(work)));
        let response = respond(resource, request, &result);
        put_response(&self.put, &url.expose(), response.get(), deadlines.respond)
            .await
            .map_err(Error::Undelivered)?;
        Ok(Served::Responded(response))
    }
}

async fn execute<R: CustomResource>(
    resource: &R,
    request: &Request,
) -> Result<Option<Resource<R::Attributes>>, Failure> {
    let target = Target::parse(&request.physical_resource_id);
    match (request.request_type, target) {
        (Some(RequestType::Create), _)
        | (Some(RequestType::Update), Target::FailedCreate { .. }) => {
            resource.create(request).await.map(Some)
        }
        (Some(RequestType::Update), Target::Id("")) => {
            let problem = "PhysicalResourceId: missing: expected the id from an earlier response";
            Err(resource.refuse(request, problem).await)
        }
        (Some(RequestType::Update), Target::Id(id)) => resource.update(request, id).await.map(Some),
        (Some(RequestType::Delete), target) => {
            resource.delete(request, target).await.map(|()| None)
        }
        (None, _) => {
            let expected = "expected Create, Update or Delete";
            let problem = match request.raw_request_type() {
                None => format!("RequestType: missing: {expected}"),
                Some(given) => {
                    let given: String = given.get().chars().take(80).collect();
                    format!("RequestType: invalid value {given}: {expected}")
                }
            };
            Err(resource.refuse(request, &problem).await)
        }
    }
}

/// The response as JSON; that of a failure if it cannot be written.
fn respond<R: CustomResource>(
    resource: &R,
    request: &Request,
    result: &Result<Option<Resource<R::Attributes>>, Failure>,
) -> Box<RawValue> {
    let id = match result {
        Ok(Some(resource)) => resource.physical_id.clone(),
        Ok(None) | Err(_) => physical_id(resource, request),
    };
    let write = || {
        if let Ok(Some(_)) = result {
            check_id(&id)?;
        }
        to_json(request, &id, result.as_ref().map(Option::as_ref))
    };
    let written = catch_unwind(AssertUnwindSafe(write));
    let failure = match written {
        Ok(Ok(response)) => return response,
        Ok(Err(problem)) => resource.failure(&problem.to_string()),
        Err(_) => resource.failure(PANICKED),
    };
    let id = physical_id(resource, request);
    to_json::<R::Attributes>(request, &id, Err(&failure)).unwrap_or_default()
}

/// Checks the id of a resource: a later request has to have the same one, and to mean it.
fn check_id(id: &str) -> Result<(), Failure> {
    let problem = match (id.chars().count(), Target::parse(id)) {
        (0, _) => "it is empty",
        (1..=1024, Target::Id(_)) => return Ok(()),
        (1..=1024, Target::FailedCreate { .. }) => "it is one of a Create that failed",
        _ => "it has more than 1024 characters",
    };
    Err(Failure::new(format_args!("the physical id of the resource is invalid: {problem}")))
}

/// The id in a response without a resource: that of the request, if it has one; but what was not
/// created gets an id that no resource has.
fn physical_id<R: CustomResource>(resource: &R, request: &Request) -> String {
    let id = request.physical_resource_id.as_str();
    let is_kept = match (request.request_type, Target::parse(id)) {
        (Some(RequestType::Create), _) | (_, Target::Id("")) => false,
        (Some(RequestType::Update), target) => matches!(target, Target::Id(_)),
        (Some(RequestType::Delete) | None, _) => true,
    };
    if is_kept {
        return id.to_owned();
    }
    let name = catch_unwind(AssertUnwindSafe(|| resource.name(request))).unwrap_or_default();
    not_created(name.as_deref(), &request.digest)
}
