//! Our registrations at trunks (RFC 3261 §10.2): when each is due, where, and what became of it. One series of REGISTERs a trunk, over its
//! gateways in their order until one takes it; refreshed before it runs out, tried again ever later while it fails. Sends nothing itself.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sip::{ClientCredentials, Contacts, Host, OutgoingId, Response, StatusCode, Uri};

use crate::config::Clock;
use crate::directory::{Hop, Trunk};
use crate::ids::Ids;
use crate::output::{TrunkRegistration, TrunkRegistrationState};

/// First wait after nobody could be reached, and the longest: a carrier's outage is over sooner or later.
const UNREACHABLE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// First wait after a refusal, and the longest: carriers lock out who guesses passwords.
const REFUSED: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(1800));

/// The longest wait a carrier may ask for.
const MAX_RETRY_AFTER: u32 = 3600;

/// The longest interval a 423 may ask for, a week.
const MAX_INTERVAL: u32 = 7 * 86_400;

/// What a trunk's registration is made of; another plan is another registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) credentials: ClientCredentials,
    expires: Duration,
    /// Gateways as configured: their order matters, addresses come and go.
    hosts: Vec<String>,
    /// The domain of the address registered, when it is not the gateway's.
    domain: Option<String>,
}

impl Plan {
    /// What a trunk wants; `None` for nothing.
    pub(crate) fn of(trunk: &Trunk) -> Option<Self> {
        let authentication = &trunk.authentication;
        let expires = authentication.register.filter(|_| trunk.enabled)?;
        Some(Self {
            credentials: authentication.outbound.clone()?,
            expires,
            hosts: trunk.gateways.iter().map(|gateway| gateway.host.clone()).collect(),
            domain: trunk.border.caller_id.domain.clone(),
        })
    }

    /// User and domain of the address registered. Some carriers' usernames have a domain of their own.
    pub(crate) fn address(&self, at: &Uri) -> (String, Option<Host>) {
        account(&self.credentials.username, self.domain.as_deref(), at)
    }

    /// The user part of our Contact, and so of the Request-URI of calls that come over the registration.
    pub(crate) fn user(&self) -> &str {
        self.credentials.username.rsplit_once('@').map_or(self.credentials.username.as_str(), |(user, _)| user)
    }
}

/// User and domain of the address that is registered with this username at a registrar: the username's own domain, if it has one, else that
/// of the trunk, else the registrar's.
#[must_use]
pub fn account(username: &str, domain: Option<&str>, at: &Uri) -> (String, Option<Host>) {
    let (user, own) = match username.rsplit_once('@') {
        Some((user, domain)) => (user, Some(domain)),
        None => (username, None),
    };
    let named = own.or(domain).and_then(Host::parse);
    (user.to_owned(), named.or_else(|| at.host().cloned()))
}

/// One address a REGISTER may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The gateway as configured.
    pub(crate) host: String,
    pub(crate) hop: Hop,
}

/// A registration that holds.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) target: Target,
    pub(crate) until: Instant,
}

/// Why a registration does not hold.
#[derive(Debug, Clone)]
struct Failure {
    status: Option<u16>,
    reason: String,
}

/// What a registration waits for.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    /// A REGISTER is under way; without an answer until then the next address is tried, when there is one.
    Asking { id: OutgoingId, target: Target, patience: Option<Instant> },
    /// Until the next is due; for ever when that takes a change of the directory.
    Waiting(Option<Instant>),
}

/// One trunk's.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) plan: Plan,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    pub(crate) phase: Phase,
    /// Still to be tried in this round.
    left: VecDeque<Target>,
    /// What is asked for, in seconds; more than planned after a 423.
    pub(crate) interval: u32,
    /// Rounds that failed in a row.
    failures: u32,
    pub(crate) bound: Option<Bound>,
    failure: Option<Failure>,
    shown: Option<TrunkRegistration>,
}

/// What is to be done next for a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing until its time comes.
    Wait,
    /// REGISTER there.
    Ask(Target),
}

impl Registration {
    pub(crate) fn new(now: Instant, plan: Plan, call_id: String) -> Self {
        let interval = u32::try_from(plan.expires.as_secs()).unwrap_or(MAX_INTERVAL);
        Self {
            plan,
            call_id,
            cseq: 0,
            phase: Phase::Waiting(Some(now)),
            left: VecDeque::new(),
            interval,
            failures: 0,
            bound: None,
            failure: None,
            shown: None,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let own = match &self.phase {
            Phase::Asking { patience, .. } => *patience,
            Phase::Waiting(until) => *until,
        };
        own.into_iter().chain(self.bound.as_ref().map(|bound| bound.until)).min()
    }

    /// Begins a round: where it holds first, then the other addresses of the trunk in their order.
    pub(crate) fn begin(&mut self, trunk: &Trunk) -> Next {
        let all = trunk
            .gateways
            .iter()
            .flat_map(|gateway| gateway.hops.iter().map(|hop| Target { host: gateway.host.clone(), hop: *hop }));
        let mut all: VecDeque<Target> = all.collect();
        if let Some(held) = self.bound.as_ref().and_then(|bound| all.iter().position(|it| *it == bound.target)) {
            all.rotate_left(held);
        }
        self.left = all;
        self.left.pop_front().map_or_else(|| self.no_address(), Next::Ask)
    }

    /// A REGISTER was sent.
    pub(crate) fn asks(&mut self, id: OutgoingId, target: Target, patience: Instant) {
        self.cseq += 1;
        let patience = (!self.left.is_empty()).then_some(patience);
        self.phase = Phase::Asking { id, target, patience };
    }

    /// The directory is another: if an address was waited for, there may be one.
    pub(crate) fn addresses_changed(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Waiting(None)) {
            self.phase = Phase::Waiting(Some(now));
        }
    }

    /// The address asked is not waited for any longer: there is another.
    pub(crate) fn out_of_patience(&mut self) -> Next {
        self.left.pop_front().map_or(Next::Wait, Next::Ask)
    }

    /// How it was shown last.
    pub(crate) fn shown(&self) -> Option<&TrunkRegistration> {
        self.shown.as_ref()
    }

    fn no_address(&mut self) -> Next {
        let reason = "No address of the trunk's gateways is known.".to_owned();
        self.failure = Some(Failure { status: None, reason });
        self.phase = Phase::Waiting(None);
        Next::Wait
    }

    pub(crate) fn accepted(
        &mut self,
        now: Instant,
        target: Target,
        contact: &Uri,
        response: &Response,
        ids: &mut Ids,
    ) -> Next {
        let granted = granted(response, contact).unwrap_or(self.interval);
        if granted == 0 {
            let reason = "The carrier accepted the registration for no time at all.".to_owned();
            return self.give_up(now, Some(200), reason, None, ids);
        }
        let lasts = Duration::from_secs(granted.min(MAX_INTERVAL).into());
        // Not all trunks at once, and soon enough for one more attempt.
        let refresh = lasts * (75 + ids.below(15)) / 100;
        self.bound = Some(Bound { target, until: now + lasts });
        (self.failures, self.failure) = (0, None);
        self.phase = Phase::Waiting(Some(now + refresh));
        Next::Wait
    }

    /// The next address, or the end of the round.
    pub(crate) fn refused(&mut self, now: Instant, target: Target, response: &Response, ids: &mut Ids) -> Next {
        let status = response.status;
        if status == StatusCode::INTERVAL_TOO_BRIEF
            && let Some(least) = seconds(response, "Min-Expires").filter(|least| *least > self.interval)
            && least <= MAX_INTERVAL
        {
            self.interval = least;
            return Next::Ask(target);
        }
        let elsewhere = status == StatusCode::REQUEST_TIMEOUT || status.class() == 5;
        match self.left.pop_front() {
            Some(next) if elsewhere => Next::Ask(next),
            Some(_) | None => {
                let retry_after = seconds(response, "Retry-After").map(|wait| wait.min(MAX_RETRY_AFTER));
                self.give_up(now, Some(status.code()), self.in_words(response), retry_after, ids)
            }
        }
    }

    fn give_up(
        &mut self,
        now: Instant,
        status: Option<u16>,
        reason: String,
        retry_after: Option<u32>,
        ids: &mut Ids,
    ) -> Next {
        let reachable = status.is_some_and(|status| status != 408 && status / 100 != 5);
        let (base, most) = if reachable { REFUSED } else { UNREACHABLE };
        let wait = (base * 2u32.pow(self.failures.min(10))).min(most);
        let jittered = wait * (50 + ids.below(51)) / 100;
        let wait = jittered.max(Duration::from_secs(retry_after.unwrap_or(0).into()));
        self.failures += 1;
        self.left.clear();
        self.failure = Some(Failure { status, reason });
        self.phase = Phase::Waiting(Some(now + wait));
        Next::Wait
    }

    fn in_words(&self, response: &Response) -> String {
        // A response that we made ourselves has no tag of the peer's.
        let is_local = response.headers.to().ok().flatten().is_none_or(|to| to.tag().is_none());
        let ours = &self.plan.credentials.realm;
        let header = match response.status {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => "Proxy-Authenticate",
            _ => "WWW-Authenticate",
        };
        let realms = || response.headers.auth_params(header).filter_map(|params| params.get("realm"));
        match response.status {
            StatusCode::REQUEST_TIMEOUT if is_local => "The carrier does not respond.".to_owned(),
            StatusCode::SERVICE_UNAVAILABLE if is_local => "The carrier cannot be reached.".to_owned(),
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                let other = realms().find(|realm| *realm != ours.as_str());
                match other.filter(|_| realms().all(|realm| realm != ours.as_str())) {
                    Some(other) => format!(
                        "The carrier asks for credentials of the realm \"{}\", but the trunk's are for \"{ours}\".",
                        other.chars().filter(|c| !c.is_control()).take(120).collect::<String>()
                    ),
                    None => "The carrier does not accept the username or password.".to_owned(),
                }
            }
            StatusCode::FORBIDDEN => "The carrier forbids the registration (403): is the account active?".to_owned(),
            StatusCode::NOT_FOUND => "The carrier does not know the address that is registered (404).".to_owned(),
            status => format!("The carrier refused the registration with {status} {}.", response.reason),
        }
    }

    fn state(&self, clock: &Clock) -> TrunkRegistrationState {
        match (&self.failure, &self.bound, &self.phase) {
            (Some(failure), _, phase) => TrunkRegistrationState::Failed {
                status: failure.status,
                reason: failure.reason.clone(),
                retry_at: match phase {
                    Phase::Waiting(until) => until.map(|until| clock.at(until)),
                    Phase::Asking { .. } => None,
                },
            },
            (None, Some(bound), _) => TrunkRegistrationState::Registered {
                registrar: bound.target.hop.address,
                expires_at: clock.at(bound.until),
            },
            (None, None, _) => TrunkRegistrationState::Registering,
        }
    }

    /// How it stands, when that is not what was shown last.
    pub(crate) fn changed(&mut self, now: Instant, clock: &Clock) -> Option<TrunkRegistration> {
        let state = self.state(clock);
        let same = |shown: &&TrunkRegistration| std::mem::discriminant(&shown.state) == std::mem::discriminant(&state);
        let since = self.shown.as_ref().filter(same).map_or_else(|| clock.at(now), |shown| shown.since);
        let view = TrunkRegistration { state, since };
        if self.shown.as_ref() == Some(&view) {
            return None;
        }
        self.shown = Some(view.clone());
        Some(view)
    }
}

/// How long our Contact is registered by a 2xx (§10.2.4): its own parameter, else what the whole response says. A registrar that rewrites
/// Contacts for NAT lists one that is ours all the same when there is no other.
fn granted(response: &Response, contact: &Uri) -> Option<u32> {
    let contacts = response.headers.contacts().ok();
    let listed = contacts.as_deref().map(Contacts::list).unwrap_or_default();
    let ours = listed.iter().find(|it| it.uri().is_equivalent(contact));
    let same_user = || listed.iter().find(|it| it.uri().user() == contact.user());
    let only = || listed.first().filter(|_| listed.len() == 1);
    let ours = ours.or_else(same_user).or_else(only);
    ours.and_then(|it| it.expires()).or_else(|| response.headers.expires().ok().flatten())
}

/// A number of seconds at the beginning of a header; what follows it is for people.
fn seconds(response: &Response, header: &str) -> Option<u32> {
    let text = response.headers.get(header)?.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let digits = text.get(..end).filter(|digits| !digits.is_empty())?;
    Some(digits.parse().unwrap_or(u32::MAX))
}
