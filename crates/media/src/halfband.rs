//! Between 8 and 16 kHz, by a half-band filter of 47 taps: level to 3.4 kHz, 50 dB down from 4.6 kHz on, 1.4 ms late. Every other tap of
//! such a filter is nothing, and the middle one a copy, so that half of the samples cost nothing.

/// The taps that are something, in units of 2^-15: a sinc under a Kaiser window (beta 5.65).
const KERNEL: [i16; TAPS] = [
    -9, 29, -64, 120, -206, 330, -510, 772, -1170, 1846, -3328, 10_382, 10_382, -3328, 1846, -1170, 772, -510, 330,
    -206, 120, -64, 29, -9,
];
const TAPS: usize = 24;
/// Samples from before that the next ones need.
const BEFORE: usize = TAPS - 1;
/// How far back the middle tap is among them.
const MIDDLE: usize = TAPS / 2;
/// Samples of the lower rate done at once: 20 ms.
const PIECE: usize = 160;

/// From 8 to 16 kHz.
#[derive(Debug, Clone)]
pub(crate) struct Upsampler {
    samples: [i16; BEFORE + PIECE],
}

impl Default for Upsampler {
    fn default() -> Self {
        Self { samples: [0; BEFORE + PIECE] }
    }
}

impl Upsampler {
    /// Takes the next samples and gives them at the higher rate: twice as many, for which there must be room.
    pub(crate) fn next(&mut self, narrow: &[i16], wide: &mut [i16]) {
        for (narrow, wide) in narrow.chunks(PIECE).zip(wide.chunks_mut(2 * PIECE)) {
            self.samples.iter_mut().skip(BEFORE).zip(narrow).for_each(|(to, from)| *to = *from);
            for (pair, window) in wide.chunks_exact_mut(2).zip(self.samples.windows(TAPS)) {
                if let ([even, odd], Some(middle)) = (pair, window.get(MIDDLE - 1)) {
                    *even = *middle;
                    *odd = clip((product(window) + (1 << 13)) >> 14);
                }
            }
            self.samples.copy_within(narrow.len()..narrow.len() + BEFORE, 0);
        }
    }
}

/// From 16 to 8 kHz.
#[derive(Debug, Clone)]
pub(crate) struct Downsampler {
    even: [i16; BEFORE + PIECE],
    odd: [i16; BEFORE + PIECE],
}

impl Default for Downsampler {
    fn default() -> Self {
        Self { even: [0; BEFORE + PIECE], odd: [0; BEFORE + PIECE] }
    }
}

impl Downsampler {
    /// Takes the next samples, an even number, and gives them at the lower rate.
    pub(crate) fn next(&mut self, wide: &[i16], narrow: &mut [i16]) {
        for (wide, narrow) in wide.chunks(2 * PIECE).zip(narrow.chunks_mut(PIECE)) {
            let places = self.even.iter_mut().zip(&mut self.odd).skip(BEFORE);
            for ((even, odd), pair) in places.zip(wide.chunks_exact(2)) {
                if let [first, second] = pair {
                    (*even, *odd) = (*first, *second);
                }
            }
            let windows = self.odd.windows(TAPS).zip(self.even.iter().skip(MIDDLE));
            for (to, (window, middle)) in narrow.iter_mut().zip(windows) {
                *to = clip((i32::from(*middle) * (1 << 14) + product(window) + (1 << 14)) >> 15);
            }
            let count = wide.len() / 2;
            self.even.copy_within(count..count + BEFORE, 0);
            self.odd.copy_within(count..count + BEFORE, 0);
        }
    }
}

/// The taps' sum cannot leave 32 bits: their magnitudes add up to 1.15 times the greatest sample.
fn product(window: &[i16]) -> i32 {
    window.iter().zip(&KERNEL).map(|(sample, tap)| i32::from(*sample) * i32::from(*tap)).sum()
}

fn clip(sample: i32) -> i16 {
    i16::try_from(sample.clamp(i32::from(i16::MIN), i32::from(i16::MAX))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW_FRAME: usize = PIECE;
    const WIDE_FRAME: usize = 2 * PIECE;

    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn tone<const N: usize>(frequency: f64, rate: f64, frame: usize, peak: f64) -> [i16; N] {
        std::array::from_fn(|n| {
            let t = (frame * N + n) as f64 / rate;
            (t * frequency * std::f64::consts::TAU).sin().mul_add(peak, 0.5).floor() as i16
        })
    }

    #[allow(clippy::cast_precision_loss)]
    fn level_db(samples: &[i16], frequency: f64, rate: f64, peak: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let angle = std::f64::consts::TAU * frequency * n as f64 / rate;
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        20.0 * (2.0 * re.hypot(im) / samples.len() as f64 / peak).max(1e-9).log10()
    }

    fn up(frequency: f64) -> Vec<i16> {
        let (mut upsampler, mut wide, mut sound) = (Upsampler::default(), [0; WIDE_FRAME], Vec::new());
        for frame in 0..20 {
            upsampler.next(&tone::<NARROW_FRAME>(frequency, 8000.0, frame, 8000.0), &mut wide);
            sound.extend_from_slice(&wide);
        }
        sound.split_off(WIDE_FRAME * 10)
    }

    fn down(frequency: f64, peak: f64) -> Vec<i16> {
        let (mut downsampler, mut narrow, mut sound) = (Downsampler::default(), [0; NARROW_FRAME], Vec::new());
        for frame in 0..20 {
            downsampler.next(&tone::<WIDE_FRAME>(frequency, 16_000.0, frame, peak), &mut narrow);
            sound.extend_from_slice(&narrow);
        }
        sound.split_off(NARROW_FRAME * 10)
    }

    #[test]
    fn the_telephone_band_passes_both_ways_as_loud_as_it_was() {
        for frequency in [100.0, 300.0, 1000.0, 2000.0, 3000.0, 3400.0] {
            let (up, down) = (up(frequency), down(frequency, 8000.0));
            assert!(level_db(&up, frequency, 16_000.0, 8000.0).abs() < 0.2, "{frequency} up");
            assert!(level_db(&down, frequency, 8000.0, 8000.0).abs() < 0.2, "{frequency} down");
        }
    }

    #[test]
    fn nothing_is_heard_where_nothing_was_said() {
        for frequency in [300.0, 1000.0, 3000.0, 3400.0] {
            let image = level_db(&up(frequency), 8000.0 - frequency, 16_000.0, 8000.0);
            assert!(image < -45.0, "{frequency}: an image of {image} dB");
        }
        for frequency in [4600.0, 5000.0, 6000.0, 7500.0] {
            let alias = level_db(&down(frequency, 8000.0), 8000.0 - frequency, 8000.0, 8000.0);
            assert!(alias < -45.0, "{frequency}: folded back at {alias} dB");
        }
    }

    #[test]
    fn pieces_of_any_length_make_the_same_sound_as_whole_frames() {
        let wide: [i16; 1920] = tone(700.0, 16_000.0, 0, 8000.0);
        let (mut whole, mut pieces) = ([0; 960], [0; 960]);
        Downsampler::default().next(&wide, &mut whole);
        let mut downsampler = Downsampler::default();
        for (from, to) in wide.chunks(112).zip(pieces.chunks_mut(56)) {
            downsampler.next(from, to);
        }
        assert_eq!(whole, pieces);
        let (mut wide, mut again) = ([0; 1920], [0; 1920]);
        Upsampler::default().next(&whole, &mut wide);
        let mut upsampler = Upsampler::default();
        for (from, to) in whole.chunks(56).zip(again.chunks_mut(112)) {
            upsampler.next(from, to);
        }
        assert_eq!(wide, again);
    }

    #[test]
    fn the_loudest_sound_does_not_wrap_round() {
        let loud = down(1000.0, 32_767.0);
        let step = loud.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().expect("sound");
        assert!(step < 26_000, "{step}");
    }
}
