//! WebSockets that close under their sessions, and those that take their place (RFC 5626 §5.3, RFC 7118). A browser is reached over the
//! connection it opened and no other, so that what a session has under way waits for the next one; how long is its user's to say.

use std::time::Instant;

use super::clients::{ClientMachine, ClientUser};
use super::keys::{MergeKey, ServerKey};
use super::servers::ServerTransaction;
use super::{Endpoint, Part, SessionEvent, SessionId};
use crate::flow::{ConnectionId, Flow};
use crate::message::{Method, Response, StatusCode};
use crate::session::{Cancel, Established, Stage, State, TransactionId};
use crate::transaction::{InviteClient, NonInviteClient, Timer};

/// Timers of a session that wait for its peer's word, and so do not run while that cannot be reached.
const AWAITING: [Timer; 4] = [Timer::Success, Timer::NoAck, Timer::Cancelled, Timer::Overdue];

impl ClientUser {
    /// The session a request belongs to.
    pub(super) fn session(self) -> Option<SessionId> {
        match self {
            Self::Invite(session)
            | Self::Modify(session)
            | Self::Prack(session)
            | Self::Cancel(session)
            | Self::Bye(session)
            | Self::LastBye(session)
            | Self::Inside(session, _) => Some(session),
            Self::Outgoing(_) | Self::Nobody => None,
        }
    }
}

impl ServerTransaction {
    /// Goes on over another flow, which is part of what names it.
    fn follow(&mut self, flow: Flow) {
        (self.flow, self.reply) = (flow, flow);
        let Some(request) = &self.request else { return };
        if let Ok(Some(via)) = request.headers.top_via() {
            self.key = ServerKey::of(flow, request, &via, &request.method);
        }
        let is_inside = request.headers.to().ok().flatten().is_some_and(|to| to.tag().is_some());
        self.merge = if is_inside { None } else { MergeKey::of(flow, request) };
    }
}

impl Endpoint {
    /// A connection is gone. Whether the part is a browser's session's, and waits.
    pub(super) fn set_adrift(&mut self, connection: ConnectionId, part: Part) -> bool {
        let on_websocket = |flow: Flow| flow.websocket() == Some(connection);
        match part {
            Part::Client(id) => {
                let waits = self.clients.get(&id).is_some_and(|client| {
                    on_websocket(client.flow) && client.user.session().is_some_and(|session| self.has(session))
                });
                if waits {
                    self.rest(id);
                }
                waits
            }
            Part::Server(id) => self.servers.get(&id).is_some_and(|server| {
                on_websocket(server.flow)
                    && server.request.is_some()
                    && server.session.is_some_and(|session| self.has(session))
            }),
            Part::Session(session) => {
                let usage = self.usages.sessions.get_mut(&session).filter(|usage| on_websocket(usage.flow));
                let Some(usage) = usage else { return false };
                for timer in AWAITING {
                    usage.timers.stop(timer);
                }
                self.tell(session, SessionEvent::Adrift);
                true
            }
        }
    }

    fn has(&self, session: SessionId) -> bool {
        self.usages.sessions.contains_key(&session)
    }

    /// Lets a request of ours wait without end.
    pub(super) fn rest(&mut self, id: TransactionId) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.timers.stop(Timer::B);
            client.timers.stop(Timer::F);
        }
    }

    /// Whether a timer of a session would wait for a peer that cannot be reached.
    pub(super) fn is_idle(&self, flow: Flow, timer: Timer) -> bool {
        AWAITING.contains(&timer) && self.paths.is_closed(flow)
    }

    /// The flow of a session.
    #[must_use]
    pub fn flow(&self, session: SessionId) -> Option<Flow> {
        self.usages.sessions.get(&session).map(|usage| usage.flow)
    }

    /// The sessions over a connection, also over one that closed under them.
    #[must_use]
    pub fn sessions_on(&self, connection: ConnectionId) -> Vec<SessionId> {
        let sessions = self.paths.on_connection(connection).into_iter().filter_map(|part| match part {
            Part::Session(session) => Some(session),
            Part::Client(_) | Part::Server(_) => None,
        });
        sessions.collect()
    }

    /// Moves a browser's session, and everything it has under way, to the WebSocket on which that is reached from now on. What waits for
    /// an answer is sent once more: either it did not arrive, or its transaction knows it.
    pub fn rebind(&mut self, now: Instant, session: SessionId, flow: Flow) {
        let Some(before) = self.flow(session).filter(|before| *before != flow) else { return };
        let parts = self.paths.on_flow(before);
        self.move_session(session, flow);
        if before.websocket().is_none() || flow.websocket().is_none() {
            return;
        }
        for part in parts {
            match part {
                Part::Client(id) if self.clients.get(&id).is_some_and(|it| it.user.session() == Some(session)) => {
                    self.move_client(now, id, flow);
                }
                Part::Server(id) if self.servers.get(&id).is_some_and(|it| it.session == Some(session)) => {
                    self.move_server(id, flow);
                }
                Part::Client(_) | Part::Server(_) | Part::Session(_) => {}
            }
        }
        self.resume(now, session, flow);
    }

    /// A request of ours goes on over another flow.
    fn move_client(&mut self, now: Instant, id: TransactionId, flow: Flow) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let before = std::mem::replace(&mut client.flow, flow);
        self.paths.leave(before, Part::Client(id));
        self.paths.enter(flow, Part::Client(id));
        let mut again = Vec::new();
        for (_, to, ack) in &mut client.acknowledged {
            *to = flow;
            again.push(ack.clone());
        }
        let (waits, timer) = match client.machine {
            ClientMachine::Invite(InviteClient::Calling { .. }) => (true, Some(Timer::B)),
            ClientMachine::Invite(InviteClient::Proceeding) => (true, None),
            ClientMachine::Invite(InviteClient::Completed | InviteClient::Accepted) => (false, None),
            ClientMachine::NonInvite(machine) => {
                let waits = machine != NonInviteClient::Completed;
                (waits, waits.then_some(Timer::F))
            }
        };
        if let Some(timer) = timer {
            let at = now + self.config.timers.transaction_timeout();
            client.timers.start(timer, at);
            self.timers.push(at, Part::Client(id), timer);
        }
        let (bytes, user) = (client.bytes.clone(), client.user);
        // A phone that forgot its INVITE with the connection would ring again.
        if waits && !self.is_taken_back(user) {
            again.push(bytes);
        }
        for bytes in again {
            self.transmit(flow, bytes);
        }
    }

    /// Whether a request is an INVITE that a CANCEL has followed.
    fn is_taken_back(&self, user: ClientUser) -> bool {
        let ClientUser::Invite(session) = user else { return false };
        let state = self.usages.sessions.get(&session).map(|usage| &usage.state);
        matches!(state, Some(State::Calling { cancel: Cancel::Sent, .. }))
    }

    /// A request of the peer's is answered over another flow, and its CANCEL will come from there.
    fn move_server(&mut self, id: TransactionId, flow: Flow) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let before = server.flow;
        self.server_keys.remove(&server.key);
        if let Some(merge) = server.merge.take() {
            self.merges.remove(&merge);
        }
        server.follow(flow);
        self.server_keys.insert(server.key, id);
        if let Some(merge) = server.merge {
            self.merges.insert(merge, id);
        }
        let last = server.last.clone();
        self.paths.leave(before, Part::Server(id));
        self.paths.enter(flow, Part::Server(id));
        if let Some(bytes) = last {
            self.transmit(flow, bytes);
        }
    }

    /// A session's own timers run again.
    fn resume(&mut self, now: Instant, session: SessionId, flow: Flow) {
        let timers = self.config.timers;
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        match &mut usage.state {
            State::Calling { cancel: Cancel::Sent, .. } => {
                self.start_session_timer(session, Timer::Cancelled, now + timers.transaction_timeout());
            }
            State::Established(Established { unacknowledged, ours, .. }) => {
                let rings = ours.as_ref().is_some_and(|ours| {
                    ours.change.method == Method::Invite && matches!(ours.stage, Stage::Sent { .. })
                });
                let again = unacknowledged.as_mut().map(|success| {
                    success.flow = flow;
                    success.interval = timers.t1;
                    success.bytes.clone()
                });
                if rings {
                    self.start_session_timer(session, Timer::Overdue, now + timers.transaction_timeout());
                }
                if let Some(bytes) = again {
                    self.transmit(flow, bytes);
                    self.await_ack(now, session);
                }
            }
            State::Calling { .. } | State::Incoming { .. } | State::Leaving => {}
        }
    }

    /// Ends a session whose peer is not waited for any more. [`SessionEvent::Refused`] follows for an INVITE of ours that had no answer,
    /// [`SessionEvent::FlowLost`] for any other session that is not being left already; then [`SessionEvent::Ended`].
    pub fn abandon(&mut self, now: Instant, session: SessionId) {
        let Some(usage) = self.usages.sessions.get(&session) else { return };
        let flow = usage.flow;
        match usage.state {
            State::Calling { transaction, .. } => {
                if let Some(client) = self.clients.get(&transaction) {
                    let response = Response::for_request(&client.request, StatusCode::SERVICE_UNAVAILABLE);
                    self.refused(now, session, response, true);
                }
            }
            State::Incoming { .. } | State::Established(_) => self.tell(session, SessionEvent::FlowLost),
            State::Leaving => {}
        }
        self.end_session(now, session);
        for part in self.paths.on_flow(flow) {
            match part {
                Part::Client(id) if self.clients.get(&id).is_some_and(|it| it.user.session() == Some(session)) => {
                    self.fail_client(now, id, None);
                }
                Part::Server(id) if self.servers.get(&id).is_some_and(|it| it.session == Some(session)) => {
                    self.remove_server(id);
                }
                Part::Client(_) | Part::Server(_) | Part::Session(_) => {}
            }
        }
    }
}
