//! URIs: sip, sips (RFC 3261 §19.1), tel (RFC 3966) and any other scheme as opaque text. Parses and writes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use super::escape::{escape_user, escapes_are_whole, unescape};
use super::host::Host;
use super::params::Params;

/// Why a text is no URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed URI: {0}")]
pub struct UriError(pub(crate) &'static str);

/// A URI as it stands in a request line or a name-addr. `==` compares the parts as written;
/// [`Uri::is_equivalent`] compares by the RFC's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uri {
    /// `sip:` or `sips:`.
    Sip(SipUri),
    /// `tel:`.
    Tel(TelUri),
    /// Any other scheme.
    Other {
        /// The scheme, lower case.
        scheme: String,
        /// What follows the colon.
        rest: String,
    },
}

/// A `sip:` or `sips:` URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipUri {
    /// `sips` rather than `sip`.
    pub secure: bool,
    /// The user part as written, escapes included. [`Uri::user`] decodes it.
    pub raw_user: Option<SmolStr>,
    /// The password as written.
    pub raw_password: Option<SmolStr>,
    /// The host.
    pub host: Host,
    /// The port, when written.
    pub port: Option<u16>,
    /// `;transport=…` and others.
    pub params: Params,
    /// `?name=value&…` as written.
    pub headers: Vec<(String, String)>,
}

/// A `tel:` URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelUri {
    /// The number as written, visual separators included.
    pub number: String,
    /// `;phone-context=…` and others.
    pub params: Params,
}

/// Who is called or registers: user and host, decoded, the host in lower case. `sip:` and `sips:` share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressOfRecord {
    /// The decoded user part.
    pub user: String,
    /// The host in lower case, without port.
    pub host: String,
}

impl Uri {
    /// `sip:user@host[:port]`. The user is escaped where it must be.
    #[must_use]
    pub fn sip(user: Option<&str>, host: Host, port: Option<u16>) -> Self {
        Self::Sip(SipUri {
            secure: false,
            raw_user: user.map(|user| escape_user(user).into()),
            raw_password: None,
            host,
            port,
            params: Params::new(),
            headers: Vec::new(),
        })
    }

    /// Reads a URI; the whole text must be one.
    ///
    /// # Errors
    /// When it breaks the grammar of its scheme, or holds white space or control characters.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.split_once(':').ok_or(UriError("no scheme"))?;
        let mut letters = scheme.bytes();
        if !letters.next().is_some_and(|b| b.is_ascii_alphabetic())
            || !letters.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        {
            return Err(UriError("bad scheme"));
        }
        if rest.is_empty() || rest.bytes().any(|b| b <= b' ' || matches!(b, b'<' | b'>' | b'"' | 0x7f)) {
            return Err(UriError("empty or with a character no URI may hold"));
        }
        if scheme.eq_ignore_ascii_case("sip") {
            return SipUri::parse(rest, false).map(Self::Sip);
        }
        if scheme.eq_ignore_ascii_case("sips") {
            return SipUri::parse(rest, true).map(Self::Sip);
        }
        if scheme.eq_ignore_ascii_case("tel") {
            return TelUri::parse(rest).map(Self::Tel);
        }
        Ok(Self::Other { scheme: scheme.to_ascii_lowercase(), rest: rest.to_owned() })
    }

    /// The scheme, lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        match self {
            Self::Sip(sip) if sip.secure => "sips",
            Self::Sip(_) => "sip",
            Self::Tel(_) => "tel",
            Self::Other { scheme, .. } => scheme,
        }
    }

    /// The sip or sips URI inside.
    #[must_use]
    pub fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(sip) => Some(sip),
            Self::Tel(_) | Self::Other { .. } => None,
        }
    }

    /// The decoded user part of a sip URI, or the number of a tel URI without visual separators.
    #[must_use]
    pub fn user(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Sip(sip) => sip.raw_user.as_deref().map(unescape),
            Self::Tel(tel) => Some(tel.digits()),
            Self::Other { .. } => None,
        }
    }

    /// The host of a sip URI.
    #[must_use]
    pub fn host(&self) -> Option<&Host> {
        self.as_sip().map(|sip| &sip.host)
    }

    /// The written port of a sip URI.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.as_sip().and_then(|sip| sip.port)
    }

    /// The parameters of a sip or tel URI.
    #[must_use]
    pub fn params(&self) -> Option<&Params> {
        match self {
            Self::Sip(sip) => Some(&sip.params),
            Self::Tel(tel) => Some(&tel.params),
            Self::Other { .. } => None,
        }
    }

    /// The parameters of a sip or tel URI, to change them.
    pub fn params_mut(&mut self) -> Option<&mut Params> {
        match self {
            Self::Sip(sip) => Some(&mut sip.params),
            Self::Tel(tel) => Some(&mut tel.params),
            Self::Other { .. } => None,
        }
    }

    /// One parameter's value without quotes.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.params()?.get(name)
    }

    /// The address of record this URI names (RFC 3261 §10.3 step 5): no parameters, escapes decoded, host in lower case.
    /// `None` for other schemes and without a user.
    #[must_use]
    pub fn aor(&self) -> Option<AddressOfRecord> {
        let sip = self.as_sip()?;
        let user = unescape(sip.raw_user.as_deref()?).into_owned();
        Some(AddressOfRecord { user, host: sip.host.to_string().to_ascii_lowercase() })
    }
}

impl SipUri {
    /// The decoded value of a header that the URI wants in a request made from it (RFC 3261 §19.1.1); `None` when it wants none or
    /// more than one of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut named = self.headers.iter().filter(|(known, _)| unescape(known).eq_ignore_ascii_case(name));
        let (_, value) = named.next()?;
        named.next().is_none().then(|| unescape(value))
    }

    fn parse(rest: &str, secure: bool) -> Result<Self, UriError> {
        let (userinfo, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (raw_user, raw_password) = match userinfo {
            None => (None, None),
            Some(userinfo) => {
                let (user, password) = match userinfo.split_once(':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (userinfo, None),
                };
                if user.is_empty() || !escapes_are_whole(userinfo) {
                    return Err(UriError("bad user part"));
                }
                (Some(user.into()), password.map(SmolStr::new))
            }
        };
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, parse_headers(headers)?),
            None => (rest, Vec::new()),
        };
        let (hostport, params) = match rest.find(';') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = Host::parse_with_port(hostport).ok_or(UriError("bad host or port"))?;
        let params = Params::parse(params).ok_or(UriError("bad parameters"))?;
        Ok(Self { secure, raw_user, raw_password, host, port, params, headers })
    }
}

impl TelUri {
    fn parse(rest: &str) -> Result<Self, UriError> {
        let (number, params) = match rest.find(';') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let digits = number.strip_prefix('+').unwrap_or(number);
        let allowed = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#' | b'-' | b'.' | b'(' | b')');
        if !digits.bytes().any(|b| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#')) || !digits.bytes().all(allowed) {
            return Err(UriError("bad telephone number"));
        }
        let params = Params::parse(params).ok_or(UriError("bad parameters"))?;
        Ok(Self { number: number.to_owned(), params })
    }

    /// The number without visual separators, a leading `+` kept.
    #[must_use]
    pub fn digits(&self) -> Cow<'_, str> {
        let separator = |c: char| matches!(c, '-' | '.' | '(' | ')');
        if self.number.contains(separator) {
            Cow::Owned(self.number.replace(separator, ""))
        } else {
            Cow::Borrowed(&self.number)
        }
    }
}

fn parse_headers(text: &str) -> Result<Vec<(String, String)>, UriError> {
    text.split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or(UriError("bad header"))?;
            if name.is_empty() || !escapes_are_whole(pair) {
                return Err(UriError("bad header"));
            }
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.raw_user {
            f.write_str(user)?;
            if let Some(password) = &self.raw_password {
                f.write_str(":")?;
                f.write_str(password)?;
            }
            f.write_str("@")?;
        }
        self.host.fmt(f)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)?;
        for (at, (name, value)) in self.headers.iter().enumerate() {
            write!(f, "{}{name}={value}", if at == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(sip) => sip.fmt(f),
            Self::Tel(tel) => write!(f, "tel:{}{}", tel.number, tel.params),
            Self::Other { scheme, rest } => write!(f, "{scheme}:{rest}"),
        }
    }
}

impl fmt::Display for AddressOfRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sip:{}@{}", escape_user(&self.user), self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap()
    }

    #[test]
    fn what_is_read_is_written_back() {
        for text in [
            "sip:alice@atlanta.com",
            "sips:alice:secret@[2001:db8::9:1]:5061;transport=tcp;lr?subject=x&priority=urgent",
            "sip:example.com",
            "sip:192.0.2.1:5060",
            "tel:+49-30-1234;phone-context=example.com",
            "sip:user;par=u%40example.net@example.com",
            "http://www.example.com/a?b",
        ] {
            assert_eq!(uri(text).to_string(), text);
        }
    }

    #[test]
    fn a_header_inside_is_decoded_and_must_stand_alone() {
        let of = |text: &str| uri(text).as_sip().unwrap().header("Replaces").map(Cow::into_owned);
        assert_eq!(of("sip:a@b?x=y&rep%6Caces=c%40h%3Bto-tag%3D1"), Some("c@h;to-tag=1".to_owned()));
        assert_eq!(of("sip:a@b?Replaces=1&replaces=2"), None);
        assert_eq!(of("sip:a@b?x=y"), None);
    }

    #[test]
    fn broken_uris_are_refused() {
        for text in [
            "",
            "sip",
            "sip:",
            "<sip:a@b>",
            "sip:a b@c",
            "sip:@b",
            "sip:a%4@b",
            "sip:a@b:70000",
            "sip:a@[::1",
            "tel:",
            "tel:abc-xyz",
            "sip:a@b;;",
        ] {
            assert!(Uri::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_of_record_has_no_port_parameters_or_escapes() {
        let aor = uri("sips:%31%30%30@Phone.Example.COM:5061;transport=wss").aor().unwrap();
        assert_eq!(aor, AddressOfRecord { user: "100".into(), host: "phone.example.com".into() });
        assert_eq!(aor.to_string(), "sip:100@phone.example.com");
        assert_eq!(uri("tel:+4930").aor(), None);
    }

    #[test]
    fn a_made_user_part_is_escaped() {
        let made = Uri::sip(Some("a b@c"), Host::parse("example.com").unwrap(), None);
        assert_eq!(made.to_string(), "sip:a%20b%40c@example.com");
        assert_eq!(made.user().unwrap(), "a b@c");
    }
}
