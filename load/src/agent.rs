//! A browser agent: one connection, one endpoint, its registration and its calls. Does what it is ordered and tells what came of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::Certificate;
use sip::{
    ConnectionId, Endpoint, EndpointConfig, Event, Flow, Host, InsideRequest, Invitation, Method, Modification,
    NameAddr, OutgoingId, OutgoingRequest, Request, ResponseDraft, SessionEvent, SessionId, StatusCode, Uri,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, sleep_until};

use crate::carrier::TRANSFERRED;
use crate::link::{Link, Server};
use crate::media::Media;
use crate::sdp::{self, Codec};
use crate::stream::{Heard, Side, Wire};
use crate::users::User;

const SDP: &str = "application/sdp";
/// How long an agent is on hold.
const HOLD: Duration = Duration::from_secs(1);

/// What all agents have in common.
#[derive(Debug)]
pub(crate) struct Company {
    /// The gateway.
    pub(crate) server: Server,
    /// The SIP domain.
    pub(crate) domain: String,
    /// The media thread.
    pub(crate) media: Arc<Media>,
    /// The certificate of their DTLS; one for all, since making one costs more than a call.
    pub(crate) certificate: Arc<Certificate>,
    /// Whether media is DTLS-SRTP.
    pub(crate) encrypts: bool,
    /// Where media sockets are bound.
    pub(crate) media_address: std::net::IpAddr,
    /// How long registrations are asked for.
    pub(crate) expires: u32,
    /// What numbers of the carrier begin with.
    pub(crate) prefix: String,
}

/// Who wants to know how long a REGISTER took, or why it failed.
pub(crate) type Registered = oneshot::Sender<Result<Duration, String>>;

/// What an agent is to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// REGISTER; how long it took, or why it was not possible.
    Register(Registered),
    /// Call the carrier.
    Call(Plan, oneshot::Sender<Outcome>),
    /// Take the next calls in the way of this plan.
    Expect(Plan, mpsc::UnboundedSender<Outcome>),
    /// Lose the connection, open another one and REGISTER there.
    Reconnect(Registered),
}

/// A call to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Which; it is in the number dialled.
    pub(crate) call: u64,
    /// How long people talk.
    pub(crate) talk: Duration,
    /// Hold and resume on the way.
    pub(crate) holds: bool,
    /// Hand the carrier's side on to another number towards the end (REFER).
    pub(crate) transfers: bool,
}

/// What came of a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// Which.
    pub(crate) call: u64,
    /// From INVITE to the first 180 or 183.
    pub(crate) ringing: Option<Duration>,
    /// From INVITE to 200.
    pub(crate) answered: Option<Duration>,
    /// From INVITE to the first sound at the agent.
    pub(crate) first_audio: Option<Duration>,
    /// Why it failed.
    pub(crate) failure: Option<String>,
    /// Whether a transfer that was planned came about; `None` when none was.
    pub(crate) transferred: Option<bool>,
    /// What the agent heard.
    pub(crate) heard: Heard,
}

struct Call {
    plan: Plan,
    begun: Instant,
    outcome: Outcome,
    told: Told,
    /// What is due, the earliest first.
    due: Vec<(Instant, Step)>,
    offer: String,
}

enum Told {
    Once(oneshot::Sender<Outcome>),
    Each(mpsc::UnboundedSender<Outcome>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Hold,
    Resume,
    Transfer,
    HangUp,
}

/// One agent at work.
pub(crate) struct Agent {
    company: Arc<Company>,
    user: User,
    link: Link,
    endpoint: Endpoint,
    connection: u64,
    calls: HashMap<SessionId, Call>,
    registering: HashMap<OutgoingId, (Instant, Option<Registered>)>,
    /// Call-ID and CSeq of its REGISTERs.
    series: (String, u32),
    refresh: Option<Instant>,
    expected: Option<(Plan, mpsc::UnboundedSender<Outcome>)>,
}

impl Agent {
    /// Connects an agent and lets it work until its orders end. The way to give it orders.
    pub(crate) async fn start(company: Arc<Company>, user: User) -> anyhow::Result<mpsc::Sender<Order>> {
        let link = Link::open(&company.server).await?;
        let mut config = EndpointConfig::new(match link.local_address() {
            Some(address) => Host::Ip(own_ip(&company, address)),
            None => Host::Name(format!("{}.invalid", user.name)),
        });
        config.udp_port = link.local_address().map(|address| address.port());
        config.user_agent = "patchcord-load".to_owned();
        let endpoint = Endpoint::new(config, rand::random());
        let series = (format!("{:032x}", rand::random::<u128>()), 0);
        let (orders, received) = mpsc::channel(16);
        let agent = Self {
            company,
            user,
            link,
            endpoint,
            connection: 1,
            calls: HashMap::new(),
            registering: HashMap::new(),
            series,
            refresh: None,
            expected: None,
        };
        tokio::spawn(agent.work(received));
        Ok(orders)
    }

    async fn work(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            self.flush().await;
            let due = self.due();
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return,
                },
                message = self.link.receive() => match message {
                    Some(bytes) => {
                        let flow = self.flow();
                        self.endpoint.handle_message(Instant::now(), flow, &bytes);
                    }
                    None => {
                        self.endpoint.handle_flow_closed(Instant::now(), ConnectionId(self.connection));
                        sleep(Duration::from_millis(100)).await;
                        self.reopen().await;
                    }
                },
                () = async { match due { Some(due) => sleep_until(due.into()).await, None => std::future::pending().await } } => {}
            }
            self.act_when_due().await;
        }
    }

    fn flow(&self) -> Flow {
        let transport = self.company.server.transport();
        let connection = transport.is_websocket().then_some(ConnectionId(self.connection));
        Flow { transport, peer: self.company.server.address(), connection, tls: None }
    }

    fn due(&self) -> Option<Instant> {
        let steps = self.calls.values().filter_map(|call| call.due.first().map(|(at, _)| *at));
        steps.chain(self.endpoint.poll_timeout()).chain(self.refresh).min()
    }

    async fn act_when_due(&mut self) {
        let now = Instant::now();
        self.endpoint.handle_timeout(now);
        if self.refresh.is_some_and(|at| at <= now) {
            self.register(now, None);
        }
        let sessions: Vec<_> = self.calls.keys().copied().collect();
        for session in sessions {
            let due = self.calls.get_mut(&session).and_then(|call| {
                let is_due = call.due.first().is_some_and(|(at, _)| *at <= now);
                is_due.then(|| call.due.remove(0).1)
            });
            if let Some(step) = due {
                self.step(now, session, step);
            }
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.hear(now, event).await;
        }
    }

    /// Writes what waits; a connection that does not take it is found closed by reading.
    async fn flush(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.link.send(&transmit.bytes).await;
        }
    }

    async fn obey(&mut self, order: Order) {
        let now = Instant::now();
        match order {
            Order::Register(answer) => self.register(now, Some(answer)),
            Order::Call(plan, answer) => self.call(now, plan, Told::Once(answer)),
            Order::Expect(plan, answer) => self.expected = Some((plan, answer)),
            Order::Reconnect(answer) => {
                self.endpoint.handle_flow_closed(now, ConnectionId(self.connection));
                self.reopen().await;
                self.register(now, Some(answer));
            }
        }
    }

    /// Another connection in the place of the one that is gone.
    async fn reopen(&mut self) {
        self.connection += 1;
        match Link::open(&self.company.server).await {
            Ok(link) => self.link = link,
            Err(_) => sleep(Duration::from_secs(1)).await,
        }
    }

    fn address(&self) -> Option<NameAddr> {
        Uri::parse(&format!("sip:{}@{}", self.user.name, self.company.domain)).ok().map(NameAddr::new)
    }

    fn contact(&self) -> Uri {
        match self.link.local_address() {
            Some(address) => {
                Uri::sip(Some(&self.user.name), Host::Ip(own_ip(&self.company, address)), Some(address.port()))
            }
            None => {
                let mut uri = Uri::sip(Some(&self.user.name), Host::Name(format!("{}.invalid", self.user.name)), None);
                if let Some(params) = uri.params_mut() {
                    params.set("transport", Some("ws"));
                }
                uri
            }
        }
    }

    fn register(&mut self, now: Instant, answer: Option<Registered>) {
        self.refresh = None;
        let (Some(address), Ok(uri)) = (self.address(), Uri::parse(&format!("sip:{}", self.company.domain))) else {
            if let Some(answer) = answer {
                drop(answer.send(Err("no SIP address".to_owned())));
            }
            return;
        };
        let headers = vec![
            ("Contact".to_owned(), format!("<{}>", self.contact())),
            ("Expires".to_owned(), self.company.expires.to_string()),
        ];
        // A challenge takes one more number of the series.
        self.series.1 += 2;
        let request = OutgoingRequest {
            flow: self.flow(),
            method: Method::Register,
            uri,
            from: address.clone(),
            to: address,
            series: Some(self.series.clone()),
            headers,
            body: None,
            credentials: Some(self.user.credentials.clone()),
        };
        let id = self.endpoint.send_request(now, request);
        self.registering.insert(id, (now, answer));
    }

    /// A media socket with its side of the call, and what we say of it.
    fn open_media(&self, call: u64, active: bool, payload_type: u8) -> anyhow::Result<String> {
        let socket = std::net::UdpSocket::bind((self.company.media_address, 0))?;
        let address = socket.local_addr()?;
        let key = (call, Side::Agent);
        if self.company.encrypts {
            let ufrag = format!("{:08x}", rand::random::<u32>());
            let wire = Wire::browser(&self.company.certificate, &ufrag);
            self.company.media.open(key, socket, wire, Codec::Opus)?;
            Ok(sdp::browser(&self.company.certificate, &ufrag, active, payload_type))
        } else {
            self.company.media.open(key, socket, Wire::Plain, Codec::Opus)?;
            Ok(sdp::plain(address, Codec::Opus, payload_type))
        }
    }

    fn call(&mut self, now: Instant, plan: Plan, told: Told) {
        let number = format!("{}{:07}", self.company.prefix, plan.call);
        let uri = Uri::parse(&format!("sip:{number}@{}", self.company.domain));
        let outcome = Outcome { call: plan.call, ..Outcome::default() };
        let (Ok(uri), Some(from), Ok(offer)) = (uri, self.address(), self.open_media(plan.call, false, sdp::OPUS))
        else {
            told.tell(Outcome { failure: Some("no media socket".to_owned()), ..outcome });
            return;
        };
        let session = self.endpoint.invite(
            now,
            Invitation {
                flow: self.flow(),
                to: NameAddr::new(uri.clone()),
                uri,
                from,
                contact: self.contact(),
                max_forwards: None,
                headers: Vec::new(),
                body: Some((SDP.to_owned(), offer.clone().into())),
                session_expires: None,
                reliability: sip::Reliability::Off,
                credentials: Some(self.user.credentials.clone()),
            },
        );
        self.calls.insert(session, Call { plan, begun: now, outcome, told, due: Vec::new(), offer });
    }

    /// Answers a call of the carrier's.
    fn answer(&mut self, now: Instant, session: SessionId, request: &Request) {
        let Some((plan, told)) = self.expected.clone() else {
            self.endpoint.reject(now, session, ResponseDraft::new(StatusCode::BUSY_HERE));
            return;
        };
        let from = request.headers.from().ok().flatten();
        let number = from.and_then(|from| from.uri.user().map(std::borrow::Cow::into_owned)).unwrap_or_default();
        let call =
            number.get(number.len().saturating_sub(7)..).and_then(|digits| digits.parse().ok()).unwrap_or_default();
        let key = (call, Side::Agent);
        let remote = sdp::read(&request.body, Codec::Opus).map_err(str::to_owned);
        let opened = remote.and_then(|remote| {
            let answer = self.open_media(call, true, remote.payload_type).map_err(|error| error.to_string())?;
            Ok((remote, answer))
        });
        let plan = Plan { call, ..plan };
        let mut outcome = Outcome { call, answered: Some(Duration::ZERO), ..Outcome::default() };
        match opened {
            Ok((remote, answer)) => {
                let draft =
                    ResponseDraft::new(StatusCode::OK).with_contact(self.contact()).with_body(SDP, answer.clone());
                self.endpoint.progress(
                    now,
                    session,
                    ResponseDraft::new(StatusCode::RINGING).with_contact(self.contact()),
                );
                self.endpoint.accept(now, session, draft);
                self.company.media.connect(key, remote, Codec::Opus);
                // The carrier hangs up.
                let due = steps(now, Plan { talk: plan.talk + Duration::from_secs(30), ..plan });
                self.calls
                    .insert(session, Call { plan, begun: now, outcome, told: Told::Each(told), due, offer: answer });
            }
            Err(reason) => {
                outcome.failure = Some(reason);
                self.endpoint.reject(now, session, ResponseDraft::new(StatusCode::NOT_ACCEPTABLE_HERE));
                Told::Each(told).tell(outcome);
            }
        }
    }

    fn step(&mut self, now: Instant, session: SessionId, step: Step) {
        let contact = self.contact();
        let Some(call) = self.calls.get(&session) else { return };
        let key = (call.plan.call, Side::Agent);
        let mut modify = |direction: &str| {
            let body = call
                .offer
                .replace("a=sendrecv", direction)
                .replace("o=- 1 2 ", "o=- 1 3 ")
                .replace("o=- 1 1 ", "o=- 1 3 ");
            let change = Modification {
                method: Method::Invite,
                contact: contact.clone(),
                body: Some((SDP.to_owned(), body.into())),
            };
            self.endpoint.modify(now, session, change);
            self.company.media.interrupt(key);
            self.company.media.interrupt((key.0, Side::Carrier));
        };
        match step {
            Step::Hold => modify("a=sendonly"),
            Step::Resume => modify("a=sendrecv"),
            Step::Transfer => {
                let number = format!("{}{:07}", self.company.prefix, call.plan.call + TRANSFERRED);
                let refer_to = ("Refer-To".to_owned(), format!("<sip:{number}@{}>", self.company.domain));
                let referred_by =
                    ("Referred-By".to_owned(), format!("<sip:{}@{}>", self.user.name, self.company.domain));
                let asked = InsideRequest { method: Method::Refer, headers: vec![refer_to, referred_by], body: None };
                self.endpoint.ask(now, session, asked);
            }
            Step::HangUp => self.endpoint.bye(now, session, None),
        }
    }

    async fn hear(&mut self, now: Instant, event: Event) {
        match event {
            Event::Response { id, response, .. } => {
                if let Some((begun, answer)) = self.registering.remove(&id) {
                    let registered = response.status == StatusCode::OK;
                    if registered {
                        // As browsers do: some time before it runs out.
                        let expires = Duration::from_secs(self.company.expires.into());
                        self.refresh = Some(now + expires.mul_f64(0.9));
                    }
                    let result = if registered { Ok(now - begun) } else { Err(response.status.to_string()) };
                    if let Some(answer) = answer {
                        drop(answer.send(result));
                    }
                }
            }
            Event::Invite { session, request, .. } => self.answer(now, session, &request),
            Event::Session { session, event } => self.hear_of_call(now, session, event).await,
            Event::Request { id, .. } => self.endpoint.respond(now, id, ResponseDraft::new(StatusCode::OK)),
            Event::Malformed { .. } | Event::FlowClosed { .. } => {}
        }
    }

    async fn hear_of_call(&mut self, now: Instant, session: SessionId, event: SessionEvent) {
        let Some(call) = self.calls.get_mut(&session) else { return };
        let key = (call.plan.call, Side::Agent);
        match event {
            SessionEvent::Progress { .. } => {
                call.outcome.ringing.get_or_insert(now - call.begun);
            }
            SessionEvent::Answered { response } => {
                call.outcome.answered = Some(now - call.begun);
                call.due = steps(now, call.plan);
                match sdp::read(&response.body, Codec::Opus) {
                    Ok(remote) => self.company.media.connect(key, remote, Codec::Opus),
                    Err(reason) => call.outcome.failure = Some(reason.to_owned()),
                }
            }
            SessionEvent::Refused { response, .. } => {
                call.outcome.failure = Some(format!("{} {}", response.status, response.reason));
            }
            SessionEvent::Request { id, request } => {
                let status = self.inside(session, &request);
                self.endpoint.respond(now, id, status);
            }
            SessionEvent::Lost { .. } | SessionEvent::NoAck | SessionEvent::Expired | SessionEvent::FlowLost => {
                call.outcome.failure.get_or_insert_with(|| "the call was lost".to_owned());
            }
            SessionEvent::Adrift => self.endpoint.abandon(now, session),
            SessionEvent::Ended => {
                if let Some(mut call) = self.calls.remove(&session) {
                    let heard = self.company.media.close(key).await;
                    call.outcome.first_audio = heard.first.map(|first| first.saturating_duration_since(call.begun));
                    call.outcome.heard = heard;
                    call.told.tell(call.outcome);
                }
            }
            SessionEvent::Bye { .. }
            | SessionEvent::Modified { .. }
            | SessionEvent::ModifyRefused { .. }
            | SessionEvent::Refreshed { .. }
            | SessionEvent::Withdrawn { .. }
            | SessionEvent::Confirmed { .. }
            | SessionEvent::Acknowledged { .. }
            | SessionEvent::Cancelled { .. }
            | SessionEvent::Roamed { .. }
            | SessionEvent::EarlyOffer { .. }
            | SessionEvent::EarlyAnswer { .. }
            | SessionEvent::NoPrack => {}
        }
    }

    /// A request inside a call: reports on transfers, keep-alives, and re-INVITEs, which are answered as the call was.
    fn inside(&mut self, session: SessionId, request: &Request) -> ResponseDraft {
        let contact = self.contact();
        let Some(call) = self.calls.get_mut(&session) else {
            return ResponseDraft::new(StatusCode::CALL_DOES_NOT_EXIST);
        };
        let changes = matches!(request.method, Method::Invite | Method::Update) && !request.body.is_empty();
        if changes {
            let answer = call.offer.replace("a=setup:actpass", "a=setup:active");
            return ResponseDraft::new(StatusCode::OK).with_contact(contact).with_body(SDP, answer);
        }
        if request.method == Method::Notify {
            // The body of a report on a transfer is a status line (RFC 3515 §2.4.5).
            let body = String::from_utf8_lossy(&request.body);
            let class = body.strip_prefix("SIP/2.0 ").and_then(|rest| rest.chars().next());
            if let Some(class) = class.filter(|class| *class != '1') {
                call.outcome.transferred = Some(class == '2');
            }
        }
        ResponseDraft::new(StatusCode::OK).with_contact(contact)
    }
}

impl Told {
    /// A scenario that is over needs no outcome any more.
    fn tell(self, outcome: Outcome) {
        match self {
            Self::Once(told) => drop(told.send(outcome)),
            Self::Each(told) => drop(told.send(outcome)),
        }
    }
}

/// What happens in a call and when.
fn steps(now: Instant, plan: Plan) -> Vec<(Instant, Step)> {
    let mut steps = Vec::new();
    if plan.holds {
        let at = now + plan.talk / 3;
        steps.extend([(at, Step::Hold), (at + HOLD.min(plan.talk / 6), Step::Resume)]);
    }
    if plan.transfers {
        steps.push((now + plan.talk * 2 / 3, Step::Transfer));
    }
    steps.push((now + plan.talk, Step::HangUp));
    steps
}

/// The address others reach a socket at that is bound to any.
fn own_ip(company: &Company, address: SocketAddr) -> std::net::IpAddr {
    if address.ip().is_unspecified() { company.media_address } else { address.ip() }
}
