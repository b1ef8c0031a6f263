//! The header section: an ordered multimap (RFC 3261 §7.3). Keeps every value as it arrived; `getters` reads them.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;

use super::name::Name;
use super::readings::Readings;
use super::scan;
use super::via::Via;

/// What a Via grows by when it is told where its message came from.
const STAMP_ROOM: usize = 80;

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
#[derive(Clone, Default)]
pub struct Headers {
    list: Vec<Header>,
    pub(super) readings: Readings,
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Headers").field(&self.list).finish()
    }
}

impl Headers {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { list: Vec::with_capacity(capacity), readings: Readings::default() }
    }

    pub(crate) fn push_raw(&mut self, name: &str, value: Bytes) {
        self.add(self.list.len(), Header { name: Name::new(name), value: HeaderValue::new(value) });
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Every header in order.
    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.list.iter()
    }

    /// The first value of a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// Every value of a header, one for each line.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = Name::new(name);
        self.list.iter().filter(move |header| header.name.is(&name)).map(|header| header.value.as_str())
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
        self.add(self.list.len(), Header::made(name, value.into()));
    }

    /// Adds a header before all others, as Via wants it.
    pub fn push_front(&mut self, name: &str, value: impl Into<String>) {
        self.add(0, Header::made(name, value.into()));
    }

    /// Copies one header of another message.
    pub fn push_header(&mut self, header: &Header) {
        self.add(self.list.len(), header.clone());
    }

    /// Puts one value in the place of the first and drops the others; adds it when there is none.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let made = Header::made(name, value.into());
        self.readings.forget(made.name());
        match self.list.iter().position(|header| header.name.is(&made.name)) {
            Some(first) => {
                let mut at = 0;
                self.list.retain(|header| {
                    at += 1;
                    at - 1 <= first || !header.name.is(&made.name)
                });
                if let Some(slot) = self.list.get_mut(first) {
                    *slot = made;
                }
            }
            None => self.list.push(made),
        }
    }

    /// Drops every value of a header; tells whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let name = Name::new(name);
        self.readings.forget(name.as_str());
        let before = self.list.len();
        self.list.retain(|header| !header.name.is(&name));
        before != self.list.len()
    }

    /// Changes the topmost Via and keeps the others, e.g. by [`Via::stamp`]; nothing when there is none that can be read.
    pub fn change_top_via(&mut self, change: impl FnOnce(&mut Via)) {
        let Ok(Some(read)) = self.top_via() else { return };
        self.readings.forget("Via");
        let mut via = Arc::unwrap_or_clone(read);
        change(&mut via);
        let Some(line) = self.list.iter_mut().find(|header| header.name.as_str() == "Via") else { return };
        let before = line.value.as_str();
        let mut value = String::with_capacity(before.len() + STAMP_ROOM);
        // Writing into memory cannot fail.
        let _ = write!(value, "{via}");
        if let Some(comma) = scan::find_outside_quotes(before, b',') {
            value.push_str(before.get(comma..).unwrap_or_default());
        }
        line.value = HeaderValue::new(Bytes::from(value));
        self.readings.found_via(via);
    }

    fn add(&mut self, at: usize, header: Header) {
        self.readings.forget(header.name());
        self.list.insert(at, header);
    }
}

impl Header {
    fn made(name: &str, value: String) -> Self {
        let name = if scan::is_token(name) {
            Name::new(name)
        } else {
            let kept: String = name.chars().filter(|c| u8::try_from(*c).is_ok_and(scan::is_token_byte)).collect();
            Name::new(&kept)
        };
        let value = if value.contains(['\r', '\n', '\0']) { value.replace(['\r', '\n', '\0'], " ") } else { value };
        Self { name, value: HeaderValue::new(Bytes::from(value)) }
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
        headers.change_top_via(|top| top.stamp("192.0.2.1:5060".parse().unwrap()));
        let hosts: Vec<_> = headers.vias().unwrap().iter().map(|v| (v.host.to_string(), v.received())).collect();
        assert_eq!(hosts[0], ("a".into(), Some("192.0.2.1".parse().unwrap())));
        assert_eq!(hosts[2], ("c".into(), None));
    }

    #[test]
    fn what_was_read_is_read_again_once_it_changed() {
        let mut headers = Headers::new();
        for (name, value) in [("To", "<sip:a@b>"), ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1"), ("CSeq", "1 INVITE")] {
            headers.push(name, value);
        }
        let to = |headers: &Headers| headers.to().map(|to| to.map(|to| to.to_string()));
        assert_eq!(to(&headers), Ok(Some("<sip:a@b>".into())));
        headers.set("t", "<sip:c@d>");
        assert_eq!(to(&headers), Ok(Some("<sip:c@d>".into())));
        headers.push("To", "<sip:a@b>");
        assert!(to(&headers).is_err(), "there are two");
        assert!(headers.remove("To"));
        assert_eq!(to(&headers), Ok(None));
        assert_eq!((headers.cseq().unwrap().unwrap().number, headers.contacts().unwrap().first()), (1, None));
        headers.set("CSeq", "2 INVITE");
        headers.push("m", "<sip:a@b>");
        assert_eq!((headers.cseq().unwrap().unwrap().number, headers.contacts().unwrap().first().is_some()), (2, true));
        headers.change_top_via(|via| via.transport = "TCP".into());
        assert_eq!(headers.top_via().unwrap().unwrap().transport, "TCP");
        headers.push_front("Via", "SIP/2.0/TLS b;branch=z9hG4bK2");
        assert_eq!(headers.top_via().unwrap().unwrap().transport, "TLS");
        assert_eq!(headers.get("v"), Some("SIP/2.0/TLS b;branch=z9hG4bK2"));
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
