//! `ResponseURL`: the presigned S3 URL that takes the answer. A secret, and the one address that a caller chooses.

use std::{
    net::Ipv6Addr,
    time::{Duration, SystemTime},
};

use hyper::Uri;

/// A `ResponseURL` that may be answered. Cannot be printed: whoever has it can answer for the function.
pub struct ResponseUrl {
    uri: Uri,
}

impl ResponseUrl {
    /// Checks `text`: https on port 443 without user info, to a bucket of CloudFormation's; or to one of `allowed` hosts
    /// (lower case), then on any port and over http too.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub fn parse(text: &str, allowed: &[String]) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| "it is not a URL".to_owned())?;
        let authority = uri.authority().ok_or("it names no host")?;
        let host = authority.host();
        let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if address.is_some_and(|address| address.parse::<Ipv6Addr>().is_err()) {
            return Err("it has no IPv6 address in its brackets".to_owned());
        }
        let host = address.unwrap_or(host).to_ascii_lowercase();
        let scheme = uri.scheme_str().unwrap_or_default();
        if authority.as_str().contains('@') {
            return Err("it has user info".to_owned());
        }
        let rest = authority.as_str().get(authority.host().len()..).unwrap_or_default();
        let is_port =
            |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
        if !rest.is_empty() && !rest.strip_prefix(':').is_some_and(is_port) {
            return Err("its port is not a number".to_owned());
        }
        if allowed.contains(&host) {
            return match scheme {
                "http" | "https" => Ok(Self { uri }),
                _ => Err("its scheme is neither https nor http".to_owned()),
            };
        }
        if scheme != "https" || !matches!(authority.port_u16(), None | Some(443)) {
            return Err("it is not https on port 443".to_owned());
        }
        if !is_cloudformations(&host) {
            return Err("its host is none of CloudFormation's response buckets, nor in RESPONSE_URL_ALLOWED_HOSTS".to_owned());
        }
        Ok(Self { uri })
    }

    /// The address, for the one request that is made with it.
    #[must_use]
    pub fn expose(&self) -> Uri {
        self.uri.clone()
    }

    /// When the URL was signed, which is when the request was sent; `None` where it does not say.
    #[must_use]
    pub fn signed_at(&self) -> Option<SystemTime> {
        seconds_of(self.parameter("X-Amz-Date")?).and_then(at)
    }

    /// When the URL ceases to be accepted: `X-Amz-Date` and `X-Amz-Expires`, or `Expires`; `None` where it does not say.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        match (self.signed_at(), self.parameter("X-Amz-Expires")) {
            (Some(signed), Some(lasts)) => {
                signed.checked_add(Duration::from_secs(lasts.parse().ok()?))
            }
            _ => at(self.parameter("Expires")?.parse().ok()?),
        }
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let pairs = self.uri.query()?.split('&');
        pairs
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

/// `cloudformation-custom-resource-response-<any>` of S3, in any of its spellings, under the suffix of a partition.
fn is_cloudformations(host: &str) -> bool {
    const BUCKET: &str = "cloudformation-custom-resource-response-";
    const SUFFIXES: [&str; 7] = [
        ".amazonaws.com",
        ".amazonaws.com.cn",
        ".amazonaws.eu",
        ".c2s.ic.gov",
        ".sc2s.sgov.gov",
        ".cloud.adc-e.uk",
        ".csp.hci.ic.gov",
    ];

    let is_label = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_s3 = |text: &str| match text.strip_prefix("s3") {
        Some("") => true,
        Some(rest) => rest
            .strip_prefix(".dualstack.")
            .or_else(|| rest.strip_prefix(['.', '-']))
            .is_some_and(is_region),
        None => false,
    };
    let Some((bucket, service)) = host.split_once('.') else { return false };
    bucket.strip_prefix(BUCKET).is_some_and(is_label)
        && SUFFIXES.iter().any(|suffix| service.strip_suffix(suffix).is_some_and(is_s3))
}

/// `eu-west-1`, `us-gov-west-1`, `eusc-de-east-1`: two to four letters, words, a number.
fn is_region(text: &str) -> bool {
    let labels: Vec<&str> = text.split('-').collect();
    let is_word = |label: &&str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase());
    match labels.as_slice() {
        [area, words @ .., number] => {
            is_word(area)
                && (2..=4).contains(&area.len())
                && !words.is_empty()
                && words.iter().all(is_word)
                && (1..=2).contains(&number.len())
                && number.bytes().all(|b| b.is_ascii_digit())
        }
        _ => false,
    }
}

fn at(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The seconds since 1970 of an `X-Amz-Date`, `20261122T101112Z`.
fn seconds_of(date: &str) -> Option<u64> {
    /// From the first of March of the year 0 to 1970.
    const DAYS_TO_1970: u64 = 719_468;

    let number = |from: usize, to: usize| -> Option<u64> {
        date.get(from..to).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    let whole = date.len() == 16 && date.get(8..9) == Some("T") && date.get(15..) == Some("Z");
    let legal =
        (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !whole || !legal || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days of the civil calendar, in years that begin in March: the leap day is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some((days.checked_sub(DAYS_TO_1970)? * 24 + hour) * 3600 + minute * 60 + second)
}
