//! Which `ResponseURL` gets a response, and until when.

use std::time::SystemTime;

use mitigation_action_provider::trigger::cloudformation::ResponseUrl;
use serde_json::json;
use stand_ins::stack::merged;

use super::amz_date;
use crate::{create_request, world};

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

#[test]
fn a_response_url_expires_as_its_signature_says() {
    let expires = |query: &str| {
        let url = format!("http://h/x?{query}");
        let expires = ResponseUrl::parse(&url, "eu-west-1", &["h".to_owned()]).unwrap();
        expires.expires_at().map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    };
    assert_eq!(expires("X-Amz-Date=19700101T000100Z&X-Amz-Expires=7200"), Some(7260));
    assert_eq!(expires("X-Amz-Date=19700101T000100Z"), None);
    assert_eq!(expires("AWSAccessKeyId=a&Expires=1795342272"), Some(1_795_342_272));
    assert_eq!(expires("X-Amz-Expires=7200"), None);
}

#[test]
fn the_date_of_a_response_url_is_parsed_as_aws_writes_it() {
    let at = |date: &str| {
        let url = format!("http://h/x?X-Amz-Date={date}");
        let signed = ResponseUrl::parse(&url, "eu-west-1", &["h".to_owned()]).unwrap().signed_at();
        signed.map(|at| at.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs())
    };
    assert_eq!(at("19700101T000000Z"), Some(0));
    assert_eq!(at("20000229T235959Z"), Some(951_868_799));
    assert_eq!(at("20261122T101112Z"), Some(1_795_342_272));
    assert_eq!(at("20161231T235960Z"), Some(1_483_228_800), "a leap second");
    assert_eq!(at("99991231T235959Z"), Some(253_402_300_799));
    for date in [
        "",
        "20261122",
        "20261122T101112",
        "20261122T101112z",
        "20261122T101112ZZ",
        "2026112aT101112Z",
        "20261122X101112Z",
        "19691231T235959Z",
        "20260022T101112Z",
        "20261322T101112Z",
        "20261100T101112Z",
        "20261132T101112Z",
        "20261122T241112Z",
        "20261122T106012Z",
        "20261122T101161Z",
    ] {
        assert_eq!(at(date), None, "{date}");
    }
}

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
