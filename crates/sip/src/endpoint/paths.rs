//! What goes on over each flow, so that its end touches nothing else: an index over transactions and sessions.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Instant;

use super::{Part, SessionId};
use crate::flow::{ConnectionId, Flow, TlsId, Transport};
use crate::session::TransactionId;

/// What a flow is, whatever else is written in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Path {
    Connection(ConnectionId),
    Peer(Transport, SocketAddr, Option<TlsId>),
}

impl Path {
    fn of(flow: Flow) -> Self {
        flow.connection.map_or(Self::Peer(flow.transport, flow.peer, flow.tls), Self::Connection)
    }
}

/// What uses one path.
#[derive(Debug, Default)]
struct Users {
    parts: BTreeSet<Part>,
    /// Its WebSocket is gone: what uses it waits to be moved.
    closed: bool,
}

/// The parts of the endpoint by the flow they use.
#[derive(Debug, Default)]
pub(super) struct Paths {
    users: HashMap<Path, Users>,
    /// Peers over UDP that took no TCP connection, and until when that is remembered.
    datagrams_only: HashMap<SocketAddr, Instant>,
}

/// Peers remembered to take datagrams only; with one more all are forgotten, which costs each an attempt.
const DATAGRAMS_ONLY: usize = 1024;

impl Paths {
    pub(super) fn enter(&mut self, flow: Flow, part: Part) {
        self.users.entry(Path::of(flow)).or_default().parts.insert(part);
    }

    pub(super) fn leave(&mut self, flow: Flow, part: Part) {
        let path = Path::of(flow);
        if let Some(users) = self.users.get_mut(&path) {
            users.parts.remove(&part);
            if users.parts.is_empty() {
                self.users.remove(&path);
            }
        }
    }

    /// A WebSocket is gone, but not what uses it.
    pub(super) fn close(&mut self, connection: ConnectionId) {
        if let Some(users) = self.users.get_mut(&Path::Connection(connection)) {
            users.closed = true;
        }
    }

    /// Whether nothing can be sent on a flow any more.
    pub(super) fn is_closed(&self, flow: Flow) -> bool {
        self.users.get(&Path::of(flow)).is_some_and(|users| users.closed)
    }

    /// How many server transactions a flow has.
    pub(super) fn servers_on(&self, flow: Flow) -> usize {
        let servers = Part::Server(TransactionId(0))..Part::Session(SessionId(0));
        self.users.get(&Path::of(flow)).map_or(0, |users| users.parts.range(servers).count())
    }

    /// What uses a connection: client transactions first, then server transactions, then sessions, each in the order they came.
    pub(super) fn on_connection(&self, connection: ConnectionId) -> Vec<Part> {
        self.on(Path::Connection(connection))
    }

    /// What uses a flow.
    pub(super) fn on_flow(&self, flow: Flow) -> Vec<Part> {
        self.on(Path::of(flow))
    }

    fn on(&self, path: Path) -> Vec<Part> {
        self.users.get(&path).into_iter().flat_map(|users| &users.parts).copied().collect()
    }

    /// Whether a peer took no TCP connection a while ago.
    pub(super) fn takes_datagrams_only(&self, now: Instant, peer: SocketAddr) -> bool {
        self.datagrams_only.get(&peer).is_some_and(|until| now < *until)
    }

    /// A peer took no TCP connection.
    pub(super) fn note_datagrams_only(&mut self, until: Instant, peer: SocketAddr) {
        if self.datagrams_only.len() >= DATAGRAMS_ONLY {
            self.datagrams_only.clear();
        }
        self.datagrams_only.insert(peer, until);
    }

    /// How many flows are in use.
    pub(super) fn len(&self) -> usize {
        self.users.len()
    }
}
