//! SDP offer/answer (RFC 8866, RFC 3264) for the one audio stream of a leg, with what browsers (RFC 8829, 8839, 8842, 7587) and trunks
//! put into it. Makes descriptions and reads them; keeps no state between the two.

mod crypto;
mod negotiate;
mod read;
mod remote;
mod settled;
mod write;

use std::net::SocketAddr;
use std::time::Duration;

use smallvec::SmallVec;
use thiserror::Error;

use crate::codec::OpusParameters;
use crate::command::{Bandwidth, Codec, Dtmf};
use crate::keying::{AgreedKeys, Peer, Unusable};

pub(crate) use crypto::LocalCrypto;
pub use crypto::refuses_encryption;
pub(crate) use negotiate::{Answer, accept_answer, create_answer, create_offer};
pub(crate) use settled::Settled;

/// Longer descriptions are refused unread; a browser's with video and many codecs has about 10 KiB.
pub(crate) const MAX_SDP: usize = 32 * 1024;

/// Why a description cannot be used, in words for a 488.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum SdpError {
    /// It does not parse.
    #[error("malformed SDP: {0}")]
    Malformed(String),
    /// No m=audio line can be used.
    #[error("no usable audio stream")]
    NoAudio,
    /// The audio stream is switched off (port 0); these are its m-lines.
    #[error("no usable audio stream")]
    Off(Vec<remote::MediaLine>),
    /// None of our codecs is in it.
    #[error("no audio codec in common")]
    NoCodec,
    /// The stream's profile is not what this leg speaks.
    #[error("{0} is not accepted on this leg")]
    Profile(String),
    /// SRTP keyed by SDP where it is switched off.
    #[error("RTP/SAVP is not accepted on this leg, whose media encryption is off")]
    Encrypted,
    /// RTP in the clear where it must be encrypted.
    #[error("RTP/AVP is not accepted on this leg, which requires RTP/SAVP with keys")]
    Unencrypted,
    /// RTP in the clear in a session that was encrypted.
    #[error("the stream is encrypted and stays so")]
    Downgrade,
    /// RTP/SAVP without a=crypto.
    #[error("the audio stream has no a=crypto line")]
    NoCrypto,
    /// None of the a=crypto lines can be used; why the first cannot.
    #[error("no a=crypto line can be used: {0}")]
    Crypto(Unusable),
    /// The a=crypto of an answer is not what was offered.
    #[error("the a=crypto line of the answer is none of the offer's")]
    CryptoAnswer,
    /// Both sides would encrypt with the same key stream.
    #[error("the peer's key is our own")]
    OwnKey,
    /// Something a stream must have is missing.
    #[error("the audio stream has no {0}")]
    Missing(&'static str),
    /// The peer's fingerprint is of a hash that is broken, or unreadable.
    #[error("certificate fingerprint not accepted")]
    Fingerprint,
    /// An answer with another number of m-lines than the offer.
    #[error("the answer does not match the offer")]
    Mismatch,
}

/// Who may send, from the speaker's own point of view (RFC 3264 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Both.
    SendRecv,
    /// Only the speaker.
    SendOnly,
    /// Only the other side.
    RecvOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    pub(crate) fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the speaker sends.
    #[must_use]
    pub(crate) fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the speaker receives.
    #[must_use]
    pub(crate) fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// What the other side answers when it would like `wanted` (RFC 3264 §6.1).
    #[must_use]
    pub(crate) fn answered_with(self, wanted: Self) -> Self {
        Self::new(self.receives() && wanted.sends(), self.sends() && wanted.receives())
    }

    fn attribute(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// How our side of the stream is keyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LocalKeying {
    /// Plain RTP.
    Plain,
    /// SRTP with keys in the description.
    Sdes(Box<LocalCrypto>),
    /// ICE-lite and DTLS-SRTP.
    DtlsSrtp {
        /// `a=ice-ufrag`.
        ufrag: String,
        /// `a=ice-pwd`.
        pwd: String,
        /// Of our certificate.
        fingerprint: [u8; 32],
        /// Host candidates, best first.
        candidates: Vec<SocketAddr>,
    },
}

/// Our side of the stream.
#[derive(Debug, Clone)]
pub(crate) struct LocalMedia {
    /// The o= line's session id.
    pub(crate) session_id: u64,
    /// The o= line's version in the last description made.
    pub(crate) version: u64,
    /// The last description made: the same one again keeps its version (RFC 3264 §8).
    pub(crate) described: Vec<u8>,
    /// What earlier descriptions have settled for all that follow; `None` before the first exchange.
    pub(crate) settled: Option<Settled>,
    /// Where we receive RTP.
    pub(crate) address: SocketAddr,
    /// Codecs allowed, best first.
    pub(crate) codecs: Vec<Codec>,
    /// What the far side can use.
    pub(crate) bandwidth: Bandwidth,
    /// The packet length we would like.
    pub(crate) ptime: Duration,
    /// How it is keyed.
    pub(crate) keying: LocalKeying,
    /// The SSRC we send with.
    pub(crate) ssrc: u32,
    /// Our RTCP CNAME.
    pub(crate) cname: String,
    /// Who may send.
    pub(crate) direction: Direction,
    /// How digits travel.
    pub(crate) dtmf: Dtmf,
}

/// How long a peer wants the packets it is sent (RFC 8866 §6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PacketTime {
    /// `a=ptime`, else as long as we would like ours.
    pub(crate) wanted: Duration,
    /// `a=maxptime`.
    pub(crate) longest: Option<Duration>,
}

/// A telephone-event format (RFC 4733 §2.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TelephoneEvent {
    /// The payload type we send with.
    pub(crate) send_payload_type: u8,
    /// The payload type the peer sends with.
    pub(crate) receive_payload_type: u8,
    /// In Hz.
    pub(crate) clock_rate: u32,
}

/// What both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Negotiated {
    /// The audio codec.
    pub(crate) codec: Codec,
    /// The payload type we send it with.
    pub(crate) send_payload_type: u8,
    /// What the peer may send: payload types and their codecs, the one above first. Only a peer that answered several has more.
    pub(crate) receive: SmallVec<[(u8, Codec); 2]>,
    /// Telephone-event formats, the one to send with first.
    pub(crate) telephone_events: Vec<TelephoneEvent>,
    /// Payload types of comfort noise the peer may send, beside 13, which it always may.
    pub(crate) comfort_noise: SmallVec<[u8; 2]>,
    /// How digits travel.
    pub(crate) dtmf: Dtmf,
    /// How long packets to the peer are; as they come on a link.
    pub(crate) packets: Option<PacketTime>,
    /// Where the peer receives RTP, by its SDP.
    pub(crate) remote_rtp: SocketAddr,
    /// Where it receives RTCP.
    pub(crate) remote_rtcp: SocketAddr,
    /// Whether RTCP shares RTP's port.
    pub(crate) rtcp_mux: bool,
    /// Who may send, from our point of view.
    pub(crate) direction: Direction,
    /// Whether the peer wants to receive, whatever we wanted; a peer that does not holds us (RFC 3264 §8.4).
    pub(crate) peer_receives: bool,
    /// The peer's Opus parameters.
    pub(crate) opus: OpusParameters,
    /// The peer's DTLS; `None` without.
    pub(crate) peer: Option<Peer>,
    /// Keys of the descriptions; `None` without.
    pub(crate) keys: Option<AgreedKeys>,
}

#[cfg(test)]
mod tests;
