//! The registrar and its location service (RFC 3261 §10.3): bindings are flows (RFC 5626) and go with their connection. In
//! memory, by extension; authentication is done before. Nothing is scanned: indexes by extension, connection and expiry.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sip::{ConnectionId, Contact, Flow};

use crate::away::Away;
use crate::binding::Binding;
use crate::directory::OnLimit;
use crate::proven::Proof;

/// A REGISTER, authenticated and taken apart.
pub(crate) struct Registration<'a> {
    pub(crate) extension: &'a str,
    pub(crate) proof: &'a Arc<Proof>,
    pub(crate) max_contacts: usize,
    pub(crate) on_limit: OnLimit,
    pub(crate) flow: Flow,
    pub(crate) call_id: &'a str,
    pub(crate) cseq: u32,
    pub(crate) user_agent: Option<&'a str>,
    /// What is asked; empty only asks for the list.
    pub(crate) asked: Asked<'a>,
}

impl Registration<'_> {
    fn binding(&self, id: Arc<str>, contact: &Contact, registered: Instant, expires: Instant) -> Binding {
        Binding {
            id,
            address: Arc::new(contact.clone()),
            user_agent: self.user_agent.map(Arc::from),
            flow: self.flow,
            proof: Arc::clone(self.proof),
            call_id: Arc::from(self.call_id),
            cseq: self.cseq,
            registered,
            expires,
        }
    }

    /// A binding asked for again: what is said as before is kept.
    fn refreshed(&self, known: Binding, contact: &Contact, expires: Instant) -> Binding {
        let is_same = *known.address == *contact
            && *known.call_id == *self.call_id
            && known.user_agent.as_deref() == self.user_agent
            && known.proof == *self.proof;
        if is_same {
            return Binding { flow: self.flow, cseq: self.cseq, expires, ..known };
        }
        self.binding(known.id, contact, known.registered, expires)
    }
}

/// What a REGISTER asks.
pub(crate) enum Asked<'a> {
    /// `Contact: *`: every binding goes.
    RemoveAll,
    /// Each contact with its time, zero to remove it.
    Contacts(Vec<(&'a Contact, Duration)>),
}

/// Why a REGISTER changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegisterError {
    /// The extension has its full number of bindings.
    #[error("too many contacts are registered")]
    TooMany,
    /// An older request overtook a newer one (RFC 3261 §10.3 step 7).
    #[error("an older REGISTER arrived after a newer one")]
    OutOfOrder,
}

/// What is bound to an extension.
struct Bound {
    bindings: Vec<Binding>,
    /// Its entry in `expiry`: not later than the first binding runs out, and earlier where that was refreshed. A refresh moves no entry, which
    /// costs the more the more there are; what was refreshed is found when its time has come.
    looked_at: Instant,
}

/// Every binding of this process.
#[derive(Default)]
pub(crate) struct Registrar {
    extensions: HashMap<Arc<str>, Bound>,
    connections: HashMap<ConnectionId, HashSet<Arc<str>>>,
    /// When each extension is looked at for what has run out.
    expiry: BTreeSet<(Instant, Arc<str>)>,
    away: Away,
    count: usize,
}

impl Registrar {
    /// The bindings of an extension, the one refreshed longest ago first.
    pub(crate) fn bindings(&self, extension: &str) -> &[Binding] {
        self.extensions.get(extension).map_or(&[], |bound| bound.bindings.as_slice())
    }

    /// How many bindings there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// When to look for bindings that have run out: as soon as the next one does, or before.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.expiry.first().map(|(at, _)| *at).into_iter().chain(self.away.next_expiry()).min()
    }

    /// Whether a phone of an extension lost its connection and is expected back.
    pub(crate) fn expects(&self, extension: &str) -> bool {
        self.away.expects(extension)
    }

    /// Whether this extension registered over this connection.
    pub(crate) fn extensions_on(&self, connection: ConnectionId) -> Vec<String> {
        self.connections.get(&connection).into_iter().flatten().map(ToString::to_string).collect()
    }

    /// What is registered over a connection: extension and Contact.
    pub(crate) fn devices_on(&self, connection: ConnectionId) -> Vec<(String, Arc<Contact>)> {
        let mut devices = Vec::new();
        for extension in self.extensions_on(connection) {
            let here = self.bindings(&extension).iter().filter(|binding| binding.flow.connection == Some(connection));
            devices.extend(here.map(|binding| (extension.clone(), Arc::clone(&binding.address))));
        }
        devices
    }

    /// Carries out a REGISTER, whole or not at all; tells whether a binding was added, refreshed or removed.
    ///
    /// # Errors
    /// When the limit or the order forbids it.
    pub(crate) fn register(
        &mut self,
        now: Instant,
        registration: &Registration<'_>,
        mut new_id: impl FnMut() -> String,
    ) -> Result<bool, RegisterError> {
        let mut after = self.bindings(registration.extension).to_vec();
        let stale = |b: &Binding| *b.call_id == *registration.call_id && b.cseq >= registration.cseq;
        match &registration.asked {
            Asked::RemoveAll => {
                if after.iter().any(stale) {
                    return Err(RegisterError::OutOfOrder);
                }
                after.clear();
            }
            Asked::Contacts(contacts) => {
                for (contact, expires) in contacts {
                    let known = after.iter().position(|b| b.is_of(contact)).map(|at| after.remove(at));
                    let known = known.or_else(|| self.away.find(registration.extension, contact).cloned());
                    if known.as_ref().is_some_and(stale) {
                        return Err(RegisterError::OutOfOrder);
                    }
                    if expires.is_zero() {
                        continue;
                    }
                    let expires = now + *expires;
                    after.push(match known {
                        Some(known) => registration.refreshed(known, contact, expires),
                        None => registration.binding(new_id().into(), contact, now, expires),
                    });
                }
            }
        }
        let limit = registration.max_contacts.max(1);
        if after.len() > limit {
            match registration.on_limit {
                OnLimit::Reject => return Err(RegisterError::TooMany),
                OnLimit::ReplaceOldest => {
                    after.drain(..after.len() - limit);
                }
            }
        }
        match &registration.asked {
            Asked::RemoveAll => self.away.retain_of(registration.extension, |_| false),
            Asked::Contacts(contacts) => {
                let is_back = |away: &Binding| contacts.iter().any(|(contact, _)| away.is_of(contact));
                self.away.retain_of(registration.extension, |away| !is_back(away));
            }
        }
        let changed = after != self.bindings(registration.extension);
        self.replace(registration.extension, after);
        Ok(changed)
    }

    /// A connection closed: its bindings are gone, their phones expected back for so long. Gives the extensions concerned.
    pub(crate) fn close(&mut self, now: Instant, connection: ConnectionId, grace: Duration) -> Vec<String> {
        let extensions = self.extensions_on(connection);
        for extension in &extensions {
            let mut after = self.bindings(extension).to_vec();
            let gone = after.extract_if(.., |binding| binding.flow.connection == Some(connection));
            if grace.is_zero() {
                gone.for_each(drop);
            } else {
                gone.for_each(|binding| {
                    let until = binding.expires.min(now + grace);
                    self.away.add(extension, binding, until);
                });
            }
            self.replace(extension, after);
        }
        extensions
    }

    /// Drops what has run out. Gives the extensions concerned.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<String> {
        let mut extensions = self.away.expire(now);
        while self.expiry.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, extension)) = self.expiry.pop_first() else { break };
            let Some(bound) = self.extensions.get_mut(&extension) else { continue };
            let mut after = bound.bindings.clone();
            after.retain(|binding| binding.expires > now);
            if let Some(runs_out) = first_expiry(&after) {
                bound.looked_at = runs_out;
                self.expiry.insert((runs_out, Arc::clone(&extension)));
            }
            if after.len() < bound.bindings.len() {
                self.replace(&extension, after);
                extensions.push(extension.to_string());
            }
        }
        extensions
    }

    /// Drops the bindings whose credential does not hold any more. Gives the extensions concerned.
    pub(crate) fn retain(&mut self, holds: impl Fn(&Proof) -> bool) -> Vec<String> {
        let concerned = self.extensions.iter().filter(|(_, bound)| !bound.bindings.iter().all(|b| holds(&b.proof)));
        let mut concerned: Vec<String> = concerned.map(|(extension, _)| extension.to_string()).collect();
        for extension in &concerned {
            let mut after = self.bindings(extension).to_vec();
            after.retain(|binding| holds(&binding.proof));
            self.replace(extension, after);
        }
        concerned.extend(self.away.retain(|binding| holds(&binding.proof)));
        concerned
    }

    /// Gives an extension these bindings. What did not change in an index is not touched there: a refresh only moves in time.
    fn replace(&mut self, extension: &str, after: Vec<Binding>) {
        let known = self.extensions.get_key_value(extension);
        let name = known.map_or_else(|| Arc::from(extension), |(name, _)| Arc::clone(name));
        let before = known.map(|(_, bound)| bound.bindings.as_slice()).unwrap_or_default();
        self.count = self.count + after.len() - before.len();
        let looked_at = known.map(|(_, bound)| bound.looked_at);
        let due = first_expiry(&after).map(|runs_out| looked_at.map_or(runs_out, |at| at.min(runs_out)));
        if looked_at != due {
            if let Some(at) = looked_at {
                self.expiry.remove(&(at, Arc::clone(&name)));
            }
            self.expiry.extend(due.map(|at| (at, Arc::clone(&name))));
        }
        for gone in connections(before).filter(|had| connections(&after).all(|has| has != *had)) {
            if let Some(set) = self.connections.get_mut(&gone) {
                set.remove(&name);
                if set.is_empty() {
                    self.connections.remove(&gone);
                }
            }
        }
        for new in connections(&after).filter(|has| connections(before).all(|had| had != *has)) {
            self.connections.entry(new).or_default().insert(Arc::clone(&name));
        }
        match due {
            Some(looked_at) => drop(self.extensions.insert(name, Bound { bindings: after, looked_at })),
            None => drop(self.extensions.remove(&name)),
        }
    }
}

fn first_expiry(bindings: &[Binding]) -> Option<Instant> {
    bindings.iter().map(|binding| binding.expires).min()
}

fn connections(bindings: &[Binding]) -> impl Iterator<Item = ConnectionId> {
    bindings.iter().filter_map(|binding| binding.flow.connection)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some first instant")]
mod tests;
