//! Music on hold: sound at the gateway's own rate, made once, played from its beginning to whoever is held. Reads no files.

use std::sync::Arc;

use crate::codec::RATE;

/// Ten minutes: a bound on memory, about 10 MB for the process.
const LONGEST: usize = 600 * RATE as usize;
/// Half of a low-pass filter's length, in periods of the lower rate.
const LOBES: u32 = 16;
/// Rates a file may have: telephony to studio.
const RATES: std::ops::RangeInclusive<u32> = 8000..=192_000;

/// What held parties hear. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Music(Arc<[i16]>);

/// Why recorded sound cannot be music on hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MusicError {
    /// There is nothing to play.
    #[error("it has no samples")]
    Empty,
    /// It would take up too much memory.
    #[error("it is longer than {} minutes", LONGEST / RATE as usize / 60)]
    TooLong,
    /// No rate of a sound file.
    #[error("a rate of {0} Hz is not between 8000 and 192000")]
    Rate(u32),
}

impl std::fmt::Debug for Music {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Music").field("samples", &self.0.len()).finish()
    }
}

impl Default for Music {
    /// A quiet melody of plucked notes, 9.6 s long: recognisably neither speech nor a signal tone, and nobody's property.
    fn default() -> Self {
        Self(melody().into())
    }
}

impl Music {
    /// Takes recorded sound: one channel of signed 16-bit samples at `rate` Hz.
    ///
    /// # Errors
    /// When there is nothing to play, or too much.
    pub fn recorded(samples: &[i16], rate: u32) -> Result<Self, MusicError> {
        if !RATES.contains(&rate) {
            return Err(MusicError::Rate(rate));
        }
        if samples.is_empty() {
            return Err(MusicError::Empty);
        }
        if samples.len() as u64 * u64::from(RATE) > LONGEST as u64 * u64::from(rate) {
            return Err(MusicError::TooLong);
        }
        Ok(Self(if rate == RATE { samples.into() } else { resampled(samples, rate).into() }))
    }
}

/// One listener's place in the music.
#[derive(Debug, Clone)]
pub(crate) struct Playback {
    music: Music,
    position: usize,
}

impl Playback {
    pub(crate) fn new(music: Music) -> Self {
        Self { music, position: 0 }
    }

    /// Writes the next samples, over and over.
    pub(crate) fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            *sample = self.music.0.get(self.position).copied().unwrap_or_default();
            self.position = (self.position + 1) % self.music.0.len().max(1);
        }
    }
}

/// The notes of the melody: MIDI numbers, a chord broken up in each bar. All lie inside the telephone band.
const NOTES: [u8; 32] = [
    72, 76, 79, 84, 79, 76, 79, 76, 69, 72, 76, 81, 76, 72, 76, 72, 65, 69, 72, 77, 72, 69, 72, 69, 67, 71, 74, 79, 74,
    71, 74, 71,
];
/// How long a note is before the next one begins.
const NOTE: usize = RATE as usize * 3 / 10;
/// About -16 dBm0 at a note's beginning.
const LOUDNESS: f64 = 4500.0;

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // small numbers, far within both types
fn melody() -> Vec<i16> {
    let length = NOTES.len() * NOTE;
    let mut sound = vec![0.0_f64; length];
    // Gone after a second; it rings into the notes that follow, and the last ones into the first.
    let fading = (-4.0 / f64::from(RATE)).exp();
    let strike = 0.005 * f64::from(RATE);
    for (n, note) in NOTES.iter().enumerate() {
        let frequency = 440.0 * ((f64::from(*note) - 69.0) / 12.0).exp2();
        // A sine is one before it, turned by an angle: no start waits for a quarter of a million of them from the library.
        let (turn_sin, turn_cos) = (frequency * std::f64::consts::TAU / f64::from(RATE)).sin_cos();
        let (mut sin, mut cos, mut level) = (0.0, 1.0, LOUDNESS);
        for t in 0..NOTE * 3 {
            let struck = (t as f64 / strike).min(1.0);
            if let Some(sample) = sound.get_mut((n * NOTE + t) % length) {
                *sample += (sin + 0.3 * (2.0 * sin * cos)) * struck * level;
            }
            (sin, cos) = (sin * turn_cos + cos * turn_sin, cos * turn_cos - sin * turn_sin);
            level *= fading;
        }
    }
    sound.into_iter().map(|value| value.clamp(-32_767.0, 32_767.0) as i16).collect()
}

/// At [`RATE`], by a windowed sinc that keeps out what would fold back (rates below it do not occur).
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded by LONGEST
fn resampled(samples: &[i16], rate: u32) -> Vec<i16> {
    let ratio = f64::from(rate) / f64::from(RATE);
    let half = f64::from(LOBES) * ratio;
    let count = (samples.len() as f64 / ratio) as usize;
    (0..count.max(1))
        .map(|n| {
            let centre = n as f64 * ratio;
            let first = (centre - half).ceil().max(0.0) as usize;
            let last = ((centre + half).floor() as usize).min(samples.len().saturating_sub(1));
            let (mut sum, mut weights) = (0.0, 0.0);
            for (at, sample) in samples.iter().enumerate().take(last + 1).skip(first) {
                let distance = (at as f64 - centre) / ratio;
                // The pass band ends at 0.92 of the half rate, so that the filter has room to fall.
                let x = distance * 0.92 * std::f64::consts::PI;
                let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
                let window = 0.5 + 0.5 * (distance / f64::from(LOBES) * std::f64::consts::PI).cos();
                sum += f64::from(*sample) * sinc * window;
                weights += sinc * window;
            }
            (sum / weights).clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(frequency: f64, rate: u32, seconds: f64) -> Vec<i16> {
        (0..(f64::from(rate) * seconds) as u32)
            .map(|n| ((f64::from(n) / f64::from(rate) * frequency * std::f64::consts::TAU).sin() * 8000.0) as i16)
            .collect()
    }

    fn loudness(samples: &[i16]) -> f64 {
        (samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
    }

    #[test]
    fn the_melody_is_quiet_never_silent_and_goes_round_without_a_click() {
        let mut playback = Playback::new(Music::default());
        let mut sound = vec![0_i16; 12 * RATE as usize];
        playback.fill(&mut sound);
        for (n, part) in sound.chunks(RATE as usize / 5).enumerate() {
            let loudness = loudness(part);
            assert!((400.0..6000.0).contains(&loudness), "{loudness} in the fifth of a second {n}");
        }
        let step = sound.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap();
        assert!(step < 9000, "{step}");
        assert_eq!(&sound[..1000], &sound[NOTES.len() * NOTE..NOTES.len() * NOTE + 1000], "from the beginning again");
    }

    #[test]
    fn recordings_of_any_usual_rate_keep_their_tone_and_length() {
        for rate in [8000, 11_025, 16_000, 44_100, 48_000] {
            let Music(music) = Music::recorded(&tone(1000.0, rate, 1.0), rate).unwrap();
            assert!((7999..=8000).contains(&music.len()), "{rate}: {}", music.len());
            let rising = music.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
            assert!((998..=1001).contains(&rising), "{rate}: {rising}");
            let loudness = loudness(&music);
            assert!((5400.0..5900.0).contains(&loudness), "{rate}: {loudness}");
        }
    }

    #[test]
    fn what_no_telephone_carries_does_not_fold_back() {
        let Music(music) = Music::recorded(&tone(6000.0, 48_000, 0.5), 48_000).unwrap();
        assert!(loudness(&music[100..music.len() - 100]) < 60.0, "{}", loudness(&music));
    }

    #[test]
    fn what_cannot_be_played_is_refused() {
        assert_eq!(Music::recorded(&[], 8000), Err(MusicError::Empty));
        assert_eq!(Music::recorded(&[1], 4000), Err(MusicError::Rate(4000)));
        assert_eq!(Music::recorded(&vec![0; LONGEST + 1], 8000), Err(MusicError::TooLong));
    }
}
