//! A trunk leg whose SRTP is keyed by SDP (RFC 4568), against a peer with SRTP contexts of its own; the other leg is plain.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[allow(dead_code, reason = "not for every test that shares this file")]
#[path = "support/plain.rs"]
mod plain;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use media::{Bandwidth, Codec, Command, Encryption, Event, Keying, SdesPolicy, Statistics};
use plain::{A, B, FRAME, PCMU, Sent, Trunks, peer, rtcp_socket, rtp_socket};
use rtc_dtls::crypto_provider::default_provider;
use rtc_srtp::context::Context;
use rtc_srtp::option::srtp_replay_protection;
use rtc_srtp::protection_profile::ProtectionProfile;
use std::time::Duration;

const SUITES: [(&str, ProtectionProfile); 4] = [
    ("AES_CM_128_HMAC_SHA1_80", ProtectionProfile::Aes128CmHmacSha1_80),
    ("AES_CM_128_HMAC_SHA1_32", ProtectionProfile::Aes128CmHmacSha1_32),
    ("AEAD_AES_128_GCM", ProtectionProfile::AeadAes128Gcm),
    ("AEAD_AES_256_GCM", ProtectionProfile::AeadAes256Gcm),
];

/// One direction's context of a key in base64.
fn context(profile: ProtectionProfile, key: &str) -> Context {
    let bytes = STANDARD.decode(key).unwrap();
    let (key, salt) = bytes.split_at(profile.key_len());
    let window = Some(srtp_replay_protection(64));
    Context::new(key, salt, profile, window, None, default_provider().unwrap().crypto()).unwrap()
}

/// A key of the peer's.
fn key(profile: ProtectionProfile, filling: u8) -> String {
    STANDARD.encode(vec![filling; profile.key_len() + profile.salt_len()])
}

/// The key of the line with this suite in a description of ours, and its tag.
fn our_line(sdp: &str, suite: &str) -> (String, String) {
    let lines = sdp.lines().filter_map(|line| line.strip_prefix("a=crypto:"));
    let mut words = lines.map(|line| line.split(' ')).find(|words| words.clone().nth(1) == Some(suite)).expect(sdp);
    (words.next().unwrap().to_owned(), words.nth(1).unwrap().strip_prefix("inline:").unwrap().to_owned())
}

/// What arrived, as it was on the wire.
fn raw(sent: &Sent) -> Vec<u8> {
    let mut packet = vec![0x80, sent.payload_type | u8::from(sent.marker) << 7];
    packet.extend_from_slice(&sent.sequence.to_be_bytes());
    packet.extend_from_slice(&sent.timestamp.to_be_bytes());
    packet.extend_from_slice(&sent.ssrc.to_be_bytes());
    packet.extend_from_slice(&sent.payload);
    packet
}

/// A is the SRTP leg and B a plain one, bridged, both PCMU.
struct Secured {
    trunks: Trunks,
    suite: (&'static str, ProtectionProfile),
    /// What the peer of A seals with and opens with.
    seals: Context,
    opens: Context,
    /// Our key towards it.
    ours: String,
    said: u8,
    /// The numbers of the peer of B.
    reply: (u16, u32),
}

fn described(crypto: &str, extra: &str) -> Vec<u8> {
    let ip = peer(A).ip();
    let head = format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n");
    format!("{head}m=audio 30000 RTP/SAVP 0\r\na=crypto:{crypto}\r\n{extra}").into_bytes()
}

impl Secured {
    /// The peer of A offers one suite.
    fn with(suite: (&'static str, ProtectionProfile)) -> Self {
        let mut trunks = Trunks::new();
        let keying = Keying::Sdes { networks: vec![], policy: SdesPolicy::Required };
        let silence_timeout = Duration::from_secs(10);
        trunks.command(Command::Open { session: A, keying, codecs: vec![Codec::Pcmu], silence_timeout });
        trunks.open(B, vec![]);
        trunks.offer(B, peer(B), PCMU);
        let theirs = key(suite.1, 3);
        let crypto = format!("1 {} inline:{theirs}", suite.0);
        trunks.command(Command::HandleOffer { session: A, sdp: described(&crypto, ""), bandwidth: Bandwidth::Full });
        let answer = trunks.events.iter().rev().find_map(|event| match event {
            Event::LocalDescription { session: A, sdp, .. } => Some(String::from_utf8(sdp.clone()).unwrap()),
            _ => None,
        });
        let (_, ours) = our_line(&answer.expect("an answer"), suite.0);
        trunks.command(Command::Bridge { a: A, b: B });
        let (seals, opens) = (context(suite.1, &theirs), context(suite.1, &ours));
        Self { trunks, suite, seals, opens, ours, said: 0, reply: (1, 1) }
    }

    fn new() -> Self {
        Self::with(SUITES[0])
    }

    /// The peer of A offers again, with this key of its own; our answer is sent.
    fn offer_again(&mut self, theirs: &str, extra: &str) -> String {
        let crypto = format!("1 {} inline:{theirs}", self.suite.0);
        let sdp = described(&crypto, extra);
        self.trunks.command(Command::HandleOffer { session: A, sdp, bandwidth: Bandwidth::Full });
        let Some(Event::LocalDescription { session: A, sdp, .. }) = self.trunks.events.last() else {
            panic!("{:?}", self.trunks.events.last())
        };
        let answer = String::from_utf8(sdp.clone()).unwrap();
        self.trunks.command(Command::Adopt { session: A });
        answer
    }

    /// The next packet of the peer of A, sealed; and the payload in it.
    fn sealed(&mut self) -> (Vec<u8>, Vec<u8>) {
        self.said = self.said.wrapping_add(1);
        let payload = vec![self.said; 160];
        let packet = self.trunks.packet(0, &payload);
        self.trunks.skip(160);
        (self.seals.encrypt_rtp(&packet).unwrap().to_vec(), payload)
    }

    /// The peer of A says a frame, which the peer of B is to hear.
    fn say(&mut self) {
        let (packet, payload) = self.sealed();
        self.trunks.receive(rtp_socket(A), peer(A), &packet);
        let heard = self.trunks.to(B).last().map(|sent| sent.payload.clone());
        assert_eq!(heard, Some(payload), "the peer of B hears it");
        self.trunks.wait(FRAME);
    }

    /// The peer of B says a frame, which the peer of A is to open and hear.
    fn reply(&mut self) {
        self.said = self.said.wrapping_add(1);
        let payload = vec![self.said; 160];
        self.trunks.sent.retain(|(leg, _)| *leg == B);
        self.say_at_b(&payload);
        let packet = raw(self.trunks.to(A).last().expect("a packet"));
        assert_ne!(packet[12..172], payload, "it is encrypted");
        let clear = self.opens.decrypt_rtp(&packet).expect("authentic");
        assert_eq!(clear[12..], payload);
        self.trunks.wait(FRAME);
    }

    fn say_at_b(&mut self, payload: &[u8]) {
        let numbers = (self.trunks.sequence, self.trunks.timestamp);
        (self.trunks.sequence, self.trunks.timestamp) = self.reply;
        self.trunks.reply(0, payload);
        self.reply = (self.reply.0.wrapping_add(1), self.reply.1.wrapping_add(160));
        (self.trunks.sequence, self.trunks.timestamp) = numbers;
    }

    fn close(&mut self) -> Statistics {
        self.trunks.command(Command::Close { session: A });
        let Some(Event::Closed { statistics, .. }) = self.trunks.events.last() else { panic!("not closed") };
        *statistics
    }
}

#[test]
fn both_voices_go_through_srtp_in_every_suite() {
    for suite in SUITES {
        let mut call = Secured::with(suite);
        for _ in 0..20 {
            call.say();
            call.reply();
        }
        let encryption = call.trunks.events.iter().rev().find_map(|event| match event {
            Event::Changed { session: A, state } => Some(state.encryption),
            _ => None,
        });
        assert_eq!(encryption, Some(Encryption::Sdes), "{suite:?}");
        let statistics = call.close();
        assert_eq!((statistics.packets_received, statistics.packets_discarded), (20, 0), "{suite:?}");
    }
}

#[test]
fn reports_are_srtcp_both_ways() {
    let mut call = Secured::new();
    call.trunks.wait(Duration::from_secs(10));
    let (_, to, report) = call.trunks.rtcp.iter().find(|(leg, ..)| *leg == A).expect("a report").clone();
    assert_eq!(to.port(), 30_001);
    let clear = call.opens.decrypt_rtcp(&report).expect("authentic");
    assert_eq!(clear[1], 201);
    // The report in the clear is not taken, the sealed one is.
    let ours = u32::from_be_bytes(clear[4..8].try_into().unwrap());
    let mut answer = vec![0x81, 201, 0, 7, 0, 0, 0, 5];
    answer.extend_from_slice(&ours.to_be_bytes());
    answer.extend_from_slice(&[0; 20]);
    call.trunks.receive(rtcp_socket(A), to, &answer);
    let sealed = call.seals.encrypt_rtcp(&answer).unwrap();
    call.trunks.receive(rtcp_socket(A), to, &sealed);
    let statistics = call.close();
    assert_eq!((statistics.srtp_failures, statistics.packets_discarded), (1, 1));
}

#[test]
fn the_rollover_counters_of_both_directions_survive_the_wrap_and_a_hold_with_the_same_keys() {
    let mut call = Secured::new();
    // The peer's numbers begin at 65530; ours in the lower half.
    for _ in 0..20 {
        call.say();
    }
    let first = call.ours.clone();
    call.trunks.sent.clear();
    while call.trunks.to(A).last().is_none_or(|sent| sent.sequence > 40) {
        call.trunks.sent.clear();
        call.say_at_b(&[1; 160]);
        let packet = raw(call.trunks.to(A).last().expect("a packet"));
        call.opens.decrypt_rtp(&packet).expect("authentic");
        call.trunks.wait(FRAME);
    }
    for _ in 0..3 {
        call.reply();
    }
    let held = key(call.suite.1, 3);
    let answer = call.offer_again(&held, "a=sendonly\r\n");
    assert_eq!(our_line(&answer, call.suite.0).1, first, "our key is repeated");
    call.offer_again(&held, "a=sendrecv\r\n");
    for _ in 0..5 {
        call.say();
        call.reply();
    }
    assert_eq!(call.close().srtp_failures, 0);
}

#[test]
fn a_new_key_of_the_peers_is_followed_without_a_gap_and_ends_the_old_one() {
    let mut call = Secured::new();
    for _ in 0..5 {
        call.say();
        call.reply();
    }
    let (old, before) = call.sealed();
    let theirs = key(call.suite.1, 4);
    let answer = call.offer_again(&theirs, "");
    assert_eq!(our_line(&answer, call.suite.0).1, call.ours, "our key stays");
    // On their way when it re-keyed.
    call.trunks.receive(rtp_socket(A), peer(A), &old);
    assert_eq!(call.trunks.to(B).last().map(|sent| sent.payload.clone()), Some(before));
    let (late, _) = call.sealed();
    call.seals = context(call.suite.1, &theirs);
    for _ in 0..5 {
        call.say();
        call.reply();
    }
    let heard = call.trunks.to(B).len();
    call.trunks.receive(rtp_socket(A), peer(A), &late);
    assert_eq!(call.trunks.to(B).len(), heard, "the old key is over");
    assert_eq!(call.close().srtp_failures, 1);
}

#[test]
fn a_peer_that_never_goes_over_to_its_new_key_is_heard_for_five_seconds_only() {
    let mut call = Secured::new();
    let theirs = key(call.suite.1, 4);
    call.offer_again(&theirs, "");
    for _ in 0..250 {
        call.say();
    }
    let (late, _) = call.sealed();
    let heard = call.trunks.to(B).len();
    call.trunks.receive(rtp_socket(A), peer(A), &late);
    assert_eq!(call.trunks.to(B).len(), heard);
}

#[test]
fn what_is_not_authentic_is_counted_latches_nothing_and_keeps_no_genuine_packet_out() {
    let mut call = Secured::new();
    let elsewhere = std::net::SocketAddr::new(peer(A).ip(), 40_000);
    let forged = call.trunks.packet(0, &[7; 170]);
    for n in 0..100_u32 {
        let mut forged = forged.clone();
        forged[8..12].copy_from_slice(&(1000 + n).to_be_bytes());
        call.trunks.receive(rtp_socket(A), elsewhere, &forged);
    }
    assert!(call.trunks.to(B).is_empty());
    assert!(!call.trunks.events.iter().any(|event| matches!(event, Event::Connected { session: A, .. })));
    call.reply();
    assert!(call.trunks.sent.iter().all(|(_, sent)| sent.to.port() == 30_000), "sent to where the SDP says");
    call.say();
    let connected = call.trunks.events.iter().find_map(|event| match event {
        Event::Connected { session: A, peer } => Some(*peer),
        _ => None,
    });
    assert_eq!(connected, Some(peer(A)), "the source of what was authentic");
    let (packet, _) = call.sealed();
    call.trunks.receive(rtp_socket(A), peer(A), &packet);
    call.trunks.receive(rtp_socket(A), peer(A), &packet);
    let statistics = call.close();
    assert_eq!((statistics.srtp_failures, statistics.packets_discarded), (101, 101), "a replay is one");
}

#[test]
fn early_media_of_one_target_and_the_answer_of_another_have_keys_of_their_own() {
    let mut trunks = Trunks::new();
    let keying = Keying::Sdes { networks: vec![], policy: SdesPolicy::Required };
    trunks.command(Command::Open { session: A, keying, codecs: vec![Codec::Pcmu], silence_timeout: FRAME });
    trunks.open(B, vec![]);
    trunks.offer(B, peer(B), PCMU);
    trunks.command(Command::CreateOffer { session: A, bandwidth: Bandwidth::Full });
    let Some(Event::LocalDescription { sdp, .. }) = trunks.events.last() else { panic!("no offer") };
    let offer = String::from_utf8(sdp.clone()).unwrap();
    // The 183 of one, with the first suite; then the 200 of another, with another suite; and a third with the first's.
    let mut state = Some((trunks, (1, 1)));
    for (filling, (suite, profile)) in [(5, SUITES[0]), (6, SUITES[3]), (7, SUITES[0])] {
        let (tag, ours) = our_line(&offer, suite);
        let theirs = key(profile, filling);
        let (trunks, reply) = state.take().unwrap();
        let mut call = Secured {
            trunks,
            suite: (suite, profile),
            seals: context(profile, &theirs),
            opens: context(profile, &ours),
            ours,
            said: filling,
            reply,
        };
        let sdp = described(&format!("{tag} {suite} inline:{theirs}"), "");
        call.trunks.command(Command::HandleAnswer { session: A, sdp });
        assert!(matches!(call.trunks.events.last(), Some(Event::Negotiated { session: A, .. })));
        call.trunks.command(Command::Bridge { a: A, b: B });
        // Another source every time, as another target is.
        call.trunks.ssrc += 1;
        for _ in 0..10 {
            call.reply();
        }
        for _ in 0..10 {
            let (packet, _) = call.sealed();
            call.trunks.receive(rtp_socket(A), peer(A), &packet);
            call.trunks.wait(FRAME);
        }
        let last = call.trunks.to(B).last().map(|sent| sent.payload[0]);
        assert_eq!(last, Some(call.said), "{suite} is heard");
        state = Some((call.trunks, call.reply));
    }
}

#[test]
fn a_peer_that_counts_its_rollovers_on_under_a_new_key_is_heard_as_is_one_that_begins_anew() {
    for counts_on in [true, false] {
        let mut call = Secured::new();
        // Its numbers begin at 65530.
        for _ in 0..20 {
            call.say();
        }
        let theirs = key(call.suite.1, 4);
        call.offer_again(&theirs, "");
        call.seals = context(call.suite.1, &theirs);
        if counts_on {
            for sequence in [65_530_u16, 65_535, 5] {
                let mut packet = call.trunks.packet(0, &[]);
                packet[2..4].copy_from_slice(&sequence.to_be_bytes());
                call.seals.encrypt_rtp(&packet).unwrap();
            }
        }
        for _ in 0..20 {
            call.say();
            call.reply();
        }
        assert_eq!(call.close().srtp_failures, 0, "counts on: {counts_on}");
    }
}
