//! Hearing keys in audio: the two tones of ITU-T Q.23, told from speech and music by the checks of Q.24. Overlapping windows of
//! 12.75 ms go through eight Goertzel filters; a key needs four in a row whose tones are alone, balanced and exactly on their pitch,
//! which makes 40 ms always enough and 28 ms never. Works at 8 kHz; knows nothing of packets.

use std::time::Duration;

use smallvec::SmallVec;

use super::Heard;
use super::tones::{HIGH, KEYS, LOW};
use crate::codec::RATE;

/// Half a window: how far one is moved against the last.
const HOP: usize = 51;
/// Windows in a row that make a key: 32 ms, of which the first and last may be a little less than full.
const HITS: u32 = 4;
/// Windows in a row without it that end one: more than an interruption of 10 ms makes, fewer than a pause of 40 ms.
const MISSES: u32 = 4;
/// The weakest tone, -30 dBm0: Q.24 has -25 accepted and -55 refused.
const WEAKEST: f32 = 705.0;
/// How much stronger the high tone may be (6 dB) and how much weaker (9 dB), as power: Q.24 wants 4 and 8 accepted.
const TWIST: (f32, f32) = (3.98, 0.126);
/// A tone's neighbours in its group are 8 dB weaker at least, as power.
const ALONE: f32 = 6.3;
/// What of a window's power the two tones are at least. In a first window they may be off their pitch or begin late.
const PURE_AT_FIRST: f32 = 0.82;
/// And in the others: the rest is noise 10 dB below them, or no key.
const PURE: f32 = 0.9;
/// How far a tone may be off: 1.5 % must be accepted, 3.5 % refused.
const OFF_PITCH: f32 = 0.025;
/// Of 8 frequencies.
const TONES: usize = 8;

#[derive(Debug, Clone, Copy, Default)]
struct Complex {
    re: f32,
    im: f32,
}

impl Complex {
    fn turn(angle: f32) -> Self {
        Self { re: angle.cos(), im: angle.sin() }
    }

    fn times(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }

    fn plus(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }

    fn conjugate(self) -> Self {
        Self { re: self.re, im: -self.im }
    }

    fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }
}

/// One frequency's Goertzel filter over half a window.
#[derive(Debug, Clone, Copy, Default)]
struct Filter {
    /// In radians per sample.
    pitch: f32,
    coefficient: f32,
    /// How a tone's phase is turned back over one sample, and over half a window.
    sample: Complex,
    hop: Complex,
    states: (f32, f32),
    /// The half window before, and the whole window that ended with it.
    half: Complex,
    window: Complex,
    /// By how much the tone runs ahead of its pitch between two windows, in radians.
    drift: f32,
}

impl Filter {
    fn new(frequency: u16) -> Self {
        #[allow(clippy::cast_precision_loss)] // 8000 and 51
        let (pitch, hop) = (std::f32::consts::TAU * f32::from(frequency) / RATE as f32, HOP as f32);
        let (sample, hop) = (Complex::turn(-pitch), Complex::turn(-pitch * hop));
        Self { pitch, coefficient: 2.0 * pitch.cos(), sample, hop, ..Self::default() }
    }

    fn take(&mut self, sample: f32) {
        let (last, before) = self.states;
        self.states = (sample + self.coefficient * last - before, last);
    }

    /// Half a window is full: joins it to the half before.
    fn close(&mut self) {
        let (last, before) = std::mem::take(&mut self.states);
        let end = Complex { re: last - self.sample.re * before, im: -self.sample.im * before };
        // With the phase that the tone had at the half's first sample.
        let half = end.times(self.hop).times(self.sample.conjugate());
        let window = self.half.plus(half.times(self.hop));
        let step = window.times(self.window.conjugate()).times(self.hop);
        self.drift = step.im.atan2(step.re);
        (self.half, self.window) = (half, window);
    }

    /// The square of the tone's amplitude in the window.
    fn power(&self) -> f32 {
        #[allow(clippy::cast_precision_loss)] // 51
        let hop = HOP as f32;
        self.window.power() / (hop * hop)
    }

    /// The same of a tone that is off its pitch, which the window weakens by the sinc of how far.
    fn true_power(&self) -> f32 {
        let weakened = if self.drift.abs() < 0.01 { 1.0 } else { self.drift.sin() / self.drift };
        self.power() / (weakened * weakened)
    }

    fn is_on_pitch(&self) -> bool {
        #[allow(clippy::cast_precision_loss)] // 51
        let allowed = OFF_PITCH * self.pitch * HOP as f32;
        self.drift.abs() <= allowed
    }
}

/// A key that is down.
#[derive(Debug, Clone, Copy)]
struct Down {
    digit: char,
    windows: u32,
    misses: u32,
}

/// Listens to one peer.
#[derive(Debug)]
pub(crate) struct ToneDetector {
    filters: [Filter; TONES],
    taken: usize,
    /// The power of the half window being filled and of the one before.
    sound: (f32, f32),
    /// What the last windows sound like, and how many of them.
    likely: Option<(char, u32)>,
    down: Option<Down>,
}

impl ToneDetector {
    pub(crate) fn new() -> Self {
        let mut filters = [Filter::default(); TONES];
        for (filter, frequency) in filters.iter_mut().zip(LOW.into_iter().chain(HIGH)) {
            *filter = Filter::new(frequency);
        }
        Self { filters, taken: 0, sound: (0.0, 0.0), likely: None, down: None }
    }

    /// Takes the next samples; gives the keys that went down and came up in them.
    pub(crate) fn listen(&mut self, samples: &[i16]) -> SmallVec<[Heard; 2]> {
        let mut heard = SmallVec::new();
        for sample in samples {
            let sample = f32::from(*sample);
            for filter in &mut self.filters {
                filter.take(sample);
            }
            self.sound.0 += sample * sample;
            self.taken += 1;
            if self.taken == HOP {
                self.taken = 0;
                let digit = self.window();
                self.judge(digit, &mut heard);
            }
        }
        heard
    }

    /// The key a full window sounds like.
    fn window(&mut self) -> Option<char> {
        for filter in &mut self.filters {
            filter.close();
        }
        let sound = self.sound.0 + self.sound.1;
        self.sound = (0.0, self.sound.0);
        let (low, high) = self.filters.split_at_checked(LOW.len())?;
        let ((row, low), (column, high)) = (strongest(low)?, strongest(high)?);
        let (a, b) = (low.power(), high.power());
        #[allow(clippy::cast_precision_loss)] // 51
        let all = sound / HOP as f32;
        let digit = KEYS.get(row)?.get(column).map(|key| char::from(*key))?;
        let is_loud = a.min(b) >= WEAKEST * WEAKEST;
        let is_balanced = b <= a * TWIST.0 && b >= a * TWIST.1;
        // Where a tone drifts to is known only once the window before had it too.
        let goes_on = self.likely.is_some_and(|(likely, _)| likely == digit);
        let is_clean = if goes_on {
            low.is_on_pitch() && high.is_on_pitch() && low.true_power() + high.true_power() >= all * PURE
        } else {
            a + b >= all * PURE_AT_FIRST
        };
        (is_loud && is_balanced && is_clean).then_some(digit)
    }

    fn judge(&mut self, digit: Option<char>, heard: &mut SmallVec<[Heard; 2]>) {
        self.likely = match (digit, self.likely) {
            (Some(digit), Some((likely, hits))) if digit == likely => Some((digit, hits + 1)),
            (Some(digit), _) => Some((digit, 1)),
            (None, _) => None,
        };
        if let Some(down) = &mut self.down {
            if digit == Some(down.digit) {
                down.windows += 1 + down.misses;
                down.misses = 0;
                return;
            }
            down.misses += 1;
            if down.misses >= MISSES {
                heard.extend(self.come_up());
            }
        }
        if let Some((digit, hits)) = self.likely
            && hits >= HITS
        {
            heard.extend(self.come_up());
            self.down = Some(Down { digit, windows: hits, misses: 0 });
            heard.push(Heard::Pressed(digit));
        }
    }

    /// The release of a key that is down: it is heard no longer.
    pub(crate) fn come_up(&mut self) -> Option<Heard> {
        let down = self.down.take()?;
        // `n` windows that overlap by half.
        let samples = u64::from(down.windows + 1) * HOP as u64;
        Some(Heard::Released(down.digit, Duration::from_micros(samples * 1_000_000 / u64::from(RATE))))
    }

    /// Whether a key is down.
    pub(crate) fn is_down(&self) -> bool {
        self.down.is_some()
    }

    /// Whether what sounds now may become a key.
    pub(crate) fn suspects(&self) -> bool {
        self.likely.is_some()
    }
}

/// The tone of a group that is far above the others, and its place.
fn strongest(group: &[Filter]) -> Option<(usize, &Filter)> {
    let (place, best) = group.iter().enumerate().max_by(|(_, a), (_, b)| a.power().total_cmp(&b.power()))?;
    let is_alone =
        group.iter().enumerate().all(|(other, filter)| other == place || filter.power() * ALONE <= best.power());
    is_alone.then_some((place, best))
}

#[cfg(test)]
mod tests;
