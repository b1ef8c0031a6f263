//! A shard: all media sessions of one thread, sans-IO. Sockets, ports and time are its runtime's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::command::{Command, Event, LocalPort, MediaSessionId, PortRequest, SocketId};
use crate::keying::Certificate;
use crate::outbox::{Outbox, Transmit};

/// What a shard is told once.
#[derive(Debug, Clone)]
pub struct ShardConfig {
    /// The DTLS certificate of this process.
    pub certificate: Arc<Certificate>,
    /// Where browsers reach [`SocketId::BROWSERS`]: the candidates of every browser leg, the preferred one first.
    pub browser_addresses: Vec<SocketAddr>,
    /// Sessions at once; an `Open` beyond them fails.
    pub max_sessions: usize,
}

/// Why the runtime has no port for a leg, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no RTP port: {0}")]
pub struct PortUnavailable(pub String);

/// The sessions of one thread. After every input its outputs are to be polled until empty: first transmits, then port releases.
#[derive(Debug)]
pub struct Shard {
    config: ShardConfig,
    outbox: Outbox,
}

impl Shard {
    /// Makes an empty shard whose random numbers come from `seed`.
    #[must_use]
    pub fn new(config: ShardConfig, _seed: [u8; 32]) -> Self {
        Self { config, outbox: Outbox::default() }
    }

    /// Takes a command.
    pub fn handle_command(&mut self, _now: Instant, _command: Command) {}

    /// Takes the answer to a [`PortRequest`].
    pub fn handle_port(&mut self, _now: Instant, _session: MediaSessionId, _port: Result<LocalPort, PortUnavailable>) {}

    /// Takes a datagram that came to one of the shard's sockets.
    pub fn handle_packet(&mut self, _now: Instant, _socket: SocketId, _from: SocketAddr, _packet: &mut [u8]) {}

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// When [`Self::handle_timeout`] wants to be called; may be earlier than needed, never later.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next datagram to send. Its buffer is to be given back to [`Self::recycle`].
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.transmits.pop_front()
    }

    /// Takes back the buffer of a sent datagram, so that sending allocates nothing.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        self.outbox.recycle(buffer);
    }

    /// The next event for signalling.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.outbox.events.pop_front()
    }

    /// The next port to bind.
    pub fn poll_port_request(&mut self) -> Option<PortRequest> {
        self.outbox.port_requests.pop_front()
    }

    /// The next socket to close, RTP and RTCP each by itself; to be polled after the transmits.
    pub fn poll_port_release(&mut self) -> Option<SocketId> {
        self.outbox.port_releases.pop_front()
    }

    /// Sessions open now.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.config.max_sessions.min(0)
    }
}
