//! Browsers whose WebSocket closed while calls wait for them, and their return: the same device, else, of one that named neither instance
//! nor Contact, the only phone of its extension by the same credential. Who waits for how long is with the absences; the endpoint does the rest.

use std::sync::Arc;
use std::time::Instant;

use sip::{ConnectionId, Contact, Flow, SessionId};

use crate::call::{CallEvent, Signal};
use crate::proven::Proof;
use crate::switchboard::Switchboard;

impl Switchboard {
    /// A connection closed, on which this was proven: a browser's sessions wait. A trunk is reached over another that we open.
    pub(crate) fn begin_absence(&mut self, now: Instant, connection: ConnectionId, proofs: &[Arc<Proof>]) {
        let devices = self.registrar.devices_on(connection);
        let until = now + self.config.reconnect;
        for session in self.endpoint.sessions_on(connection) {
            if !self.endpoint.flow(session).is_some_and(|flow| flow.transport.is_websocket()) {
                continue;
            }
            self.absences.add(session, connection, until, &devices, proofs);
            if let Some((key, leg)) = self.calls.of_session(session)
                && let Some(leg) = self.calls.facts_mut(key).and_then(|facts| facts.leg_mut(leg))
            {
                leg.away = true;
                self.show(now, key);
            }
        }
    }

    /// A session's connection closed. One that nobody knows, or is waited for, ends.
    pub(crate) fn await_return(&mut self, now: Instant, session: SessionId) {
        if self.config.reconnect.is_zero() || self.calls.of_session(session).is_none() {
            self.endpoint.abandon(now, session);
        }
    }

    /// Who has not come back in time is not waited for any more.
    pub(crate) fn give_up_absent(&mut self, now: Instant) {
        while let Some(session) = self.absences.overdue(now) {
            self.absences.settle(session);
            self.endpoint.abandon(now, session);
            self.drain(now);
        }
    }

    /// Nobody is waited for any more.
    pub(crate) fn give_up_all_absent(&mut self, now: Instant) {
        for session in self.absences.all() {
            self.absences.settle(session);
            self.endpoint.abandon(now, session);
            self.drain(now);
        }
    }

    /// A phone has registered over a flow; `before` is where its extension's bindings were. Its calls go on there.
    pub(crate) fn welcome_back(
        &mut self,
        now: Instant,
        extension: &str,
        flow: Flow,
        before: &[(Arc<str>, Option<ConnectionId>)],
    ) {
        let bindings = self.registrar.bindings(extension);
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            bindings.iter().partition(|binding| binding.flow.connection == flow.connection);
        let devices: Vec<Arc<Contact>> = here.iter().map(|binding| Arc::clone(&binding.address)).collect();
        if devices.is_empty() {
            return;
        }
        // One that has been here all the time is not whoever is missing.
        let mut come = here.iter().filter(|binding| !before.contains(&(binding.id.clone(), flow.connection)));
        let only = come.next().filter(|_| elsewhere.is_empty()).map(|binding| &binding.proof);
        let mut returning = self.absences.of(extension, &devices, only);
        // Its old connection may not be known to be gone yet.
        let left = before.iter().filter(|(id, _)| here.iter().any(|binding| binding.id == *id));
        let left = left.filter_map(|(_, connection)| *connection).filter(|it| Some(*it) != flow.connection);
        for connection in left {
            returning.extend(self.endpoint.sessions_on(connection));
        }
        returning.retain(|session| self.calls.extension_of(*session) == Some(extension));
        for session in returning {
            if self.rings_in_vain(session, &devices) {
                self.endpoint.abandon(now, session);
                continue;
            }
            self.moved(now, session, flow, true);
            self.endpoint.rebind(now, session, flow);
        }
    }

    /// Whether an INVITE of ours is to a Contact that its phone has no more; the new one rings instead.
    fn rings_in_vain(&self, session: SessionId, devices: &[Arc<Contact>]) -> bool {
        let leg = self.calls.of_session(session).and_then(|(key, leg)| self.calls.facts(key)?.leg(leg));
        leg.filter(|leg| leg.signal == Signal::Calling)
            .and_then(|leg| leg.contact.as_ref())
            .is_some_and(|dialled| devices.iter().all(|device| device.uri() != dialled))
    }

    /// The phones of an extension are others than before: calls that ring there, or wait for one to come back, are told.
    pub(crate) fn tell_of_phones(&mut self, now: Instant, extension: &str) {
        for key in self.calls.ringing_at(extension) {
            self.call_event(now, key, CallEvent::Phones { extension: extension.to_owned() });
        }
    }

    /// A session's peer is reached over another flow now; `returned` when it does not say so in the session itself.
    pub(crate) fn moved(&mut self, now: Instant, session: SessionId, flow: Flow, returned: bool) {
        self.absences.settle(session);
        if let Some((key, leg)) = self.calls.of_session(session) {
            self.calls.move_leg(key, leg, flow, returned);
            self.show(now, key);
        }
    }
}
