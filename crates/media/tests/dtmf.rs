//! Digits between legs that tell them differently: telephone-events, tones in the audio, signalling. Each arrives once, in the way of
//! the leg it goes to, and never as sound in addition.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

#[allow(dead_code, reason = "shared with the tests of plain legs")]
#[path = "support/plain.rs"]
mod plain;

use std::time::Duration;

use media::{Bandwidth, Command, Dtmf, Event, MediaSessionId};
use plain::{A, B, FRAME, OPUS, PCMA, PCMU, Sent, Trunks, mu_law, peer};

const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// A voice: three sounds that are no key.
const VOICE: [(f64, f64); 3] = [(210.0, 6000.0), (640.0, 3000.0), (1900.0, 2000.0)];
/// A tone of a key at -9 dBm0.
const TONE: f64 = 7900.0;

fn with(dtmf: Dtmf, a: &str, b: &str) -> Trunks {
    let mut trunks = Trunks::new();
    trunks.open(A, vec![]);
    trunks.open(B, vec![]);
    trunks.command(Command::SetDtmf { session: B, dtmf });
    trunks.offer(A, peer(A), a);
    trunks.offer(B, peer(B), b);
    trunks.command(Command::Bridge { a: A, b: B });
    trunks
}

fn event(code: u8, end: bool, units: u16) -> [u8; 4] {
    let [high, low] = units.to_be_bytes();
    [code, if end { 0x8a } else { 0x0a }, high, low]
}

fn key(digit: char) -> [(f64, f64); 2] {
    let keys = ["123A", "456B", "789C", "*0#D"];
    let row = keys.iter().position(|row| row.contains(digit)).unwrap();
    [(ROWS[row], TONE), (COLUMNS[keys[row].find(digit).unwrap()], TONE)]
}

/// 20 ms of waves, in mu-law, beginning at sample `at`.
fn sound(waves: &[(f64, f64)], at: usize) -> Vec<u8> {
    (at..at + 160).map(|n| mu_law(sample(waves, n))).collect()
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn sample(waves: &[(f64, f64)], n: usize) -> i16 {
    let wave = |(frequency, peak): &(f64, f64)| peak * (std::f64::consts::TAU * frequency * n as f64 / 8000.0).sin();
    waves.iter().map(wave).sum::<f64>() as i16
}

/// What a leg's peer hears, decoded, frame by frame.
fn audio(trunks: &Trunks, leg: MediaSessionId) -> Vec<Vec<i16>> {
    let mut opus = opus::Decoder::new(8000, opus::Channels::Mono).unwrap();
    let mut frames = Vec::new();
    for sent in trunks.to(leg) {
        match sent.payload_type {
            0 => frames.push(sent.payload.iter().map(|code| linear(*code)).collect()),
            8 => frames.push(sent.payload.iter().map(|code| a_law_linear(*code)).collect()),
            111 => {
                let mut samples = vec![0; 960];
                let count = opus.decode(&sent.payload, &mut samples, false).unwrap();
                frames.push(samples[..count].to_vec());
            }
            _ => {}
        }
    }
    frames
}

fn linear(code: u8) -> i16 {
    let code = !code;
    let magnitude = ((i16::from(code & 0x0f) * 8 + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

fn a_law_linear(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (exponent, mantissa) = ((code >> 4) & 7, i16::from(code & 0x0f));
    let magnitude = if exponent == 0 { mantissa * 16 + 8 } else { (mantissa * 16 + 0x108) << (exponent - 1) };
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

/// The level of a frequency in dBm0.
#[allow(clippy::cast_precision_loss)]
fn level(samples: &[i16], frequency: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let angle = std::f64::consts::TAU * frequency * n as f64 / 8000.0;
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    20.0 * (2.0 * re.hypot(im) / samples.len() as f64 / 32_124.0).max(1e-6).log10() + 3.17
}

/// The key that fills some sound, by level alone.
fn key_in(samples: &[i16]) -> Option<char> {
    let loudest = |group: [f64; 4]| {
        let levels = group.map(|frequency| level(samples, frequency));
        let place = (0..4).max_by(|a, b| levels[*a].total_cmp(&levels[*b])).unwrap();
        (levels[place] > -20.0).then_some(place)
    };
    let (row, column) = (loudest(ROWS)?, loudest(COLUMNS)?);
    ["123A", "456B", "789C", "*0#D"][row].chars().nth(column)
}

/// How many milliseconds of the key's tones are in what a peer hears, by the power at its frequencies in steps of 5 ms.
fn leaked(trunks: &Trunks, leg: MediaSessionId, digit: char) -> usize {
    let heard: Vec<i16> = audio(trunks, leg).concat();
    let [low, high] = key(digit).map(|(frequency, _)| frequency);
    heard.chunks(40).filter(|chunk| level(chunk, low) > -25.0 && level(chunk, high) > -25.0).count() * 5
}

fn told(trunks: &Trunks) -> String {
    let digits = trunks.events.iter().filter_map(|event| match event {
        Event::Digit { digit, .. } => Some(*digit),
        _ => None,
    });
    digits.collect()
}

/// The telephone-events a peer got: code and milliseconds of each, by their first end.
fn events(trunks: &Trunks, leg: MediaSessionId, payload_type: u8) -> Vec<(u8, u32)> {
    let per_ms = if payload_type == 110 { 48 } else { 8 };
    let mut ends: Vec<(u32, u8, u32)> = Vec::new();
    for sent in trunks.to(leg).iter().filter(|sent| sent.payload_type == payload_type && sent.payload[1] & 0x80 != 0) {
        let units = u32::from(u16::from_be_bytes([sent.payload[2], sent.payload[3]]));
        if ends.iter().all(|(timestamp, ..)| *timestamp != sent.timestamp) {
            ends.push((sent.timestamp, sent.payload[0], units / per_ms));
        }
    }
    ends.into_iter().map(|(_, code, ms)| (code, ms)).collect()
}

/// Whether a stream has no hole: numbers in order, time too, and no more than `most` units between packets.
fn assert_continuous(heard: &[Sent], most: u32) {
    for pair in heard.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp) <= most, "{pair:?}");
    }
}

/// The peer of A talks for some frames.
fn talk(trunks: &mut Trunks, frames: usize) {
    for n in 0..frames {
        trunks.say(0, 160, &sound(&VOICE, n * 160));
        trunks.wait(FRAME);
    }
}

/// The peer of A holds a key by tones, from sample `offset` of a frame on, for so many samples; silence around it.
fn sound_key(trunks: &mut Trunks, digit: char, offset: usize, length: usize) {
    let waves = key(digit);
    for frame in 0..(offset + length).div_ceil(160) + 8 {
        let payload: Vec<u8> = (frame * 160..frame * 160 + 160)
            .map(|n| mu_law(if (offset..offset + length).contains(&n) { sample(&waves, n - offset) } else { 0 }))
            .collect();
        trunks.say(0, 160, &payload);
        trunks.wait(FRAME);
    }
}

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
