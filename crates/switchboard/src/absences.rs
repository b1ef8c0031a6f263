//! Connections that closed while sessions of browsers go on over them: which sessions wait for which devices, and until when (RFC 5626 §5.3).
//! The same device is known by `+sip.instance`, else by its Contact.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use sip::{ConnectionId, Contact, SessionId};

use crate::proven::Proof;

/// A connection that closed under sessions.
#[derive(Debug)]
struct Absence {
    until: Instant,
    /// What had registered over it: extension and Contact.
    devices: Vec<(String, Arc<Contact>)>,
    /// What was proven on it.
    proofs: Vec<Arc<Proof>>,
    waiting: BTreeSet<SessionId>,
}

/// Every connection that closed and is waited for.
#[derive(Debug, Default)]
pub(crate) struct Absences {
    connections: HashMap<ConnectionId, Absence>,
    sessions: HashMap<SessionId, ConnectionId>,
    deadlines: BTreeSet<(Instant, ConnectionId)>,
}

impl Absences {
    /// A session waits for who had registered these devices, and proven this, over a connection.
    pub(crate) fn add(
        &mut self,
        session: SessionId,
        connection: ConnectionId,
        until: Instant,
        devices: &[(String, Arc<Contact>)],
        proofs: &[Arc<Proof>],
    ) {
        let absence = self.connections.entry(connection).or_insert_with(|| {
            self.deadlines.insert((until, connection));
            Absence { until, devices: devices.to_vec(), proofs: proofs.to_vec(), waiting: BTreeSet::new() }
        });
        absence.waiting.insert(session);
        self.sessions.insert(session, connection);
    }

    /// A session waits no more.
    pub(crate) fn settle(&mut self, session: SessionId) {
        let Some(connection) = self.sessions.remove(&session) else { return };
        let Some(absence) = self.connections.get_mut(&connection) else { return };
        absence.waiting.remove(&session);
        if absence.waiting.is_empty() {
            self.deadlines.remove(&(absence.until, connection));
            self.connections.remove(&connection);
        }
    }

    /// Every session that waits, the oldest first.
    pub(crate) fn all(&self) -> Vec<SessionId> {
        let mut sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        sessions.sort_unstable();
        sessions
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A session that was waited for in vain until now.
    pub(crate) fn overdue(&self, now: Instant) -> Option<SessionId> {
        let (_, connection) = self.deadlines.first().filter(|(until, _)| *until <= now)?;
        self.connections.get(connection)?.waiting.first().copied()
    }

    /// What waits for one of these devices of an extension; also what waits for one that gave no name, but has proven the same as the only
    /// phone there is.
    pub(crate) fn of(&self, extension: &str, devices: &[Arc<Contact>], only: Option<&Arc<Proof>>) -> Vec<SessionId> {
        let mut found = Vec::new();
        for absence in self.connections.values() {
            let mut known = absence.devices.iter().filter(|(number, _)| number == extension).map(|(_, device)| device);
            let is_same = known.clone().any(|known| devices.iter().any(|device| is_same_device(known, device)));
            let is_nameless = known.all(|known| known.instance().is_none());
            if is_same || (is_nameless && only.is_some_and(|proof| absence.proofs.contains(proof))) {
                found.extend(&absence.waiting);
            }
        }
        found.sort_unstable();
        found
    }
}

fn is_same_device(one: &Contact, other: &Contact) -> bool {
    match (one.instance(), other.instance()) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.uri().is_equivalent(other.uri()),
        (Some(_), None) | (None, Some(_)) => false,
    }
}
