//! Keeps a sum of voices within 16 bits: turned down while it is too loud, and slowly up again, so that nothing is cut off for longer than
//! it takes to turn down.

/// Louder than this is turned down: about the greatest that G.711 has.
const CEILING: f32 = 32_000.0;
/// The way down takes an eighth of a frame (2.5 ms); what is too loud in that time is cut off.
const ATTACK: usize = 8;
/// The way up, frame by frame: half a decibel, 25 dB a second.
const RELEASE: f32 = 1.06;

/// One listener's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limiter {
    gain: f32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { gain: 1.0 }
    }
}

impl Limiter {
    /// Turns one frame of a sum into samples.
    pub(super) fn next(&mut self, sum: &[i32], samples: &mut [i16]) {
        let peak = sum.iter().fold(0, |peak, value| value.unsigned_abs().max(peak));
        #[allow(clippy::cast_precision_loss)] // a peak needs no more than 24 bits
        let peak = peak as f32;
        let wanted = if peak > CEILING { CEILING / peak } else { 1.0 };
        if self.gain >= 1.0 && wanted >= 1.0 {
            samples.iter_mut().zip(sum).for_each(|(sample, value)| *sample = clip(*value));
            return;
        }
        let before = self.gain;
        self.gain = if wanted < before { wanted } else { wanted.min(before * RELEASE) };
        let turning = if self.gain < before { sum.len() / ATTACK } else { sum.len() };
        #[allow(clippy::cast_precision_loss)] // a frame has few samples
        let step = (self.gain - before) / turning.max(1) as f32;
        let mut gain = before;
        for (n, (sample, value)) in samples.iter_mut().zip(sum).enumerate() {
            gain = if n < turning { gain + step } else { self.gain };
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // a cast of a float saturates
            let value = (*value as f32 * gain) as i32;
            *sample = clip(value);
        }
    }
}

fn clip(value: i32) -> i16 {
    i16::try_from(value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 160;

    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn two_tones(frame: usize, peak: f64) -> Vec<i32> {
        let wave = |n: usize, frequency: f64| (n as f64 / 8000.0 * frequency * std::f64::consts::TAU).sin() * peak;
        (frame * FRAME..(frame + 1) * FRAME).map(|n| (wave(n, 400.0) + wave(n, 1000.0)) as i32).collect()
    }

    #[allow(clippy::cast_precision_loss)]
    fn level(samples: &[i16], frequency: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let angle = std::f64::consts::TAU * frequency * n as f64 / 8000.0;
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        20.0 * (2.0 * re.hypot(im) / samples.len() as f64 / 32_767.0).max(1e-9).log10()
    }

    fn limited(peaks: &[f64]) -> Vec<i16> {
        let (mut limiter, mut samples, mut sound) = (Limiter::default(), [0; FRAME], Vec::new());
        for (frame, peak) in peaks.iter().enumerate() {
            limiter.next(&two_tones(frame, *peak), &mut samples);
            sound.extend_from_slice(&samples);
        }
        sound
    }

    #[test]
    fn what_has_room_is_not_touched() {
        let sound = limited(&[14_000.0; 3]);
        let said: Vec<i32> = (0..3).flat_map(|frame| two_tones(frame, 14_000.0)).collect();
        assert!(sound.iter().zip(said).all(|(sample, value)| i32::from(*sample) == value));
    }

    #[test]
    fn two_full_tones_are_turned_down_and_make_no_third() {
        let sound = limited(&[32_000.0; 20]);
        let tones = &sound[FRAME * 5..];
        for frequency in [400.0, 1000.0] {
            assert!((-8.0..-6.0).contains(&level(tones, frequency)), "{}", level(tones, frequency));
        }
        // What cutting off would make: sums and differences of both and of their multiples.
        for frequency in [200.0, 600.0, 1200.0, 1600.0, 1800.0, 2400.0, 3000.0] {
            assert!(level(tones, frequency) < -60.0, "{frequency}: {}", level(tones, frequency));
        }
    }

    #[test]
    fn it_is_as_loud_as_before_again_within_half_a_second() {
        let peaks: Vec<f64> = (0..40).map(|frame| if frame < 5 { 32_000.0 } else { 8000.0 }).collect();
        let sound = limited(&peaks);
        let after = &sound[FRAME * 30..];
        assert!((level(after, 400.0) - 20.0 * (8000.0_f64 / 32_767.0).log10()).abs() < 0.1);
        let step = sound.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().expect("sound");
        assert!(step < 40_000, "{step}: it wraps round");
    }
}
