//! What the peers of a test say and hear in any codec, at 16 kHz.

use std::collections::HashMap;

#[allow(dead_code, unreachable_pub, reason = "the codec itself, whose tests are elsewhere: no other is at hand")]
#[path = "../../src/codec/g722/mod.rs"]
mod g722;

/// A codec of a trunk's peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Pcmu,
    Pcma,
    G722,
    Opus,
}

pub(crate) const KINDS: [Kind; 4] = [Kind::Pcmu, Kind::Pcma, Kind::G722, Kind::Opus];

impl Kind {
    pub(crate) fn formats(self) -> &'static str {
        match self {
            Self::Pcmu => "0",
            Self::Pcma => "8",
            Self::G722 => "9",
            Self::Opus => "111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1",
        }
    }

    pub(crate) fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 111,
        }
    }

    /// Timestamp units of a millisecond.
    pub(crate) fn clock(self) -> u32 {
        if self == Self::Opus { 48 } else { 8 }
    }

    pub(crate) fn is_wide(self) -> bool {
        matches!(self, Self::G722 | Self::Opus)
    }

    /// The packet length it makes of one that is wanted.
    pub(crate) fn packet_length(self, millis: u32) -> u32 {
        if self == Self::Opus && millis == 30 { 20 } else { millis }
    }
}

/// Says a tone.
pub(crate) struct Speaker {
    kind: Kind,
    frequency: f64,
    place: u32,
    /// Codes of G.711 looked for before.
    codes: HashMap<i16, u8>,
    g722: g722::G722Encoder,
    opus: opus::Encoder,
}

pub(crate) const AMPLITUDE: f64 = 8000.0;

impl Speaker {
    pub(crate) fn new(kind: Kind, frequency: f64) -> Self {
        let mut opus = opus::Encoder::new(16_000, opus::Channels::Mono, opus::Application::Audio).unwrap();
        opus.set_bitrate(opus::Bitrate::Bits(48_000)).unwrap();
        Self { kind, frequency, place: 0, codes: HashMap::new(), g722: g722::G722Encoder::default(), opus }
    }

    pub(crate) fn say(&mut self, millis: u32) -> Vec<u8> {
        let places = self.place..self.place + 16 * millis;
        self.place += 16 * millis;
        #[allow(clippy::cast_possible_truncation)]
        let sample = |n| ((f64::from(n) / 16_000.0 * self.frequency * std::f64::consts::TAU).sin() * AMPLITUDE) as i16;
        let samples: Vec<i16> = places.map(sample).collect();
        let mut payload = Vec::new();
        match self.kind {
            Kind::Pcmu | Kind::Pcma => payload.extend(samples.iter().step_by(2).map(|sample| {
                let code = || if self.kind == Kind::Pcmu { mu_law(*sample) } else { a_law(*sample) };
                *self.codes.entry(*sample).or_insert_with(code)
            })),
            Kind::G722 => self.g722.encode(&samples, &mut payload),
            Kind::Opus => payload = self.opus.encode_vec(&samples, 1275).unwrap(),
        }
        payload
    }
}

/// Hears 16 kHz; of G.711, every sample twice.
pub(crate) struct Listener {
    kind: Kind,
    g722: g722::G722Decoder,
    opus: opus::Decoder,
}

impl Listener {
    pub(crate) fn new(kind: Kind) -> Self {
        let opus = opus::Decoder::new(16_000, opus::Channels::Mono).unwrap();
        Self { kind, g722: g722::G722Decoder::default(), opus }
    }

    pub(crate) fn hear(&mut self, payload: &[u8]) -> Vec<i16> {
        let mut samples = vec![0; 1920];
        match self.kind {
            Kind::Pcmu => samples = payload.iter().flat_map(|code| [mu_linear(*code); 2]).collect(),
            Kind::Pcma => samples = payload.iter().flat_map(|code| [a_linear(*code); 2]).collect(),
            Kind::G722 => {
                let count = self.g722.decode(payload, &mut samples);
                samples.truncate(count);
            }
            Kind::Opus => {
                let count = self.opus.decode(payload, &mut samples, false).unwrap();
                samples.truncate(count);
            }
        }
        samples
    }
}

/// The level of a frequency against the one said.
pub(crate) fn level_db(samples: &[i16], frequency: f64) -> f64 {
    let step = frequency * std::f64::consts::TAU / 16_000.0;
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let n = f64::from(u32::try_from(n).unwrap());
        real += f64::from(*sample) * (step * n).cos();
        imaginary += f64::from(*sample) * (step * n).sin();
    }
    let length = f64::from(u32::try_from(samples.len()).unwrap());
    20.0 * (2.0 * real.hypot(imaginary) / length / AMPLITUDE).max(1e-9).log10()
}

/// By search, so that it shares nothing with the encoder under test.
fn mu_law(sample: i16) -> u8 {
    (0..=255).min_by_key(|code| (i32::from(mu_linear(*code)) - i32::from(sample)).abs()).unwrap()
}

fn mu_linear(code: u8) -> i16 {
    let code = !code;
    let magnitude = (((i16::from(code & 0x0f) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

fn a_linear(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, mantissa) = ((code >> 4) & 7, i16::from(code & 0x0f) << 4);
    let magnitude = if segment == 0 { mantissa + 8 } else { (mantissa + 0x108) << (segment - 1) };
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

fn a_law(sample: i16) -> u8 {
    (0..=255).min_by_key(|code| (i32::from(a_linear(*code)) - i32::from(sample)).abs()).unwrap()
}
