//! `Custom::RandomSuffix`: a suffix for names that stays the same for as long as the resource.
//!
//! ```yaml
//! Suffix:
//!   Type: Custom::RandomSuffix
//!   Properties: { ServiceToken: !GetAtt Function.Arn, ServiceTimeout: 360, Length: 8 }
//! Bucket: { Type: AWS::S3::Bucket, Properties: { BucketName: !Sub "logs-${Suffix.Value}" } }
//! ```

use cloudformation_custom_resource::{
    CustomResource, Failure, HyperPut, Provider, Request, Resource, Target, scalar,
};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json, value::RawValue};

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    #[serde(deserialize_with = "scalar::number")]
    length: usize,
}

struct Suffixes;

impl CustomResource for Suffixes {
    type Attributes = Value;

    async fn create(&self, request: &Request) -> Result<Resource<Value>, Failure> {
        let Properties { length } = request.properties()?;
        // The same for each delivery of the request, so that a second one changes nothing.
        let digest = request.digest.as_str().to_lowercase();
        let expected = || Failure::new(format!("Length: invalid value {length}: expected 1 to 16"));
        let value = digest.get(..length).filter(|value| !value.is_empty()).ok_or_else(expected)?;
        Ok(Resource { physical_id: value.to_owned(), attributes: json!({ "Value": value }) })
    }

    async fn update(&self, request: &Request, id: &str) -> Result<Resource<Value>, Failure> {
        let Properties { length } = request.properties()?;
        if length == id.len() {
            return Ok(Resource { physical_id: id.to_owned(), attributes: json!({ "Value": id }) });
        }
        self.create(request).await
    }

    async fn delete(&self, _: &Request, _: Target<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let hosts = std::env::var("ALLOWED_HOSTS").unwrap_or_default();
    let provider = Provider::new(std::env::var("AWS_REGION")?, HyperPut::new())
        .allow_hosts(hosts.split(',').map(str::to_owned));
    let service = service_fn(async |event: LambdaEvent<Box<RawValue>>| {
        let until = event.context.deadline();
        provider.handle(&Suffixes, event.payload.get(), until).await.map(drop).map_err(Error::from)
    });
    lambda_runtime::Runtime::new(service).run().await
}
