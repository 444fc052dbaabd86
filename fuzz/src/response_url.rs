//! A response goes to CloudFormation's own host only, by a second parser of URLs, the WHATWG's. A
//! URL that the function accepts must name the same host for both parsers: otherwise the response
//! could go to a host that was not checked.

use cloudformation_custom_resource::ResponseUrl;
use url::Url;

/// Checks the decision about `text` in `region`. Returns whether the URL is accepted.
pub fn check(text: &str, region: &str, allowed: &[String]) -> bool {
    match ResponseUrl::parse(text, region, allowed) {
        Ok(url) => {
            accepted(text, &url, region, allowed);
            true
        }
        Err(_) => {
            assert!(
                !is_plainly_legal(text, region, allowed),
                "rejected although it is valid: {text:?}"
            );
            let marked = format!("{text}?X-Amz-Signature=5ec4e7");
            assert!(
                ResponseUrl::parse(&marked, region, allowed)
                    .err()
                    .is_none_or(|forbidden| !forbidden.to_string().contains("5ec4e7")),
                "the error repeats the URL"
            );
            false
        }
    }
}

fn accepted(text: &str, url: &ResponseUrl, region: &str, allowed: &[String]) {
    let uri = url.expose();
    let other = Url::parse(text).expect("an accepted URL is a URL");
    let bare = |host: &str| host.trim_matches(['[', ']']).to_ascii_lowercase();
    let host = bare(other.host_str().expect("it has a host"));
    assert_eq!(uri.host().map(bare).as_ref(), Some(&host), "the request goes to another host");
    assert_eq!(uri.scheme_str(), Some(other.scheme()), "the request has another scheme");
    let default = if other.scheme() == "https" { 443 } else { 80 };
    let port = other.port_or_known_default().expect("it has a port");
    assert_eq!(uri.port_u16().unwrap_or(default), port, "the request goes to another port");
    assert!(other.username().is_empty() && other.password().is_none(), "it has user info");
    assert!(
        !uri.authority().is_some_and(|authority| authority.as_str().contains('@')),
        "it has user info"
    );
    if allowed.contains(&host) {
        assert!(matches!(other.scheme(), "http" | "https"), "neither http nor https");
    } else {
        assert_eq!((other.scheme(), port), ("https", 443), "not https on port 443");
        assert!(is_cloudformation_host(&host, region), "not a host of CloudFormation: {host}");
    }
}

/// Whether `text` is valid beyond doubt: every parser reads each of its characters the same way.
fn is_plainly_legal(text: &str, region: &str, allowed: &[String]) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) =
        authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let is_port = |port: &str| !port.starts_with(['+', '0']) && port.parse::<u16>().is_ok();
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/?&=%+:".contains(&b);
    let is_own = || {
        scheme == "https"
            && port.is_none_or(|port| port == "443")
            && is_cloudformation_host(host, region)
    };
    let is_allowed = || {
        matches!(scheme, "http" | "https")
            && port.is_none_or(is_port)
            && allowed.iter().any(|allowed| allowed == host)
    };
    text.len() < 8192
        && path.starts_with('/')
        && path.bytes().all(is_plain)
        && (is_own() || is_allowed())
}

/// The host rule, label by label from the right.
fn is_cloudformation_host(host: &str, region: &str) -> bool {
    const SUFFIXES: [&[&str]; 7] = [
        &["amazonaws", "com"],
        &["amazonaws", "com", "cn"],
        &["amazonaws", "eu"],
        &["c2s", "ic", "gov"],
        &["sc2s", "sgov", "gov"],
        &["cloud", "adc-e", "uk"],
        &["csp", "hci", "ic", "gov"],
    ];

    let labels: Vec<&str> = host.split('.').collect();
    SUFFIXES.iter().filter_map(|suffix| labels.strip_suffix(*suffix)).any(|rest| {
        let Some((bucket, service)) = rest.split_first() else { return false };
        let named = bucket.strip_prefix("cloudformation-custom-resource-response-");
        let dashless: String = region.chars().filter(|c| *c != '-').collect();
        named == Some(dashless.as_str())
            && match service {
                ["s3"] => true,
                ["s3", given] | ["s3", "dualstack", given] => *given == region,
                [dashed] => dashed.strip_prefix("s3-") == Some(region),
                _ => false,
            }
    })
}

/// At least one region of each partition.
pub const REGIONS: [&str; 12] = [
    "us-east-1",
    "eu-west-1",
    "eu-central-2",
    "ap-southeast-5",
    "me-south-1",
    "mx-central-1",
    "cn-north-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-isob-east-1",
    "eu-isoe-west-1",
    "eusc-de-east-1",
];
