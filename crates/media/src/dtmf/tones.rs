//! The tones of keys (ITU-T Q.23), made sample by sample for peers that know no telephone-events.

use crate::codec::RATE;

/// The frequencies of the rows, in Hz.
pub(super) const LOW: [u16; 4] = [697, 770, 852, 941];
/// The frequencies of the columns, in Hz.
pub(super) const HIGH: [u16; 4] = [1209, 1336, 1477, 1633];
/// The keys by row and column.
pub(super) const KEYS: [&[u8; 4]; 4] = [b"123A", b"456B", b"789C", b"*0#D"];

/// -8 dBm0: a full-scale sine of G.711 is 3.17 dBm0 (mu-law) and has 32,124 at its peak.
const LOW_AMPLITUDE: f32 = 8880.0;
/// -6 dBm0: 2 dB more, because lines weaken high tones more than low ones.
const HIGH_AMPLITUDE: f32 = 11_180.0;

/// A key's two tones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TonePair {
    low: u16,
    high: u16,
}

impl TonePair {
    /// The tones of one of `0-9 * # A-D`.
    pub(super) fn of(digit: char) -> Option<Self> {
        KEYS.iter().zip(LOW).find_map(|(keys, low)| {
            let (_, high) = keys.iter().zip(HIGH).find(|(key, _)| char::from(**key) == digit)?;
            Some(Self { low, high })
        })
    }

    /// The sample at a place counted from the key's beginning.
    pub(super) fn sample(self, place: u32) -> i16 {
        #[allow(clippy::cast_possible_truncation)] // the amplitudes' sum is below 32,767
        let value = (LOW_AMPLITUDE * sine(self.low, place) + HIGH_AMPLITUDE * sine(self.high, place)) as i16;
        value
    }
}

fn sine(frequency: u16, place: u32) -> f32 {
    // A whole second is whole periods of every frequency, so that nothing is lost of a late place.
    let turned = u64::from(place) * u64::from(frequency) % u64::from(RATE);
    #[allow(clippy::cast_precision_loss)] // below 8000
    let phase = turned as f32 / RATE as f32;
    (phase * std::f32::consts::TAU).sin()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The level of one frequency in dBm0, over whole periods of all eight.
    fn level(samples: &[i16], frequency: u16) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let angle = std::f64::consts::TAU * f64::from(frequency) * f64::from(u32::try_from(n).unwrap()) / 8000.0;
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        let amplitude = 2.0 * re.hypot(im) / f64::from(u32::try_from(samples.len()).unwrap());
        20.0 * (amplitude / 32_124.0).log10() + 3.17
    }

    #[test]
    fn each_key_has_its_two_tones_at_their_levels_and_nothing_else() {
        for (row, keys) in KEYS.iter().enumerate() {
            for (column, key) in keys.iter().enumerate() {
                let pair = TonePair::of(char::from(*key)).expect("a key");
                let second: Vec<i16> = (0..RATE).map(|place| pair.sample(place)).collect();
                for (place, frequency) in LOW.into_iter().enumerate() {
                    let expected = if place == row { -8.0..-7.9 } else { -200.0..-60.0 };
                    let level = level(&second, frequency).max(-199.0);
                    assert!((expected.start - 0.1..expected.end).contains(&level), "{frequency} Hz at {level}");
                }
                for (place, frequency) in HIGH.into_iter().enumerate() {
                    let expected = if place == column { -6.0..-5.9 } else { -200.0..-60.0 };
                    let level = level(&second, frequency).max(-199.0);
                    assert!((expected.start - 0.1..expected.end).contains(&level), "{frequency} Hz at {level}");
                }
            }
        }
        assert_eq!(TonePair::of('x'), None);
    }
}
