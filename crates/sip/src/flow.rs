//! Flows: what a SIP message arrives on and can be sent on (RFC 5626 §3.1). Names connections; owns no socket.

use std::fmt;
use std::net::SocketAddr;

/// The default port of SIP over UDP and TCP (RFC 3261 §19.1.2).
pub(crate) const SIP_PORT: u16 = 5060;

/// The default port of SIP inside TLS (RFC 3261 §19.1.2).
const SIPS_PORT: u16 = 5061;

/// The transport of a flow (RFC 3261 §18, RFC 7118).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams; the only transport on which the transaction layer retransmits.
    Udp,
    /// A stream with Content-Length framing.
    Tcp,
    /// A stream inside TLS.
    Tls,
    /// A WebSocket behind somebody else's TLS.
    Ws,
    /// A WebSocket inside TLS.
    Wss,
}

impl Transport {
    /// The token in a Via header's sent-protocol.
    #[must_use]
    pub fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// Whether the transport itself delivers (RFC 3261 §17: timers E, G, A do not run).
    #[must_use]
    pub fn is_reliable(self) -> bool {
        self != Self::Udp
    }

    /// Whether it is a stream that either side may open again to the other's address.
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }

    /// The port where none is written (RFC 3261 §19.1.2).
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Tls => SIPS_PORT,
            Self::Udp | Self::Tcp | Self::Ws | Self::Wss => SIP_PORT,
        }
    }

    /// Whether messages travel in WebSocket frames.
    #[must_use]
    pub fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.via_token())
    }
}

/// Names one accepted or opened connection for the life of the process; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// Names the settings a TLS connection is opened with: whom to expect, whom to believe, and as who. Settings of one name are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TlsId(pub u64);

/// One connection, or one UDP peer, that a message can be sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// How the peer is reached.
    pub transport: Transport,
    /// The peer's address as the socket sees it.
    pub peer: SocketAddr,
    /// The connection. `None` for UDP; `None` for TCP and TLS means "a connection to `peer`, opened when there is none".
    pub connection: Option<ConnectionId>,
    /// What a connection is opened with inside TLS: two that differ in it are never one connection. `None` on the other transports, and
    /// where no connection can be opened.
    pub tls: Option<TlsId>,
}

impl Flow {
    /// Whether what comes on this flow may belong to what goes on over `other`. A WebSocket carries one client's messages and no other's;
    /// on the other transports an element may use several connections and ports, and whether it is the right one is its user's to know.
    pub(crate) fn may_speak_for(self, other: Self) -> bool {
        match (self.transport.is_websocket(), other.transport.is_websocket()) {
            (true, true) => self.connection == other.connection,
            (false, false) => true,
            (true, false) | (false, true) => false,
        }
    }

    /// Whether both are over the same transport; WebSockets are, inside TLS or not.
    pub(crate) fn is_like(self, other: Self) -> bool {
        self.transport == other.transport || (self.transport.is_websocket() && other.transport.is_websocket())
    }

    /// The connection, where it is part of what names a transaction.
    pub(crate) fn websocket(self) -> Option<ConnectionId> {
        self.connection.filter(|_| self.transport.is_websocket())
    }
}

/// One message to be written to a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where it goes.
    pub flow: Flow,
    /// The serialised message (or a keep-alive CRLF).
    pub bytes: bytes::Bytes,
}
