//! The host of a URI, a Via or a Contact (RFC 3261 §25.1). Parses and writes.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use smol_str::SmolStr;

use super::scan;

/// A host name or address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name as written.
    Name(SmolStr),
    /// An address; IPv6 is written in brackets.
    Ip(IpAddr),
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
            Err(_) => Self::Name(text.into()),
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

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}
