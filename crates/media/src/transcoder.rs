//! One direction of a bridge between different codecs: packet in, decoded, regrouped to frames of 20 ms, encoded. Driven by
//! packets; has no clock of its own.

use crate::codec::{CodecError, Decoder, Encoder, LONGEST, RATE};
use crate::command::Codec;

/// Samples of the 20 ms frames that are sent.
pub(crate) const FRAME: usize = 160;

/// Decodes one codec and encodes another.
#[derive(Debug)]
pub(crate) struct Transcoder {
    from: Codec,
    to: Codec,
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
    pub(crate) fn new(from: Codec, to: Codec) -> Result<Self, CodecError> {
        Ok(Self {
            from,
            to,
            decoder: Decoder::new(from)?,
            encoder: Encoder::new(to)?,
            duration: FRAME,
            decoded: Box::new([0; LONGEST]),
            pending: Vec::with_capacity(LONGEST + FRAME),
            taken: 0,
            front: 0,
            payload: Vec::with_capacity(1300),
        })
    }

    /// Whether it already joins these two.
    pub(crate) fn joins(&self, from: Codec, to: Codec) -> bool {
        self.from == from && self.to == to
    }

    /// Takes a packet's payload with its timestamp on the source's clock.
    pub(crate) fn packet(&mut self, timestamp: u32, payload: &[u8]) -> Result<(), CodecError> {
        let count = self.decoder.decode(payload, &mut self.decoded)?;
        if count > 0 {
            self.duration = count;
        }
        self.append(timestamp, count);
        Ok(())
    }

    /// Fills in for a lost packet, which stood right before what comes next.
    pub(crate) fn lost(&mut self, following: Option<&[u8]>) -> Result<(), CodecError> {
        let timestamp = self.back();
        let count = self.decoder.conceal(following, self.duration, &mut self.decoded)?;
        self.append(timestamp, count);
        Ok(())
    }

    /// The next whole frame, encoded, with its timestamp on the source's clock.
    pub(crate) fn next_frame(&mut self) -> Option<(u32, &[u8])> {
        loop {
            let Some(samples) = self.pending.get(self.taken..self.taken + FRAME) else {
                self.pending.drain(..self.taken.min(self.pending.len()));
                self.taken = 0;
                return None;
            };
            self.payload.clear();
            let encoded = self.encoder.encode(samples, &mut self.payload);
            let timestamp = self.front;
            self.taken += FRAME;
            self.front = self.front.wrapping_add(self.units(FRAME));
            // libopus refuses only what is no frame; 20 ms always is one.
            if encoded.is_ok() {
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
