//! SRTP and SRTCP of one leg (RFC 3711, RFC 7714), keyed by DTLS (RFC 5764). A packet that does not authenticate changes nothing.

use std::sync::Arc;

use bytes::BytesMut;
use rtc_dtls::crypto_provider::RTCCryptoProvider;
use rtc_srtp::config::Config;
use rtc_srtp::context::Context;
use rtc_srtp::option::{ContextOption, srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;
use smallvec::SmallVec;

/// 20 seconds of packets may arrive in any order; more is an attack.
const REPLAY_WINDOW: usize = 1024;
/// Genuine SSRCs of a peer. A browser's audio leg has one at a time, and a new one for each microphone at most.
const MAX_SSRCS: usize = 64;
/// Packets of unknown SSRCs tried before the state they left behind is thrown away.
const MAX_STRANGERS: usize = 64;

/// Sources led on to another key: a peer sends with one, and may have had another before.
const MAX_CONTINUED: usize = 4;
/// A day of speech rolls over 66 times.
const MAX_ROLLOVERS: u64 = 128;

/// A master key and salt, and what they are for.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) profile: ProtectionProfile,
    pub(super) key: Vec<u8>,
    pub(super) salt: Vec<u8>,
}

impl Keys {
    fn context(
        &self,
        crypto: &Arc<dyn RTCCryptoProvider>,
        rtp: Option<ContextOption>,
        rtcp: Option<ContextOption>,
    ) -> Result<Context, String> {
        Context::new(&self.key, &self.salt, self.profile, rtp, rtcp, crypto.crypto()).map_err(|error| error.to_string())
    }

    /// Where the word with the index of an SRTCP packet begins, counted from its end (RFC 3711 §3.4, RFC 7714 §9.2).
    fn rtcp_index_from_end(&self) -> usize {
        4 + self.profile.rtcp_auth_tag_len()
    }
}

/// Opens what a peer protects with one key.
///
/// The library keeps state per SSRC before it knows a packet to be genuine. So an SSRC shows itself genuine in a context of its own,
/// thrown away from time to time: forged ones neither fill the memory nor the places of genuine ones.
pub(super) struct Opener {
    context: Context,
    probation: Context,
    strangers: usize,
    sources: SmallVec<[Source; 2]>,
    keys: Keys,
    crypto: Arc<dyn RTCCryptoProvider>,
}

/// A source that has shown itself genuine.
#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: u32,
    /// The highest index of its RTP (RFC 3711 §3.3.1): how often its numbers rolled over, then the number.
    index: Option<u64>,
}

impl Source {
    fn advance(&mut self, sequence: u16) {
        let index = self.index.unwrap_or(u64::from(sequence));
        let behind = u16::try_from(index & 0xffff).unwrap_or(0);
        let step = sequence.wrapping_sub(behind).cast_signed();
        self.index = Some(index.saturating_add_signed(i64::from(step)).max(index));
    }
}

impl Opener {
    pub(super) fn new(keys: Keys, crypto: Arc<dyn RTCCryptoProvider>) -> Result<Self, String> {
        let (context, probation) = (Self::context(&keys, &crypto)?, Self::context(&keys, &crypto)?);
        Ok(Self { context, probation, strangers: 0, sources: SmallVec::new(), keys, crypto })
    }

    fn context(keys: &Keys, crypto: &Arc<dyn RTCCryptoProvider>) -> Result<Context, String> {
        let rtp = Some(srtp_replay_protection(REPLAY_WINDOW));
        keys.context(crypto, rtp, Some(srtcp_replay_protection(REPLAY_WINDOW)))
    }

    pub(super) fn open_rtp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        let ssrc = u32::from_be_bytes(packet.get(8..12)?.try_into().ok()?);
        let sequence = u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?);
        let clear = self.open(ssrc, |context| context.decrypt_rtp(packet).ok())?;
        if let Some(source) = self.sources.iter_mut().find(|source| source.ssrc == ssrc) {
            source.advance(sequence);
        }
        Some(clear)
    }

    /// One for another key of a peer that counts its rollovers on under it, as RFC 3711 §3.3.1 wants; `None` when none of its sources has
    /// rolled over yet, and it makes no difference.
    pub(super) fn continued(&self, keys: &Keys) -> Option<Self> {
        let rolled = self.sources.iter().filter(|source| source.index.is_some_and(|index| index >> 16 != 0));
        let mut rolled = rolled.take(MAX_CONTINUED).peekable();
        rolled.peek()?;
        let mut next = Self::new(keys.clone(), self.crypto.clone()).ok()?;
        let mut sealer = Sealer::new(keys, &self.crypto).ok()?;
        for source in rolled {
            // The library counts for itself only: it is led there by packets of our own, a third of the numbers at a time.
            let target = source.index.unwrap_or(0).min(MAX_ROLLOVERS << 16);
            let mut at = 0;
            loop {
                let mut packet = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                packet[2..4].copy_from_slice(&u16::try_from(at & 0xffff).unwrap_or(0).to_be_bytes());
                packet[8..].copy_from_slice(&source.ssrc.to_be_bytes());
                next.context.decrypt_rtp(&sealer.seal_rtp(&packet)?).ok()?;
                if at == target {
                    break;
                }
                at = (at + 0x5555).min(target);
            }
            next.sources.push(*source);
        }
        Some(next)
    }

    pub(super) fn open_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        let ssrc = u32::from_be_bytes(packet.get(4..8)?.try_into().ok()?);
        // The library takes SRTCP whose E bit is clear for genuine without a look at its tag. Nobody has agreed to have RTCP in the
        // clear (RFC 4568 §6.3.2), so that whoever sends such is not our peer.
        let index = packet.len().checked_sub(self.keys.rtcp_index_from_end())?;
        if packet.get(index)? & 0x80 == 0 {
            return None;
        }
        self.open(ssrc, |context| context.decrypt_rtcp(packet).ok())
    }

    fn open(&mut self, ssrc: u32, open: impl Fn(&mut Context) -> Option<BytesMut>) -> Option<BytesMut> {
        if !self.sources.iter().any(|source| source.ssrc == ssrc) {
            if self.sources.len() >= MAX_SSRCS {
                return None;
            }
            if self.strangers >= MAX_STRANGERS {
                self.probation = Self::context(&self.keys, &self.crypto).ok()?;
                self.strangers = 0;
            }
            self.strangers += 1;
            open(&mut self.probation)?;
            self.sources.push(Source { ssrc, index: None });
        }
        // The first packet of an SSRC is opened twice, so that its replay is known as one.
        open(&mut self.context)
    }
}

/// Protects what we send with one key.
pub(super) struct Sealer(Context);

impl Sealer {
    pub(super) fn new(keys: &Keys, crypto: &Arc<dyn RTCCryptoProvider>) -> Result<Self, String> {
        Ok(Self(keys.context(crypto, None, None)?))
    }

    pub(super) fn seal_rtp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.0.encrypt_rtp(packet).ok()
    }

    pub(super) fn seal_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.0.encrypt_rtcp(packet).ok()
    }
}

/// Both directions of a leg keyed by DTLS.
pub(super) struct Srtp {
    pub(super) inbound: Opener,
    pub(super) outbound: Sealer,
}

impl std::fmt::Debug for Srtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Srtp")
    }
}

impl Srtp {
    /// Takes the exported keying material apart (RFC 5764 §4.2).
    pub(super) fn new(
        profile: ProtectionProfile,
        material: &[u8],
        is_client: bool,
        crypto: Arc<dyn RTCCryptoProvider>,
    ) -> Result<Self, String> {
        let mut config = Config { profile, ..Config::default() };
        config.set_session_keys_from_keying_material(material, is_client).map_err(|error| error.to_string())?;
        let keys = |key: &[u8], salt: &[u8]| Keys { profile, key: key.to_vec(), salt: salt.to_vec() };
        let (ours, theirs) = (
            keys(&config.keys.local_master_key, &config.keys.local_master_salt),
            keys(&config.keys.remote_master_key, &config.keys.remote_master_salt),
        );
        Ok(Self { outbound: Sealer::new(&ours, &crypto)?, inbound: Opener::new(theirs, crypto)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILES: [ProtectionProfile; 4] = [
        ProtectionProfile::Aes128CmHmacSha1_80,
        ProtectionProfile::Aes128CmHmacSha1_32,
        ProtectionProfile::AeadAes128Gcm,
        ProtectionProfile::AeadAes256Gcm,
    ];
    /// An empty receiver report of SSRC 7.
    const REPORT: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 7];

    fn pair(profile: ProtectionProfile) -> (Sealer, Opener) {
        let keys = Keys { profile, key: vec![5; profile.key_len()], salt: vec![6; profile.salt_len()] };
        let crypto = rtc_dtls::crypto_provider::default_provider().expect("a provider");
        (Sealer::new(&keys, &crypto).expect("keys"), Opener::new(keys, crypto).expect("keys"))
    }

    #[test]
    fn srtcp_in_the_clear_is_not_believed_and_keeps_no_genuine_report_out() {
        for profile in PROFILES {
            let (mut peer, mut ours) = pair(profile);
            let genuine = peer.seal_rtcp(&REPORT).expect("sealed");
            assert_eq!(ours.open_rtcp(&genuine).as_deref(), Some(&REPORT[..]));
            // With any tag, and an index that would push what comes next out of the replay window.
            let tail = genuine.len() - REPORT.len();
            let mut forged = REPORT.to_vec();
            forged.resize(REPORT.len() + tail, 0);
            let index = forged.len() - 4 - profile.rtcp_auth_tag_len();
            forged[index..index + 4].copy_from_slice(&0x0000_ffff_u32.to_be_bytes());
            assert_eq!(ours.open_rtcp(&forged), None, "{profile:?}");
            assert!(ours.open_rtcp(&peer.seal_rtcp(&REPORT).expect("sealed")).is_some(), "{profile:?}");
        }
    }

    #[test]
    fn the_tags_of_each_suite_are_as_long_as_it_says() {
        // RFC 4568 §6.2: of the _32 suite only SRTP's tag is shorter, SRTCP's has 80 bits.
        let lengths = PROFILES.map(|profile| {
            let (mut peer, _) = pair(profile);
            let rtp = peer.seal_rtp(&[0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 9]).expect("sealed").len() - 13;
            (rtp, peer.seal_rtcp(&REPORT).expect("sealed").len() - REPORT.len() - 4)
        });
        assert_eq!(lengths, [(10, 10), (4, 10), (16, 16), (16, 16)]);
    }
}
