//! The calls of a session, one function for each operation. Reads are methods of [`Session`];
//! writes are methods of [`Writes`], which can run a check before each attempt.

use std::fmt::Debug;

use aws_sdk_iot::{
    error::{ProvideErrorMetadata, SdkError},
    types::Tag,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{
    IotOperation, Session,
    convert::{action, described, to_sdk, to_sdk_tags},
    session::BeforeAttempt,
};
use crate::mitigation::{
    Action, ActionName, Definition, Description, ErrorCode, Failure, Params, RoleArn, Tags,
};

/// The calls of a session that change something.
pub struct Writes<'s> {
    session: &'s Session<'s>,
    before_attempt: Option<BeforeAttempt<'s>>,
}

impl Session<'_> {
    /// The calls that change something.
    #[must_use]
    pub fn writes(&self) -> Writes<'_> {
        Writes { session: self, before_attempt: None }
    }

    /// The calls that change something, each attempt only once `before_attempt` has succeeded.
    #[must_use]
    pub fn writes_after<'s>(&'s self, before_attempt: BeforeAttempt<'s>) -> Writes<'s> {
        Writes { session: self, before_attempt: Some(before_attempt) }
    }

    /// [`DescribeMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeMitigationAction.html),
    /// without the tags, which need a call of their own.
    ///
    /// # Errors
    /// As [`Writes::create`].
    pub async fn describe(&self, name: &ActionName) -> Result<(Action, Description), Failure> {
        let call = self.iot.client.describe_mitigation_action().action_name(name.as_str());
        let found = self.call(IotOperation::Describe, None, || call.clone().send()).await?;
        described(name, found)
    }

    /// [`ListTagsForResource`](https://docs.aws.amazon.com/iot/latest/apireference/API_ListTagsForResource.html),
    /// all pages.
    ///
    /// # Errors
    /// As [`Writes::create`]; [`ErrorCode::InternalFailure`] if the list repeats a page or does
    /// not end.
    pub async fn tags(&self, arn: &str) -> Result<Tags, Failure> {
        /// More pages than any action has tags.
        const MAX_PAGES: usize = 2 * Tags::MAX;

        let mut tags = Tags::default();
        let mut tokens: Vec<String> = Vec::new();
        loop {
            let call = self.iot.client.list_tags_for_resource().resource_arn(arn);
            let call = call.set_next_token(tokens.last().cloned());
            let page = self.call(IotOperation::ListTags, None, || call.clone().send()).await?;
            for Tag { key, value, .. } in page.tags.unwrap_or_default() {
                tags.set(key, value.unwrap_or_default());
            }
            let Some(token) = page.next_token.filter(|token| !token.is_empty()) else {
                return Ok(tags);
            };
            if tokens.contains(&token) || tokens.len() >= MAX_PAGES {
                let text = "ListTagsForResource: the list repeats its nextToken, or does not end";
                return Err(Failure::service(ErrorCode::InternalFailure, text));
            }
            tokens.push(token);
        }
    }

    /// The action that a response names; if the response is incomplete, describes it.
    async fn action(
        &self,
        name: &ActionName,
        arn: Option<String>,
        id: Option<String>,
        params: Option<&Params>,
    ) -> Result<Action, Failure> {
        let action_type = params.map(|params| params.kind().as_str().to_owned());
        match action(name, arn, id, action_type) {
            Ok(action) => Ok(action),
            Err(_) => Ok(self.describe(name).await?.0),
        }
    }
}

impl Writes<'_> {
    fn call<T, E, R>(
        &self,
        operation: IotOperation,
        send: impl Fn() -> R,
    ) -> impl Future<Output = Result<T, Failure>>
    where
        R: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Debug,
    {
        self.session.call(operation, self.before_attempt, send)
    }

    /// [`CreateMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_CreateMitigationAction.html).
    ///
    /// # Errors
    /// The service's, and [`ErrorCode::InternalFailure`] if there was no response in time.
    pub async fn create(
        &self,
        name: &ActionName,
        definition: &Definition,
        tags: &Tags,
    ) -> Result<Action, Failure> {
        let Definition { role_arn, params } = definition;
        let call = self.session.iot.client.create_mitigation_action().action_name(name.as_str());
        let call = call.role_arn(role_arn.as_str()).action_params(to_sdk(params)?);
        let call = call.set_tags(Some(to_sdk_tags(tags)?));
        let created = self.call(IotOperation::Create, || call.clone().send()).await?;
        self.session.action(name, created.action_arn, created.action_id, Some(params)).await
    }

    /// [`UpdateMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateMitigationAction.html):
    /// what is given changes, the rest stays.
    ///
    /// # Errors
    /// As [`Writes::create`].
    pub async fn update(
        &self,
        name: &ActionName,
        role_arn: Option<&RoleArn>,
        params: Option<&Params>,
    ) -> Result<Action, Failure> {
        let call = self.session.iot.client.update_mitigation_action().action_name(name.as_str());
        let call = call.set_role_arn(role_arn.map(|arn| arn.as_str().to_owned()));
        let call = call.set_action_params(params.map(to_sdk).transpose()?);
        let updated = self.call(IotOperation::Update, || call.clone().send()).await?;
        self.session.action(name, updated.action_arn, updated.action_id, params).await
    }

    /// [`DeleteMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteMitigationAction.html),
    /// which succeeds if there is no such action.
    ///
    /// # Errors
    /// As [`Writes::create`].
    pub async fn delete(&self, name: &ActionName) -> Result<(), Failure> {
        let call = self.session.iot.client.delete_mitigation_action().action_name(name.as_str());
        self.call(IotOperation::Delete, || call.clone().send()).await.map(drop)
    }

    /// [`TagResource`](https://docs.aws.amazon.com/iot/latest/apireference/API_TagResource.html):
    /// adds and changes.
    ///
    /// # Errors
    /// As [`Writes::create`].
    pub async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), Failure> {
        let call = self.session.iot.client.tag_resource().resource_arn(arn);
        let call = call.set_tags(Some(to_sdk_tags(tags)?));
        self.call(IotOperation::Tag, || call.clone().send()).await.map(drop)
    }

    /// [`UntagResource`](https://docs.aws.amazon.com/iot/latest/apireference/API_UntagResource.html).
    ///
    /// # Errors
    /// As [`Writes::create`].
    pub async fn untag(&self, arn: &str, keys: Vec<String>) -> Result<(), Failure> {
        let call =
            self.session.iot.client.untag_resource().resource_arn(arn).set_tag_keys(Some(keys));
        self.call(IotOperation::Untag, || call.clone().send()).await.map(drop)
    }
}
