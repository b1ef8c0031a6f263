//! Media, sans-IO: SDP, RTP, codecs, ICE-lite, DTLS-SRTP and the bridges between legs.

mod codec;
mod command;
mod dtmf;
mod event;
pub mod fuzz;
mod halfband;
mod keying;
mod leg;
mod link;
mod milestone;
mod mix;
mod music;
mod noise;
mod packer;
mod rtcp;
mod rtp;
mod sdp;
mod shard;
mod tone;
mod transcoder;

pub use command::{
    Bandwidth, Codec, Command, Dtmf, Encryption, Keying, LinkEnd, LocalPort, MediaSessionId, MixId, PortRequest,
    SdesPolicy, SocketId,
};
pub use event::{Event, Hears, Hold, MediaState, Statistics};
pub use keying::{
    Certificate, CertificateError, Fingerprint, FingerprintHash, Peer, Received, SecureTransport, Setup, stun_username,
};
pub use link::{LinkContent, LinkTransmit, Standing};
pub use milestone::Milestone;
pub use music::{Music, MusicError};
pub use sdp::refuses_encryption;
pub use shard::{Shard, ShardConfig, ShardCounters, Transmit};
