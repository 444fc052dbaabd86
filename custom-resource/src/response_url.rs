//! `ResponseURL`: the presigned S3 URL for the response. It is a secret, and the only address that
//! a caller chooses.

use std::{
    fmt,
    net::Ipv6Addr,
    time::{Duration, SystemTime},
};

use http::Uri;

/// A `ResponseURL` that a response may be sent to. It has no `Debug` or `Display`, because anyone
/// who knows it can respond for the function.
pub struct ResponseUrl {
    uri: Uri,
}

/// Why a `ResponseURL` is rejected. Does not repeat the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForbiddenUrl {
    /// It is not a URL with a host.
    NoUrl,
    /// The brackets of its host contain no IPv6 address.
    NoAddress,
    /// It has user info.
    UserInfo,
    /// Its port is not a number.
    Port,
    /// Its host is an allowed one, but its scheme is neither https nor http.
    Scheme,
    /// It is not https on port 443.
    NotHttps,
    /// Its host is neither CloudFormation's nor an allowed one.
    Host,
}

impl fmt::Display for ForbiddenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUrl => "it is not a URL with a host",
            Self::NoAddress => "the brackets of its host hold no IPv6 address",
            Self::UserInfo => "it has user info",
            Self::Port => "its port is not a number",
            Self::Scheme => "its scheme is neither https nor http",
            Self::NotHttps => "it is not https on port 443",
            Self::Host => {
                "its host is not that of CloudFormation's response bucket in this region, nor an \
                 allowed one"
            }
        })
    }
}

impl std::error::Error for ForbiddenUrl {}

impl ResponseUrl {
    /// Parses `text`: https on port 443 without user info, to CloudFormation's bucket in `region`;
    /// or to one of the `allowed` hosts (lower case), also on other ports and over http.
    ///
    /// # Errors
    /// The first rule that `text` breaks.
    pub fn parse(text: &str, region: &str, allowed: &[String]) -> Result<Self, ForbiddenUrl> {
        let uri: Uri = text.parse().map_err(|_| ForbiddenUrl::NoUrl)?;
        let authority = uri.authority().ok_or(ForbiddenUrl::NoUrl)?;
        let host = authority.host();
        let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if address.is_some_and(|address| address.parse::<Ipv6Addr>().is_err()) {
            return Err(ForbiddenUrl::NoAddress);
        }
        let host = address.unwrap_or(host).to_ascii_lowercase();
        let scheme = uri.scheme_str().unwrap_or_default();
        if authority.as_str().contains('@') {
            return Err(ForbiddenUrl::UserInfo);
        }
        let rest = authority.as_str().get(authority.host().len()..).unwrap_or_default();
        let is_port =
            |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
        if !rest.is_empty() && !rest.strip_prefix(':').is_some_and(is_port) {
            return Err(ForbiddenUrl::Port);
        }
        if allowed.contains(&host) {
            return match scheme {
                "http" | "https" => Ok(Self { uri }),
                _ => Err(ForbiddenUrl::Scheme),
            };
        }
        if scheme != "https" || !matches!(authority.port_u16(), None | Some(443)) {
            return Err(ForbiddenUrl::NotHttps);
        }
        if !is_response_bucket(&host, region) {
            return Err(ForbiddenUrl::Host);
        }
        Ok(Self { uri })
    }

    /// The URL, to send the response.
    #[must_use]
    pub fn expose(&self) -> Uri {
        self.uri.clone()
    }
}

/// What the query of a `ResponseURL` says about the request: CloudFormation signs a URL for each
/// request when it sends it.
pub(crate) struct Signature<'u> {
    query: &'u str,
}

impl<'u> Signature<'u> {
    pub(crate) fn of(url: &'u str) -> Self {
        Self { query: url.split_once('?').map(|(_, query)| query).unwrap_or_default() }
    }

    /// When the request was sent: `X-Amz-Date`, or else `Expires`; `None` if it has neither.
    pub(crate) fn sent_at(&self) -> Option<SystemTime> {
        self.signed_at().or_else(|| self.expires_parameter())
    }

    /// `X-Amz-Date`; `None` if it is missing or invalid.
    pub(crate) fn signed_at(&self) -> Option<SystemTime> {
        seconds_of(self.parameter("X-Amz-Date")?).and_then(at)
    }

    /// When the URL expires: `X-Amz-Date` and `X-Amz-Expires`, or `Expires`; `None` if it has
    /// neither.
    pub(crate) fn expires_at(&self) -> Option<SystemTime> {
        match (self.signed_at(), self.parameter("X-Amz-Expires")) {
            (Some(signed), Some(lasts)) => {
                signed.checked_add(Duration::from_secs(lasts.parse().ok()?))
            }
            _ => self.expires_parameter(),
        }
    }

    /// The date in the URL, unparsed; empty if there is none.
    pub(crate) fn date(&self) -> &'u str {
        self.parameter("X-Amz-Date").or_else(|| self.parameter("Expires")).unwrap_or_default()
    }

    fn expires_parameter(&self) -> Option<SystemTime> {
        at(self.parameter("Expires")?.parse().ok()?)
    }

    fn parameter(&self, name: &str) -> Option<&'u str> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Whether `host` is CloudFormation's response bucket in `region`, with any of S3's endpoint names
/// and the suffix of any partition. The bucket's name has the region without dashes:
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/vpc-interface-endpoints.html>.
fn is_response_bucket(host: &str, region: &str) -> bool {
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

    let Some((bucket, service)) = host.split_once('.') else { return false };
    let is_bucket = bucket.strip_prefix(BUCKET).is_some_and(|name| name == region.replace('-', ""));
    let is_s3 = |text: &str| match text.strip_prefix("s3") {
        Some("") => true,
        Some(rest) => {
            rest.strip_prefix(".dualstack.").or_else(|| rest.strip_prefix(['.', '-']))
                == Some(region)
        }
        None => false,
    };
    is_bucket
        && !region.is_empty()
        && SUFFIXES.iter().any(|suffix| service.strip_suffix(suffix).is_some_and(is_s3))
}

fn at(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The seconds since 1970 of an `X-Amz-Date`, `20261122T101112Z`.
fn seconds_of(date: &str) -> Option<u64> {
    /// From 1 March of the year 0 to 1 January 1970.
    const DAYS_TO_1970: u64 = 719_468;

    let number = |from: usize, to: usize| -> Option<u64> {
        date.get(from..to).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    let has_format = date.len() == 16 && date.get(8..9) == Some("T") && date.get(15..) == Some("Z");
    let is_valid_date =
        (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !has_format || !is_valid_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Years begin in March, so that the leap day is the last of a year.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some((days.checked_sub(DAYS_TO_1970)? * 24 + hour) * 3600 + minute * 60 + second)
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used, reason = "an unexpected value fails the test")]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::Signature;

    fn seconds(at: Option<SystemTime>) -> Option<u64> {
        at.map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn a_response_url_expires_as_its_signature_says() {
        let expires =
            |query: &str| seconds(Signature::of(&format!("http://h/x?{query}")).expires_at());
        assert_eq!(expires("X-Amz-Date=19700101T000100Z&X-Amz-Expires=7200"), Some(7260));
        assert_eq!(expires("X-Amz-Date=19700101T000100Z"), None);
        assert_eq!(expires("AWSAccessKeyId=a&Expires=1795342272"), Some(1_795_342_272));
        assert_eq!(expires("X-Amz-Expires=7200"), None);
        assert_eq!(expires("X-Amz-Date=19700101T000100Z&X-Amz-Expires=99999999999999999999"), None);
    }

    #[test]
    fn a_request_is_sent_when_its_url_is_signed_or_else_expires() {
        let sent = |url: &str| Signature::of(url).sent_at();
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(sent("https://h/x?a=b&X-Amz-Date=19700101T000100Z&Expires=5"), at(60));
        assert_eq!(sent("https://h/x?Expires=5"), at(5));
        assert_eq!(sent("https://h/x?X-Amz-Date=1&Expires=5"), at(5));
        assert_eq!(sent("https://h/X-Amz-Date=19700101T000100Z"), None);
        assert_eq!(sent("https://h/x?Expires=18446744073709551615"), None);
    }

    #[test]
    fn the_date_of_a_response_url_is_parsed_as_aws_writes_it() {
        let at = |date: &str| {
            seconds(Signature::of(&format!("http://h/x?X-Amz-Date={date}")).signed_at())
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
}
