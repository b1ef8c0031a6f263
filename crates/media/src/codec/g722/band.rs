//! One band of G.722 (§3.3 to §3.6): what is expected of its next sample, how great a step is, and how both follow what was sent.

/// What the upper four bits of a low code mean, in units of 2^-15 steps (table 8): all that the predictor goes by.
const LOW_LEVELS: [i32; 16] =
    [0, -20_456, -12_896, -8968, -6288, -4240, -2584, -1200, 20_456, 12_896, 8968, 6288, 4240, 2584, 1200, 0];
/// By how much they make the logarithm of the step greater or smaller (table 9).
const LOW_WEIGHTS: [i32; 16] = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
/// The same of a high code (tables 10 and 11).
const HIGH_LEVELS: [i32; 4] = [-7408, -1616, 7408, 1616];
const HIGH_WEIGHTS: [i32; 4] = [798, -214, 798, -214];
/// Powers of two from 2^11 on, 32 to an octave (table 12).
const POWERS: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// See the head of this module.
#[derive(Debug, Clone)]
pub(super) struct Band {
    kind: Kind,
    /// The logarithm of the step, 2048 to an octave.
    logarithm: i32,
    step: i32,
    predictor: Predictor,
}

/// What differs between the two.
#[derive(Debug, Clone, Copy)]
struct Kind {
    greatest: i32,
    octaves: i32,
}

impl Band {
    pub(super) fn low() -> Self {
        Self::new(Kind { greatest: 18_432, octaves: 8 }, 32)
    }

    pub(super) fn high() -> Self {
        Self::new(Kind { greatest: 22_528, octaves: 10 }, 8)
    }

    fn new(kind: Kind, step: i32) -> Self {
        Self { kind, logarithm: 0, step, predictor: Predictor::default() }
    }

    /// What the next sample is expected to be.
    pub(super) fn estimate(&self) -> i32 {
        self.predictor.estimate
    }

    pub(super) fn step(&self) -> i32 {
        self.step
    }

    /// Follows six bits of the lower band.
    pub(super) fn take_low(&mut self, code: u8) {
        let place = usize::from(code >> 2);
        let level = LOW_LEVELS.get(place).copied().unwrap_or_default();
        self.take(level, LOW_WEIGHTS.get(place).copied().unwrap_or_default());
    }

    /// Follows two bits of the higher band; gives the difference that they mean.
    pub(super) fn take_high(&mut self, code: u8) -> i32 {
        let place = usize::from(code);
        let level = HIGH_LEVELS.get(place).copied().unwrap_or_default();
        self.take(level, HIGH_WEIGHTS.get(place).copied().unwrap_or_default())
    }

    fn take(&mut self, level: i32, weight: i32) -> i32 {
        let difference = (self.step * level) >> 15;
        self.logarithm = (((self.logarithm * 127) >> 7) + weight).clamp(0, self.kind.greatest);
        let power = POWERS.get(usize::try_from((self.logarithm >> 6) & 31).unwrap_or_default());
        let power = power.copied().unwrap_or_default();
        let down = self.kind.octaves - (self.logarithm >> 11);
        self.step = (if down < 0 { power << -down } else { power >> down }) << 2;
        self.predictor.take(difference);
        difference
    }
}

/// Two poles and six zeros (§3.6), all in units of 2^-14.
#[derive(Debug, Clone, Default)]
struct Predictor {
    poles: [i32; 2],
    zeros: [i32; 6],
    /// The last samples as both sides have them, and without the poles' part.
    samples: [i32; 2],
    partial: [i32; 2],
    differences: [i32; 6],
    /// The zeros' part of the estimate.
    by_zeros: i32,
    estimate: i32,
}

impl Predictor {
    fn take(&mut self, difference: i32) {
        let sample = clip(self.estimate + difference);
        let partial = clip(self.by_zeros + difference);
        self.adapt_poles(partial);
        self.adapt_zeros(difference);
        self.samples = [sample, self.samples[0]];
        self.partial = [partial, self.partial[0]];
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        let by_poles: i32 = self.poles.iter().zip(&self.samples).map(|(pole, sample)| weighted(*pole, *sample)).sum();
        let by_zeros: i32 = self.zeros.iter().zip(&self.differences).map(|(zero, past)| weighted(*zero, *past)).sum();
        self.by_zeros = clip(by_zeros);
        self.estimate = clip(clip(by_poles) + self.by_zeros);
    }

    fn adapt_poles(&mut self, partial: i32) {
        let [first, second] = self.poles;
        let towards = |past: i32, by: i32| if is_alike(partial, past) { by } else { -by };
        let quadruple = clip(first << 2);
        let turned = if is_alike(partial, self.partial[0]) { (-quadruple).min(32_767) } else { quadruple };
        let second = (turned >> 7) + towards(self.partial[1], 128) + ((second * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        // Keeps the filter stable.
        let limit = 15_360 - second;
        let first = clip(towards(self.partial[0], 192) + ((first * 32_640) >> 15));
        self.poles = [first.clamp(-limit, limit), second];
    }

    fn adapt_zeros(&mut self, difference: i32) {
        let by = if difference == 0 { 0 } else { 128 };
        for (zero, past) in self.zeros.iter_mut().zip(&self.differences) {
            let by = if is_alike(difference, *past) { by } else { -by };
            *zero = clip(by + ((*zero * 32_640) >> 15));
        }
    }
}

fn weighted(coefficient: i32, sample: i32) -> i32 {
    (coefficient * clip(sample << 1)) >> 15
}

/// Whether two have the same sign; nothing counts as positive.
fn is_alike(a: i32, b: i32) -> bool {
    (a ^ b) >= 0
}

/// To 16 bits.
pub(super) fn clip(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}
