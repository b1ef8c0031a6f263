//! The header section: an ordered multimap (RFC 3261 §7.3). Keeps every value as it arrived; `getters` reads them.

use std::fmt;

use bytes::Bytes;

use super::scan;
use super::via::Via;

/// Long names of the headers this crate or its users ask for, with their compact forms (RFC 3261 §7.3.3 and the IANA registry).
const NAMES: &[(&str, Option<u8>)] = &[
    ("Via", Some(b'v')),
    ("From", Some(b'f')),
    ("To", Some(b't')),
    ("Call-ID", Some(b'i')),
    ("CSeq", None),
    ("Contact", Some(b'm')),
    ("Content-Length", Some(b'l')),
    ("Content-Type", Some(b'c')),
    ("Content-Encoding", Some(b'e')),
    ("Max-Forwards", None),
    ("Route", None),
    ("Record-Route", None),
    ("Path", None),
    ("Supported", Some(b'k')),
    ("Allow", None),
    ("Require", None),
    ("Proxy-Require", None),
    ("Unsupported", None),
    ("Expires", None),
    ("Min-Expires", None),
    ("Authorization", None),
    ("Proxy-Authorization", None),
    ("WWW-Authenticate", None),
    ("Proxy-Authenticate", None),
    ("User-Agent", None),
    ("Server", None),
    ("Accept", None),
    ("Reason", None),
    ("Subject", Some(b's')),
    ("Event", Some(b'o')),
    ("Allow-Events", Some(b'u')),
    ("Refer-To", Some(b'r')),
    ("Referred-By", Some(b'b')),
    ("Session-Expires", Some(b'x')),
    ("Identity", Some(b'y')),
    ("Accept-Contact", Some(b'a')),
    ("Reject-Contact", Some(b'j')),
    ("Request-Disposition", Some(b'd')),
    ("P-Asserted-Identity", None),
    ("RSeq", None),
    ("RAck", None),
    ("Retry-After", None),
    ("Date", None),
    ("Warning", None),
];

/// A value kept byte for byte; its text is lossy only where the bytes are no UTF-8.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderValue {
    bytes: Bytes,
    lossy: Option<Box<str>>,
}

impl HeaderValue {
    pub(crate) fn new(bytes: Bytes) -> Self {
        let lossy = match std::str::from_utf8(&bytes) {
            Ok(_) => None,
            Err(_) => Some(String::from_utf8_lossy(&bytes).into()),
        };
        Self { bytes, lossy }
    }

    /// The bytes as they arrived, unfolded.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text; bytes that are no UTF-8 read as U+FFFD.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.lossy {
            Some(text) => text,
            None => std::str::from_utf8(&self.bytes).unwrap_or_default(),
        }
    }
}

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// One header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    name: Name,
    value: HeaderValue,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Known(&'static str),
    Other(Box<str>),
}

impl Name {
    /// Folds compact forms and the letter case of known names.
    fn new(name: &str) -> Self {
        let known = match name.as_bytes() {
            [letter] => NAMES.iter().find(|(_, compact)| *compact == Some(letter.to_ascii_lowercase())),
            [first, ..] => {
                let first = first.to_ascii_uppercase();
                let is_near = |long: &str| long.len() == name.len() && long.as_bytes().first() == Some(&first);
                NAMES.iter().find(|(long, _)| is_near(long) && long.eq_ignore_ascii_case(name))
            }
            [] => None,
        };
        known.map_or_else(|| Self::Other(name.into()), |(long, _)| Self::Known(long))
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Other(name) => name,
        }
    }
}

impl Header {
    /// The name: the long form with its usual letter case for known headers, as written for others.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &HeaderValue {
        &self.value
    }
}

/// A header that is there but does not hold what its grammar says, or is there twice though it may not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem} {header}")]
pub struct HeaderError {
    /// The header's long name.
    pub header: &'static str,
    /// `malformed` or `more than one`.
    pub problem: &'static str,
}

impl HeaderError {
    pub(crate) fn malformed(header: &'static str) -> Self {
        Self { header, problem: "malformed" }
    }

    pub(crate) fn repeated(header: &'static str) -> Self {
        Self { header, problem: "more than one" }
    }
}

/// All headers of a message in their order. Names compare case-insensitively, compact forms equal long ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(crate) fn push_raw(&mut self, name: &str, value: Bytes) {
        self.0.push(Header { name: Name::new(name), value: HeaderValue::new(value) });
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every header in order.
    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter()
    }

    /// The first value of a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// Every value of a header, one for each line.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = Name::new(name);
        self.0.iter().filter(move |header| same_name(&header.name, &name)).map(|header| header.value.as_str())
    }

    /// Every comma-separated element of a header, over all its lines.
    pub fn elements<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.get_all(name).flat_map(|value| scan::split(value, b','))
    }

    /// Whether a header is there.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Adds a header at the end. Line breaks in the value become spaces: no value can add headers of its own.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        let header = Header::made(name, value.into());
        self.0.push(header);
    }

    /// Adds a header before all others, as Via wants it.
    pub fn push_front(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(0, Header::made(name, value.into()));
    }

    /// Copies one header of another message.
    pub fn push_header(&mut self, header: &Header) {
        self.0.push(header.clone());
    }

    /// Puts one value in the place of the first and drops the others; adds it when there is none.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let made = Header::made(name, value.into());
        match self.0.iter().position(|header| same_name(&header.name, &made.name)) {
            Some(first) => {
                let mut at = 0;
                self.0.retain(|header| {
                    at += 1;
                    at - 1 <= first || !same_name(&header.name, &made.name)
                });
                if let Some(slot) = self.0.get_mut(first) {
                    *slot = made;
                }
            }
            None => self.0.push(made),
        }
    }

    /// Drops every value of a header; tells whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let name = Name::new(name);
        let before = self.0.len();
        self.0.retain(|header| !same_name(&header.name, &name));
        before != self.0.len()
    }

    /// Replaces the topmost Via and keeps the others, e.g. after [`Via::stamp`].
    pub fn set_top_via(&mut self, via: &Via) {
        let Some(line) = self.0.iter_mut().find(|header| header.name == Name::Known("Via")) else { return };
        let mut value = via.to_string();
        if let Some(comma) = scan::find_outside_quotes(line.value.as_str(), b',') {
            value.push_str(line.value.as_str().get(comma..).unwrap_or_default());
        }
        line.value = HeaderValue::new(Bytes::from(value));
    }
}

impl Header {
    fn made(name: &str, value: String) -> Self {
        let name: String = name.chars().filter(|c| u8::try_from(*c).is_ok_and(scan::is_token_byte)).collect();
        let value = if value.contains(['\r', '\n', '\0']) { value.replace(['\r', '\n', '\0'], " ") } else { value };
        Self { name: Name::new(&name), value: HeaderValue::new(Bytes::from(value)) }
    }
}

fn same_name(a: &Name, b: &Name) -> bool {
    match (a, b) {
        (Name::Known(a), Name::Known(b)) => a == b,
        (Name::Other(a), Name::Other(b)) => a.eq_ignore_ascii_case(b),
        (Name::Known(_), Name::Other(_)) | (Name::Other(_), Name::Known(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_names_are_the_long_ones() {
        let mut headers = Headers::new();
        headers.push("v", "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b;branch=z9hG4bK2");
        headers.push("VIA", "SIP/2.0/UDP c;branch=z9hG4bK3");
        assert_eq!(headers.vias().unwrap().len(), 3);
        assert_eq!(headers.iter().next().unwrap().name(), "Via");
        let mut top = headers.top_via().unwrap().unwrap();
        top.stamp("192.0.2.1:5060".parse().unwrap());
        headers.set_top_via(&top);
        let hosts: Vec<_> = headers.vias().unwrap().iter().map(|v| (v.host.to_string(), v.received())).collect();
        assert_eq!(hosts[0], ("a".into(), Some("192.0.2.1".parse().unwrap())));
        assert_eq!(hosts[2], ("c".into(), None));
    }

    #[test]
    fn set_leaves_one_value_in_the_first_place() {
        let mut headers = Headers::new();
        for (name, value) in [("X-A", "1"), ("X-B", "1"), ("x-a", "2"), ("X-C", "1")] {
            headers.push(name, value);
        }
        headers.set("x-a", "3");
        let all: Vec<_> = headers.iter().map(|h| (h.name().to_owned(), h.value().as_str().to_owned())).collect();
        assert_eq!(all, [("x-a".into(), "3".into()), ("X-B".into(), "1".into()), ("X-C".into(), "1".into())]);
        assert!(headers.remove("x-b") && !headers.remove("x-b"));
    }

    #[test]
    fn a_value_cannot_smuggle_in_another_header() {
        let mut headers = Headers::new();
        headers.push("Subject", "hello\r\nX-Evil: 1");
        assert_eq!(headers.get("s"), Some("hello  X-Evil: 1"));
    }
}
