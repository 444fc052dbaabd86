//! AWS IoT. Only this module uses its SDK; the interface has domain types.
//!
//! A call can be retried for as long as there is time to respond afterwards: the SDK's own retries,
//! which stop after a few attempts, are off. See
//! <https://docs.aws.amazon.com/iot/latest/apireference/API_Operations_AWS_IoT.html>.

mod calls;
mod convert;
mod pace;
mod session;

use std::time::Duration;

use aws_sdk_iot::{
    Client,
    config::endpoint::{self, ResolveEndpoint as _},
};
use tokio::time::timeout;

use self::pace::Pace;
pub use self::session::{OnTimeout, Pacing, Session};
use crate::{
    http::Http,
    sdk::{self, UnnamedConflict},
    settings::Settings,
};

/// How long init waits for the first connection: longer than one takes on a working network.
const PRECONNECT_TIMEOUT: Duration = Duration::from_secs(2);

string_enum! {
    pub enum IotOperation {
        /// Sets the tags, too.
        Create = "CreateMitigationAction",
        /// Changes what is given; the rest stays.
        Update = "UpdateMitigationAction",
        /// Succeeds if the action does not exist.
        Delete = "DeleteMitigationAction",
        /// Returns the definition without the tags.
        Describe = "DescribeMitigationAction",
        /// Returns the tags, a page at a time.
        ListTags = "ListTagsForResource",
        /// Adds and replaces tags.
        Tag = "TagResource",
        Untag = "UntagResource",
    }
}

impl IotOperation {
    pub fn unnamed_conflict(self) -> UnnamedConflict {
        if self == Self::Create { UnnamedConflict::NameTaken } else { UnnamedConflict::Nothing }
    }
}

pub struct Iot<'s> {
    client: Client,
    settings: &'s Settings,
    pace: Pace,
}

impl<'s> Iot<'s> {
    pub fn new(settings: &'s Settings, http: Http) -> Self {
        let config = sdk::config(settings, http, settings.iot_endpoint.as_deref());
        Self { client: Client::new(&config), settings, pace: Pace::default() }
    }

    pub async fn preconnect(&self, http: &Http) {
        let endpoint = match &self.settings.iot_endpoint {
            Some(endpoint) => Some(endpoint.clone()),
            None => self.endpoint().await,
        };
        if let Some(uri) = endpoint.and_then(|endpoint| endpoint.parse().ok()) {
            drop(timeout(PRECONNECT_TIMEOUT, http.preconnect(uri)).await);
        }
    }

    /// The service's own endpoint, as the client finds it.
    async fn endpoint(&self) -> Option<String> {
        let region = self.settings.region.as_str();
        let params = endpoint::Params::builder().region(region).build().ok()?;
        let resolved = endpoint::DefaultResolver::new().resolve_endpoint(&params).await;
        Some(resolved.ok()?.url().to_owned())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that meets the unexpected ends")]
mod tests {
    use super::{Http, Iot, Settings};

    #[tokio::test]
    async fn the_first_connection_goes_to_the_regions_own_endpoint() {
        for (region, endpoint) in [
            ("eu-west-1", "https://iot.eu-west-1.amazonaws.com"),
            ("cn-north-1", "https://iot.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", "https://iot.us-gov-west-1.amazonaws.com"),
        ] {
            let settings = Settings::read(|name| (name == "AWS_REGION").then(|| region.to_owned()));
            let iot = Iot::new(&settings, Http::new(None).unwrap());
            assert_eq!(iot.endpoint().await.unwrap().trim_end_matches('/'), endpoint);
        }
    }
}
