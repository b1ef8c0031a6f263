//! What is said and how it is recognised: a chirp every 2.4 s, which tells when a sample was sent, and a tone after it, which tells
//! whose call it is of.

use std::f64::consts::TAU;

/// The rate that everything is recognised at, in Hz.
pub(super) const RATE: usize = 8000;
/// Samples of 20 ms.
pub(super) const FRAME: usize = RATE / 50;
/// Until everything is said again, in milliseconds: a whole number of packets of any length.
pub(super) const ROUND_MS: usize = 2400;
/// Samples of the chirp: short enough for an exact time, long enough to be told from speech.
const CHIRP: usize = RATE / 10;
/// Where the tone is, in seconds.
const TONE: std::ops::Range<f64> = 0.3..2.2;
/// How many tones there are: calls that run at once mostly have different ones.
pub(super) const TONES: usize = 16;
const AMPLITUDE: f64 = 9000.0;
/// How alike a stretch must be to the chirp, of 1.
const ALIKE: f64 = 0.7;

/// The frequency of a call's tone, in Hz: 500 to 2000, 100 apart, so that the codecs' band keeps them and a short stretch tells them apart.
pub(super) fn frequency(call: u64) -> f64 {
    500.0 + 100.0 * f64::from(u16::try_from(call % TONES as u64).unwrap_or_default())
}

/// What is said at a time within the round.
fn sample(seconds: f64, frequency: f64) -> f64 {
    let chirp = CHIRP as f64 / RATE as f64;
    if seconds < chirp {
        // From 400 to 3200 Hz, swelling and fading.
        let phase = 400.0 * seconds + (3200.0 - 400.0) * seconds * seconds / (2.0 * chirp);
        let swell = (std::f64::consts::PI * seconds / chirp).sin();
        return AMPLITUDE * swell * (TAU * phase).sin();
    }
    if TONE.contains(&seconds) { AMPLITUDE * 0.5 * (TAU * frequency * seconds).sin() } else { 0.0 }
}

/// A round at a rate.
#[expect(clippy::cast_possible_truncation, reason = "the amplitude is far below the limit")]
pub(super) fn said(rate: usize, frequency: f64) -> Vec<i16> {
    (0..ROUND_MS * rate / 1000).map(|n| sample(n as f64 / rate as f64, frequency) as i16).collect()
}

/// A stretch of sound as it arrived, and what is found in it.
#[derive(Debug)]
pub(super) struct Ear {
    chirp: Vec<f32>,
    energy: f64,
    samples: Vec<f32>,
    /// The number of the first of them since the beginning.
    first: u64,
    /// Where the search goes on.
    searched: u64,
    best: Option<(u64, f64)>,
}

impl Ear {
    pub(super) fn new() -> Self {
        let chirp: Vec<_> = (0..CHIRP).map(|n| sample(n as f64 / RATE as f64, 0.0) as f32).collect();
        let energy = f64::from(product(&chirp, &chirp));
        Self { chirp, energy, samples: Vec::new(), first: 0, searched: 0, best: None }
    }

    /// Takes samples that belong at a place; what is missing before them is silence. The place of a chirp that is complete now.
    pub(super) fn hear(&mut self, at: u64, samples: &[i16]) -> Option<u64> {
        let end = self.first + self.samples.len() as u64;
        if at < end || at > end + RATE as u64 {
            // Come too late, or another stream: the search begins anew behind it.
            *self = Self { first: at, searched: at, chirp: std::mem::take(&mut self.chirp), ..Self::new() };
        } else {
            self.samples.extend((end..at).map(|_| 0.0));
        }
        self.samples.extend(samples.iter().map(|sample| f32::from(*sample)));
        self.search()
    }

    fn search(&mut self) -> Option<u64> {
        let length = self.chirp.len();
        let mut found = None;
        let mut at = 0;
        let mut own = self.samples.get(..length).map_or(0.0, |stretch| f64::from(product(stretch, stretch)));
        while let Some(stretch) = self.samples.get(at..at + length) {
            // What is quiet has no chirp in it; all the rest is compared.
            let alike = if own < self.energy / 100.0 {
                0.0
            } else {
                f64::from(product(stretch, &self.chirp)) / (own * self.energy).sqrt()
            };
            match self.best {
                Some((place, _)) if self.searched > place + 80 => {
                    found = Some(place);
                    self.best = None;
                }
                Some((_, best)) if alike <= best => {}
                Some(_) | None if alike > ALIKE => self.best = Some((self.searched, alike)),
                Some(_) | None => {}
            }
            let (gone, come) = (self.samples.get(at), self.samples.get(at + length));
            let square = |sample: Option<&f32>| sample.map_or(0.0, |it| f64::from(it * it));
            own += square(come) - square(gone);
            self.searched += 1;
            at += 1;
        }
        self.samples.drain(..at.min(self.samples.len()));
        self.first = self.searched;
        found
    }
}

/// The sum of products, in lanes that the compiler adds up at once.
fn product(one: &[f32], other: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let (ones, others) = (one.chunks_exact(16), other.chunks_exact(16));
    let rest: f32 = ones.remainder().iter().zip(others.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in ones.zip(others) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// How much of a stretch's power is the tone of a call, of 1.
pub(super) fn share_of_tone(samples: &[i16], call: u64) -> f64 {
    let step = frequency(call) * TAU / RATE as f64;
    let (mut real, mut imaginary, mut power) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let sample = f64::from(*sample);
        real += sample * (step * n as f64).cos();
        imaginary += sample * (step * n as f64).sin();
        power += sample * sample;
    }
    let count = samples.len().max(1) as f64;
    if power < count * 100.0 * 100.0 { 0.0 } else { 2.0 * (real * real + imaginary * imaginary) / (count * power) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_chirp_is_found_at_its_sample_wherever_it_begins_and_nothing_else_is() {
        let said = said(RATE, frequency(3));
        let (mut ear, mut found) = (Ear::new(), Vec::new());
        let late: Vec<i16> =
            std::iter::repeat_n(0, 57).chain(said.iter().copied().cycle().take(3 * said.len())).collect();
        for (number, frame) in late.chunks(FRAME).enumerate() {
            found.extend(ear.hear((number * FRAME) as u64, frame));
        }
        assert_eq!(found, [57, 57 + 19_200, 57 + 38_400]);
    }

    #[test]
    fn a_calls_tone_is_told_from_the_others() {
        let said = said(RATE, frequency(5));
        let stretch = &said[20 * FRAME..30 * FRAME];
        assert!(share_of_tone(stretch, 5) > 0.95);
        assert!((0..16).filter(|call| *call != 5).all(|call| share_of_tone(stretch, call) < 0.05));
        assert!(share_of_tone(&[0; FRAME], 5) < 0.01);
    }
}
