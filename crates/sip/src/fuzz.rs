//! Bodies of the fuzz targets: what must hold for any bytes at all. Public for the fuzzer and for the test that replays its corpus;
//! nothing else calls them.

use crate::digest::{Attempts, Authorizer, Challenger, ClientCredentials, Ha1};
use crate::flow::{Flow, Transport};
use crate::framing::{Framed, StreamFramer};
use crate::glance::{Glance, without_secrets};
use crate::message::{AuthParams, Headers, Message, Method, Request, Uri};

/// Parses, asks every typed getter, writes, and reads again: what was accepted once must be accepted in our own writing. Cuts the
/// bytes as a stream too, at once and in two pieces, which must give the same. Takes the secrets out, which leaves none to take out.
///
/// # Panics
/// When a promise is broken.
pub fn message(bytes: &[u8]) {
    match Message::parse(bytes) {
        Ok(message) => {
            ask(&message);
            let written = message.to_bytes();
            let again = Message::parse(&written);
            assert!(again.as_ref().is_ok_and(|again| again.to_bytes() == written), "{again:?} from {written:?}");
        }
        Err(error) => {
            if let Some(answer) = error.answer() {
                let written = answer.to_bytes();
                assert!(answer.status.is_failure() && !written.is_empty());
            }
        }
    }
    let clean = without_secrets(bytes);
    assert_eq!(without_secrets(&clean), clean, "what is clean stays as it is");
    if let (Some(before), Some(after)) = (Glance::of(bytes), Glance::of(&clean)) {
        assert_eq!(before.call_id, after.call_id);
    }
    let whole = frames(&[bytes]);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    assert_eq!(whole, frames(&[first, second]), "framing depends on how bytes arrive");
}

fn frames(parts: &[&[u8]]) -> Vec<Option<Framed>> {
    let (mut framer, mut found) = (StreamFramer::new(), Vec::new());
    for part in parts {
        framer.push(part);
        loop {
            match framer.poll() {
                Ok(Some(framed)) => found.push(Some(framed)),
                Ok(None) => break,
                Err(_) => {
                    found.push(None);
                    return found;
                }
            }
        }
    }
    found
}

fn ask(message: &Message) {
    let headers = message.headers();
    let _ = (headers.vias(), headers.routes(), headers.record_routes(), headers.paths(), headers.contacts());
    let _ = (headers.from(), headers.to(), headers.cseq(), headers.expires(), headers.max_forwards());
    let _ = (headers.allow(), headers.supported(), headers.require(), headers.proxy_require(), headers.reasons());
    let _ = (headers.content_type(), headers.content_length(), headers.name_addrs("Refer-To"));
    let _ = (headers.rseq(), headers.rack());
    let _ = headers.auth_params("Authorization").filter(|auth| auth.get("nonce").is_some()).count();
    if let Message::Request(request) = message {
        let _ = (request.uri.aor(), request.uri.user());
        let text = request.uri.to_string();
        let again = Uri::parse(&text);
        assert!(again.as_ref() == Ok(&request.uri), "{text} read as {again:?}");
        assert!(request.uri.is_equivalent(&request.uri), "{text} is not equivalent to itself");
    }
}

/// Takes each line as a challenge to a request of ours. What is answered must be of our realm, and the answer must be read as what it says
/// and survive being sent.
///
/// # Panics
/// When a promise is broken.
pub fn challenge(bytes: &[u8]) {
    const REALM: &str = "sip.example.net";
    let Ok(uri) = Uri::parse("sip:+4930222333@sip.example.net") else { return };
    let mut headers = Headers::new();
    for line in String::from_utf8_lossy(bytes).lines() {
        headers.push("WWW-Authenticate", line);
    }
    let flow = Flow { transport: Transport::Udp, peer: ([192, 0, 2, 1], 5060).into(), connection: None, tls: None };
    let credentials =
        ClientCredentials { username: "user".into(), realm: REALM.into(), ha1: Ha1::new("user", REALM, "secret") };
    let mut authorizer = Authorizer::new(credentials, flow);
    let mut request = Request::new(Method::Options, uri);
    let attempts = Attempts::default();
    let taken = authorizer.take(flow, &request, attempts, Challenger::Server, &headers, "0a4f113b".to_owned());
    let ours = |params: &AuthParams<'_>| params.get("realm").as_deref() == Some(REALM);
    assert!(taken.is_none() || headers.auth_params("WWW-Authenticate").any(|params| ours(&params)), "{headers:?}");
    authorizer.authorize(flow, &mut request);
    assert_eq!(taken.is_some(), request.headers.contains("Authorization"));
    let nonces: Vec<_> = headers.auth_params("WWW-Authenticate").filter_map(|it| it.get("nonce")).collect();
    for answer in request.headers.auth_params("Authorization") {
        assert!(ours(&answer) && answer.get("nonce").is_some_and(|nonce| nonces.contains(&nonce)), "{answer:?}");
    }
    assert_eq!(request.headers.auth_params("Authorization").count(), usize::from(taken.is_some()), "{request:?}");
}
