//! The sections of the configuration with their defaults. `patchcord.example.toml` shows the same values; a test holds the two
//! together.

mod fraud;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use switchboard::TraceLimits;

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

/// `[dns]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Name servers, as `address` or `address:port`; empty takes the system's.
    pub servers: Vec<String>,
    /// Networks that names must not lead to: nothing is sent there.
    pub refused_networks: Vec<IpNet>,
    /// How long an answer is used at least, in seconds, whatever it says itself.
    pub min_ttl_s: u64,
    /// How long an answer is used at most, in seconds.
    pub max_ttl_s: u64,
}

impl Dns {
    /// The name servers; those that are no addresses are left out, which the checks do not let pass.
    pub fn name_servers(&self) -> impl Iterator<Item = SocketAddr> {
        self.servers.iter().filter_map(|server| name_server(server))
    }

    /// How long an answer is used at least.
    #[must_use]
    pub fn min_ttl(&self) -> Duration {
        Duration::from_secs(self.min_ttl_s)
    }

    /// How long an answer is used at most.
    #[must_use]
    pub fn max_ttl(&self) -> Duration {
        Duration::from_secs(self.max_ttl_s)
    }
}

impl Default for Dns {
    fn default() -> Self {
        // Addresses of this host and of this link: among them what clouds tell their machines secrets at.
        let here = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10"];
        Self {
            servers: Vec::new(),
            refused_networks: here.iter().filter_map(|network| network.parse().ok()).collect(),
            min_ttl_s: 5,
            max_ttl_s: 3600,
        }
    }
}

/// An address, with the port of DNS where it has none.
pub(super) fn name_server(text: &str) -> Option<SocketAddr> {
    let bare = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53));
    text.parse().ok().or_else(bare).filter(|address: &SocketAddr| address.port() > 0)
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

/// `[calls]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// How long a target rings when neither route nor extension says, in seconds.
    pub ring_timeout_s: u64,
    /// How long a call waits for a browser that lost its connection, in seconds; 0 ends the call with the connection.
    pub reconnect_s: u64,
    /// Calls at once; one more is refused with 503.
    pub max_calls: usize,
    /// Participants of one call who talk or are asked to join.
    pub max_participants: usize,
    /// Session timer (RFC 4028) that trunks are asked for, in seconds; 0 asks for none.
    pub session_expires_s: u64,
    /// How long running calls may go on after SIGTERM, in seconds.
    pub shutdown_s: u64,
    /// Numbers, as they are dialled, that no limit holds up.
    pub emergency_numbers: Vec<String>,
    /// Ended calls whose trace is kept; 0 traces nothing.
    pub traces_kept: usize,
    /// Memory that all traces may take, in bytes.
    pub traces_bytes: usize,
}

impl Calls {
    /// How long a target rings when neither route nor extension says.
    #[must_use]
    pub fn ring_timeout(&self) -> Duration {
        Duration::from_secs(self.ring_timeout_s)
    }

    /// How long a call waits for a browser that lost its connection.
    #[must_use]
    pub fn reconnect(&self) -> Duration {
        Duration::from_secs(self.reconnect_s)
    }

    /// Session timer that trunks are asked for; zero asks for none.
    #[must_use]
    pub fn session_expires(&self) -> Duration {
        Duration::from_secs(self.session_expires_s)
    }

    /// How much is kept of what calls did.
    #[must_use]
    pub fn traces(&self) -> TraceLimits {
        TraceLimits { ended: self.traces_kept, bytes: self.traces_bytes }
    }

    /// How long running calls may go on once the process is to stop.
    #[must_use]
    pub fn shutdown(&self) -> Duration {
        Duration::from_secs(self.shutdown_s)
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            ring_timeout_s: 30,
            reconnect_s: 30,
            max_calls: 1000,
            max_participants: 8,
            session_expires_s: 1800,
            shutdown_s: 30,
            emergency_numbers: ["112", "911", "999", "110", "000", "111", "119"].map(str::to_owned).to_vec(),
            traces_kept: 1000,
            traces_bytes: 64 << 20,
        }
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

/// An optional setting is written as an empty string when it is not set, so that an environment variable can clear it.
mod optional {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|error| D::Error::custom(format!("{error}: found \"{text}\"")))
    }
}
