//! Which servers of the trunks' gateways live: asked by OPTIONS at intervals (RFC 3261 §11), and judged by what calls experience with
//! them. Slow to change its mind; says in which order they are worth trying, and never that none is.

mod probing;

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use sip::{Flow, OutgoingId, Response};

use crate::config::Clock;
use crate::directory::{Directory, Hop};
use crate::output::{ServerState, ServerView};

/// How often in a row a server must fail to count as down, and answer to count as up again.
const FAILURES: u32 = 2;
const SUCCESSES: u32 = 2;

/// When calls alone found a server down, they may try it again after this long: nobody else would notice that it is back.
const FORGIVEN: Duration = Duration::from_secs(60);

/// The longest that a server is left alone for a Retry-After. What takes longer is found out by asking.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);

/// Names a server of a trunk. Trunks share servers, but are known to them by different names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ServerKey {
    pub(crate) trunk: String,
    transport: &'static str,
    address: std::net::SocketAddr,
}

impl ServerKey {
    pub(crate) fn new(trunk: &str, flow: Flow) -> Self {
        Self { trunk: trunk.to_owned(), transport: flow.transport.via_token(), address: flow.peer }
    }
}

/// What is known of one server.
#[derive(Debug, Clone)]
struct Server {
    hop: Hop,
    /// Between two questions; `None` asks none.
    interval: Option<Duration>,
    /// When it is asked next.
    asked_at: Option<Instant>,
    state: ServerState,
    since: Instant,
    /// In a row: how often it failed, and how often it answered.
    failures: u32,
    successes: u32,
    last_status: Option<u16>,
    rtt: Option<Duration>,
    /// It said to be left alone until then.
    until: Option<Instant>,
}

/// A question on its way.
#[derive(Debug, Clone)]
struct Probe {
    server: ServerKey,
    sent: Instant,
    /// When it counts as unanswered.
    due: Instant,
}

/// When a server is due for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// To be asked.
    Ask,
    /// To have answered.
    Answer(OutgoingId),
    /// To be given another chance.
    Forgive,
}

/// How much a server is worth trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Worth {
    /// It lives, as far as is known.
    Alive,
    /// It is down: to be tried when nothing else is left.
    Down,
    /// It said not to be asked now.
    LeftAlone,
}

/// The servers of all trunks.
#[derive(Debug, Default)]
pub(crate) struct Health {
    servers: HashMap<ServerKey, Server>,
    probes: HashMap<OutgoingId, Probe>,
    due: BTreeSet<(Instant, ServerKey, Due)>,
    /// Trunks of which something changed since it was told.
    changed: BTreeSet<String>,
}

impl Health {
    /// Takes the servers of a new directory; what is known of those that stay is kept. `chance` gives a number from 0 to 1.
    pub(crate) fn follow(&mut self, now: Instant, directory: &Directory, mut chance: impl FnMut() -> f64) {
        let mut known = std::mem::take(&mut self.servers);
        for trunk in directory.trunks.values().filter(|trunk| trunk.enabled) {
            for hop in trunk.gateways.iter().flat_map(|gateway| &gateway.hops) {
                let key = ServerKey::new(&trunk.id, hop.flow());
                if self.servers.contains_key(&key) {
                    continue;
                }
                let interval = Some(trunk.options_ping).filter(|interval| !interval.is_zero());
                let before = known.remove(&key);
                let asked_as_before = before.as_ref().is_some_and(|server| server.interval == interval);
                let mut server = before.unwrap_or_else(|| {
                    self.changed.insert(trunk.id.clone());
                    Server::new(*hop, now)
                });
                (server.hop, server.interval) = (*hop, interval);
                if !asked_as_before {
                    self.forget_due(&key);
                    if let Some(interval) = interval {
                        // Not all trunks at once, and a new one soon.
                        let soon = interval.min(SOON).mul_f64(chance());
                        server.asked_at = Some(now + soon);
                        self.due.insert((now + soon, key.clone(), Due::Ask));
                    } else if server.state == ServerState::Down {
                        self.due.insert((now + FORGIVEN, key.clone(), Due::Forgive));
                    }
                }
                self.servers.insert(key, server);
            }
        }
        for key in known.into_keys() {
            self.forget_due(&key);
            self.changed.insert(key.trunk);
        }
    }

    fn forget_due(&mut self, key: &ServerKey) {
        self.due.retain(|(_, of, _)| of != key);
        self.probes.retain(|_, probe| probe.server != *key);
    }

    /// How much a server is worth trying now. One that nothing is known of is as good as any.
    pub(crate) fn worth(&self, now: Instant, key: &ServerKey) -> Worth {
        let Some(server) = self.servers.get(key) else { return Worth::Alive };
        if server.until.is_some_and(|until| until > now) {
            return Worth::LeftAlone;
        }
        match server.state {
            ServerState::Up | ServerState::Unknown => Worth::Alive,
            ServerState::Down => Worth::Down,
        }
    }

    /// A call heard from a server.
    pub(crate) fn heard(&mut self, now: Instant, key: &ServerKey) {
        let Some(server) = self.servers.get_mut(key) else { return };
        if server.succeeded(now) {
            self.changed.insert(key.trunk.clone());
        }
        self.ask_soon_if_in_doubt(now, key);
    }

    /// A call did not reach a server, or heard nothing from it.
    pub(crate) fn silent(&mut self, now: Instant, key: &ServerKey) {
        let Some(server) = self.servers.get_mut(key) else { return };
        if server.failed(now) {
            if server.interval.is_none() {
                self.due.insert((now + FORGIVEN, key.clone(), Due::Forgive));
            }
            self.changed.insert(key.trunk.clone());
        }
        self.ask_soon_if_in_doubt(now, key);
    }

    /// One that may be about to change its state is not left in doubt for a whole interval.
    fn ask_soon_if_in_doubt(&mut self, now: Instant, key: &ServerKey) {
        let Some(server) = self.servers.get_mut(key) else { return };
        let in_doubt = match server.state {
            ServerState::Up | ServerState::Unknown => server.failures > 0,
            ServerState::Down => server.successes > 0,
        };
        let soon = now + SOON;
        if let Some(at) = server.asked_at.filter(|at| in_doubt && *at > soon) {
            self.due.remove(&(at, key.clone(), Due::Ask));
            self.due.insert((soon, key.clone(), Due::Ask));
            server.asked_at = Some(soon);
        }
    }

    /// A server refused a call with 503. With Retry-After it is left alone for that long (RFC 3261 §21.5.4); without, nothing is said
    /// of the next call.
    pub(crate) fn unavailable(&mut self, now: Instant, key: &ServerKey, response: &Response) {
        if let (Some(server), Some(after)) = (self.servers.get_mut(key), retry_after(response)) {
            server.until = Some(now + after.min(LONGEST_RETRY_AFTER));
        }
    }

    /// What changed: the pictures of the trunks concerned.
    pub(crate) fn news(&mut self, clock: &Clock) -> Vec<(String, Vec<ServerView>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|trunk| (trunk.clone(), self.servers_of(&trunk, clock))).collect()
    }

    fn servers_of(&self, trunk: &str, clock: &Clock) -> Vec<ServerView> {
        let mut views: Vec<_> = self
            .servers
            .iter()
            .filter(|(key, _)| key.trunk == trunk)
            .map(|(_, server)| ServerView {
                transport: server.hop.transport,
                address: server.hop.address,
                state: server.state,
                since: clock.at(server.since),
                last_status: server.last_status,
                rtt: server.rtt,
            })
            .collect();
        views.sort_by_key(|view| (view.address, view.transport.via_token()));
        views
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(at, ..)| *at)
    }
}

/// How soon a new server is asked at the latest.
const SOON: Duration = Duration::from_secs(5);

impl Server {
    fn new(hop: Hop, now: Instant) -> Self {
        Self {
            hop,
            interval: None,
            asked_at: None,
            state: ServerState::Unknown,
            since: now,
            failures: 0,
            successes: 0,
            last_status: None,
            rtt: None,
            until: None,
        }
    }

    /// It answered. Whether that changes its state.
    fn succeeded(&mut self, now: Instant) -> bool {
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        match self.state {
            ServerState::Unknown => self.becomes(ServerState::Up, now),
            ServerState::Down if self.successes >= SUCCESSES => self.becomes(ServerState::Up, now),
            ServerState::Up | ServerState::Down => false,
        }
    }

    /// It did not answer, or not in earnest. Whether that changes its state.
    fn failed(&mut self, now: Instant) -> bool {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        match self.state {
            ServerState::Unknown | ServerState::Up if self.failures >= FAILURES => self.becomes(ServerState::Down, now),
            ServerState::Unknown | ServerState::Up | ServerState::Down => false,
        }
    }

    fn becomes(&mut self, state: ServerState, now: Instant) -> bool {
        (self.state, self.since) = (state, now);
        true
    }
}

/// The seconds of a Retry-After (RFC 3261 §20.33).
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers.get("Retry-After")?.trim_start();
    let digits = value.split(|c: char| !c.is_ascii_digit()).next().filter(|digits| !digits.is_empty())?;
    // More than fits is more than is waited.
    Some(Duration::from_secs(digits.parse().unwrap_or(u64::from(u32::MAX))))
}

#[cfg(test)]
mod tests;
