//! A trunk: its gateways and their servers, whence its calls come, and how they are set up, presented and heard.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use media::{Codec, SdesPolicy};
use sip::{ClientCredentials, Ha1};

use super::{Border, TlsSettings};

/// A carrier.
#[derive(Debug, Clone, Default)]
pub struct Trunk {
    /// `trk_…`
    pub id: String,
    /// For logs and the dialplan, unique.
    pub name: String,
    /// A disabled trunk neither sends nor receives calls.
    pub enabled: bool,
    /// Where outbound calls go, in order of priority, then weight.
    pub gateways: Vec<Gateway>,
    /// How its gateways are reached inside TLS.
    pub tls: TlsSettings,
    /// How often its servers are asked whether they live; zero asks never.
    pub options_ping: Duration,
    /// Whence its calls come.
    pub inbound: Inbound,
    /// Who we are to it and it to us, beyond addresses.
    pub authentication: Authentication,
    /// How its dialogs are set up and kept.
    pub dialogs: Dialogs,
    /// What holds between the two of us.
    pub border: Border,
    /// What is heard over it, and how it is carried.
    pub media: TrunkMedia,
    /// How much it takes.
    pub limits: Limits,
}

/// Whence a trunk's calls come beside its gateways; nothing else is believed.
#[derive(Debug, Clone, Default)]
pub struct Inbound {
    /// Networks; any when empty, for those who prove themselves.
    pub networks: Vec<IpNet>,
    /// Client certificates' names, inside TLS.
    pub tls_names: Vec<String>,
}

/// How the media of a trunk is carried.
#[derive(Debug, Clone, Default)]
pub struct TrunkMedia {
    /// Whence RTP is believed beside the SDP's address.
    pub networks: Vec<IpNet>,
    /// Codecs offered, best first.
    pub codecs: Vec<Codec>,
    /// How long packets are that we would like, and send where the carrier does not say.
    pub ptime: Duration,
    /// How digits travel.
    pub dtmf: media::Dtmf,
    /// Whether it is SRTP.
    pub encryption: MediaEncryption,
}

/// How much a trunk takes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Calls at once, 0 = no limit.
    pub max_channels: u32,
    /// New calls a second each way, 0 = no limit.
    pub max_cps: u32,
}

/// How a trunk and we prove who we are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authentication {
    /// With what we answer its challenges; the username is also what we register.
    pub outbound: Option<ClientCredentials>,
    /// We register at it, and ask for so long.
    pub register: Option<Duration>,
    /// With what it answers ours.
    pub inbound: Option<InboundCredentials>,
}

/// What a trunk proves itself with, in our realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundCredentials {
    /// The digest username; no two trunks have the same.
    pub username: String,
    /// The digests of the secret.
    pub ha1: Ha1,
}

/// How the dialogs of a trunk are set up and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialogs {
    /// Whether provisional responses are sent and asked for reliably (RFC 3262): not at all, as its peer can, or always.
    pub prack: sip::Reliability,
    /// Whether our INVITEs make the offer; else the trunk's answer does (RFC 3261 §13.2.1).
    pub early_offer: bool,
    /// What it is asked for.
    pub session_timer: SessionTimer,
}

impl Default for Dialogs {
    fn default() -> Self {
        Self { prack: sip::Reliability::Supported, early_offer: true, session_timer: SessionTimer::Configured }
    }
}

/// The session timer that a trunk is asked for (RFC 4028). What it asks for it gets all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionTimer {
    /// The one of `SwitchboardConfig::session_expires`.
    #[default]
    Configured,
    /// None.
    Off,
    /// This one.
    Every(Duration),
}

/// Whether a trunk's media is SRTP with the keys of its SDP (RFC 4568).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MediaEncryption {
    /// Plain RTP only.
    #[default]
    Off,
    /// SRTP where the carrier takes or offers it.
    Optional,
    /// SRTP or no call.
    Required,
}

impl MediaEncryption {
    pub(crate) fn policy(self) -> Option<SdesPolicy> {
        match self {
            Self::Off => None,
            Self::Optional => Some(SdesPolicy::Optional),
            Self::Required => Some(SdesPolicy::Required),
        }
    }
}

/// One address of a trunk.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Host (and port) as configured: stays in the request URI, e.g. `example.pstn.twilio.com`.
    pub host: String,
    /// How it is reached, as configured: stays in the request URI too. `None` when the name server chooses (RFC 3263 §4.1).
    pub transport: Option<sip::Transport>,
    /// Where its servers are; empty while unresolved.
    pub hops: Vec<Hop>,
    /// Lower first.
    pub priority: u16,
    /// Share within a priority.
    pub weight: u16,
}

/// One server of a gateway: what finding it (RFC 3263) came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hop {
    /// How it is reached.
    pub transport: sip::Transport,
    /// Where it is.
    pub address: SocketAddr,
    /// Of its SRV record, under the gateway's own: lower first (RFC 2782).
    pub priority: u16,
    /// Of its SRV record: share within a priority.
    pub weight: u16,
    /// What a connection to it is opened with inside TLS; `None` on the other transports.
    pub tls: Option<sip::TlsId>,
}

impl Hop {
    /// A server that no SRV record told of.
    #[must_use]
    pub fn new(transport: sip::Transport, address: SocketAddr) -> Self {
        Self { transport, address, priority: 0, weight: 0, tls: None }
    }

    /// The flow to it: over TCP any connection to its address, inside TLS one opened as its trunk wants it.
    #[must_use]
    pub fn flow(&self) -> sip::Flow {
        sip::Flow { transport: self.transport, peer: self.address, connection: None, tls: self.tls }
    }
}
