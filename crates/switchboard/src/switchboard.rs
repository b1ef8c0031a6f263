//! The switchboard: routes what arrives to registrar and calls, and collects what they want done.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use sip::{Authenticator, ConnectionId, Endpoint, EndpointConfig, Flow, OutgoingId, Transport};

use crate::absences::Absences;
use crate::admission::Admission;
use crate::call::{CallEvent, CallTimer, Change, Consult, LegId};
use crate::calls::{CallKey, Calls};
use crate::config::{Clock, SwitchboardConfig};
use crate::counters::Counters;
use crate::dialplan::Dialplan;
use crate::directory::Directory;
use crate::health::Health;
use crate::ids::Ids;
use crate::informing::Informing;
use crate::links::Links;
use crate::operator::{Granted, Operator, OperatorError};
use crate::output::{CallId, Output, ShardIndex};
use crate::proven::Proven;
use crate::registering::TrunkRegistrations;
use crate::registrar::Registrar;
use crate::tolls::Tolls;
use crate::vouching::Strangers;

/// The longest message, in bytes, from a WebSocket on which nobody has authenticated yet: several times a browser's largest INVITE.
const UNPROVEN_MESSAGE: usize = 16 * 1024;

/// Registrar, location and every call of this process, sans-IO. Drain `poll_output` after every input.
pub struct Switchboard {
    pub(crate) config: SwitchboardConfig,
    pub(crate) clock: Clock,
    pub(crate) directory: Arc<Directory>,
    pub(crate) dialplan: Arc<Dialplan>,
    pub(crate) admission: Admission,
    /// The names that peers inside TLS have proved, as long as their connections last.
    pub(crate) certified: HashMap<ConnectionId, Vec<String>>,
    pub(crate) endpoint: Endpoint,
    pub(crate) authenticator: Authenticator,
    pub(crate) registrar: Registrar,
    pub(crate) proven: Proven,
    /// Browsers whose WebSocket closed, with calls that wait for them.
    pub(crate) absences: Absences,
    pub(crate) calls: Calls,
    /// Which servers of the trunks live.
    pub(crate) health: Health,
    pub(crate) links: Links,
    pub(crate) informing: Informing,
    pub(crate) trunk_registrations: TrunkRegistrations,
    pub(crate) strangers: Strangers,
    /// The trunk that the message being dealt with has proven to be of.
    pub(crate) vouched: Option<String>,
    /// The last reports on transfers that wait for their answers.
    pub(crate) reports: HashMap<OutgoingId, (CallKey, LegId)>,
    pub(crate) ids: Ids,
    pub(crate) draining: bool,
    pub(crate) tolls: Tolls,
    pub(crate) counters: Counters,
    pub(crate) outputs: VecDeque<Output>,
}

impl Switchboard {
    /// A switchboard without registrations and calls. `seed` feeds every id, tag and nonce.
    #[must_use]
    pub fn new(
        config: SwitchboardConfig,
        clock: Clock,
        seed: [u8; 32],
        directory: Arc<Directory>,
        dialplan: Arc<Dialplan>,
    ) -> Self {
        let mut ids = Ids::new(seed);
        let mut endpoint = EndpointConfig::new(config.advertised_host.clone());
        endpoint.user_agent.clone_from(&config.user_agent);
        endpoint.udp_port = Some(config.advertised_port);
        endpoint.tcp_port = Some(config.advertised_tcp_port);
        endpoint.tls_port = config.advertised_tls_port;
        endpoint.timers = config.timers;
        let mut switchboard = Self {
            endpoint: Endpoint::new(endpoint, ids.seed()),
            authenticator: Authenticator::new(ids.seed()),
            registrar: Registrar::default(),
            proven: Proven::default(),
            absences: Absences::default(),
            calls: Calls::default(),
            health: Health::default(),
            links: Links::default(),
            informing: Informing::default(),
            trunk_registrations: TrunkRegistrations::default(),
            strangers: Strangers::default(),
            vouched: None,
            reports: HashMap::new(),
            admission: Admission::new(&directory),
            certified: HashMap::new(),
            ids,
            draining: false,
            tolls: Tolls::new(clock),
            counters: Counters::default(),
            outputs: VecDeque::new(),
            config,
            clock,
            directory,
            dialplan,
        };
        switchboard.plan_registrations(clock.instant);
        switchboard.follow_servers(clock.instant);
        switchboard
    }

    /// Takes one datagram or one framed message. A stranger's over UDP is dropped without a word; over TCP or TLS its
    /// connection is closed.
    pub fn handle_message(&mut self, now: Instant, flow: Flow, bytes: &[u8]) {
        let flow = self.with_settings(flow);
        if !self.is_believed(now, flow) && !self.is_vouched_for(now, flow, bytes) {
            self.counters.strangers += 1;
            self.outputs.extend(flow.connection.map(Output::CloseConnection));
            return;
        }
        if flow.transport.is_websocket() && bytes.len() > UNPROVEN_MESSAGE && !self.proven.knows(flow) {
            self.endpoint.refuse_message(flow, bytes);
            return;
        }
        self.endpoint.handle_message(now, flow, bytes);
        self.drain(now);
        self.vouched = None;
    }

    /// The trunks that may speak on a flow, the likeliest first.
    pub(crate) fn speakers(&self, flow: Flow) -> impl Iterator<Item = &str> {
        self.certified(flow).chain(self.admission.trunks(flow.peer.ip()))
    }

    /// The trunks whose names the peer of a flow has proved by its certificate.
    pub(crate) fn certified(&self, flow: Flow) -> impl Iterator<Item = &str> {
        let names = flow.connection.and_then(|connection| self.certified.get(&connection));
        self.admission.certified(names.map(Vec::as_slice).unwrap_or_default())
    }

    /// A connection that a trunk opened inside TLS is opened again with that trunk's settings.
    fn with_settings(&self, flow: Flow) -> Flow {
        if flow.transport != Transport::Tls || flow.tls.is_some() {
            return flow;
        }
        let trunk = self.speakers(flow).find_map(|id| self.directory.trunks.get(id));
        let hops = trunk.into_iter().flat_map(|trunk| &trunk.gateways).flat_map(|gateway| &gateway.hops);
        Flow { tls: hops.filter_map(|hop| hop.tls).next(), ..flow }
    }

    fn is_believed(&mut self, now: Instant, flow: Flow) -> bool {
        match flow.transport {
            Transport::Ws | Transport::Wss => true,
            Transport::Udp | Transport::Tcp | Transport::Tls => {
                let address = flow.peer.ip();
                self.speakers(flow).next().is_some()
                    || self.calls.believed.contains(now, address)
                    || self.trunk_registrations.speaks_with(address)
            }
        }
    }

    /// A connection closed: its bindings are gone. Its calls wait for the browser to come back on another.
    pub fn handle_flow_closed(&mut self, now: Instant, connection: ConnectionId) {
        self.certified.remove(&connection);
        let proofs = self.proven.close(connection);
        self.begin_absence(now, connection, &proofs);
        for extension in self.registrar.close(now, connection, self.config.grace) {
            self.show_bindings(&extension);
        }
        self.endpoint.handle_flow_closed(now, connection);
        self.drain(now);
    }

    /// A message could not be sent to a flow that has no connection (connection refused, no route).
    pub fn handle_flow_failed(&mut self, now: Instant, flow: Flow) {
        self.endpoint.handle_flow_failed(now, flow);
        self.drain(now);
    }

    /// No connection could be opened for a flow that has none: why, in words.
    pub fn handle_flow_refused(&mut self, now: Instant, flow: Flow, why: &str) {
        self.endpoint.handle_flow_refused(now, flow, why);
        self.drain(now);
    }

    /// The peer of a connection has proved by its certificate that it has these names, in lower case.
    pub fn handle_peer_names(&mut self, connection: ConnectionId, names: Vec<String>) {
        self.certified.insert(connection, names);
    }

    /// A media shard told something.
    pub fn handle_media(&mut self, now: Instant, _shard: ShardIndex, mut event: media::Event) {
        let session = match &mut event {
            // Without its link a leg cannot go on.
            media::Event::Failed { session, .. } => {
                *session = self.links.leg_of(*session).unwrap_or(*session);
                *session
            }
            media::Event::LocalDescription { session, .. }
            | media::Event::Negotiated { session, .. }
            | media::Event::Rejected { session, .. }
            | media::Event::Connected { session, .. }
            | media::Event::Milestone { session, .. }
            | media::Event::Changed { session, .. }
            | media::Event::Digit { session, .. }
            | media::Event::Silent { session }
            | media::Event::Closed { session, .. } => *session,
        };
        if let Some((key, leg)) = self.calls.of_media(session) {
            self.note_media(now, key, leg, &event);
            if !matches!(event, media::Event::Milestone { .. }) {
                self.call_event(now, key, CallEvent::Media { leg, event });
            }
        }
        self.drain(now);
    }

    /// An operator asks for something.
    ///
    /// # Errors
    /// When it names a call or leg that does not run, or the call is not in a state for it.
    pub fn handle_operator(&mut self, now: Instant, operator: Operator) -> Result<Granted, OperatorError> {
        let mut granted = Granted::Done;
        match operator {
            Operator::Hangup { call } => {
                let key = self.calls.of_id(&call).ok_or(OperatorError::UnknownCall)?;
                self.call_event(now, key, CallEvent::Hangup);
            }
            Operator::Hold { call, leg, hold } => self.operator_holds(now, &call, leg.as_deref(), hold)?,
            Operator::SendDigits { call, leg, digits, duration } => {
                let key = self.calls.of_id(&call).ok_or(OperatorError::UnknownCall)?;
                let count = digits.chars().count();
                let leg = match (leg, self.calls.call(key)) {
                    (None, Some(call)) => call.dialled_by_default()?.map(str::to_owned),
                    (leg, _) => leg,
                };
                let facts = self.calls.facts_mut(key).ok_or(OperatorError::UnknownCall)?;
                let leg = facts.reserve_digits(now, leg.as_deref(), count, duration)?;
                self.call_event(now, key, CallEvent::Dial { leg, digits, duration });
            }
            Operator::Transfer { call, mode, leg, target } => {
                granted = Granted::Transfer(self.operator_transfers(now, &call, mode, leg.as_deref(), target)?);
            }
            Operator::CompleteTransfer { call, transfer } => {
                granted = Granted::Transfer(self.operator_settles(now, &call, &transfer, Consult::Complete)?);
            }
            Operator::CancelTransfer { call, transfer } => {
                granted = Granted::Transfer(self.operator_settles(now, &call, &transfer, Consult::Cancel)?);
            }
            Operator::AddParticipant { call, leg, target } => {
                granted = Granted::Participant(self.operator_adds(now, &call, leg.as_deref(), target)?);
            }
            Operator::RemoveParticipant { call, participant } => self.operator_dismisses(now, &call, participant)?,
            Operator::Reclaim { call, leg } => self.operator_reclaims(now, &call, leg.as_deref())?,
            Operator::Drain => {
                self.draining = true;
                self.plan_registrations(now);
            }
            Operator::HangupAll => {
                self.draining = true;
                for key in self.calls.keys() {
                    self.call_event(now, key, CallEvent::Hangup);
                }
                self.give_up_all_absent(now);
            }
        }
        self.drain(now);
        Ok(granted)
    }

    fn operator_holds(
        &mut self,
        now: Instant,
        call: &CallId,
        leg: Option<&str>,
        hold: bool,
    ) -> Result<(), OperatorError> {
        let key = self.calls.of_id(call).ok_or(OperatorError::UnknownCall)?;
        let holder = self.calls.call(key).ok_or(OperatorError::UnknownCall)?.holder(leg)?;
        if !hold && holder.media.hold == media::Hold::Remote {
            return Err(OperatorError::HeldByPhone);
        }
        let (leg, change) = (holder.id, Change::Held { hold });
        self.call_event(now, key, CallEvent::Change { leg, change });
        Ok(())
    }

    fn operator_reclaims(&mut self, now: Instant, call: &CallId, leg: Option<&str>) -> Result<(), OperatorError> {
        let key = self.calls.of_id(call).ok_or(OperatorError::UnknownCall)?;
        let leg = self.calls.call(key).ok_or(OperatorError::UnknownCall)?.reclaimable(leg)?.id;
        self.with_call(now, key, |call, context, actions| call.reclaim(leg, context, actions))
            .ok_or(OperatorError::UnknownCall)?
    }

    /// A new snapshot of agents, trunks and numbers. Bindings go whose credential was removed or renewed, or whose agent was disabled;
    /// running calls go on.
    pub fn handle_directory(&mut self, now: Instant, directory: Arc<Directory>) {
        self.directory = directory;
        self.admission = Admission::new(&self.directory);
        let directory = &self.directory;
        self.tolls.retain(directory);
        let concerned = self.registrar.retain(|proof| proof.holds(directory));
        for extension in concerned {
            self.show_bindings(&extension);
            self.tell_of_phones(now, &extension);
        }
        self.plan_registrations(now);
        self.follow_servers(now);
    }

    /// A new dialplan, for calls from now on.
    pub fn handle_dialplan(&mut self, _now: Instant, dialplan: Arc<Dialplan>) {
        self.dialplan = dialplan;
    }

    /// Time has come to `poll_timeout`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.drain(now);
        self.send_due_digits(now);
        self.ask_servers(now);
        self.give_up_absent(now);
        self.register_due(now);
        for extension in self.registrar.expire(now) {
            self.show_bindings(&extension);
            self.tell_of_phones(now, &extension);
        }
        while let Some((key, timer)) = self.calls.pop_timer(now) {
            if timer == CallTimer::Attempt {
                if self.attempt_was_heard(key) {
                    continue;
                }
                self.attempt_was_in_vain(now, key);
            }
            self.call_event(now, key, CallEvent::Timer(timer));
            self.drain(now);
        }
    }

    /// The next thing to be done outside.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front().or_else(|| self.endpoint.poll_transmit().map(Output::Transmit))
    }

    /// When `handle_timeout` is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (calls, digits) = (self.calls.next_timeout(), self.informing.next_timeout());
        let (absences, trunks) = (self.absences.next_deadline(), self.trunk_registrations.next_timeout());
        let health = self.health.next_timeout();
        [self.endpoint.poll_timeout(), self.registrar.next_expiry(), absences, trunks, calls, digits, health]
            .into_iter()
            .flatten()
            .min()
    }

    /// Figures for `/metrics`.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { barred: self.tolls.barred, bursts: self.tolls.bursts, ..self.counters }
    }

    /// The SIP endpoint's own figures.
    #[must_use]
    pub fn endpoint_counters(&self) -> sip::Counters {
        self.endpoint.counters()
    }

    /// Calls running now.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.calls.len()
    }

    /// INVITE sessions held now, those of ended calls included whose last transaction is still being settled.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.calls.session_count()
    }

    /// Bindings registered now.
    #[must_use]
    pub fn binding_count(&self) -> usize {
        self.registrar.len()
    }

    /// Whether new calls are refused since `Operator::Drain`.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining
    }
}
