//! What a detector must hear and what it must not (ITU-T Q.24): keys in all their tolerances, and minutes of speech and music.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

/// What sounds: for each tone its frequency in Hz and its level in dBm0.
type Sound = [(f64, f64); 2];

const SILENCE: Sound = [(0.0, -99.0); 2];
/// Both tones at -10 dBm0.
const FIVE: Sound = [(770.0, -10.0), (1336.0, -10.0)];

fn amplitude(level: f64) -> f64 {
    32_124.0 * 10_f64.powf((level - 3.17) / 20.0)
}

fn samples(sounds: &[(Sound, usize)]) -> Vec<i16> {
    let mut all = Vec::new();
    for (sound, count) in sounds {
        for n in 0..*count {
            let t = f64::from(u32::try_from(n).unwrap()) / 8000.0;
            let wave =
                |(frequency, level): (f64, f64)| amplitude(level) * (std::f64::consts::TAU * frequency * t).sin();
            #[allow(clippy::cast_possible_truncation)]
            all.push((wave(sound[0]) + wave(sound[1])) as i16);
        }
    }
    all
}

/// What is heard, with what follows long enough for a release.
fn heard(sound: &[i16]) -> Vec<Heard> {
    let mut detector = ToneDetector::new();
    let mut heard: Vec<Heard> = detector.listen(sound).to_vec();
    heard.extend(detector.listen(&[0; 800]));
    heard
}

fn digits(sound: &[i16]) -> String {
    let pressed = heard(sound).into_iter().filter_map(|heard| match heard {
        Heard::Pressed(digit) => Some(digit),
        Heard::Released(..) | Heard::Told(..) | Heard::Nothing => None,
    });
    pressed.collect()
}

/// At every place that windows may have against the tone.
fn digits_anywhere(sound: Sound, length: usize) -> Vec<String> {
    (0..HOP).map(|before| digits(&samples(&[(SILENCE, before), (sound, length)]))).collect()
}

fn shifted(sound: Sound, low: f64, high: f64) -> Sound {
    [(sound[0].0 * (1.0 + low), sound[0].1), (sound[1].0 * (1.0 + high), sound[1].1)]
}

fn levelled(low: f64, high: f64) -> Sound {
    [(770.0, low), (1336.0, high)]
}

#[test]
fn each_key_is_heard_once_and_as_long_as_it_was_held() {
    for (row, keys) in KEYS.iter().enumerate() {
        for (column, key) in keys.iter().enumerate() {
            let sound = [(f64::from(LOW[row]), -8.0), (f64::from(HIGH[column]), -6.0)];
            let heard = heard(&samples(&[(SILENCE, 333), (sound, 800)]));
            let digit = char::from(*key);
            let [Heard::Pressed(pressed), Heard::Released(released, held)] = heard[..] else { panic!("{heard:?}") };
            assert_eq!((pressed, released), (digit, digit));
            assert!((93..=107).contains(&held.as_millis()), "{held:?}");
        }
    }
}

#[test]
fn forty_milliseconds_are_always_a_key_and_twenty_three_never() {
    assert!(digits_anywhere(FIVE, 320).iter().all(|heard| heard == "5"));
    assert!(digits_anywhere(FIVE, 184).iter().all(String::is_empty));
}

#[test]
fn the_same_key_twice_with_forty_milliseconds_between_is_two_and_a_click_of_ten_splits_none() {
    for before in 0..HOP {
        let pause = |pause| digits(&samples(&[(SILENCE, before), (FIVE, 400), (SILENCE, pause), (FIVE, 400)]));
        assert_eq!(pause(320), "55");
        assert_eq!(pause(80), "5");
    }
}

#[test]
fn keys_in_quick_succession_are_heard_in_order() {
    let keys: Vec<(Sound, usize)> = [(697.0, 1209.0), (852.0, 1477.0), (941.0, 1336.0), (697.0, 1209.0)]
        .into_iter()
        .flat_map(|(low, high)| [([(low, -9.0), (high, -7.0)], 400), (SILENCE, 400)])
        .collect();
    assert_eq!(digits(&samples(&keys)), "1901");
}

#[test]
fn a_tone_may_be_off_by_one_and_a_half_percent_but_not_by_three_and_a_half() {
    for off in [-0.015, 0.015] {
        for (low, high) in [(off, 0.0), (0.0, off), (off, off), (off, -off)] {
            let heard = digits_anywhere(shifted(FIVE, low, high), 400);
            assert!(heard.iter().all(|heard| heard == "5"), "{low} {high}");
            let far = 0.035 / 0.015;
            let heard = digits_anywhere(shifted(FIVE, low * far, high * far), 4000);
            assert!(heard.iter().all(String::is_empty), "{low} {high}: {heard:?}");
        }
    }
}

#[test]
fn one_tone_of_the_lowest_key_off_by_three_and_a_half_percent_is_no_key() {
    // A window alone hardly tells so low a tone from its neighbourhood: the phase from window to window does.
    let one = [(697.0, -10.0), (1209.0, -10.0)];
    for off in [-0.035, 0.035] {
        assert!(digits_anywhere(shifted(one, off, 0.0), 4000).iter().all(String::is_empty), "{off}");
        assert!(digits_anywhere(shifted(one, off * 0.4, 0.0), 400).iter().all(|heard| heard == "1"), "{off}");
    }
}

#[test]
fn levels_and_twist_are_accepted_and_refused_as_agreed() {
    let cases = [
        (levelled(0.0, 0.0), true),
        (levelled(-25.0, -25.0), true),
        (levelled(-33.0, -33.0), false),
        (levelled(-55.0, -55.0), false),
        // The high tone 4 dB above, and 8 dB below the low one.
        (levelled(-14.0, -10.0), true),
        (levelled(-10.0, -18.0), true),
        (levelled(-19.0, -10.0), false),
        (levelled(-10.0, -22.0), false),
    ];
    for (sound, is_key) in cases {
        let expected = if is_key { "5" } else { "" };
        assert!(digits_anywhere(sound, 400).iter().all(|heard| heard == expected), "{sound:?}");
    }
}

#[test]
fn keys_are_heard_through_noise_fifteen_decibels_below_them() {
    let mut random = StdRng::seed_from_u64(1);
    let peak = amplitude(-22.0) * 1.5_f64.sqrt();
    for _ in 0..200 {
        let mut sound = samples(&[(SILENCE, random.random_range(0..200)), (FIVE, 400), (SILENCE, 400)]);
        for sample in &mut sound {
            #[allow(clippy::cast_possible_truncation)]
            let noise = random.random_range(-peak..peak) as i16;
            *sample += noise;
        }
        assert_eq!(digits(&sound), "5");
    }
}

#[test]
fn one_tone_alone_and_dial_tones_are_no_keys() {
    for sound in [
        [(770.0, -10.0), (0.0, -99.0)],
        [(1336.0, -10.0), (0.0, -99.0)],
        // Dial tone and busy tone of North America, ringback of Europe, fax calling.
        [(350.0, -13.0), (440.0, -13.0)],
        [(480.0, -24.0), (620.0, -24.0)],
        [(425.0, -10.0), (0.0, -99.0)],
        [(1100.0, -10.0), (2100.0, -10.0)],
    ] {
        assert_eq!(digits(&samples(&[(sound, 16_000)])), "", "{sound:?}");
    }
}

/// Keys heard in a sound, and the share of its windows that would have been kept back.
fn talk_off(sound: &[f64]) -> (String, f64) {
    let loudest = sound.iter().fold(1.0_f64, |most, sample| most.max(sample.abs()));
    #[allow(clippy::cast_possible_truncation)]
    let sound: Vec<i16> = sound.iter().map(|sample| (sample / loudest * 28_000.0) as i16).collect();
    let (mut detector, mut suspected) = (ToneDetector::new(), 0);
    let mut pressed = String::new();
    for window in sound.chunks(HOP) {
        for heard in detector.listen(window) {
            if let Heard::Pressed(digit) = heard {
                pressed.push(digit);
            }
        }
        suspected += u32::from(detector.suspects());
    }
    (pressed, f64::from(suspected) * HOP as f64 / sound.len() as f64)
}

/// Notes of the tempered scale with their overtones: melody, chords, bass. (Two notes without any, on a key's pitches, are that key.)
fn music(random: &mut StdRng, seconds: usize) -> Vec<f64> {
    let mut sound = vec![0.0; seconds * 8000];
    let mut at = 0;
    while at < sound.len() {
        let length = random.random_range(400..6000);
        let voices = random.random_range(1..5);
        for _ in 0..voices {
            let frequency = 55.0 * 2_f64.powf(f64::from(random.random_range(0..60)) / 12.0);
            let (overtones, dull) = (random.random_range(2..9), random.random_range(0.5..2.0));
            let decay = random.random_range(0.0..6.0);
            for (n, sample) in sound.iter_mut().skip(at).take(length).enumerate() {
                let t = n as f64 / 8000.0;
                let waves = (1..=overtones).map(f64::from).filter(|k| k * frequency < 3900.0);
                let wave: f64 = waves.map(|k| (std::f64::consts::TAU * frequency * k * t).sin() / k.powf(dull)).sum();
                *sample += wave * (-decay * t).exp();
            }
        }
        at += length;
    }
    sound
}

/// A voice: pulses whose pitch glides, three formants that move from vowel to vowel, hissing between.
fn speech(random: &mut StdRng, seconds: usize) -> Vec<f64> {
    let mut sound = Vec::with_capacity(seconds * 8000);
    let base = random.random_range(80.0..280.0);
    let mut states = [[0.0_f64; 2]; 3];
    let mut phase = 0.0;
    while sound.len() < seconds * 8000 {
        let length = random.random_range(500..2400);
        let voiced = random.random_bool(0.75);
        let (from, to) = (base * random.random_range(0.7..1.5), base * random.random_range(0.7..1.5));
        let bands = [(250.0, 900.0), (800.0, 2400.0), (2000.0, 3400.0)];
        let ends = bands.map(|(low, high)| (random.random_range(low..high), random.random_range(low..high)));
        for n in 0..length {
            let part = n as f64 / length as f64;
            phase += (from + (to - from) * part) / 8000.0;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase %= 1.0;
            let source = if voiced { pulse } else { random.random_range(-0.2..0.2) };
            let mut sample = 0.0;
            for (state, (start, end)) in states.iter_mut().zip(ends) {
                let (pole, angle): (f64, f64) = (0.97, std::f64::consts::TAU * (start + (end - start) * part) / 8000.0);
                let next = source + 2.0 * pole * angle.cos() * state[0] - pole * pole * state[1];
                *state = [next, state[0]];
                sample += next;
            }
            sound.push(sample * (std::f64::consts::PI * part).sin());
        }
    }
    sound
}

#[test]
fn minutes_of_music_have_no_keys_and_lose_hardly_anything() {
    for seed in 20..30 {
        let (keys, lost) = talk_off(&music(&mut StdRng::seed_from_u64(seed), 30));

        assert_eq!(keys, "", "seed {seed}");
        assert!(lost < 0.02, "seed {seed}: {lost}");
    }
}

#[test]
fn minutes_of_speech_have_no_keys_and_lose_hardly_anything() {
    for seed in 20..30 {
        let (keys, lost) = talk_off(&speech(&mut StdRng::seed_from_u64(seed), 30));

        assert_eq!(keys, "", "seed {seed}");
        assert!(lost < 0.02, "seed {seed}: {lost}");
    }
}

#[test]
fn whatever_sounds_a_key_that_goes_down_comes_up_before_the_next() {
    let mut random = StdRng::seed_from_u64(4);
    let (mut detector, mut down, mut presses) = (ToneDetector::new(), None, 0);
    for _ in 0..2000 {
        let level = random.random_range(-40.0..3.0);
        let row = f64::from(LOW[random.random_range(0..4)]) * random.random_range(0.97..1.03);
        let column = f64::from(HIGH[random.random_range(0..4)]) * random.random_range(0.97..1.03);
        let mut sound = samples(&[([(row, level), (column, level)], random.random_range(0..900))]);
        if random.random_bool(0.3) {
            sound.iter_mut().for_each(|sample| *sample = random.random());
        }
        for heard in detector.listen(&sound) {
            match heard {
                Heard::Pressed(digit) => assert_eq!(down.replace(digit), None),
                Heard::Released(digit, held) => {
                    assert_eq!(down.take(), Some(digit));
                    assert!(held >= Duration::from_millis(30));
                    presses += 1;
                }
                Heard::Told(..) | Heard::Nothing => panic!("{heard:?}"),
            }
        }
        assert_eq!(down.is_some(), detector.is_down());
    }
    assert!(presses > 100, "{presses}");
}
