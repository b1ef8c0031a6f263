//! Ringback made by the gateway when the far side sends none: 425 Hz, one second on, four off (ITU-T E.180).

use crate::codec::RATE;

const FREQUENCY: u32 = 425;
const ON: u32 = RATE;
const PERIOD: u32 = 5 * RATE;
/// About -15 dBm0, what exchanges play.
const AMPLITUDE: f32 = 4000.0;

/// A tone that can be continued frame by frame.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ringback {
    position: u32,
}

impl Ringback {
    /// Writes the next samples.
    pub(crate) fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            *sample = if self.position < ON {
                #[allow(clippy::cast_precision_loss)] // at most 40000
                let phase = (self.position * FREQUENCY % RATE) as f32 / RATE as f32;
                #[allow(clippy::cast_possible_truncation)] // within +-4000
                let value = (AMPLITUDE * (phase * std::f32::consts::TAU).sin()) as i16;
                value
            } else {
                0
            };
            self.position = (self.position + 1) % PERIOD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ringback_sounds_one_second_in_five() {
        let mut tone = Ringback::default();
        let mut second = [0_i16; RATE as usize];
        let loud: Vec<bool> = (0..10)
            .map(|_| {
                tone.fill(&mut second);
                second.iter().any(|s| s.abs() > 3000)
            })
            .collect();
        assert_eq!(loud, [true, false, false, false, false, true, false, false, false, false]);
    }

    #[test]
    fn ringback_is_425_hz() {
        let mut tone = Ringback::default();
        let mut second = [0_i16; RATE as usize];
        tone.fill(&mut second);
        let rising = second.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert!((424..=425).contains(&rising), "{rising}");
    }
}
