//! Digits between legs that tell them differently: telephone-events, tones, signalling. Each arrives once, in the way of the leg it goes to.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

#[allow(dead_code, reason = "not for every test that shares this file")]
#[path = "support/keys.rs"]
mod keys;
#[allow(dead_code, reason = "shared with the tests of plain legs")]
#[path = "support/plain.rs"]
mod plain;

use std::time::Duration;

use keys::*;
use media::{Bandwidth, Command, Dtmf, Event};
use plain::{A, B, FRAME, PCMA, PCMU, Trunks, peer};

#[test]
fn a_press_told_by_signalling_and_in_media_is_one_whichever_comes_first() {
    let press = |digit| Command::PressDigit { session: A, digit, duration: Duration::from_millis(160) };
    for signalling_first in [true, false] {
        let mut trunks = Trunks::bridged(PCMU, PCMA);
        if signalling_first {
            trunks.command(press('3'));
        }
        for n in 1..=4_u16 {
            trunks.say(101, 0, &event(3, false, 160 * n));
            trunks.wait(FRAME);
        }
        if !signalling_first {
            trunks.command(press('3'));
        }
        trunks.say(101, 0, &event(3, true, 800));
        trunks.wait(Duration::from_secs(1));
        let length = if signalling_first { 160 } else { 100 };
        assert_eq!((events(&trunks, B, 101), told(&trunks).as_str()), (vec![(3, length)], "3"));
        // The next press of the key is another one.
        trunks.wait(Duration::from_secs(2));
        trunks.command(press('3'));
        trunks.wait(Duration::from_secs(1));
        assert_eq!(told(&trunks), "33");
    }
}

#[test]
fn tones_that_signalling_told_before_are_not_told_again_and_are_not_heard() {
    let mut trunks = Trunks::bridged("0", PCMA);
    trunks.command(Command::PressDigit { session: A, digit: '8', duration: Duration::from_millis(100) });
    sound_key(&mut trunks, '8', 0, 800);
    trunks.wait(Duration::from_secs(1));
    assert_eq!((events(&trunks, B, 101), told(&trunks).as_str()), (vec![(8, 100)], "8"));
    assert!(leaked(&trunks, B, '8') <= 20);
}

#[test]
fn a_press_told_by_signalling_needs_no_media_and_nonsense_is_none() {
    let mut trunks = Trunks::bridged(PCMU, PCMA);
    for digit in ['d', 'x', '*'] {
        trunks.command(Command::PressDigit { session: A, digit, duration: Duration::from_millis(200) });
    }
    trunks.wait(Duration::from_secs(1));
    assert_eq!((events(&trunks, B, 101), told(&trunks).as_str()), (vec![(15, 200), (10, 200)], "D*"));
}

#[test]
fn a_leg_gets_digits_in_the_way_it_was_told_to_and_in_no_other() {
    // Way, formats of its peer: telephone-events, tones.
    let cases = [
        (Dtmf::Auto, PCMU, 1, 0),
        (Dtmf::Auto, "0", 0, 8),
        (Dtmf::Rfc4733, PCMU, 1, 0),
        (Dtmf::Rfc4733, "0", 0, 0),
        (Dtmf::Inband, PCMU, 0, 8),
        (Dtmf::Info, PCMU, 0, 0),
        (Dtmf::Info, "0", 0, 0),
    ];
    for (dtmf, formats, by_event, frames) in cases {
        let mut trunks = with(dtmf, PCMU, formats);
        trunks.say(101, 0, &event(2, false, 160));
        trunks.say(101, 0, &event(2, true, 1280));
        trunks.wait(Duration::from_secs(1));
        let sounding = audio(&trunks, B).iter().filter(|frame| key_in(frame) == Some('2')).count();
        assert_eq!((events(&trunks, B, 101).len(), sounding), (by_event, frames), "{dtmf:?} {formats}");
        assert_eq!(told(&trunks), "2", "{dtmf:?} {formats}");
    }
}

#[test]
fn only_legs_that_want_them_offer_telephone_events() {
    for (dtmf, expected) in [(Dtmf::Auto, true), (Dtmf::Rfc4733, true), (Dtmf::Inband, false), (Dtmf::Info, false)] {
        let mut trunks = Trunks::new();
        trunks.open(A, vec![]);
        trunks.command(Command::SetDtmf { session: A, dtmf });
        trunks.command(Command::CreateOffer { session: A, bandwidth: Bandwidth::Full });
        trunks.offer(A, peer(A), PCMU);
        let descriptions: Vec<String> = trunks
            .events
            .iter()
            .filter_map(|event| match event {
                Event::LocalDescription { sdp, .. } => Some(String::from_utf8(sdp.clone()).unwrap()),
                _ => None,
            })
            .collect();
        assert_eq!(descriptions.len(), 2);
        assert!(
            descriptions.iter().all(|sdp| sdp.contains("telephone-event") == expected),
            "{dtmf:?} {descriptions:?}"
        );
    }
}

#[test]
fn a_trunk_that_tells_digits_by_signalling_is_not_listened_to() {
    let mut trunks = Trunks::new();
    trunks.open(A, vec![]);
    trunks.open(B, vec![]);
    trunks.command(Command::SetDtmf { session: A, dtmf: Dtmf::Info });
    trunks.offer(A, peer(A), "0");
    trunks.offer(B, peer(B), PCMU);
    trunks.command(Command::Bridge { a: A, b: B });
    sound_key(&mut trunks, '7', 0, 800);
    assert_eq!(told(&trunks), "");
    trunks.command(Command::PressDigit { session: A, digit: '7', duration: Duration::from_millis(100) });
    trunks.wait(Duration::from_secs(1));
    assert_eq!((events(&trunks, B, 101), told(&trunks).as_str()), (vec![(7, 100)], "7"));
}
