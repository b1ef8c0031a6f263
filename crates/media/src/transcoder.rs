//! One direction of a bridge between different codecs: packet in, decoded, regrouped to the length the peer wants, encoded. Driven by
//! packets; has no clock of its own.

use crate::codec::OpusParameters;
use crate::codec::{CodecError, Conditions, Decoder, Encoder, LONGEST, RATE};
use crate::command::Codec;
use crate::sdp::Negotiated;

/// Samples of 20 ms.
const FRAME: usize = 160;
/// The longest packet sent, 60 ms: what Opus has as one frame.
const LONGEST_FRAME: usize = 480;

/// What a peer wants to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) codec: Codec,
    pub(crate) opus: OpusParameters,
    /// Samples of a packet.
    frame: usize,
}

impl Target {
    /// Reads it off what was agreed on. A packet length the codec cannot make becomes the next shorter one.
    pub(crate) fn new(negotiated: &Negotiated) -> Self {
        let tens = usize::try_from(negotiated.ptime.as_millis() / 10).unwrap_or(2);
        let frame = match (negotiated.codec, tens) {
            (_, 0 | 1) => FRAME / 2,
            // Opus has frames of 10, 20, 40 and 60 ms (RFC 6716 §2.1.4).
            (Codec::Opus, 2 | 3) => FRAME,
            (Codec::Opus, 4 | 5) => FRAME * 2,
            (Codec::Opus, _) => LONGEST_FRAME,
            (Codec::Pcmu | Codec::Pcma, tens) => (tens * FRAME / 2).min(LONGEST_FRAME),
        };
        Self { codec: negotiated.codec, opus: negotiated.opus, frame }
    }
}

/// Decodes one codec and encodes another.
#[derive(Debug)]
pub(crate) struct Transcoder {
    from: Codec,
    to: Target,
    decoder: Decoder,
    encoder: Encoder,
    /// What the last packet lasted, in samples: the length of a lost one.
    duration: usize,
    decoded: Box<[i16; LONGEST]>,
    /// Samples not yet sent; its front belongs to `front` on the source's clock.
    pending: Vec<i16>,
    taken: usize,
    front: u32,
    payload: Vec<u8>,
}

impl Transcoder {
    pub(crate) fn new(from: Codec, to: Target) -> Result<Self, CodecError> {
        Ok(Self {
            from,
            to,
            decoder: Decoder::new(from)?,
            encoder: Encoder::new(to.codec, &to.opus)?,
            duration: FRAME,
            decoded: Box::new([0; LONGEST]),
            pending: Vec::with_capacity(LONGEST + FRAME),
            taken: 0,
            front: 0,
            payload: Vec::with_capacity(1300),
        })
    }

    /// Whether it already joins these two.
    pub(crate) fn joins(&self, from: Codec, to: Target) -> bool {
        self.from == from && self.to == to
    }

    /// Begins with another source; what the peer hears goes on.
    pub(crate) fn restart(&mut self) {
        self.pending.clear();
        self.taken = 0;
        // Without memory for a new one the old decoder serves; the first frame then sounds odd.
        if let Ok(decoder) = Decoder::new(self.from) {
            self.decoder = decoder;
        }
    }

    /// Takes a packet's payload with its timestamp on the source's clock.
    pub(crate) fn packet(&mut self, timestamp: u32, payload: &[u8]) -> Result<(), CodecError> {
        let count = self.decoder.decode(payload, &mut *self.decoded)?;
        if count > 0 {
            self.duration = count;
        }
        self.append(timestamp, count);
        Ok(())
    }

    /// Fills in for a lost packet, which stood right before what comes next.
    pub(crate) fn lost(&mut self, following: Option<&[u8]>) -> Result<(), CodecError> {
        let timestamp = self.back();
        let count = self.decoder.conceal(following, self.duration, &mut *self.decoded)?;
        self.append(timestamp, count);
        Ok(())
    }

    /// What the way of the encoded packets to the peer is like.
    pub(crate) fn adapt(&mut self, conditions: Conditions) {
        self.encoder.adapt(conditions);
    }

    /// The next whole frame, encoded, with its timestamp on the source's clock.
    pub(crate) fn next_frame(&mut self) -> Option<(u32, &[u8])> {
        loop {
            let frame = self.to.frame;
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

    fn append(&mut self, timestamp: u32, count: usize) {
        // A jump (silence suppression, a new talk spurt) ends the frame begun: its rest would be out of place.
        if self.pending.is_empty() || timestamp != self.back() {
            self.pending.clear();
            self.taken = 0;
            self.front = timestamp;
        }
        self.pending.extend_from_slice(self.decoded.get(..count).unwrap_or_default());
    }

    /// The source's timestamp right behind what is pending.
    fn back(&self) -> u32 {
        self.front.wrapping_add(self.units(self.pending.len() - self.taken))
    }

    fn units(&self, samples: usize) -> u32 {
        u32::try_from(samples).unwrap_or_default() * (self.from.clock_rate() / RATE)
    }
}
