//! The registrar and its location service (RFC 3261 §10.3): bindings are flows (RFC 5626) and go with their connection. In
//! memory, by extension; authentication is done before. Nothing is scanned: indexes by extension, connection and expiry.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use sip::{ConnectionId, Contact, Flow};

use crate::away::Away;
use crate::binding::Binding;
use crate::directory::OnLimit;
use crate::proven::Proof;

/// A REGISTER, authenticated and taken apart.
pub(crate) struct Registration<'a> {
    pub(crate) extension: &'a str,
    pub(crate) proof: &'a Proof,
    pub(crate) max_contacts: usize,
    pub(crate) on_limit: OnLimit,
    pub(crate) flow: Flow,
    pub(crate) call_id: &'a str,
    pub(crate) cseq: u32,
    pub(crate) user_agent: Option<&'a str>,
    /// What is asked; empty only asks for the list.
    pub(crate) asked: Asked,
}

/// What a REGISTER asks.
pub(crate) enum Asked {
    /// `Contact: *`: every binding goes.
    RemoveAll,
    /// Each contact with its time, zero to remove it.
    Contacts(Vec<(Contact, Duration)>),
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

/// Every binding of this process.
#[derive(Default)]
pub(crate) struct Registrar {
    extensions: HashMap<String, Vec<Binding>>,
    connections: HashMap<ConnectionId, HashSet<String>>,
    expiry: BTreeSet<(Instant, String, String)>,
    away: Away,
    count: usize,
}

impl Registrar {
    /// The bindings of an extension, the one refreshed longest ago first.
    pub(crate) fn bindings(&self, extension: &str) -> &[Binding] {
        self.extensions.get(extension).map_or(&[], Vec::as_slice)
    }

    /// How many bindings there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// When the next binding runs out.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.expiry.first().map(|(at, _, _)| *at).into_iter().chain(self.away.next_expiry()).min()
    }

    /// Whether a phone of an extension lost its connection and is expected back.
    pub(crate) fn expects(&self, extension: &str) -> bool {
        self.away.expects(extension)
    }

    /// Whether this extension registered over this connection.
    pub(crate) fn extensions_on(&self, connection: ConnectionId) -> Vec<String> {
        self.connections.get(&connection).map(|set| set.iter().cloned().collect()).unwrap_or_default()
    }

    /// What is registered over a connection: extension and Contact.
    pub(crate) fn devices_on(&self, connection: ConnectionId) -> Vec<(String, Contact)> {
        let mut devices = Vec::new();
        for extension in self.extensions_on(connection) {
            let here = self.bindings(&extension).iter().filter(|binding| binding.flow.connection == Some(connection));
            devices.extend(here.map(|binding| (extension.clone(), binding.address.clone())));
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
        let stale = |b: &Binding| b.call_id == registration.call_id && b.cseq >= registration.cseq;
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
                    let (id, registered) = known.map_or_else(|| (new_id(), now), |known| (known.id, known.registered));
                    after.push(Binding {
                        id,
                        address: contact.clone(),
                        contact: contact.uri().clone(),
                        user_agent: registration.user_agent.map(str::to_owned),
                        flow: registration.flow,
                        proof: registration.proof.clone(),
                        call_id: registration.call_id.to_owned(),
                        cseq: registration.cseq,
                        registered,
                        expires: now + *expires,
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
        while let Some((_, extension, _)) = self.expiry.first().filter(|(at, _, _)| *at <= now).cloned() {
            let mut after = self.bindings(&extension).to_vec();
            after.retain(|binding| binding.expires > now);
            self.replace(&extension, after);
            extensions.push(extension);
        }
        extensions
    }

    /// Drops the bindings whose credential does not hold any more. Gives the extensions concerned.
    pub(crate) fn retain(&mut self, holds: impl Fn(&Proof) -> bool) -> Vec<String> {
        let concerned = self.extensions.iter().filter(|(_, bindings)| !bindings.iter().all(|b| holds(&b.proof)));
        let mut concerned: Vec<String> = concerned.map(|(extension, _)| extension.clone()).collect();
        for extension in &concerned {
            let mut after = self.bindings(extension).to_vec();
            after.retain(|binding| holds(&binding.proof));
            self.replace(extension, after);
        }
        concerned.extend(self.away.retain(|binding| holds(&binding.proof)));
        concerned
    }

    fn replace(&mut self, extension: &str, after: Vec<Binding>) {
        for binding in self.extensions.remove(extension).unwrap_or_default() {
            self.count -= 1;
            self.expiry.remove(&(binding.expires, extension.to_owned(), binding.id));
            if let Some(connection) = binding.flow.connection
                && let Some(set) = self.connections.get_mut(&connection)
            {
                set.remove(extension);
                if set.is_empty() {
                    self.connections.remove(&connection);
                }
            }
        }
        for binding in &after {
            self.count += 1;
            self.expiry.insert((binding.expires, extension.to_owned(), binding.id.clone()));
            if let Some(connection) = binding.flow.connection {
                self.connections.entry(connection).or_default().insert(extension.to_owned());
            }
        }
        if !after.is_empty() {
            self.extensions.insert(extension.to_owned(), after);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some first instant")]
mod tests {
    use super::*;
    use sip::{NameAddr, Transport};

    fn flow(connection: u64) -> Flow {
        Flow {
            transport: Transport::Wss,
            peer: "192.0.2.7:5000".parse().unwrap(),
            connection: Some(ConnectionId(connection)),
            tls: None,
        }
    }

    fn contact(text: &str) -> Contact {
        Contact { address: NameAddr::parse(text).unwrap() }
    }

    struct Phone {
        registrar: Registrar,
        now: Instant,
        ids: u32,
        cseq: u32,
    }

    impl Phone {
        fn new() -> Self {
            Self { registrar: Registrar::default(), now: Instant::now(), ids: 0, cseq: 0 }
        }

        fn register(
            &mut self,
            extension: &str,
            text: &str,
            seconds: u64,
            connection: u64,
            on_limit: OnLimit,
        ) -> Result<bool, RegisterError> {
            self.cseq += 1;
            self.now += Duration::from_secs(1);
            let registration = Registration {
                extension,
                proof: &Proof::some(extension),
                max_contacts: 2,
                on_limit,
                flow: flow(connection),
                call_id: text,
                cseq: self.cseq,
                user_agent: None,
                asked: Asked::Contacts(vec![(contact(text), Duration::from_secs(seconds))]),
            };
            let ids = &mut self.ids;
            self.registrar.register(self.now, &registration, || {
                *ids += 1;
                format!("reg_{ids}")
            })
        }

        fn contacts(&self, extension: &str) -> Vec<String> {
            self.registrar.bindings(extension).iter().map(|b| b.contact.to_string()).collect()
        }
    }

    #[test]
    fn one_contact_too_many_replaces_the_oldest_or_is_refused() {
        let mut phone = Phone::new();
        for (number, text) in ["<sip:a@x.invalid>", "<sip:b@x.invalid>", "<sip:c@x.invalid>"].iter().enumerate() {
            phone.register("100", text, 60, number as u64, OnLimit::ReplaceOldest).unwrap();
        }
        assert_eq!(phone.contacts("100"), ["sip:b@x.invalid", "sip:c@x.invalid"]);
        assert_eq!(phone.register("100", "<sip:d@x.invalid>", 60, 9, OnLimit::Reject), Err(RegisterError::TooMany));
        assert_eq!(phone.contacts("100").len(), 2);
        assert!(phone.registrar.extensions_on(ConnectionId(0)).is_empty());
    }

    #[test]
    fn the_same_instance_and_reg_id_replace_their_binding_and_keep_its_id() {
        let mut phone = Phone::new();
        let first = "<sip:a@x.invalid>;+sip.instance=\"<urn:uuid:1>\";reg-id=1";
        let second = "<sip:b@x.invalid>;+sip.instance=\"<urn:uuid:1>\";reg-id=1";
        phone.register("100", first, 60, 1, OnLimit::Reject).unwrap();
        phone.register("100", second, 60, 2, OnLimit::Reject).unwrap();
        assert_eq!(phone.contacts("100"), ["sip:b@x.invalid"]);
        assert_eq!(phone.registrar.bindings("100")[0].id, "reg_1");
        assert!(phone.registrar.close(phone.now, ConnectionId(1), Duration::ZERO).is_empty());
        assert_eq!(phone.registrar.close(phone.now, ConnectionId(2), Duration::ZERO), ["100"]);
        assert_eq!(phone.registrar.len(), 0);
    }

    #[test]
    fn an_older_register_changes_nothing() {
        let mut phone = Phone::new();
        phone.register("100", "<sip:a@x.invalid>", 60, 1, OnLimit::Reject).unwrap();
        phone.cseq = 0;
        assert_eq!(phone.register("100", "<sip:a@x.invalid>", 0, 1, OnLimit::Reject), Err(RegisterError::OutOfOrder));
        assert_eq!(phone.contacts("100").len(), 1);
    }

    #[test]
    fn bindings_run_out_on_the_clock() {
        let mut phone = Phone::new();
        phone.register("100", "<sip:a@x.invalid>", 60, 1, OnLimit::Reject).unwrap();
        let at = phone.registrar.next_expiry().unwrap();
        assert_eq!(at, phone.now + Duration::from_secs(60));
        assert!(phone.registrar.expire(at - Duration::from_millis(1)).is_empty());
        assert_eq!(phone.registrar.expire(at), ["100"]);
        assert_eq!((phone.registrar.len(), phone.registrar.next_expiry()), (0, None));
    }

    #[test]
    fn a_hundred_thousand_bindings_are_registered_and_closed_without_scanning() {
        let mut phone = Phone::new();
        for number in 0..100_000u64 {
            phone.register(&number.to_string(), "<sip:a@x.invalid>", 600, number, OnLimit::Reject).unwrap();
        }
        assert_eq!(phone.registrar.len(), 100_000);
        for number in 0..100_000u64 {
            assert_eq!(phone.registrar.close(phone.now, ConnectionId(number), Duration::ZERO).len(), 1);
        }
        assert_eq!((phone.registrar.len(), phone.registrar.next_expiry()), (0, None));
    }
}
