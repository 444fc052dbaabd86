//! An on-demand init opens the connection of the first call. A failure to do so is no error.

use std::time::Duration;

use serde_json::json;
use stand_ins::{
    Aws,
    stack::{World, merged},
    tls::Tls,
};
use tokio::net::{TcpListener, TcpStream};

use crate::sample;

const ON_DEMAND: (&str, &str) = ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");

#[tokio::test]
async fn an_on_demand_init_opens_the_connection_and_makes_no_call() {
    for (kind, connections) in [("on-demand", 1), ("provisioned-concurrency", 0), ("", 0)] {
        let aws = Aws::start().await;
        let tls = Tls::serve(&aws).await;
        let [endpoint, roots] = tls.settings();
        let function = crate::function(&aws, &[endpoint, roots, (ON_DEMAND.0, kind)]);
        aws.lambda.ready().await;
        assert_eq!(tls.services.connections(), connections, "{kind}");
        assert!(aws.iot.take_calls().is_empty());
        World::new(aws, function)
            .send(&sample("create-update-device-certificate.json"))
            .await
            .succeeded();
        assert_eq!(tls.services.connections(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_connection_that_closed_before_the_first_event_is_opened_again() {
    let aws = Aws::start().await;
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", front.local_addr().unwrap());
    let function = crate::function(&aws, &[("AWS_ENDPOINT_URL", &url), ON_DEMAND]);
    drop(front.accept().await.unwrap());
    aws.lambda.ready().await;
    let address = aws.address;
    tokio::spawn(async move {
        while let Ok((mut near, _)) = front.accept().await {
            let mut far = TcpStream::connect(address).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let world = World::new(aws, function);
    world.send(&sample("create-update-device-certificate.json")).await.succeeded();
    // The function notices the closed connection before its call, so that the call is not lost.
    let output = world.function.stop().await;
    assert!(output.contains(r#""ServiceCalls":1,"#), "{output}");
}

#[tokio::test]
async fn an_invalid_setting_opens_no_connection() {
    let aws = Aws::start().await;
    let tls = Tls::serve(&aws).await;
    let [endpoint, roots] = tls.settings();
    let function =
        crate::function(&aws, &[endpoint, roots, ON_DEMAND, ("ROLE_PROPAGATION_SECONDS", "soon")]);
    World::new(aws, function)
        .send(&sample("create-update-device-certificate.json"))
        .await
        .failed("InvalidSetting");
    assert_eq!(tls.services.connections(), 0);
}

#[tokio::test]
async fn an_unreachable_service_does_not_fail_the_init() {
    // A service that accepts connections and does not respond, one that refuses them, and a host
    // that does not exist.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("https://{}", silent.local_addr().unwrap());
    for url in [silent_url.as_str(), "https://127.0.0.1:1", "https://nowhere.invalid"] {
        let aws = Aws::start().await;
        let world =
            World::new(aws.clone(), crate::function(&aws, &[("AWS_ENDPOINT_URL", url), ON_DEMAND]));
        let invalid =
            merged(sample("create-invalid.json"), &json!({ "LogicalResourceId": "Unreached" }));
        world.send(&invalid).await.failed("InvalidRequestException");
        world
            .with_timeout(Duration::from_secs(1))
            .send(&sample("create-adopt.json"))
            .await
            .failed("InternalFailureException");
    }
}

#[test]
fn the_binary_run_by_hand_says_what_it_is() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bootstrap"));
    let run = command.arg("--help").env_remove("AWS_LAMBDA_RUNTIME_API").output().unwrap();
    let output = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success() && output.contains("AWS_LAMBDA_RUNTIME_API"), "{output}");
}
