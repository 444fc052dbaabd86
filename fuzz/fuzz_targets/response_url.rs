//! The host rule: a `ResponseURL`, as text or built near the boundary of what is valid.
//!
//! Input that begins with a letter is a URL, so that people can read the seeds. Any other input
//! builds one.

#![no_main]

use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::{Corpus, fuzz_target};
use rules::response_url::{self, REGIONS};

/// In lower case, and in the form in which both parsers return a host.
static ALLOWED: LazyLock<Vec<String>> = LazyLock::new(|| {
    ["127.0.0.1", "::1", "localhost", "my_host", "s3.local"].map(str::to_owned).into()
});

/// The parts of a URL, most of them valid, and changes to it.
#[derive(Arbitrary)]
struct Address<'a> {
    host: Host,
    port: Option<u8>,
    tail: u8,
    changes: Vec<Change<'a>>,
}

#[derive(Arbitrary)]
enum Host {
    Own { label: u8, service: u8, region: u8, suffix: u8 },
    Allowed { host: u8, is_http: bool },
}

#[derive(Arbitrary)]
enum Change<'a> {
    Insert { at: u8, piece: u8 },
    InsertText { at: u8, text: &'a str },
    Remove { at: u8, length: u8 },
    Capital { at: u8 },
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let text = if data.first().is_some_and(u8::is_ascii_alphabetic) {
        let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
        text.to_owned()
    } else {
        let Ok(address) = Address::arbitrary(&mut Unstructured::new(data)) else {
            return Corpus::Reject;
        };
        address.text()
    };
    for region in
        REGIONS.into_iter().filter(|region| *region == "us-east-1" || text.contains(*region))
    {
        response_url::check(&text, region, &[]);
        response_url::check(&text, region, &ALLOWED);
    }
    Corpus::Keep
});

impl Address<'_> {
    fn text(&self) -> String {
        const PORTS: [&str; 10] =
            [":443", ":80", ":0443", ":", ":65979", ":+443", ":4430", ":-1", ":443:443", ":８"];
        const TAILS: [&str; 6] = [
            "/a/b?X-Amz-Date=20261122T101112Z&X-Amz-Expires=7200",
            "/?Expires=1795342272",
            "",
            "/",
            "?a",
            "#@evil.example",
        ];

        let mut text = self.host.text();
        text.extend(self.port.map(|port| pick(&PORTS, port)));
        text += pick(&TAILS, self.tail);
        for change in self.changes.iter().take(4) {
            change.make(&mut text);
        }
        text
    }
}

impl Host {
    fn text(&self) -> String {
        const LABELS: [&str; 6] = ["euwest1", "useast1", "usgovwest1", "a", "-", "us-east-1"];
        const SERVICES: [&str; 4] = ["s3", "s3.", "s3-", "s3.dualstack."];
        const SUFFIXES: [&str; 7] = [
            "amazonaws.com",
            "amazonaws.com.cn",
            "amazonaws.eu",
            "c2s.ic.gov",
            "sc2s.sgov.gov",
            "cloud.adc-e.uk",
            "csp.hci.ic.gov",
        ];

        match self {
            &Self::Own { label, service, region, suffix } => {
                let service = pick(&SERVICES, service);
                let region = if service == "s3" { "" } else { pick(&REGIONS, region) };
                let (label, suffix) = (pick(&LABELS, label), pick(&SUFFIXES, suffix));
                let bucket = format!("cloudformation-custom-resource-response-{label}");
                format!("https://{bucket}.{service}{region}.{suffix}")
            }
            &Self::Allowed { host, is_http } => {
                let host = pick(&["127.0.0.1", "[::1]", "localhost", "my_host", "s3.local"], host);
                format!("{}://{host}", if is_http { "http" } else { "https" })
            }
        }
    }
}

/// What a change inserts: delimiters, hosts, spaces, and characters that parsers may normalize.
const PIECES: [&str; 40] = [
    "@",
    "user@",
    "user:pass@",
    ":",
    ":443",
    ":443@",
    "/",
    "//",
    "\\",
    "?",
    "#",
    "%",
    "%2e",
    "%00",
    "%40",
    "[",
    "]",
    ".",
    "..",
    "-",
    "s3.",
    "s3",
    "evil.example",
    ".evil.example",
    "localhost",
    "127.0.0.1",
    "amazonaws.com",
    ".com",
    "\t",
    "\n",
    "\r",
    " ",
    "\0",
    "。",
    "ａ",
    "\u{ad}",
    "xn--",
    "_",
    "é",
    "K",
];

impl Change<'_> {
    fn make(&self, text: &mut String) {
        let place = |text: &str, at: u8| {
            let at = usize::from(at) % (text.len() + 1);
            (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
        };
        match *self {
            Self::Insert { at, piece } => text.insert_str(place(text, at), pick(&PIECES, piece)),
            Self::InsertText { at, text: given } => text.insert_str(place(text, at), given),
            Self::Remove { at, length } => {
                let from = place(text, at);
                let rest = text.split_off(from);
                text.extend(rest.chars().skip(usize::from(length)));
            }
            Self::Capital { at } => {
                let from = place(text, at);
                let rest = text.split_off(from);
                text.extend(rest.chars().take(1).flat_map(char::to_uppercase));
                text.extend(rest.chars().skip(1));
            }
        }
    }
}

fn pick<'a>(list: &[&'a str], by: u8) -> &'a str {
    list[usize::from(by) % list.len()]
}
