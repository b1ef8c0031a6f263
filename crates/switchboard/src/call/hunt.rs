//! The hunt for somebody who answers: targets step by step, phones at once, gateways one after another. Shared by the states
//! before an answer; who is tried next is in `trying`, what is heard on the way in `progress`.

use sip::{Reason, Response, Uri};

use super::State;
use super::action::{Action, Actions, CallEvent, CallTimer};
use super::answering::{Answering, MEDIA_TIMEOUT};
use super::cause::Failure;
use super::context::Context;
use super::early::Early;
use super::ending::Ending;
use super::facts::{CallerOffer, Facts};
use super::leg::{LegId, Party};
use super::seeker::Seeker;
use super::trying::Route;
use super::{explanation, forks, modifying, replacing};
use crate::dialplan::Step;
use crate::output::EndedBy;
use crate::trace::RoutingStep;

/// What is being tried, and what is left.
#[derive(Debug, Clone)]
pub(crate) struct Hunt {
    pub(super) seeker: Seeker,
    pub(super) route: Route,
    pub(super) branches: Vec<LegId>,
    /// The extensions whose phones ring in this step.
    pub(super) phones: Vec<String>,
    /// The Contacts of the phones that ring in this step, or have refused.
    pub(super) rung: Vec<Uri>,
    pub(super) early: Early,
    pub(super) failure: Option<Failure>,
    pub(super) told_ringing: bool,
    /// Who is transferred heard a target ring, and not who transferred it.
    pub(super) heard: bool,
    /// A leg that is taking a branch's place.
    pub(super) pickup: Option<LegId>,
}

/// Where a hunt leads.
pub(crate) enum Next {
    /// On with the hunt.
    Stay,
    /// This target answered.
    Answered { target: LegId, response: Response },
    /// The seeker shall hear itself.
    Echo,
    /// This leg has taken the place of a target that rang, and was answered.
    PickedUp(LegId),
    /// Nobody answers.
    Failed(Failure, EndedBy),
    /// The seeker gave up.
    Abandoned(Vec<String>),
}

impl Next {
    /// What comes of it for a caller; `None` while the hunt goes on.
    pub(super) fn of_caller(self, facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> Option<State> {
        match self {
            Self::Stay => None,
            Self::Answered { target, response } => Some(Answering::begin(facts, target, &response, ctx, actions)),
            Self::PickedUp(leg) => Some(Answering::picked_up(facts, leg, ctx, actions)),
            Self::Echo => Some(Answering::echo(facts, ctx, actions)),
            Self::Failed(failure, by) => Some(Ending::refuse(facts, &failure, by, actions)),
            Self::Abandoned(reasons) => Some(Ending::cancelled(facts, &reasons, actions)),
        }
    }
}

impl Hunt {
    pub(crate) fn new(seeker: Seeker, steps: Vec<Step>) -> Self {
        Self {
            seeker,
            route: Route::new(steps),
            branches: Vec::new(),
            phones: Vec::new(),
            rung: Vec::new(),
            early: Early::None,
            failure: None,
            told_ringing: false,
            heard: false,
            pickup: None,
        }
    }

    /// A hunt that is in vain from the start.
    pub(crate) fn in_vain(seeker: Seeker, failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::new(seeker, Vec::new()) }
    }

    /// Whether who is transferred does not hear what it heard before any more.
    pub(super) fn is_heard(&self) -> bool {
        self.heard
    }

    pub(crate) fn on(
        &mut self,
        event: CallEvent,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> Next {
        match event {
            CallEvent::Start => self.next_step(facts, ctx, actions),
            CallEvent::Progress { leg, response } => {
                if self.branches.contains(&leg) {
                    self.progress(leg, &response, facts, ctx, actions);
                }
                Next::Stay
            }
            CallEvent::Answered { leg, response } if self.branches.contains(&leg) => {
                let text = format!("{} answered.", facts.described(leg));
                facts.note_routing(RoutingStep::Answered, Some(leg), Some(response.status.code()), text);
                Next::Answered { target: leg, response }
            }
            CallEvent::Replace(replacement) => {
                let bandwidth = self.bandwidth(facts, ctx);
                self.pickup = Some(replacing::begin(*replacement, bandwidth, facts, ctx, actions).new);
                actions.push(Action::SetTimer(CallTimer::Media, MEDIA_TIMEOUT));
                Next::Stay
            }
            CallEvent::SessionOver { leg } | CallEvent::Bye { leg, .. } if self.pickup == Some(leg) => {
                self.pickup = None;
                facts.close_media(leg, actions);
                Next::Stay
            }
            CallEvent::Media { leg, event } if self.pickup == Some(leg) => self.on_pickup(leg, event, facts, actions),
            CallEvent::Refused { leg, response, local } if self.branches.contains(&leg) => {
                let phone = facts.leg(leg).is_some_and(|leg| matches!(leg.party, Party::Extension { .. }));
                let failure = if local && phone {
                    // Once it is back, it rings.
                    let contact = facts.leg(leg).and_then(|leg| leg.contact.clone());
                    self.rung.retain(|rung| Some(rung) != contact.as_ref());
                    // A phone that cannot be reached is an absent one, not an overloaded server.
                    let advice = facts.leg(leg).and_then(|leg| explanation::advice(&leg.party, 503, true));
                    Failure::new(480, format!("{} could not be reached.", facts.described(leg))).with_advice(advice)
                } else {
                    let party = facts.leg(leg).map(|leg| &leg.party);
                    let advice = party.and_then(|party| explanation::advice(party, response.status.code(), local));
                    Failure::from_response(&response, local, &facts.described(leg)).with_advice(advice)
                };
                self.refused(leg, failure, facts, ctx, actions)
            }
            CallEvent::SessionOver { leg } | CallEvent::Bye { leg, .. } if self.branches.contains(&leg) => {
                let failure = Failure::new(480, format!("{} ended the call.", facts.described(leg)));
                self.refused(leg, failure, facts, ctx, actions)
            }
            CallEvent::FlowLost { leg } if facts.is_caller(leg) => {
                let failure = Failure::new(480, "The caller's connection was lost before the call was answered.");
                Next::Failed(failure, EndedBy::System)
            }
            CallEvent::Cancelled { reasons } => Next::Abandoned(reasons),
            CallEvent::SessionOver { leg } | CallEvent::Bye { leg, .. } if facts.is_caller(leg) => {
                Next::Abandoned(Vec::new())
            }
            CallEvent::Media { leg, event } => self.on_media(leg, event, facts, ctx, actions),
            CallEvent::Phones { extension } => self.phones_changed(&extension, facts, ctx, actions),
            CallEvent::Timer(timer) => self.on_timer(timer, facts, ctx, actions),
            CallEvent::Digit { leg, digit, duration } => {
                // Announcements before the answer may ask for some.
                facts.press(leg, digit, duration, actions);
                Next::Stay
            }
            CallEvent::Change { leg, change } => {
                if self.has_agreed(leg, facts) {
                    modifying::on(leg, change, self.pair(leg), facts, actions);
                } else {
                    modifying::untimely(leg, &change, actions);
                }
                Next::Stay
            }
            CallEvent::Confirmed { body } if facts.offer == CallerOffer::Wanted && self.seeker.transferor.is_none() => {
                if body.is_empty() {
                    let failure = Failure::new(488, "The caller's PRACK brought no answer to our offer.");
                    return Next::Failed(failure, EndedBy::System);
                }
                facts.take_answer(body, actions);
                Next::Stay
            }
            CallEvent::NoAck { leg } if facts.is_caller(leg) => {
                let failure = Failure::new(504, "The caller confirmed nothing of what it was told: no PRACK arrived.");
                Next::Failed(failure, EndedBy::System)
            }
            CallEvent::Hangup => {
                let failure = Failure::new(480, "An operator ended the call.");
                Next::Failed(failure, EndedBy::Operator)
            }
            CallEvent::Answered { .. }
            | CallEvent::Refused { .. }
            | CallEvent::SessionOver { .. }
            | CallEvent::Bye { .. }
            // A callee that does not come back has refused already: its INVITE failed with that.
            | CallEvent::FlowLost { .. }
            | CallEvent::Confirmed { .. }
            | CallEvent::Dial { .. }
            | CallEvent::Transfer(_)
            | CallEvent::Consult(_)
            | CallEvent::Join(_)
            | CallEvent::Add(_)
            | CallEvent::Dismiss { .. }
            | CallEvent::Notified { .. }
            | CallEvent::Lost { .. }
            | CallEvent::NoAck { .. } => Next::Stay,
        }
    }

    /// A branch is gone: the others ring on, else the next gateway, else the next target.
    pub(super) fn refused(
        &mut self,
        leg: LegId,
        failure: Failure,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> Next {
        self.drop_branch(leg, None, facts, actions);
        Self::note_failure(RoutingStep::Failed, Some(leg), &failure, facts);
        if self.fallback(leg, &failure, facts, ctx, actions) {
            return Next::Stay;
        }
        let trunk = facts.leg(leg).is_some_and(|leg| matches!(leg.party, Party::Trunk { .. }));
        let may_go_on = match failure.status {
            600..=699 => false,
            408 | 480 | 500..=599 => true,
            // From a phone: another of the group may still answer. From a trunk it is the called party's word.
            _ => !trunk,
        };
        self.remember(failure);
        if !may_go_on {
            if !(self.route.steps.is_empty() && self.route.candidates.is_empty()) {
                let text = "That is the called party's word: nobody else is tried.".to_owned();
                facts.note_routing(RoutingStep::Skipped, None, None, text);
            }
            self.route.steps.clear();
            self.route.candidates.clear();
            let rest = std::mem::take(&mut self.branches);
            for leg in rest {
                facts.release(leg, Some(Reason::sip(603, "Declined elsewhere")), actions);
            }
        }
        if !self.branches.is_empty() || (may_go_on && self.expects_phone(ctx)) {
            return Next::Stay;
        }
        actions.push(Action::ClearTimer(CallTimer::Attempt));
        // 480 from a trunk is the called party's state: no other gateway changes it.
        if trunk && self.failure.as_ref().is_some_and(|failure| failure.status == 480) {
            self.route.candidates.clear();
        }
        if self.next_candidate(facts, ctx, actions) {
            return Next::Stay;
        }
        self.next_step(facts, ctx, actions)
    }

    pub(super) fn drop_branch(&mut self, leg: LegId, reason: Option<Reason>, facts: &mut Facts, actions: &mut Actions) {
        self.branches.retain(|branch| *branch != leg);
        facts.release(leg, reason, actions);
        if self.early.is_of(leg) {
            self.early = Early::None;
        }
    }

    /// Keeps what says most to the caller: a person's word before a machine's.
    pub(super) fn remember(&mut self, failure: Failure) {
        let weight = |failure: &Failure| match failure.status {
            600..=699 => 4,
            486 => 3,
            480 => 2,
            _ => 1,
        };
        if self.failure.as_ref().is_none_or(|known| weight(&failure) >= weight(known)) {
            self.failure = Some(failure);
        }
    }

    fn on_media(
        &mut self,
        leg: LegId,
        event: media::Event,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> Next {
        let Some(event) = modifying::of_shard(leg, event, self.pair(leg), facts, actions) else {
            forks::give_next(leg, self.bandwidth(facts, ctx), facts, actions);
            return Next::Stay;
        };
        let forks = facts.leg(leg).filter(|_| self.branches.contains(&leg)).map(|leg| &leg.forks);
        let (agrees, awaits) = forks.map_or((false, false), |forks| (forks.has_agreed(), forks.awaits_shard()));
        match event {
            media::Event::LocalDescription { .. } if facts.is_caller(leg) => self.hear_early(facts, actions),
            media::Event::LocalDescription { .. } if self.branches.contains(&leg) => {
                if !forks::described(leg, self.bandwidth(facts, ctx), facts, actions) {
                    Self::send_invite(leg, facts, ctx, actions);
                } else if self.early == Early::Callee(leg) {
                    self.early_answer_taken(leg, facts, ctx, actions);
                }
            }
            // Of one branch: another is heard, or may yet be.
            media::Event::Rejected { .. } if agrees || awaits => {}
            media::Event::Rejected { reason, .. } if forks.is_some_and(|forks| forks.is_late) => {
                let failure = Failure::new(488, format!("The media description cannot be used: {reason}."));
                return self.refused(leg, failure, facts, ctx, actions);
            }
            media::Event::Negotiated { .. } if self.early == Early::Callee(leg) => {
                self.early_answer_taken(leg, facts, ctx, actions);
            }
            media::Event::Rejected { .. } if self.early == Early::Callee(leg) => {
                self.early_answer_unusable(facts, ctx, actions);
            }
            media::Event::Rejected { reason, .. } if facts.is_caller(leg) => {
                let failure = Failure::new(488, format!("The caller's media description cannot be used: {reason}."));
                return Next::Failed(failure, EndedBy::System);
            }
            media::Event::Failed { reason, .. } if facts.is_caller(leg) => {
                let failure = Failure::new(500, format!("The caller's media failed: {reason}."));
                return Next::Failed(failure, EndedBy::System);
            }
            media::Event::Failed { reason, .. } | media::Event::Rejected { reason, .. }
                if self.branches.contains(&leg) =>
            {
                let failure = Failure::new(500, format!("Media failed: {reason}."));
                return self.refused(leg, failure, facts, ctx, actions);
            }
            media::Event::LocalDescription { .. }
            | media::Event::Negotiated { .. }
            | media::Event::Rejected { .. }
            | media::Event::Failed { .. }
            | media::Event::Connected { .. }
            | media::Event::Milestone { .. }
            | media::Event::Changed { .. }
            | media::Event::Digit { .. }
            | media::Event::Silent { .. }
            | media::Event::Closed { .. } => {}
        }
        Next::Stay
    }

    /// Whether media is agreed on with a leg, so that it may offer something else (RFC 3311 §5.2).
    fn has_agreed(&self, leg: LegId, facts: &Facts) -> bool {
        let Some(known) = facts.leg(leg) else { return false };
        if self.branches.contains(&leg) {
            return known.forks.has_agreed() && !known.forks.awaits_shard();
        }
        facts.is_caller(leg) && self.seeker.transferor.is_none() && known.description.is_some()
    }

    /// The seeker, and whom of those who ring something happens to.
    pub(super) fn pair(&self, leg: LegId) -> modifying::Pair {
        [Some(self.seeker.leg), Some(leg).filter(|leg| self.branches.contains(leg))]
    }
}
