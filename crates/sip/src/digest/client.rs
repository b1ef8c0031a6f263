//! The answering side of digest authentication (RFC 3261 §22.2-22.3, RFC 7616, RFC 8760): whose challenges are answered, how often, and with
//! which of the nonces seen. A challenge is answered only for the realm the credentials are for and only to the host they are for: who else
//! asks would carry the digest home and guess the secret at leisure.

use std::net::IpAddr;

use super::Ha1;
use super::challenge::Challenge;
use crate::flow::Flow;
use crate::message::{Headers, Request, StatusCode};

/// How often one request is sent again: a proxy and the server behind it ask once each, and each may find a nonce stale.
const MAX_TRIES: u8 = 4;

/// With what an endpoint answers the challenges of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCredentials {
    /// The digest username.
    pub username: String,
    /// The one realm whose challenges are answered; compared byte for byte.
    pub realm: String,
    /// The digests of the secret in that realm.
    pub ha1: Ha1,
}

/// Who challenges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Challenger {
    /// The server itself: 401.
    Server,
    /// A proxy on the way: 407.
    Proxy,
}

impl Challenger {
    const ALL: [Self; 2] = [Self::Server, Self::Proxy];

    /// Who sends this status as a challenge.
    pub(crate) fn of(status: StatusCode) -> Option<Self> {
        match status {
            StatusCode::UNAUTHORIZED => Some(Self::Server),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Some(Self::Proxy),
            _ => None,
        }
    }

    fn challenge_header(self) -> &'static str {
        match self {
            Self::Server => "WWW-Authenticate",
            Self::Proxy => "Proxy-Authenticate",
        }
    }

    fn credentials_header(self) -> &'static str {
        match self {
            Self::Server => "Authorization",
            Self::Proxy => "Proxy-Authorization",
        }
    }
}

/// Has a CANCEL or an ACK carry the credentials of its INVITE (RFC 3261 §22.1): neither can be challenged.
pub(crate) fn copy_credentials(invite: &Headers, to: &mut Headers) {
    for name in Challenger::ALL.map(Challenger::credentials_header) {
        for value in invite.get_all(name) {
            to.push(name, value);
        }
    }
}

/// What one request has been through already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Attempts {
    tries: u8,
    answered_server: bool,
    answered_proxy: bool,
}

impl Attempts {
    fn answered(&mut self, challenger: Challenger) -> &mut bool {
        match challenger {
            Challenger::Server => &mut self.answered_server,
            Challenger::Proxy => &mut self.answered_proxy,
        }
    }
}

/// Credentials with the challenges they answered last: of one request, or of all requests of a session.
#[derive(Debug, Clone)]
pub(crate) struct Authorizer {
    credentials: ClientCredentials,
    /// Where they may go.
    host: IpAddr,
    server: Option<Answered>,
    proxy: Option<Answered>,
}

/// A challenge in use.
#[derive(Debug, Clone)]
struct Answered {
    challenge: Challenge,
    cnonce: String,
    /// How often its nonce was used.
    count: u32,
}

impl Authorizer {
    /// One that has not been asked yet. `flow` is where the first request goes.
    pub(crate) fn new(credentials: ClientCredentials, flow: Flow) -> Self {
        Self { credentials, host: flow.peer.ip(), server: None, proxy: None }
    }

    /// One with the same credentials that has not been asked yet.
    pub(crate) fn fresh(&self) -> Self {
        Self { server: None, proxy: None, ..self.clone() }
    }

    fn slot(&mut self, challenger: Challenger) -> &mut Option<Answered> {
        match challenger {
            Challenger::Server => &mut self.server,
            Challenger::Proxy => &mut self.proxy,
        }
    }

    /// Takes a challenge that came to `request` from `flow`. The attempts of the request when it is to be sent again; `None` when the
    /// challenge is not to be answered: it is of another realm or host, unknown to us, or says that the credentials are wrong.
    pub(crate) fn take(
        &mut self,
        flow: Flow,
        request: &Request,
        mut attempts: Attempts,
        challenger: Challenger,
        headers: &Headers,
        cnonce: String,
    ) -> Option<Attempts> {
        if flow.peer.ip() != self.host || attempts.tries >= MAX_TRIES {
            return None;
        }
        let challenges = headers.auth_params(challenger.challenge_header());
        let known = challenges.filter_map(|params| Challenge::of(&params, &self.credentials.realm));
        // Of equals the first: the server's order is one of preference (RFC 8760 §2.3).
        let challenge = known.reduce(|best, next| if next.strength() > best.strength() { next } else { best })?;
        if !challenge.is_stale {
            // The same nonce again, or another after an answer: what was answered is wrong (§22.2).
            let carried = request.headers.auth_params(challenger.credentials_header()).next();
            let same_nonce = carried.and_then(|carried| carried.get("nonce")).is_some_and(|it| it == challenge.nonce);
            if same_nonce || *attempts.answered(challenger) {
                return None;
            }
        }
        attempts.tries += 1;
        *attempts.answered(challenger) = true;
        let slot = self.slot(challenger);
        match slot {
            // Another request of the session has used it already.
            Some(answered) if answered.challenge.nonce == challenge.nonce => answered.challenge = challenge,
            Some(_) | None => *slot = Some(Answered { challenge, cnonce, count: 0 }),
        }
        Some(attempts)
    }

    /// Has a request that goes to `flow` carry what the last challenges asked for, in place of what it carries.
    pub(crate) fn authorize(&mut self, flow: Flow, request: &mut Request) {
        let goes_home = flow.peer.ip() == self.host;
        for challenger in Challenger::ALL {
            let name = challenger.credentials_header();
            request.headers.remove(name);
            let credentials = self.credentials.clone();
            if let Some(answered) = self.slot(challenger).as_mut().filter(|_| goes_home) {
                answered.count = answered.count.saturating_add(1);
                let value = answered.challenge.answer(&credentials, &answered.cnonce, answered.count, request);
                request.headers.push(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Transport;
    use crate::message::{Method, Uri};

    const REALM: &str = "sip.example.net";

    fn flow(last: u8) -> Flow {
        Flow { transport: Transport::Udp, peer: ([192, 0, 2, last], 5060).into(), connection: None, tls: None }
    }

    fn authorizer() -> Authorizer {
        let ha1 = Ha1::new("user", REALM, "secret");
        Authorizer::new(ClientCredentials { username: "user".into(), realm: REALM.into(), ha1 }, flow(1))
    }

    fn request() -> Request {
        Request::new(Method::Invite, Uri::parse("sip:1@sip.example.net").unwrap())
    }

    fn challenge(values: &[&str]) -> Headers {
        let mut headers = Headers::new();
        values.iter().for_each(|value| headers.push("WWW-Authenticate", *value));
        headers
    }

    fn nonce(nonce: &str, extra: &str) -> Headers {
        challenge(&[&format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", qop=\"auth\"{extra}")])
    }

    fn carried(request: &Request, parameter: &str) -> Option<String> {
        request.headers.auth_params("Authorization").next()?.get(parameter).map(std::borrow::Cow::into_owned)
    }

    /// Has a request answer challenge after challenge; the nonce it carries after each, `None` once it gives up.
    fn carry(authorizer: &mut Authorizer, challenges: &[Headers]) -> Vec<Option<String>> {
        let (mut request, mut attempts, mut nonces) = (request(), Attempts::default(), Vec::new());
        for headers in challenges {
            match authorizer.take(flow(1), &request, attempts, Challenger::Server, headers, "c".into()) {
                Some(next) => {
                    attempts = next;
                    authorizer.authorize(flow(1), &mut request);
                    nonces.push(carried(&request, "nonce"));
                }
                None => nonces.push(None),
            }
        }
        nonces
    }

    #[test]
    fn a_second_challenge_is_a_refusal_unless_only_the_nonce_was_stale() {
        let some = |nonce: &str| Some(nonce.to_owned());
        assert_eq!(carry(&mut authorizer(), &[nonce("a", ""), nonce("a", "")]), [some("a"), None]);
        assert_eq!(carry(&mut authorizer(), &[nonce("a", ""), nonce("b", "")]), [some("a"), None]);
        assert_eq!(carry(&mut authorizer(), &[nonce("a", ""), nonce("b", ", stale=true")]), [some("a"), some("b")]);
        let endless: Vec<_> = (0..6).map(|it| nonce(&it.to_string(), ", stale=true")).collect();
        assert_eq!(carry(&mut authorizer(), &endless).iter().flatten().count(), usize::from(MAX_TRIES));
    }

    #[test]
    fn a_nonce_is_used_again_with_the_next_count_and_its_end_costs_one_more_try() {
        let mut authorizer = authorizer();
        carry(&mut authorizer, &[nonce("a", "")]);
        let mut second = request();
        authorizer.authorize(flow(1), &mut second);
        assert_eq!(
            (carried(&second, "nonce").as_deref(), carried(&second, "nc").as_deref()),
            (Some("a"), Some("00000002"))
        );
        let take = |authorizer: &mut Authorizer, headers: &Headers| {
            authorizer.take(flow(1), &second, Attempts::default(), Challenger::Server, headers, "d".into())
        };
        // Sent unasked with a nonce that was good for one request only.
        assert!(take(&mut authorizer, &nonce("a", "")).is_none());
        assert!(take(&mut authorizer, &nonce("b", "")).is_some());
        let mut again = second.clone();
        authorizer.authorize(flow(1), &mut again);
        assert_eq!(
            (carried(&again, "nonce").as_deref(), carried(&again, "nc").as_deref()),
            (Some("b"), Some("00000001"))
        );
        assert_eq!(again.headers.get_all("Authorization").count(), 1);
    }

    #[test]
    fn the_strongest_challenge_is_answered_wherever_it_stands() {
        let parts = |algorithm: &str, nonce: &str| {
            format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm={algorithm}")
        };
        let (md5, sha, sess) = (parts("MD5", "m"), parts("SHA-256", "s"), parts("SHA-256-sess", "t"));
        let unknown = parts("SHA-512-256", "u");
        for (values, chosen) in [
            (vec![&*md5, &*sha], "s"),
            (vec![&*sha, &*md5], "s"),
            (vec![&*unknown, &*md5, &*sess], "t"),
            (vec!["Basic realm=\"x\"", "Digest realm=\"elsewhere\", nonce=\"e\"", &*md5], "m"),
        ] {
            assert_eq!(carry(&mut authorizer(), &[challenge(&values)]), [Some(chosen.to_owned())]);
        }
    }

    #[test]
    fn no_other_host_gets_a_digest_whether_it_asks_or_not() {
        let mut authorizer = authorizer();
        let mut take = |from| {
            let (request, headers) = (request(), nonce("a", ""));
            authorizer.take(flow(from), &request, Attempts::default(), Challenger::Server, &headers, "c".into())
        };
        assert!(take(2).is_none() && take(1).is_some());
        let mut elsewhere = request().with_header("Authorization", "Digest left=over");
        authorizer.authorize(flow(2), &mut elsewhere);
        assert!(!elsewhere.headers.contains("Authorization"));
    }

    #[test]
    fn a_proxy_and_the_server_behind_it_are_both_answered() {
        let (mut authorizer, mut request) = (authorizer(), request());
        let mut proxy = Headers::new();
        proxy.push("Proxy-Authenticate", format!("Digest realm=\"{REALM}\", nonce=\"p\""));
        let first = authorizer.take(flow(1), &request, Attempts::default(), Challenger::Proxy, &proxy, "c".into());
        authorizer.authorize(flow(1), &mut request);
        let second =
            authorizer.take(flow(1), &request, first.unwrap(), Challenger::Server, &nonce("s", ""), "c".into());
        authorizer.authorize(flow(1), &mut request);
        assert!(second.is_some() && carried(&request, "nonce").as_deref() == Some("s"));
        assert!(request.headers.get("Proxy-Authorization").is_some_and(|value| value.contains("nonce=\"p\"")));
        assert!(authorizer.take(flow(1), &request, second.unwrap(), Challenger::Proxy, &proxy, "c".into()).is_none());
    }
}
