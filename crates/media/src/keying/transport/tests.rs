//! A browser's side and the gateway's on a simulated network: what keys a leg, and what cannot unkey it.
#![allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]

use std::time::Duration;

use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;

use super::*;
use crate::keying::peer::{Fingerprint, FingerprintHash};
use crate::keying::stun_username;

const GATEWAY: &str = "192.0.2.1:3478";
const BROWSER: &str = "198.51.100.7:50000";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("address")
}

fn fingerprint(certificate: &Certificate) -> Fingerprint {
    Fingerprint { hash: FingerprintHash::Sha256, value: certificate.fingerprint_sha256().to_vec() }
}

struct Pair {
    now: Instant,
    gateway: SecureTransport,
    browser: SecureTransport,
}

impl Pair {
    fn new() -> Self {
        Self::with_browser(Certificate::generate().expect("key"))
    }

    fn with_browser(theirs: Certificate) -> Self {
        let (ours, theirs) = (Arc::new(Certificate::generate().expect("key")), Arc::new(theirs));
        let (our_print, their_print) = (fingerprint(&ours), fingerprint(&theirs));
        let mut gateway = SecureTransport::new(ours, "gwufrag".into(), "gateway-password-of-24-ch".into());
        let mut browser = SecureTransport::controlling(theirs, "brufrag".into());
        gateway.set_peer(Peer {
            ufrag: "brufrag".into(),
            pwd: "unused-by-a-lite-agent-00".into(),
            fingerprint: their_print,
            setup: Setup::Active,
        });
        browser.set_peer(Peer {
            ufrag: "gwufrag".into(),
            pwd: "gateway-password-of-24-ch".into(),
            fingerprint: our_print,
            setup: Setup::Passive,
        });
        browser.set_candidate(address(GATEWAY));
        Self { now: Instant::now(), gateway, browser }
    }

    fn exchange(&mut self) {
        self.browser.check();
        for _ in 0..50 {
            let mut quiet = true;
            while let Some((to, packet)) = self.browser.poll_transmit() {
                assert_eq!(to, address(GATEWAY));
                self.gateway.handle_packet(self.now, address(BROWSER), &packet);
                quiet = false;
            }
            while let Some((to, packet)) = self.gateway.poll_transmit() {
                assert_eq!(to, address(BROWSER));
                self.browser.handle_packet(self.now, address(GATEWAY), &packet);
                quiet = false;
            }
            if quiet {
                return;
            }
            self.now += Duration::from_millis(5);
        }
    }
}

fn rtp(sequence: u16) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    let mut packet = vec![0x80, 111, high, low, 0, 0, 0, 1, 0, 0, 0, 42];
    packet.extend_from_slice(b"payload");
    packet
}

fn to_gateway(pair: &mut Pair, sequence: u16) -> BytesMut {
    pair.browser.protect_rtp(&rtp(sequence)).expect("keyed").1
}

#[test]
fn media_flows_both_ways_once_ice_and_dtls_are_done() {
    let mut pair = Pair::new();
    assert!(pair.browser.protect_rtp(&rtp(1)).is_none());
    pair.exchange();
    assert!(pair.gateway.is_connected() && pair.browser.is_connected());
    assert_eq!(pair.gateway.peer(), Some(address(BROWSER)));
    let packet = to_gateway(&mut pair, 1);
    assert!(!packet.windows(7).any(|window| window == b"payload"));
    let received = pair.gateway.handle_packet(pair.now, address(BROWSER), &packet);
    assert!(matches!(received, Received::Rtp(clear) if clear == rtp(1)));
    let (to, packet) = pair.gateway.protect_rtp(&rtp(9)).expect("keyed");
    assert_eq!(to, address(BROWSER));
    let received = pair.browser.handle_packet(pair.now, address(GATEWAY), &packet);
    assert!(matches!(received, Received::Rtp(clear) if clear == rtp(9)));
}

#[test]
fn gcm_is_agreed_on_wherever_the_browser_lists_it_and_cm_only_without_it() {
    let (cm, gcm) = (SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80, SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm);
    for (offered, tag) in [(&[cm, gcm][..], 16), (&[gcm, cm], 16), (&[cm], 10)] {
        let mut pair = Pair::with_browser(Certificate::offering(offered).expect("key"));
        pair.exchange();
        let sealed = pair.gateway.protect_rtp(&rtp(1)).expect("keyed").1;
        assert_eq!(sealed.len(), rtp(1).len() + tag, "{offered:?}");
    }
}

#[test]
fn rtcp_is_told_from_rtp_on_the_shared_port() {
    let mut pair = Pair::new();
    pair.exchange();
    let report = [0x80, 201, 0, 1, 0, 0, 0, 42];
    let (_, packet) = pair.browser.protect_rtcp(&report).expect("keyed");
    let received = pair.gateway.handle_packet(pair.now, address(BROWSER), &packet);
    assert!(matches!(received, Received::Rtcp(clear) if clear[..] == report));
}

#[test]
fn a_certificate_the_sdp_did_not_name_gets_no_media() {
    let mut pair = Pair::new();
    let stranger = Certificate::generate().expect("key");
    let mut peer = pair.gateway.peer.clone().expect("set");
    peer.fingerprint = fingerprint(&stranger);
    pair.gateway.set_peer(peer);
    pair.exchange();
    assert!(!pair.gateway.is_connected());
    assert!(pair.gateway.failure().is_some_and(|reason| reason.contains("certificate")));
}

#[test]
fn a_replayed_or_forged_packet_is_discarded_and_the_next_one_heard() {
    let mut pair = Pair::new();
    pair.exchange();
    let packet = to_gateway(&mut pair, 5);
    assert!(matches!(pair.gateway.handle_packet(pair.now, address(BROWSER), &packet), Received::Rtp(_)));
    assert!(matches!(pair.gateway.handle_packet(pair.now, address(BROWSER), &packet), Received::Unauthentic));
    for n in 0..100_u8 {
        let mut forged = rtp(u16::from(n) + 100);
        forged.extend_from_slice(&[n; 16]);
        let received = pair.gateway.handle_packet(pair.now, address(BROWSER), &forged);
        assert!(matches!(received, Received::Unauthentic));
    }
    let next = to_gateway(&mut pair, 6);
    assert!(matches!(pair.gateway.handle_packet(pair.now, address(BROWSER), &next), Received::Rtp(_)));
}

#[test]
fn the_rollover_counter_survives_the_wrap_of_the_sequence_number() {
    let mut pair = Pair::new();
    pair.exchange();
    for sequence in [65_533, 65_534, 65_535, 0, 1, 2] {
        let packet = to_gateway(&mut pair, sequence);
        let received = pair.gateway.handle_packet(pair.now, address(BROWSER), &packet);
        assert!(matches!(received, Received::Rtp(_)), "{sequence}");
    }
}

#[test]
fn a_client_hello_from_elsewhere_changes_nothing() {
    let mut pair = Pair::new();
    pair.exchange();
    let mut intruder = Dtls::active(pair.browser.certificate.clone(), pair.now).expect("client");
    let hello = intruder.poll_transmit().expect("ClientHello");
    let received = pair.gateway.handle_packet(pair.now, address("203.0.113.66:4000"), &hello);
    assert!(matches!(received, Received::Discarded(_)));
    let packet = to_gateway(&mut pair, 1);
    assert!(matches!(pair.gateway.handle_packet(pair.now, address(BROWSER), &packet), Received::Rtp(_)));
}

#[test]
fn a_check_with_wrong_integrity_is_not_answered() {
    let mut pair = Pair::new();
    let mut peer = pair.browser.peer.clone().expect("set");
    peer.pwd = "wrong".into();
    pair.browser.set_peer(peer);
    pair.browser.set_candidate(address(GATEWAY));
    pair.browser.check();
    let (_, check) = pair.browser.poll_transmit().expect("check");
    assert_eq!(stun_username(&check).as_deref(), Some("gwufrag"));
    let received = pair.gateway.handle_packet(pair.now, address(BROWSER), &check);
    assert!(matches!(received, Received::Discarded(reason) if reason.contains("integrity")));
    assert!(pair.gateway.poll_transmit().is_none());
    assert_eq!(pair.gateway.peer(), None);
}

#[test]
fn a_lost_flight_is_sent_again() {
    let mut pair = Pair::new();
    pair.browser.check();
    let (_, check) = pair.browser.poll_transmit().expect("check");
    pair.gateway.handle_packet(pair.now, address(BROWSER), &check);
    let (_, answer) = pair.gateway.poll_transmit().expect("answer");
    pair.browser.handle_packet(pair.now, address(GATEWAY), &answer);
    assert!(pair.browser.poll_transmit().is_some(), "the ClientHello, which is lost");
    let deadline = pair.browser.poll_timeout().expect("retransmission");
    pair.now = deadline;
    pair.browser.handle_timeout(deadline);
    pair.exchange();
    assert!(pair.gateway.is_connected() && pair.browser.is_connected());
}

#[test]
fn stun_with_a_short_integrity_attribute_does_not_panic() {
    let mut pair = Pair::new();
    pair.browser.check();
    let (_, check) = pair.browser.poll_transmit().expect("check");
    for cut in 0..check.len() {
        pair.gateway.handle_packet(pair.now, address(BROWSER), &check[..cut]);
    }
    let mut short = vec![0, 1, 0, 4 + 20, 0x21, 0x12, 0xa4, 0x42];
    short.extend_from_slice(&[0; 12]);
    short.extend_from_slice(&[0, 6, 0, 15]);
    short.extend_from_slice(b"gwufrag:brufrag\0");
    short.extend_from_slice(&[0, 8, 0, 0]);
    let received = pair.gateway.handle_packet(pair.now, address(BROWSER), &short);
    assert!(matches!(received, Received::Discarded(_)));
}

/// A packet with an SSRC of its own that nobody sealed.
fn forged(ssrc: u32) -> Vec<u8> {
    let mut packet = rtp(1);
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[7; 16]);
    packet
}

#[test]
fn forged_ssrcs_do_not_take_the_place_of_the_genuine_one() {
    let mut pair = Pair::new();
    pair.exchange();
    for ssrc in 1000..1500 {
        let received = pair.gateway.handle_packet(pair.now, address(BROWSER), &forged(ssrc));
        assert!(matches!(received, Received::Unauthentic));
    }
    let first = to_gateway(&mut pair, 1);
    assert!(matches!(pair.gateway.handle_packet(pair.now, address(BROWSER), &first), Received::Rtp(_)));
    assert!(matches!(pair.gateway.handle_packet(pair.now, address(BROWSER), &first), Received::Unauthentic));
}

#[test]
fn a_replay_from_before_the_wrap_is_discarded_after_it() {
    let mut pair = Pair::new();
    pair.exchange();
    let packets: Vec<_> = [65_534, 65_535, 0, 1].into_iter().map(|sequence| to_gateway(&mut pair, sequence)).collect();
    for packet in &packets {
        assert!(matches!(pair.gateway.handle_packet(pair.now, address(BROWSER), packet), Received::Rtp(_)));
    }
    for packet in &packets {
        assert!(matches!(pair.gateway.handle_packet(pair.now, address(BROWSER), packet), Received::Unauthentic));
    }
}

#[test]
fn srtp_from_an_address_without_a_check_is_discarded() {
    let mut pair = Pair::new();
    pair.exchange();
    let packet = to_gateway(&mut pair, 1);
    let received = pair.gateway.handle_packet(pair.now, address("203.0.113.66:4000"), &packet);
    assert!(matches!(received, Received::Discarded(_)));
    assert_eq!(pair.gateway.peer(), Some(address(BROWSER)));
}

#[test]
fn spoofed_plaintext_records_do_not_end_a_handshake() {
    let fatal_alert: &[u8] = &[21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 2, 40];
    let close_notify: &[u8] = &[21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 98, 0, 2, 1, 0];
    let broken_change: &[u8] = &[20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 97, 0, 1, 9];
    let application: &[u8] = &[23, 254, 253, 0, 0, 0, 0, 0, 0, 0, 96, 0, 1, 9];
    let unknown: &[u8] = &[60, 254, 253, 0, 0, 0, 0, 0, 0, 0, 95, 0, 1, 9];
    let truncated: &[u8] = &[22, 254, 253, 0, 0];
    for spoofed in [fatal_alert, close_notify, broken_change, application, unknown, truncated] {
        let mut pair = Pair::new();
        pair.browser.check();
        let mut steps = 0;
        while steps < 60 && !(pair.gateway.is_connected() && pair.browser.is_connected()) {
            steps += 1;
            while let Some((_, packet)) = pair.browser.poll_transmit() {
                pair.gateway.handle_packet(pair.now, address(BROWSER), &packet);
            }
            let received = pair.gateway.handle_packet(pair.now, address(BROWSER), spoofed);
            assert!(matches!(received, Received::Discarded(_)), "{spoofed:?}");
            while let Some((_, packet)) = pair.gateway.poll_transmit() {
                assert_ne!(packet.first(), Some(&21), "no alert to the peer for {spoofed:?}");
                pair.browser.handle_packet(pair.now, address(GATEWAY), &packet);
            }
        }
        assert!(pair.gateway.is_connected() && pair.browser.is_connected(), "{spoofed:?}");
    }
}

#[test]
fn encrypted_records_before_the_keys_are_queued_up_to_a_bound() {
    let mut pair = Pair::new();
    pair.browser.check();
    let (_, check) = pair.browser.poll_transmit().expect("check");
    pair.gateway.handle_packet(pair.now, address(BROWSER), &check);
    let mut taken = 0;
    for n in 0..1000_u16 {
        let [high, low] = n.to_be_bytes();
        let record = [22, 254, 253, 0, 1, 0, 0, 0, 0, high, low, 0, 1, 0];
        let received = pair.gateway.handle_packet(pair.now, address(BROWSER), &record);
        taken += usize::from(matches!(received, Received::Consumed));
    }
    assert!(taken > 0 && taken < 100, "{taken}");
}

#[test]
fn the_peers_farewell_leaves_its_keys_and_begins_nothing_new() {
    let mut pair = Pair::new();
    pair.exchange();
    let last = to_gateway(&mut pair, 1);
    pair.browser.close(pair.now);
    let (_, farewell) = pair.browser.poll_transmit().expect("close_notify");
    assert!(matches!(pair.gateway.handle_packet(pair.now, address(BROWSER), &farewell), Received::Consumed));
    assert_eq!(pair.gateway.failure(), None);
    while pair.gateway.poll_transmit().is_some() {}
    let mut again = Dtls::active(pair.browser.certificate.clone(), pair.now).expect("client");
    let hello = again.poll_transmit().expect("ClientHello");
    assert!(matches!(pair.gateway.handle_packet(pair.now, address(BROWSER), &hello), Received::Discarded(_)));
    assert!(pair.gateway.poll_transmit().is_none());
    assert!(matches!(pair.gateway.handle_packet(pair.now, address(BROWSER), &last), Received::Rtp(_)));
}

#[test]
fn the_last_flight_is_sent_again_when_the_peer_repeats_its_own() {
    let mut pair = Pair::new();
    pair.browser.check();
    while !pair.gateway.is_connected() {
        while let Some((_, packet)) = pair.browser.poll_transmit() {
            pair.gateway.handle_packet(pair.now, address(BROWSER), &packet);
        }
        if !pair.gateway.is_connected() {
            while let Some((_, packet)) = pair.gateway.poll_transmit() {
                pair.browser.handle_packet(pair.now, address(GATEWAY), &packet);
            }
        }
    }
    while pair.gateway.poll_transmit().is_some() {}
    assert!(!pair.browser.is_connected(), "its last flight is lost");
    pair.now = pair.browser.poll_timeout().expect("retransmission");
    pair.browser.handle_timeout(pair.now);
    pair.exchange();
    assert!(pair.browser.is_connected());
}

#[test]
fn once_the_peers_media_is_heard_the_handshake_is_forgotten_and_its_end_still_told() {
    let mut pair = Pair::new();
    pair.exchange();
    let media = to_gateway(&mut pair, 1);
    assert!(matches!(pair.gateway.handle_packet(pair.now, address(BROWSER), &media), Received::Rtp(_)));
    let mut again = Dtls::active(pair.browser.certificate.clone(), pair.now).expect("client");
    let hello = again.poll_transmit().expect("ClientHello");
    assert!(matches!(pair.gateway.handle_packet(pair.now, address(BROWSER), &hello), Received::Consumed));
    assert!(pair.gateway.poll_transmit().is_none(), "nobody is left to answer it");
    let media = to_gateway(&mut pair, 2);
    assert!(matches!(pair.gateway.handle_packet(pair.now, address(BROWSER), &media), Received::Rtp(_)));
    pair.gateway.close(pair.now);
    let (_, farewell) = pair.gateway.poll_transmit().expect("close_notify");
    assert!(matches!(pair.browser.handle_packet(pair.now, address(GATEWAY), &farewell), Received::Consumed));
    assert!(matches!(pair.browser.handle_packet(pair.now, address(GATEWAY), &farewell), Received::Discarded(_)));
    pair.gateway.close(pair.now);
    assert!(pair.gateway.poll_transmit().is_none(), "it is said once");
}

#[test]
fn a_new_certificate_in_the_sdp_ends_the_failure_of_the_old_one() {
    let mut pair = Pair::new();
    let right = pair.gateway.peer.clone().expect("set");
    let stranger = fingerprint(&Certificate::generate().expect("key"));
    pair.gateway.set_peer(Peer { fingerprint: stranger, ..right.clone() });
    pair.exchange();
    assert!(pair.gateway.failure().is_some());
    pair.gateway.set_peer(right);
    pair.browser.dtls = None;
    pair.browser.srtp = None;
    pair.exchange();
    assert_eq!(pair.gateway.failure(), None);
    assert!(pair.gateway.is_connected() && pair.browser.is_connected());
}

#[test]
fn media_goes_on_through_an_ice_restart_and_follows_the_peer() {
    let mut pair = Pair::new();
    pair.exchange();
    pair.gateway.restart_ice("gwufrag2".into(), "second-password-of-24-ch".into());
    let known = pair.gateway.peer.clone().expect("set");
    pair.gateway.set_peer(Peer { ufrag: "brufrag".into(), ..known });
    assert_eq!(pair.gateway.peer(), Some(address(BROWSER)));
    pair.browser.check();
    let (_, stale) = pair.browser.poll_transmit().expect("check");
    let moved = address("198.51.100.99:1234");
    assert!(matches!(pair.gateway.handle_packet(pair.now, moved, &stale), Received::Discarded(_)));
    let mut peer = pair.browser.peer.clone().expect("set");
    (peer.ufrag, peer.pwd) = ("gwufrag2".into(), "second-password-of-24-ch".into());
    pair.browser.set_peer(peer);
    pair.browser.set_candidate(address(GATEWAY));
    pair.browser.check();
    let (_, fresh) = pair.browser.poll_transmit().expect("check");
    assert!(matches!(pair.gateway.handle_packet(pair.now, moved, &fresh), Received::Consumed));
    assert_eq!(pair.gateway.peer(), Some(moved));
    let (to, packet) = pair.gateway.protect_rtp(&rtp(3)).expect("the keys live on");
    assert_eq!(to, moved);
    pair.browser.handle_packet(pair.now, address(GATEWAY), &pair.gateway.poll_transmit().expect("answer").1);
    assert!(matches!(pair.browser.handle_packet(pair.now, address(GATEWAY), &packet), Received::Rtp(_)));
}
