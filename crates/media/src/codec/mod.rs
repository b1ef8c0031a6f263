//! Codecs at the rates the gateway works in: 8 kHz mono, where G.711 is at home and libopus converts by itself; 16 kHz where more than
//! a telephone hears it.

mod g711;
mod g722;
#[cfg(test)]
// Not inside it, so that tests of the whole can have the codec for their peers.
#[path = "g722/tests.rs"]
mod g722_tests;
mod opus;
mod plc;

pub(crate) use g711::Law;
pub(crate) use opus::{BITRATE, LOSS_AT_FIRST, OpusDecoder, OpusEncoder, OpusParameters, duration as opus_duration};
pub(crate) use plc::Plc;

use crate::command::Codec;
use crate::halfband::{Downsampler, Upsampler};
use g722::{G722Decoder, G722Encoder};

/// The rate of decoded sound, in Hz.
pub(crate) const RATE: u32 = 8000;
/// The longest packet Opus may carry, 120 ms (RFC 6716 §3.4), in samples.
pub(crate) const LONGEST: usize = 960;
/// The same at [`Rate::Wide`].
pub(crate) const LONGEST_WIDE: usize = 2 * LONGEST;

/// Samples upsampled at once.
const PIECE: usize = 160;

/// A rate of decoded sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// The RTP clock rate in Hz: 48000 for Opus whatever it carries (RFC 7587 §4.1), and 8000 for G.722, which has 16000 samples to the
    /// second, by an old mistake (RFC 3551 §4.5.2).
    #[must_use]
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma | Self::G722 => 8000,
        }
    }

    /// The best it can carry here.
    pub(crate) fn rate(self) -> Rate {
        match self {
            Self::Opus | Self::G722 => Rate::Wide,
            Self::Pcmu | Self::Pcma => Rate::Narrow,
        }
    }
}

/// A decoder of any kind, with its concealment.
#[derive(Debug)]
pub(crate) enum Decoder {
    Opus(OpusDecoder),
    G711(Law, Box<Plc>),
    G722(Box<Wideband>),
}

/// G.722 at either rate.
#[derive(Debug)]
pub(crate) struct Wideband {
    decoder: G722Decoder,
    plc: Plc,
    /// Who wants 8 kHz: what becomes of the sound, and where it is before.
    down: Option<(Downsampler, [i16; LONGEST_WIDE])>,
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
    /// Makes the decoder of a codec that gives sound of `rate`, if it can: G.711 knows 8 kHz only.
    pub(crate) fn with_rate(codec: Codec, rate: Rate) -> Result<Self, CodecError> {
        Ok(match codec {
            Codec::Opus => Self::Opus(OpusDecoder::new(rate)?),
            Codec::Pcmu => Self::G711(Law::Mu, Box::new(Plc::new(Rate::Narrow))),
            Codec::Pcma => Self::G711(Law::A, Box::new(Plc::new(Rate::Narrow))),
            Codec::G722 => Self::G722(Box::new(Wideband {
                decoder: G722Decoder::default(),
                plc: Plc::new(Rate::Wide),
                down: (rate == Rate::Narrow).then(|| (Downsampler::default(), [0; LONGEST_WIDE])),
            })),
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
            Self::G722(wideband) => Ok(wideband.fill(samples, |decoder, plc, samples| {
                let count = decoder.decode(payload, samples);
                plc.heard(samples.get_mut(..count).unwrap_or_default());
                count
            })),
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
            Self::G722(wideband) => {
                let duration = if wideband.down.is_some() { 2 * duration } else { duration };
                Ok(wideband.fill(samples, |_, plc, samples| plc.conceal(duration, samples)))
            }
        }
    }
}

impl Wideband {
    /// Has `make` write sound of 16 kHz, and gives it at the rate wanted.
    fn fill(
        &mut self,
        samples: &mut [i16],
        make: impl FnOnce(&mut G722Decoder, &mut Plc, &mut [i16]) -> usize,
    ) -> usize {
        let Self { decoder, plc, down } = self;
        let Some((down, wide)) = down else { return make(decoder, plc, samples) };
        let room = wide.len().min(2 * samples.len());
        let (wide, _) = wide.split_at_mut(room);
        let count = make(decoder, plc, wide) / 2;
        down.next(wide.get(..2 * count).unwrap_or_default(), samples.get_mut(..count).unwrap_or_default());
        count
    }
}

/// An encoder of any kind.
#[derive(Debug)]
pub(crate) enum Encoder {
    Opus(OpusEncoder),
    G711(Law),
    /// What is said at 8 kHz is brought to 16 first.
    G722(Box<G722Encoder>, Option<Box<Upsampler>>),
}

impl Encoder {
    /// Makes the encoder of a codec that takes sound of `rate`, if it can: G.711 knows 8 kHz only. `opus` is what the peer asked of
    /// that one.
    pub(crate) fn with_rate(codec: Codec, opus: &OpusParameters, rate: Rate) -> Result<Self, CodecError> {
        Ok(match codec {
            Codec::Opus => Self::Opus(OpusEncoder::new(opus, rate)?),
            Codec::Pcmu => Self::G711(Law::Mu),
            Codec::Pcma => Self::G711(Law::A),
            Codec::G722 => Self::G722(Box::default(), (rate == Rate::Narrow).then(Box::default)),
        })
    }

    /// What the way of its packets to the peer is like.
    pub(crate) fn adapt(&mut self, conditions: Conditions) {
        match self {
            Self::Opus(encoder) => encoder.adapt(conditions),
            // Have nothing to protect themselves with, and no bits to spare.
            Self::G711(_) | Self::G722(..) => {}
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
            Self::G722(encoder, None) => {
                encoder.encode(samples, payload);
                Ok(())
            }
            Self::G722(encoder, Some(up)) => {
                let mut wide = [0; 2 * PIECE];
                for narrow in samples.chunks(PIECE) {
                    let (wide, _) = wide.split_at_mut(2 * narrow.len());
                    up.next(narrow, wide);
                    encoder.encode(wide, payload);
                }
                Ok(())
            }
        }
    }
}

/// A payload of silence as long as another; empty for Opus, whose packets say nothing of their length.
pub(crate) fn silence(codec: Codec, length: usize) -> &'static [u8] {
    static MU_LAW: [u8; LONGEST] = [0xff; LONGEST];
    static A_LAW: [u8; LONGEST] = [0xd5; LONGEST];
    static G722: [u8; LONGEST] = g722::silence();
    let silence: &[u8] = match codec {
        Codec::Pcmu => &MU_LAW,
        Codec::Pcma => &A_LAW,
        Codec::G722 => &G722,
        Codec::Opus => &[],
    };
    silence.get(..length.min(silence.len())).unwrap_or_default()
}
