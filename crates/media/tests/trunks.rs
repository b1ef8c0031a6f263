//! Plain legs of a shard on a simulated network: whose RTP is believed, what is relayed and transcoded between them, digits, packet
//! lengths, reports.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/plain.rs"]
#[allow(dead_code, reason = "shared with the tests of hold")]
mod plain;

use std::net::SocketAddr;
use std::time::Duration;

use media::{Codec, Command, Event, Keying, LocalPort, MediaSessionId, SocketId};
use plain::{A, B, FRAME, G722, OPUS, PCMA, PCMU, Sent, Trunks, address, peer, rtcp_socket, rtp_socket};

/// Payloads that differ from packet to packet, all of them silence-free.
fn speech(n: u8, length: usize) -> Vec<u8> {
    vec![0x80 | n; length]
}

fn event(code: u8, end: bool, units: u16) -> [u8; 4] {
    let [high, low] = units.to_be_bytes();
    [code, if end { 0x8a } else { 0x0a }, high, low]
}

#[test]
fn the_same_codec_is_relayed_byte_for_byte_under_our_own_numbers() {
    for (formats, payload_type, duration) in [(PCMU, 0, 160), (G722, 9, 160), (OPUS, 111, 960)] {
        let mut trunks = Trunks::bridged(formats, formats);
        for n in 0..10 {
            trunks.say(payload_type, duration, &speech(n, 160));
            trunks.wait(FRAME);
        }
        let heard = trunks.to(B);
        assert_eq!(heard.len(), 10);
        for (n, sent) in heard.iter().enumerate() {
            assert_eq!(sent.payload, speech(u8::try_from(n).unwrap(), 160));
            assert_eq!((sent.payload_type, sent.to, sent.ssrc), (payload_type, peer(B), heard[0].ssrc));
            assert_ne!(sent.ssrc, trunks.ssrc);
            assert_eq!(sent.marker, n == 0);
            assert_eq!(sent.sequence, heard[0].sequence.wrapping_add(u16::try_from(n).unwrap()));
            assert_eq!(sent.timestamp, heard[0].timestamp.wrapping_add(duration * u32::try_from(n).unwrap()));
        }
    }
}

#[test]
fn a_relayed_stream_shows_its_loss_to_the_peer() {
    let mut trunks = Trunks::bridged(OPUS, OPUS);
    for n in 0..10 {
        if n == 4 {
            trunks.skip(960);
        } else {
            trunks.say(111, 960, &speech(n, 60));
        }
        trunks.wait(FRAME);
    }
    let heard = trunks.to(B);
    let steps: Vec<u16> = heard.windows(2).map(|pair| pair[1].sequence.wrapping_sub(pair[0].sequence)).collect();
    assert_eq!(steps, [1, 1, 1, 2, 1, 1, 1, 1]);
    assert!(heard.windows(2).all(|pair| {
        pair[1].timestamp.wrapping_sub(pair[0].timestamp)
            == 960 * u32::from(pair[1].sequence.wrapping_sub(pair[0].sequence))
    }));
}

#[test]
fn mu_law_becomes_a_law_of_the_same_loudness() {
    let mut trunks = Trunks::bridged(PCMU, PCMA);
    // Mu-law 0x80 is the loudest positive sample, A-law's is 0xaa.
    trunks.say(0, 160, &[0x80; 160]);
    let heard = trunks.to(B);
    assert_eq!((heard[0].payload_type, heard[0].payload.as_slice()), (8, &[0xaa_u8; 160][..]));
}

#[test]
fn packets_of_any_length_leave_in_the_length_the_peer_wants() {
    for (incoming, wanted) in [(80, 160), (240, 160), (320, 160), (480, 160), (160, 240), (160, 80)] {
        let wish = format!("{PCMA}\r\na=ptime:{}", wanted / 8);
        let mut trunks = Trunks::bridged(PCMU, &wish);
        let mut said = 0;
        while said < 4800 {
            trunks.say(0, incoming, &vec![0x90; usize::try_from(incoming).unwrap()]);
            trunks.wait(Duration::from_millis(u64::from(incoming / 8)));
            said += incoming;
        }
        let heard = trunks.to(B);
        assert_eq!(heard.len(), usize::try_from(4800 / wanted).unwrap(), "{incoming} to {wanted}");
        assert!(heard.iter().all(|sent| sent.payload.len() == usize::try_from(wanted).unwrap()));
        for pair in heard.windows(2) {
            assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), wanted);
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        }
    }
}

#[test]
fn rtp_goes_to_the_sdp_address_until_the_peer_shows_another_port_of_it() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    let packet = trunks.packet(0, &speech(1, 160));
    trunks.receive(rtp_socket(B), peer(B), &packet);
    assert_eq!(trunks.to(A)[0].to, peer(A));
    let natted = SocketAddr::new(peer(A).ip(), 40_000);
    trunks.say_from(natted, 0, 160, &speech(1, 160));
    let packet = trunks.packet(0, &speech(1, 160));
    trunks.receive(rtp_socket(B), peer(B), &packet);
    trunks.wait(Duration::from_millis(100));
    assert_eq!(trunks.to(A).last().unwrap().to, natted);
    assert!(trunks.events.iter().any(|e| matches!(e, Event::Connected { session: A, peer } if *peer == natted)));
}

#[test]
fn a_source_once_believed_is_the_only_one_until_a_new_description() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    trunks.say(0, 160, &speech(1, 160));
    let discarded = trunks.discarded();
    trunks.say_from(SocketAddr::new(peer(A).ip(), 40_000), 0, 160, &speech(1, 160));
    trunks.say_from(address(66, 30_000), 0, 160, &speech(1, 160));
    assert_eq!(trunks.discarded(), discarded + 2);
    assert_eq!(trunks.to(B).len(), 1);
    let moved = address(77, 31_000);
    trunks.offer(A, moved, PCMU);
    trunks.sequence -= 2;
    trunks.say_from(peer(A), 0, 160, &speech(1, 160));
    assert_eq!(trunks.to(B).len(), 1, "the old address is not believed any more");
    trunks.sequence -= 1;
    trunks.say_from(moved, 0, 160, &speech(1, 160));
    assert_eq!(trunks.to(B).len(), 2);
}

#[test]
fn the_trunks_own_networks_are_believed_beside_the_sdp_and_nothing_else_is() {
    let mut trunks = Trunks::new();
    trunks.open(A, vec!["198.51.100.0/24"]);
    trunks.offer(A, peer(A), PCMU);
    trunks.command(Command::Echo { session: A });
    trunks.say_from("203.0.113.5:4000".parse().unwrap(), 0, 160, &speech(1, 160));
    assert!(trunks.to(A).is_empty());
    trunks.sequence -= 1;
    let gateway = "198.51.100.9:4000".parse().unwrap();
    trunks.say_from(gateway, 0, 160, &speech(1, 160));
    assert_eq!(trunks.to(A)[0].to, gateway);
}

#[test]
fn bytes_that_were_not_agreed_on_do_not_capture_the_call() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    let elsewhere = SocketAddr::new(peer(A).ip(), 40_000);
    trunks.receive(rtp_socket(A), elsewhere, b"not RTP at all, but long enough");
    let packet = trunks.packet(97, &speech(1, 160));
    trunks.receive(rtp_socket(A), elsewhere, &packet);
    assert_eq!(trunks.discarded(), 2);
    trunks.say(0, 160, &speech(1, 160));
    assert_eq!(trunks.to(B).len(), 1);
}

#[test]
fn late_and_doubled_packets_are_counted_and_heard_once() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    let first = trunks.packet(0, &speech(1, 160));
    trunks.say(0, 160, &speech(1, 160));
    trunks.say(0, 160, &speech(2, 160));
    trunks.receive(rtp_socket(A), peer(A), &first);
    assert_eq!((trunks.to(B).len(), trunks.discarded()), (2, 1));
}

#[test]
fn a_new_source_continues_the_stream_with_a_marker() {
    let mut trunks = Trunks::bridged(PCMU, PCMA);
    for n in 0..20_u8 {
        if n == 10 {
            (trunks.ssrc, trunks.sequence, trunks.timestamp) = (1234, 17, 3_000_000_000);
        }
        trunks.say(0, 160, &speech(n, 160));
        trunks.wait(FRAME);
    }
    let heard = trunks.to(B);
    assert_eq!(heard.iter().map(|sent| sent.marker).filter(|marker| *marker).count(), 2);
    assert!(heard[10].marker);
    for pair in heard.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 160);
    }
}

#[test]
fn digits_cross_from_8_khz_to_48_khz_with_their_length_and_without_their_sound() {
    let mut trunks = Trunks::bridged(PCMU, OPUS);
    for _ in 0..5 {
        trunks.say(0, 160, &speech(1, 160));
        trunks.wait(FRAME);
    }
    // A careless peer sends the tone as audio beside the event.
    let began = trunks.timestamp;
    for n in 1..=5_u16 {
        trunks.press(began, &event(9, false, 160 * n));
        trunks.say(0, 160, &speech(7, 160));
        trunks.wait(FRAME);
    }
    for _ in 0..3 {
        trunks.press(began, &event(9, true, 800));
    }
    for _ in 0..10 {
        trunks.wait(FRAME);
        trunks.say(0, 160, &speech(1, 160));
    }
    let heard = trunks.to(B);
    let digits: Vec<&Sent> = heard.iter().filter(|sent| sent.payload_type == 110).collect();
    let ends: Vec<u16> = digits
        .iter()
        .filter(|sent| sent.payload[1] & 0x80 != 0)
        .map(|sent| u16::from_be_bytes([sent.payload[2], sent.payload[3]]))
        .collect();
    assert_eq!(ends, [4800, 4800, 4800]);
    assert!(digits[0].marker && digits[1..].iter().all(|sent| !sent.marker));
    assert!(digits.iter().all(|sent| sent.timestamp == digits[0].timestamp));
    let first = heard.iter().position(|sent| sent.payload_type == 110).unwrap();
    let last = heard.iter().rposition(|sent| sent.payload_type == 110).unwrap();
    assert_eq!(last - first + 1, digits.len(), "audio leaks into the digit");
    for pair in heard.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp) < 48_000, "time runs backwards");
    }
    let told: Vec<_> = trunks.events.iter().filter(|e| matches!(e, Event::Digit { .. })).collect();
    assert!(matches!(told[..], [Event::Digit { session: A, digit: '9', duration }] if duration.as_millis() == 100));
}

#[test]
fn a_digit_whose_end_is_lost_is_told_once_after_a_moment() {
    let mut trunks = Trunks::bridged(PCMU, PCMA);
    for n in 1..=4_u16 {
        trunks.say(101, 0, &event(1, false, 160 * n));
        trunks.wait(FRAME);
    }
    trunks.wait(Duration::from_secs(1));
    let told: Vec<_> = trunks.events.iter().filter(|e| matches!(e, Event::Digit { .. })).collect();
    assert!(matches!(told[..], [Event::Digit { digit: '1', duration, .. }] if duration.as_millis() == 80), "{told:?}");
    let ends = trunks.to(B).iter().filter(|sent| sent.payload_type == 101 && sent.payload[1] & 0x80 != 0).count();
    assert_eq!(ends, 3);
}

#[test]
fn a_leg_on_hold_is_neither_heard_nor_sent_to() {
    let mut trunks = Trunks::bridged(PCMU, PCMA);
    trunks.offer(B, peer(B), &format!("{PCMA}\r\na=inactive"));
    trunks.say(0, 160, &speech(1, 160));
    assert!(trunks.to(B).is_empty());
    let packet = trunks.packet(8, &speech(1, 160));
    trunks.receive(rtp_socket(B), peer(B), &packet);
    assert!(trunks.to(A).is_empty());
}

#[test]
fn early_media_before_the_other_side_is_agreed_is_dropped_quietly() {
    let mut trunks = Trunks::new();
    trunks.open(A, vec![]);
    trunks.open(B, vec![]);
    trunks.offer(A, peer(A), PCMU);
    trunks.command(Command::Bridge { a: A, b: B });
    trunks.say(0, 160, &speech(1, 160));
    assert_eq!((trunks.sent.len(), trunks.discarded()), (0, 0));
    trunks.offer(B, peer(B), PCMA);
    trunks.say(0, 160, &speech(1, 160));
    assert_eq!(trunks.to(B).len(), 1);
}

#[test]
fn both_legs_report_and_the_round_trip_is_measured() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    for n in 0..500 {
        if n % 10 == 3 {
            trunks.skip(160);
        } else {
            trunks.say(0, 160, &speech(1, 160));
        }
        trunks.wait(FRAME);
    }
    let (_, to, report) = trunks.rtcp.iter().rfind(|(leg, ..)| *leg == A).expect("a report to A").clone();
    assert_eq!(to, SocketAddr::new(peer(A).ip(), 30_001));
    // A sent nothing itself, so it is a receiver report with one block on the peer's source, then SDES.
    assert_eq!((report[0], report[1]), (0x81, 201));
    assert_eq!(report[8..12], 99_u32.to_be_bytes());
    assert!((20..=32).contains(&report[12]), "a tenth of 256 is lost, not {}", report[12]);
    assert_eq!(report[33], 202);
    let (_, _, report) = trunks.rtcp.iter().rfind(|(leg, ..)| *leg == B).expect("a report to B").clone();
    assert_eq!((report[0], report[1]), (0x80, 200));
    // B's peer answers 30 ms later, after keeping the report for 50 ms.
    trunks.command(Command::Ringback { session: A });
    trunks.rtcp.clear();
    while trunks.rtcp.iter().all(|(leg, ..)| *leg != B) {
        trunks.wait(Duration::from_millis(10));
    }
    let report = trunks.rtcp.iter().rfind(|(leg, ..)| *leg == B).unwrap().2.clone();
    trunks.wait(Duration::from_millis(80));
    let mut answer = vec![0x81, 201, 0, 7, 0, 0, 0, 5];
    answer.extend_from_slice(&report[4..8]);
    answer.extend_from_slice(&[0; 12]);
    answer.extend_from_slice(&report[10..14]);
    answer.extend_from_slice(&(65_536_u32 * 50 / 1000).to_be_bytes());
    trunks.receive(rtcp_socket(B), SocketAddr::new(peer(B).ip(), 30_001), &answer);
    trunks.command(Command::Close { session: B });
    let closed = trunks.events.iter().find_map(|event| match event {
        Event::Closed { session: B, statistics } => Some(*statistics),
        _ => None,
    });
    let trip = closed.expect("closed").round_trip.expect("measured");
    // The harness steps by 10 ms between sending and looking.
    assert!((Duration::from_millis(29)..Duration::from_millis(42)).contains(&trip), "{trip:?}");
    let bye = &trunks.rtcp.last().unwrap().2;
    assert_eq!(bye[bye.len() - 8..bye.len() - 4], [0x81, 203, 0, 1]);
}

#[test]
fn loss_is_in_the_figures_of_the_closed_leg() {
    let mut trunks = Trunks::bridged(PCMU, PCMA);
    for n in 0..100 {
        if n % 10 == 3 {
            trunks.skip(160);
        } else {
            trunks.say(0, 160, &speech(1, 160));
        }
        trunks.wait(FRAME);
    }
    trunks.command(Command::Close { session: A });
    let Some(Event::Closed { statistics, .. }) = trunks.events.last() else { panic!("not closed") };
    assert_eq!((statistics.packets_received, statistics.packets_lost), (90, 10));
    assert_eq!(trunks.to(B).len(), 100, "what was lost is concealed");
}

#[test]
fn joining_counts_silence_anew_so_that_a_call_that_rang_long_is_still_watched() {
    let mut trunks = Trunks::new();
    trunks.open(A, vec![]);
    trunks.open(B, vec![]);
    trunks.offer(A, peer(A), PCMU);
    trunks.offer(B, peer(B), PCMU);
    let silent = |trunks: &Trunks| trunks.events.iter().filter(|e| matches!(e, Event::Silent { session: A })).count();
    trunks.wait(Duration::from_secs(15));
    assert_eq!(silent(&trunks), 1);
    trunks.command(Command::Bridge { a: A, b: B });
    trunks.wait(Duration::from_secs(9));
    assert_eq!(silent(&trunks), 1);
    trunks.wait(Duration::from_secs(2));
    assert_eq!(silent(&trunks), 2);
}

#[test]
fn ringback_asked_for_before_the_codec_is_known_begins_with_it() {
    let mut trunks = Trunks::new();
    trunks.open(A, vec![]);
    trunks.command(Command::Ringback { session: A });
    trunks.offer(A, peer(A), PCMU);
    trunks.wait(Duration::from_secs(1));
    let heard = trunks.to(A);
    assert!((49..=51).contains(&heard.len()), "{}", heard.len());
    assert!(heard.windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == 160));
    trunks.command(Command::Close { session: A });
    trunks.wait(Duration::from_secs(1));
    assert_eq!(trunks.to(A).len(), heard.len());
}

#[test]
fn a_key_held_while_the_call_is_joined_elsewhere_comes_up() {
    let mut trunks = Trunks::bridged(PCMU, PCMA);
    trunks.say(101, 0, &event(8, false, 160));
    trunks.wait(Duration::from_millis(60));
    trunks.command(Command::Echo { session: A });
    trunks.wait(Duration::from_secs(1));
    let ends = trunks.to(B).iter().filter(|sent| sent.payload_type == 101 && sent.payload[1] & 0x80 != 0).count();
    assert_eq!(ends, 3);
}

#[test]
fn a_port_given_after_the_close_is_released_and_a_full_shard_says_so() {
    let mut trunks = Trunks::new();
    let keying = Keying::Plain { networks: vec![] };
    let silence_timeout = Duration::ZERO;
    let open = |session| Command::Open { session, keying: keying.clone(), codecs: vec![Codec::Pcmu], silence_timeout };
    trunks.shard.handle_command(trunks.now, open(A));
    trunks.shard.handle_command(trunks.now, Command::Close { session: A });
    let request = trunks.shard.poll_port_request().expect("a wish");
    let port = LocalPort { rtp: SocketId(1), rtcp: SocketId(2), advertised: address(1, 20_000) };
    trunks.shard.handle_port(trunks.now, request.session, Some(port));
    assert_eq!(trunks.shard.poll_port_release(), Some(port));
    for n in 10..14 {
        trunks.command(open(MediaSessionId(n)));
    }
    assert!(matches!(trunks.events.last(), Some(Event::Failed { session: MediaSessionId(13), .. })));
    trunks.command(Command::Close { session: MediaSessionId(13) });
    assert!(matches!(trunks.events.last(), Some(Event::Closed { session: MediaSessionId(13), .. })));
}

#[test]
fn a_session_joined_with_itself_hears_itself() {
    let mut trunks = Trunks::bridged(PCMU, PCMA);
    trunks.command(Command::Bridge { a: A, b: A });
    trunks.say(0, 160, &speech(1, 160));
    assert_eq!((trunks.to(A).len(), trunks.to(B).len()), (1, 0));
}
