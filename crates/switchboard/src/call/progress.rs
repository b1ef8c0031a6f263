//! What the caller hears while a target rings (RFC 3261 §13.3.1.1, RFC 3960): its own client's ringback after a 180, a trunk's early
//! media after a 183, our ringback when it listens to us already. Phones' early media is not heard: any of them may answer.

use media::Command;
use sip::{Response, StatusCode};

use super::action::{Action, Actions, CallTimer};
use super::early::Early;
use super::facts::{CallerOffer, Context, Facts};
use super::hunt::Hunt;
use super::leg::{LegId, Party};
use super::referral;
use super::seeker::{Meanwhile, Seeker};
use crate::output::CallState;

impl Hunt {
    /// 1xx from a branch.
    pub(super) fn progress(
        &mut self,
        leg: LegId,
        response: &Response,
        facts: &mut Facts,
        ctx: &Context<'_>,
        actions: &mut Actions,
    ) {
        actions.push(Action::ClearTimer(CallTimer::Attempt));
        if response.status == StatusCode::TRYING {
            return;
        }
        if let Some(leg) = facts.leg_mut(leg) {
            leg.state = CallState::Ringing;
        }
        facts.ringing.get_or_insert(ctx.now);
        let one_trunk =
            self.branches.len() == 1 && facts.leg(leg).is_some_and(|leg| matches!(leg.party, Party::Trunk { .. }));
        let has_media = !response.body.is_empty() && one_trunk && self.can_hear(facts);
        if has_media && matches!(self.early, Early::None | Early::Ringback) {
            self.early = Early::Callee(leg);
            let sdp = response.body.to_vec();
            actions.push(Action::Media(Command::HandleAnswer { session: leg.media(), sdp }));
        } else if !has_media && (response.status == StatusCode::RINGING || !self.told_ringing) {
            self.tell_ringing(facts, actions);
        }
    }

    /// Goes on for somebody else, who talks already: they hear and are told what the one before was.
    pub(super) fn seek_for(&mut self, seeker: Seeker, facts: &mut Facts, actions: &mut Actions) {
        self.seeker = seeker;
        match self.early {
            // The answer of the one before was on its way; this one needs none.
            Early::Caller(leg) | Early::Flowing(leg) => {
                self.join_early(leg, facts, actions);
            }
            Early::None | Early::Ringback if self.told_ringing => {
                self.early = Early::None;
                self.tell_ringing(facts, actions);
            }
            Early::None | Early::Ringback | Early::Callee(_) => {}
        }
    }

    /// Who seeks, and talks already, does so at another leg from now on, and hears there what it heard.
    pub(super) fn move_seeker(&mut self, leg: LegId, actions: &mut Actions) {
        self.seeker.leg = leg;
        self.seeker.transferor = Some(leg);
        let session = leg.media();
        match self.early {
            Early::Ringback => actions.push(Action::Media(Command::Ringback { session })),
            Early::Flowing(target) => {
                actions.push(Action::Media(Command::Bridge { a: session, b: target.media() }));
            }
            Early::None | Early::Callee(_) | Early::Caller(_) => {}
        }
    }

    /// Who is transferred hears a target's early media.
    fn join_early(&mut self, leg: LegId, facts: &mut Facts, actions: &mut Actions) {
        self.early = Early::Flowing(leg);
        if let Some(transferor) = self.seeker.transferor {
            referral::report(transferor, StatusCode::SESSION_PROGRESS, facts, actions);
        }
        if self.seeker.meanwhile == Meanwhile::Talk {
            return;
        }
        self.heard = true;
        actions.push(Action::Media(Command::Bridge { a: self.seeker.leg.media(), b: leg.media() }));
    }

    /// Whether early media reaches the seeker: it is in a call, or its INVITE had an offer.
    fn can_hear(&self, facts: &Facts) -> bool {
        self.seeker.transferor.is_some() || matches!(facts.offer, CallerOffer::Given(_))
    }

    fn tell_ringing(&mut self, facts: &mut Facts, actions: &mut Actions) {
        self.told_ringing = true;
        if let Some(transferor) = self.seeker.transferor {
            referral::report(transferor, StatusCode::RINGING, facts, actions);
            if self.early == Early::None && self.seeker.meanwhile == Meanwhile::Ringing {
                self.early = Early::Ringback;
                self.heard = true;
                actions.push(Action::Media(Command::Ringback { session: self.seeker.leg.media() }));
            }
            return;
        }
        actions.push(Action::Progress { leg: facts.caller_id(), status: StatusCode::RINGING, sdp: None });
        // A client that was given media plays that and makes no ringback of its own any more.
        if self.early == Early::None && facts.caller().is_some_and(|leg| leg.description.is_some()) {
            self.early = Early::Ringback;
            actions.push(Action::Media(Command::Ringback { session: facts.caller_id().media() }));
        }
    }

    /// The shard took a leg's early answer: now the caller's.
    pub(super) fn early_answer_taken(
        &mut self,
        leg: LegId,
        facts: &mut Facts,
        ctx: &Context<'_>,
        actions: &mut Actions,
    ) {
        if self.seeker.transferor.is_some() {
            self.join_early(leg, facts, actions);
            return;
        }
        self.early = Early::Caller(leg);
        facts.describe_caller(facts.bandwidth_of(leg), ctx, actions);
        self.hear_early(facts, actions);
    }

    /// An early answer that cannot be used is not yet the answer; it rings all the same.
    pub(super) fn early_answer_unusable(&mut self, facts: &mut Facts, actions: &mut Actions) {
        self.early = Early::None;
        if !self.told_ringing {
            self.tell_ringing(facts, actions);
        }
    }

    /// Lets the caller hear the callee's early media once both descriptions are agreed on.
    pub(super) fn hear_early(&mut self, facts: &Facts, actions: &mut Actions) {
        let Early::Caller(callee) = self.early else { return };
        let caller = facts.caller_id();
        let Some(sdp) = facts.caller().and_then(|leg| leg.description.clone()) else { return };
        self.early = Early::Flowing(callee);
        actions.push(Action::Progress { leg: caller, status: StatusCode::SESSION_PROGRESS, sdp: Some(sdp) });
        actions.push(Action::Media(Command::Bridge { a: caller.media(), b: callee.media() }));
    }
}
