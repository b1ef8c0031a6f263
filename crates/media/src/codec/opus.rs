//! Opus (RFC 6716) through libopus, decoded to and encoded from 8 or 16 kHz mono: libopus resamples by itself, and narrowband costs the
//! least.

use std::time::Duration;

use opus::{Application, Bandwidth, Bitrate, Channels, Decoder, Encoder, Signal};

use super::{CodecError, Conditions, Rate};

/// Speech of telephone bandwidth is transparent at this rate (RFC 7587 §3.1.1 recommends 8-12 kbit/s for NB), and it is somewhat more
/// than libopus wants at this complexity before it spends anything on FEC.
pub(crate) const BITRATE: i32 = 26_000;
/// The least Opus takes (RFC 7587 §6.1).
const LOWEST_BITRATE: i32 = 6000;
/// Wideband takes 32 kbit/s for that: with FEC, libopus leaves out what is above 6 kHz below 30 kbit/s.
const WIDE_SHARE: (i32, i32) = (16, 13);
/// Of narrowband. Two kbit/s more are heard as much as the search of a higher complexity, which costs 8 % of the time at 1 and as much
/// again at 2 (`docs/performance.md`).
const COMPLEXITY: i32 = 0;
/// Of wideband.
const WIDE_COMPLEXITY: i32 = 1;
/// At a smaller expected loss libopus writes no FEC at this rate, asked for or not.
const LEAST_LOSS_FOR_FEC: u8 = 10;
/// libopus tells no difference above.
const MOST_LOSS: u8 = 25;
/// What is expected before the peer has reported: better protected than sorry.
pub(crate) const LOSS_AT_FIRST: u8 = 10;
/// Opus's longest frame at any rate (RFC 6716 §3.2.1: 1275 bytes); packets here hold one frame.
const MAX_PAYLOAD: usize = 1275;

/// What a peer says of Opus it wants to receive (RFC 7587 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OpusParameters {
    /// `useinbandfec=1`.
    pub(crate) fec: bool,
    /// `usedtx=1`.
    pub(crate) dtx: bool,
    /// `maxaveragebitrate`, in bit/s.
    pub(crate) max_average_bitrate: Option<u32>,
    /// `maxplaybackrate`, in Hz.
    pub(crate) max_playback_rate: Option<u32>,
}

fn failed(error: &opus::Error) -> CodecError {
    CodecError(error.description().to_owned())
}

/// What a packet lasts, by its first octets (RFC 6716 §3.1); nothing if it is none.
pub(crate) fn duration(packet: &[u8]) -> Duration {
    let Some(first) = packet.first() else { return Duration::ZERO };
    let micros = match first >> 3 {
        // SILK, hybrid and CELT; each has its frame lengths in order.
        configuration @ 0..12 => [10_000, 20_000, 40_000, 60_000].get(usize::from(configuration & 3)),
        configuration @ 12..16 => [10_000, 20_000].get(usize::from(configuration & 1)),
        configuration => [2500, 5000, 10_000, 20_000].get(usize::from(configuration & 3)),
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(0, |count| u64::from(count & 0x3f)),
    };
    Duration::from_micros(micros.copied().unwrap_or_default() * frames)
}

/// Decodes any Opus stream to mono of one rate.
pub(crate) struct OpusDecoder {
    decoder: Decoder,
}

impl std::fmt::Debug for OpusDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpusDecoder")
    }
}

impl OpusDecoder {
    pub(crate) fn new(rate: Rate) -> Result<Self, CodecError> {
        let decoder = Decoder::new(rate.hertz(), Channels::Mono).map_err(|error| failed(&error))?;
        Ok(Self { decoder })
    }

    pub(crate) fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> Result<usize, CodecError> {
        self.decoder.decode(payload, samples, false).map_err(|error| failed(&error))
    }

    /// A lost packet of `duration` samples: from the FEC in `following`, else by extrapolation.
    pub(crate) fn conceal(
        &mut self,
        following: Option<&[u8]>,
        duration: usize,
        samples: &mut [i16],
    ) -> Result<usize, CodecError> {
        let length = duration.min(samples.len());
        let output = samples.get_mut(..length).unwrap_or_default();
        let recovered = match following {
            Some(packet) => self.decoder.decode(packet, output, true),
            None => self.decoder.decode(&[], output, false),
        };
        recovered.map_err(|error| failed(&error))
    }
}

/// Encodes mono speech.
pub(crate) struct OpusEncoder {
    encoder: Encoder,
    rate: Rate,
    /// As libopus was told.
    told: Conditions,
    /// The most the peer asked for, in bit/s.
    highest_bitrate: i32,
}

impl std::fmt::Debug for OpusEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpusEncoder")
    }
}

impl OpusEncoder {
    /// Speech of `rate`, which must not be more than the peer plays: nothing it could say is below narrowband.
    pub(crate) fn new(wanted: &OpusParameters, rate: Rate) -> Result<Self, CodecError> {
        let most = for_rate(BITRATE, rate);
        let highest = wanted.max_average_bitrate.and_then(|rate| i32::try_from(rate).ok()).unwrap_or(most);
        let bitrate = highest.clamp(LOWEST_BITRATE, most);
        let configure = || -> opus::Result<Encoder> {
            let mut encoder = Encoder::new(rate.hertz(), Channels::Mono, Application::Voip)?;
            encoder.set_signal(Signal::Voice)?;
            encoder.set_max_bandwidth(match rate {
                Rate::Narrow => Bandwidth::Narrowband,
                Rate::Wide => Bandwidth::Wideband,
            })?;
            encoder.set_bitrate(Bitrate::Bits(bitrate))?;
            encoder.set_complexity(match rate {
                Rate::Narrow => COMPLEXITY,
                Rate::Wide => WIDE_COMPLEXITY,
            })?;
            encoder.set_inband_fec(wanted.fec)?;
            encoder.set_dtx(wanted.dtx)?;
            encoder.set_packet_loss_perc(i32::from(LOSS_AT_FIRST))?;
            Ok(encoder)
        };
        let encoder = configure().map_err(|error| failed(&error))?;
        Ok(Self { encoder, rate, told: Conditions { loss: LOSS_AT_FIRST, bitrate }, highest_bitrate: bitrate })
    }

    /// Follows what the way of its packets is like: FEC costs bits and time, and is written only where it may be needed.
    pub(crate) fn adapt(&mut self, conditions: Conditions) {
        let loss = if conditions.loss == 0 { 0 } else { conditions.loss.clamp(LEAST_LOSS_FOR_FEC, MOST_LOSS) };
        // libopus refuses only what is no percentage and no bitrate.
        if self.told.loss != loss && self.encoder.set_packet_loss_perc(i32::from(loss)).is_ok() {
            self.told.loss = loss;
        }
        let bitrate = for_rate(conditions.bitrate, self.rate).clamp(LOWEST_BITRATE, self.highest_bitrate);
        if self.told.bitrate != bitrate && self.encoder.set_bitrate(Bitrate::Bits(bitrate)).is_ok() {
            self.told.bitrate = bitrate;
        }
    }

    /// Appends one encoded frame; nothing in a silence that needs no packet.
    pub(crate) fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) -> Result<(), CodecError> {
        // Not in the payload itself, which is kept as long as the call and never holds a tenth of this.
        let mut room = [0; MAX_PAYLOAD];
        let length = self.encoder.encode(samples, &mut room).map_err(|error| failed(&error))?;
        // One or two bytes say "silence goes on" and need not be sent (libopus, `OPUS_SET_DTX`).
        payload.extend_from_slice(room.get(..length).filter(|written| written.len() > 2).unwrap_or_default());
        Ok(())
    }
}

/// A bitrate for narrowband as one for `rate`.
fn for_rate(bitrate: i32, rate: Rate) -> i32 {
    match rate {
        Rate::Narrow => bitrate,
        Rate::Wide => bitrate * WIDE_SHARE.0 / WIDE_SHARE.1,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LONGEST, RATE};
    use super::*;

    fn tone(frequency: f64, frame: usize) -> Vec<i16> {
        (0..160)
            .map(|n| {
                let t = f64::from(u32::try_from(frame * 160 + n).expect("short")) / f64::from(RATE);
                #[allow(clippy::cast_possible_truncation)]
                let sample = ((t * frequency * std::f64::consts::TAU).sin() * 8000.0) as i16;
                sample
            })
            .collect()
    }

    fn with_fec() -> OpusParameters {
        OpusParameters { fec: true, ..OpusParameters::default() }
    }

    fn energy(samples: &[i16]) -> f64 {
        samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / 160.0
    }

    #[test]
    fn a_lost_frame_comes_back_from_the_next_ones_fec() {
        let (mut encoder, mut decoder) = (
            OpusEncoder::new(&with_fec(), Rate::Narrow).expect("libopus"),
            OpusDecoder::new(Rate::Narrow).expect("libopus"),
        );
        let mut samples = [0; LONGEST];
        let frames: Vec<Vec<u8>> = (0..30)
            .map(|n| {
                let mut payload = Vec::new();
                encoder.encode(&tone(300.0, n), &mut payload).expect("encodes");
                payload
            })
            .collect();
        for frame in &frames[..20] {
            assert_eq!(decoder.decode(frame, &mut samples), Ok(160));
        }
        // The second flag of a SILK frame says that FEC is in it (RFC 6716 §4.2.3); without, this would test extrapolation.
        assert_eq!(frames[21][1] & 0x40, 0x40);
        assert_eq!(decoder.conceal(Some(&frames[21]), 160, &mut samples), Ok(160));
        let recovered = energy(&samples[..160]);
        let spoken = energy(&tone(300.0, 20));
        assert!((10.0 * (recovered / spoken).log10()).abs() < 3.0, "{recovered} against {spoken}");
    }

    #[test]
    fn a_packet_says_what_it_lasts() {
        for (samples, millis) in [(80, 10), (160, 20), (320, 40), (480, 60)] {
            let mut encoder = OpusEncoder::new(&with_fec(), Rate::Narrow).expect("libopus");
            let mut payload = Vec::new();
            encoder.encode(&vec![1000; samples], &mut payload).expect("encodes");
            assert_eq!(duration(&payload), Duration::from_millis(millis));
        }
        assert_eq!(duration(&[0b1111_1011, 6]), Duration::from_millis(120));
        assert_eq!(duration(&[]), Duration::ZERO);
    }

    #[test]
    fn hostile_payloads_are_errors_not_crashes() {
        let mut decoder = OpusDecoder::new(Rate::Narrow).expect("libopus");
        let mut samples = [0; LONGEST];
        for length in 0..300_usize {
            let payload: Vec<u8> =
                (0..length).map(|n| u8::try_from((n * 37 + length) % 256).expect("a byte")).collect();
            let _ = decoder.decode(&payload, &mut samples);
        }
    }
}
