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
            number: facts.from.clone(),
            display: facts.from_display.clone(),
            agent,
            dialled: facts.to.clone(),
            assigned: facts.assigned.clone(),
            referred_by: None,
        }
    }
}
