//! URIs: sip, sips (RFC 3261 §19.1), tel (RFC 3966) and any other scheme as opaque text. Parses, writes, compares.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::params::Params;
use super::scan;

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
    pub raw_user: Option<String>,
    /// The password as written.
    pub raw_password: Option<String>,
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

/// A host name or address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name as written.
    Name(String),
    /// An address; IPv6 is written in brackets.
    Ip(IpAddr),
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
            raw_user: user.map(escape_user),
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

    /// Whether both name the same resource by RFC 3261 §19.1.4 (and RFC 3966 §4 for tel). Not transitive, hence not `==`.
    #[must_use]
    pub fn is_equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sip(a), Self::Sip(b)) => a.is_equivalent(b),
            (Self::Tel(a), Self::Tel(b)) => {
                a.digits().eq_ignore_ascii_case(&b.digits()) && same_params_all(&a.params, &b.params)
            }
            (Self::Other { .. }, Self::Other { .. }) => self == other,
            (Self::Sip(_) | Self::Tel(_) | Self::Other { .. }, _) => false,
        }
    }
}

impl SipUri {
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
                (Some(user.to_owned()), password.map(str::to_owned))
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

    fn is_equivalent(&self, other: &Self) -> bool {
        let same_text = |a: &Option<String>, b: &Option<String>| match (a, b) {
            (Some(a), Some(b)) => unescape(a) == unescape(b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let same_headers = self.headers.len() == other.headers.len()
            && self.headers.iter().all(|(name, value)| {
                other.headers.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && unescape(v) == unescape(value))
            });
        self.secure == other.secure
            && same_text(&self.raw_user, &other.raw_user)
            && same_text(&self.raw_password, &other.raw_password)
            && self.host.is_same(&other.host)
            && self.port == other.port
            && same_params(&self.params, &other.params)
            && same_headers
    }
}

/// Parameters present in both must match; these four must be in both or in neither (RFC 3261 §19.1.4).
fn same_params(a: &Params, b: &Params) -> bool {
    ["user", "ttl", "method", "maddr", "transport"].iter().all(|name| a.contains(name) == b.contains(name))
        && a.iter().all(|(name, value)| match b.raw(name) {
            Some(other) => same_value(value, other),
            None => true,
        })
}

fn same_params_all(a: &Params, b: &Params) -> bool {
    let covers = |a: &Params, b: &Params| a.iter().all(|(n, v)| b.raw(n).is_some_and(|other| same_value(v, other)));
    covers(a, b) && covers(b, a)
}

fn same_value(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => unescape(a).eq_ignore_ascii_case(&unescape(b)),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
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

impl Host {
    /// Reads a host without port: a name, an IPv4 address, or an IPv6 address in brackets.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Ip(IpAddr::V6(address)));
        }
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')) {
            return None;
        }
        Some(match text.parse() {
            Ok(address) => Self::Ip(IpAddr::V4(address)),
            Err(_) => Self::Name(text.to_owned()),
        })
    }

    /// Reads `host[:port]`; white space around the colon is what Via allows and is left to the caller.
    pub(crate) fn parse_with_port(text: &str) -> Option<(Self, Option<u16>)> {
        let colon = match text.rfind(']') {
            Some(bracket) => text.get(bracket..)?.find(':').map(|at| bracket + at),
            None => text.find(':'),
        };
        let Some(colon) = colon else { return Some((Self::parse(text)?, None)) };
        let (host, port) = (text.get(..colon)?, text.get(colon + 1..)?);
        let port = u16::try_from(scan::number(scan::trim(port))?).ok()?;
        Some((Self::parse(scan::trim(host))?, Some(port)))
    }

    /// The address, when it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }

    /// Whether both are the same host; names compare case-insensitively.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Name(_), Self::Ip(_)) | (Self::Ip(_), Self::Name(_)) => false,
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

fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let mut bytes = after.bytes();
        matches!((bytes.next(), bytes.next()), (Some(a), Some(b)) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
    })
}

/// Decodes `%HH`. Bytes that are no UTF-8 become U+FFFD.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        if let ([a, b, after @ ..], b'%') = (rest, first)
            && let (Some(high), Some(low)) = (hex_digit(*a), hex_digit(*b))
        {
            out.push(high << 4 | low);
            bytes = after;
        } else {
            out.push(*first);
            bytes = rest;
        }
    }
    Cow::Owned(String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

fn escape_user(user: &str) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(user.len());
    for byte in user.bytes() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'_'
                    | b'.'
                    | b'!'
                    | b'~'
                    | b'*'
                    | b'\''
                    | b'('
                    | b')'
                    | b'&'
                    | b'='
                    | b'+'
                    | b'$'
                    | b','
                    | b';'
                    | b'?'
                    | b'/'
            );
        if plain {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.raw_user {
            f.write_str(user)?;
            if let Some(password) = &self.raw_password {
                write!(f, ":{password}")?;
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
    fn equivalence_follows_rfc_3261_19_1_4() {
        let same = |a: &str, b: &str| uri(a).is_equivalent(&uri(b));
        assert!(same("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"));
        assert!(same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
        assert!(same("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"));
        assert!(same(
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"
        ));
        assert!(!same("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
        assert!(!same("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"));
        assert!(!same("sip:carol@chicago.com;security=off", "sip:carol@chicago.com;security=on"));
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
