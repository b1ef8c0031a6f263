//! A shard between a browser (ICE, DTLS-SRTP, Opus) and a trunk (plain RTP, PCMU): what is heard on each side. The network and the
//! clock are simulated; keys, codecs and packets are real.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

#[allow(dead_code, reason = "not for every test that shares this file")]
mod support;

use std::time::Duration;

use media::{Bandwidth, Codec, Command, Event};
use support::{BROWSER, Call, FRAME, TRUNK, level_db, tone};

#[test]
fn a_tone_from_the_browser_reaches_the_trunk_at_its_level() {
    let mut call = Call::connected();
    let heard = call.speak(100, |call, n| call.browser_says(&tone(400.0, n)));
    let samples = &heard.trunk[20 * FRAME..];
    assert!(samples.len() >= 75 * FRAME, "{} samples", samples.len());
    assert!(level_db(samples, 400.0).abs() < 3.0, "{} dB", level_db(samples, 400.0));
    assert!(level_db(samples, 1300.0) < -20.0);
}

#[test]
fn a_tone_from_the_trunk_reaches_the_browser_at_its_level() {
    let mut call = Call::connected();
    let heard = call.speak(100, |call, n| call.trunk_says(&tone(1000.0, n)));
    let samples = &heard.browser[20 * FRAME..];
    assert!(samples.len() >= 75 * FRAME, "{} samples", samples.len());
    assert!(level_db(samples, 1000.0).abs() < 3.0, "{} dB", level_db(samples, 1000.0));
}

#[test]
fn each_packet_is_answered_in_the_turn_it_arrives() {
    let mut call = Call::connected();
    call.speak(10, |call, n| call.browser_says(&tone(400.0, n)));
    let before = call.trunk_packets.len();
    call.browser_says(&tone(400.0, 10));
    call.deliver();
    assert_eq!(call.trunk_packets.len(), before + 1);
}

#[test]
fn egress_numbers_and_timestamps_are_continuous_through_loss_and_reordering() {
    let mut call = Call::connected();
    let mut random = 1_u32;
    call.speak(300, |call, n| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match random >> 24 {
            0..=20 => call.browser_loses(&tone(400.0, n)),
            21..=40 => call.browser_delays(&tone(400.0, n)),
            _ => call.browser_says(&tone(400.0, n)),
        }
    });
    let packets = &call.trunk_packets;
    assert!(packets.len() > 290, "{}", packets.len());
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 160);
    }
}

#[test]
fn lost_packets_leave_no_silence() {
    let mut call = Call::connected();
    let heard = call.speak(200, |call, n| {
        if n % 10 == 5 {
            call.browser_loses(&tone(400.0, n));
        } else {
            call.browser_says(&tone(400.0, n));
        }
    });
    let silent = heard.trunk[20 * FRAME..].chunks(FRAME).filter(|frame| frame.iter().all(|s| s.abs() < 500)).count();
    assert_eq!(silent, 0);
}

#[test]
fn a_lost_packet_comes_back_from_the_next_one_in_its_place() {
    let mut call = Call::connected();
    // A tone that changes just in the packet that is lost: only its own FEC knows of it.
    let heard = call.speak(60, |call, n| match n {
        40 => call.browser_loses(&tone(1000.0, n)),
        _ => call.browser_says(&tone(400.0, n)),
    });
    let packets: Vec<f64> = heard.trunk.chunks(FRAME).map(|frame| level_db(frame, 1000.0)).collect();
    assert_eq!(packets.len(), 60);
    // libopus delays by a few milliseconds, so the frame's sound lies in two packets.
    let loudest = packets.iter().copied().fold(f64::MIN, f64::max);
    assert!(loudest > -12.0 && packets[40..=41].contains(&loudest), "{packets:?}");
}

#[test]
fn digits_cross_from_48_khz_to_8_khz_once_each_with_their_length() {
    let mut call = Call::connected();
    call.speak(10, |call, n| call.browser_says(&tone(400.0, n)));
    for digit in [5_u8, 11] {
        call.browser_presses(digit, Duration::from_millis(120));
        call.speak(10, |call, n| call.browser_says(&tone(400.0, n)));
    }
    assert_eq!(call.trunk_digits(), [(5, 120), (11, 120)]);
    let told: Vec<_> = call
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Digit { digit, duration, .. } => Some((*digit, duration.as_millis())),
            _ => None,
        })
        .collect();
    assert_eq!(told, [('5', 120), ('#', 120)]);
}

#[test]
fn dialled_digits_reach_the_trunk() {
    let mut call = Call::connected();
    let duration = Duration::from_millis(100);
    call.command(Command::SendDigits { session: TRUNK, digits: "12*".to_owned(), duration });
    call.speak(60, |_, _| ());
    assert_eq!(call.trunk_digits(), [(1, 100), (2, 100), (10, 100)]);
}

#[test]
fn echo_gives_the_browser_its_own_packets_back() {
    let mut call = Call::connected();
    call.command(Command::Echo { session: BROWSER });
    let heard = call.speak(60, |call, n| call.browser_says(&tone(700.0, n)));
    assert!(level_db(&heard.browser[20 * FRAME..], 700.0).abs() < 3.0);
    assert!(heard.trunk.is_empty());
}

#[test]
fn ringback_is_heard_until_the_bridge() {
    let mut call = Call::connected();
    call.command(Command::Ringback { session: BROWSER });
    let heard = call.speak(40, |_, _| ());
    assert!(level_db(&heard.browser[10 * FRAME..], 425.0) > -9.0);
    call.command(Command::Bridge { a: BROWSER, b: TRUNK });
    let heard = call.speak(40, |call, n| call.trunk_says(&tone(1000.0, n)));
    assert!(level_db(&heard.browser[10 * FRAME..], 425.0) < -20.0);
}

#[test]
fn rtp_from_a_stranger_is_not_heard_and_does_not_move_the_call() {
    let mut call = Call::connected();
    call.speak(5, |call, n| call.trunk_says(&tone(1000.0, n)));
    let discarded = call.shard.counters().packets_discarded;
    call.stranger_says(&tone(2000.0, 0));
    assert_eq!(call.shard.counters().packets_discarded, discarded + 1);
    let heard = call.speak(40, |call, n| call.trunk_says(&tone(1000.0, n)));
    assert!(level_db(&heard.browser[10 * FRAME..], 1000.0).abs() < 3.0);
}

#[test]
fn silence_is_told_once_and_again_only_after_media_came_back() {
    let mut call = Call::connected();
    let silent = |call: &Call| call.events.iter().filter(|e| matches!(e, Event::Silent { session: TRUNK })).count();
    call.speak(5, |call, n| call.trunk_says(&tone(1000.0, n)));
    call.wait(Duration::from_secs(31));
    call.wait(Duration::from_secs(31));
    assert_eq!(silent(&call), 1);
    call.speak(5, |call, n| call.trunk_says(&tone(1000.0, n)));
    call.wait(Duration::from_secs(31));
    assert_eq!(silent(&call), 2);
}

#[test]
fn closing_tells_the_figures_once_and_gives_the_port_back() {
    let mut call = Call::connected();
    call.speak(50, |call, n| call.browser_says(&tone(400.0, n)));
    call.command(Command::Close { session: BROWSER });
    call.command(Command::Close { session: TRUNK });
    let closed: Vec<_> = call
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Closed { session, statistics } => Some((*session, *statistics)),
            _ => None,
        })
        .collect();
    assert_eq!(closed.len(), 2);
    assert_eq!(closed[0].1.packets_received, 50);
    assert_eq!(closed[1].1.packets_sent, 50);
    assert_eq!(call.shard.poll_port_release().map(|port| port.advertised), Some(support::TRUNK_PORT));
    assert_eq!(call.shard.counters().sessions, 0);
}

#[test]
fn an_offer_without_a_codec_in_common_is_rejected_in_words() {
    let mut call = Call::connected();
    let session = media::MediaSessionId(9);
    call.open_browser(session, vec![Codec::Opus]);
    let sdp = support::browser_offer().replace("opus/48000/2", "speex/16000").into_bytes();
    call.command(Command::HandleOffer { session, sdp, bandwidth: Bandwidth::Full });
    let reason = call.events.iter().find_map(|event| match event {
        Event::Rejected { session: media::MediaSessionId(9), reason } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason.as_deref(), Some("no audio codec in common"));
}

#[test]
fn random_packets_never_panic_and_never_reach_the_far_side() {
    let mut call = Call::connected();
    let mut random = 7_u64;
    for _ in 0..20_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let length = usize::try_from(random >> 56).unwrap();
        let packet: Vec<u8> = (0..length).map(|n| u8::try_from((random >> (n % 50)) & 0xff).unwrap()).collect();
        call.inject(&packet);
    }
    call.deliver();
    assert!(call.trunk_packets.is_empty());
}
