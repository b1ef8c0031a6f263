//! Comfort noise of a trunk (RFC 3389): no loss, no dead leg, and a quiet line to whoever hears it.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/plain.rs"]
#[allow(dead_code, reason = "shared with the tests of plain legs")]
mod plain;
#[path = "support/sounds.rs"]
#[allow(dead_code, reason = "shared with the tests of codecs")]
mod sounds;

use std::time::Duration;

use media::{Command, Event, Statistics};
use plain::{A, B, FRAME, Sent, Trunks};
use sounds::{KINDS, Kind, Listener, Speaker, level_db};

const SECOND: Duration = Duration::from_secs(1);

/// The peer of A talks for so many frames.
fn talk(trunks: &mut Trunks, speaker: &mut Speaker, frames: u32) {
    for _ in 0..frames {
        trunks.say(8, 160, &speaker.say(20));
        trunks.wait(FRAME);
    }
}

/// The peer of A says that it is silent, `level` dB below the loudest, and sends nothing for so long.
fn rest(trunks: &mut Trunks, payload_type: u8, level: u8, how_long: Duration) {
    let units = u32::try_from(how_long.as_millis()).unwrap() * 8;
    trunks.say(payload_type, units, &[level, 40, 50]);
    trunks.wait(how_long);
}

fn loudness_db(samples: &[i16]) -> f64 {
    let power: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    10.0 * (power / f64::from(u32::try_from(samples.len()).unwrap()) / 32_768.0_f64.powi(2)).max(1e-12).log10()
}

fn heard(kind: Kind, sent: &[Sent]) -> Vec<i16> {
    let mut listener = Listener::new(kind);
    sent.iter().flat_map(|sent| listener.hear(&sent.payload)).collect()
}

fn statistics(trunks: &mut Trunks) -> Statistics {
    trunks.command(Command::Close { session: A });
    let closed = trunks.events.iter().find_map(|event| match event {
        Event::Closed { session: A, statistics } => Some(*statistics),
        _ => None,
    });
    closed.expect("closed")
}

#[test]
fn who_hears_a_silent_trunk_hears_a_quiet_line_without_a_hole_and_then_the_voice_at_once() {
    for kind in KINDS {
        let mut trunks = Trunks::bridged("8 13", kind.formats());
        let mut speaker = Speaker::new(Kind::Pcma, 1000.0);
        talk(&mut trunks, &mut speaker, 25);
        rest(&mut trunks, 13, 50, SECOND);
        talk(&mut trunks, &mut speaker, 25);
        let sent = trunks.to(B);
        assert!(sent.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)), "{kind:?}");
        let steps: Vec<u32> = sent.windows(2).map(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp)).collect();
        assert!(steps.iter().all(|step| *step == 20 * kind.clock()), "{kind:?}: {steps:?}");
        assert!((99..=101).contains(&sent.len()), "{kind:?}: {} packets", sent.len());
        let heard = heard(kind, &sent);
        let (quiet, voice) = (&heard[30 * 320..70 * 320], &heard[80 * 320..95 * 320]);
        let level = loudness_db(quiet);
        // Opus leaves out of white noise what it takes for none.
        assert!((-60.0..-44.0).contains(&level), "{kind:?}: noise at {level} dB");
        assert!(level_db(quiet, 1000.0) < -40.0, "{kind:?}: the voice goes on");
        assert!(level_db(voice, 1000.0).abs() < 2.0, "{kind:?}: the voice comes back");
    }
}

#[test]
fn a_number_of_its_own_is_comfort_noise_too_and_13_is_without_having_been_offered() {
    for (formats, payload_type) in [("8 118\r\na=rtpmap:118 CN/8000", 118), ("8", 13)] {
        let mut trunks = Trunks::bridged(formats, "8");
        let mut speaker = Speaker::new(Kind::Pcma, 1000.0);
        talk(&mut trunks, &mut speaker, 5);
        rest(&mut trunks, payload_type, 60, SECOND);
        assert!((54..=56).contains(&trunks.to(B).len()), "{} packets", trunks.to(B).len());
        assert_eq!(trunks.discarded(), 0);
    }
}

#[test]
fn who_has_said_that_it_is_silent_is_neither_lossy_nor_dead() {
    let mut trunks = Trunks::bridged("8 13", "0");
    let mut speaker = Speaker::new(Kind::Pcma, 1000.0);
    talk(&mut trunks, &mut speaker, 25);
    // The time-out is ten seconds.
    rest(&mut trunks, 13, 60, 60 * SECOND);
    let is_silent = |event: &Event| matches!(event, Event::Silent { session: A });
    assert!(!trunks.events.iter().any(is_silent));
    talk(&mut trunks, &mut speaker, 25);
    // Without comfort noise a silent leg is a dead one.
    trunks.wait(11 * SECOND);
    assert!(trunks.events.iter().any(is_silent));
    let figures = statistics(&mut trunks);
    assert_eq!((figures.packets_lost, figures.packets_received, figures.packets_discarded), (0, 51, 0));
    assert!(figures.jitter < Duration::from_millis(1), "{:?}", figures.jitter);
}

#[test]
fn noise_ends_when_whoever_makes_it_is_heard_no_more() {
    let mut trunks = Trunks::bridged("8 13", "0");
    rest(&mut trunks, 13, 50, SECOND);
    let before = trunks.to(B).len();
    assert!(before > 45);
    trunks.command(Command::Close { session: A });
    trunks.wait(SECOND);
    assert!(trunks.to(B).len() <= before + 1);
}

#[test]
fn a_member_of_a_mix_that_says_it_is_silent_is_not_made_up_for() {
    let mut trunks = Trunks::new();
    for (session, formats) in [(A, "8 13"), (B, "8")] {
        trunks.open(session, vec![]);
        trunks.offer(session, plain::peer(session), formats);
        trunks.command(Command::Mix { session, mix: media::MixId(1) });
    }
    let mut speaker = Speaker::new(Kind::Pcma, 1000.0);
    talk(&mut trunks, &mut speaker, 25);
    rest(&mut trunks, 13, 50, SECOND);
    let sent = trunks.to(B);
    assert_eq!(sent.len(), 75);
    let heard = heard(Kind::Pcma, &sent);
    assert!(level_db(&heard[5 * 320..20 * 320], 1000.0).abs() < 1.5);
    assert!(loudness_db(&heard[30 * 320..]) < -60.0);
}
