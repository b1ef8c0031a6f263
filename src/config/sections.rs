//! The sections of the configuration with their defaults. `patchcord.example.toml` shows the same values; a test holds the two
//! together.

mod calls;
mod dns;
mod fraud;
mod optional;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use calls::Calls;
pub use dns::Dns;
pub(super) use dns::name_server;
pub use fraud::Fraud;

/// Everything `patchcord` can be told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Page, REST API and the browsers' WebSocket.
    pub http: Http,
    /// Signalling towards trunks, and the agents' SIP domain.
    pub sip: Sip,
    /// How trunks' gateways are found.
    pub dns: Dns,
    /// RTP and ICE.
    pub media: Media,
    /// Where agents, trunks and call records live.
    pub database: Database,
    /// How long phones stay registered.
    pub registration: Registration,
    /// Limits of calls.
    pub calls: Calls,
    /// Caution against toll fraud.
    pub fraud: Fraud,
    /// Where the routing rules are.
    pub dialplan: Dialplan,
    /// What is logged.
    pub log: Log,
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where page, `/v1` and `/sip` are served over TLS; port 0 takes any.
    pub https_listen: SocketAddr,
    /// The same without TLS, for use behind a TLS proxy; `None` (an empty string) switches it off.
    #[serde(with = "optional")]
    pub http_listen: Option<SocketAddr>,
    /// PEM certificate chain.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
    /// Web origins (`https://host[:port]`) whose pages may open the WebSocket, beside the gateway's own.
    pub allowed_origins: Vec<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            https_listen: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 8443),
            http_listen: None,
            certificate: "certs/patchcord.pem".into(),
            key: "certs/patchcord-key.pem".into(),
            allowed_origins: Vec::new(),
        }
    }
}

/// `[sip]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sip {
    /// SIP over UDP for trunks; port 0 takes any.
    pub udp_listen: SocketAddr,
    /// SIP over TCP for trunks; port 0 takes any.
    pub tcp_listen: SocketAddr,
    /// SIP inside TLS for trunks; port 0 takes any, `None` (an empty string) switches it off.
    #[serde(with = "optional")]
    pub tls_listen: Option<SocketAddr>,
    /// PEM certificate chain of that listener; empty takes `http.certificate` and `http.key`.
    pub tls_certificate: PathBuf,
    /// PEM private key of that listener.
    pub tls_key: PathBuf,
    /// PEM certificate authorities that trunks' client certificates are believed from; empty asks for none.
    pub tls_client_ca: PathBuf,
    /// The agents' SIP domain and digest realm.
    pub domain: String,
    /// The address carriers reach us at, for Via and Contact; `None` (an empty string) takes the listening address, or the
    /// one of the default route when that is a wildcard.
    #[serde(with = "optional")]
    pub advertised_address: Option<IpAddr>,
    /// RFC 3261 timer T1 in milliseconds: the round trip a retransmission waits for.
    pub t1_ms: u64,
    /// RFC 3261 timer T2 in milliseconds: the longest time between retransmissions.
    pub t2_ms: u64,
    /// RFC 3261 timer T4 in milliseconds: how long a message may linger in the network.
    pub t4_ms: u64,
}

impl Sip {
    /// Timer T1.
    #[must_use]
    pub fn t1(&self) -> Duration {
        Duration::from_millis(self.t1_ms)
    }

    /// Timer T2.
    #[must_use]
    pub fn t2(&self) -> Duration {
        Duration::from_millis(self.t2_ms)
    }

    /// Timer T4.
    #[must_use]
    pub fn t4(&self) -> Duration {
        Duration::from_millis(self.t4_ms)
    }
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            udp_listen: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 5060),
            tcp_listen: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 5060),
            tls_listen: None,
            tls_certificate: PathBuf::new(),
            tls_key: PathBuf::new(),
            tls_client_ca: PathBuf::new(),
            domain: "localhost".into(),
            advertised_address: None,
            t1_ms: 500,
            t2_ms: 4000,
            t4_ms: 5000,
        }
    }
}

/// `[media]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Media threads; 0 takes one per core.
    pub shards: usize,
    /// The address RTP sockets bind to.
    pub listen: IpAddr,
    /// UDP port of the first shard's browser legs, the next shard takes the next port; 0 takes any.
    pub browser_ports: u16,
    /// The addresses given to browsers as ICE candidates and to trunks in SDP (the first of a family); empty takes the
    /// listening address, or the one of the default route when that is a wildcard.
    pub advertised_addresses: Vec<IpAddr>,
    /// Lowest UDP port of trunk legs (even; RTCP takes the next); 0, together with `rtp_port_max`, takes any.
    pub rtp_port_min: u16,
    /// Highest UDP port of trunk legs.
    pub rtp_port_max: u16,
    /// A call whose leg sends no media for this many seconds is ended; 0 never ends one.
    pub silence_timeout_s: u64,
    /// A WAV file for held parties to hear; empty plays a melody of the gateway's own.
    pub music_on_hold: PathBuf,
}

impl Media {
    /// After how long without media a call is ended; `None` = never.
    #[must_use]
    pub fn silence_timeout(&self) -> Option<Duration> {
        (self.silence_timeout_s > 0).then(|| Duration::from_secs(self.silence_timeout_s))
    }
}

impl Default for Media {
    fn default() -> Self {
        Self {
            shards: 0,
            listen: Ipv4Addr::UNSPECIFIED.into(),
            browser_ports: 10_000,
            advertised_addresses: Vec::new(),
            rtp_port_min: 20_000,
            rtp_port_max: 29_999,
            silence_timeout_s: 60,
            music_on_hold: PathBuf::new(),
        }
    }
}

/// `[database]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://path` or `postgres://user:password@host/name`.
    pub url: String,
    /// Connections kept open at most.
    pub max_connections: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: "sqlite://data/patchcord.db".into(), max_connections: 8 }
    }
}

/// `[registration]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registration {
    /// Shortest registration in seconds; a shorter one is refused with 423.
    pub min_expires_s: u64,
    /// Longest registration in seconds; a longer one is shortened.
    pub max_expires_s: u64,
    /// Given to a REGISTER that names none, in seconds.
    pub default_expires_s: u64,
    /// How long a phone that lost its connection is expected back, in seconds: calls to it wait so long. 0: not at all.
    pub grace_s: u64,
}

impl Registration {
    /// The shortest registration.
    #[must_use]
    pub fn min_expires(&self) -> Duration {
        Duration::from_secs(self.min_expires_s)
    }

    /// The longest registration.
    #[must_use]
    pub fn max_expires(&self) -> Duration {
        Duration::from_secs(self.max_expires_s)
    }

    /// How long a phone that lost its connection is expected back.
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_s)
    }

    /// What a REGISTER that names no time gets.
    #[must_use]
    pub fn default_expires(&self) -> Duration {
        Duration::from_secs(self.default_expires_s)
    }
}

impl Default for Registration {
    fn default() -> Self {
        Self { min_expires_s: 60, max_expires_s: 3600, default_expires_s: 600, grace_s: 10 }
    }
}

/// `[dialplan]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dialplan {
    /// Folder whose `*.toml` files are the routing rules.
    pub directory: PathBuf,
}

impl Default for Dialplan {
    fn default() -> Self {
        Self { directory: "dialplan".into() }
    }
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// What is logged: a level, or `target=level` pairs separated by commas.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
