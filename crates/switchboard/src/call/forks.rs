//! What the branches of one INVITE of ours say of media before its final response (RFC 3261 §13.2.2.4): each has an answer of its own, or an
//! offer when our INVITE made none. One of them is in force at a time, the latest; whichever branch takes the call has the last word.

use std::collections::VecDeque;

use bytes::Bytes;
use media::{Bandwidth, Command};
use sip::{Reliability, Response};

use super::action::{Action, Actions};
use super::facts::Facts;
use super::leg::LegId;
use super::modifying;

/// As many branches as the endpoint keeps dialogs of.
const MAX_FORKS: usize = 16;

/// The branches of a leg's INVITE.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forks {
    /// The INVITE makes no offer: its branches do.
    pub(crate) is_late: bool,
    /// Those that have described themselves, the latest last.
    known: Vec<Fork>,
    /// Whose descriptions are with the shard or are to be, in order; of offers, the shard has one at a time.
    pending: VecDeque<String>,
    /// Whether it has one.
    is_with_shard: bool,
    /// Whose the shard took last.
    in_force: Option<String>,
}

#[derive(Debug, Clone)]
struct Fork {
    tag: String,
    sdp: Bytes,
    /// Its answer came reliably, or its offer is answered: nothing replaces it but another offer.
    is_settled: bool,
}

impl Forks {
    /// Whether the shard has not decided on a description yet.
    pub(super) fn awaits_shard(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether media is agreed on with some branch.
    pub(super) fn has_agreed(&self) -> bool {
        self.in_force.is_some()
    }

    /// The branch whose description counts.
    pub(super) fn latest(&self) -> Option<&str> {
        self.pending.back().or(self.in_force.as_ref()).map(String::as_str)
    }

    fn fork(&self, tag: &str) -> Option<&Fork> {
        self.known.iter().find(|fork| fork.tag == tag)
    }

    fn note(&mut self, tag: &str, sdp: Bytes, is_settled: bool) {
        self.known.retain(|fork| fork.tag != tag);
        if self.known.len() >= MAX_FORKS {
            self.known.remove(0);
        }
        self.known.push(Fork { tag: tag.to_owned(), sdp, is_settled });
    }

    /// Takes note of a provisional response with a description. Whether that says something new.
    pub(super) fn hear(&mut self, response: &Response) -> bool {
        let (tag, is_reliable) = (tag_of(response), is_reliable(response));
        let known = self.fork(&tag);
        if response.body.is_empty() || known.is_some_and(|fork| fork.is_settled) || (self.is_late && !is_reliable) {
            return false;
        }
        let is_said = known.is_some_and(|fork| fork.sdp == response.body) && self.latest() == Some(&tag);
        if self.is_late && is_said {
            return false;
        }
        self.note(&tag, response.body.clone(), is_reliable && !self.is_late);
        !is_said
    }

    /// A branch offered anew, by UPDATE.
    pub(crate) fn moved(&mut self, tag: &str, sdp: Bytes) {
        if self.fork(tag).is_some() {
            self.note(tag, sdp, true);
            self.in_force = Some(tag.to_owned());
        }
    }

    /// The shard took an answer.
    pub(super) fn taken(&mut self) {
        if let Some(tag) = self.pending.pop_front() {
            self.in_force = Some(tag);
        }
    }

    /// The shard could not use a description.
    pub(super) fn rejected(&mut self) {
        self.is_with_shard = false;
        if let Some(tag) = self.pending.pop_front() {
            self.known.retain(|fork| fork.tag != tag);
        }
    }

    /// A branch is over (RFC 6228). Gives the one that is heard instead, `None` when none was; nothing changes when it was not in force.
    pub(super) fn end(&mut self, tag: &str) -> Option<Option<String>> {
        let was_heard = self.latest() == Some(tag);
        self.known.retain(|fork| fork.tag != tag);
        if self.in_force.as_deref() == Some(tag) {
            self.in_force = None;
        }
        was_heard.then(|| self.known.last().map(|fork| fork.tag.clone()))
    }
}

/// The tag of the branch that sent a response.
pub(super) fn tag_of(response: &Response) -> String {
    let to = response.headers.to().ok().flatten();
    to.and_then(|to| to.tag().map(std::borrow::Cow::into_owned)).unwrap_or_default()
}

/// Whether a provisional response is sent reliably (RFC 3262).
pub(super) fn is_reliable(response: &Response) -> bool {
    Reliability::of(&response.headers) == Reliability::Required
}

/// Has the shard take the description of a branch: an answer at once, an offer when it has no other.
pub(super) fn give(leg: LegId, tag: &str, bandwidth: Bandwidth, facts: &mut Facts, actions: &mut Actions) {
    let Some(forks) = facts.leg_mut(leg).map(|leg| &mut leg.forks) else { return };
    let Some(sdp) = forks.fork(tag).map(|fork| fork.sdp.to_vec()) else { return };
    forks.pending.push_back(tag.to_owned());
    if forks.is_late {
        give_next(leg, bandwidth, facts, actions);
    } else {
        actions.push(Action::Media(Command::HandleAnswer { session: leg.media(), sdp }));
    }
}

/// Has the shard take the next offer, when it is free.
pub(super) fn give_next(leg: LegId, bandwidth: Bandwidth, facts: &mut Facts, actions: &mut Actions) {
    let Some(leg) = facts.leg_mut(leg).filter(|leg| leg.forks.is_late && !modifying::awaits_shard(leg)) else { return };
    let forks = &mut leg.forks;
    let next = forks.pending.front().filter(|_| !forks.is_with_shard);
    let Some(sdp) = next.and_then(|tag| forks.fork(tag)).map(|fork| fork.sdp.to_vec()) else { return };
    forks.is_with_shard = true;
    actions.push(Action::Media(Command::HandleOffer { session: leg.id.media(), sdp, bandwidth }));
}

/// The shard described a leg. Whether that is the answer to a branch's offer, which is sent unless it was before.
pub(super) fn described(leg: LegId, bandwidth: Bandwidth, facts: &mut Facts, actions: &mut Actions) -> bool {
    let Some(known) = facts.leg_mut(leg).filter(|leg| leg.forks.is_with_shard) else { return false };
    let Some(answer) = known.description.clone() else { return false };
    known.forks.is_with_shard = false;
    known.forks.taken();
    let tag = known.forks.in_force.clone().unwrap_or_default();
    if let Some(fork) = known.forks.known.iter_mut().find(|fork| fork.tag == tag && !fork.is_settled) {
        fork.is_settled = true;
        actions.push(Action::AnswerOffer { leg, tag, sdp: answer });
    }
    actions.push(Action::Media(Command::Adopt { session: leg.media() }));
    give_next(leg, bandwidth, facts, actions);
    true
}

/// A branch took the call: its description counts, from the 2xx or, without one in that, from before. Whether there is any.
pub(super) fn answered(
    leg: LegId,
    response: &Response,
    bandwidth: Bandwidth,
    facts: &mut Facts,
    actions: &mut Actions,
) -> bool {
    let tag = tag_of(response);
    let Some(forks) = facts.leg_mut(leg).map(|leg| &mut leg.forks) else { return false };
    let is_settled = forks.fork(&tag).is_some_and(|fork| fork.is_settled);
    if !is_settled && !response.body.is_empty() {
        forks.note(&tag, response.body.clone(), false);
        give(leg, &tag, bandwidth, facts, actions);
        return true;
    }
    match (forks.fork(&tag), forks.latest()) {
        (Some(_), latest) if latest != Some(&tag) => {
            give(leg, &tag, bandwidth, facts, actions);
            true
        }
        // Of a branch that never said so, what was heard is the best guess there is.
        (_, latest) => latest.is_some(),
    }
}
