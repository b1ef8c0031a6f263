//! Reading, writing and tracing a browser's INVITE and REGISTER, beside copying them; challenging and checking a digest, beside its
//! hashes: `cargo bench -p patchcord-sip --bench message`.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use bench::{Bench, Counting, Meter};
use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha256};
use sip::{AuthParams, Authenticator, Ha1, Message, Method, Request, Uri, Verdict};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Repetitions of something that takes microseconds.
const TIMES: usize = 1000;

const REALM: &str = "phone.example.com";

const REGISTER: &str = "REGISTER sip:phone.example.com SIP/2.0\r\n\
Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK2487\r\n\
Max-Forwards: 69\r\n\
To: <sip:100@phone.example.com>\r\n\
From: \"Alice\" <sip:100@phone.example.com>;tag=k3o1\r\n\
Call-ID: 8gkpb2ej\r\n\
CSeq: 81 REGISTER\r\n\
Authorization: Digest algorithm=MD5, username=\"100\", realm=\"phone.example.com\", nonce=\"00ff\", uri=\"sip:phone.example.com\", response=\"8ca523f5e9506fed4657c9700eebdbec\", qop=auth, cnonce=\"ab\", nc=00000001\r\n\
Contact: <sip:qv4t@df7jal23ls0d.invalid;transport=ws>;reg-id=1;+sip.instance=\"<urn:uuid:bb0e>\";expires=600\r\n\
Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY\r\n\
Supported: path,gruu,outbound\r\n\
User-Agent: SIP.js/0.21.2\r\n\
Content-Length: 0\r\n\r\n";

/// An INVITE with Chromium's offer.
fn invite() -> Bytes {
    let body = bench::descriptions::browser("actpass");
    let head = "INVITE sip:+4930123456@phone.example.com SIP/2.0\r\n\
        Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK8271\r\n\
        Max-Forwards: 69\r\n\
        To: <sip:+4930123456@phone.example.com>\r\n\
        From: \"Alice\" <sip:100@phone.example.com>;tag=7d1k\r\n\
        Call-ID: 4k2jb8gkpb2ej\r\n\
        CSeq: 2 INVITE\r\n\
        Contact: <sip:qv4t@df7jal23ls0d.invalid;transport=ws;ob>\r\n\
        Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY\r\n\
        Supported: timer,ice,replaces,outbound\r\n\
        User-Agent: SIP.js/0.21.2\r\n\
        Content-Type: application/sdp\r\n";
    Bytes::from(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
}

fn main() {
    let bench = Bench::new("message");
    for (name, bytes) in [("an INVITE", invite()), ("a REGISTER", Bytes::from_static(REGISTER.as_bytes()))] {
        let message = Message::parse_shared(&bytes).unwrap();
        let read = bytes.clone();
        let read = move || repeated(move || Message::parse_shared(black_box(&read)).unwrap());
        bench.group(&format!("Read {name}")).side("", read).floor("copied", copying(&bytes)).run();
        let write = move || repeated(move || black_box(&message).to_bytes());
        bench.group(&format!("Write {name}")).side("", write).floor("copied", copying(&bytes)).run();
    }
    // What the task that signals does for a call's trace, and what is done for it beside that.
    let share = || repeated(sharing(invite()));
    bench.group("Hand an INVITE to the recorder").side("", share).run();
    bench.group("Write an INVITE down for its trace").side("", || repeated(tracing(invite()))).run();
    bench.group("Show an INVITE of a trace").side("", || repeated(showing(invite()))).run();

    bench.group("Challenge").side("", || challenge).floor("HMAC-SHA-256", || repeated(sealing)).run();
    for is_md5 in [true, false] {
        let name = format!("Check a digest of {}", if is_md5 { "MD5" } else { "SHA-256" });
        let hash = if is_md5 { md5_of_response } else { sha256_of_response };
        let floor = move || repeated(move || (sealing(), hash()));
        bench.group(&name).side("", move || Caller::new(is_md5).checked()).floor("hashes", floor).run();
    }
}

/// A round of something small.
fn repeated<R>(mut operation: impl FnMut() -> R + 'static) -> impl FnMut(&mut Meter) -> usize + 'static {
    move |meter| meter.repeat(TIMES, &mut operation)
}

fn copying(bytes: &Bytes) -> impl FnOnce() -> Box<dyn FnMut(&mut Meter) -> usize> + 'static {
    let bytes = bytes.clone();
    || Box::new(repeated(move || black_box(&bytes).to_vec()))
}

fn sharing(bytes: Bytes) -> impl FnMut() -> Bytes {
    move || black_box(&bytes).clone()
}

fn tracing(bytes: Bytes) -> impl FnMut() -> (Option<String>, Vec<u8>) {
    move || {
        let bytes = black_box(&bytes);
        (sip::Glance::of(bytes).map(|glance| glance.call_id.into_owned()), bytes.to_vec())
    }
}

fn showing(bytes: Bytes) -> impl FnMut() -> Vec<u8> {
    move || sip::without_secrets(black_box(&bytes)).into_owned()
}

/// Two challenges with one nonce, as a 401 has them.
fn challenge(meter: &mut Meter) -> usize {
    let (mut authenticator, now) = (Authenticator::new([7; 32]), Instant::now());
    meter.repeat(TIMES, || authenticator.challenges(now, REALM, false))
}

/// The hashes over a nonce's number and age, and the realm.
fn sealing() -> [u8; 32] {
    let inner = Sha256::new().chain_update(black_box([0x36; 64])).chain_update(black_box([1; 16])).chain_update(REALM);
    Sha256::new().chain_update(black_box([0x5c; 64])).chain_update(inner.finalize()).finalize().into()
}

/// The two hashes of a response, over as much as they are made of: `REGISTER:sip:phone.example.com`; then the secret, a nonce, a count,
/// a client's nonce and the first hash.
fn md5_of_response() -> Vec<u8> {
    let first = Md5::digest(black_box([b'a'; 30]));
    Md5::new().chain_update(black_box([b'a'; 32 + 89])).chain_update([first, first].concat()).finalize().to_vec()
}

fn sha256_of_response() -> Vec<u8> {
    let first = Sha256::digest(black_box([b'a'; 30]));
    Sha256::new().chain_update(black_box([b'a'; 64 + 89])).chain_update([first, first].concat()).finalize().to_vec()
}

/// Somebody who answers one challenge again and again.
struct Caller {
    authenticator: Authenticator,
    now: Instant,
    nonce: String,
    is_md5: bool,
    count: u32,
}

impl Caller {
    fn new(is_md5: bool) -> Self {
        let (mut authenticator, now) = (Authenticator::new([7; 32]), Instant::now());
        let [challenge, _] = authenticator.challenges(now, REALM, false);
        let nonce = AuthParams::parse(&challenge).unwrap().get("nonce").unwrap().into_owned();
        Self { authenticator, now, nonce, is_md5, count: 0 }
    }

    /// A REGISTER with the next count.
    fn request(&mut self) -> Request {
        self.count += 1;
        let (nonce, count) = (&self.nonce, format!("{:08x}", self.count));
        // It digests `a:b:c`, whatever those are.
        let digest = |a: &str, b: &str, c: &str| {
            let both = Ha1::new(a, b, c);
            let bytes = if self.is_md5 { both.md5.to_vec() } else { both.sha256.to_vec() };
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let (secret, of_request) = (digest("100", REALM, "open sesame"), digest("REGISTER", "sip", REALM));
        let response = digest(&secret, nonce, &format!("{count}:0a4f113b:auth:{of_request}"));
        let algorithm = if self.is_md5 { "MD5" } else { "SHA-256" };
        let value = format!(
            "Digest algorithm={algorithm}, username=\"100\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"sip:{REALM}\", \
             response=\"{response}\", qop=auth, cnonce=\"0a4f113b\", nc={count}"
        );
        Request::new(Method::Register, Uri::parse(&format!("sip:{REALM}")).unwrap()).with_header("Authorization", value)
    }

    fn checked(mut self) -> impl FnMut(&mut Meter) -> usize + 'static {
        let known = Ha1::new("100", REALM, "open sesame");
        move |meter| {
            let requests: Vec<Request> = (0..meter.times(TIMES)).map(|_| self.request()).collect();
            let mut accepted = 0;
            meter.measure(|| {
                for request in &requests {
                    let verdict =
                        self.authenticator.verify(self.now, request, "Authorization", |_| Some(known.clone()));
                    accepted += usize::from(matches!(verdict, Verdict::Accepted { .. }));
                }
            });
            assert_eq!(accepted, requests.len(), "all are right");
            requests.len()
        }
    }
}
