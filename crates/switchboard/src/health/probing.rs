//! The questions: OPTIONS to each server at its trunk's interval, and what their answers, or calls, say of it.

use std::time::{Duration, Instant};

use sip::{Method, NameAddr, OutgoingId, OutgoingRequest, Response, SessionEvent, StatusCode, Uri};

use super::{Due, Health, Probe, ServerKey};
use crate::call::{LegId, Party, Signal, gateway_uri, own_contact};
use crate::calls::CallKey;
use crate::directory::Hop;
use crate::output::{Output, ServerState};
use crate::switchboard::Switchboard;

/// Statuses of a server that lives and cannot serve: overloaded, without what is behind it, or out of service. What else it says, 404,
/// 403, 405 and 500 included, only shows that it makes nothing of OPTIONS, as many a carrier's does.
const UNFIT: [StatusCode; 4] = [
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::SERVER_TIME_OUT,
];

/// The longest that a server may take to answer; half of the interval when that is less.
const PATIENCE: Duration = Duration::from_secs(4);

impl Health {
    /// The next server that is to be asked now. What else was due is dealt with.
    pub(super) fn next_to_ask(
        &mut self,
        now: Instant,
        mut chance: impl FnMut() -> f64,
    ) -> Option<(ServerKey, Hop, Duration)> {
        while let Some((_, key, due)) = self.pop_due(now) {
            match due {
                Due::Ask => {
                    let Some(server) = self.servers.get_mut(&key) else { continue };
                    let Some(interval) = server.interval else { continue };
                    if let Some(until) = server.until.filter(|until| *until > now) {
                        server.asked_at = Some(until);
                        self.due.insert((until, key, Due::Ask));
                        continue;
                    }
                    // Never in step with the others.
                    let next = now + interval.mul_f64(0.9 + 0.2 * chance());
                    server.asked_at = Some(next);
                    let asked = (key.clone(), server.hop, PATIENCE.min(interval / 2));
                    self.due.insert((next, key, Due::Ask));
                    return Some(asked);
                }
                Due::Answer(id) => {
                    if self.probes.remove(&id).is_some() {
                        self.gave_no_answer(now, &key);
                    }
                }
                Due::Forgive => {
                    if let Some(server) = self.servers.get_mut(&key)
                        && server.state == ServerState::Down
                    {
                        server.becomes(ServerState::Unknown, now);
                        // One more failure is enough.
                        server.failures = super::FAILURES - 1;
                        self.changed.insert(key.trunk);
                    }
                }
            }
        }
        None
    }

    fn pop_due(&mut self, now: Instant) -> Option<(Instant, ServerKey, Due)> {
        self.due.first().is_some_and(|(at, ..)| *at <= now).then(|| self.due.pop_first()).flatten()
    }

    fn asked(&mut self, now: Instant, key: ServerKey, id: OutgoingId, patience: Duration) {
        self.due.insert((now + patience, key.clone(), Due::Answer(id)));
        self.probes.insert(id, Probe { server: key, sent: now, due: now + patience });
    }

    fn gave_no_answer(&mut self, now: Instant, key: &ServerKey) {
        if let Some(server) = self.servers.get_mut(key) {
            (server.last_status, server.rtt) = (None, None);
        }
        self.changed.insert(key.trunk.clone());
        self.silent(now, key);
    }

    /// A request was answered, or, when `local`, will not be. Whether it was one of these.
    fn answered(&mut self, now: Instant, id: OutgoingId, response: &Response, local: bool) -> bool {
        let Some(Probe { server: key, sent, due }) = self.probes.remove(&id) else { return false };
        self.due.remove(&(due, key.clone(), Due::Answer(id)));
        if local {
            self.gave_no_answer(now, &key);
            return true;
        }
        if let Some(server) = self.servers.get_mut(&key) {
            server.last_status = Some(response.status.code());
            server.rtt = Some(now.saturating_duration_since(sent));
        }
        self.changed.insert(key.trunk.clone());
        if response.status == StatusCode::SERVICE_UNAVAILABLE {
            self.unavailable(now, &key, response);
        }
        if UNFIT.contains(&response.status) {
            self.silent(now, &key);
        } else {
            self.heard(now, &key);
        }
        true
    }
}

impl Switchboard {
    /// Follows the directory's servers.
    pub(crate) fn follow_servers(&mut self, now: Instant) {
        let ids = &mut self.ids;
        self.health.follow(now, &self.directory, || f64::from(ids.below(1000)) / 1000.0);
        self.tell_of_servers();
    }

    /// Asks the servers whose time has come.
    pub(crate) fn ask_servers(&mut self, now: Instant) {
        let ids = &mut self.ids;
        while let Some((key, hop, patience)) = self.health.next_to_ask(now, || f64::from(ids.below(1000)) / 1000.0) {
            let trunk = self.directory.trunks.get(&key.trunk);
            let gateway = trunk.and_then(|trunk| trunk.gateways.iter().find(|gateway| gateway.hops.contains(&hop)));
            let Some(uri) = gateway.and_then(|gateway| gateway_uri(&gateway.host, gateway.transport, None)) else {
                continue;
            };
            let credentials = trunk.and_then(|trunk| trunk.authentication.outbound.clone());
            let contact = own_contact(None, hop.transport, &self.config);
            let id = self.endpoint.send_request(
                now,
                OutgoingRequest {
                    flow: hop.flow(),
                    method: Method::Options,
                    from: NameAddr::new(Uri::sip(None, self.config.advertised_host.clone(), None)),
                    to: NameAddr::new(uri.clone()),
                    uri,
                    series: None,
                    headers: vec![
                        ("Contact".to_owned(), format!("<{contact}>")),
                        ("Accept".to_owned(), crate::perform::SDP.to_owned()),
                    ],
                    body: None,
                    credentials,
                },
            );
            self.health.asked(now, key, id, patience);
        }
        self.tell_of_servers();
    }

    /// Whether a request was a question to a server, which is answered now, or, when `local`, never will be.
    pub(crate) fn is_answer_of_server(
        &mut self,
        now: Instant,
        id: OutgoingId,
        response: &Response,
        local: bool,
    ) -> bool {
        self.health.answered(now, id, response, local)
    }

    /// What a call's leg experiences with its server.
    pub(crate) fn experience(&mut self, now: Instant, key: CallKey, leg: LegId, event: &SessionEvent) {
        let Some(server) = self.server_of(key, leg) else { return };
        if let SessionEvent::Refused { response, local } = event {
            match (local, response.status) {
                (true, StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE) => {
                    self.health.silent(now, &server);
                }
                (true, _) => {}
                (false, StatusCode::SERVICE_UNAVAILABLE) => self.health.unavailable(now, &server, response),
                (false, _) => self.health.heard(now, &server),
            }
        } else if matches!(event, SessionEvent::Progress { .. } | SessionEvent::Answered { .. }) {
            self.health.heard(now, &server);
        }
    }

    /// The server that a call is trying has not so much as said 100 Trying.
    pub(crate) fn attempt_was_in_vain(&mut self, now: Instant, key: CallKey) {
        let legs = self.calls.facts(key).map_or(&[][..], |facts| &facts.legs);
        let called: Vec<_> = legs.iter().skip(1).map(|leg| leg.id).collect();
        for leg in called {
            if let Some(server) = self.server_of(key, leg) {
                self.health.silent(now, &server);
            }
        }
    }

    /// The server that was called for a leg, while the call waits for its answer.
    fn server_of(&self, key: CallKey, leg: LegId) -> Option<ServerKey> {
        let leg = self.calls.facts(key)?.leg(leg).filter(|leg| leg.signal == Signal::Calling)?;
        match &leg.party {
            Party::Trunk { id, .. } => Some(ServerKey::new(id, leg.flow)),
            Party::Extension { .. } => None,
        }
    }

    pub(crate) fn tell_of_servers(&mut self) {
        for (trunk_id, servers) in self.health.news(&self.clock) {
            self.outputs.push_back(Output::GatewayHealth { trunk_id, servers });
        }
    }
}
