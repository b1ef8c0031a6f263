//! G.711 mu-law and A-law (ITU-T G.711): decoded by tables, encoded by arithmetic. Conceals nothing.

/// Which of the two laws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Law {
    Mu,
    A,
}

static MU_TO_LINEAR: [i16; 256] = mu_table();
static A_TO_LINEAR: [i16; 256] = a_table();

const fn mu_to_linear(code: u8) -> i16 {
    let code = !code;
    let magnitude = (((code & 0x0f) as i16) << 3) + 0x84;
    let magnitude = (magnitude << ((code & 0x70) >> 4)) - 0x84;
    if code & 0x80 != 0 { -magnitude } else { magnitude }
}

const fn a_to_linear(code: u8) -> i16 {
    let code = code ^ 0x55;
    let segment = (code & 0x70) >> 4;
    let mantissa = ((code & 0x0f) as i16) << 4;
    let magnitude = if segment == 0 { mantissa + 8 } else { (mantissa + 0x108) << (segment - 1) };
    if code & 0x80 != 0 { magnitude } else { -magnitude }
}

#[allow(clippy::cast_possible_truncation, clippy::indexing_slicing)] // evaluated by the compiler, 0..256
const fn mu_table() -> [i16; 256] {
    let mut table = [0_i16; 256];
    let mut code = 0_usize;
    while code < 256 {
        table[code] = mu_to_linear(code as u8);
        code += 1;
    }
    table
}

#[allow(clippy::cast_possible_truncation, clippy::indexing_slicing)] // evaluated by the compiler, 0..256
const fn a_table() -> [i16; 256] {
    let mut table = [0_i16; 256];
    let mut code = 0_usize;
    while code < 256 {
        table[code] = a_to_linear(code as u8);
        code += 1;
    }
    table
}

/// Where a positive number's highest bit is, counted from bit 7 on, and the four bits below it: what both laws send. Read off the
/// float of the same value and kept to 16 bits around it, so that the compiler does many samples at once.
fn segment_and_mantissa(magnitude: i16) -> i16 {
    let bits = f32::from(magnitude).to_bits() >> 19;
    #[allow(clippy::cast_possible_truncation)] // 13 bits are left
    let bits = (bits as u16).cast_signed();
    bits - ((127 + 7) << 4)
}

fn linear_to_mu(sample: i16) -> u8 {
    const BIAS: i16 = 0x84;
    const CLIP: i16 = 32_635;
    let sign = (sample >> 8) & 0x80;
    // The bias puts the top bit at 7..=14.
    let magnitude = sample.clamp(-CLIP, CLIP).abs() + BIAS;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a sign, 3 bits and 4 bits
    let code = (sign | segment_and_mantissa(magnitude)) as u8;
    !code
}

fn linear_to_a(sample: i16) -> u8 {
    let sign = !(sample >> 8) & 0x80;
    // One's complement: minus one and zero are as loud.
    let magnitude = sample ^ (sample >> 15);
    // The first two segments have steps of the same height.
    let code = if magnitude < 256 { magnitude >> 4 } else { segment_and_mantissa(magnitude) };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a sign, 3 bits and 4 bits
    let code = (sign | code) as u8;
    code ^ 0x55
}

impl Law {
    /// Decodes as much of `payload` as fits; gives how many samples.
    pub(crate) fn decode(self, payload: &[u8], samples: &mut [i16]) -> usize {
        let table = match self {
            Self::Mu => &MU_TO_LINEAR,
            Self::A => &A_TO_LINEAR,
        };
        let mut count = 0;
        for (sample, code) in samples.iter_mut().zip(payload) {
            *sample = table.get(usize::from(*code)).copied().unwrap_or_default();
            count += 1;
        }
        count
    }

    /// Appends `samples` encoded.
    pub(crate) fn encode(self, samples: &[i16], payload: &mut Vec<u8>) {
        let start = payload.len();
        payload.resize(start + samples.len(), 0);
        let codes = payload.get_mut(start..).unwrap_or_default().iter_mut().zip(samples);
        match self {
            Self::Mu => codes.for_each(|(code, sample)| *code = linear_to_mu(*sample)),
            Self::A => codes.for_each(|(code, sample)| *code = linear_to_a(*sample)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::LONGEST;
    use super::*;

    #[test]
    fn every_code_of_both_laws_survives_a_round_trip() {
        for law in [Law::Mu, Law::A] {
            for code in 0..=255_u8 {
                let mut samples = [0; LONGEST];
                law.decode(&[code], &mut samples);
                let mut back = Vec::new();
                law.encode(&samples[..1], &mut back);
                let mut again = [0; LONGEST];
                law.decode(&back, &mut again);
                assert_eq!(again[0], samples[0], "{law:?} {code:#x}");
            }
        }
    }

    /// The decision values of the recommendation's tables 1 and 2, by which a sample has the code whose step it lies in.
    #[test]
    fn every_sample_has_the_code_of_the_step_it_lies_in() {
        let step = |law: Law, code: u8| {
            let mut samples = [0; LONGEST];
            law.decode(&[code], &mut samples);
            i32::from(samples[0])
        };
        for law in [Law::Mu, Law::A] {
            let mut codes = Vec::new();
            let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
            law.encode(&samples, &mut codes);
            for (sample, code) in samples.iter().zip(codes) {
                let (level, value) = (step(law, code), i32::from(*sample));
                assert!(level * value >= 0, "{law:?} {sample}: {level}");
                let segment = (if law == Law::Mu { !code } else { code ^ 0x55 } & 0x70) >> 4;
                // Half the height of a step; clipped samples lie beyond the last.
                let half = match law {
                    Law::Mu => 4 << segment,
                    Law::A => 8 << segment.saturating_sub(1),
                };
                let clipped = value.abs() > 32_635;
                assert!((level - value).abs() <= half || clipped, "{law:?} {sample}: {level}");
            }
        }
    }

    #[test]
    fn known_points_of_the_recommendation_hold() {
        let mut samples = [0; LONGEST];
        Law::Mu.decode(&[0x00, 0x80, 0xff, 0x7f], &mut samples);
        assert_eq!(samples[..4], [-32_124, 32_124, 0, 0]);
        Law::A.decode(&[0xd5, 0x55, 0xaa, 0x2a], &mut samples);
        assert_eq!(samples[..4], [8, -8, 32_256, -32_256]);
    }

    #[test]
    fn extremes_are_clipped_not_wrapped() {
        for (law, sample) in [(Law::Mu, i16::MIN), (Law::Mu, i16::MAX), (Law::A, i16::MIN), (Law::A, i16::MAX)] {
            let mut payload = Vec::new();
            law.encode(&[sample], &mut payload);
            let mut samples = [0; LONGEST];
            law.decode(&payload, &mut samples);
            assert!((i32::from(samples[0]) - i32::from(sample)).abs() < 1200, "{law:?} {sample}: {}", samples[0]);
        }
    }
}
