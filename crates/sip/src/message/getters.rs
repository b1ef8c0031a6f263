//! Typed reading of the headers every message carries (RFC 3261 §20).

use std::sync::Arc;

use super::fields::{AuthParams, CSeq, Reason};
use super::headers::{HeaderError, Headers};
use super::method::Method;
use super::name_addr::{Contact, Contacts, NameAddr};
use super::rack::{RAck, response_number};
use super::readings::once;
use super::scan;
use super::via::Via;

/// Typed getters. Absent is `Ok(None)` or an empty list; present but broken is an error.
#[allow(clippy::missing_errors_doc, reason = "each fails with HeaderError when the header is malformed or repeated")]
impl Headers {
    fn single<T>(&self, name: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, HeaderError> {
        let mut values = self.get_all(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(HeaderError::repeated(name));
        }
        parse(value).map(Some).ok_or(HeaderError::malformed(name))
    }

    fn list<T>(&self, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, HeaderError> {
        self.elements(name).map(|element| parse(element).ok_or(HeaderError::malformed(name))).collect()
    }

    /// From.
    pub fn from(&self) -> Result<Option<Arc<NameAddr>>, HeaderError> {
        once(&self.readings.from, || self.single("From", |text| NameAddr::parse(text).map(Arc::new)))
    }

    /// To.
    pub fn to(&self) -> Result<Option<Arc<NameAddr>>, HeaderError> {
        once(&self.readings.to, || self.single("To", |text| NameAddr::parse(text).map(Arc::new)))
    }

    /// Call-ID; empty counts as absent.
    #[must_use]
    pub fn call_id(&self) -> Option<&str> {
        self.get("Call-ID").filter(|id| !id.is_empty())
    }

    /// CSeq.
    pub fn cseq(&self) -> Result<Option<CSeq>, HeaderError> {
        once(&self.readings.cseq, || self.single("CSeq", CSeq::parse))
    }

    /// RSeq, at least 1 (RFC 3262 §7.1).
    pub fn rseq(&self) -> Result<Option<u32>, HeaderError> {
        self.single("RSeq", response_number)
    }

    /// RAck (RFC 3262 §7.2).
    pub fn rack(&self) -> Result<Option<RAck>, HeaderError> {
        self.single("RAck", RAck::parse)
    }

    /// Max-Forwards, 0 to 255.
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        self.single("Max-Forwards", |v| u8::try_from(scan::number(v)?).ok())
    }

    /// The Via elements, topmost first.
    pub fn vias(&self) -> Result<Vec<Via>, HeaderError> {
        self.list("Via", Via::parse)
    }

    /// The topmost Via.
    pub fn top_via(&self) -> Result<Option<Arc<Via>>, HeaderError> {
        let read = |text| Via::parse(text).map(Arc::new).ok_or(HeaderError::malformed("Via"));
        once(&self.readings.via, || self.elements("Via").next().map(read).transpose())
    }

    /// Contact.
    pub fn contacts(&self) -> Result<Arc<Contacts>, HeaderError> {
        let contacts = once(&self.readings.contacts, || self.read_contacts().map(|contacts| Some(Arc::new(contacts))))?;
        Ok(contacts.unwrap_or_else(|| Arc::new(Contacts::List(Vec::new()))))
    }

    fn read_contacts(&self) -> Result<Contacts, HeaderError> {
        if self.get_all("Contact").any(|line| scan::trim(line) == "*") {
            let is_alone = self.get_all("Contact").nth(1).is_none();
            return if is_alone { Ok(Contacts::Any) } else { Err(HeaderError::malformed("Contact")) };
        }
        self.list("Contact", |text| Some(Contact { address: NameAddr::parse(text)? })).map(Contacts::List)
    }

    /// Route.
    pub fn routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.list("Route", NameAddr::parse)
    }

    /// Record-Route.
    pub fn record_routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.list("Record-Route", NameAddr::parse)
    }

    /// Path (RFC 3327).
    pub fn paths(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.list("Path", NameAddr::parse)
    }

    /// Any other header of name-addr elements, e.g. `Refer-To` or `P-Asserted-Identity`.
    pub fn name_addrs(&self, name: &'static str) -> Result<Vec<NameAddr>, HeaderError> {
        self.list(name, NameAddr::parse)
    }

    /// Expires in seconds. A number that does not fit counts as the greatest.
    pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
        self.single("Expires", |v| {
            let digits = !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| v.parse().unwrap_or(u32::MAX))
        })
    }

    /// Allow.
    #[must_use]
    pub fn allow(&self) -> Vec<Method> {
        self.elements("Allow").filter(|t| scan::is_token(t)).map(Method::from_token).collect()
    }

    /// The option tags of Supported, as written.
    #[must_use]
    pub fn supported(&self) -> Vec<&str> {
        self.tokens("Supported")
    }

    /// The option tags of Require, as written.
    #[must_use]
    pub fn require(&self) -> Vec<&str> {
        self.tokens("Require")
    }

    /// The option tags of Proxy-Require, as written.
    #[must_use]
    pub fn proxy_require(&self) -> Vec<&str> {
        self.tokens("Proxy-Require")
    }

    /// The non-empty elements of a header that lists tokens.
    #[must_use]
    pub fn tokens(&self, name: &str) -> Vec<&str> {
        self.elements(name).filter(|t| !t.is_empty()).collect()
    }

    /// Every Reason that can be read.
    #[must_use]
    pub fn reasons(&self) -> Vec<Reason> {
        self.elements("Reason").filter_map(Reason::parse).collect()
    }

    /// Content-Type without parameters, lower case, e.g. `application/sdp`.
    #[must_use]
    pub fn content_type(&self) -> Option<String> {
        let value = self.get("Content-Type")?;
        let media_type = value.split_once(';').map_or(value, |(t, _)| t);
        Some(media_type.split('/').map(scan::trim).collect::<Vec<_>>().join("/").to_ascii_lowercase())
    }

    /// Content-Length. Repeated with different values is an error.
    pub fn content_length(&self) -> Result<Option<usize>, HeaderError> {
        let mut found = None;
        for value in self.get_all("Content-Length") {
            let length = scan::number(value)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or(HeaderError::malformed("Content-Length"))?;
            if found.is_some_and(|other| other != length) {
                return Err(HeaderError::repeated("Content-Length"));
            }
            found = Some(length);
        }
        Ok(found)
    }

    /// Every readable value of `Authorization`, `Proxy-Authorization`, `WWW-Authenticate` or `Proxy-Authenticate`.
    pub fn auth_params<'a>(&'a self, name: &str) -> impl Iterator<Item = AuthParams<'a>> + use<'a> {
        self.get_all(name).filter_map(AuthParams::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_alone() {
        let mut headers = Headers::new();
        headers.push("Contact", "*");
        assert_eq!(headers.contacts().as_deref(), Ok(&Contacts::Any));
        headers.push("Contact", "<sip:a@b>");
        assert!(headers.contacts().is_err());
    }
}
