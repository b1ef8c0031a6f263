//! What peers say and hear: tones, marks by which to know when something was said, G.711.

use std::f64::consts::TAU;
use std::sync::OnceLock;

use super::Kind;

/// Of what is said and heard.
pub(crate) const RATE: f64 = 16_000.0;
/// A sample of a voice, by its number at 16 kHz.
pub(crate) type Voice = Box<dyn Fn(usize) -> f64>;

/// A tone of -12 dBov.
pub(crate) fn tone(frequency: f64) -> Voice {
    loud_tone(frequency, 8000.0)
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn loud_tone(frequency: f64, peak: f64) -> Voice {
    Box::new(move |n| (n as f64 / RATE * frequency * TAU).sin() * peak)
}

/// How far apart the marks of [`marked`] are, in samples.
const MARKS_APART: usize = 8000;
/// Louder than this is in a mark only.
pub(crate) const MARK: i16 = 5000;

/// A tone with a mark twice a second: 40 ms of it are four times as loud.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn marked(frequency: f64) -> Voice {
    Box::new(move |n| {
        let peak = if n % MARKS_APART >= MARKS_APART - 640 { 8000.0 } else { 2000.0 };
        (n as f64 / RATE * frequency * TAU).sin() * peak
    })
}

/// The level of a tone against one as loud as [`tone`], by Goertzel.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn level(samples: &[i16], frequency: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let angle = TAU * frequency * n as f64 / RATE;
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    let peak = 2.0 * f64::hypot(re, im) / samples.len().max(1) as f64;
    20.0 * (peak / 8000.0).max(1e-9).log10()
}

pub(super) fn linear(kind: Kind, code: u8) -> i16 {
    if kind == Kind::Pcma {
        let code = code ^ 0x55;
        let (exponent, mantissa) = ((code >> 4) & 7, i16::from(code & 0x0f));
        let magnitude = if exponent == 0 { mantissa * 16 + 8 } else { (mantissa * 16 + 0x108) << (exponent - 1) };
        return if code & 0x80 == 0 { -magnitude } else { magnitude };
    }
    let code = !code;
    let magnitude = ((i16::from(code & 0x0f) * 8 + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

/// By search, so that it shares nothing with the encoder under test; each sample once.
pub(super) fn code(kind: Kind, sample: i16) -> u8 {
    static CODES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    let codes = CODES.get_or_init(|| {
        [Kind::Pcmu, Kind::Pcma].map(|kind| {
            let mut levels: Vec<(i32, u8)> = (0..=255).map(|code| (i32::from(linear(kind, code)), code)).collect();
            levels.sort_unstable();
            let nearest = |sample: i16| {
                let place = levels.partition_point(|(level, _)| *level < i32::from(sample));
                let near = &levels[place.saturating_sub(1)..(place + 1).min(levels.len())];
                near.iter().min_by_key(|(level, _)| (level - i32::from(sample)).abs()).unwrap().1
            };
            (i16::MIN..=i16::MAX).map(nearest).collect()
        })
    });
    codes[usize::from(kind == Kind::Pcma)][usize::try_from(i32::from(sample) + 32_768).unwrap()]
}
