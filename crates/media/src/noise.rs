//! Comfort noise (RFC 3389), made for whoever hears a peer that sends none of its silence: as loud as the peer says, white whatever it says
//! of its spectrum.

/// Louder than this, in dB below the loudest, is no background.
const LOUDEST: u8 = 40;

/// Noise that can be continued frame by frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    /// The greatest sample.
    amplitude: i32,
    state: u32,
}

impl Noise {
    /// By a packet's payload, whose first octet has the level in dB below the loudest (§3.1); without one, silence.
    pub(crate) fn new(payload: &[u8]) -> Self {
        let amplitude = payload.first().map_or(0.0, |octet| {
            let level = f32::from((octet & 0x7f).max(LOUDEST));
            // Evenly spread samples are as loud as their greatest by the root of three.
            32_768.0 * (-level / 20.0 * std::f32::consts::LN_10).exp() * 3.0_f32.sqrt()
        });
        #[allow(clippy::cast_possible_truncation)] // below 600
        let amplitude = amplitude.round() as i32;
        Self { amplitude, state: 0x9e37_79b9 }
    }

    /// Goes on as loud as another.
    pub(crate) fn follow(&mut self, other: Self) {
        self.amplitude = other.amplitude;
    }

    /// Writes the next samples.
    pub(crate) fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            // Xorshift: even enough for an ear.
            self.state ^= self.state << 13;
            self.state ^= self.state >> 17;
            self.state ^= self.state << 5;
            let sign = i32::from((self.state >> 16) as u16) - 32_768;
            *sample = i16::try_from(sign * self.amplitude / 32_768).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(payload: &[u8]) -> f64 {
        let mut samples = [0; 8000];
        Noise::new(payload).fill(&mut samples);
        let power = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / 8000.0;
        10.0 * (power / 32_768.0_f64.powi(2)).log10()
    }

    #[test]
    fn it_is_as_loud_as_the_peer_says_and_never_loud() {
        for said in [45, 50, 60, 65] {
            assert!((level(&[said, 9, 9]) + f64::from(said)).abs() < 1.0, "{said}: {}", level(&[said]));
        }
        assert!((level(&[0]) + f64::from(LOUDEST)).abs() < 1.0);
        assert!(level(&[]) < -200.0 && level(&[127]) < -200.0);
    }
}
