//! The checking side of digest authentication. Offers SHA-256 first and MD5 last, because browser clients keep the last
//! challenge and know MD5 only (RFC 8760 §2.3 order). `qop=auth` is always offered; a client that leaves it out (RFC 2069) may use
//! each nonce once. `userhash`, `auth-int` and the `-sess` algorithms are not offered and not accepted.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Instant;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use subtle::ConstantTimeEq;

use super::algorithm::{Algorithm, Protection};
use super::ha1::Ha1;
use super::nonce::{Nonces, Standing};
use crate::hexadecimal::hexadecimal;
use crate::message::{AuthParams, Request, Uri};

/// What a challenge takes beside its realm.
const CHALLENGE_ROOM: usize = 200;

/// Issues challenges and checks the credentials that answer them.
#[derive(Debug)]
pub struct Authenticator {
    nonces: Nonces,
    opaque: String,
    /// Compared against when the username is unknown, so that both answers take the same time.
    nobody: Ha1,
}

/// What became of a request's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They are right.
    Accepted {
        /// Whose they are.
        username: String,
    },
    /// There are none that answer a challenge of ours: challenge.
    Missing,
    /// They are right, but their nonce is too old: challenge with `stale=true`.
    Stale,
    /// They are right, but were used before: challenge with `stale=true`; a copied request gets no further.
    Replayed,
    /// They are wrong: unknown username, wrong secret, or another URI than the request's.
    Wrong {
        /// Whose they claim to be.
        username: String,
    },
}

impl Authenticator {
    /// An authenticator whose nonces nobody without the seed can forge.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        let mut random = ChaCha20Rng::from_seed(seed);
        Self {
            nonces: Nonces::new(random.random()),
            opaque: hexadecimal(&random.random::<[u8; 16]>()),
            nobody: Ha1 { md5: random.random(), sha256: random.random() },
        }
    }

    /// The values for two `WWW-Authenticate` or `Proxy-Authenticate` headers, in the order they must be written: SHA-256, MD5.
    pub fn challenges(&mut self, now: Instant, realm: &str, stale: bool) -> [String; 2] {
        let nonce = self.nonces.issue(now, realm);
        let realm = if realm.contains(['\\', '"']) {
            Cow::Owned(realm.replace('\\', "\\\\").replace('"', "\\\""))
        } else {
            Cow::Borrowed(realm)
        };
        let stale = if stale { ", stale=true" } else { "" };
        [Algorithm::Sha256, Algorithm::Md5].map(|algorithm| {
            let (opaque, algorithm) = (&self.opaque, algorithm.token());
            let mut challenge = String::with_capacity(CHALLENGE_ROOM + realm.len());
            // Writing into memory cannot fail.
            let _ = write!(
                challenge,
                "Digest realm=\"{realm}\", nonce=\"{nonce}\", opaque=\"{opaque}\", algorithm={algorithm}, qop=\"auth\"{stale}"
            );
            challenge
        })
    }

    /// Checks the credentials in `header` (`Authorization` or `Proxy-Authorization`). A nonce only answers the realm it was issued
    /// for. `lookup` gives the digests of a username in that realm.
    pub fn verify(
        &mut self,
        now: Instant,
        request: &Request,
        header: &str,
        lookup: impl FnMut(&str) -> Option<Ha1>,
    ) -> Verdict {
        let is_named = |uri: &str| Uri::parse(uri).is_ok_and(|uri| uri.is_equivalent(&request.uri));
        let credentials = request.headers.auth_params(header);
        self.verify_any(now, request.method.as_str(), &is_named, credentials, lookup)
    }

    /// Checks the values of an HTTP request's `Authorization` (RFC 7616). `target` is its request target in origin form: path and query.
    pub fn verify_http<'a>(
        &mut self,
        now: Instant,
        method: &str,
        target: &str,
        credentials: impl IntoIterator<Item = &'a str>,
        lookup: impl FnMut(&str) -> Option<Ha1>,
    ) -> Verdict {
        let credentials = credentials.into_iter().filter_map(AuthParams::parse);
        self.verify_any(now, method, &|uri| uri == target, credentials, lookup)
    }

    /// Checks whichever credentials answer a challenge of ours. `is_named` tells whether their URI is the request's.
    fn verify_any<'a>(
        &mut self,
        now: Instant,
        method: &str,
        is_named: &impl Fn(&str) -> bool,
        credentials: impl Iterator<Item = AuthParams<'a>>,
        mut lookup: impl FnMut(&str) -> Option<Ha1>,
    ) -> Verdict {
        for auth in credentials.filter(AuthParams::is_digest) {
            if let Some(verdict) = self.verify_one(now, method, is_named, &auth, &mut lookup) {
                return verdict;
            }
        }
        Verdict::Missing
    }

    /// `None` when these credentials answer somebody else's challenge.
    fn verify_one(
        &mut self,
        now: Instant,
        method: &str,
        is_named: &impl Fn(&str) -> bool,
        auth: &AuthParams<'_>,
        lookup: &mut impl FnMut(&str) -> Option<Ha1>,
    ) -> Option<Verdict> {
        let (realm, nonce, username) = (auth.get("realm")?, auth.get("nonce")?, auth.get("username")?);
        let standing = self.nonces.check(now, &realm, &nonce);
        if standing == Standing::Foreign {
            return None;
        }
        let algorithm = Algorithm::from_token(auth.get("algorithm").as_deref())?;
        let wrong = || Some(Verdict::Wrong { username: username.clone().into_owned() });
        let (nc, cnonce) = (auth.get("nc"), auth.get("cnonce"));
        let (protection, count) = match (auth.get("qop").as_deref(), nc.as_deref(), cnonce.as_deref()) {
            (None, _, _) => (Protection::None, 1),
            (Some(qop), Some(nc), Some(cnonce)) if qop.eq_ignore_ascii_case("auth") => {
                let Some(count) = nonce_count(nc) else { return wrong() };
                (Protection::Auth { nc, cnonce }, count)
            }
            (Some(_), _, _) => return wrong(),
        };
        let (uri, response) = (auth.get("uri")?, auth.get("response")?);
        let known = lookup(&username);
        let ha1 = known.as_ref().unwrap_or(&self.nobody);
        let expected = algorithm.response(&algorithm.secret(ha1), &nonce, method, &uri, protection);
        let right = bool::from(expected.as_bytes().ct_eq(response.to_ascii_lowercase().as_bytes()));
        if !right || known.is_none() || !is_named(&uri) {
            return wrong();
        }
        Some(match standing {
            Standing::Fresh(number) if self.nonces.use_count(number, count) => {
                Verdict::Accepted { username: username.into_owned() }
            }
            Standing::Fresh(_) => Verdict::Replayed,
            Standing::Stale | Standing::Foreign => Verdict::Stale,
        })
    }
}

/// Eight hex digits (RFC 7616 §3.4); fewer are let through.
fn nonce_count(text: &str) -> Option<u32> {
    let hex = !text.is_empty() && text.len() <= 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a simulated clock starts somewhere")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::Method;

    const REALM: &str = "phone.example.com";

    struct Client {
        challenge: String,
        algorithm: Algorithm,
    }

    impl Client {
        fn new(challenges: &[String; 2], algorithm: Algorithm) -> Self {
            let challenge =
                challenges.iter().find(|c| c.contains(&format!("algorithm={},", algorithm.token()))).unwrap();
            Self { challenge: challenge.clone(), algorithm }
        }

        fn request(&self, username: &str, password: &str, nc: Option<&str>, uri: &str) -> Request {
            let challenge = AuthParams::parse(&self.challenge).unwrap();
            let nonce = challenge.get("nonce").unwrap();
            let ha1 = Ha1::new(username, REALM, password);
            let protection = nc.map_or(Protection::None, |nc| Protection::Auth { nc, cnonce: "0a4f113b" });
            let response = self.algorithm.response(&self.algorithm.secret(&ha1), &nonce, "REGISTER", uri, protection);
            let qop = nc.map(|nc| format!(", qop=auth, nc={nc}, cnonce=\"0a4f113b\"")).unwrap_or_default();
            let value = format!(
                "Digest username=\"{username}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", algorithm={}{qop}",
                self.algorithm.token()
            );
            Request::new(Method::Register, Uri::parse("sip:phone.example.com").unwrap())
                .with_header("Authorization", value)
        }
    }

    fn lookup(username: &str) -> Option<Ha1> {
        (username == "100").then(|| Ha1::new("100", REALM, "open sesame"))
    }

    fn accepted() -> Verdict {
        Verdict::Accepted { username: "100".into() }
    }

    #[test]
    fn sha_256_is_offered_first_and_md5_last() {
        let challenges = Authenticator::new([1; 32]).challenges(Instant::now(), REALM, false);
        assert!(challenges[0].contains("algorithm=SHA-256,") && challenges[1].contains("algorithm=MD5,"));
        assert!(challenges.iter().all(|c| c.contains("qop=\"auth\"") && !c.contains("stale")));
    }

    #[test]
    fn the_right_secret_is_accepted_once_for_each_count() {
        for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
            let (now, mut authenticator) = (Instant::now(), Authenticator::new([1; 32]));
            let client = Client::new(&authenticator.challenges(now, REALM, false), algorithm);
            let mut verify = |nc| {
                let request = client.request("100", "open sesame", nc, "sip:phone.example.com");
                authenticator.verify(now, &request, "Authorization", lookup)
            };
            assert_eq!(verify(Some("00000001")), accepted());
            assert_eq!(verify(Some("00000001")), Verdict::Replayed);
            assert_eq!(verify(Some("00000009")), accepted());
            assert_eq!(verify(Some("00000004")), accepted());
            assert_eq!(verify(None), Verdict::Replayed);
        }
    }

    #[test]
    fn without_qop_a_nonce_is_good_once() {
        let (now, mut authenticator) = (Instant::now(), Authenticator::new([1; 32]));
        let client = Client::new(&authenticator.challenges(now, REALM, false), Algorithm::Md5);
        let request = client.request("100", "open sesame", None, "sip:phone.example.com");
        assert_eq!(authenticator.verify(now, &request, "Authorization", lookup), accepted());
        assert_eq!(authenticator.verify(now, &request, "Authorization", lookup), Verdict::Replayed);
    }

    #[test]
    fn an_old_nonce_is_stale_only_with_the_right_secret() {
        let (now, mut authenticator) = (Instant::now(), Authenticator::new([1; 32]));
        let client = Client::new(&authenticator.challenges(now, REALM, false), Algorithm::Sha256);
        let later = now + Duration::from_secs(301);
        let right = client.request("100", "open sesame", Some("00000001"), "sip:phone.example.com");
        assert_eq!(authenticator.verify(later, &right, "Authorization", lookup), Verdict::Stale);
        let wrong = client.request("100", "guess", Some("00000001"), "sip:phone.example.com");
        assert_eq!(
            authenticator.verify(later, &wrong, "Authorization", lookup),
            Verdict::Wrong { username: "100".into() }
        );
        assert!(authenticator.challenges(later, REALM, true)[0].ends_with("stale=true"));
    }

    #[test]
    fn wrong_secret_unknown_user_and_foreign_uri_are_wrong() {
        let (now, mut authenticator) = (Instant::now(), Authenticator::new([1; 32]));
        let client = Client::new(&authenticator.challenges(now, REALM, false), Algorithm::Sha256);
        for (username, password, uri) in [
            ("100", "guess", "sip:phone.example.com"),
            ("101", "open sesame", "sip:phone.example.com"),
            ("100", "open sesame", "sip:elsewhere.example.com"),
        ] {
            let request = client.request(username, password, Some("00000001"), uri);
            let verdict = authenticator.verify(now, &request, "Authorization", lookup);
            assert_eq!(verdict, Verdict::Wrong { username: username.into() });
        }
    }

    #[test]
    fn other_schemes_headers_and_issuers_are_as_good_as_none() {
        let (now, mut authenticator) = (Instant::now(), Authenticator::new([1; 32]));
        let foreign = Client::new(&Authenticator::new([2; 32]).challenges(now, REALM, false), Algorithm::Sha256);
        let request = foreign.request("100", "open sesame", Some("00000001"), "sip:phone.example.com");
        assert_eq!(authenticator.verify(now, &request, "Authorization", lookup), Verdict::Missing);
        assert_eq!(authenticator.verify(now, &request, "Proxy-Authorization", lookup), Verdict::Missing);
        let mut request = Request::new(Method::Register, Uri::parse("sip:phone.example.com").unwrap());
        request.headers.push("Authorization", "NoOneKnowsThisScheme opaque-data=here");
        assert_eq!(authenticator.verify(now, &request, "Authorization", lookup), Verdict::Missing);
    }

    #[test]
    fn an_http_request_is_checked_by_its_method_and_target_alone() {
        let (now, mut authenticator) = (Instant::now(), Authenticator::new([1; 32]));
        let challenges = authenticator.challenges(now, REALM, false);
        let nonce = AuthParams::parse(&challenges[0]).unwrap().get("nonce").unwrap().into_owned();
        let mut count = 0;
        let mut verify = |method: &str, target: &str| {
            count += 1;
            let nc = format!("{count:08x}");
            let (ha1, protection) = (lookup("100").unwrap(), Protection::Auth { nc: &nc, cnonce: "0a4f113b" });
            let secret = Algorithm::Sha256.secret(&ha1);
            let response = Algorithm::Sha256.response(&secret, &nonce, "GET", "/v1/calls?limit=2", protection);
            let value = format!(
                "Digest username=\"100\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"/v1/calls?limit=2\", \
                 response=\"{response}\", algorithm=SHA-256, qop=auth, nc={nc}, cnonce=\"0a4f113b\""
            );
            authenticator.verify_http(now, method, target, ["Bearer pk_1", &value], lookup)
        };
        let wrong = Verdict::Wrong { username: "100".into() };
        assert_eq!(verify("GET", "/v1/calls?limit=2"), accepted());
        assert_eq!(verify("POST", "/v1/calls?limit=2"), wrong);
        assert_eq!(verify("GET", "/v1/calls"), wrong);
        assert_eq!(verify("GET", "/v1/calls?limit=3"), wrong);
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let shown = format!("{:?}", Ha1::new("100", REALM, "open sesame"));
        assert_eq!(shown, "Ha1(secret)");
    }
}
