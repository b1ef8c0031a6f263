//! Streams that begin, break off and begin anew: what the far peer, the reports and the figures say of them. Plain legs on a simulated
//! network.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    dead_code,
    missing_docs
)]

#[path = "support/plain.rs"]
mod plain;

use std::net::SocketAddr;
use std::time::Duration;

use media::{Bandwidth, Command, Event, MediaSessionId, Statistics};
use plain::{A, B, FRAME, OPUS, PCMA, PCMU, Trunks, mu_law, peer, rtcp_socket, rtp_socket};

fn event(code: u8, end: bool, units: u16) -> [u8; 4] {
    let [high, low] = units.to_be_bytes();
    [code, if end { 0x8a } else { 0x0a }, high, low]
}

fn digits(trunks: &Trunks) -> Vec<char> {
    let digit = |event: &Event| match event {
        Event::Digit { digit, .. } => Some(*digit),
        _ => None,
    };
    trunks.events.iter().filter_map(digit).collect()
}

fn closed(trunks: &mut Trunks, leg: MediaSessionId) -> Statistics {
    trunks.command(Command::Close { session: leg });
    let figures = trunks.events.iter().find_map(|event| match event {
        Event::Closed { session, statistics } if *session == leg => Some(*statistics),
        _ => None,
    });
    figures.expect("closed")
}

#[test]
fn digits_of_a_source_that_began_anew_are_heard_whatever_its_clock_says() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    trunks.timestamp = 3_000_000_000;
    trunks.press(trunks.timestamp, &event(1, false, 160));
    trunks.wait(FRAME);
    // The end of the first is never sent: another server plays on, and the caller dials at once.
    (trunks.ssrc, trunks.sequence, trunks.timestamp) = (1234, 17, 2_000_000_000);
    trunks.press(trunks.timestamp, &event(2, true, 800));
    trunks.wait(Duration::from_secs(1));
    assert_eq!(digits(&trunks), ['1', '2']);
    let ends: Vec<u8> = trunks
        .to(B)
        .iter()
        .filter(|sent| sent.payload.len() == 4 && sent.payload[1] & 0x80 != 0)
        .map(|s| s.payload[0])
        .collect();
    assert_eq!(ends, [1, 1, 1, 2, 2, 2]);
}

#[test]
fn digits_are_heard_after_the_clock_of_the_same_source_went_back() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    trunks.timestamp = 3_000_000_000;
    trunks.press(trunks.timestamp, &event(1, true, 800));
    trunks.wait(Duration::from_secs(5));
    trunks.press(2_000_000_000, &event(2, true, 800));
    assert_eq!(digits(&trunks), ['1', '2']);
}

#[test]
fn a_packet_without_payload_is_not_audio() {
    for (from, payload_type, duration, to) in [(OPUS, 111, 960, PCMU), (OPUS, 111, 960, OPUS), (PCMU, 0, 160, PCMA)] {
        let mut trunks = Trunks::bridged(from, to);
        // An Opus frame of 20 ms of narrowband silence; any byte of G.711.
        trunks.say(payload_type, duration, &[0x08, 0xff, 0xfe]);
        trunks.wait(FRAME);
        let heard = trunks.to(B).len();
        trunks.say(payload_type, 0, &[]);
        trunks.wait(FRAME);
        assert_eq!(trunks.to(B).len(), heard, "{from} to {to}");
    }
}

#[test]
fn a_report_counts_the_loss_of_the_source_it_names_and_the_figures_that_of_all() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    for n in 0..600 {
        match n {
            10 => trunks.skip(160),
            20 => (trunks.ssrc, trunks.sequence) = (1234, 17),
            30 | 31 => trunks.skip(160),
            _ => trunks.say(0, 160, &[0x90; 160]),
        }
        trunks.wait(FRAME);
    }
    let (_, _, report) = trunks.rtcp.iter().rfind(|(leg, ..)| *leg == A).expect("a report");
    assert_eq!((report[0], report[1], &report[8..12]), (0x81, 201, &1234_u32.to_be_bytes()[..]));
    assert_eq!(u32::from_be_bytes([0, report[13], report[14], report[15]]), 2);
    assert_eq!(closed(&mut trunks, A).packets_lost, 3);
}

#[test]
fn the_packets_of_one_digit_are_no_jitter() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    for _ in 0..5 {
        trunks.say(0, 160, &[0x90; 160]);
        trunks.wait(FRAME);
        let began = trunks.timestamp;
        for n in 1..=10 {
            trunks.press(began, &event(4, n == 10, n * 160));
            trunks.timestamp = trunks.timestamp.wrapping_add(160);
            trunks.wait(FRAME);
        }
    }
    assert_eq!(closed(&mut trunks, A).jitter, Duration::ZERO);
}

#[test]
fn a_long_hole_in_a_relayed_stream_is_as_long_in_its_numbers() {
    let mut trunks = Trunks::bridged(OPUS, OPUS);
    trunks.say(111, 960, &[0x78, 1]);
    for _ in 0..30 {
        trunks.skip(960);
        trunks.wait(FRAME);
    }
    trunks.say(111, 960, &[0x78, 2]);
    trunks.wait(FRAME);
    let heard = trunks.to(B);
    assert_eq!(heard[1].sequence.wrapping_sub(heard[0].sequence), 31);
    assert_eq!(heard[1].timestamp.wrapping_sub(heard[0].timestamp), 31 * 960);
}

#[test]
fn a_stream_begins_far_from_the_end_of_its_numbers() {
    // Whoever misses the first packets would else miss a roll-over with them, and decrypt nothing for the whole call.
    let mut trunks = Trunks::new();
    for n in 0..16 {
        trunks.open(A, vec![]);
        trunks.offer(A, peer(A), PCMU);
        trunks.command(Command::Echo { session: A });
        trunks.say(0, 160, &[0x90; 160]);
        assert!(trunks.to(A).last().expect("echoed").sequence < 0x8000, "call {n}");
        trunks.command(Command::Close { session: A });
    }
}

#[test]
fn reports_on_the_media_port_are_believed_only_from_the_source_of_the_media() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    trunks.say(0, 160, &[0x90; 160]);
    let discarded = trunks.discarded();
    let report = [0x80, 201, 0, 1, 0, 0, 0, 5];
    trunks.receive(rtp_socket(A), peer(A), &report);
    assert_eq!(trunks.discarded(), discarded);
    trunks.receive(rtp_socket(A), SocketAddr::new(peer(A).ip(), 40_000), &report);
    assert_eq!(trunks.discarded(), discarded + 1);
}

#[test]
fn a_peer_that_answered_several_codecs_may_send_any_of_them() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    trunks.command(Command::CreateOffer { session: A, bandwidth: Bandwidth::Full });
    let answer = format!(
        "v=0\r\no=- 1 2 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0 8 101\r\n\
         a=rtpmap:101 telephone-event/8000\r\n",
        ip = peer(A).ip()
    );
    trunks.command(Command::HandleAnswer { session: A, sdp: answer.into_bytes() });
    // A-law 0xaa is as loud as mu-law 0x80.
    for (payload_type, payload) in [(0, [0x80; 160]), (8, [0xaa; 160]), (8, [0x2a; 160]), (0, [0x80; 160])] {
        trunks.say(payload_type, 160, &payload);
        trunks.wait(FRAME);
    }
    let heard: Vec<(u8, u8)> = trunks.to(B).iter().map(|sent| (sent.payload_type, sent.payload[80])).collect();
    assert_eq!(heard, [(0, 0x80), (0, 0x80), (0, 0x00), (0, 0x80)]);
    assert!(trunks.to(B).windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == 160));
    assert_eq!(trunks.discarded(), 0);
}

#[test]
fn what_could_not_be_sent_has_no_number_and_is_not_counted() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    // At the "any" address nobody can be sent to until a packet shows where the peer is.
    trunks.offer(B, "0.0.0.0:9".parse().unwrap(), PCMU);
    for _ in 0..5 {
        trunks.say(0, 160, &[0x90; 160]);
        trunks.wait(FRAME);
    }
    trunks.offer(B, peer(B), PCMU);
    trunks.say(0, 160, &[0x90; 160]);
    let heard = trunks.to(B);
    assert_eq!((heard.len(), heard[0].marker), (1, true));
    assert_eq!(closed(&mut trunks, B).packets_sent, 1);
}

/// Twenty milliseconds of a voice in mu-law, in syllables: libopus protects no steady hum.
fn voice(frame: usize) -> Vec<u8> {
    let sample = |n: usize| {
        #[allow(clippy::cast_precision_loss, reason = "a few seconds")]
        let turns = (frame * 160 + n) as f64 / 8000.0 * std::f64::consts::TAU;
        let loudness = 2400.0 + 1600.0 * (turns * 4.0).sin();
        ((turns * 140.0).sin() + 0.5 * (turns * 420.0).sin() + 0.2 * (turns * 980.0).sin()) * loudness
    };
    #[allow(clippy::cast_possible_truncation, reason = "within a quarter of full scale")]
    (0..160).map(|n| mu_law(sample(n) as i16)).collect()
}

/// How many of the next 100 Opus packets to B carry FEC: the second flag of a SILK frame (RFC 6716 §4.2.3).
fn protected(trunks: &mut Trunks) -> usize {
    trunks.sent.clear();
    for n in 0..100 {
        trunks.say(0, 160, &voice(n));
        trunks.wait(FRAME);
    }
    let heard = trunks.to(B);
    assert!(heard.len() >= 100, "{}", heard.len());
    heard.iter().filter(|sent| sent.payload.get(1).is_some_and(|flags| flags & 0x40 != 0)).count()
}

/// The peer of B reports how many of 256 packets it lost.
fn report_loss(trunks: &mut Trunks, fraction: u8) {
    let ssrc = trunks.to(B).last().expect("spoken to").ssrc;
    let mut report = vec![0x81, 201, 0, 7, 0, 0, 0, 5];
    report.extend_from_slice(&ssrc.to_be_bytes());
    report.push(fraction);
    report.extend_from_slice(&[0; 19]);
    trunks.receive(rtcp_socket(B), SocketAddr::new(peer(B).ip(), 30_001), &report);
}

#[test]
fn opus_carries_fec_while_the_peer_loses_packets_and_none_when_it_does_not() {
    let mut trunks = Trunks::bridged(PCMU, &format!("{OPUS}\r\na=fmtp:111 useinbandfec=1"));
    assert!(protected(&mut trunks) > 50, "protected until the first report");
    for _ in 0..10 {
        report_loss(&mut trunks, 0);
    }
    assert!(protected(&mut trunks) < 5, "all bits for the voice where nothing is lost");
    report_loss(&mut trunks, 13);
    assert!(protected(&mut trunks) > 50, "protected at once when a twentieth is lost");
    report_loss(&mut trunks, 0);
    assert!(protected(&mut trunks) > 50, "one good report does not end it");
}

#[test]
fn opus_carries_no_fec_to_a_peer_that_did_not_ask_for_it() {
    let mut trunks = Trunks::bridged(PCMU, OPUS);
    assert_eq!(protected(&mut trunks), 0);
    report_loss(&mut trunks, 128);
    assert_eq!(protected(&mut trunks), 0);
}
