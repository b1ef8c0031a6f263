//! SRTP and SRTCP of one leg (RFC 3711, RFC 7714), keyed by DTLS (RFC 5764). A packet that does not authenticate changes nothing.

use std::sync::Arc;

use bytes::BytesMut;
use rtc_dtls::crypto_provider::RTCCryptoProvider;
use rtc_srtp::config::Config;
use rtc_srtp::context::Context;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;
use smallvec::SmallVec;

/// 20 seconds of packets may arrive in any order; more is an attack.
const REPLAY_WINDOW: usize = 1024;
/// Genuine SSRCs of a peer. A browser's audio leg has one at a time, and a new one for each microphone at most.
const MAX_SSRCS: usize = 64;
/// Packets of unknown SSRCs tried before the state they left behind is thrown away.
const MAX_STRANGERS: usize = 64;

/// The contexts of both directions.
///
/// The library keeps state per SSRC before it knows a packet to be genuine. So an SSRC shows itself genuine in a context of its own,
/// thrown away from time to time: forged ones neither fill the memory nor the places of genuine ones.
pub(super) struct Srtp {
    inbound: Context,
    outbound: Context,
    probation: Context,
    strangers: usize,
    ssrcs: SmallVec<[u32; 2]>,
    keys: Inbound,
}

/// What a context for the peer's packets is made of.
struct Inbound {
    profile: ProtectionProfile,
    key: Vec<u8>,
    salt: Vec<u8>,
    crypto: Arc<dyn RTCCryptoProvider>,
}

impl Inbound {
    fn context(&self) -> Result<Context, String> {
        let rtp = Some(srtp_replay_protection(REPLAY_WINDOW));
        let rtcp = Some(srtcp_replay_protection(REPLAY_WINDOW));
        Context::new(&self.key, &self.salt, self.profile, rtp, rtcp, self.crypto.crypto())
            .map_err(|error| error.to_string())
    }
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
        let local = &config.keys;
        let outbound =
            Context::new(&local.local_master_key, &local.local_master_salt, profile, None, None, crypto.crypto())
                .map_err(|error| error.to_string())?;
        let (key, salt) = (config.keys.remote_master_key.to_vec(), config.keys.remote_master_salt.to_vec());
        let keys = Inbound { profile, key, salt, crypto };
        let (inbound, probation) = (keys.context()?, keys.context()?);
        Ok(Self { inbound, outbound, probation, strangers: 0, ssrcs: SmallVec::new(), keys })
    }

    pub(super) fn open_rtp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        let ssrc = u32::from_be_bytes(packet.get(8..12)?.try_into().ok()?);
        self.open(ssrc, |context| context.decrypt_rtp(packet).ok())
    }

    pub(super) fn open_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        let ssrc = u32::from_be_bytes(packet.get(4..8)?.try_into().ok()?);
        self.open(ssrc, |context| context.decrypt_rtcp(packet).ok())
    }

    fn open(&mut self, ssrc: u32, open: impl Fn(&mut Context) -> Option<BytesMut>) -> Option<BytesMut> {
        if !self.ssrcs.contains(&ssrc) {
            if self.ssrcs.len() >= MAX_SSRCS {
                return None;
            }
            if self.strangers >= MAX_STRANGERS {
                self.probation = self.keys.context().ok()?;
                self.strangers = 0;
            }
            self.strangers += 1;
            open(&mut self.probation)?;
            self.ssrcs.push(ssrc);
        }
        // The first packet of an SSRC is opened twice, so that its replay is known as one.
        open(&mut self.inbound)
    }

    pub(super) fn seal_rtp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.outbound.encrypt_rtp(packet).ok()
    }

    pub(super) fn seal_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.outbound.encrypt_rtcp(packet).ok()
    }
}
