//! The calls, one operation each.

use aws_sdk_iot::types::Tag;

use super::{
    Session,
    convert::{action, described, to_sdk, to_sdk_tags},
};
use crate::mitigation::{
    Action, ActionName, Definition, Description, ErrorCode, Failure, Params, RoleArn, Tags,
};

impl Session<'_> {
    /// [`CreateMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_CreateMitigationAction.html).
    ///
    /// # Errors
    /// The service's, and [`ErrorCode::InternalFailure`] where there was no response in time.
    pub async fn create(
        &self,
        name: &ActionName,
        definition: &Definition,
        tags: &Tags,
    ) -> Result<Action, Failure> {
        let Definition { role_arn, params } = definition;
        let call = self.iot.client.create_mitigation_action().action_name(name.as_str());
        let call = call.role_arn(role_arn.as_str()).action_params(to_sdk(params)?);
        let call = call.set_tags(Some(to_sdk_tags(tags)?));
        let made = self.call("CreateMitigationAction", || call.clone().send()).await?;
        self.action(name, made.action_arn, made.action_id, Some(params)).await
    }

    /// [`UpdateMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateMitigationAction.html):
    /// what is given changes, the rest stays.
    ///
    /// # Errors
    /// As [`Session::create`].
    pub async fn update(
        &self,
        name: &ActionName,
        role_arn: Option<&RoleArn>,
        params: Option<&Params>,
    ) -> Result<Action, Failure> {
        let call = self.iot.client.update_mitigation_action().action_name(name.as_str());
        let call = call.set_role_arn(role_arn.map(|arn| arn.as_str().to_owned()));
        let call = call.set_action_params(params.map(to_sdk).transpose()?);
        let updated = self.call("UpdateMitigationAction", || call.clone().send()).await?;
        self.action(name, updated.action_arn, updated.action_id, params).await
    }

    /// [`DeleteMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteMitigationAction.html),
    /// which succeeds where there is no such action.
    ///
    /// # Errors
    /// As [`Session::create`].
    pub async fn delete(&self, name: &ActionName) -> Result<(), Failure> {
        let call = self.iot.client.delete_mitigation_action().action_name(name.as_str());
        self.call("DeleteMitigationAction", || call.clone().send()).await.map(drop)
    }

    /// [`DescribeMitigationAction`](https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeMitigationAction.html);
    /// the tags are another call's.
    ///
    /// # Errors
    /// As [`Session::create`].
    pub async fn describe(&self, name: &ActionName) -> Result<(Action, Description), Failure> {
        let call = self.iot.client.describe_mitigation_action().action_name(name.as_str());
        let found = self.call("DescribeMitigationAction", || call.clone().send()).await?;
        described(name, found)
    }

    /// [`ListTagsForResource`](https://docs.aws.amazon.com/iot/latest/apireference/API_ListTagsForResource.html),
    /// all pages.
    ///
    /// # Errors
    /// As [`Session::create`]; [`ErrorCode::InternalFailure`] where the list repeats a page or does
    /// not end.
    pub async fn tags(&self, arn: &str) -> Result<Tags, Failure> {
        /// More pages than any action has tags.
        const MAX_PAGES: usize = 2 * Tags::MAX;

        let mut tags = Tags::default();
        let mut tokens: Vec<String> = Vec::new();
        loop {
            let call = self.iot.client.list_tags_for_resource().resource_arn(arn);
            let call = call.set_next_token(tokens.last().cloned());
            let page = self.call("ListTagsForResource", || call.clone().send()).await?;
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

    /// [`TagResource`](https://docs.aws.amazon.com/iot/latest/apireference/API_TagResource.html):
    /// adds and changes.
    ///
    /// # Errors
    /// As [`Session::create`].
    pub async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), Failure> {
        let call = self.iot.client.tag_resource().resource_arn(arn);
        let call = call.set_tags(Some(to_sdk_tags(tags)?));
        self.call("TagResource", || call.clone().send()).await.map(drop)
    }

    /// [`UntagResource`](https://docs.aws.amazon.com/iot/latest/apireference/API_UntagResource.html).
    ///
    /// # Errors
    /// As [`Session::create`].
    pub async fn untag(&self, arn: &str, keys: Vec<String>) -> Result<(), Failure> {
        let call = self.iot.client.untag_resource().resource_arn(arn).set_tag_keys(Some(keys));
        self.call("UntagResource", || call.clone().send()).await.map(drop)
    }

    /// The action that a response names; where it says too little, it is asked for.
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
