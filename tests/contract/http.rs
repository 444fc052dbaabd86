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
    let played = world.with_timeout(Duration::from_secs(2)).send(&create_request()).await;
    let reason = played.failed("InternalFailureException").reason();
    assert!(reason.contains("the certificate is not trusted"), "{reason}");
}

/// A port that accepts connections, and does with them what `serve` says.
async fn peer(serve: fn(tokio::net::TcpStream)) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream);
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_failed_connection_is_named_in_the_reason_and_in_the_log() {
    let closing = peer(drop).await;
    for (endpoint, word) in [
        ("http://no-such-host.invalid".to_owned(), "the host name was not found"),
        ("http://127.0.0.1:1".to_owned(), "the connection was refused"),
        (closing, "the connection was closed"),
    ] {
        let world = crate::world_with(&[("AWS_ENDPOINT_URL_IOT", &endpoint)]).await;
        let world = world.with_timeout(Duration::from_secs(2));
        let played = world.send(&create_request()).await;
        let reason = played.failed("InternalFailureException").reason().to_owned();
        assert!(reason.contains(word), "{endpoint}: {reason}");
        let output = world.function.stop().await;
        assert!(output.contains(word), "{output}");
    }
}

#[tokio::test]
async fn a_response_that_cannot_be_delivered_names_the_failed_connection() {
    let world: World = world().await.with_timeout(Duration::from_secs(2));
    let request = json!({ "ResponseURL": "http://127.0.0.1:1/response" });
    let exchange = world.send_to("", merged(create_request(), &request)).await;
    let error = exchange.returned.unwrap_err();
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.contains("the connection was refused"), "{message}");
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
