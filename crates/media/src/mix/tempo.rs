//! Makes waiting sound shorter or longer without a click: by one period of what it sounds like, laid over the next one, or in silence by
//! whatever is wanted (waveform similarity overlap-add).

use crate::codec::Rate;

/// What is laid over each other, and compared for it: 5 ms.
const OVERLAP_MS: usize = 5;
/// The periods looked for: 400 Hz down to 66 Hz; of higher sounds, several together.
const SHORTEST_PERIODS_A_SECOND: usize = 400;
const LONGEST_MS: usize = 15;
/// The mean of the magnitude below which it matters to nobody what is left out: -47 dBov, room noise.
const QUIET: i32 = 150;
/// How alike two pieces must be at least, in hundredths of the square of their correlation.
const ALIKE: i64 = 64;
/// Room for the longest piece and its overlap at 16 kHz.
const LONGEST_PIECE: usize = (LONGEST_MS + OVERLAP_MS) * 16;

/// What may be done to a sound of a rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tempo {
    overlap: usize,
    shortest: usize,
    longest: usize,
}

impl Tempo {
    pub(super) fn new(rate: Rate) -> Self {
        let hertz = usize::try_from(rate.hertz()).unwrap_or_default();
        Self {
            overlap: hertz * OVERLAP_MS / 1000,
            shortest: hertz / SHORTEST_PERIODS_A_SECOND,
            longest: hertz * LONGEST_MS / 1000,
        }
    }

    /// Whether nothing much is heard at its beginning.
    pub(super) fn is_quiet(self, sound: &[i16]) -> bool {
        let beginning = sound.get(..(self.longest + self.overlap).min(sound.len())).unwrap_or_default();
        let sum: i32 = beginning.iter().map(|sample| i32::from(sample.unsigned_abs())).sum();
        sum < QUIET * i32::try_from(beginning.len()).unwrap_or(1)
    }

    /// Takes at most `most` samples out of the beginning; gives how many.
    pub(super) fn shorten(self, sound: &mut Vec<i16>, most: usize) -> usize {
        let Some(lag) = self.lag(sound, most) else { return 0 };
        for n in 0..self.overlap {
            let (old, new) = (sample(sound, n), sample(sound, lag + n));
            if let Some(place) = sound.get_mut(lag + n) {
                *place = self.cross(old, new, n);
            }
        }
        sound.drain(..lag);
        lag
    }

    /// Puts at most `most` samples into the beginning; gives how many.
    pub(super) fn lengthen(self, sound: &mut Vec<i16>, most: usize) -> usize {
        let Some(lag) = self.lag(sound, most) else { return 0 };
        // As it is for one period; then the same period again, and on from there.
        let mut beginning = [0; LONGEST_PIECE];
        for (n, place) in beginning.iter_mut().take(lag + self.overlap).enumerate() {
            *place = match n.checked_sub(lag) {
                None => sample(sound, n),
                Some(n) => self.cross(sample(sound, lag + n), sample(sound, n), n),
            };
        }
        let before = sound.len();
        sound.resize(before + lag, 0);
        sound.copy_within(self.overlap..before, self.overlap + lag);
        sound.iter_mut().zip(&beginning).take(lag + self.overlap).for_each(|(place, new)| *place = *new);
        lag
    }

    /// By how much the beginning is most like what follows, if it is enough so.
    fn lag(self, sound: &[i16], most: usize) -> Option<usize> {
        let longest = most.min(self.longest).min(sound.len().checked_sub(self.overlap)?);
        if longest < self.shortest {
            return None;
        }
        if self.is_quiet(sound) {
            return Some(longest);
        }
        let best = (self.shortest..=longest).max_by_key(|lag| self.likeness(sound, *lag))?;
        (self.likeness(sound, best) >= ALIKE).then_some(best)
    }

    /// The square of the correlation in hundredths; below zero for opposites.
    fn likeness(self, sound: &[i16], lag: usize) -> i64 {
        let here = sound.get(..self.overlap).unwrap_or_default();
        let there = sound.get(lag..lag + self.overlap).unwrap_or_default();
        let (mut alike, mut loud_here, mut loud_there) = (0_i64, 1_i64, 1_i64);
        for (a, b) in here.iter().zip(there) {
            let (a, b) = (i64::from(*a >> 3), i64::from(*b >> 3));
            alike += a * b;
            loud_here += a * a;
            loud_there += b * b;
        }
        // Of 2^31 at most each, so that the product with a hundred has room.
        alike * (alike.abs() * 100 / loud_here) / loud_there
    }

    fn cross(self, old: i16, new: i16, n: usize) -> i16 {
        let (n, whole) = (i32::try_from(n).unwrap_or_default(), i32::try_from(self.overlap).unwrap_or(1).max(1));
        let value = (i32::from(old) * (whole - n) + i32::from(new) * n) / whole;
        i16::try_from(value).unwrap_or_default()
    }
}

fn sample(sound: &[i16], n: usize) -> i16 {
    sound.get(n).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn voice(pitch: f64, rate: Rate, length: usize) -> Vec<i16> {
        let sample = |n: usize| {
            let turns = n as f64 / f64::from(rate.hertz()) * pitch * std::f64::consts::TAU;
            ((turns.sin() + 0.5 * (3.0 * turns).sin()) * 6000.0) as i16
        };
        (0..length).map(sample).collect()
    }

    fn steepest(sound: &[i16]) -> i32 {
        sound.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().expect("sound")
    }

    #[test]
    fn a_voice_loses_and_gains_whole_periods_without_a_step() {
        for rate in [Rate::Narrow, Rate::Wide] {
            let tempo = Tempo::new(rate);
            for pitch in [80.0, 120.0, 200.0, 350.0] {
                let said = voice(pitch, rate, rate.hertz() as usize / 20);
                for change in [Tempo::shorten, Tempo::lengthen] {
                    let mut sound = said.clone();
                    let lag = change(tempo, &mut sound, tempo.longest);
                    let periods = lag as f64 * pitch / f64::from(rate.hertz());
                    assert!(lag > 0 && (periods - periods.round()).abs() < 0.05, "{pitch}: {periods} periods");
                    assert_eq!(sound.len().abs_diff(said.len()), lag);
                    assert!(steepest(&sound) <= steepest(&said) * 6 / 5, "{pitch}");
                    assert_eq!(sound.last(), said.last());
                }
            }
        }
    }

    #[test]
    fn what_is_like_nothing_before_it_is_left_alone() {
        let tempo = Tempo::new(Rate::Narrow);
        let mut state = 1_u32;
        let mut noise: Vec<i16> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16
        })
        .take(400)
        .collect();
        assert_eq!((tempo.shorten(&mut noise, 120), tempo.lengthen(&mut noise, 120), noise.len()), (0, 0, 400));
    }

    #[test]
    fn silence_is_cut_by_as_much_as_is_wanted() {
        let tempo = Tempo::new(Rate::Narrow);
        let mut silence = vec![3; 400];
        assert_eq!((tempo.shorten(&mut silence, 57), silence.len()), (57, 343));
        assert_eq!((tempo.lengthen(&mut silence, 57), silence.len()), (57, 400));
        assert_eq!(tempo.shorten(&mut silence, 5), 0, "not worth it");
        let mut short = vec![3; 30];
        assert_eq!(tempo.shorten(&mut short, 57), 0, "too little waits");
    }
}
