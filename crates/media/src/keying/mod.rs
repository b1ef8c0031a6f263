//! Keying. Of browser legs: ICE-lite finds the peer, DTLS agrees on keys with it, SRTP uses them (RFC 8445, 5764, 3711), the three told
//! apart by first byte (RFC 7983). Of trunk legs: keys that stand in the SDP (RFC 4568). Sends nothing itself, and of SDP knows the
//! `a=crypto` attribute alone.

mod certificate;
mod dtls;
mod hello;
mod ice;
mod peer;
mod sdes;
mod sdes_srtp;
mod srtp;
mod transport;

pub use certificate::{Certificate, CertificateError};
pub use ice::stun_username;
pub use peer::{Fingerprint, FingerprintHash, Peer, Setup};
pub(crate) use sdes::{CryptoAttribute, SdesKey, Suite, Unusable};
pub(crate) use sdes_srtp::{AgreedKeys, SdesSrtp};
pub use transport::{Received, SecureTransport};
