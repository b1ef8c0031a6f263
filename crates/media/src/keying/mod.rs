//! Keying of browser legs: ICE-lite finds the peer, DTLS agrees on keys with it, SRTP uses them (RFC 8445, 5764, 3711). Demultiplexes
//! the three by first byte (RFC 7983). Sends nothing itself and knows nothing of SDP.

mod certificate;
mod dtls;
mod hello;
mod ice;
mod peer;
mod srtp;
mod transport;

pub use certificate::{Certificate, CertificateError};
pub use ice::stun_username;
pub use peer::{Fingerprint, FingerprintHash, Peer, Setup};
pub use transport::{Received, SecureTransport};
