//! Sound grouped to the packet length a peer wants, and encoded. Driven by what is put in; has no clock of its own.

use std::time::Duration;

use crate::codec::{CodecError, Conditions, Encoder, OpusParameters, RATE, Rate, opus_duration};
use crate::command::Codec;
use crate::sdp::Negotiated;

/// Samples of 10 ms at 8 kHz, and of 20.
const TEN: usize = 80;
const FRAME: usize = 160;
/// Room for what Opus makes of 20 ms, in octets: 65 of narrowband, 80 of wideband.
const USUAL_OPUS: usize = 160;
/// The longest packet sent, 60 ms: what Opus has as one frame.
const LONGEST_FRAME: usize = 480;

/// What a peer wants to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) codec: Codec,
    pub(crate) opus: OpusParameters,
    /// What a packet lasts, in samples of 8 kHz: the octets of one as well, in G.711 and G.722.
    frame: usize,
    /// Packets go as they came: on a link.
    is_link: bool,
    /// The most that one may last, where the peer says.
    longest: Option<Duration>,
}

impl Target {
    /// Reads it off what was agreed on. A packet length the codec cannot make becomes the next shorter one.
    pub(crate) fn new(negotiated: &Negotiated) -> Self {
        let longest = negotiated.packets.and_then(|packets| packets.longest);
        let wanted = negotiated.packets.map_or(Duration::from_millis(20), |packets| packets.wanted);
        let wanted = longest.map_or(wanted, |longest| wanted.min(longest));
        let tens = usize::try_from(wanted.as_millis() / 10).unwrap_or(2);
        let frame = match (negotiated.codec, tens) {
            (_, 0 | 1) => TEN,
            // Opus has frames of 10, 20, 40 and 60 ms (RFC 6716 §2.1.4).
            (Codec::Opus, 2 | 3) => FRAME,
            (Codec::Opus, 4 | 5) => FRAME * 2,
            (Codec::Opus, _) => LONGEST_FRAME,
            (Codec::Pcmu | Codec::Pcma | Codec::G722, tens) => (tens * TEN).min(LONGEST_FRAME),
        };
        Self { codec: negotiated.codec, opus: negotiated.opus, frame, is_link: negotiated.packets.is_none(), longest }
    }

    /// The best of sound that is worth making.
    pub(crate) fn rate(self) -> Rate {
        let plays = self.opus.max_playback_rate.is_none_or(|rate| rate >= Rate::Wide.hertz());
        match self.codec {
            Codec::Opus if !plays => Rate::Narrow,
            Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::G722 => self.codec.rate(),
        }
    }

    /// What a packet lasts.
    pub(crate) fn duration(self) -> Duration {
        Duration::from_micros(self.frame as u64 * 1_000_000 / u64::from(RATE))
    }

    /// Whether a payload can go to the peer as it came: in its codec, and as long as it wants. An Opus packet says how long it is, and
    /// every receiver takes any up to what it named as the most (RFC 7587 §6.1), so that none is taken apart for less.
    pub(crate) fn takes(self, codec: Codec, payload: &[u8]) -> bool {
        let fits = match codec {
            Codec::Opus => self.longest.is_none_or(|longest| opus_duration(payload) <= longest),
            Codec::Pcmu | Codec::Pcma | Codec::G722 => payload.len() == self.frame,
        };
        codec == self.codec && (fits || self.is_link)
    }
}

/// Makes packets of sound.
#[derive(Debug)]
pub(crate) struct Packer {
    to: Target,
    rate: Rate,
    /// Of the timestamps taken and given, in Hz.
    clock_rate: u32,
    encoder: Encoder,
    /// Samples not yet sent; the first of them not `taken` belongs to `front`.
    pending: Vec<i16>,
    taken: usize,
    front: u32,
    payload: Vec<u8>,
}

impl Packer {
    /// Takes sound of `rate`, placed by timestamps of `clock_rate` Hz.
    pub(crate) fn new(to: Target, rate: Rate, clock_rate: u32) -> Result<Self, CodecError> {
        Ok(Self {
            to,
            rate,
            clock_rate,
            encoder: Encoder::with_rate(to.codec, &to.opus, rate)?,
            pending: Vec::with_capacity(2 * to.frame * (rate.hertz() / RATE) as usize),
            taken: 0,
            front: 0,
            payload: Vec::with_capacity(if to.codec == Codec::Opus { USUAL_OPUS } else { to.frame }),
        })
    }

    /// Whether it makes these packets of such sound.
    pub(crate) fn makes(&self, to: Target, rate: Rate) -> bool {
        self.to == to && self.rate == rate
    }

    /// Whether something waits for the rest of its packet.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.len() > self.taken
    }

    /// What the way of its packets to the peer is like.
    pub(crate) fn adapt(&mut self, conditions: Conditions) {
        self.encoder.adapt(conditions);
    }

    /// Forgets what waits: something else begins.
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
        self.taken = 0;
    }

    /// Takes sound. A jump (silence suppression, a new talk spurt) ends the packet begun: its rest would be out of place.
    pub(crate) fn push(&mut self, timestamp: u32, samples: &[i16]) {
        if !self.is_pending() || timestamp != self.back() {
            self.clear();
            self.front = timestamp;
        }
        self.pending.extend_from_slice(samples);
    }

    /// The timestamp right behind what is pending.
    pub(crate) fn back(&self) -> u32 {
        self.front.wrapping_add(self.units(self.pending.len() - self.taken))
    }

    /// The next whole packet's payload, with its timestamp.
    pub(crate) fn next_packet(&mut self) -> Option<(u32, &[u8])> {
        loop {
            let frame = self.to.frame * (self.rate.hertz() / RATE) as usize;
            let Some(samples) = self.pending.get(self.taken..self.taken + frame) else {
                self.pending.drain(..self.taken.min(self.pending.len()));
                self.taken = 0;
                return None;
            };
            self.payload.clear();
            let encoded = self.encoder.encode(samples, &mut self.payload);
            let timestamp = self.front;
            self.taken += frame;
            self.front = self.front.wrapping_add(self.units(frame));
            // libopus refuses only what is no frame, which these lengths are; in silence, a peer that asked for DTX gets nothing.
            if encoded.is_ok() && !self.payload.is_empty() {
                return Some((timestamp, &self.payload));
            }
        }
    }

    /// Samples in units of the timestamps, of which G.722 has fewer than samples.
    fn units(&self, samples: usize) -> u32 {
        let units = samples as u64 * u64::from(self.clock_rate) / u64::from(self.rate.hertz());
        u32::try_from(units).unwrap_or_default()
    }
}
