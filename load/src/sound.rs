//! What is said and how it is recognised: a chirp every two seconds, which tells when a sample was sent, and a tone after it, which tells
//! whose call it is of.

use std::f64::consts::TAU;

use opus::{Application, Channels};

/// The rate that everything is recognised at, in Hz.
pub(crate) const RATE: usize = 8000;
/// Samples of a packet, 20 ms.
pub(crate) const FRAME: usize = RATE / 50;
/// Packets until everything is said again.
pub(crate) const FRAMES: usize = 100;
/// Samples of the chirp: short enough for an exact time, long enough to be told from speech.
const CHIRP: usize = RATE / 10;
/// Where the tone is, in packets.
const TONE: std::ops::Range<usize> = 15..90;
/// How many tones there are: calls that run at once mostly have different ones.
pub(crate) const TONES: usize = 16;
const AMPLITUDE: f64 = 9000.0;
/// How alike a stretch must be to the chirp, of 1.
const ALIKE: f64 = 0.7;

/// The frequency of a call's tone, in Hz: 500 to 2000, 100 apart, so that the codecs' band keeps them and a short stretch tells them apart.
pub(crate) fn frequency(call: u64) -> f64 {
    500.0 + 100.0 * f64::from(u16::try_from(call % TONES as u64).unwrap_or_default())
}

/// What is said at a time within the two seconds.
fn sample(seconds: f64, frequency: f64) -> f64 {
    let chirp = CHIRP as f64 / RATE as f64;
    if seconds < chirp {
        // From 400 to 3200 Hz, swelling and fading.
        let phase = 400.0 * seconds + (3200.0 - 400.0) * seconds * seconds / (2.0 * chirp);
        let swell = (std::f64::consts::PI * seconds / chirp).sin();
        return AMPLITUDE * swell * (TAU * phase).sin();
    }
    let (start, end) = (TONE.start as f64 / 50.0, TONE.end as f64 / 50.0);
    if (start..end).contains(&seconds) { AMPLITUDE * 0.5 * (TAU * frequency * seconds).sin() } else { 0.0 }
}

#[expect(clippy::cast_possible_truncation, reason = "the amplitude is far below the limit")]
fn said(rate: usize, frequency: f64) -> Vec<i16> {
    (0..FRAMES * rate / 50).map(|n| sample(n as f64 / rate as f64, frequency) as i16).collect()
}

/// Two seconds in packets of a codec, to be sent again and again.
#[derive(Debug, Clone)]
pub(crate) struct Speech(Vec<Vec<u8>>);

impl Speech {
    /// As a browser says it: Opus.
    pub(crate) fn opus(call: u64) -> Result<Self, opus::Error> {
        let mut encoder = opus::Encoder::new(48_000, Channels::Mono, Application::Voip)?;
        encoder.set_bitrate(opus::Bitrate::Bits(24_000))?;
        encoder.set_inband_fec(true)?;
        encoder.set_packet_loss_perc(5)?;
        let said = said(48_000, frequency(call));
        // The first round only fills the encoder's memory: after it the end leads to the beginning.
        let mut packets = Vec::new();
        for _ in 0..2 {
            packets = said.chunks_exact(960).map(|frame| encoder.encode_vec(frame, 400)).collect::<Result<_, _>>()?;
        }
        Ok(Self(packets))
    }

    /// As a carrier says it: PCMU.
    pub(crate) fn pcmu(call: u64) -> Self {
        let said = said(RATE, frequency(call));
        Self(said.chunks_exact(FRAME).map(|frame| frame.iter().map(|sample| to_mu_law(*sample)).collect()).collect())
    }

    /// The payload of a packet; packets are counted on and on.
    pub(crate) fn packet(&self, number: u64) -> &[u8] {
        let at = usize::try_from(number % FRAMES as u64).unwrap_or_default();
        self.0.get(at).map_or(&[], Vec::as_slice)
    }
}

/// A stretch of sound as it arrived, and what is found in it.
#[derive(Debug)]
pub(crate) struct Ear {
    chirp: Vec<f32>,
    samples: Vec<f32>,
    /// The number of the first of them since the beginning.
    first: u64,
    /// Where the search goes on.
    searched: u64,
    best: Option<(u64, f64)>,
}

impl Ear {
    pub(crate) fn new() -> Self {
        let chirp = (0..CHIRP).map(|n| sample(n as f64 / RATE as f64, 0.0) as f32).collect();
        Self { chirp, samples: Vec::new(), first: 0, searched: 0, best: None }
    }

    /// Takes samples that belong at a place; what is missing before them is silence. The place of a chirp that is complete now.
    pub(crate) fn hear(&mut self, at: u64, samples: &[i16]) -> Option<u64> {
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
        let energy = self.chirp.iter().map(|x| f64::from(x * x)).sum::<f64>();
        loop {
            let at = usize::try_from(self.searched - self.first).unwrap_or_default();
            let Some(stretch) = self.samples.get(at..at + length) else { break };
            let product: f32 = stretch.iter().zip(&self.chirp).map(|(a, b)| a * b).sum();
            let own: f32 = stretch.iter().map(|a| a * a).sum();
            let alike = f64::from(product) / (f64::from(own) * energy).sqrt().max(1.0);
            match self.best {
                Some((place, _)) if self.searched > place + 80 => {
                    found = Some(place);
                    self.best = None;
                }
                Some((_, best)) if alike <= best => {}
                Some(_) | None if alike > ALIKE => self.best = Some((self.searched, alike)),
                Some(_) | None => {}
            }
            self.searched += 1;
        }
        let done = usize::try_from(self.searched - self.first).unwrap_or_default();
        self.samples.drain(..done.min(self.samples.len()));
        self.first = self.searched;
        found
    }
}

/// How much of a stretch's power is the tone of a call, of 1.
pub(crate) fn share_of_tone(samples: &[i16], call: u64) -> f64 {
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

/// What the codecs themselves put a chirp off by, in samples at [`RATE`]: a gateway that adds nothing adds that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lookahead {
    /// Opus at 48 kHz, decoded at 8 kHz.
    pub(crate) from_opus: u64,
    /// Opus at 8 kHz, decoded at 8 kHz.
    pub(crate) to_opus: u64,
}

impl Lookahead {
    /// Measures both with the codec alone.
    pub(crate) fn measure() -> Result<Self, opus::Error> {
        let from_opus = Self::of(&Speech::opus(0)?)?;
        let mut encoder = opus::Encoder::new(8000, Channels::Mono, Application::Voip)?;
        let said = said(RATE, frequency(0));
        let packets = said.chunks_exact(FRAME).map(|frame| encoder.encode_vec(frame, 400)).collect::<Result<_, _>>()?;
        Ok(Self { from_opus, to_opus: Self::of(&Speech(packets))? })
    }

    fn of(speech: &Speech) -> Result<u64, opus::Error> {
        let mut decoder = opus::Decoder::new(8000, Channels::Mono)?;
        let (mut ear, mut samples) = (Ear::new(), [0; FRAME]);
        let mut found = Vec::new();
        let round = (FRAMES * FRAME) as u64;
        for number in 0..3 * FRAMES as u64 {
            let count = decoder.decode(speech.packet(number), &mut samples, false)?;
            found.extend(ear.hear(number * FRAME as u64, samples.get(..count).unwrap_or_default()));
        }
        // The second: the first meets a decoder without memory.
        Ok(found.get(1).map_or(0, |place| place % round))
    }
}

/// G.711 mu-law (ITU-T G.711), by its definition.
pub(crate) fn from_mu_law(code: u8) -> i16 {
    let code = !code;
    let magnitude = (((i16::from(code & 0x0f) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

fn to_mu_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs().min(32_635) + 0x84;
    let exponent = 8_u32.saturating_sub(magnitude.leading_zeros()).min(7);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | u8::try_from((exponent << 4) | u32::from(mantissa)).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn mu_law_gives_back_what_it_was_given() {
        for sample in (-32_000..32_000_i16).step_by(37) {
            let error = (i32::from(from_mu_law(to_mu_law(sample))) - i32::from(sample)).abs();
            assert!(error <= i32::from(sample.unsigned_abs()) / 16 + 8, "{sample}: {error}");
        }
    }

    #[test]
    fn a_chirp_is_found_at_its_sample_wherever_it_begins_and_nothing_else_is() {
        let said = said(RATE, frequency(3));
        let (mut ear, mut found) = (Ear::new(), Vec::new());
        let late: Vec<i16> =
            std::iter::repeat_n(0, 57).chain(said.iter().copied().cycle().take(3 * said.len())).collect();
        for (number, frame) in late.chunks(FRAME).enumerate() {
            found.extend(ear.hear((number * FRAME) as u64, frame));
        }
        assert_eq!(found, [57, 57 + 16_000, 57 + 32_000]);
    }

    #[test]
    fn the_codecs_put_a_chirp_off_by_their_lookahead() {
        let lookahead = Lookahead::measure().unwrap();
        // libopus: 6.5 ms at 48 kHz, and at 8 kHz as much with its resamplers.
        assert!((30..90).contains(&lookahead.from_opus) && (30..90).contains(&lookahead.to_opus), "{lookahead:?}");
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
