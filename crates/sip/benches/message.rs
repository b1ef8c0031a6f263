//! Reading, writing and tracing a browser's INVITE and REGISTER: `cargo bench -p patchcord-sip --bench message`.
#![allow(clippy::unwrap_used, missing_docs)]

use bytes::Bytes;
use divan::Bencher;
use divan::counter::BytesCount;
use sip::Message;

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

/// An INVITE with a body as long as Chromium's offer.
fn invite() -> Bytes {
    let body = "a=candidate:1 1 udp 2113937151 192.0.2.1 54321 typ host generation 0\r\n".repeat(40);
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

fn read(bencher: Bencher<'_, '_>, bytes: &Bytes) {
    bencher.counter(BytesCount::new(bytes.len())).bench(|| Message::parse_shared(divan::black_box(bytes)).unwrap());
}

fn write(bencher: Bencher<'_, '_>, bytes: &Bytes) {
    let message = Message::parse_shared(bytes).unwrap();
    bencher.counter(BytesCount::new(bytes.len())).bench(|| divan::black_box(&message).to_bytes());
}

#[divan::bench]
fn read_invite(bencher: Bencher<'_, '_>) {
    read(bencher, &invite());
}

/// What it costs to write an INVITE down for its call's trace, beside the task that signals.
#[divan::bench]
fn trace_invite(bencher: Bencher<'_, '_>) {
    let bytes = invite();
    bencher.counter(BytesCount::new(bytes.len())).bench(|| {
        let bytes = divan::black_box(&bytes);
        (sip::Glance::of(bytes), sip::without_secrets(bytes).into_owned())
    });
}

/// What handing it over costs there.
#[divan::bench]
fn share_invite(bencher: Bencher<'_, '_>) {
    let bytes = invite();
    bencher.bench(|| divan::black_box(&bytes).clone());
}

#[divan::bench]
fn write_invite(bencher: Bencher<'_, '_>) {
    write(bencher, &invite());
}

#[divan::bench]
fn read_register(bencher: Bencher<'_, '_>) {
    read(bencher, &Bytes::from_static(REGISTER.as_bytes()));
}

#[divan::bench]
fn write_register(bencher: Bencher<'_, '_>) {
    write(bencher, &Bytes::from_static(REGISTER.as_bytes()));
}

fn main() {
    divan::main();
}
