//! What a session's media has come to on its way to being heard, for people who look for the reason why it was not: each is told once.

use std::net::SocketAddr;

use smallvec::SmallVec;

use crate::command::Codec;

/// A step of a session's media, told by [`crate::Event::Milestone`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// Both sides' descriptions fit together for the first time.
    Agreed {
        /// The codec they agreed on.
        codec: Codec,
        /// Where the peer's description says that it receives RTP; with ICE a placeholder.
        remote: SocketAddr,
    },
    /// The peer's first ICE check was valid: a path from there to us works.
    PathValidated {
        /// Where it came from.
        peer: SocketAddr,
    },
    /// The DTLS handshake began.
    DtlsStarted,
    /// A packet was dropped for a reason that was not met before in this session.
    Refused {
        /// Where it came from.
        from: SocketAddr,
        /// Why.
        reason: &'static str,
    },
    /// The first RTP packet was taken.
    FirstReceived,
    /// The first RTP packet was sent.
    FirstSent,
}

/// Reasons told of one session; packets dropped for others are counted only.
const MAX_REASONS: usize = 4;

/// Which milestones were told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) agreed: bool,
    pub(crate) path: bool,
    pub(crate) dtls: bool,
    pub(crate) received: bool,
    pub(crate) sent: bool,
    reasons: SmallVec<[&'static str; MAX_REASONS]>,
    /// Not told yet.
    refused: Option<(SocketAddr, &'static str)>,
}

impl Told {
    /// A packet was dropped.
    pub(crate) fn note_refused(&mut self, from: SocketAddr, reason: &'static str) {
        if self.reasons.len() < MAX_REASONS && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
            self.refused = Some((from, reason));
        }
    }

    /// What was dropped for a new reason.
    pub(crate) fn take_refused(&mut self) -> Option<Milestone> {
        self.refused.take().map(|(from, reason)| Milestone::Refused { from, reason })
    }
}
