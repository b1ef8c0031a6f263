//! SRTP of one trunk leg with the keys of its SDP (RFC 4568 §7.1.4): contexts that outlive offers and answers as long as their key does, so
//! that rollover counters and replay windows go on through a hold. Knows nothing of addresses.

use std::fmt;
use std::sync::Arc;

use bytes::BytesMut;
use rtc_dtls::crypto_provider::RTCCryptoProvider;
use smallvec::SmallVec;

use super::sdes::SdesKey;
use super::srtp::{Opener, Sealer};

/// Packets that may come under the peer's last key after a new one was agreed on: it goes over to that once it knows of it, a round trip
/// later. These are five seconds of speech.
const MAX_LATE: u32 = 250;

/// What both sides protect with, as agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgreedKeys {
    /// What we send with.
    pub(crate) ours: SdesKey,
    /// What the peer sends with.
    pub(crate) theirs: SdesKey,
}

/// One key of the peer's, and what it opens.
struct Inbound {
    key: SdesKey,
    opener: Opener,
    /// For a peer whose rollover counters outlived the key before, until one of the two has opened a packet: some reset them.
    continued: Option<Opener>,
}

impl Inbound {
    fn open_rtp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        if let Some(clear) = self.opener.open_rtp(packet) {
            self.continued = None;
            return Some(clear);
        }
        let clear = self.continued.as_mut()?.open_rtp(packet)?;
        if let Some(continued) = self.continued.take() {
            self.opener = continued;
        }
        Some(clear)
    }
}

/// See the head of this module.
pub(crate) struct SdesSrtp {
    crypto: Arc<dyn RTCCryptoProvider>,
    inbound: Option<Inbound>,
    /// The key before, until the first packet of the present one.
    last: Option<Inbound>,
    late: u32,
    /// Of every key of ours that was in use, the present one last: one a suite at most. A key that comes back goes on where it was.
    outbound: SmallVec<[(SdesKey, Sealer); 1]>,
}

impl fmt::Debug for SdesSrtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SdesSrtp")
    }
}

impl SdesSrtp {
    pub(crate) fn new(crypto: Arc<dyn RTCCryptoProvider>) -> Self {
        Self { crypto, inbound: None, last: None, late: 0, outbound: SmallVec::new() }
    }

    /// Goes over to what was agreed on; keys that are in use already keep their state.
    ///
    /// # Errors
    /// When the cryptographic library refuses.
    pub(crate) fn agree(&mut self, keys: &AgreedKeys) -> Result<(), String> {
        if self.outbound.last().is_none_or(|(key, _)| *key != keys.ours) {
            let known = self.outbound.iter().position(|(key, _)| *key == keys.ours);
            let context = match known {
                Some(at) => self.outbound.remove(at),
                None => (keys.ours.clone(), Sealer::new(&keys.ours.keys(), &self.crypto)?),
            };
            self.outbound.push(context);
        }
        if self.inbound.as_ref().is_none_or(|inbound| inbound.key != keys.theirs) {
            let known = self.last.take().filter(|last| last.key == keys.theirs);
            let next = match known {
                Some(known) => known,
                None => {
                    let theirs = keys.theirs.keys();
                    let continued = self.inbound.as_ref().and_then(|before| before.opener.continued(&theirs));
                    let opener = Opener::new(theirs, self.crypto.clone())?;
                    Inbound { key: keys.theirs.clone(), opener, continued }
                }
            };
            self.last = self.inbound.replace(next);
            self.late = 0;
        }
        Ok(())
    }

    pub(crate) fn open_rtp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        if let Some(clear) = self.inbound.as_mut().and_then(|inbound| inbound.open_rtp(packet)) {
            self.last = None;
            return Some(clear);
        }
        let clear = self.last.as_mut().and_then(|last| last.open_rtp(packet))?;
        self.note_late();
        Some(clear)
    }

    pub(crate) fn open_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        // A report under the new key may overtake the last audio under the old.
        if let Some(clear) = self.inbound.as_mut().and_then(|inbound| inbound.opener.open_rtcp(packet)) {
            return Some(clear);
        }
        let clear = self.last.as_mut().and_then(|last| last.opener.open_rtcp(packet))?;
        self.note_late();
        Some(clear)
    }

    fn note_late(&mut self) {
        self.late += 1;
        if self.late >= MAX_LATE {
            self.last = None;
        }
    }

    pub(crate) fn seal_rtp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.outbound.last_mut()?.1.seal_rtp(packet)
    }

    pub(crate) fn seal_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.outbound.last_mut()?.1.seal_rtcp(packet)
    }
}
