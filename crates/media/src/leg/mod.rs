//! One leg's media: a [`MediaSession`] made of what it hears (`ingress`), what it says (`outgoing`) and the wire under both; and the
//! way from one leg's ear to another's mouth (`relay`). A `link` is the wire of a session that stands for one on another shard.

mod feedback;
mod ingress;
mod link;
mod outgoing;
mod relay;
mod session;
mod sources;
mod wire;

pub(crate) use ingress::Ingress;
pub(crate) use link::{Link, terms as link_terms};
pub(crate) use outgoing::Outgoing;
pub(crate) use relay::{Far, Turn, packet as relay_packet, timeout as relay_timeout, told as relay_told};
pub(crate) use session::{Join, MediaSession, Proposed, Watch};
pub(crate) use wire::{Arrival, Outbound, PlainWire, Wire};

use std::collections::VecDeque;

use bytes::BytesMut;

use crate::link::LinkTransmit;

/// Room in a buffer at first, in octets: 20 ms of anything with its headers and SRTP's tag. What is longer makes it grow.
const USUAL_PACKET: usize = 384;

/// Buffers kept for reuse; a burst of more is allocated.
const MAX_POOLED: usize = 512;

/// Where finished packets wait for their socket, with the buffers that come back from it.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    pub(crate) packets: VecDeque<Outbound>,
    /// What goes to other shards.
    pub(crate) links: VecDeque<LinkTransmit>,
    pool: Vec<BytesMut>,
}

impl Sink {
    pub(crate) fn buffer(&mut self) -> BytesMut {
        self.pool.pop().unwrap_or_else(|| BytesMut::with_capacity(USUAL_PACKET))
    }

    /// A copy of a packet in a pooled buffer.
    pub(crate) fn copy(&mut self, packet: &[u8]) -> BytesMut {
        let mut buffer = self.buffer();
        buffer.clear();
        buffer.extend_from_slice(packet);
        buffer
    }

    pub(crate) fn recycle(&mut self, buffer: BytesMut) {
        // What still shares its memory, or was small, is not worth keeping.
        if self.pool.len() < MAX_POOLED && buffer.capacity() >= 256 {
            self.pool.push(buffer);
        }
    }
}
