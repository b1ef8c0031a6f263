//! A media shard without I/O: all sessions of one thread, found by ICE ufrag, by address or by port; joined, relayed, and told of.
//! Sockets and the clock are the runtime's.

mod commands;
mod hold;
mod links;
mod mixing;
mod negotiate;
mod packets;
mod serial;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::BytesMut;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::command::{LocalPort, MediaSessionId, MixId, PortRequest, SocketId};
use crate::event::Event;
use crate::keying::Certificate;
use crate::leg::{MediaSession, Sink};
use crate::link::LinkTransmit;
use crate::mix::Mix;
use crate::music::Music;
use serial::SerialMap;

/// Settings of a shard.
#[derive(Debug, Clone)]
pub struct ShardConfig {
    /// The process's DTLS certificate.
    pub certificate: Arc<Certificate>,
    /// Where browsers reach this shard's port, best first; becomes the candidates of each offer and answer.
    pub candidates: Vec<SocketAddr>,
    /// One moment on both clocks, for the NTP times of RTCP.
    pub started: (Instant, SystemTime),
    /// Sessions at once; an `Open` beyond fails.
    pub max_sessions: usize,
    /// What held parties hear.
    pub music: Music,
}

/// A packet to write to one of the runtime's sockets. Its buffer is wanted back with [`Shard::recycle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// From which socket.
    pub socket: SocketId,
    /// To whom.
    pub to: SocketAddr,
    /// The packet.
    pub bytes: BytesMut,
}

/// What a shard holds now and has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShardCounters {
    /// Sessions held.
    pub sessions: usize,
    /// Packets that came to any session or to none.
    pub packets_received: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets that belonged to no session, or were not believed by theirs.
    pub packets_discarded: u64,
}

/// Where a port's packets belong.
#[derive(Debug, Clone, Copy)]
struct PortOwner(MediaSessionId);

/// Ways to find a session by what arrives.
#[derive(Debug, Default)]
struct Routes {
    ufrags: HashMap<String, MediaSessionId>,
    addresses: HashMap<SocketAddr, MediaSessionId>,
    ports: SerialMap<SocketId, PortOwner>,
}

/// What waits to be drained.
#[derive(Debug, Default)]
struct Pending {
    events: VecDeque<Event>,
    port_requests: VecDeque<PortRequest>,
    port_releases: VecDeque<LocalPort>,
}

/// All media sessions of one thread. After each call everything `poll_*` gives is to be drained.
#[derive(Debug)]
pub struct Shard {
    config: ShardConfig,
    rng: ChaCha12Rng,
    /// Each in a room of its own: a table of some KiB a place would be half empty, and moved whenever it grows.
    sessions: SerialMap<MediaSessionId, Box<MediaSession>>,
    routes: Routes,
    timers: BinaryHeap<Reverse<(Instant, MediaSessionId)>>,
    mixes: SerialMap<MixId, Mix>,
    /// The next turn of each mix; others of its are stale.
    beats: BinaryHeap<Reverse<(Instant, MixId)>>,
    sink: Sink,
    pending: Pending,
    counters: ShardCounters,
}

impl Shard {
    /// Makes an empty shard; `seed` is the source of its ICE passwords and SSRCs and must be unpredictable in production.
    #[must_use]
    pub fn new(config: ShardConfig, seed: [u8; 32]) -> Self {
        Self {
            config,
            rng: ChaCha12Rng::from_seed(seed),
            sessions: SerialMap::default(),
            routes: Routes::default(),
            timers: BinaryHeap::new(),
            mixes: SerialMap::default(),
            beats: BinaryHeap::new(),
            sink: Sink::default(),
            pending: Pending::default(),
            counters: ShardCounters::default(),
        }
    }

    /// The next packet to write.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let (socket, to, bytes) = self.sink.packets.pop_front()?;
        self.counters.packets_sent += 1;
        Some(Transmit { socket, to, bytes })
    }

    /// The next thing for another shard.
    pub fn poll_link(&mut self) -> Option<LinkTransmit> {
        self.sink.links.pop_front()
    }

    /// Takes a sent packet's buffer back for reuse.
    pub fn recycle(&mut self, buffer: BytesMut) {
        self.sink.recycle(buffer);
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.pending.events.pop_front()
    }

    /// The next wish for a pair of ports; to be answered with [`Shard::handle_port`].
    pub fn poll_port_request(&mut self) -> Option<PortRequest> {
        self.pending.port_requests.pop_front()
    }

    /// The next pair of ports that is no longer needed.
    pub fn poll_port_release(&mut self) -> Option<LocalPort> {
        self.pending.port_releases.pop_front()
    }

    /// When [`Shard::handle_timeout`] wants to be called; it may then find nothing to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let beat = self.beats.peek().map(|Reverse((at, _))| *at);
        timer.into_iter().chain(beat).min()
    }

    /// What is held and was counted.
    #[must_use]
    pub fn counters(&self) -> ShardCounters {
        ShardCounters { sessions: self.sessions.len(), ..self.counters }
    }

    /// Enters a session's next deadline. Only an earlier one than the entry there needs a new entry.
    fn schedule(&mut self, now: Instant, id: MediaSessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(deadline) = session.deadline(now) else { return };
        if session.scheduled.is_none_or(|scheduled| deadline < scheduled) {
            session.scheduled = Some(deadline);
            self.timers.push(Reverse((deadline, id)));
        }
    }

    /// Characters for ICE credentials and CNAMEs (RFC 8839 §5.4 `ice-char`).
    fn token(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut character =
            || ALPHABET.get(self.rng.random_range(0..ALPHABET.len())).map_or('A', |byte| char::from(*byte));
        (0..length).map(|_| character()).collect()
    }
}
