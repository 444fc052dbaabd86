//! The PUT of the response, over HTTP to a bucket that behaves as S3 does.

use std::time::{Duration, Instant, SystemTime};

use cloudformation_custom_resource::{Error, HyperPut, Provider, Served, Undelivered};
use serde_json::json;
use stand_ins::{Aws, bucket::Put, fault::Fault};

use crate::{REGION, amz_date, request, topics::Topics};

/// Serves a Create in an invocation of that length, with a fault of the first PUTs.
async fn serve(
    fault: Option<(Fault, usize)>,
    timeout: Duration,
) -> (Result<Vec<Served>, Error>, Vec<Put>) {
    let aws = Aws::start().await;
    if let Some((fault, times)) = fault {
        aws.bucket.faults.set("PUT", fault, times);
    }
    let query = format!("X-Amz-Signature=5ec4e7&X-Amz-Date={}", amz_date(-5));
    let url = format!("{}/response/key?{query}", aws.url());
    let event = request(&json!({ "ResponseURL": url })).to_string();
    let provider = Provider::new(REGION, HyperPut::new()).allow_hosts(["127.0.0.1".to_owned()]);
    let until = SystemTime::now() + timeout;
    let returned = provider.handle(&Topics::default(), &event, until).await;
    // Panics if the responses differ, or CloudFormation would reject one.
    aws.bucket.check();
    (returned, aws.bucket.take())
}

const TIMEOUT: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_response_is_sent_once() {
    let (returned, puts) = serve(None, TIMEOUT).await;
    let [Served::Responded(response)] = &returned.unwrap()[..] else { panic!("no response") };
    assert_eq!(puts.len(), 1);
    assert!(puts[0].accepted, "with a length, and without a content type");
    assert_eq!((puts[0].key.as_str(), puts[0].body.as_str()), ("key", response.get()));
    assert_eq!(puts[0].response()["Status"], "SUCCESS");
}

#[tokio::test]
async fn a_response_is_retried_until_it_is_accepted_once() {
    for fault in [
        Fault::Refuse(500, "InternalError"),
        Fault::Refuse(503, "SlowDown"),
        Fault::Refuse(429, "TooManyRequests"),
        Fault::Refuse(408, "RequestTimeout"),
        Fault::Refuse(400, "RequestTimeout"),
        Fault::Refuse(307, "TemporaryRedirect"),
        Fault::Refuse(301, "PermanentRedirect"),
        Fault::LoseBefore,
        Fault::LoseAfter,
    ] {
        let (returned, puts) = serve(Some((fault.clone(), 2)), TIMEOUT).await;
        assert!(returned.is_ok(), "{fault:?}: {returned:?}");
        // Another URL would be another key, or another server.
        assert_eq!(puts.iter().filter(|put| put.key == "key").count(), 3, "{fault:?}");
    }
}

#[tokio::test]
async fn a_put_that_gets_no_response_leaves_time_for_another() {
    let (returned, puts) = serve(Some((Fault::Hang, 1)), TIMEOUT).await;
    assert!(returned.is_ok(), "{returned:?}");
    assert_eq!(puts.len(), 2);
}

#[tokio::test]
async fn a_slow_put_is_waited_for() {
    let slow = Fault::Slow(Duration::from_millis(900));
    let (returned, puts) = serve(Some((slow, 1)), TIMEOUT).await;
    assert!(returned.is_ok(), "{returned:?}");
    assert_eq!(puts.len(), 1);
}

#[tokio::test]
async fn an_accepted_response_is_not_sent_again_if_its_body_never_ends() {
    let (returned, puts) = serve(Some((Fault::Garbage, 9)), TIMEOUT).await;
    assert!(returned.is_ok(), "{returned:?}");
    assert_eq!(puts.len(), 1);
}

#[tokio::test]
async fn a_rejected_response_is_an_error_that_names_s3s_code() {
    for (status, code) in [
        (403, "AccessDenied"),
        (403, "SignatureDoesNotMatch"),
        (400, "EntityTooLarge"),
        (404, "NoSuchBucket"),
        (411, "MissingContentLength"),
    ] {
        let (returned, puts) = serve(Some((Fault::Refuse(status, code), 9)), TIMEOUT).await;
        let error = returned.unwrap_err();
        let Error::Undelivered(Undelivered::Rejected(given, Some(named))) = &error else {
            panic!("{error:?}")
        };
        assert_eq!((given.as_u16(), named.as_str(), puts.len()), (status, code, 1));
        let text = error.to_string();
        assert!(text.contains(&status.to_string()) && text.contains(code), "{text}");
        assert!(!format!("{error} {error:?}").contains("5ec4e7"), "{error:?}");
    }
}

#[tokio::test]
async fn a_rejection_without_a_code_is_an_error_too() {
    let (returned, puts) = serve(Some((Fault::Proxy(403), 9)), TIMEOUT).await;
    let error = returned.unwrap_err();
    assert!(matches!(error, Error::Undelivered(Undelivered::Rejected(_, None))), "{error:?}");
    assert_eq!(puts.len(), 1);
}

#[tokio::test]
async fn a_response_that_is_never_accepted_is_an_error_before_the_invocation_ends() {
    for fault in [Fault::Refuse(503, "SlowDown"), Fault::Hang, Fault::LoseBefore] {
        let (timeout, began) = (Duration::from_secs(3), Instant::now());
        let (returned, puts) = serve(Some((fault.clone(), 1000)), timeout).await;
        assert!(began.elapsed() < timeout, "{fault:?}: {:?}", began.elapsed());
        let error = returned.unwrap_err();
        assert!(matches!(error, Error::Undelivered(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("5ec4e7"), "{error:?}");
        assert!(puts.len() > 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_connection_that_fails_is_named_without_the_url() {
    // No one listens at the first, and no name server knows the second.
    for (url, why) in [
        ("http://127.0.0.1:1/key?5ec4e7", "the connection was refused"),
        ("http://bucket.invalid/key?5ec4e7", "the host name was not found"),
    ] {
        let event = request(&json!({ "ResponseURL": url })).to_string();
        let hosts = ["127.0.0.1", "bucket.invalid"].map(str::to_owned);
        let provider = Provider::new(REGION, HyperPut::new()).allow_hosts(hosts);
        let until = SystemTime::now() + Duration::from_secs(1);
        let error = provider.handle(&Topics::default(), &event, until).await.unwrap_err();
        let start = "the response could not be delivered: the last attempt failed";
        assert_eq!(error.to_string(), format!("{start}: {why}"));
    }
}
