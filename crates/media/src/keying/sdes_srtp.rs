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
                    Inbound { key: keys.theirs.clone(), opener: Opener::new(keys.theirs.keys(), self.crypto.clone())? }
                }
            };
            self.last = self.inbound.replace(next);
            self.late = 0;
        }
        Ok(())
    }

    pub(crate) fn open_rtp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.open(|opener| opener.open_rtp(packet), true)
    }

    pub(crate) fn open_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.open(|opener| opener.open_rtcp(packet), false)
    }

    fn open(&mut self, open: impl Fn(&mut Opener) -> Option<BytesMut>, is_rtp: bool) -> Option<BytesMut> {
        if let Some(clear) = self.inbound.as_mut().and_then(|inbound| open(&mut inbound.opener)) {
            // A report under the new key may overtake the last audio under the old.
            if is_rtp {
                self.last = None;
            }
            return Some(clear);
        }
        let clear = self.last.as_mut().and_then(|last| open(&mut last.opener))?;
        self.late += 1;
        if self.late >= MAX_LATE {
            self.last = None;
        }
        Some(clear)
    }

    pub(crate) fn seal_rtp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.outbound.last_mut()?.1.seal_rtp(packet)
    }

    pub(crate) fn seal_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.outbound.last_mut()?.1.seal_rtcp(packet)
    }
}
