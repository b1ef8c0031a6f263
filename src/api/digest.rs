//! Agents at the API by HTTP Digest (RFC 7616), with the realm and the credentials they phone with. Nonces are the API's own. Decides who
//! asks, not what they may do.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use sip::{Authenticator, Verdict};
use switchboard::Directory;

use super::Problem;
use crate::net::limits::customer;

/// Wrong answers from one address for one username within [`WINDOW`], after which no more are looked at: far beyond a page with a stale
/// secret, and nothing to guess one of 12 characters with.
const MAX_WRONG: u32 = 10;

/// How long wrong answers count.
const WINDOW: Duration = Duration::from_secs(60);

/// Address and username pairs whose wrong answers are counted; the oldest of too many is forgotten.
const MAX_TALLIES: usize = 4_096;

/// The checking of agents' credentials, shared by all requests.
#[derive(Clone)]
pub struct AgentAccess(Arc<Mutex<Checks>>);

struct Checks {
    authenticator: Authenticator,
    wrong: HashMap<(IpAddr, String), Tally>,
}

#[derive(Debug, Clone, Copy)]
struct Tally {
    since: Instant,
    count: u32,
}

/// An agent whose credentials verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agent {
    /// The number of its extension.
    pub(super) extension: String,
    /// `crd_…`
    pub(super) credential: String,
}

/// A request as far as its credentials concern it.
pub(super) struct Claim<'a> {
    /// Whence it came.
    pub(super) address: IpAddr,
    pub(super) method: &'a str,
    /// Path and query.
    pub(super) target: &'a str,
    /// The values of `Authorization`.
    pub(super) credentials: Vec<&'a str>,
}

/// Why a request is no agent's.
#[derive(Debug)]
pub(super) enum Denial {
    /// Its credentials do not answer a challenge of ours rightly, or only an old one (`stale`).
    Unauthenticated { stale: bool },
    /// It is refused whatever it answers.
    Refused(Problem),
}

impl Default for AgentAccess {
    fn default() -> Self {
        let checks = Checks { authenticator: Authenticator::new(rand::random()), wrong: HashMap::new() };
        Self(Arc::new(Mutex::new(checks)))
    }
}

impl AgentAccess {
    /// The values of two `WWW-Authenticate` headers, SHA-256 first.
    pub(super) fn challenges(&self, now: Instant, realm: &str, stale: bool) -> [String; 2] {
        self.checks().authenticator.challenges(now, realm, stale)
    }

    /// Who asks, by the directory as it is now.
    pub(super) fn verify(&self, now: Instant, claim: &Claim<'_>, directory: &Directory) -> Result<Agent, Denial> {
        let mut checks = self.checks();
        let peer = customer(claim.address);
        // Counted under the name that is claimed: guesses at one agent's secret do not shut the others out. Of several credentials any may
        // be the one that is looked at.
        for named in claim.credentials.iter().filter_map(|value| sip::AuthParams::parse(value)?.get("username")) {
            if let Some(left) = checks.shut_out(now, &(peer, named.into_owned())) {
                let detail = "too many wrong answers for this username: wait before the next";
                let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail);
                return Err(Denial::Refused(problem.with_retry_after(left)));
            }
        }
        let lookup = |username: &str| directory.credentials.get(username).map(|credential| credential.ha1.clone());
        let credentials = claim.credentials.iter().copied();
        match checks.authenticator.verify_http(now, claim.method, claim.target, credentials, lookup) {
            Verdict::Accepted { username } => {
                let credential = directory.credentials.get(&username);
                checks.wrong.remove(&(peer, username.clone()));
                let allowed = credential.filter(|credential| directory.may_use(&credential.extension));
                let agent = allowed
                    .map(|allowed| Agent { extension: allowed.extension.clone(), credential: allowed.id.clone() });
                agent.ok_or_else(|| {
                    let detail = "the agent is disabled or unknown";
                    Denial::Refused(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
                })
            }
            Verdict::Missing => Err(Denial::Unauthenticated { stale: false }),
            Verdict::Stale | Verdict::Replayed => Err(Denial::Unauthenticated { stale: true }),
            Verdict::Wrong { username } => {
                checks.count(now, (peer, username));
                Err(Denial::Unauthenticated { stale: false })
            }
        }
    }

    fn checks(&self) -> std::sync::MutexGuard<'_, Checks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Checks {
    /// How long no answer for a username is looked at any more.
    fn shut_out(&self, now: Instant, key: &(IpAddr, String)) -> Option<Duration> {
        let tally = self.wrong.get(key).filter(|tally| tally.count >= MAX_WRONG)?;
        let left = (tally.since + WINDOW).saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    fn count(&mut self, now: Instant, key: (IpAddr, String)) {
        let is_over = |tally: &Tally| now.saturating_duration_since(tally.since) >= WINDOW;
        if self.wrong.len() >= MAX_TALLIES && !self.wrong.contains_key(&key) {
            self.wrong.retain(|_, tally| !is_over(tally));
            let oldest = self.wrong.iter().min_by_key(|(_, tally)| tally.since).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest.filter(|_| self.wrong.len() >= MAX_TALLIES) {
                self.wrong.remove(&oldest);
            }
        }
        let tally = self.wrong.entry(key).or_insert(Tally { since: now, count: 0 });
        if is_over(tally) {
            *tally = Tally { since: now, count: 0 };
        }
        tally.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(access: &AgentAccess, now: Instant, address: [u8; 4], username: &str) -> Denial {
        let realm = "phone.test";
        let [challenge, _] = access.challenges(now, realm, false);
        let nonce = sip::AuthParams::parse(&challenge).unwrap().get("nonce").unwrap().into_owned();
        let value = format!(
            "Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"/v1/calls\", response=\"00\", \
             algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"a\""
        );
        let claim =
            Claim { address: address.into(), method: "GET", target: "/v1/calls", credentials: vec![value.as_str()] };
        access.verify(now, &claim, &Directory::default()).unwrap_err()
    }

    fn is_shut_out(denial: &Denial) -> bool {
        matches!(denial, Denial::Refused(problem) if problem.status == 429)
    }

    #[test]
    fn guesses_at_one_agents_secret_from_one_address_are_looked_at_ten_times_a_minute() {
        let (access, start) = (AgentAccess::default(), Instant::now());
        let (here, there) = ([192, 0, 2, 1], [192, 0, 2, 2]);
        for guess in 0..MAX_WRONG {
            let now = start + Duration::from_secs(guess.into());
            assert!(!is_shut_out(&wrong(&access, now, here, "100")), "{guess}");
        }
        let soon = start + Duration::from_secs(59);
        assert!(is_shut_out(&wrong(&access, soon, here, "100")));
        assert!(!is_shut_out(&wrong(&access, soon, here, "101")), "another agent behind the same address");
        assert!(!is_shut_out(&wrong(&access, soon, there, "100")), "the agent itself, elsewhere");
        assert!(!is_shut_out(&wrong(&access, start + WINDOW, here, "100")));
    }

    #[test]
    fn guesses_at_ever_other_names_take_no_more_than_so_much_memory() {
        let (access, start) = (AgentAccess::default(), Instant::now());
        for guess in 0..MAX_TALLIES + 10 {
            let now = start + Duration::from_millis(u64::try_from(guess).unwrap());
            wrong(&access, now, [192, 0, 2, 1], &guess.to_string());
        }
        assert_eq!(access.checks().wrong.len(), MAX_TALLIES);
    }
}
