//! A trunk as the database holds it and the API shows it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::trunk_auth::{InboundAuth, Register, TrunkAuth, TrunkSecrets};
use super::trunk_tls::TrunkTls;
use super::{CallerId, CodecName, Document, HeaderRule, MediaEncryption, TrunkDialogs};

/// A carrier.
#[derive(Debug, Clone, PartialEq, Default, Serialize, sqlx::FromRow, ToSchema)]
pub struct Trunk {
    /// What the dialplan calls it; unique.
    pub name: String,
    /// A disabled trunk neither sends nor receives calls.
    pub enabled: bool,
    /// Where outbound calls go.
    #[sqlx(try_from = "String")]
    #[schema(value_type = Vec<Gateway>)]
    pub gateways: Document<Vec<Gateway>>,
    /// How inbound calls are recognised.
    #[sqlx(try_from = "String")]
    #[schema(value_type = Inbound)]
    pub inbound: Document<Inbound>,
    /// Networks RTP is believed from beside the address in the SDP.
    #[sqlx(try_from = "String")]
    #[schema(value_type = Vec<String>)]
    pub media_cidrs: Document<Vec<ipnet::IpNet>>,
    /// Codecs offered, best first.
    #[sqlx(try_from = "String")]
    #[schema(value_type = Vec<CodecName>)]
    pub codecs: Document<Vec<CodecName>>,
    /// How outbound calls present themselves.
    #[sqlx(try_from = "String")]
    #[schema(value_type = CallerId)]
    pub caller_id: Document<CallerId>,
    /// How digits travel over it.
    #[sqlx(try_from = "String")]
    pub dtmf: DtmfMode,
    /// Calls at once; 0 = no limit.
    pub max_channels: i64,
    /// Everything else, in one column.
    #[serde(flatten)]
    #[sqlx(try_from = "String")]
    #[schema(value_type = TrunkSettings)]
    pub settings: Document<TrunkSettings>,
    /// What is kept of its passwords.
    #[serde(skip)]
    #[sqlx(try_from = "String")]
    pub secrets: Document<TrunkSecrets>,
}

impl Trunk {
    /// Whether the keys of its media would travel in the clear.
    pub(in crate::store) fn exposes_keys(&self) -> bool {
        let is_open = |gateway: &Gateway| gateway.transport != GatewayTransport::Tls;
        self.settings.0.media_encryption != MediaEncryption::Off && self.gateways.0.iter().any(is_open)
    }
}

/// What most trunks leave at its default. An absent field has its default, so that older rows need no migration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct TrunkSettings {
    /// As whom we call and register; without, a carrier that asks for credentials refuses.
    pub auth: Option<TrunkAuth>,
    /// Whether and how we register.
    pub register: Register,
    /// How long packets are that we would like, in milliseconds: 10, 20, 30 or 40. What the carrier asks for is obeyed all the same.
    #[schema(value_type = u16, example = 20)]
    pub ptime_ms: PacketMillis,
    /// Whether who the trunk says is calling, by P-Asserted-Identity or Remote-Party-ID, is believed, and whether it is told the number of who
    /// calls anonymously (RFC 3325).
    pub trusted: bool,
    /// Changes of the headers of INVITEs, in their order.
    pub header_rules: Vec<HeaderRule>,
    /// Headers of the trunk's INVITEs that agents' phones get too.
    pub pass_headers: Vec<String>,
    /// New calls a second each way; 0 = no limit.
    pub max_cps: i64,
    /// How gateways with the transport `tls` are reached.
    pub tls: TrunkTls,
    /// How its dialogs are set up and kept.
    #[serde(flatten)]
    pub dialogs: TrunkDialogs,
    /// Whether media is SRTP.
    pub media_encryption: MediaEncryption,
    /// How often its servers are asked by OPTIONS whether they live, in seconds; 0 asks never.
    #[schema(value_type = i64, default = 30, minimum = 0, maximum = 3600)]
    pub options_ping_s: PingInterval,
}

/// The length of a packet, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketMillis(pub u16);

impl Default for PacketMillis {
    fn default() -> Self {
        Self(20)
    }
}

/// Seconds between two questions whether a server lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PingInterval(pub i64);

impl Default for PingInterval {
    fn default() -> Self {
        Self(30)
    }
}

/// How digits travel over a trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DtmfMode {
    /// As telephone-events where the carrier has them, else as tones in the audio.
    #[default]
    Auto,
    /// As telephone-events (RFC 4733), or not at all.
    Rfc4733,
    /// By SIP INFO (`application/dtmf-relay`).
    Info,
    /// As tones in the audio.
    Inband,
}

impl DtmfMode {
    pub(in crate::store) fn text(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Rfc4733 => "rfc4733",
            Self::Info => "info",
            Self::Inband => "inband",
        }
    }
}

impl TryFrom<String> for DtmfMode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "auto" => Ok(Self::Auto),
            "rfc4733" => Ok(Self::Rfc4733),
            "info" => Ok(Self::Info),
            "inband" => Ok(Self::Inband),
            other => Err(format!("unknown dtmf {other:?}")),
        }
    }
}

impl From<DtmfMode> for media::Dtmf {
    fn from(mode: DtmfMode) -> Self {
        match mode {
            DtmfMode::Auto => Self::Auto,
            DtmfMode::Rfc4733 => Self::Rfc4733,
            DtmfMode::Info => Self::Info,
            DtmfMode::Inband => Self::Inband,
        }
    }
}

/// One address of a trunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gateway {
    /// `sip:host[:port]`; the host stays in the request URI.
    pub uri: String,
    /// How it is reached.
    pub transport: GatewayTransport,
    /// Lower first.
    pub priority: u16,
    /// Share within a priority.
    pub weight: u16,
}

impl Gateway {
    /// `host[:port]` without the scheme.
    #[must_use]
    pub fn host(&self) -> &str {
        self.uri.strip_prefix("sip:").unwrap_or(&self.uri)
    }
}

/// How a gateway is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GatewayTransport {
    /// As the name server says (RFC 3263: NAPTR, then SRV); UDP when it says nothing.
    Auto,
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream inside TLS, on port 5061 where none is written.
    Tls,
}

impl GatewayTransport {
    /// The transport; `None` leaves it to the name server.
    #[must_use]
    pub fn chosen(self) -> Option<sip::Transport> {
        match self {
            Self::Auto => None,
            Self::Udp => Some(sip::Transport::Udp),
            Self::Tcp => Some(sip::Transport::Tcp),
            Self::Tls => Some(sip::Transport::Tls),
        }
    }
}

/// How inbound calls of a trunk are recognised.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Inbound {
    /// Networks the carrier calls from; without `auth`, nothing else is believed.
    #[schema(value_type = Vec<String>, examples(json!(["203.0.113.0/24"])))]
    pub cidrs: Vec<ipnet::IpNet>,
    /// What the carrier proves itself with when it calls, besides calling from one of the networks, or without any from anywhere.
    #[serde(default)]
    pub auth: Option<InboundAuth>,
    /// Names, one of which its client certificate proves when it connects inside TLS; believed on that connection only.
    #[serde(default)]
    #[schema(examples(json!(["sbc.carrier.example"])))]
    pub tls_names: Vec<String>,
}
