//! Whose media the caller hears before the answer.

use super::answering::EarlyAnswer;
use super::leg::LegId;

/// Media before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Early {
    /// None; after a 180 the caller's client makes its own ringback.
    None,
    /// This leg's early answer is with its shard.
    Callee(LegId),
    /// The caller's answer is being made, to hear this leg.
    Caller(LegId),
    /// The caller hears this leg.
    Flowing(LegId),
    /// The caller, who heard an earlier target's media, hears our ringback.
    Ringback,
}

impl Early {
    /// Whether it is this leg's.
    pub(super) fn is_of(self, id: LegId) -> bool {
        match self {
            Self::Callee(leg) | Self::Caller(leg) | Self::Flowing(leg) => leg == id,
            Self::None | Self::Ringback => false,
        }
    }

    /// What became of a leg's answer before its 200.
    pub(super) fn answer_of(self, id: LegId) -> EarlyAnswer {
        match self {
            Self::Callee(leg) if leg == id => EarlyAnswer::WithShard,
            Self::Caller(leg) | Self::Flowing(leg) if leg == id => EarlyAnswer::Taken,
            Self::None | Self::Callee(_) | Self::Caller(_) | Self::Flowing(_) | Self::Ringback => EarlyAnswer::None,
        }
    }
}
