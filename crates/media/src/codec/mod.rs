//! Codecs at the rates the gateway works in: 8 kHz mono, where G.711 is at home and libopus converts by itself; 16 kHz where more than
//! a telephone hears it.

mod g711;
mod opus;
mod plc;

pub(crate) use g711::Law;
pub(crate) use opus::{BITRATE, LOSS_AT_FIRST, OpusDecoder, OpusEncoder, OpusParameters};
pub(crate) use plc::Plc;

use crate::command::Codec;

/// The rate of decoded sound, in Hz.
pub(crate) const RATE: u32 = 8000;
/// The longest packet Opus may carry, 120 ms (RFC 6716 §3.4), in samples.
pub(crate) const LONGEST: usize = 960;
/// The same at [`Rate::Wide`].
pub(crate) const LONGEST_WIDE: usize = 2 * LONGEST;

/// A rate of decoded sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rate {
    /// 8 kHz, [`RATE`].
    Narrow,
    /// 16 kHz.
    Wide,
}

impl Rate {
    /// In Hz.
    pub(crate) fn hertz(self) -> u32 {
        match self {
            Self::Narrow => RATE,
            Self::Wide => 2 * RATE,
        }
    }
}

impl Codec {
    /// The RTP clock rate in Hz: 48000 for Opus whatever it carries (RFC 7587 §4.1).
    #[must_use]
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma => 8000,
        }
    }
}

/// A decoder of either kind, with its concealment.
#[derive(Debug)]
pub(crate) enum Decoder {
    Opus(OpusDecoder),
    G711(Law, Box<Plc>),
}

/// What a way to a peer is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// What of the packets is lost, in percent.
    pub(crate) loss: u8,
    /// What it has room for, in bit/s without headers.
    pub(crate) bitrate: i32,
}

/// libopus refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("opus: {0}")]
pub(crate) struct CodecError(pub(crate) String);

impl Decoder {
    pub(crate) fn new(codec: Codec) -> Result<Self, CodecError> {
        Self::with_rate(codec, Rate::Narrow)
    }

    /// Makes the decoder of a codec that gives sound of `rate`, if it can: G.711 knows 8 kHz only.
    pub(crate) fn with_rate(codec: Codec, rate: Rate) -> Result<Self, CodecError> {
        Ok(match codec {
            Codec::Opus => Self::Opus(OpusDecoder::new(rate)?),
            Codec::Pcmu => Self::G711(Law::Mu, Box::default()),
            Codec::Pcma => Self::G711(Law::A, Box::default()),
        })
    }

    /// Decodes a payload into `samples`; gives how many.
    pub(crate) fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> Result<usize, CodecError> {
        match self {
            Self::Opus(decoder) => decoder.decode(payload, samples),
            Self::G711(law, plc) => {
                let count = law.decode(payload, samples);
                plc.heard(samples.get_mut(..count).unwrap_or_default());
                Ok(count)
            }
        }
    }

    /// Fills in a lost packet of `duration` samples, from the FEC in `following` when there is any.
    pub(crate) fn conceal(
        &mut self,
        following: Option<&[u8]>,
        duration: usize,
        samples: &mut [i16],
    ) -> Result<usize, CodecError> {
        match self {
            Self::Opus(decoder) => decoder.conceal(following, duration, samples),
            Self::G711(_, plc) => Ok(plc.conceal(duration, samples)),
        }
    }
}

/// An encoder of either kind.
#[derive(Debug)]
pub(crate) enum Encoder {
    Opus(OpusEncoder),
    G711(Law),
}

impl Encoder {
    /// Makes the encoder of a codec; `opus` is what the peer asked of that one.
    pub(crate) fn new(codec: Codec, opus: &OpusParameters) -> Result<Self, CodecError> {
        Self::with_rate(codec, opus, Rate::Narrow)
    }

    /// Makes the encoder of a codec that takes sound of `rate`, if it can: G.711 knows 8 kHz only.
    pub(crate) fn with_rate(codec: Codec, opus: &OpusParameters, rate: Rate) -> Result<Self, CodecError> {
        Ok(match codec {
            Codec::Opus => Self::Opus(OpusEncoder::new(opus, rate)?),
            Codec::Pcmu => Self::G711(Law::Mu),
            Codec::Pcma => Self::G711(Law::A),
        })
    }

    /// What the way of its packets to the peer is like.
    pub(crate) fn adapt(&mut self, conditions: Conditions) {
        match self {
            Self::Opus(encoder) => encoder.adapt(conditions),
            // Has nothing to protect itself with, and no bits to spare.
            Self::G711(_) => {}
        }
    }

    /// Encodes one frame, appending to `payload`.
    pub(crate) fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) -> Result<(), CodecError> {
        match self {
            Self::Opus(encoder) => encoder.encode(samples, payload),
            Self::G711(law) => {
                law.encode(samples, payload);
                Ok(())
            }
        }
    }
}
