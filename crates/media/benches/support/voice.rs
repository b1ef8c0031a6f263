//! A voice, as a browser and as a carrier encode it.

use std::f64::consts::TAU;
use std::sync::LazyLock;

use media::{Bandwidth, Codec};

use super::{Crowd, End, said};

/// Samples of 20 ms at a browser's rate.
const BROWSER_FRAME: u32 = 960;

/// Frames of 20 ms: payloads only, and the samples of wideband.
#[derive(Debug, Clone, Default)]
pub(crate) struct Voice {
    opus: Vec<Vec<u8>>,
    pcmu: Vec<Vec<u8>>,
    pcma: Vec<Vec<u8>>,
    g722: Vec<Vec<u8>>,
    pub(crate) wide: Vec<Vec<i16>>,
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
        let (mu, a) = (LAWS.of(Codec::Pcmu), LAWS.of(Codec::Pcma));
        for frame in 0..u32::try_from(frames).unwrap() {
            let samples: Vec<i16> = (0..BROWSER_FRAME).map(|n| sample(frame * BROWSER_FRAME + n)).collect();
            voice.opus.push(encoder.encode_vec(&samples, 1275).unwrap());
            voice.pcmu.push(samples.iter().step_by(6).map(|sample| mu.encode(*sample)).collect());
            voice.pcma.push(samples.iter().step_by(6).map(|sample| a.encode(*sample)).collect());
            voice.wide.push(samples.iter().step_by(3).copied().collect());
        }
        voice
    }

    /// The same with G.722: what a shard makes of the Opus, since there is no other encoder here.
    pub(crate) fn with_g722(mut self) -> Self {
        let mut crowd = Crowd::new(1, End::Browser(Bandwidth::Wide), End::Trunk(Codec::G722));
        self.g722 = crowd.heard_at_trunk(&self);
        self
    }

    pub(crate) fn payloads(&self, codec: Codec) -> &[Vec<u8>] {
        match codec {
            Codec::Opus => &self.opus,
            Codec::Pcmu => &self.pcmu,
            Codec::Pcma => &self.pcma,
            Codec::G722 => &self.g722,
        }
    }

    /// Many of this voice at once, each somewhere else in the text, as a carrier encodes the sum.
    pub(crate) fn chorus(&self, many: usize) -> Self {
        let law = LAWS.of(Codec::Pcmu);
        let frames = (0..self.pcmu.len()).map(|frame| {
            let voices = || (0..many).map(|n| said(&self.pcmu, frame, n));
            let sum = |at: usize| voices().map(|payload| i32::from(law.decode(payload[at]))).sum::<i32>();
            // As loud as there is room for.
            let samples = (0..160).map(|at| i16::try_from(sum(at).clamp(-32_000, 32_000)).unwrap());
            samples.map(|sample| law.encode(sample)).collect()
        });
        Self { pcmu: frames.collect(), ..self.clone() }
    }

    /// Pieces of `frames` frames, one after another.
    pub(crate) fn parts(&self, frames: usize) -> Vec<Self> {
        let piece = |from: usize| {
            let cut = |all: &[Vec<u8>]| all.iter().skip(from).take(frames).cloned().collect();
            let wide = self.wide.iter().skip(from).take(frames).cloned().collect();
            let [opus, pcmu, pcma, g722] = [&self.opus, &self.pcmu, &self.pcma, &self.g722].map(|all| cut(all));
            Self { opus, pcmu, pcma, g722, wide }
        };
        (0..self.opus.len()).step_by(frames).map(piece).collect()
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

/// Both laws of G.711, which share nothing with what is measured.
pub(crate) struct Laws {
    mu: Law,
    a: Law,
}

/// A law as whole tables.
pub(crate) struct Law {
    to_linear: [i16; 256],
    from_linear: Box<[u8; 65_536]>,
}

pub(crate) static LAWS: LazyLock<Laws> = LazyLock::new(|| Laws { mu: tables(mu_to_linear), a: tables(a_to_linear) });

impl Laws {
    pub(crate) fn of(&self, codec: Codec) -> &Law {
        if codec == Codec::Pcma { &self.a } else { &self.mu }
    }
}

impl Law {
    pub(crate) fn decode(&self, code: u8) -> i16 {
        self.to_linear[usize::from(code)]
    }

    pub(crate) fn encode(&self, sample: i16) -> u8 {
        self.from_linear[usize::from(sample.cast_unsigned())]
    }
}

/// The way there, and by the nearest code the way back.
fn tables(linear: fn(u8) -> i16) -> Law {
    let to_linear = std::array::from_fn(|code| linear(u8::try_from(code).unwrap()));
    let mut codes: Vec<(i16, u8)> = (0..=255).map(|code| (linear(code), code)).collect();
    codes.sort_unstable();
    let mut at = 0;
    let mut from_linear = Box::new([0; 65_536]);
    for sample in i16::MIN..=i16::MAX {
        let distance = |n: usize| (i32::from(codes[n].0) - i32::from(sample)).abs();
        while at + 1 < codes.len() && distance(at + 1) <= distance(at) {
            at += 1;
        }
        from_linear[usize::from(sample.cast_unsigned())] = codes[at].1;
    }
    Law { to_linear, from_linear }
}

fn mu_to_linear(code: u8) -> i16 {
    let code = !code;
    let magnitude = (((i16::from(code & 0x0f) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

fn a_to_linear(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, mantissa) = ((code >> 4) & 7, i16::from(code & 0x0f) << 4);
    let magnitude = if segment == 0 { mantissa + 8 } else { (mantissa + 0x108) << (segment - 1) };
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}
