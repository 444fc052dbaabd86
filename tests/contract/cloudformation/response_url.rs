//! Which `ResponseURL` gets a response, and until when.

use serde_json::json;
use stand_ins::stack::merged;

use super::amz_date;
use crate::{create_request, world};

#[tokio::test]
async fn a_response_url_of_another_host_gets_no_response_and_no_call_is_made() {
    let world = world().await;
    for (url, why) in [
        ("https://example.com/x", "its host is not that of CloudFormation's response bucket"),
        ("http://localhost:1/x", "it is not https on port 443"),
        ("", "it is not a URL with a host"),
        ("no url", "it is not a URL with a host"),
        ("https://user@127.0.0.1/x", "it has user info"),
        ("https://[no-address]/x", "the brackets of its host hold no IPv6 address"),
        ("https://127.0.0.1:+443/x", "its port is not a number"),
        ("ftp://127.0.0.1/x", "its scheme is neither https nor http"),
    ] {
        let exchange =
            world.send_to("none", merged(create_request(), &json!({ "ResponseURL": url }))).await;
        let error = exchange.returned.as_ref().unwrap_err();
        assert_eq!(error["errorType"], "ForbiddenResponseUrl", "{url}");
        let message = error["errorMessage"].as_str().unwrap();
        assert!(message.contains(why), "{url}: {message}");
        assert!(exchange.calls.is_empty());
    }
}

#[tokio::test]
async fn an_expired_response_url_makes_no_call_and_returns_expired() {
    let world = world().await;
    for parameters in [
        format!("X-Amz-Date={}&X-Amz-Expires=7200", amz_date(-7201)),
        format!("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=60&X-Amz-Date={}", amz_date(-3600)),
        "AWSAccessKeyId=AKIA&Expires=1700000000&Signature=x".to_owned(),
    ] {
        let (key, url) = world.response_url(&parameters);
        let exchange =
            world.send_to(&key, merged(create_request(), &json!({ "ResponseURL": url }))).await;
        assert_eq!(exchange.returned, Ok(json!({ "status": "EXPIRED" })));
        assert_eq!((exchange.puts, exchange.calls.len()), (0, 0));
    }
    for parameters in [
        format!("X-Amz-Date={}&X-Amz-Expires=7200", amz_date(-3500)),
        "Expires=99999999999".to_owned(),
        "Expires=x".to_owned(),
    ] {
        let (key, url) = world.response_url(&parameters);
        world
            .send_to(&key, merged(create_request(), &json!({ "ResponseURL": url })))
            .await
            .succeeded();
    }
}
