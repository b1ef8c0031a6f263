//! SRTP and SRTCP of one leg (RFC 3711, RFC 7714), keyed by DTLS (RFC 5764). A packet that does not authenticate changes nothing.

use bytes::BytesMut;
use rtc_dtls::crypto_provider::RTCCrypto;
use rtc_srtp::config::Config;
use rtc_srtp::context::Context;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;
use smallvec::SmallVec;

/// 20 seconds of packets may arrive in any order; more is an attack.
const REPLAY_WINDOW: usize = 1024;
/// The library keeps state per SSRC before it knows a packet to be genuine, so their number is bounded here. A browser's audio
/// leg has one SSRC at a time.
const MAX_SSRCS: usize = 16;

/// The contexts of both directions.
pub(super) struct Srtp {
    inbound: Context,
    outbound: Context,
    ssrcs: SmallVec<[u32; 2]>,
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
        crypto: &dyn RTCCrypto,
    ) -> Result<Self, String> {
        let mut config = Config { profile, ..Config::default() };
        config.set_session_keys_from_keying_material(material, is_client).map_err(|error| error.to_string())?;
        let keys = &config.keys;
        let inbound = Context::new(
            &keys.remote_master_key,
            &keys.remote_master_salt,
            profile,
            Some(srtp_replay_protection(REPLAY_WINDOW)),
            Some(srtcp_replay_protection(REPLAY_WINDOW)),
            crypto,
        );
        let outbound = Context::new(&keys.local_master_key, &keys.local_master_salt, profile, None, None, crypto);
        Ok(Self {
            inbound: inbound.map_err(|error| error.to_string())?,
            outbound: outbound.map_err(|error| error.to_string())?,
            ssrcs: SmallVec::new(),
        })
    }

    pub(super) fn open_rtp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        let ssrc = u32::from_be_bytes(packet.get(8..12)?.try_into().ok()?);
        self.admit(ssrc).then(|| self.inbound.decrypt_rtp(packet).ok())?
    }

    pub(super) fn open_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        let ssrc = u32::from_be_bytes(packet.get(4..8)?.try_into().ok()?);
        self.admit(ssrc).then(|| self.inbound.decrypt_rtcp(packet).ok())?
    }

    pub(super) fn seal_rtp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.outbound.encrypt_rtp(packet).ok()
    }

    pub(super) fn seal_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.outbound.encrypt_rtcp(packet).ok()
    }

    fn admit(&mut self, ssrc: u32) -> bool {
        if self.ssrcs.contains(&ssrc) {
            return true;
        }
        if self.ssrcs.len() >= MAX_SSRCS {
            return false;
        }
        self.ssrcs.push(ssrc);
        true
    }
}
