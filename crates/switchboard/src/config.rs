//! What the switchboard is told once, at its start.

use std::time::{Duration, Instant, SystemTime};

use sip::{Host, Timers};

/// Settings of a switchboard. Agents, trunks and rules come later and change: see `Directory` and `Dialplan`.
#[derive(Debug, Clone)]
pub struct SwitchboardConfig {
    /// How many media shards there are; at least 1.
    pub shards: usize,
    /// The host peers reach us at over UDP, TCP and TLS: in Contact, Via and, without a trunk's own domain, From.
    pub advertised_host: Host,
    /// The port peers reach us at over UDP.
    pub advertised_port: u16,
    /// The port peers reach us at over TCP.
    pub advertised_tcp_port: u16,
    /// The port peers reach us at inside TLS; `None` when nobody listens there, and they have but the connections we open.
    pub advertised_tls_port: Option<u16>,
    /// Base values of the SIP transaction timers.
    pub timers: Timers,
    /// `User-Agent` and `Server`.
    pub user_agent: String,
    /// The shortest registration granted; less is refused with 423.
    pub min_expires: Duration,
    /// The longest registration granted; more is shortened.
    pub max_expires: Duration,
    /// Granted when the client names none.
    pub default_expires: Duration,
    /// How long a phone whose connection closed is expected back, so that calls to it wait; zero has it gone with its connection.
    pub grace: Duration,
    /// How long a step rings when neither the dialplan nor the extension says.
    pub ring_timeout: Duration,
    /// How long a gateway may stay silent before the next one is tried.
    pub attempt_timeout: Duration,
    /// How long a leg may receive no media before the call counts as dead and is ended; zero switches it off.
    pub silence_timeout: Duration,
    /// How long a leg waits for a browser whose WebSocket closed to come back on another; zero ends it with its connection.
    pub reconnect: Duration,
    /// The session timer that trunk legs are asked for (RFC 4028); zero asks for none. What a peer asks for it gets all the same.
    pub session_expires: Duration,
    /// Calls at once; more get 503.
    pub max_calls: usize,
    /// Legs one call may ring at once.
    pub max_branches: usize,
    /// Participants of one call who talk or are asked to; each is decoded and encoded for itself.
    pub max_participants: usize,
    /// Sent as Retry-After with a 503.
    pub retry_after: Duration,
    /// Caution against calls that somebody else makes at our cost.
    pub fraud: FraudConfig,
    /// Numbers no limit of ours holds up, as they are sent to trunks.
    pub emergency_numbers: Vec<String>,
}

/// Caution against toll fraud. Counts are for each agent, and for each phone that is nobody's; 0 = no limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FraudConfig {
    /// Whether any of it holds.
    pub enabled: bool,
    /// Beginnings of E.164 numbers refused for their cost.
    pub high_cost_prefixes: Vec<String>,
    /// Calls outside within a minute.
    pub calls_per_minute: u32,
    /// Calls outside a day (UTC), where the agent's own policy says nothing.
    pub calls_per_day: u32,
    /// Calls outside at once.
    pub simultaneous_calls: u32,
    /// Attempts to call outside within a minute that raise an alarm when there are more.
    pub burst_calls: u32,
}

impl Default for SwitchboardConfig {
    fn default() -> Self {
        Self {
            shards: 1,
            advertised_host: Host::Ip(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
            advertised_port: 5060,
            advertised_tcp_port: 5060,
            advertised_tls_port: None,
            timers: Timers::default(),
            user_agent: "Patchcord".to_owned(),
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(3600),
            default_expires: Duration::from_secs(600),
            grace: Duration::from_secs(10),
            ring_timeout: Duration::from_secs(60),
            attempt_timeout: Duration::from_secs(4),
            silence_timeout: Duration::from_secs(60),
            reconnect: Duration::from_secs(30),
            session_expires: Duration::from_secs(1800),
            max_calls: 2000,
            max_branches: 32,
            max_participants: 8,
            retry_after: Duration::from_secs(10),
            fraud: FraudConfig::default(),
            emergency_numbers: Vec::new(),
        }
    }
}

/// One moment on both clocks, read by the shell at its start: turns every `now` into a wall-clock time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The monotonic clock.
    pub instant: Instant,
    /// The wall clock at the same moment.
    pub system: SystemTime,
}

impl Clock {
    /// The wall-clock time of an instant.
    #[must_use]
    pub fn at(&self, instant: Instant) -> SystemTime {
        match instant.checked_duration_since(self.instant) {
            Some(after) => self.system + after,
            None => self.system - self.instant.duration_since(instant),
        }
    }
}
