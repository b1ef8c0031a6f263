//! For whom a target is sought, and as whose call the target sees it: a caller, or somebody who is transferred.

use super::facts::Facts;
use super::leg::{LegId, Party};

/// Who waits for a target to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seeker {
    /// The leg that waits.
    pub(crate) leg: LegId,
    /// The leg that transfers it; `None` for a caller, whose INVITE waits for its answer.
    pub(crate) transferor: Option<LegId>,
    /// What the leg that waits hears meanwhile.
    pub(crate) meanwhile: Meanwhile,
    /// The number phones are shown.
    pub(crate) number: String,
    /// The name phones are shown.
    pub(crate) display: Option<String>,
    /// The agent who calls out or transfers: its number is what trunks are shown.
    pub(crate) agent: Option<String>,
    /// What was dialled.
    pub(crate) dialled: String,
    /// The extension that number of ours is given to.
    pub(crate) assigned: Option<String>,
    /// Referred-By, for who is transferred (RFC 3892).
    pub(crate) referred_by: Option<String>,
}

/// What one who waits for a target to answer hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    /// How it rings there, and what is played before an answer.
    Ringing,
    /// Those it talks to, as before.
    Talk,
}

impl Seeker {
    /// The call's own caller.
    pub(crate) fn caller(facts: &Facts) -> Self {
        let agent = facts.caller().and_then(|leg| match &leg.party {
            Party::Extension { agent, .. } => agent.clone(),
            Party::Trunk { .. } => None,
        });
        Self {
            leg: facts.caller_id(),
            transferor: None,
            meanwhile: Meanwhile::Ringing,
            number: facts.from.clone(),
            display: facts.from_display.clone(),
            agent,
            dialled: facts.to.clone(),
            assigned: facts.assigned.clone(),
            referred_by: None,
        }
    }
}
