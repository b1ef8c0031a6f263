//! Tries a trunk on demand: its names, connections, TLS, OPTIONS and REGISTER, against each of its gateways, with sockets of its own. Places no
//! call and changes no registration; what the trunk is used for meanwhile goes on undisturbed.

mod advice;
mod channel;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use sip::{ClientCredentials, Method, NameAddr, OutgoingRequest, Transport, Uri};
use switchboard::{Gateway, Hop, Trunk};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use crate::net::tls::Client;
use crate::resolver::Lookup;
use crate::store::{Place, numeric, tls_peer};
use advice::{Asked, Verdict};
use channel::{Channel, open};

/// For a whole test, and for one step of it. HTTP requests may take longer.
const DEADLINE: Duration = Duration::from_secs(15);
const STEP: Duration = Duration::from_secs(4);

/// Servers of one gateway that are tried, and gateways of one trunk.
const MAX_SERVERS: usize = 4;
const MAX_GATEWAYS: usize = 16;

/// Trunks that are tested at once.
const AT_ONCE: usize = 4;

/// The tests of trunks, and what they need to know.
#[derive(Debug, Clone)]
pub struct TrunkTests {
    host: IpAddr,
    listen: IpAddr,
    lookup: Lookup,
    running: Arc<Mutex<HashSet<String>>>,
}

/// Why a test is not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    /// The trunk is being tested.
    Trunk,
    /// Too many others are.
    Others,
}

/// A test that runs, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    trunk: String,
    running: Arc<Mutex<HashSet<String>>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.trunk);
    }
}

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepName {
    /// Finding the gateway's servers.
    Dns,
    /// A TCP connection.
    Connection,
    /// TLS over it.
    Tls,
    /// Asking whether it is there.
    Options,
    /// Asking for what is registered, with the trunk's credentials.
    Register,
}

/// A step of a test.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Step {
    /// The gateway's URI, as configured.
    pub gateway: String,
    /// The server of it that was tried, as `udp 192.0.2.1:5060`; `null` for `dns`.
    pub server: Option<String>,
    /// What was tried.
    pub name: StepName,
    /// Whether that does what calls need.
    pub ok: bool,
    /// How long it took.
    pub duration_ms: u64,
    /// What the other side did, in words.
    pub detail: String,
    /// What to change, or to know.
    pub advice: Option<String>,
}

/// What the steps at one gateway have in common.
struct Trial<'a> {
    tests: &'a TrunkTests,
    trunk: &'a Trunk,
    gateway: &'a Gateway,
    shown: String,
    deadline: Instant,
}

/// A server that was tried, and the way to it when there is one.
struct Tried {
    hop: Hop,
    steps: Vec<Step>,
    channel: Option<Channel>,
    answers: bool,
}

impl TrunkTests {
    /// `host` is the address others reach us at, `listen` the one that SIP over UDP listens on.
    #[must_use]
    pub fn new(host: IpAddr, listen: IpAddr, lookup: Lookup) -> Self {
        Self { host, listen, lookup, running: Arc::default() }
    }

    /// Leave to test a trunk: one test at a time.
    pub(crate) fn begin(&self, trunk: &str) -> Result<Turn, Busy> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.contains(trunk) {
            return Err(Busy::Trunk);
        }
        if running.len() >= AT_ONCE {
            return Err(Busy::Others);
        }
        running.insert(trunk.to_owned());
        Ok(Turn { trunk: trunk.to_owned(), running: Arc::clone(&self.running) })
    }

    /// Tries a trunk. `uris` are its gateways as configured.
    pub(crate) async fn run(&self, _turn: &Turn, trunk: &Trunk, uris: &[(String, String)]) -> Vec<Step> {
        let deadline = Instant::now() + DEADLINE;
        let trials = trunk.gateways.iter().take(MAX_GATEWAYS).map(|gateway| {
            let uri = uris.iter().find(|(host, _)| *host == gateway.host).map(|(_, uri)| uri.clone());
            let shown = uri.unwrap_or_else(|| format!("sip:{}", gateway.host));
            Trial { tests: self, trunk, gateway, shown, deadline }.run()
        });
        join_all(trials).await.into_iter().flatten().collect()
    }
}

impl Trial<'_> {
    async fn run(self) -> Vec<Step> {
        let (located, hops) = self.locate().await;
        let mut tried = join_all(hops.into_iter().take(MAX_SERVERS).map(|hop| self.server(hop))).await;
        // At one server: some carriers lock out who asks often with wrong credentials.
        let best = tried.iter().position(|tried| tried.answers);
        let best = best.or_else(|| tried.iter().position(|tried| tried.channel.is_some()));
        if let (Some(best), Some(credentials)) = (best.and_then(|best| tried.get_mut(best)), self.registers()) {
            self.register(best, credentials).await;
        }
        std::iter::once(located).chain(tried.into_iter().flat_map(|tried| tried.steps)).collect()
    }

    /// The credentials we register with, if we do.
    fn registers(&self) -> Option<&ClientCredentials> {
        self.trunk.authentication.register.and(self.trunk.authentication.outbound.as_ref())
    }

    fn until(&self) -> Instant {
        (Instant::now() + STEP).min(self.deadline)
    }

    fn step(&self, hop: Option<&Hop>, name: StepName, began: Instant, verdict: Verdict) -> Step {
        let Verdict { ok, detail, advice } = verdict;
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let server = hop.map(|hop| format!("{} {}", crate::metrics::token(hop.transport), hop.address));
        Step { gateway: self.shown.clone(), server, name, ok, duration_ms, detail, advice }
    }

    async fn locate(&self) -> (Step, Vec<Hop>) {
        let (began, Gateway { host, transport, .. }) = (Instant::now(), self.gateway);
        if let Some(address) = numeric(host, *transport) {
            let verdict = Verdict::good("It is an address: there is nothing to look up.");
            let hop = Hop::new(transport.unwrap_or(Transport::Udp), address);
            return (self.step(None, StepName::Dns, began, verdict), vec![hop]);
        }
        let place = Place { host: host.clone(), transport: *transport };
        let found = timeout_at(self.until(), self.tests.lookup.servers(&place)).await;
        let found = found.unwrap_or_else(|_| Err("The name servers take too long".to_owned()));
        let verdict = advice::located(host, found.as_ref().map(Vec::len).map_err(String::as_str));
        let mut hops = found.unwrap_or_default();
        hops.sort_by_key(|hop| (hop.priority, std::cmp::Reverse(hop.weight)));
        (self.step(None, StepName::Dns, began, verdict), hops)
    }

    /// Everything but REGISTER.
    async fn server(&self, hop: Hop) -> Tried {
        let mut tried = Tried { hop, steps: Vec::new(), channel: None, answers: false };
        tried.channel = self.reach(&mut tried).await;
        if let Some(channel) = &mut tried.channel {
            let began = Instant::now();
            let credentials = self.trunk.authentication.outbound.clone().filter(|_| self.registers().is_none());
            let asked = Asked {
                datagram: hop.transport == Transport::Udp,
                realm: credentials.as_ref().map(|credentials| credentials.realm.as_str()),
                registers: self.registers().is_some(),
            };
            let Some(request) = self.options(channel, credentials.clone()) else { return tried };
            let heard = channel.ask(request, self.until()).await;
            let verdict = advice::options(&heard, asked, &self.certified());
            tried.answers = matches!(heard, channel::Heard::Answer { .. });
            tried.steps.push(self.step(Some(&hop), StepName::Options, began, verdict));
        }
        tried
    }

    /// The name that the gateway's certificate must have.
    fn certified(&self) -> String {
        tls_peer(&self.trunk.tls, &self.gateway.host).name
    }

    async fn reach(&self, tried: &mut Tried) -> Option<Channel> {
        let (hop, host) = (tried.hop, self.tests.host);
        let began = Instant::now();
        if hop.transport == Transport::Udp {
            let opened = Channel::datagrams(host, self.tests.listen, hop.address).await;
            if let Err(error) = &opened {
                let verdict = advice::unsent(&error.to_string());
                tried.steps.push(self.step(Some(&hop), StepName::Options, began, verdict));
            }
            return opened.ok();
        }
        let opened = open(hop.address, self.until()).await;
        let verdict = advice::connected(&opened.as_ref().map(drop).map_err(Clone::clone));
        tried.steps.push(self.step(Some(&hop), StepName::Connection, began, verdict));
        let stream = opened.ok()?;
        if hop.transport != Transport::Tls {
            return Channel::stream(host, stream, hop.address).ok();
        }
        let began = Instant::now();
        let client = Arc::new(Client::new(Arc::new(tls_peer(&self.trunk.tls, &self.gateway.host))));
        let agreed = Channel::inside_tls(host, stream, hop.address, client, self.until()).await;
        let verdict = advice::agreed(&agreed.as_ref().map(drop).map_err(Clone::clone), &self.certified());
        tried.steps.push(self.step(Some(&hop), StepName::Tls, began, verdict));
        agreed.ok()
    }

    fn options(&self, channel: &Channel, credentials: Option<ClientCredentials>) -> Option<OutgoingRequest> {
        let uri = Uri::parse(&format!("sip:{}", self.gateway.host)).ok()?;
        Some(OutgoingRequest {
            flow: channel.flow,
            method: Method::Options,
            from: NameAddr::new(Uri::sip(None, sip::Host::Ip(self.tests.host), None)),
            to: NameAddr::new(uri.clone()),
            uri,
            series: None,
            headers: vec![("Accept".to_owned(), "application/sdp".to_owned())],
            body: None,
            credentials,
        })
    }

    /// A REGISTER without Contact asks what is registered and changes nothing (RFC 3261 §10.2.3), but has to be authenticated as any other.
    async fn register(&self, tried: &mut Tried, credentials: &ClientCredentials) {
        let (began, hop) = (Instant::now(), tried.hop);
        let Some(channel) = &mut tried.channel else { return };
        let Ok(uri) = Uri::parse(&format!("sip:{}", self.gateway.host)) else { return };
        let (user, domain) =
            switchboard::account(&credentials.username, self.trunk.border.caller_id.domain.as_deref(), &uri);
        let Some(domain) = domain else { return };
        let address = NameAddr::new(Uri::sip(Some(&user), domain, None));
        let request = OutgoingRequest {
            flow: channel.flow,
            method: Method::Register,
            uri,
            from: address.clone(),
            to: address,
            series: None,
            headers: Vec::new(),
            body: None,
            credentials: Some(credentials.clone()),
        };
        let heard = channel.ask(request, self.until()).await;
        let asked = Asked {
            datagram: hop.transport == Transport::Udp,
            realm: Some(credentials.realm.as_str()),
            registers: true,
        };
        let verdict = advice::register(&heard, asked, &self.certified());
        tried.steps.push(self.step(Some(&hop), StepName::Register, began, verdict));
    }
}
