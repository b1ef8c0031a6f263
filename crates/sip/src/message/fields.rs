//! Small header values: CSeq (RFC 3261 §20.16), Reason (RFC 3326), digest credentials and challenges (RFC 3261 §25.1).

use std::borrow::Cow;
use std::fmt;

use super::method::Method;
use super::params::Params;
use super::scan;

/// A sequence number and the method it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    /// 0 to 2^31 - 1 when made by us; anything that fits is accepted.
    pub number: u32,
    /// The request's method.
    pub method: Method,
}

impl CSeq {
    /// Reads `number method`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = scan::trim(text);
        let (number, method) = text.split_at(text.find([' ', '\t'])?);
        let method = scan::trim(method);
        let number = u32::try_from(scan::number(number)?).ok().filter(|n| *n <= MAX_CSEQ)?;
        scan::is_token(method).then(|| Self { number, method: Method::from_token(method) })
    }
}

/// CSeq numbers stay below 2^31 (RFC 3261 §8.1.1.5).
const MAX_CSEQ: u32 = (1 << 31) - 1;

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// Why a request was sent (RFC 3326).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `SIP`, `Q.850` or another protocol.
    pub protocol: String,
    /// The status or cause.
    pub cause: Option<u16>,
    /// For people.
    pub text: Option<String>,
}

impl Reason {
    /// `SIP;cause=…;text="…"`.
    #[must_use]
    pub fn sip(cause: u16, text: &str) -> Self {
        Self { protocol: "SIP".to_owned(), cause: Some(cause), text: Some(text.to_owned()) }
    }

    /// `Q.850;cause=…;text="…"`.
    #[must_use]
    pub fn q850(cause: u8, text: &str) -> Self {
        Self { protocol: "Q.850".to_owned(), cause: Some(u16::from(cause)), text: Some(text.to_owned()) }
    }

    /// Reads one element.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (protocol, params) = match text.find(';') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let protocol = scan::trim(protocol);
        let params = Params::parse(params)?;
        scan::is_token(protocol).then(|| Self {
            protocol: protocol.to_owned(),
            cause: params.get("cause").and_then(|v| v.parse().ok()),
            text: params.get("text").map(Cow::into_owned),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        if let Some(text) = &self.text {
            f.write_str(";text=")?;
            scan::write_quoted(f, text)?;
        }
        Ok(())
    }
}

/// The value of an Authorization, Proxy-Authorization, WWW-Authenticate or Proxy-Authenticate header: a scheme and
/// comma-separated `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthParams<'a> {
    /// The scheme as written, e.g. `Digest`.
    pub scheme: &'a str,
    params: Vec<(&'a str, &'a str)>,
}

impl<'a> AuthParams<'a> {
    /// Reads the header value. A scheme whose parameters are not `name=value` (e.g. a bare token) has none.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = scan::trim(text);
        let (scheme, rest) = text.split_at(text.find([' ', '\t']).unwrap_or(text.len()));
        if !scan::is_token(scheme) {
            return None;
        }
        // Credentials of a digest have about ten.
        let mut params: Vec<(&str, &str)> = Vec::with_capacity(12);
        for part in scan::split(rest, b',') {
            let Some((name, value)) = part.split_once('=') else { continue };
            let (name, value) = (scan::trim(name), scan::trim(value));
            // A parameter said twice could be checked as one value and used as the other.
            if !scan::is_token(name) || params.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
                return None;
            }
            if value.starts_with('"') && !scan::quoted_string(value).is_some_and(|(_, rest)| rest.is_empty()) {
                return None;
            }
            params.push((name, value));
        }
        Some(Self { scheme, params })
    }

    /// Whether the scheme is Digest.
    #[must_use]
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }

    /// A parameter's value without quotes and escapes.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| scan::unquoted(v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cseq_numbers_stay_below_two_to_the_31() {
        assert_eq!(CSeq::parse("0009  INVITE").unwrap().to_string(), "9 INVITE");
        assert!(CSeq::parse("2147483648 INVITE").is_none());
        assert!(CSeq::parse("36893488147419103232 REGISTER").is_none());
        assert!(CSeq::parse("1").is_none());
    }

    #[test]
    fn reasons_are_read_and_written() {
        let text = "SIP;cause=200;text=\"Call completed elsewhere\"";
        assert_eq!(Reason::parse(text).unwrap(), Reason::sip(200, "Call completed elsewhere"));
        assert_eq!(Reason::sip(200, "Call completed elsewhere").to_string(), text);
    }

    #[test]
    fn credentials_with_commas_in_quotes_are_read_and_doubled_parameters_refused() {
        let auth = AuthParams::parse("Digest username=\"a,b\\\"c\", nc=00000001 ,qop=auth").unwrap();
        assert!(auth.is_digest());
        assert_eq!(auth.get("username").unwrap(), "a,b\"c");
        assert_eq!(auth.get("NC").unwrap(), "00000001");
        assert!(AuthParams::parse("Digest nc=1, NC=2").is_none());
        assert!(AuthParams::parse("Digest username=\"open").is_none());
    }
}
