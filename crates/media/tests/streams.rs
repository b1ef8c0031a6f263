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
use plain::{A, B, FRAME, OPUS, PCMA, PCMU, Trunks, peer, rtp_socket};

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
    // Nobody can be sent to at port 0 of the "any" address until a packet shows where the peer is.
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
