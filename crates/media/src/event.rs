//! What a shard tells signalling. All values, no sockets.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

#[cfg(doc)]
use crate::command::Command;
use crate::command::{Codec, Encryption, MediaSessionId};
use crate::milestone::Milestone;

/// What a shard tells signalling.
#[derive(Debug, Clone)]
pub enum Event {
    /// Our SDP: the offer after `CreateOffer`, the answer after `HandleOffer`.
    LocalDescription {
        /// The session.
        session: MediaSessionId,
        /// The SDP to send.
        sdp: Vec<u8>,
        /// The audio codec agreed on, once it is.
        codec: Option<Codec>,
    },
    /// The peer's answer was taken.
    Negotiated {
        /// The session.
        session: MediaSessionId,
        /// The audio codec agreed on.
        codec: Codec,
    },
    /// The peer's SDP cannot be used: 488 with `reason`.
    Rejected {
        /// The session.
        session: MediaSessionId,
        /// In words, for the Reason and Warning headers.
        reason: String,
    },
    /// The media path works: DTLS finished, or the first RTP packet was believed. Told once.
    Connected {
        /// The session.
        session: MediaSessionId,
        /// The peer's address.
        peer: SocketAddr,
    },
    /// The session's media has come further; each milestone is told once.
    Milestone {
        /// The session.
        session: MediaSessionId,
        /// When.
        at: Instant,
        /// Which.
        milestone: Milestone,
    },
    /// What media does with the session changed.
    Changed {
        /// The session.
        session: MediaSessionId,
        /// What it does now.
        state: MediaState,
    },
    /// A digit from the peer ended, whichever way it came (each digit is told once).
    Digit {
        /// The session it came from.
        session: MediaSessionId,
        /// One of `0-9 * # A-D`.
        digit: char,
        /// How long it was held.
        duration: Duration,
    },
    /// Nothing arrived for the session's silence timeout. Told again only after media came back.
    Silent {
        /// The session.
        session: MediaSessionId,
    },
    /// The session cannot go on (no port, DTLS fingerprint wrong, DTLS alert). `Close` is still owed.
    Failed {
        /// The session.
        session: MediaSessionId,
        /// In words, for the log and the call record.
        reason: String,
    },
    /// The session is gone; its last figures.
    Closed {
        /// The session.
        session: MediaSessionId,
        /// What went over it.
        statistics: Statistics,
    },
}

/// What media does with a session. Before the first [`Event::Changed`]: the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MediaState {
    /// Who holds it.
    pub hold: Hold,
    /// What its peer is sent.
    pub hears: Hears,
    /// How that is protected.
    pub encryption: Encryption,
}

/// Who holds a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// Nobody.
    #[default]
    None,
    /// We, by [`Command::Hold`].
    Local,
    /// Its peer, by SDP: it does not want to be sent anything.
    Remote,
    /// Both.
    Both,
}

impl Hold {
    /// By whom it is held.
    #[must_use]
    pub fn new(by_us: bool, by_peer: bool) -> Self {
        match (by_us, by_peer) {
            (false, false) => Self::None,
            (true, false) => Self::Local,
            (false, true) => Self::Remote,
            (true, true) => Self::Both,
        }
    }

    /// Whether we hold it.
    #[must_use]
    pub fn is_local(self) -> bool {
        matches!(self, Self::Local | Self::Both)
    }

    /// Whether its peer does.
    #[must_use]
    pub fn is_remote(self) -> bool {
        matches!(self, Self::Remote | Self::Both)
    }
}

/// What a session's peer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hears {
    /// No audio.
    #[default]
    Nothing,
    /// What comes from the session it is joined with, from the others in its mix, or itself in the echo test.
    Party,
    /// Music, because the other side holds (in a mix, everybody else), or by [`Command::Music`].
    Music,
    /// A ringback tone.
    Ringback,
}

/// One session's figures.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Statistics {
    /// RTP packets received and accepted.
    pub packets_received: u64,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP packets that never came (RFC 3550 A.3).
    pub packets_lost: u64,
    /// Packets dropped: malformed, unauthenticated, replayed, come twice or too late, or from an address not believed.
    pub packets_discarded: u64,
    /// Those of them whose SRTP or SRTCP was not authentic, or a replay.
    pub srtp_failures: u64,
    /// Interarrival jitter (RFC 3550 A.8).
    pub jitter: Duration,
    /// Round trip by the peer's receiver reports, when it sent any.
    pub round_trip: Option<Duration>,
    /// From `HandleOffer`/`HandleAnswer` to the first media received.
    pub time_to_media: Option<Duration>,
}
