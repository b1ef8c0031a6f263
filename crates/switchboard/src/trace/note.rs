//! What a call notes down on its way, for whoever wants to know afterwards why it went as it did.

use std::net::SocketAddr;

use media::{Codec, Milestone};

/// A note of a call, told by [`crate::Output::Noted`] as soon as it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Where it is sent, and why.
    Routing(RoutingNote),
    /// What became of a leg's media.
    Media {
        /// `leg_…`
        leg: String,
        /// What.
        moment: MediaMoment,
    },
}

/// One step of finding somebody who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingNote {
    /// What kind of step.
    pub step: RoutingStep,
    /// The leg it is about: `leg_…`
    pub leg: Option<String>,
    /// The SIP status that decided it.
    pub status: Option<u16>,
    /// The step in words.
    pub text: String,
}

/// Kinds of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoutingStep {
    /// A rule of the dialplan matched, or none did.
    Rule,
    /// A target's turn has come.
    Target,
    /// An INVITE is sent.
    Attempt,
    /// Something could not be tried.
    Skipped,
    /// Who was tried did not take the call.
    Failed,
    /// Somebody answered.
    Answered,
}

/// What became of a leg's media at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaMoment {
    /// It has come further.
    Milestone(Milestone),
    /// The peer's answer was taken.
    Negotiated(Codec),
    /// DTLS finished, or the first RTP packet was believed and its source is the peer's address from now on.
    Connected(SocketAddr),
    /// Nothing arrived for the silence timeout.
    Silent,
    /// The peer's description cannot be used.
    Rejected(String),
    /// It cannot go on.
    Failed(String),
}

impl MediaMoment {
    /// What an event of a shard says of a leg, when it belongs into a timeline.
    pub(crate) fn of(event: &media::Event) -> Option<Self> {
        match event {
            media::Event::Milestone { milestone, .. } => Some(Self::Milestone(*milestone)),
            media::Event::Negotiated { codec, .. } => Some(Self::Negotiated(*codec)),
            media::Event::Connected { peer, .. } => Some(Self::Connected(*peer)),
            media::Event::Silent { .. } => Some(Self::Silent),
            media::Event::Rejected { reason, .. } => Some(Self::Rejected(reason.clone())),
            media::Event::Failed { reason, .. } => Some(Self::Failed(reason.clone())),
            media::Event::LocalDescription { .. }
            | media::Event::Changed { .. }
            | media::Event::Digit { .. }
            | media::Event::Closed { .. } => None,
        }
    }
}
