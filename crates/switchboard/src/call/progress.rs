//! What the caller hears while a target rings (RFC 3261 §13.3.1.1, RFC 3960): its own client's ringback after a 180, a trunk's early
//! media after a 183, our ringback when it listens to us already. Phones' early media is not heard: any of them may answer.

use media::{Bandwidth, Command};
use sip::{Reliability, Response, StatusCode};

use super::action::{Action, Actions, CallTimer};
use super::context::Context;
use super::early::Early;
use super::facts::{CallerOffer, Facts};
use super::forks;
use super::hunt::Hunt;
use super::leg::{Leg, LegId, Party};
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
        let tag = forks::tag_of(response);
        if response.status == StatusCode::EARLY_DIALOG_TERMINATED {
            self.fork_is_over(leg, &tag, facts, ctx, actions);
            return;
        }
        if let Some(leg) = facts.leg_mut(leg) {
            leg.state = CallState::Ringing;
        }
        facts.ringing.get_or_insert(ctx.now);
        let one_trunk =
            self.branches.len() == 1 && facts.leg(leg).is_some_and(|leg| matches!(leg.party, Party::Trunk { .. }));
        let is_news = facts.leg_mut(leg).is_some_and(|leg| leg.forks.hear(response));
        let offers = facts.leg(leg).is_some_and(|leg| leg.forks.is_late);
        let describes = !response.body.is_empty() && (!offers || forks::is_reliable(response));
        // An offer wants its answer, whoever hears what comes of it.
        let has_media = describes && one_trunk && (offers || self.can_hear(facts));
        if has_media && is_news {
            forks::give(leg, &tag, self.bandwidth(facts, ctx), facts, actions);
            if matches!(self.early, Early::None | Early::Announcing | Early::Ringback) {
                self.early = Early::Callee(leg);
            }
        } else if !has_media
            && (response.status == StatusCode::RINGING || !self.told_ringing)
            && !self.hears_another(leg, &tag, facts)
        {
            self.ring(facts, ctx, actions);
        }
    }

    /// Whether a leg's early media is heard, of another of its branches: the ringing of this one would silence that.
    fn hears_another(&self, leg: LegId, tag: &str, facts: &Facts) -> bool {
        self.early.is_of(leg) && facts.leg(leg).and_then(|leg| leg.forks.latest()).is_some_and(|latest| latest != tag)
    }

    /// A branch of a leg's INVITE is over (RFC 6228): what another had to say is heard again, else how it rings.
    fn fork_is_over(&mut self, leg: LegId, tag: &str, facts: &mut Facts, ctx: &Context<'_>, actions: &mut Actions) {
        let Some(instead) = facts.leg_mut(leg).and_then(|leg| leg.forks.end(tag)) else { return };
        match instead {
            Some(other) => forks::give(leg, &other, self.bandwidth(facts, ctx), facts, actions),
            None if self.early == Early::Flowing(leg) && self.seeker.meanwhile == Meanwhile::Ringing => {
                self.early = Early::Ringback;
                actions.push(Action::Media(Command::Ringback { session: self.seeker.leg.media() }));
            }
            None if self.early.is_of(leg) => self.early = Early::None,
            None => {}
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
            Early::None | Early::Announcing | Early::Ringback | Early::Callee(_) => {}
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
            Early::None | Early::Announcing | Early::Callee(_) | Early::Caller(_) => {}
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

    /// Whether early media reaches the seeker: it is in a call, its INVITE had an offer, or ours reaches it before the answer.
    fn can_hear(&self, facts: &Facts) -> bool {
        self.seeker.transferor.is_some()
            || match facts.offer {
                CallerOffer::Given(_) | CallerOffer::Answered => true,
                CallerOffer::Wanted => facts.caller().is_some_and(|leg| leg.reliability != Reliability::Off),
            }
    }

    /// Tells the seeker that it rings. The first reliable response to an INVITE without an offer makes one (RFC 3262 §5), and so waits for it.
    fn ring(&mut self, facts: &mut Facts, ctx: &Context<'_>, actions: &mut Actions) {
        let wants_all = |leg: &Leg| leg.reliability == Reliability::Required && leg.description.is_none();
        let is_owed = facts.offer == CallerOffer::Wanted && facts.caller().is_some_and(wants_all);
        if !is_owed || self.seeker.transferor.is_some() {
            self.tell_ringing(facts, actions);
        } else if self.early == Early::None {
            self.told_ringing = true;
            self.early = Early::Announcing;
            facts.describe_caller(Bandwidth::Narrow, ctx, actions);
        }
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
        if !self.can_hear(facts) {
            self.early_answer_unusable(facts, ctx, actions);
            return;
        }
        self.early = Early::Caller(leg);
        facts.describe_caller(facts.bandwidth_of(leg), ctx, actions);
        self.hear_early(facts, actions);
    }

    /// An early answer that cannot be used is not yet the answer; it rings all the same.
    pub(super) fn early_answer_unusable(&mut self, facts: &mut Facts, ctx: &Context<'_>, actions: &mut Actions) {
        self.early = Early::None;
        if !self.told_ringing {
            self.ring(facts, ctx, actions);
        }
    }

    /// Lets the caller hear the callee's early media once both descriptions are agreed on.
    pub(super) fn hear_early(&mut self, facts: &Facts, actions: &mut Actions) {
        let caller = facts.caller_id();
        let Some(sdp) = facts.caller().and_then(|leg| leg.description.clone()) else { return };
        if self.early == Early::Announcing {
            self.early = Early::Ringback;
            actions.push(Action::Progress { leg: caller, status: StatusCode::RINGING, sdp: Some(sdp) });
            actions.push(Action::Media(Command::Ringback { session: caller.media() }));
            return;
        }
        let Early::Caller(callee) = self.early else { return };
        self.early = Early::Flowing(callee);
        actions.push(Action::Progress { leg: caller, status: StatusCode::SESSION_PROGRESS, sdp: Some(sdp) });
        actions.push(Action::Media(Command::Bridge { a: caller.media(), b: callee.media() }));
    }
}
