//! Bodies of the fuzz targets: what must hold for any bytes at all. Public for the fuzzer and for the test that replays its corpus;
//! nothing else calls them.

use crate::framing::{Framed, StreamFramer};
use crate::message::{Message, Uri};

/// Parses, asks every typed getter, writes, and reads again: what was accepted once must be accepted in our own writing. Cuts the
/// bytes as a stream too, at once and in two pieces, which must give the same.
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
    let _ = headers.auth_params("Authorization").filter(|auth| auth.get("nonce").is_some()).count();
    if let Message::Request(request) = message {
        let _ = (request.uri.aor(), request.uri.user());
        let text = request.uri.to_string();
        let again = Uri::parse(&text);
        assert!(again.as_ref() == Ok(&request.uri), "{text} read as {again:?}");
        assert!(request.uri.is_equivalent(&request.uri), "{text} is not equivalent to itself");
    }
}
