//! `name-addr` headers: From, To, Contact, Route, Refer-To and their like (RFC 3261 §20.10, §25.1).

use std::borrow::Cow;
use std::fmt;

use super::params::Params;
use super::scan;
use super::uri::Uri;

/// A display name, a URI and header parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name without quotes and escapes.
    pub display: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// The header's parameters, e.g. `tag`.
    pub params: Params,
}

impl NameAddr {
    /// A bare URI, without display name and parameters.
    #[must_use]
    pub fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Params::new() }
    }

    /// With a display name.
    #[must_use]
    pub fn with_display(mut self, display: impl Into<String>) -> Self {
        self.display = Some(display.into());
        self
    }

    /// With a parameter, replacing one of the same name.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Self {
        self.params.set(name, value);
        self
    }

    /// With a `tag`.
    #[must_use]
    pub fn with_tag(self, tag: &str) -> Self {
        self.with_param("tag", Some(tag))
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<Cow<'_, str>> {
        self.params.get("tag")
    }

    /// Reads one `name-addr` or `addr-spec` with its parameters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = scan::trim(text);
        if text.starts_with('"') {
            let (display, rest) = scan::quoted_string(text)?;
            return Self::parse_bracketed(Some(display.into_owned()), scan::trim(rest));
        }
        if let Some(open) = text.find('<') {
            let (display, rest) = text.split_at(open);
            let display = scan::trim(display);
            // A comma or colon outside quotes is no part of any token: guessing here lets one header read two ways.
            if display.bytes().any(|b| matches!(b, b'"' | b',' | b';' | b':' | b'>') || b < b' ') {
                return None;
            }
            return Self::parse_bracketed((!display.is_empty()).then(|| display.to_owned()), rest);
        }
        // Without brackets every parameter is the header's, and `?` and `,` are forbidden (§20).
        let (uri, params) = match text.find(';') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        if uri.contains(['?', ',']) {
            return None;
        }
        Some(Self { display: None, uri: Uri::parse(scan::trim(uri)).ok()?, params: Params::parse(params)? })
    }

    fn parse_bracketed(display: Option<String>, text: &str) -> Option<Self> {
        let (uri, params) = text.strip_prefix('<')?.split_once('>')?;
        Some(Self { display, uri: Uri::parse(uri).ok()?, params: Params::parse(params)? })
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            scan::write_quoted(f, display)?;
            f.write_str(" ")?;
        }
        f.write_str("<")?;
        self.uri.fmt(f)?;
        f.write_str(">")?;
        self.params.fmt(f)
    }
}

/// One element of a Contact header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The address with its parameters.
    pub address: NameAddr,
}

impl Contact {
    /// The URI.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.address.uri
    }

    /// The `expires` parameter in seconds. One that is no number or too great counts as absent (RFC 3261 §20.10).
    #[must_use]
    pub fn expires(&self) -> Option<u32> {
        self.address.params.get("expires").and_then(|v| u32::try_from(scan::number(&v)?).ok())
    }

    /// The `q` parameter in thousandths, 0 to 1000.
    #[must_use]
    pub fn q(&self) -> Option<u16> {
        let text = self.address.params.get("q")?;
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let whole = if whole.is_empty() { 0 } else { scan::number(whole)? };
        if fraction.len() > 3 || (!fraction.is_empty() && scan::number(fraction).is_none()) {
            return None;
        }
        let thousandths = whole.checked_mul(1000)?.checked_add(scan::number(&format!("{fraction:0<3}"))?)?;
        u16::try_from(thousandths).ok().filter(|q| *q <= 1000)
    }

    /// The `+sip.instance` parameter (RFC 5626 §4.1) without quotes and angle brackets, e.g. `urn:uuid:…`.
    #[must_use]
    pub fn instance(&self) -> Option<String> {
        let value = self.address.params.get("+sip.instance")?;
        Some(value.trim_start_matches('<').trim_end_matches('>').to_owned())
    }

    /// The `reg-id` parameter (RFC 5626 §4.2).
    #[must_use]
    pub fn reg_id(&self) -> Option<u32> {
        self.address.params.get("reg-id").and_then(|v| u32::try_from(scan::number(&v)?).ok())
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// All Contact headers of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contacts {
    /// `Contact: *`: all bindings (REGISTER with Expires 0 only).
    Any,
    /// The elements in order; empty when there is no Contact header.
    List(Vec<Contact>),
}

impl Contacts {
    /// The elements; none of `*`.
    #[must_use]
    pub fn list(&self) -> &[Contact] {
        match self {
            Self::Any => &[],
            Self::List(contacts) => contacts,
        }
    }

    /// The first element, when there is one.
    #[must_use]
    pub fn first(&self) -> Option<&Contact> {
        self.list().first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contact_every_browser_client_sends_is_read() {
        let text =
            "<sip:abc@df7jal23ls0d.invalid;transport=ws>;+sip.instance=\"<urn:uuid:0001>\";reg-id=1;expires=600;q=0.35";
        let contact = Contact { address: NameAddr::parse(text).unwrap() };
        assert_eq!(contact.instance().unwrap(), "urn:uuid:0001");
        assert_eq!((contact.reg_id(), contact.expires(), contact.q()), (Some(1), Some(600), Some(350)));
        assert_eq!(contact.to_string(), text);
    }

    #[test]
    fn without_brackets_parameters_belong_to_the_header() {
        let from = NameAddr::parse("sip:+16505552222@ss1.example.net;user=phone;tag=1").unwrap();
        assert!(from.uri.params().unwrap().is_empty());
        assert_eq!(from.tag().unwrap(), "1");
        assert_eq!(NameAddr::parse("sip:user@example.com?Route=%3Csip:sip.example.com%3E"), None);
    }

    #[test]
    fn display_names_are_unescaped_and_escaped_again() {
        let from = NameAddr::parse(r#""J Rosenberg \\\"" <sip:jdrosen@example.com>;tag=9"#).unwrap();
        assert_eq!(from.display.as_deref(), Some(r#"J Rosenberg \""#));
        assert_eq!(from.to_string(), r#""J Rosenberg \\\"" <sip:jdrosen@example.com>;tag=9"#);
        assert_eq!(NameAddr::parse("Bell, Alexander <sip:a@b>"), None);
        assert_eq!(NameAddr::parse("\"open <sip:a@b>"), None);
        assert_eq!(NameAddr::parse("\"W\" < sip:a@b >"), None);
    }
}
