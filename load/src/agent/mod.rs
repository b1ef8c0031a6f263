//! A browser agent: one connection, one endpoint, its registration and its calls. Does what it is ordered and tells what came of it.

mod calling;
mod hearing;
mod registering;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use media::Certificate;
use sip::{ConnectionId, Endpoint, EndpointConfig, Flow, Host, NameAddr, OutgoingId, SessionId, Uri};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use crate::link::{Link, Opened, Server};
use crate::media::{Heard, Media};
use crate::users::User;
use calling::Call;

/// How long an agent waits before it connects anew.
const BACK_OFF: Duration = Duration::from_secs(1);

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
    pub(crate) media_address: IpAddr,
    /// How long registrations are asked for.
    pub(crate) expires: u32,
    /// What numbers of the carrier begin with.
    pub(crate) prefix: String,
    /// What went wrong apart from calls.
    pub(crate) faults: Arc<Faults>,
}

/// What went wrong, counted by whoever meets it.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Connections that the gateway closed.
    pub(crate) connections_lost: AtomicU64,
    /// Messages that were not SIP.
    pub(crate) malformed_messages: AtomicU64,
}

/// A REGISTER that was accepted.
#[derive(Debug)]
pub(crate) struct Registration {
    /// From sending it to its 200, challenge included.
    pub(crate) took: Duration,
    /// The connection, when it is the first on it.
    pub(crate) opened: Option<Opened>,
}

/// Who wants to know what came of a REGISTER.
pub(crate) type Registered = oneshot::Sender<Result<Registration, String>>;

/// What an agent is to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// REGISTER, for the first time or again.
    Register(Registered),
    /// Call the carrier.
    Call(Plan, oneshot::Sender<Outcome>),
    /// Take the next calls in the way of this plan.
    Expect(Plan, mpsc::UnboundedSender<Outcome>),
    /// Lose the connection, open another one and REGISTER there.
    Reconnect(Registered),
    /// End all calls.
    HangUp,
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
    /// How many changes of the session were agreed on: a hold and its end are two.
    pub(crate) modified: u64,
    /// What the agent heard.
    pub(crate) heard: Heard,
}

impl Outcome {
    fn fail(&mut self, reason: &str) {
        self.failure.get_or_insert_with(|| reason.to_owned());
    }
}

/// One agent at work.
pub(crate) struct Agent {
    company: Arc<Company>,
    server: Server,
    user: User,
    link: Link,
    /// The connection, until a registration has told of it.
    opened: Option<Opened>,
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
        let server = company.server.for_one_more();
        let (link, opened) = Link::open(&server).await?;
        let mut config = EndpointConfig::new(match link.local_address() {
            Some(address) => Host::Ip(own_ip(&company, address)),
            None => Host::Name(format!("{}.invalid", user.name).into()),
        });
        config.udp_port = link.local_address().map(|address| address.port());
        config.user_agent = "patchcord-load".to_owned();
        let endpoint = Endpoint::new(config, rand::random());
        let series = (format!("{:032x}", rand::random::<u128>()), 0);
        let (orders, received) = mpsc::channel(16);
        let agent = Self {
            company,
            server,
            user,
            link,
            opened: Some(opened),
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
                    None => self.come_back().await,
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
            Order::Call(plan, answer) => self.call(now, plan, answer),
            Order::Expect(plan, answer) => self.expected = Some((plan, answer)),
            Order::Reconnect(answer) => self.reconnect(answer).await,
            Order::HangUp => self.hang_up(now),
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
                let mut uri =
                    Uri::sip(Some(&self.user.name), Host::Name(format!("{}.invalid", self.user.name).into()), None);
                if let Some(params) = uri.params_mut() {
                    params.set("transport", Some("ws"));
                }
                uri
            }
        }
    }
}

/// The address others reach a socket at that is bound to any.
fn own_ip(company: &Company, address: SocketAddr) -> IpAddr {
    if address.ip().is_unspecified() { company.media_address } else { address.ip() }
}
