//! A voice, as a browser and as a carrier encode it.

use std::f64::consts::TAU;

/// Samples of 20 ms at a browser's rate.
const BROWSER_FRAME: u32 = 960;

/// Frames of 20 ms: payloads only.
#[derive(Debug, Default)]
pub(crate) struct Voice {
    pub(crate) opus: Vec<Vec<u8>>,
    pub(crate) pcmu: Vec<Vec<u8>>,
}

impl Voice {
    /// Speaks `frames` frames. Opus is made as Chromium makes it: narrowband where the answer asks for that, since the far side is
    /// G.711; else as it likes.
    pub(crate) fn speak(frames: usize, narrowband: bool) -> Self {
        let mut encoder = opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Voip).unwrap();
        encoder.set_inband_fec(true).unwrap();
        encoder.set_packet_loss_perc(5).unwrap();
        encoder.set_bitrate(opus::Bitrate::Bits(if narrowband { 24_000 } else { 32_000 })).unwrap();
        if narrowband {
            encoder.set_max_bandwidth(opus::Bandwidth::Narrowband).unwrap();
        }
        let mut voice = Self::default();
        for frame in 0..u32::try_from(frames).unwrap() {
            let samples: Vec<i16> = (0..BROWSER_FRAME).map(|n| sample(frame * BROWSER_FRAME + n)).collect();
            voice.opus.push(encoder.encode_vec(&samples, 1275).unwrap());
            voice.pcmu.push(samples.iter().step_by(6).map(|sample| mu_law(*sample)).collect());
        }
        voice
    }

    /// Pieces of `frames` frames, one after another.
    pub(crate) fn parts(&self, frames: usize) -> impl Iterator<Item = Self> {
        let pieces = self.opus.chunks(frames).zip(self.pcmu.chunks(frames));
        pieces.map(|(opus, pcmu)| Self { opus: opus.to_vec(), pcmu: pcmu.to_vec() })
    }
}

/// Something less easy for a codec than one sine: three harmonics of a changing pitch, in syllables.
#[allow(clippy::cast_possible_truncation, reason = "within a quarter of full scale")]
fn sample(n: u32) -> i16 {
    let (t, frame) = (f64::from(n) / 48_000.0, n / BROWSER_FRAME);
    let pitch = 110.0 + f64::from(frame / 10 % 8) * 15.0;
    let loudness = 0.6 + 0.4 * (t * 4.0 * TAU).sin();
    let harmonic = |times: f64| (t * pitch * times * TAU).sin();
    ((harmonic(1.0) + 0.5 * harmonic(3.0) + 0.2 * harmonic(7.0)) * loudness * 4000.0) as i16
}

pub(crate) fn linear(code: u8) -> i16 {
    let code = !code;
    let magnitude = (((i16::from(code & 0x0f) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

/// By search, so that it shares nothing with the encoder measured.
pub(crate) fn mu_law(sample: i16) -> u8 {
    (0..=255).min_by_key(|code| (i32::from(linear(*code)) - i32::from(sample)).abs()).unwrap()
}
