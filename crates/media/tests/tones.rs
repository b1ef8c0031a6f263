//! Digits as tones in the audio: made for peers without telephone-events, heard from them, and never sound in addition.
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
use media::{Command, Dtmf};
use plain::{A, B, FRAME, OPUS, PCMA, PCMU, Trunks};

#[test]
fn a_peer_without_telephone_events_hears_the_tones_of_a_digit_and_nothing_else_meanwhile() {
    for formats in ["0", "8"] {
        let mut trunks = with(Dtmf::Auto, PCMU, formats);
        talk(&mut trunks, 5);
        let began = trunks.timestamp;
        for n in 1..=5_u16 {
            trunks.press(began, &event(9, false, 160 * n));
            // A careless peer goes on with its audio.
            trunks.say(0, 160, &sound(&VOICE, 0));
            trunks.wait(FRAME);
        }
        for _ in 0..3 {
            trunks.press(began, &event(9, true, 800));
        }
        talk(&mut trunks, 10);
        let frames = audio(&trunks, B);
        let keys: Vec<Option<char>> = frames.iter().map(|frame| key_in(frame)).collect();
        let first = keys.iter().position(|key| key.is_some()).expect("a tone");
        // The frame being made when the key comes up is still one of it.
        let end = keys.iter().rposition(|key| key.is_some()).expect("a tone") + 1;
        assert_eq!((first, end - first, &keys[first..end]), (5, 6, &[Some('9'); 6][..]));
        let tone = frames[first..end].concat();
        assert!((-9.0..-7.0).contains(&level(&tone, 852.0)), "{}", level(&tone, 852.0));
        assert!((-7.0..-5.0).contains(&level(&tone, 1477.0)), "{}", level(&tone, 1477.0));
        assert!(level(&tone, 210.0) < -40.0, "the voice is heard through the tone");
        let pause = frames[end..end + 3].concat();
        assert!(pause.iter().all(|sample| sample.abs() < 20), "60 ms of pause behind it");
        assert!(level(&frames[end + 3], 210.0) > -20.0, "the voice comes back");
        assert_continuous(&trunks.to(B), 161);
        assert_eq!(told(&trunks), "9");
    }
}

#[test]
fn dialled_digits_sound_one_after_another_long_enough_for_any_detector() {
    let mut trunks = with(Dtmf::Auto, PCMU, "0");
    let (digits, duration) = ("1#5".to_owned(), Duration::from_millis(40));
    trunks.command(Command::SendDigits { session: B, digits, duration });
    trunks.wait(Duration::from_secs(1));
    let keys: Vec<Option<char>> = audio(&trunks, B).iter().map(|frame| key_in(frame)).collect();
    let mut expected = Vec::new();
    for digit in "1#5".chars() {
        expected.extend([Some(digit); 4]);
        expected.extend([None; 3]);
    }
    assert_eq!(keys, expected);
    assert_continuous(&trunks.to(B), 160);
}

#[test]
fn a_key_that_is_held_sounds_until_it_comes_up() {
    let mut trunks = with(Dtmf::Auto, PCMU, "0");
    for n in 1..=15_u16 {
        trunks.say(101, 0, &event(0, false, 160 * n));
        trunks.wait(FRAME);
    }
    for _ in 0..3 {
        trunks.say(101, 0, &event(0, true, 2400));
    }
    trunks.wait(Duration::from_secs(1));
    let sounding = audio(&trunks, B).iter().filter(|frame| key_in(frame) == Some('0')).count();
    assert!((15..=16).contains(&sounding), "{sounding}");
}

#[test]
fn tones_of_a_peer_without_telephone_events_become_events_and_leak_twenty_milliseconds_at_most() {
    for (formats, payload_type) in [(PCMU, 101), (PCMA, 101), (OPUS, 110)] {
        for offset in (0..160).step_by(20) {
            let mut trunks = Trunks::bridged("0", formats);
            talk(&mut trunks, 5);
            trunks.sent.clear();
            sound_key(&mut trunks, '7', offset, 800);
            trunks.wait(Duration::from_secs(1));
            let [(7, ms)] = events(&trunks, B, payload_type)[..] else {
                panic!("{:?}", events(&trunks, B, payload_type))
            };
            assert!((90..=110).contains(&ms), "{ms}");
            assert_eq!(told(&trunks), "7");
            assert!(leaked(&trunks, B, '7') <= 20, "{} ms at {offset} for {formats}", leaked(&trunks, B, '7'));
        }
    }
}

#[test]
fn tones_cross_as_tones_between_two_peers_without_telephone_events() {
    let mut trunks = Trunks::bridged("0", "0");
    sound_key(&mut trunks, '4', 30, 900);
    trunks.wait(Duration::from_secs(1));
    let frames: Vec<Option<char>> = audio(&trunks, B).iter().map(|frame| key_in(frame)).collect();
    let sounding = frames.iter().filter(|key| **key == Some('4')).count();
    assert!((5..=7).contains(&sounding), "{frames:?}");
    assert_eq!(told(&trunks), "4");
}

#[test]
fn a_tone_with_a_lost_packet_in_it_is_one_digit() {
    let mut trunks = Trunks::bridged("0", PCMU);
    let waves = key('6');
    for frame in 0..8 {
        if frame == 4 {
            trunks.skip(160);
        } else {
            trunks.say(0, 160, &sound(&waves, frame * 160));
        }
        trunks.wait(FRAME);
    }
    trunks.wait(Duration::from_secs(1));
    assert_eq!((told(&trunks).as_str(), events(&trunks, B, 101).len()), ("6", 1));
}

#[test]
fn a_tone_that_breaks_off_with_its_stream_comes_up_by_itself() {
    let mut trunks = Trunks::bridged("0", PCMU);
    for frame in 0..5 {
        trunks.say(0, 160, &sound(&key('6'), frame * 160));
        trunks.wait(FRAME);
    }
    trunks.wait(Duration::from_millis(300));
    assert_eq!(told(&trunks), "6");
    assert_eq!(events(&trunks, B, 101).len(), 1);
}

#[test]
fn the_echo_of_our_own_tones_is_no_key_of_the_peer_but_another_key_and_the_same_one_later_are() {
    let mut trunks = Trunks::bridged("0", PCMU);
    for (echoed, expected) in [('5', ""), ('6', "6")] {
        trunks.command(Command::SendDigits {
            session: A,
            digits: "5".to_owned(),
            duration: Duration::from_millis(100),
        });
        trunks.wait(Duration::from_millis(60));
        // A line that gives the tones back 60 ms late.
        sound_key(&mut trunks, echoed, 0, 800);
        trunks.wait(Duration::from_secs(1));
        assert_eq!(told(&trunks), expected, "{echoed}");
    }
    assert!(leaked(&trunks, B, '5') <= 20, "the echo is not heard either");
    sound_key(&mut trunks, '5', 0, 800);
    trunks.wait(Duration::from_secs(1));
    assert_eq!((told(&trunks).as_str(), events(&trunks, B, 101).len()), ("65", 2));
}

#[test]
fn tones_of_a_peer_that_agreed_on_telephone_events_are_sound_like_any_other() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    sound_key(&mut trunks, '7', 0, 800);
    assert_eq!(told(&trunks), "");
    assert!(leaked(&trunks, B, '7') >= 95);
}

#[test]
fn speech_of_a_peer_without_telephone_events_passes_unchanged() {
    let mut trunks = Trunks::bridged("0", PCMU);
    talk(&mut trunks, 50);
    let said: Vec<i16> = (0..50).flat_map(|n| sound(&VOICE, n * 160)).map(linear).collect();
    assert_eq!((audio(&trunks, B).concat(), told(&trunks).as_str()), (said, ""));
}
