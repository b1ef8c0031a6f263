//! The sans-IO endpoint: bytes in, bytes and events out, and the time at which it wants to be called again. Ties the transaction
//! machines, dialogs and INVITE sessions together (RFC 3261 §8, §12-17). Opens no socket, resolves no name.

mod challenges;
mod clients;
mod commands;
mod config;
mod event;
mod inside;
mod keys;
mod large;
mod modify;
mod paths;
mod prack_client;
mod prack_server;
mod refresh;
mod requests;
mod responses;
mod roaming;
mod servers;
mod sessions;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use crate::session::Modification;
pub use config::{Counters, EndpointConfig, Invitation, OutgoingRequest, ResponseDraft};
pub use event::*;
pub use inside::InsideRequest;
pub use sessions::Standing;

use crate::flow::{ConnectionId, Flow, Transmit};
use crate::hexadecimal::hexadecimal;
use crate::message::Message;
use crate::session::{Session, TransactionId};
use crate::transaction::TimerQueue;
use clients::{ClientKey, ClientTransaction};
use keys::{MergeKey, ServerKey};
use paths::Paths;
use servers::ServerTransaction;

/// A part of the endpoint, for its timers and its flow. In the order in which they learn that a flow is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Client(TransactionId),
    Server(TransactionId),
    Session(SessionId),
}

/// A SIP element without I/O. After each call, [`Endpoint::poll_transmit`] and [`Endpoint::poll_event`] are to be drained.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    rng: ChaCha8Rng,
    next_id: u64,
    clients: HashMap<TransactionId, Box<ClientTransaction>>,
    client_keys: HashMap<ClientKey, TransactionId>,
    servers: HashMap<TransactionId, ServerTransaction>,
    server_keys: HashMap<ServerKey, TransactionId>,
    merges: HashMap<MergeKey, TransactionId>,
    usages: Usages,
    paths: Paths,
    timers: TimerQueue<Part>,
    output: Output,
    counters: Counters,
}

/// The INVITE sessions, and which dialog names which.
#[derive(Debug, Default)]
struct Usages {
    sessions: HashMap<SessionId, Box<Session>>,
    /// By Call-ID and our tag.
    dialogs: HashMap<(String, String), SessionId>,
    /// When session timers are due. They run for so long that stopped ones are taken out.
    refreshes: BTreeSet<(Instant, SessionId)>,
}

/// What is to be drained.
#[derive(Debug, Default)]
struct Output {
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Endpoint {
    /// Makes an endpoint; `seed` is the source of its branches, tags and Call-IDs and must be unpredictable in production.
    #[must_use]
    pub fn new(config: EndpointConfig, seed: [u8; 32]) -> Self {
        Self {
            config,
            rng: ChaCha8Rng::from_seed(seed),
            next_id: 0,
            clients: HashMap::new(),
            client_keys: HashMap::new(),
            servers: HashMap::new(),
            server_keys: HashMap::new(),
            merges: HashMap::new(),
            usages: Usages::default(),
            paths: Paths::default(),
            timers: TimerQueue::new(),
            output: Output::default(),
            counters: Counters::default(),
        }
    }

    /// Takes one datagram or one framed message.
    pub fn handle_message(&mut self, now: Instant, flow: Flow, bytes: &[u8]) {
        self.counters.received += 1;
        match Message::parse(bytes) {
            Ok(Message::Request(request)) => self.handle_request(now, flow, request),
            Ok(Message::Response(response)) => self.handle_response(now, flow, response),
            Err(error) => {
                self.counters.malformed += 1;
                let answer = error.answer();
                let answered = answer.is_some();
                if let Some(mut answer) = answer {
                    let reply = Self::stamp_via(&mut answer.headers, flow);
                    let tag = self.token();
                    self.transmit(reply, answer.with_to_tag(&tag).to_bytes());
                }
                self.output.events.push_back(Event::Malformed { flow, reason: error.to_string(), answered });
            }
        }
    }

    /// A connection is gone: what was to be sent on it fails, sessions on it are told. Those of a WebSocket wait, and so does what they
    /// have under way, until their user calls [`Endpoint::rebind`] or [`Endpoint::abandon`].
    pub fn handle_flow_closed(&mut self, now: Instant, connection: ConnectionId) {
        self.paths.close(connection);
        for part in self.paths.on_connection(connection) {
            match part {
                part if self.set_adrift(connection, part) => {}
                Part::Client(id) => self.fail_client(now, id, None),
                Part::Server(id) => self.remove_server(id),
                Part::Session(session) => self.lose_flow(now, session),
            }
        }
        self.output.events.push_back(Event::FlowClosed { connection });
    }

    /// A flow without a connection of its own could not be used (no route, connection closed): what was sent on it fails.
    pub fn handle_flow_failed(&mut self, now: Instant, flow: Flow) {
        self.lose_unnamed(now, flow, None);
    }

    /// No connection could be opened for a flow that has none: what was sent on it fails with the reason given, in words.
    pub fn handle_flow_refused(&mut self, now: Instant, flow: Flow, why: &str) {
        self.lose_unnamed(now, flow, Some(why));
    }

    fn lose_unnamed(&mut self, now: Instant, flow: Flow, why: Option<&str>) {
        if flow.websocket().is_some() {
            // Its closing tells.
            return;
        }
        for part in self.paths.on_flow(flow) {
            match part {
                Part::Client(id) => self.fail_client(now, id, why),
                Part::Session(session) if flow.transport.is_stream() => self.reopen(session),
                // Its peer may be reached for all that, and if not, finds out by itself.
                Part::Server(_) | Part::Session(_) => {}
            }
        }
    }

    /// Fires what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, owner, timer)) = self.timers.pop(now) {
            match owner {
                Part::Client(id) => self.client_timer(now, id, timer, at),
                Part::Server(id) => self.server_timer(now, id, timer, at),
                Part::Session(id) => self.session_timer(now, id, timer, at),
            }
        }
        self.keep_alive(now);
    }

    /// The next message to write.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.output.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.output.events.pop_front()
    }

    /// When [`Endpoint::handle_timeout`] wants to be called; it may then find nothing to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let refresh = self.usages.refreshes.first().map(|(at, _)| *at);
        self.timers.next().into_iter().chain(refresh).min()
    }

    /// What is held and was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            client_transactions: self.clients.len(),
            server_transactions: self.servers.len(),
            sessions: self.usages.sessions.len(),
            flows: self.paths.len(),
            ..self.counters
        }
    }

    fn transmit(&mut self, flow: Flow, bytes: bytes::Bytes) {
        if self.paths.is_closed(flow) {
            // Sent again when there is another.
            return;
        }
        self.counters.sent += 1;
        self.output.transmits.push_back(Transmit { flow, bytes });
    }

    fn tell(&mut self, session: SessionId, event: SessionEvent) {
        self.output.events.push_back(Event::Session { session, event });
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// 80 random bits: a tag (at least 32, §19.3), a Call-ID, the unique part of a branch.
    fn token(&mut self) -> String {
        let bytes: [u8; 10] = self.rng.random();
        hexadecimal(&bytes)
    }
}
