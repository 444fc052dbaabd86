//! A direct invocation: its result is the return value, and its failure a function error.

use serde_json::value::RawValue;

use super::{FunctionError, Handler, Invocation, Limits, to_json};
use crate::{
    iot::{OnTimeout, Pacing},
    trigger::api::ApiRequest,
};

impl Handler<'_> {
    pub(super) async fn serve_direct(
        &self,
        request: &ApiRequest,
        invocation: &Invocation,
    ) -> Result<Box<RawValue>, FunctionError> {
        let limits = Limits {
            until: invocation.deadlines().work,
            on_timeout: OnTimeout::Transient,
            pacing: Pacing::None,
        };
        let id = request.request_id().unwrap_or(&invocation.request_id);
        let owner = request.owner(id);
        let result = self.execute_api(request, &owner, id, invocation, limits).await;
        match &result {
            Ok(_) => to_json(&request.result(&result)),
            Err(failure) => Err(failure.into()),
        }
    }
}
