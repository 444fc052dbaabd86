//! The calls of a session, one function for each operation. Reads are retried; a change is one
//! attempt, because the life cycle looks at the action again before it repeats one.

use aws_sdk_iot::types::Tag;

use super::{
    IotOperation, Session,
    convert::{action, described, to_sdk, to_sdk_tags},
};
use crate::{
    mitigation::{
        Action, ActionName, Definition, Description, ErrorCode, Failure, Params, RoleArn, Tags,
    },
    sdk::{CallError, incomplete},
};

impl Session<'_> {
    /// [`DescribeMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeMitigationAction.html),
    /// without the tags, which need a call of their own.
    ///
    /// # Errors
    /// The service's, and [`ErrorCode::InternalFailure`] if there was no usable response in time.
    pub async fn describe(&self, name: &ActionName) -> Result<(Action, Description), Failure> {
        const OPERATION: IotOperation = IotOperation::Describe;

        let call = self.iot.client.describe_mitigation_action().action_name(name.as_str());
        let attempt = async || {
            let found = self.attempt(OPERATION, Box::pin(call.clone().send())).await?;
            described(name, found).ok_or_else(|| self.incomplete(OPERATION, "ARN or id"))
        };
        self.retry(attempt).await
    }

    /// [`ListTagsForResource`](https://docs.aws.amazon.com/iot/latest/apireference/API_ListTagsForResource.html),
    /// all pages.
    ///
    /// # Errors
    /// As [`Self::describe`]; [`ErrorCode::InternalFailure`] if the list repeats a page or does
    /// not end.
    pub async fn tags(&self, arn: &str) -> Result<Tags, Failure> {
        /// More pages than any action has tags.
        const MAX_PAGES: usize = 2 * Tags::MAX;
        const OPERATION: IotOperation = IotOperation::ListTags;

        let mut tags = Tags::default();
        let mut tokens: Vec<String> = Vec::new();
        loop {
            let call = self.iot.client.list_tags_for_resource().resource_arn(arn);
            let call = call.set_next_token(tokens.last().cloned());
            let attempt = async || {
                let page = self.attempt(OPERATION, Box::pin(call.clone().send())).await?;
                let found = page.tags.ok_or_else(|| self.incomplete(OPERATION, "tags"))?;
                Ok((found, page.next_token))
            };
            let (page, next) = self.retry::<_, Failure>(attempt).await?;
            for Tag { key, value, .. } in page {
                tags.set(key, value.unwrap_or_default());
            }
            let Some(token) = next.filter(|token| !token.is_empty()) else { return Ok(tags) };
            if tokens.contains(&token) || tokens.len() >= MAX_PAGES {
                let text = "ListTagsForResource: the list repeats its nextToken, or does not end";
                return Err(Failure::service(ErrorCode::InternalFailure, text));
            }
            tokens.push(token);
        }
    }

    /// [`CreateMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_CreateMitigationAction.html);
    /// `None` if the response has no ARN or no id, which proves nothing.
    pub async fn create(
        &self,
        name: &ActionName,
        definition: &Definition,
        tags: &Tags,
    ) -> Result<Option<Action>, CallError> {
        let Definition { role_arn, params } = definition;
        let call = self.iot.client.create_mitigation_action().action_name(name.as_str());
        let call = call.role_arn(role_arn.as_str()).action_params(to_sdk(params)?);
        let call = call.set_tags(Some(to_sdk_tags(tags)?));
        let created = self.attempt(IotOperation::Create, Box::pin(call.send())).await?;
        Ok(action(name, created.action_arn, created.action_id, Some(params.kind().to_string())))
    }

    /// [`UpdateMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateMitigationAction.html):
    /// what is given changes, the rest stays.
    pub async fn update(
        &self,
        name: &ActionName,
        role_arn: Option<&RoleArn>,
        params: Option<&Params>,
    ) -> Result<Action, CallError> {
        const OPERATION: IotOperation = IotOperation::Update;

        let call = self.iot.client.update_mitigation_action().action_name(name.as_str());
        let call = call.set_role_arn(role_arn.map(|arn| arn.as_str().to_owned()));
        let call = call.set_action_params(params.map(to_sdk).transpose()?);
        let updated = self.attempt(OPERATION, Box::pin(call.send())).await?;
        let action_type = params.map(|params| params.kind().to_string());
        action(name, updated.action_arn, updated.action_id, action_type)
            .ok_or_else(|| self.incomplete(OPERATION, "ARN or id"))
    }

    /// [`DeleteMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteMitigationAction.html),
    /// which succeeds if there is no such action.
    pub async fn delete(&self, name: &ActionName) -> Result<(), CallError> {
        let call = self.iot.client.delete_mitigation_action().action_name(name.as_str());
        self.attempt(IotOperation::Delete, Box::pin(call.send())).await.map(drop)
    }

    /// [`TagResource`](https://docs.aws.amazon.com/iot/latest/apireference/API_TagResource.html):
    /// adds and changes.
    pub async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), CallError> {
        let call = self.iot.client.tag_resource().resource_arn(arn);
        let call = call.set_tags(Some(to_sdk_tags(tags)?));
        self.attempt(IotOperation::Tag, Box::pin(call.send())).await.map(drop)
    }

    /// [`UntagResource`](https://docs.aws.amazon.com/iot/latest/apireference/API_UntagResource.html).
    pub async fn untag(&self, arn: &str, keys: &[String]) -> Result<(), CallError> {
        let call = self.iot.client.untag_resource().resource_arn(arn);
        let call = call.set_tag_keys(Some(keys.to_vec()));
        self.attempt(IotOperation::Untag, Box::pin(call.send())).await.map(drop)
    }

    /// A success that lacks what it must have is an error of the service.
    fn incomplete(&self, operation: IotOperation, what: &str) -> CallError {
        let error = incomplete(operation.as_str(), what);
        let (CallError::Transient(failure) | CallError::Permanent(failure)) = &error;
        self.record_error(failure);
        error
    }
}
