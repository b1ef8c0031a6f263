//! Via (RFC 3261 §20.42) with `rport` (RFC 3581). Reads and writes one hop.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use smol_str::{SmolStr, StrExt};

use super::host::Host;
use super::params::Params;
use super::scan;

/// One Via element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// The transport token, upper case: `UDP`, `TCP`, `TLS`, `WS`, `WSS` or an unknown one.
    pub transport: SmolStr,
    /// The sent-by host.
    pub host: Host,
    /// The sent-by port, when written.
    pub port: Option<u16>,
    /// `branch`, `rport`, `received` and others.
    pub params: Params,
}

impl Via {
    /// The start of every branch made by an RFC 3261 element.
    pub const COOKIE: &'static str = "z9hG4bK";

    /// A Via for a request of ours.
    #[must_use]
    pub fn new(transport: &str, host: Host, port: Option<u16>, branch: &str) -> Self {
        let mut params = Params::new();
        params.set("branch", Some(branch));
        Self { transport: transport.to_ascii_uppercase_smolstr(), host, port, params }
    }

    /// Reads one element of any SIP version, so that a request of another one can be refused. White space is allowed around every separator (§25.1 `LWS`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('/')?;
        let (version, rest) = rest.split_once('/')?;
        if !scan::trim(name).eq_ignore_ascii_case("SIP") || !scan::is_token(scan::trim(version)) {
            return None;
        }
        let rest = scan::trim(rest);
        let (transport, rest) = rest.split_at(rest.find([' ', '\t'])?);
        let (sent_by, params) = match rest.find(';') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if !scan::is_token(transport) {
            return None;
        }
        let (host, port) = Host::parse_with_port(scan::trim(sent_by))?;
        Some(Self { transport: transport.to_ascii_uppercase_smolstr(), host, port, params: Params::parse(params)? })
    }

    /// The `branch` parameter.
    #[must_use]
    pub fn branch(&self) -> Option<Cow<'_, str>> {
        self.params.get("branch")
    }

    /// Whether the branch starts with the magic cookie and holds more than it, so that it alone names the transaction
    /// (§17.2.3). The cookie compares case-insensitively, as tokens do.
    #[must_use]
    pub fn has_rfc3261_branch(&self) -> bool {
        self.branch().is_some_and(|branch| {
            branch.len() > Self::COOKIE.len()
                && branch.get(..Self::COOKIE.len()).is_some_and(|cookie| cookie.eq_ignore_ascii_case(Self::COOKIE))
        })
    }

    /// The `received` address.
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        text.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// The filled-in `rport`; `None` when it is absent or empty.
    #[must_use]
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport")?.parse().ok()
    }

    /// Whether the sender asked for `rport`, filled in or not.
    #[must_use]
    pub fn wants_rport(&self) -> bool {
        self.params.contains("rport")
    }

    /// Notes where the request really came from: `received` when it differs from the sent-by (§18.2.1) or `rport` was
    /// asked for, and the port in `rport` when it was asked for (RFC 3581 §4).
    pub fn stamp(&mut self, source: SocketAddr) {
        if self.wants_rport() {
            self.params.set("rport", Some(&source.port().to_string()));
        }
        if self.wants_rport() || self.host.ip() != Some(source.ip()) {
            self.params.set("received", Some(&source.ip().to_string()));
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SIP/2.0/")?;
        f.write_str(&self.transport)?;
        f.write_str(" ")?;
        self.host.fmt(f)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_separators_is_allowed() {
        let via =
            Via::parse("SIP  / 2.0  / TCP     [2001:db8::1] : 5070   ;  branch  =   z9hG4bK9ikj8 ;rport").unwrap();
        assert_eq!(via.to_string(), "SIP/2.0/TCP [2001:db8::1]:5070;branch=z9hG4bK9ikj8;rport");
        assert!(via.has_rfc3261_branch() && via.wants_rport() && via.rport().is_none());
        assert!(!Via::parse("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK").unwrap().has_rfc3261_branch());
        assert!(Via::parse("SIP/2.0/UDP 192.0.2.15;;").is_none());
    }

    #[test]
    fn the_true_source_is_stamped() {
        let mut via = Via::parse("SIP/2.0/UDP host.invalid;branch=z9hG4bK1;rport").unwrap();
        via.stamp("192.0.2.9:4711".parse().unwrap());
        assert_eq!(via.to_string(), "SIP/2.0/UDP host.invalid;branch=z9hG4bK1;rport=4711;received=192.0.2.9");
        let mut via = Via::parse("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1").unwrap();
        via.stamp("192.0.2.9:4711".parse().unwrap());
        assert_eq!((via.received(), via.rport()), (None, None));
    }
}
