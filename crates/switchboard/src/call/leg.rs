//! One side of a call: what is owed to its signalling and its media.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use media::{Codec, Dtmf, MediaSessionId, MediaState, Statistics};
use sip::{Flow, NameAddr, Reliability, Uri};

use super::forks::Forks;
use super::modifying::Modifying;
use super::referral::Referring;
use crate::output::CallState;
use crate::trace::Timeline;

/// Names a leg for the life of the process. Its media session carries the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LegId(pub(crate) u64);

impl LegId {
    pub(crate) fn media(self) -> MediaSessionId {
        MediaSessionId(self.0)
    }
}

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Party {
    /// A phone of an extension, and the agent it belongs to.
    Extension { number: String, agent: Option<String> },
    /// A number behind a trunk.
    Trunk { id: String, name: String, number: String },
}

impl Party {
    /// As the API shows it.
    pub(crate) fn shown(&self) -> &str {
        match self {
            Self::Extension { number, .. } | Self::Trunk { number, .. } => number,
        }
    }

    /// For explanations.
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Extension { number, .. } => format!("Extension {number}"),
            Self::Trunk { name, .. } => format!("Trunk {name}"),
        }
    }
}

/// What is owed to a leg's signalling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// No INVITE was sent yet.
    Idle,
    /// Its INVITE waits for our final response.
    Incoming,
    /// Our INVITE waits for its final response.
    Calling,
    /// Established: a BYE is owed.
    Up,
    /// Nothing is owed.
    Over,
}

/// What is owed to a leg's media session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    /// Not opened.
    Unopened,
    /// A Close is owed.
    Open,
    /// Close was sent.
    Closing,
    /// Gone.
    Closed,
}

/// The INVITE of an outgoing leg, sent when its offer is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) uri: Uri,
    pub(crate) from: NameAddr,
    pub(crate) to: NameAddr,
    pub(crate) contact: Uri,
    /// What this peer is told beside what every INVITE says.
    pub(crate) headers: Vec<(String, String)>,
    /// The phone shall answer without asking its user: the call is its user's already.
    pub(crate) answers_itself: bool,
    pub(crate) max_forwards: u8,
}

/// One side of a call.
#[derive(Debug, Clone)]
pub(crate) struct Leg {
    pub(crate) id: LegId,
    /// `leg_…`
    pub(crate) name: String,
    pub(crate) party: Party,
    pub(crate) flow: Flow,
    /// The Call-ID of its dialog, once there is one.
    pub(crate) sip_call_id: Option<String>,
    /// Its connection is lost, and its phone waited for.
    pub(crate) away: bool,
    /// It was moved to the connection its phone registered on, and the phone has not spoken of the call there: it may have forgotten it.
    pub(crate) returned: bool,
    pub(crate) signal: Signal,
    pub(crate) medium: Medium,
    pub(crate) state: CallState,
    pub(crate) codec: Option<Codec>,
    /// What media does with it.
    pub(crate) media: MediaState,
    pub(crate) modifying: Modifying,
    pub(crate) statistics: Option<Statistics>,
    /// Our description: the answer to the caller's offer, or our offer to an offerless caller.
    pub(crate) description: Option<Bytes>,
    pub(crate) envelope: Option<Envelope>,
    /// The Contact of the phone that is called.
    pub(crate) contact: Option<Uri>,
    /// How its trunk wants digits, as long as the leg lasts.
    pub(crate) dtmf: Dtmf,
    /// Its gateway has refused encrypted media, which its trunk makes optional: this one offers none.
    pub(crate) is_fallback: bool,
    /// When each digit that operators have dialled will be over.
    pub(crate) dialled: VecDeque<Instant>,
    pub(crate) referring: Referring,
    /// Who pays for it, when it leads outside.
    pub(crate) charged_to: Option<String>,
    /// Whether its INVITE, and its trunk, want our provisional responses sent reliably.
    pub(crate) reliability: Reliability,
    /// What the branches of our INVITE to it have said of media.
    pub(crate) forks: Forks,
    /// Its INVITE came to take another leg's place.
    pub(crate) is_newcomer: bool,
    /// Its 2xx came.
    pub(crate) was_answered: bool,
    /// How far its media has come.
    pub(crate) timeline: Timeline,
}

impl Leg {
    pub(crate) fn new(id: LegId, name: String, party: Party, flow: Flow, signal: Signal) -> Self {
        Self {
            id,
            name,
            party,
            flow,
            sip_call_id: None,
            away: false,
            returned: false,
            signal,
            medium: Medium::Unopened,
            state: CallState::Routing,
            codec: None,
            media: MediaState::default(),
            modifying: Modifying::default(),
            statistics: None,
            description: None,
            envelope: None,
            contact: None,
            dtmf: Dtmf::default(),
            is_fallback: false,
            dialled: VecDeque::new(),
            referring: Referring::default(),
            charged_to: None,
            reliability: Reliability::Off,
            forks: Forks::default(),
            is_newcomer: false,
            was_answered: false,
            timeline: Timeline::default(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.signal == Signal::Over
    }
}
