//! Keys said and heard on plain legs: as events, as tones, between talk.

use crate::plain::{A, B, FRAME, Sent, Trunks, mu_law, peer};
use media::{Command, Dtmf, Event, MediaSessionId};

const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// A voice: three sounds that are no key.
pub(crate) const VOICE: [(f64, f64); 3] = [(210.0, 6000.0), (640.0, 3000.0), (1900.0, 2000.0)];
/// A tone of a key at -9 dBm0.
const TONE: f64 = 7900.0;

pub(crate) fn with(dtmf: Dtmf, a: &str, b: &str) -> Trunks {
    let mut trunks = Trunks::new();
    trunks.open(A, vec![]);
    trunks.open(B, vec![]);
    trunks.command(Command::SetDtmf { session: B, dtmf });
    trunks.offer(A, peer(A), a);
    trunks.offer(B, peer(B), b);
    trunks.command(Command::Bridge { a: A, b: B });
    trunks
}

pub(crate) fn event(code: u8, end: bool, units: u16) -> [u8; 4] {
    let [high, low] = units.to_be_bytes();
    [code, if end { 0x8a } else { 0x0a }, high, low]
}

pub(crate) fn key(digit: char) -> [(f64, f64); 2] {
    let keys = ["123A", "456B", "789C", "*0#D"];
    let row = keys.iter().position(|row| row.contains(digit)).unwrap();
    [(ROWS[row], TONE), (COLUMNS[keys[row].find(digit).unwrap()], TONE)]
}

/// 20 ms of waves, in mu-law, beginning at sample `at`.
pub(crate) fn sound(waves: &[(f64, f64)], at: usize) -> Vec<u8> {
    (at..at + 160).map(|n| mu_law(sample(waves, n))).collect()
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub(crate) fn sample(waves: &[(f64, f64)], n: usize) -> i16 {
    let wave = |(frequency, peak): &(f64, f64)| peak * (std::f64::consts::TAU * frequency * n as f64 / 8000.0).sin();
    waves.iter().map(wave).sum::<f64>() as i16
}

/// What a leg's peer hears, decoded, frame by frame.
pub(crate) fn audio(trunks: &Trunks, leg: MediaSessionId) -> Vec<Vec<i16>> {
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

pub(crate) fn linear(code: u8) -> i16 {
    let code = !code;
    let magnitude = ((i16::from(code & 0x0f) * 8 + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

pub(crate) fn a_law_linear(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (exponent, mantissa) = ((code >> 4) & 7, i16::from(code & 0x0f));
    let magnitude = if exponent == 0 { mantissa * 16 + 8 } else { (mantissa * 16 + 0x108) << (exponent - 1) };
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

/// The level of a frequency in dBm0.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn level(samples: &[i16], frequency: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let angle = std::f64::consts::TAU * frequency * n as f64 / 8000.0;
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    20.0 * (2.0 * re.hypot(im) / samples.len() as f64 / 32_124.0).max(1e-6).log10() + 3.17
}

/// The key that fills some sound, by level alone.
pub(crate) fn key_in(samples: &[i16]) -> Option<char> {
    let loudest = |group: [f64; 4]| {
        let levels = group.map(|frequency| level(samples, frequency));
        let place = (0..4).max_by(|a, b| levels[*a].total_cmp(&levels[*b])).unwrap();
        (levels[place] > -20.0).then_some(place)
    };
    let (row, column) = (loudest(ROWS)?, loudest(COLUMNS)?);
    ["123A", "456B", "789C", "*0#D"][row].chars().nth(column)
}

/// How many milliseconds of the key's tones are in what a peer hears, by the power at its frequencies in steps of 5 ms.
pub(crate) fn leaked(trunks: &Trunks, leg: MediaSessionId, digit: char) -> usize {
    let heard: Vec<i16> = audio(trunks, leg).concat();
    let [low, high] = key(digit).map(|(frequency, _)| frequency);
    heard.chunks(40).filter(|chunk| level(chunk, low) > -25.0 && level(chunk, high) > -25.0).count() * 5
}

pub(crate) fn told(trunks: &Trunks) -> String {
    let digits = trunks.events.iter().filter_map(|event| match event {
        Event::Digit { digit, .. } => Some(*digit),
        _ => None,
    });
    digits.collect()
}

/// The telephone-events a peer got: code and milliseconds of each, by their first end.
pub(crate) fn events(trunks: &Trunks, leg: MediaSessionId, payload_type: u8) -> Vec<(u8, u32)> {
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
pub(crate) fn assert_continuous(heard: &[Sent], most: u32) {
    for pair in heard.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp) <= most, "{pair:?}");
    }
}

/// The peer of A talks for some frames.
pub(crate) fn talk(trunks: &mut Trunks, frames: usize) {
    for n in 0..frames {
        trunks.say(0, 160, &sound(&VOICE, n * 160));
        trunks.wait(FRAME);
    }
}

/// The peer of A holds a key by tones, from sample `offset` of a frame on, for so many samples; silence around it.
pub(crate) fn sound_key(trunks: &mut Trunks, digit: char, offset: usize, length: usize) {
    let waves = key(digit);
    for frame in 0..(offset + length).div_ceil(160) + 8 {
        let payload: Vec<u8> = (frame * 160..frame * 160 + 160)
            .map(|n| mu_law(if (offset..offset + length).contains(&n) { sample(&waves, n - offset) } else { 0 }))
            .collect();
        trunks.say(0, 160, &payload);
        trunks.wait(FRAME);
    }
}
