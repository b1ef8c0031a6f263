//! Concealment for a codec that has none of its own (after ITU-T G.711 Appendix I): the last pitch period again and again, fading to
//! silence, and a smooth way back to what is heard next. Adds no delay, which the appendix has for a smoother beginning.
//! All lengths are in samples of 8 kHz; at 16 kHz there are twice as many.

use super::Rate;

/// The pitch looked for: 200 Hz down to 66 Hz; of higher voices, two or three periods together.
const SHORTEST_PITCH: usize = 40;
const LONGEST_PITCH: usize = 120;
/// What is compared with itself to find the pitch: 20 ms.
const COMPARED: usize = 160;
/// A pitch further back must still be found, and a quarter of it.
const HISTORY: usize = COMPARED + LONGEST_PITCH + LONGEST_PITCH / 4;
/// 10 ms go on as loud as it was; then it fades.
const LOUD: usize = 80;
/// After 60 ms nobody knows what was said.
const SILENT: usize = 480;
/// The way back takes the longer the longer the loss: 4 ms more for each 10 ms, and 10 ms at most.
const LONGEST_RETURN: usize = 80;

/// The highest rate known, in multiples of 8 kHz.
const MOST: usize = 2;

/// Fills in for lost frames.
#[derive(Debug)]
pub(crate) struct Plc {
    /// Samples for each of 8 kHz.
    scale: usize,
    /// What was given out last, heard or made up.
    history: Box<[i16]>,
    /// One pitch period, whose end leads into its beginning.
    cycle: [i16; MOST * LONGEST_PITCH],
    pitch: usize,
    /// How far the first sample of the cycle is from where the sound broke off.
    step: i32,
    /// Samples made up since anything was heard.
    made_up: usize,
}

impl Plc {
    pub(crate) fn new(rate: Rate) -> Self {
        let scale = match rate {
            Rate::Narrow => 1,
            Rate::Wide => MOST,
        };
        let (history, cycle) = (vec![0; scale * HISTORY].into(), [0; MOST * LONGEST_PITCH]);
        Self { scale, history, cycle, pitch: scale * SHORTEST_PITCH, step: 0, made_up: 0 }
    }

    /// Takes what was heard; after a loss, its beginning is led over to from what was made up.
    pub(crate) fn heard(&mut self, samples: &mut [i16]) {
        if self.made_up > 0 {
            let longer = (self.made_up / self.scale / LOUD).saturating_sub(1) * 32 * self.scale;
            let length = (self.pitch / 4 + longer).min(LONGEST_RETURN * self.scale).min(samples.len());
            for (n, sample) in samples.iter_mut().take(length).enumerate() {
                *sample = mix(self.made_up_at(self.made_up + n), *sample, n, length);
            }
            self.made_up = 0;
        }
        self.keep(samples);
    }

    /// Writes `duration` samples in place of what was lost.
    pub(crate) fn conceal(&mut self, duration: usize, samples: &mut [i16]) -> usize {
        if self.made_up == 0 {
            self.find_cycle();
        }
        let duration = duration.min(samples.len());
        let samples = samples.get_mut(..duration).unwrap_or_default();
        for (n, sample) in samples.iter_mut().enumerate() {
            *sample = self.made_up_at(self.made_up + n);
        }
        self.made_up += samples.len();
        self.keep(samples);
        samples.len()
    }

    /// The sample made up for the place `n` samples behind the last one heard.
    fn made_up_at(&self, n: usize) -> i16 {
        let voice = i32::from(self.cycle.get(n % self.pitch).copied().unwrap_or_default());
        let quarter = self.pitch / 4;
        let step = self.step * ratio(quarter.saturating_sub(n), quarter) / 256;
        let n = n / self.scale;
        let fade = ratio(SILENT.saturating_sub(n.max(LOUD)), SILENT - LOUD);
        clip((voice + step) * fade / 256)
    }

    /// Cuts the last pitch period out of what was heard.
    fn find_cycle(&mut self) {
        self.pitch = self.find_pitch();
        let quarter = self.pitch / 4;
        let length = self.history.len();
        let heard = |back: usize| self.history.get(length - back).copied().unwrap_or_default();
        for (n, sample) in self.cycle.iter_mut().take(self.pitch).enumerate() {
            let back = self.pitch - n;
            *sample = heard(back);
            // Its last quarter turns into what came before its beginning, which follows.
            if back <= quarter {
                *sample = mix(*sample, heard(back + self.pitch), quarter - back, quarter);
            }
        }
        self.step = i32::from(heard(1)) - i32::from(heard(self.pitch + 1));
    }

    /// At which distance what was heard last is most like itself: at 4 kHz among all, then exactly.
    fn find_pitch(&self) -> usize {
        // Of 12 bits, so that the sum of all products has room in 32.
        let mut history = [0_i16; MOST * HISTORY];
        let (history, _) = history.split_at_mut(self.history.len());
        history.iter_mut().zip(&self.history).for_each(|(low, full)| *low = full >> 4);
        let every = 2 * self.scale;
        let mut coarse = [0_i16; HISTORY / 2];
        coarse.iter_mut().zip(history.iter().step_by(every)).for_each(|(part, full)| *part = *full);
        let lags = SHORTEST_PITCH / 2..=LONGEST_PITCH / 2;
        let near = every * lags.max_by_key(|lag| likeness(&coarse, COMPARED / 2, *lag)).unwrap_or_default();
        let (shortest, longest) = (self.scale * SHORTEST_PITCH, self.scale * LONGEST_PITCH);
        let lags = (near + 1 - every).max(shortest)..=(near + every - 1).min(longest);
        lags.max_by_key(|lag| likeness(history, self.scale * COMPARED, *lag)).unwrap_or(shortest)
    }

    fn keep(&mut self, samples: &[i16]) {
        let length = self.history.len();
        let new = samples.get(samples.len().saturating_sub(length)..).unwrap_or_default();
        self.history.copy_within(new.len().., 0);
        let (_, end) = self.history.split_at_mut(length - new.len());
        end.copy_from_slice(new);
    }
}

/// How much the end of `history` is like what came `lag` before it, whatever its loudness.
fn likeness(history: &[i16], compared: usize, lag: usize) -> i64 {
    let end = history.len();
    let last = history.get(end - compared..).unwrap_or_default();
    let before = history.get(end - compared - lag..end - lag).unwrap_or_default();
    let (mut alike, mut loud) = (0_i32, 0_i32);
    for (a, b) in last.iter().zip(before) {
        alike += i32::from(*a) * i32::from(*b);
        loud += i32::from(*b) * i32::from(*b);
    }
    // The square keeps the sign: what is the opposite is not alike.
    (i64::from(alike) * i64::from(alike).abs()).checked_div(i64::from(loud)).unwrap_or_default()
}

/// `part` of `whole` in 256ths.
fn ratio(part: usize, whole: usize) -> i32 {
    i32::try_from(part * 256 / whole.max(1)).unwrap_or(256)
}

/// From `old` to `new`, at step `n` of `length`.
fn mix(old: i16, new: i16, n: usize, length: usize) -> i16 {
    let share = ratio(n + 1, length + 1);
    clip((i32::from(old) * (256 - share) + i32::from(new) * share) / 256)
}

fn clip(sample: i32) -> i16 {
    i16::try_from(sample.clamp(i32::from(i16::MIN), i32::from(i16::MAX))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::LONGEST;
    use super::*;

    const RATES: [Rate; 2] = [Rate::Narrow, Rate::Wide];
    const PITCHES: [f64; 6] = [80.0, 110.0, 150.0, 190.0, 260.0, 330.0];

    fn frame(rate: Rate) -> usize {
        rate.hertz() as usize / 50
    }

    /// A voice of two harmonics; frames of it.
    fn voice(rate: Rate, pitch: f64, place: usize) -> Vec<i16> {
        (place * frame(rate)..(place + 1) * frame(rate))
            .map(|n| {
                #[allow(clippy::cast_precision_loss)]
                let turns = n as f64 / f64::from(rate.hertz()) * pitch * std::f64::consts::TAU;
                #[allow(clippy::cast_possible_truncation)]
                let sample = ((turns.sin() + 0.5 * (3.0 * turns).sin()) * 6000.0) as i16;
                sample
            })
            .collect()
    }

    /// A stream in which these frames of ten are lost.
    fn through(rate: Rate, pitch: f64, lost: std::ops::Range<usize>) -> Vec<i16> {
        let mut plc = Plc::new(rate);
        let mut sound = Vec::new();
        for place in 0..10 {
            if lost.contains(&place) {
                let mut samples = [0; LONGEST];
                assert_eq!(plc.conceal(frame(rate), &mut samples), frame(rate));
                sound.extend_from_slice(&samples[..frame(rate)]);
            } else {
                let mut samples = voice(rate, pitch, place);
                plc.heard(&mut samples);
                sound.extend_from_slice(&samples);
            }
        }
        sound
    }

    fn energy(samples: &[i16]) -> f64 {
        samples.iter().map(|sample| f64::from(*sample).powi(2)).sum()
    }

    fn loudest_step(samples: &[i16]) -> i32 {
        samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or_default()
    }

    #[test]
    fn a_lost_frame_of_a_voice_goes_on_in_its_pitch() {
        for (rate, pitch) in RATES.into_iter().flat_map(|rate| PITCHES.map(|pitch| (rate, pitch))) {
            let (spoken, heard) = (voice(rate, pitch, 5), through(rate, pitch, 5..6));
            let wrong: Vec<i16> =
                heard[5 * frame(rate)..6 * frame(rate)].iter().zip(&spoken).map(|(a, b)| a - b).collect();
            let loud = frame(rate) / 2;
            let loss = 10.0 * (energy(&wrong[..loud]) / energy(&spoken[..loud])).log10();
            assert!(loss < -6.0, "{rate:?}, {pitch} Hz: {loss} dB");
        }
    }

    #[test]
    fn a_loss_neither_begins_nor_ends_with_a_click() {
        for (rate, pitch) in RATES.into_iter().flat_map(|rate| PITCHES.map(|pitch| (rate, pitch))) {
            let undisturbed = loudest_step(&through(rate, pitch, 0..0));
            for lost in [5..6, 5..7, 5..9] {
                let step = loudest_step(&through(rate, pitch, lost.clone()));
                assert!(step <= undisturbed * 5 / 4, "{rate:?}, {pitch} Hz, {lost:?}: {step} against {undisturbed}");
            }
        }
    }

    #[test]
    fn what_is_made_up_fades_and_is_silent_after_sixty_milliseconds() {
        for rate in RATES {
            let heard = through(rate, 110.0, 4..9);
            let frames: Vec<f64> = heard.chunks(frame(rate)).map(energy).collect();
            assert!(frames[4] < frames[3] && frames[5] < frames[4] * 0.7 && frames[6] < frames[5] * 0.4, "{frames:?}");
            assert!(heard[7 * frame(rate)..9 * frame(rate)].iter().all(|sample| *sample == 0));
        }
    }

    #[test]
    fn what_is_heard_is_the_same_again_ten_milliseconds_after_a_loss() {
        for rate in RATES {
            let (heard, back) = (through(rate, 150.0, 4..8), frame(rate) / 2);
            assert_eq!(heard[8 * frame(rate) + back..9 * frame(rate)], voice(rate, 150.0, 8)[back..]);
            assert_eq!(heard[..4 * frame(rate)], through(rate, 150.0, 0..0)[..4 * frame(rate)]);
        }
    }

    #[test]
    fn the_loudest_sound_is_not_too_loud_for_it() {
        for rate in RATES {
            let mut plc = Plc::new(rate);
            let mut samples = [0; LONGEST];
            for sample in [i16::MIN, i16::MAX] {
                plc.heard(&mut [sample; 800]);
                assert_eq!(plc.conceal(LONGEST, &mut samples), LONGEST);
                plc.heard(&mut [i16::MIN; 3]);
                plc.heard(&mut []);
            }
        }
    }
}
