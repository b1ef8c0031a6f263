//! Registers trunks whose carriers want that: sends what `trunk_registration` finds due, and tells how each stands. A registration goes
//! when its trunk is removed, disabled or changed, and when the gateway stops.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Instant;

use sip::{Method, NameAddr, OutgoingId, OutgoingRequest, Response, Uri};

use crate::call::own_contact;
use crate::output::{Output, TrunkRegistration, TrunkRegistrationState};
use crate::switchboard::Switchboard;
use crate::trunk_registration::{Bound, Next, Phase, Plan, Registration, Target};

/// The registrations of all trunks.
#[derive(Debug, Default)]
pub(crate) struct TrunkRegistrations {
    trunks: HashMap<String, Registration>,
    /// The REGISTERs under way.
    asked: HashMap<OutgoingId, Asked>,
    due: BTreeSet<(Instant, String)>,
}

/// A REGISTER under way.
#[derive(Debug)]
struct Asked {
    /// Whose; one that ends a registration is nobody's any more.
    trunk: Option<String>,
    /// Who is to answer, whatever the directory says of it by then.
    address: IpAddr,
}

/// How many trunks that register stand how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RegistrationCounts {
    /// Registered.
    pub registered: usize,
    /// On the way to it for the first time.
    pub registering: usize,
    /// Not registered, or not refreshed at the last attempt.
    pub failed: usize,
}

impl TrunkRegistrations {
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The trunks registered at an address: their calls come from there.
    pub(crate) fn trunks_at(&self, address: IpAddr) -> impl Iterator<Item = &str> {
        let bound = move |it: &Registration| it.bound.as_ref().is_some_and(|it| it.target.hop.address.ip() == address);
        self.trunks.iter().filter(move |(_, it)| bound(it)).map(|(id, _)| id.as_str())
    }

    /// Whether a registration is being spoken of with an address, or holds there.
    pub(crate) fn speaks_with(&self, address: IpAddr) -> bool {
        self.asked.values().any(|asked| asked.address == address) || self.trunks_at(address).next().is_some()
    }

    /// The user part of the Contact a trunk registered.
    pub(crate) fn user_of(&self, trunk: &str) -> Option<&str> {
        self.trunks.get(trunk).map(|registration| registration.plan.user())
    }

    /// How many REGISTERs that end a registration wait for their answer.
    pub(crate) fn farewells(&self) -> usize {
        self.asked.values().filter(|asked| asked.trunk.is_none()).count()
    }

    fn counts(&self) -> RegistrationCounts {
        let mut counts = RegistrationCounts::default();
        for registration in self.trunks.values() {
            *match registration.shown().map(|shown| &shown.state) {
                Some(TrunkRegistrationState::Registered { .. }) => &mut counts.registered,
                Some(TrunkRegistrationState::Failed { .. }) => &mut counts.failed,
                Some(TrunkRegistrationState::Registering | TrunkRegistrationState::Unregistered) | None => {
                    &mut counts.registering
                }
            } += 1;
        }
        counts
    }
}

impl Switchboard {
    /// How many trunks are registered, and how many are not that should be.
    #[must_use]
    pub fn trunk_registrations(&self) -> RegistrationCounts {
        self.trunk_registrations.counts()
    }

    /// How many registrations are being ended.
    #[must_use]
    pub fn farewell_count(&self) -> usize {
        self.trunk_registrations.farewells()
    }

    /// Brings registrations in line with the directory.
    pub(crate) fn plan_registrations(&mut self, now: Instant) {
        let directory = self.directory.clone();
        let plan = |id: &String| directory.trunks.get(id).and_then(Plan::of);
        let mut known: Vec<String> = self.trunk_registrations.trunks.keys().cloned().collect();
        known.sort();
        for id in known {
            let current = self.trunk_registrations.trunks.get(&id).map(|registration| &registration.plan);
            if self.draining || plan(&id).as_ref() != current {
                self.unregister(now, &id);
            }
        }
        if self.draining {
            return;
        }
        let mut wanted: Vec<(&String, Plan)> =
            directory.trunks.iter().filter_map(|(id, trunk)| Some((id, Plan::of(trunk)?))).collect();
        wanted.sort_by(|a, b| a.0.cmp(b.0));
        for (id, plan) in wanted {
            match self.trunk_registrations.trunks.get_mut(id) {
                Some(registration) => registration.addresses_changed(now),
                None => {
                    let registration = Registration::new(now, plan, self.ids.random("reg-"));
                    self.trunk_registrations.trunks.insert(id.clone(), registration);
                }
            }
            self.settle_registration(now, id);
        }
    }

    /// Does what registrations want done by now.
    pub(crate) fn register_due(&mut self, now: Instant) {
        while let Some((_, id)) = self.trunk_registrations.due.first().filter(|(at, _)| *at <= now).cloned() {
            let Some(registration) = self.trunk_registrations.trunks.get_mut(&id) else { return };
            registration.bound.take_if(|bound| bound.until <= now);
            match &registration.phase {
                Phase::Waiting(Some(until)) if *until <= now => self.begin_registration(now, &id),
                Phase::Asking { patience: Some(patience), .. } if *patience <= now => {
                    let next = registration.out_of_patience();
                    self.go_on(now, &id, next);
                }
                Phase::Waiting(_) | Phase::Asking { .. } => self.settle_registration(now, &id),
            }
        }
    }

    /// A response to a REGISTER of ours. Whether it was one.
    pub(crate) fn trunk_answered(&mut self, now: Instant, id: OutgoingId, response: &Response) -> bool {
        let Some(asked) = self.trunk_registrations.asked.remove(&id) else { return false };
        let Some(trunk) = asked.trunk else { return true };
        let Some(registration) = self.trunk_registrations.trunks.get_mut(&trunk) else { return true };
        if let Ok(Some(cseq)) = response.headers.cseq() {
            registration.cseq = registration.cseq.max(cseq.number);
        }
        let Phase::Asking { id: current, target, .. } = &registration.phase else { return true };
        if *current != id {
            // Given up on meanwhile.
            return true;
        }
        let target = target.clone();
        let next = if response.status.is_success() {
            let contact = own_contact(Some(registration.plan.user()), target.hop.transport, &self.config);
            registration.accepted(now, target, &contact, response, &mut self.ids)
        } else {
            registration.refused(now, target, response, &mut self.ids)
        };
        self.go_on(now, &trunk, next);
        true
    }

    fn begin_registration(&mut self, now: Instant, id: &str) {
        let directory = self.directory.clone();
        let registration = self.trunk_registrations.trunks.get_mut(id);
        if let (Some(registration), Some(trunk)) = (registration, directory.trunks.get(id)) {
            let next = registration.begin(trunk);
            self.go_on(now, id, next);
        }
    }

    fn go_on(&mut self, now: Instant, id: &str, next: Next) {
        if let Next::Ask(target) = next {
            let Some(registration) = self.trunk_registrations.trunks.get(id).cloned() else { return };
            let asked = self.send_register(now, &registration, &target, registration.interval);
            let patience = now + self.config.attempt_timeout;
            if let (Some(asked), Some(registration)) = (asked, self.trunk_registrations.trunks.get_mut(id)) {
                let address = target.hop.address.ip();
                self.trunk_registrations.asked.insert(asked, Asked { trunk: Some(id.to_owned()), address });
                registration.asks(asked, target, patience);
            }
        }
        self.settle_registration(now, id);
    }

    /// Notes when a registration is due next, and tells how it stands.
    fn settle_registration(&mut self, now: Instant, id: &str) {
        self.trunk_registrations.due.retain(|(_, due)| due != id);
        let Some(registration) = self.trunk_registrations.trunks.get_mut(id) else { return };
        if let Some(at) = registration.deadline() {
            self.trunk_registrations.due.insert((at, id.to_owned()));
        }
        if let Some(registration) = registration.changed(now, &self.clock) {
            self.outputs.push_back(Output::TrunkRegistration { trunk_id: id.to_owned(), registration });
        }
    }

    /// Ends a registration, at the carrier too when it may have one.
    fn unregister(&mut self, now: Instant, id: &str) {
        self.trunk_registrations.due.retain(|(_, due)| due != id);
        let Some(registration) = self.trunk_registrations.trunks.remove(id) else { return };
        let asked = self.trunk_registrations.asked.values_mut();
        for asked in asked.filter(|asked| asked.trunk.as_deref() == Some(id)) {
            asked.trunk = None;
        }
        if let Some(Bound { target, .. }) = registration.bound.clone()
            && let Some(asked) = self.send_register(now, &registration, &target, 0)
        {
            let address = target.hop.address.ip();
            self.trunk_registrations.asked.insert(asked, Asked { trunk: None, address });
        }
        let gone = TrunkRegistration { state: TrunkRegistrationState::Unregistered, since: self.clock.at(now) };
        self.outputs.push_back(Output::TrunkRegistration { trunk_id: id.to_owned(), registration: gone });
    }

    /// `None` when the gateway's host is none.
    fn send_register(
        &mut self,
        now: Instant,
        registration: &Registration,
        target: &Target,
        expires: u32,
    ) -> Option<OutgoingId> {
        let uri = Uri::parse(&format!("sip:{}", target.host)).ok()?;
        let (user, domain) = registration.plan.address(&uri);
        let address = NameAddr::new(Uri::sip(Some(&user), domain?, None));
        let contact = own_contact(Some(registration.plan.user()), target.hop.transport, &self.config);
        let headers = vec![
            ("Contact".to_owned(), format!("<{contact}>;expires={expires}")),
            ("Expires".to_owned(), expires.to_string()),
        ];
        let request = OutgoingRequest {
            flow: target.hop.flow(),
            method: Method::Register,
            uri,
            from: address.clone(),
            to: address,
            series: Some((registration.call_id.clone(), registration.cseq + 1)),
            headers,
            body: None,
            credentials: Some(registration.plan.credentials.clone()),
        };
        Some(self.endpoint.send_request(now, request))
    }
}
