//! The directory: an immutable snapshot of agents, extensions, credentials, trunks and numbers. Made by the store after each
//! change and handed over whole, so that no call ever waits for a database. Knows nothing of SQL.

mod border;
mod caller_id;
mod dial_policy;
mod tls;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use media::{Codec, SdesPolicy};
use sip::{ClientCredentials, Ha1};

pub use border::*;
pub use caller_id::*;
pub use dial_policy::*;
pub use tls::{TlsClient, TlsPeer, TlsSettings};

/// Everything the switchboard may look up. Keys are ids with their prefixes (`agt_`, `ext_`, `crd_`, `trk_`, `num_`).
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// The SIP domain and digest realm of the agents, e.g. `phone.example.com`.
    pub realm: String,
    /// Agents by id.
    pub agents: HashMap<String, Agent>,
    /// Extensions by number (the user part of the AOR).
    pub extensions: HashMap<String, Extension>,
    /// Credentials by username.
    pub credentials: HashMap<String, Credential>,
    /// Trunks by id.
    pub trunks: HashMap<String, Trunk>,
    /// Numbers by E.164 (`+` and digits).
    pub numbers: HashMap<String, Number>,
    /// What the trunks' connections inside TLS are opened with, by what their hops call it.
    pub tls: HashMap<sip::TlsId, Arc<TlsPeer>>,
}

impl Directory {
    /// Whether an extension exists and is unowned or an enabled agent's.
    #[must_use]
    pub fn may_use(&self, extension: &str) -> bool {
        self.extensions.get(extension).is_some_and(|extension| match &extension.agent_id {
            Some(id) => self.agents.get(id).is_some_and(|agent| agent.enabled),
            None => true,
        })
    }
}

/// A person who phones.
#[derive(Debug, Clone)]
pub struct Agent {
    /// `agt_…`
    pub id: String,
    /// Shown to people the agent calls inside the company.
    pub display_name: String,
    /// A disabled agent cannot register or call.
    pub enabled: bool,
    /// Presented to the PSTN (E.164), when set.
    pub caller_id_number: Option<String>,
    /// What it may choose to present instead (E.164).
    pub allowed_caller_ids: Vec<String>,
    /// Where it may call.
    pub dial_policy: DialPolicy,
    /// Calls it may make a second, 0 = no limit.
    pub max_cps: u32,
    /// Calls at once, 0 = no limit of its own. While it holds all of them it can make one more.
    pub max_concurrent_calls: u32,
}

/// An address an agent registers: `sip:<number>@<realm>`.
#[derive(Debug, Clone)]
pub struct Extension {
    /// `ext_…`
    pub id: String,
    /// The user part of the AOR and what others dial.
    pub number: String,
    /// Whose it is; `None` for an unowned phone.
    pub agent_id: Option<String>,
    /// How long it rings before "no answer".
    pub ring_timeout: Duration,
    /// How many bindings it may have at once (at least 1).
    pub max_contacts: usize,
    /// What happens to one binding too many.
    pub on_limit: OnLimit,
    /// Codecs offered to its phones, best first.
    pub codecs: Vec<Codec>,
}

/// What a REGISTER beyond `max_contacts` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLimit {
    /// The binding refreshed longest ago goes.
    ReplaceOldest,
    /// The REGISTER is refused with 403.
    Reject,
}

/// A username with its digest secrets.
#[derive(Debug, Clone)]
pub struct Credential {
    /// `crd_…`
    pub id: String,
    /// The digest username.
    pub username: String,
    /// The number of the extension it registers and calls as.
    pub extension: String,
    /// HA1 for MD5 and SHA-256; the secret itself is not known.
    pub ha1: Ha1,
}

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
    /// Whence inbound calls come; nothing else is believed.
    pub inbound_networks: Vec<IpNet>,
    /// Whence RTP is believed beside the SDP's address.
    pub media_networks: Vec<IpNet>,
    /// Codecs offered, best first.
    pub codecs: Vec<Codec>,
    /// How long packets are that we would like, and send where the carrier does not say.
    pub ptime: Duration,
    /// How calls present themselves.
    pub caller_id: CallerId,
    /// What holds between the two of us.
    pub border: Border,
    /// How digits travel over it.
    pub dtmf: media::Dtmf,
    /// Whether its media is SRTP.
    pub media_encryption: MediaEncryption,
    /// How its gateways are reached inside TLS.
    pub tls: TlsSettings,
    /// Client certificates' names that calls of it come with, inside TLS.
    pub inbound_tls_names: Vec<String>,
    /// Calls at once over it, 0 = no limit.
    pub max_channels: u32,
    /// Who we are to it and it to us, beyond addresses.
    pub authentication: Authentication,
    /// How its dialogs are set up and kept.
    pub dialogs: Dialogs,
    /// How often its servers are asked whether they live; zero asks never.
    pub options_ping: Duration,
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

/// A number of ours at a trunk.
#[derive(Debug, Clone)]
pub struct Number {
    /// `num_…`
    pub id: String,
    /// E.164 with plus.
    pub e164: String,
    /// The trunk it comes over.
    pub trunk_id: String,
    /// The extension number (user part) it rings; `None` leaves it to the dialplan alone.
    pub extension: Option<String>,
}
