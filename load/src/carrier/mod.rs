//! The carrier: answers every call to a number of its own, calls agents when it is asked to, over one UDP socket.

mod calls;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use sip::{Endpoint, EndpointConfig, Event, Flow, Host, ResponseDraft, SessionId, Transport, Uri};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use crate::agent::Faults;
use crate::media::{Heard, Media};
use calls::{Act, Leg, pass_on};

/// The receive buffer of a busy gateway's trunk, in datagrams read at once.
const BURST: usize = 64;

/// Calls are handed on to their number and this much more, so that the carrier takes them for others.
pub(crate) const TRANSFERRED: u64 = 5_000_000;

/// What the carrier is to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Call an agent's number.
    Call(Called, oneshot::Sender<CarrierOutcome>),
    /// What it heard in a call that is over; waits for its end.
    Tell(u64, oneshot::Sender<Heard>),
    /// End all calls.
    HangUp,
}

/// A call of the carrier's.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    /// Which; it is in the caller's number.
    pub(crate) call: u64,
    /// Whom.
    pub(crate) number: String,
    /// How long people talk.
    pub(crate) talk: Duration,
}

/// What came of a call of the carrier's.
#[derive(Debug, Clone, Default)]
pub(crate) struct CarrierOutcome {
    /// From INVITE to the first 180 or 183.
    pub(crate) ringing: Option<Duration>,
    /// From INVITE to 200.
    pub(crate) answered: Option<Duration>,
    /// From INVITE to the first sound.
    pub(crate) first_audio: Option<Duration>,
    /// Why it failed.
    pub(crate) failure: Option<String>,
    /// What the carrier heard.
    pub(crate) heard: Heard,
}

/// What the carrier is told at its start.
#[derive(Debug)]
pub(crate) struct CarrierConfig {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// The gateway, for calls to agents.
    pub(crate) gateway: Option<SocketAddr>,
    /// How long a call rings before it is answered.
    pub(crate) ring: Duration,
    /// What went wrong apart from calls.
    pub(crate) faults: Arc<Faults>,
    /// What its numbers begin with.
    pub(crate) prefix: String,
    /// The media thread.
    pub(crate) media: Arc<Media>,
}

/// The carrier at work.
pub(crate) struct Carrier {
    config: CarrierConfig,
    listens: SocketAddr,
    socket: UdpSocket,
    endpoint: Endpoint,
    legs: HashMap<SessionId, Leg>,
    /// What is to be done, by its time; the number tells those of one time apart.
    due: BTreeMap<(Instant, u64), (SessionId, Act)>,
    planned: u64,
    over: HashMap<u64, oneshot::Receiver<Heard>>,
    waiting: HashMap<u64, oneshot::Sender<Heard>>,
}

impl Carrier {
    /// Starts it. The way to give it orders, and where it listens.
    pub(crate) async fn start(config: CarrierConfig) -> anyhow::Result<(mpsc::Sender<Order>, SocketAddr)> {
        let listen = config.listen;
        let socket = UdpSocket::bind(listen).await.with_context(|| format!("--carrier: cannot listen on {listen}"))?;
        let listens = socket.local_addr()?;
        let mut own = EndpointConfig::new(Host::Ip(listens.ip()));
        own.udp_port = Some(listens.port());
        own.user_agent = "patchcord-load carrier".to_owned();
        let endpoint = Endpoint::new(own, rand::random());
        let (orders, received) = mpsc::channel(1024);
        let carrier = Self {
            config,
            listens,
            socket,
            endpoint,
            legs: HashMap::new(),
            due: BTreeMap::new(),
            planned: 0,
            over: HashMap::new(),
            waiting: HashMap::new(),
        };
        tokio::spawn(carrier.work(received));
        Ok((orders, listens))
    }

    async fn work(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut buffer = vec![0; 65_535];
        loop {
            while let Some(transmit) = self.endpoint.poll_transmit() {
                // What is lost is sent again.
                drop(self.socket.send_to(&transmit.bytes, transmit.flow.peer).await);
            }
            let due = self.due.keys().next().map(|(at, _)| *at);
            let due = due.into_iter().chain(self.endpoint.poll_timeout()).min();
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                received = self.socket.recv_from(&mut buffer) => {
                    let mut received = received.ok();
                    for _ in 0..BURST {
                        let Some((length, peer)) = received else { break };
                        let flow = Flow { transport: Transport::Udp, peer, connection: None, tls: None };
                        self.endpoint.handle_message(Instant::now(), flow, buffer.get(..length).unwrap_or_default());
                        received = self.socket.try_recv_from(&mut buffer).ok();
                    }
                }
                () = async { match due { Some(due) => sleep_until(due.into()).await, None => std::future::pending().await } } => {}
            }
            let now = Instant::now();
            self.endpoint.handle_timeout(now);
            self.act_when_due(now);
            while let Some(event) = self.endpoint.poll_event() {
                self.hear(now, event);
            }
        }
    }

    /// Plans something in a call.
    fn plan(&mut self, at: Instant, session: SessionId, act: Act) {
        self.planned += 1;
        self.due.insert((at, self.planned), (session, act));
    }

    fn act_when_due(&mut self, now: Instant) {
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
            let (session, act) = entry.remove();
            if !self.legs.contains_key(&session) {
                continue;
            }
            match act {
                Act::Answer(draft) => self.endpoint.accept(now, session, *draft),
                Act::HangUp => self.endpoint.bye(now, session, None),
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Call(called, told) => self.call(called, told),
            Order::Tell(call, told) => match self.over.remove(&call) {
                Some(closing) => pass_on(closing, told),
                None => drop(self.waiting.insert(call, told)),
            },
            Order::HangUp => self.hang_up(Instant::now()),
        }
    }

    fn contact(&self) -> Uri {
        Uri::sip(Some("carrier"), Host::Ip(self.listens.ip()), Some(self.listens.port()))
    }

    fn hear(&mut self, now: Instant, event: Event) {
        match event {
            Event::Invite { session, request, .. } => self.answer(now, session, &request),
            // Probes.
            Event::Request { id, .. } => self.endpoint.respond(now, id, ResponseDraft::new(sip::StatusCode::OK)),
            Event::Session { session, event } => self.hear_of_call(now, session, event),
            Event::Malformed { .. } => {
                self.config.faults.malformed_messages.fetch_add(1, Ordering::Relaxed);
            }
            Event::Response { .. } | Event::FlowClosed { .. } => {}
        }
    }
}
