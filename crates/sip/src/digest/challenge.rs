//! One challenge as a client reads it, and the credentials that answer it (RFC 7616 §3.3-3.4). Knows no rule of when to answer. `domain`
//! and `userhash` mean nothing here.

use std::fmt;

use super::algorithm::{Algorithm, Protection};
use super::client::ClientCredentials;
use crate::message::{AuthParams, Request, scan};

/// The longest nonce or opaque echoed, in bytes: many times what servers send, and no lever to have us send large requests.
const MAX_ECHO: usize = 1024;

/// A challenge we can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    algorithm: Algorithm,
    /// Whether it is the `-sess` variant.
    is_session: bool,
    /// The algorithm as the server wrote it; a server that wrote none may not expect one.
    token: Option<String>,
    qop: Qop,
    pub(super) nonce: String,
    opaque: Option<String>,
    /// Only the nonce was wrong, not the secret.
    pub(super) is_stale: bool,
}

/// What the response covers (RFC 7616 §3.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Qop {
    /// As RFC 2069 had it.
    None,
    Auth,
    AuthInt,
}

impl Challenge {
    /// Reads a challenge for a realm. `None` when it is for another, or asks for something we do not know.
    pub(super) fn of(params: &AuthParams<'_>, realm: &str) -> Option<Self> {
        if !params.is_digest() || params.get("realm")? != realm {
            return None;
        }
        let token = params.get("algorithm");
        let (name, is_session) = match token.as_deref().map(|token| (token, token.to_ascii_lowercase())) {
            Some((token, lower)) if lower.ends_with("-sess") => (token.get(..token.len() - 5), true),
            Some((token, _)) => (Some(token), false),
            None => (None, false),
        };
        let text = |name: &str| params.get(name).map(std::borrow::Cow::into_owned);
        let (nonce, opaque) = (text("nonce")?, text("opaque"));
        let fits = |text: &str| text.len() <= MAX_ECHO && !text.contains(char::is_control);
        if nonce.is_empty() || !fits(&nonce) || !opaque.as_deref().is_none_or(fits) {
            return None;
        }
        Some(Self {
            algorithm: Algorithm::from_token(name)?,
            is_session,
            token: token.map(std::borrow::Cow::into_owned),
            qop: Qop::of(params.get("qop").as_deref())?,
            nonce,
            opaque,
            is_stale: params.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// Higher is better.
    pub(super) fn strength(&self) -> u8 {
        match (self.algorithm, self.is_session) {
            (Algorithm::Sha256, false) => 3,
            (Algorithm::Sha256, true) => 2,
            (Algorithm::Md5, false) => 1,
            (Algorithm::Md5, true) => 0,
        }
    }

    /// The header value that answers it for a request, as the `count`th use of its nonce.
    pub(super) fn answer(
        &self,
        credentials: &ClientCredentials,
        cnonce: &str,
        count: u32,
        request: &Request,
    ) -> String {
        let (nc, uri) = (format!("{count:08x}"), request.uri.to_string());
        let secret = if self.is_session {
            self.algorithm.session_secret(&credentials.ha1, &self.nonce, cnonce)
        } else {
            self.algorithm.secret(&credentials.ha1)
        };
        let protection = match self.qop {
            Qop::None => Protection::None,
            Qop::Auth => Protection::Auth { nc: &nc, cnonce },
            Qop::AuthInt => Protection::AuthInt { nc: &nc, cnonce, body: &request.body },
        };
        let response = self.algorithm.response(&secret, &self.nonce, request.method.as_str(), &uri, protection);
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri=\"{uri}\", response=\"{response}\"",
            Quoted(&credentials.username),
            Quoted(&credentials.realm),
            Quoted(&self.nonce),
        );
        if let Some(token) = self.token.as_ref().filter(|token| scan::is_token(token)) {
            value.push_str(&format!(", algorithm={token}"));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque={}", Quoted(opaque)));
        }
        match self.qop {
            Qop::Auth => value.push_str(&format!(", qop=auth, nc={nc}, cnonce=\"{cnonce}\"")),
            Qop::AuthInt => value.push_str(&format!(", qop=auth-int, nc={nc}, cnonce=\"{cnonce}\"")),
            // The secret of a `-sess` variant has a cnonce in it all the same.
            Qop::None if self.is_session => value.push_str(&format!(", cnonce=\"{cnonce}\"")),
            Qop::None => {}
        }
        value
    }
}

impl Qop {
    /// What to use of a list. `auth` before `auth-int`: carriers rewrite bodies on their way. `None` when nothing of it is known.
    fn of(list: Option<&str>) -> Option<Self> {
        let Some(list) = list else { return Some(Self::None) };
        let has = |wanted: &str| list.split(',').any(|qop| scan::trim(qop).eq_ignore_ascii_case(wanted));
        match (has("auth"), has("auth-int")) {
            (true, _) => Some(Self::Auth),
            (false, true) => Some(Self::AuthInt),
            (false, false) => None,
        }
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        scan::write_quoted(f, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Ha1;
    use crate::message::{Method, Uri};

    const REALM: &str = "sip.example.net";

    fn read(text: &str) -> Option<Challenge> {
        Challenge::of(&AuthParams::parse(text)?, REALM)
    }

    fn answered(extra: &str) -> String {
        let challenge = read(&format!("Digest realm=\"{REALM}\", nonce=\"n0nce\"{extra}")).unwrap();
        let ha1 = Ha1::new("carrier-user", REALM, "open sesame");
        let credentials = ClientCredentials { username: "carrier-user".into(), realm: REALM.into(), ha1 };
        let uri = Uri::parse("sip:+4930222333@sip.example.net").unwrap();
        let request = Request::new(Method::Invite, uri).with_body("application/sdp", "v=0\r\n");
        challenge.answer(&credentials, "0a4f113b", 1, &request)
    }

    /// The responses were computed with an implementation that is not ours.
    #[test]
    fn each_algorithm_and_each_protection_has_its_own_response() {
        for (extra, response) in [
            ("", "e64bd70284779ae8e141bd31683ed792"),
            (", qop=\"auth\"", "a3874428a499fc9939f2329602651da4"),
            (", qop=auth-int", "971b60f7d5c9e23b9c42e31836314698"),
            (", algorithm=MD5-sess", "acf0e170d8066e44b35e5b00791bfd44"),
            (", algorithm=MD5-sess, qop=\"auth-int, auth\"", "786392c209c1f6be9eb00714e2edc058"),
            (", algorithm=md5-SESS, qop=\"auth-int\"", "92e609ad91db66cddca15e2016f02b14"),
            (", algorithm=SHA-256", "4c6b8ad5c6ee7430d32039cd605eebba8606ecbb5bfa5060509dfd229db62f56"),
            (
                ", algorithm=SHA-256, qop=\"auth,token\"",
                "a8541a7b7bffe47e568c27eeb5deb4088485013016c2f8864c2a001eaba3f529",
            ),
            (
                ", algorithm=SHA-256, qop=\"auth-int\"",
                "b586e10bfe1697d413426d7c211926f029cf4fee0bb329e76dd9f794435c8cc3",
            ),
            (", algorithm=SHA-256-sess", "ea6c9026b48182071951b15e8ec56d19c21f79997bd31583d8a4e855a149fdde"),
            (", algorithm=SHA-256-sess, qop=auth", "412ca47a21906cd174991dab12bae4ab8b7868a94e5e52b724759db79c69dcbf"),
            (
                ", algorithm=SHA-256-sess, qop=auth-int",
                "98b9eed16e883eebacd8bd10f40d2e9ba8cd4bef66827157f63a07a3af7be59d",
            ),
        ] {
            let value = answered(extra);
            assert!(value.contains(&format!("response=\"{response}\"")), "{extra}: {value}");
        }
    }

    #[test]
    fn what_the_server_said_is_echoed_and_nothing_else() {
        assert_eq!(
            answered(", opaque=\"a\\\"b\", algorithm=MD5, qop=\"auth\", domain=\"sip:elsewhere.example\""),
            "Digest username=\"carrier-user\", realm=\"sip.example.net\", nonce=\"n0nce\", \
             uri=\"sip:+4930222333@sip.example.net\", response=\"a3874428a499fc9939f2329602651da4\", algorithm=MD5, \
             opaque=\"a\\\"b\", qop=auth, nc=00000001, cnonce=\"0a4f113b\""
        );
        assert!(!answered("").contains("algorithm") && !answered("").contains("cnonce"));
        assert!(answered(", algorithm=MD5-sess").ends_with("cnonce=\"0a4f113b\""));
    }

    #[test]
    fn challenges_of_other_realms_schemes_and_algorithms_are_not_ours_to_answer() {
        let long = "a".repeat(MAX_ECHO + 1);
        for text in [
            "Digest realm=\"Sip.example.net\", nonce=\"a\"",
            "Digest realm=\"sip.example.net \", nonce=\"a\"",
            "Digest nonce=\"a\"",
            "Digest realm=\"sip.example.net\"",
            "Digest realm=\"sip.example.net\", nonce=\"\"",
            "Basic realm=\"sip.example.net\", nonce=\"a\"",
            "Digest realm=\"sip.example.net\", nonce=\"a\", algorithm=SHA-512-256",
            "Digest realm=\"sip.example.net\", nonce=\"a\", algorithm=-sess",
            "Digest realm=\"sip.example.net\", nonce=\"a\", algorithm=\"é-sess\"",
            "Digest realm=\"sip.example.net\", nonce=\"a\", qop=\"token\"",
            "Digest realm=\"sip.example.net\", nonce=\"a\", qop=\"\"",
            "Digest realm=\"sip.example.net\", nonce=\"a\tb\"",
            &format!("Digest realm=\"sip.example.net\", nonce=\"{long}\""),
            &format!("Digest realm=\"sip.example.net\", nonce=\"a\", opaque=\"{long}\""),
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(read("Digest realm=\"sip.example.net\", nonce=\"a\", stale=TRUE").unwrap().is_stale);
        assert!(!read("Digest realm=\"sip.example.net\", nonce=\"a\", stale=\"maybe\"").unwrap().is_stale);
    }
}
