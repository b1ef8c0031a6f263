//! The carrier: answers every call to a number of its own, calls agents when it is asked to, over one UDP socket.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sip::{
    Endpoint, EndpointConfig, Event, Flow, Host, Invitation, NameAddr, Request, ResponseDraft, SessionEvent, SessionId,
    StatusCode, Transport, Uri,
};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use crate::media::Media;
use crate::sdp::{self, Codec};
use crate::stream::{Heard, Side, Wire};

const SDP: &str = "application/sdp";
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
    /// What its numbers begin with.
    pub(crate) prefix: String,
    /// The media thread.
    pub(crate) media: Arc<Media>,
}

struct Leg {
    call: u64,
    begun: Instant,
    hang_up: Option<Instant>,
    talk: Duration,
    answer: Option<(Instant, ResponseDraft)>,
    outcome: CarrierOutcome,
    told: Option<oneshot::Sender<CarrierOutcome>>,
    description: String,
}

/// The carrier at work.
pub(crate) struct Carrier {
    config: CarrierConfig,
    socket: UdpSocket,
    endpoint: Endpoint,
    legs: HashMap<SessionId, Leg>,
    over: HashMap<u64, Heard>,
    waiting: HashMap<u64, oneshot::Sender<Heard>>,
}

impl Carrier {
    /// Starts it. The way to give it orders, and where it listens.
    pub(crate) async fn start(config: CarrierConfig) -> anyhow::Result<(mpsc::Sender<Order>, SocketAddr)> {
        let socket = UdpSocket::bind(config.listen).await?;
        let listens = socket.local_addr()?;
        let mut own = EndpointConfig::new(Host::Ip(listens.ip()));
        own.udp_port = Some(listens.port());
        own.user_agent = "patchcord-load carrier".to_owned();
        let endpoint = Endpoint::new(own, rand::random());
        let (orders, received) = mpsc::channel(1024);
        let carrier =
            Self { config, socket, endpoint, legs: HashMap::new(), over: HashMap::new(), waiting: HashMap::new() };
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
            let due = self.due();
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
                self.hear(now, event).await;
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let legs = self.legs.values();
        let legs = legs.flat_map(|leg| leg.hang_up.into_iter().chain(leg.answer.as_ref().map(|(at, _)| *at)));
        legs.chain(self.endpoint.poll_timeout()).min()
    }

    fn act_when_due(&mut self, now: Instant) {
        for (session, leg) in &mut self.legs {
            if let Some((_, draft)) = leg.answer.take_if(|(at, _)| *at <= now) {
                self.endpoint.accept(now, *session, draft);
            }
            if leg.hang_up.take_if(|at| *at <= now).is_some() {
                self.endpoint.bye(now, *session, None);
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Call(called, told) => self.call(called, told),
            Order::Tell(call, told) => match self.over.remove(&call) {
                Some(heard) => drop(told.send(heard)),
                None => drop(self.waiting.insert(call, told)),
            },
        }
    }

    fn contact(&self) -> Option<Uri> {
        let own = self.socket.local_addr().ok()?;
        Some(Uri::sip(Some("carrier"), Host::Ip(own.ip()), Some(own.port())))
    }

    fn open_media(&self, call: u64) -> anyhow::Result<String> {
        let socket = std::net::UdpSocket::bind((self.socket.local_addr()?.ip(), 0))?;
        let address = socket.local_addr()?;
        self.config.media.open((call, Side::Carrier), socket, Wire::Plain, Codec::Pcmu)?;
        Ok(sdp::plain(address, Codec::Pcmu, 0))
    }

    fn call(&mut self, called: Called, told: oneshot::Sender<CarrierOutcome>) {
        let now = Instant::now();
        let invitation = (|| {
            let gateway = self.config.gateway?;
            let host = Host::Ip(gateway.ip());
            let uri = Uri::sip(Some(&called.number), host, Some(gateway.port()));
            let own = self.socket.local_addr().ok()?;
            let number = format!("{}{:07}", self.config.prefix, called.call);
            let from = NameAddr::new(Uri::sip(Some(&number), Host::Ip(own.ip()), Some(own.port())));
            let description = self.open_media(called.call).ok()?;
            Some((gateway, uri, from, self.contact()?, description))
        })();
        let Some((peer, uri, from, contact, description)) = invitation else {
            let failure = Some("no gateway to call, or no media socket".to_owned());
            drop(told.send(CarrierOutcome { failure, ..CarrierOutcome::default() }));
            return;
        };
        let session = self.endpoint.invite(
            now,
            Invitation {
                flow: Flow { transport: Transport::Udp, peer, connection: None, tls: None },
                to: NameAddr::new(uri.clone()),
                uri,
                from,
                contact,
                max_forwards: None,
                headers: Vec::new(),
                body: Some((SDP.to_owned(), description.clone().into())),
                session_expires: None,
                reliability: sip::Reliability::Off,
                credentials: None,
            },
        );
        let leg = Leg {
            call: called.call,
            begun: now,
            hang_up: None,
            talk: called.talk,
            answer: None,
            outcome: CarrierOutcome::default(),
            told: Some(told),
            description,
        };
        self.legs.insert(session, leg);
    }

    fn answer(&mut self, now: Instant, session: SessionId, request: &Request) {
        let number = request.uri.user().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let digits = number.get(number.len().saturating_sub(7)..).unwrap_or_default();
        let read = || {
            let call: u64 = digits.parse().ok()?;
            let remote = sdp::read(&request.body, Codec::Pcmu).ok()?;
            Some((call, remote, self.open_media(call).ok()?, self.contact()?))
        };
        let Some((call, remote, description, contact)) = read() else {
            self.endpoint.reject(now, session, ResponseDraft::new(StatusCode::NOT_ACCEPTABLE_HERE));
            return;
        };
        self.config.media.connect((call, Side::Carrier), remote, Codec::Pcmu);
        self.endpoint.progress(now, session, ResponseDraft::new(StatusCode::RINGING).with_contact(contact.clone()));
        let draft = ResponseDraft::new(StatusCode::OK).with_contact(contact).with_body(SDP, description.clone());
        let mut leg = Leg {
            call,
            begun: now,
            hang_up: None,
            talk: Duration::ZERO,
            answer: None,
            outcome: CarrierOutcome::default(),
            told: None,
            description,
        };
        if call >= TRANSFERRED {
            // Whom a call was handed on to hangs up: nobody else is left who would.
            leg.hang_up = Some(now + self.config.ring + Duration::from_secs(1));
        }
        if self.config.ring.is_zero() {
            self.endpoint.accept(now, session, draft);
        } else {
            leg.answer = Some((now + self.config.ring, draft));
        }
        self.legs.insert(session, leg);
    }

    async fn hear(&mut self, now: Instant, event: Event) {
        match event {
            Event::Invite { session, request, .. } => self.answer(now, session, &request),
            // Probes.
            Event::Request { id, .. } => self.endpoint.respond(now, id, ResponseDraft::new(StatusCode::OK)),
            Event::Session { session, event } => self.hear_of_call(now, session, event).await,
            Event::Response { .. } | Event::Malformed { .. } | Event::FlowClosed { .. } => {}
        }
    }

    async fn hear_of_call(&mut self, now: Instant, session: SessionId, event: SessionEvent) {
        let contact = self.contact();
        let Some(leg) = self.legs.get_mut(&session) else { return };
        let key = (leg.call, Side::Carrier);
        match event {
            SessionEvent::Progress { .. } => {
                leg.outcome.ringing.get_or_insert(now - leg.begun);
            }
            SessionEvent::Answered { response } => {
                leg.outcome.answered = Some(now - leg.begun);
                leg.hang_up = Some(now + leg.talk);
                match sdp::read(&response.body, Codec::Pcmu) {
                    Ok(remote) => self.config.media.connect(key, remote, Codec::Pcmu),
                    Err(reason) => leg.outcome.failure = Some(reason.to_owned()),
                }
            }
            SessionEvent::Refused { response, .. } => {
                leg.outcome.failure = Some(format!("{} {}", response.status, response.reason));
            }
            SessionEvent::Request { id, request } => {
                let mut draft = ResponseDraft::new(StatusCode::OK);
                if let Some(contact) = contact {
                    draft = draft.with_contact(contact);
                }
                if !request.body.is_empty() && matches!(request.method, sip::Method::Invite | sip::Method::Update) {
                    draft = draft.with_body(SDP, leg.description.clone());
                }
                self.endpoint.respond(now, id, draft);
            }
            SessionEvent::Ended => {
                if let Some(mut leg) = self.legs.remove(&session) {
                    let heard = self.config.media.close(key).await;
                    leg.outcome.first_audio = heard.first.map(|first| first.saturating_duration_since(leg.begun));
                    match (leg.told, self.waiting.remove(&leg.call)) {
                        (Some(told), _) => {
                            leg.outcome.heard = heard;
                            drop(told.send(leg.outcome));
                        }
                        (None, Some(waiting)) => drop(waiting.send(heard)),
                        (None, None) => drop(self.over.insert(leg.call, heard)),
                    }
                }
            }
            SessionEvent::Bye { .. }
            | SessionEvent::Lost { .. }
            | SessionEvent::NoAck
            | SessionEvent::Expired
            | SessionEvent::FlowLost
            | SessionEvent::Modified { .. }
            | SessionEvent::ModifyRefused { .. }
            | SessionEvent::Refreshed { .. }
            | SessionEvent::Withdrawn { .. }
            | SessionEvent::Confirmed { .. }
            | SessionEvent::Acknowledged { .. }
            | SessionEvent::Cancelled { .. }
            | SessionEvent::Roamed { .. }
            | SessionEvent::Adrift
            | SessionEvent::EarlyOffer { .. }
            | SessionEvent::EarlyAnswer { .. }
            | SessionEvent::NoPrack => {}
        }
    }
}
