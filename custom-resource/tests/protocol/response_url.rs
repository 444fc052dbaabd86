//! Which `ResponseURL` gets a response.

use cloudformation_custom_resource::{Error, ForbiddenUrl, Provider, ResponseUrl};
use serde_json::json;

use crate::{Recorder, Stack, request, topics::Topics};

#[test]
fn response_urls_of_cloudformation_are_accepted() {
    for (region, rest) in [
        ("us-east-1", "useast1.s3.amazonaws.com"),
        ("ap-southeast-2", "apsoutheast2.s3-ap-southeast-2.amazonaws.com"),
        ("eu-west-1", "euwest1.s3.eu-west-1.amazonaws.com"),
        ("eu-west-1", "euwest1.s3.dualstack.eu-west-1.amazonaws.com"),
        ("cn-north-1", "cnnorth1.s3.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "usgovwest1.s3-us-gov-west-1.amazonaws.com"),
        ("us-iso-east-1", "usisoeast1.s3.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", "usisobeast1.s3.us-isob-east-1.sc2s.sgov.gov"),
        ("eusc-de-east-1", "euscdeeast1.s3.eusc-de-east-1.amazonaws.eu"),
        ("us-east-1", "USEast1.s3.amazonaws.com"),
        ("us-east-1", "useast1.s3.amazonaws.com:443"),
    ] {
        let host = format!("CloudFormation-custom-resource-response-{rest}");
        let url = format!("https://{host}/arn%3Aaws?X-Amz-Date=1");
        assert!(ResponseUrl::parse(&url, region, &[]).is_ok(), "{host}");
        let elsewhere = if region == "us-east-1" { "us-east-2" } else { "us-east-1" };
        assert!(ResponseUrl::parse(&url, elsewhere, &[]).is_err(), "{host}");
        assert!(ResponseUrl::parse(&url, "", &[]).is_err(), "{host}");
    }
}

#[test]
fn response_urls_with_another_scheme_port_user_or_host_are_rejected() {
    let good = "cloudformation-custom-resource-response-useast1.s3.amazonaws.com";
    for url in [
        format!("http://{good}/x"),
        format!("https://{good}:8443/x"),
        format!("https://{good}:/x"),
        format!("https://user@{good}/x"),
        format!("https://user:password@{good}/x"),
        format!("https://{good}@evil.example/x"),
        format!("https://{good}.evil.example/x"),
        format!("https://{good}./x"),
        format!("https://evil.example/{good}"),
        format!("https://evil.example#{good}"),
        format!("https://evil.example?{good}"),
        format!("ftp://{good}/x"),
        format!("{good}/x"),
        format!("//{good}/x"),
        format!("https://{good}:+443/x"),
        format!("https://[{good}]/x"),
        String::new(),
    ] {
        assert!(ResponseUrl::parse(&url, "us-east-1", &[]).is_err(), "{url}");
    }
}

#[test]
fn response_urls_of_other_buckets_are_rejected() {
    let bucket = "https://cloudformation-custom-resource-response-useast1";
    let website = format!("{bucket}.s3-website-us-east-1.amazonaws.com/x");
    for url in [
        website.as_str(),
        "https://s3.amazonaws.com/cloudformation-custom-resource-response-useast1/x",
        "https://cloudformation-custom-resource-response-.s3.amazonaws.com/x",
        "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com.evil.example/x",
        "https://cloudformation-custom-resource-response-useast1.b.s3.amazonaws.com/x",
        "https://cloudformation-custom-resource-response-a_b.s3.amazonaws.com/x",
        "https://cloudformation-custom-resource-response-useast1.evil.amazonaws.com/x",
        "https://cloudformation-custom-resource-response-useast1.s3.evil.amazonaws.com/x",
        "https://cloudformation-custom-resource-response-useast1.s3-accelerate.amazonaws.com/x",
        "https://cloudformation-custom-resource-response-useast1.s3.us-g0v-west-1.amazonaws.com/x",
        "https://cloudformation-custom-resource-response-useast1.s3.us--1.amazonaws.com/x",
        "https://cloudformation-custom-resource-response-useast1.s3.us-east-1.evil.com/x",
        "https://cloudformation-custom-resource-response-useast1.s3amazonaws.com/x",
        "https://xcloudformation-custom-resource-response-useast1.s3.amazonaws.com/x",
        "https://cloudformation-custom-resource-response-useast1x.s3.amazonaws.com/x",
        "https://cloudformation-custom-resource-response-us-east-1.s3.amazonaws.com/x",
        "https://cloudformation-custom-resource-response-useast1.s3.us-east-2.amazonaws.com/x",
        "https://other-bucket.s3.amazonaws.com/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https:///x",
    ] {
        assert!(ResponseUrl::parse(url, "us-east-1", &[]).is_err(), "{url}");
    }
}

#[test]
fn allowed_hosts_are_accepted_on_any_port_and_over_http() {
    let allowed = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    for url in [
        "http://localhost:9010/x",
        "https://LOCALHOST/x",
        "http://127.0.0.1:1/x?y",
        "http://[::1]:8080/x",
    ] {
        assert!(ResponseUrl::parse(url, "eu-west-1", &allowed).is_ok(), "{url}");
    }
    for url in [
        "http://localhost.evil.example/",
        "ftp://localhost/",
        "http://user@localhost/",
        "http://127.0.0.2/",
        "http://localhost:99999/",
        "http://localhost:+1/",
        "http://[localhost]/",
        "http://[127.0.0.1]/",
    ] {
        assert!(ResponseUrl::parse(url, "eu-west-1", &allowed).is_err(), "{url}");
    }
}

#[tokio::test]
async fn a_request_with_a_forbidden_url_is_not_executed() {
    for (url, why) in [
        ("https://example.com/x?secret", ForbiddenUrl::Host),
        ("http://localhost:1/x?secret", ForbiddenUrl::NotHttps),
        ("", ForbiddenUrl::NoUrl),
        ("no url", ForbiddenUrl::NoUrl),
        ("https://[no-address]/x?secret", ForbiddenUrl::NoAddress),
        ("https://secret@127.0.0.1/x", ForbiddenUrl::UserInfo),
        ("https://127.0.0.1:+443/x?secret", ForbiddenUrl::Port),
    ] {
        let stack = Stack::default();
        let (returned, responses) = stack.invoke(&request(&json!({ "ResponseURL": url }))).await;
        let error = returned.unwrap_err();
        assert!(matches!(&error, Error::Forbidden(given) if *given == why), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        assert!(responses.is_empty() && stack.topics.take_calls().is_empty(), "{url}");
    }
}

#[tokio::test]
async fn a_host_is_allowed_in_any_case_and_an_empty_one_never_is() {
    let sent = async |url: &str, allowed: &[&str]| {
        let responses = Recorder::default();
        let hosts = allowed.iter().map(|host| (*host).to_owned());
        let provider = Provider::new("eu-west-1", responses.clone()).allow_hosts(hosts);
        let event = request(&json!({ "ResponseURL": url })).to_string();
        let until = std::time::SystemTime::now() + std::time::Duration::from_secs(9);
        drop(provider.handle(&Topics::default(), &event, until).await);
        responses.0.take().len()
    };
    assert_eq!(sent("http://LocalHost:9000/x", &["LOCALHOST"]).await, 1);
    assert_eq!(sent("http://[::1]:9000/x", &["", "::1"]).await, 1);
    assert_eq!(sent("http://:9000/x", &[""]).await, 0);
    assert_eq!(sent("http:///x", &[""]).await, 0);
}
