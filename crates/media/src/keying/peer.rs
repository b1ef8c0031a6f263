//! What a peer's SDP says about keying (RFC 8839, RFC 8122, RFC 5763). Values; the transport acts on them.

use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

/// A hash that may name a certificate (RFC 8122 §5); weaker ones are not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FingerprintHash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// The fingerprint an SDP named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// By which hash.
    pub hash: FingerprintHash,
    /// Its bytes.
    pub value: Vec<u8>,
}

impl Fingerprint {
    pub(super) fn matches(&self, certificate: &[u8]) -> bool {
        let digest = match self.hash {
            FingerprintHash::Sha256 => Sha256::digest(certificate).to_vec(),
            FingerprintHash::Sha384 => Sha384::digest(certificate).to_vec(),
            FingerprintHash::Sha512 => Sha512::digest(certificate).to_vec(),
        };
        bool::from(digest.ct_eq(&self.value))
    }
}

/// The peer's DTLS role (RFC 4145, RFC 5763 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// It sends the ClientHello.
    Active,
    /// It waits for ours.
    Passive,
    /// It takes whatever we answer (offers only); we answer passive.
    ActPass,
}

/// What the peer's SDP says about keying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`; a lite agent sends no checks and so has no use for it.
    pub pwd: String,
    /// `a=fingerprint`.
    pub fingerprint: Fingerprint,
    /// `a=setup`.
    pub setup: Setup,
}
