//! One direction of a bridge between different codecs, or packet lengths: packet in, decoded, regrouped to the length the peer wants,
//! encoded. Driven by packets; has no clock of its own.

use crate::codec::{CodecError, Conditions, Decoder, LONGEST, LONGEST_WIDE, Rate};
use crate::command::Codec;
use crate::packer::{Packer, Target};

/// Decodes one codec and encodes another, at the best rate that both know.
#[derive(Debug)]
pub(crate) struct Transcoder {
    from: Codec,
    to: Target,
    rate: Rate,
    decoder: Decoder,
    packer: Packer,
    /// What the last packet lasted, in samples: the length of a lost one.
    duration: usize,
}

impl Transcoder {
    pub(crate) fn new(from: Codec, to: Target) -> Result<Self, CodecError> {
        let rate = from.rate().min(to.rate());
        Ok(Self {
            from,
            to,
            rate,
            decoder: Decoder::with_rate(from, rate)?,
            packer: Packer::new(to, rate, from.clock_rate())?,
            duration: rate.hertz() as usize / 50,
        })
    }

    /// Whether it already joins these two.
    pub(crate) fn joins(&self, from: Codec, to: Target) -> bool {
        self.from == from && self.to == to
    }

    /// Whether something waits for the rest of its packet.
    pub(crate) fn is_pending(&self) -> bool {
        self.packer.is_pending()
    }

    /// Begins with another source; what the peer hears goes on.
    pub(crate) fn restart(&mut self) {
        self.packer.clear();
        // Without memory for a new one the old decoder serves; the first frame then sounds odd.
        if let Ok(decoder) = Decoder::with_rate(self.from, self.rate) {
            self.decoder = decoder;
        }
    }

    /// Takes a packet's payload with its timestamp on the source's clock.
    pub(crate) fn packet(&mut self, timestamp: u32, payload: &[u8]) -> Result<(), CodecError> {
        match self.rate {
            Rate::Narrow => self.decode(timestamp, payload, &mut [0; LONGEST]),
            Rate::Wide => self.decode(timestamp, payload, &mut [0; LONGEST_WIDE]),
        }
    }

    /// `room` is as much as a packet can hold at this rate; nothing of it outlives the packet.
    fn decode(&mut self, timestamp: u32, payload: &[u8], room: &mut [i16]) -> Result<(), CodecError> {
        let count = self.decoder.decode(payload, room)?;
        if count > 0 {
            self.duration = count;
        }
        self.packer.push(timestamp, room.get(..count).unwrap_or_default());
        Ok(())
    }

    /// Fills in for a lost packet, which stood right before what comes next.
    pub(crate) fn lost(&mut self, following: Option<&[u8]>) -> Result<(), CodecError> {
        let timestamp = self.packer.back();
        let mut room = [0; LONGEST_WIDE];
        let count = self.decoder.conceal(following, self.duration, &mut room)?;
        self.packer.push(timestamp, room.get(..count).unwrap_or_default());
        Ok(())
    }

    /// What the way of the encoded packets to the peer is like.
    pub(crate) fn adapt(&mut self, conditions: Conditions) {
        self.packer.adapt(conditions);
    }

    /// The next whole packet's payload, with its timestamp on the source's clock.
    pub(crate) fn next_packet(&mut self) -> Option<(u32, &[u8])> {
        self.packer.next_packet()
    }
}
