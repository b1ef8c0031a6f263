//! Trunks that prove who they are by digest (RFC 3261 §22), besides calling from a known address or instead of it. Who is known by address is
//! challenged like anybody. A stranger is challenged only while a trunk may call from anywhere, only for an INVITE, without a
//! transaction, so that nothing is repeated to an address that may be forged, and only so many times a second; everything else of a
//! stranger's is dropped as if there were no such trunk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use sip::{Flow, Message, Method, Request, ResponseDraft, StatusCode, Verdict};

use crate::directory::{Number, Trunk};
use crate::identity::user_of;
use crate::switchboard::Switchboard;

/// Challenges to strangers are counted in windows of this length.
const WINDOW: Duration = Duration::from_secs(1);

/// To all strangers in a window: what a scanner costs us, and about 70 kB/s that could be sent to a forged address.
const MOST: usize = 100;

/// To one address in a window: a carrier's calls need one each until the first is accepted, and then none while it lasts.
const MOST_OF_ONE: usize = 10;

/// How many strangers were challenged lately.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    since: Option<Instant>,
    challenged: HashMap<IpAddr, usize>,
}

impl Strangers {
    /// Whether one more may be challenged, which it then is.
    fn take(&mut self, now: Instant, address: IpAddr) -> bool {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW) {
            self.since = Some(now);
            self.challenged.clear();
        }
        let total: usize = self.challenged.values().sum();
        let own = self.challenged.get(&address).copied().unwrap_or(0);
        let may = total < MOST && own < MOST_OF_ONE;
        if may {
            self.challenged.insert(address, own + 1);
        }
        may
    }
}

impl Trunk {
    /// Whether its digest is enough from an address.
    fn may_call_from(&self, address: IpAddr) -> bool {
        self.inbound.networks.is_empty() || self.inbound.networks.iter().any(|network| network.contains(&address))
    }
}

impl Switchboard {
    /// A message from an address of nobody's. Whether it is to be dealt with: the INVITE of a trunk that proves itself in it.
    pub(crate) fn is_vouched_for(&mut self, now: Instant, flow: Flow, bytes: &[u8]) -> bool {
        if !self.admission.is_open() {
            return false;
        }
        let Ok(Message::Request(request)) = Message::parse(bytes) else { return false };
        let is_inside = request.headers.to().ok().flatten().is_some_and(|to| to.tag().is_some());
        if request.method != Method::Invite || is_inside {
            return false;
        }
        match self.proven_trunk(now, flow, &request) {
            Ok(trunk) => {
                self.vouched = Some(trunk);
                true
            }
            Err(stale) => {
                if self.strangers.take(now, flow.peer.ip()) {
                    let draft = self.trunk_challenge(now, stale);
                    self.endpoint.refuse_without_transaction(flow, &request, draft);
                }
                false
            }
        }
    }

    /// The trunk that calls, or what it is refused with: of several at an address the one that the dialled number belongs to.
    pub(crate) fn calling_trunk(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
        number: Option<&Number>,
    ) -> Result<String, Box<ResponseDraft>> {
        if let Some(trunk) = self.vouched.take() {
            return Ok(trunk);
        }
        let here = self.trunks_at(flow);
        let owner = number.and_then(|number| here.iter().find(|trunk| trunk.id == number.trunk_id));
        let called = user_of(&request.uri);
        let registered = || here.iter().find(|trunk| self.trunk_registrations.user_of(&trunk.id) == called.as_deref());
        let likeliest = owner.or_else(registered).or(here.first()).map(|trunk| (*trunk).clone());
        match likeliest {
            Some(trunk) if self.needs_no_digest(flow, &trunk) => Ok(trunk.id),
            None if !self.admission.has_credentials() => Err(ResponseDraft::new(StatusCode::FORBIDDEN).into()),
            Some(_) | None => {
                self.proven_trunk(now, flow, request).map_err(|stale| self.trunk_challenge(now, stale).into())
            }
        }
    }

    /// Whether where a trunk speaks from, or the name its certificate has proved there, is enough.
    fn needs_no_digest(&self, flow: Flow, trunk: &Trunk) -> bool {
        trunk.authentication.inbound.is_none() || self.certified(flow).any(|id| id == trunk.id)
    }

    /// The enabled trunks that speak on a flow, the likeliest first.
    fn trunks_at(&self, flow: Flow) -> Vec<&Trunk> {
        let ids = self.speakers(flow).chain(self.trunk_registrations.trunks_at(flow.peer.ip()));
        ids.filter_map(|id| self.directory.trunks.get(id)).filter(|trunk| trunk.enabled).collect()
    }

    /// Whether a flow is all that a trunk needs to speak, and this is one of its.
    pub(crate) fn speaks_by_flow(&self, flow: Flow, id: &str) -> bool {
        self.trunks_at(flow).iter().any(|trunk| trunk.id == id && self.needs_no_digest(flow, trunk))
    }

    /// What a carrier dialled: over a registration, the Request-URI may name nothing but our own Contact, and To the number.
    pub(crate) fn dialled(&self, flow: Flow, request: &Request) -> Option<String> {
        let dialled = user_of(&request.uri)?;
        let is_contact = |trunk: &Trunk| self.trunk_registrations.user_of(&trunk.id) == Some(dialled.as_str());
        let Some(trunk) = self.trunks_at(flow).into_iter().find(|trunk| is_contact(trunk)) else {
            return Some(dialled);
        };
        let to = request.headers.to().ok().flatten().and_then(|to| user_of(&to.uri)).filter(|to| *to != dialled);
        let mut own = self.directory.numbers.values().filter(|number| number.trunk_id == trunk.id);
        // An account with one number need not be told which.
        let only = own.next().filter(|_| own.next().is_none()).map(|number| number.e164.clone());
        Some(to.or(only).unwrap_or(dialled))
    }

    /// The trunk whose digest a request carries; without, whether a nonce is the only thing wrong with it.
    fn proven_trunk(&mut self, now: Instant, flow: Flow, request: &Request) -> Result<String, bool> {
        let directory = self.directory.clone();
        let (address, admission) = (flow.peer.ip(), &self.admission);
        let credentials = |username: &str| {
            let trunk = directory.trunks.get(admission.trunk_called(username)?)?;
            Some((trunk, trunk.authentication.inbound.as_ref()?)).filter(|(trunk, _)| trunk.may_call_from(address))
        };
        let lookup = |username: &str| credentials(username).map(|(_, known)| known.ha1.clone());
        let verdict = match self.authenticator.verify(now, request, "Authorization", lookup) {
            // Some answer any challenge with the other header.
            Verdict::Missing => self.authenticator.verify(now, request, "Proxy-Authorization", lookup),
            verdict @ (Verdict::Accepted { .. } | Verdict::Stale | Verdict::Replayed | Verdict::Wrong { .. }) => {
                verdict
            }
        };
        match verdict {
            Verdict::Accepted { username } => credentials(&username).map(|(trunk, _)| trunk.id.clone()).ok_or(false),
            Verdict::Stale | Verdict::Replayed => Err(true),
            Verdict::Missing => Err(false),
            Verdict::Wrong { .. } => {
                self.counters.authentication_failures += 1;
                Err(false)
            }
        }
    }

    fn trunk_challenge(&mut self, now: Instant, stale: bool) -> ResponseDraft {
        self.counters.challenges += 1;
        let realm = self.directory.realm.clone();
        let challenges = self.authenticator.challenges(now, &realm, stale);
        let draft = ResponseDraft::new(StatusCode::UNAUTHORIZED);
        challenges.into_iter().fold(draft, |draft, value| draft.with_header("WWW-Authenticate", value))
    }
}
