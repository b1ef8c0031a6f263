//! What a shard has for its runtime: datagrams in pooled buffers, events, ports wanted and done with.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::command::{Event, PortRequest, SocketId};

/// Buffers kept for reuse: more than one turn of the loop sends.
const MAX_POOLED: usize = 256;
/// A datagram that crosses every path without fragments; RTP of a phone call is far smaller.
const BUFFER: usize = 1500;

/// A datagram to send.
#[derive(Debug, PartialEq, Eq)]
pub struct Transmit {
    /// From which socket.
    pub socket: SocketId,
    /// Whereto.
    pub to: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

/// Everything polled from a shard.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) transmits: VecDeque<Transmit>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) port_requests: VecDeque<PortRequest>,
    pub(crate) port_releases: VecDeque<SocketId>,
    pool: Vec<Vec<u8>>,
}

impl Outbox {
    /// An empty buffer.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.pool.pop().unwrap_or_else(|| Vec::with_capacity(BUFFER))
    }

    /// Takes a buffer back.
    pub(crate) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.pool.len() < MAX_POOLED {
            buffer.clear();
            self.pool.push(buffer);
        }
    }

    /// Queues a copy of `bytes`.
    pub(crate) fn send(&mut self, socket: SocketId, to: SocketAddr, bytes: &[u8]) {
        let mut buffer = self.buffer();
        buffer.extend_from_slice(bytes);
        self.transmits.push_back(Transmit { socket, to, bytes: buffer });
    }
}
