//! Whose media the caller hears before the answer.

use super::leg::LegId;

/// Media before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Early {
    /// None; after a 180 the caller's client makes its own ringback.
    None,
    /// The caller's description is being made, which goes out with the 180.
    Announcing,
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
            Self::None | Self::Announcing | Self::Ringback => false,
        }
    }
}
