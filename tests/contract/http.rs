//! The connections of the function.

use std::time::Duration;

use serde_json::json;
use stand_ins::{
    Aws,
    stack::{Exchange, World, merged},
    tls::Tls,
};

use crate::{create_request, world};

#[tokio::test]
async fn a_warm_function_reuses_its_connections() {
    let world: World = world().await;
    for _ in 0..5 {
        world.send(&create_request()).await.succeeded();
    }
    // One each to the Runtime API, to AWS IoT and to the bucket, which share an address here.
    assert!(world.aws.connections() <= 3, "{} connections", world.aws.connections());
}

#[tokio::test]
async fn ssl_cert_file_replaces_the_built_in_root_certificates() {
    let aws = Aws::start().await;
    let tls = Tls::serve(&aws).await;
    let world = World::new(aws.clone(), crate::function(&aws, &tls.settings()));
    send_over(&tls, &world).await.succeeded();

    // Without the file the self-signed certificate is not trusted. The request fails in time.
    let aws = Aws::start().await;
    let tls = Tls::serve(&aws).await;
    let world =
        World::new(aws.clone(), crate::function(&aws, &[("AWS_ENDPOINT_URL", &tls.services.url)]));
    world
        .with_timeout(Duration::from_secs(2))
        .send(&create_request())
        .await
        .failed("InternalFailureException");
}

#[tokio::test]
async fn three_hundred_requests_use_one_connection_to_each_host() {
    for kind in ["on-demand", "provisioned-concurrency"] {
        let aws = Aws::start().await;
        let tls = Tls::serve(&aws).await;
        let [endpoint, roots] = tls.settings();
        let function =
            crate::function(&aws, &[endpoint, roots, ("AWS_LAMBDA_INITIALIZATION_TYPE", kind)]);
        let world = World::new(aws, function);
        for _ in 0..300 {
            send_over(&tls, &world).await.succeeded();
        }
        assert_eq!((tls.services.connections(), tls.bucket.connections()), (1, 1), "{kind}");
    }
}

async fn send_over(tls: &Tls, world: &World) -> Exchange {
    let (key, http) = world.response_url("");
    let https = http.replace(&world.aws.url(), &tls.bucket.url);
    world.send_to(&key, merged(create_request(), &json!({ "ResponseURL": https }))).await
}
