//! Who comes to a conference: somebody who was asked and answers, whom an agent has in another call, or who takes the place of one who
//! hands it on by a transfer (RFC 5589). Those who talk go on meanwhile, also the one who transfers.

use media::Command;
use sip::StatusCode;

use super::action::{Action, Actions, CallEvent, CallTimer};
use super::cause::Failure;
use super::conference::{Awaited, Conference};
use super::context::Context;
use super::facts::Facts;
use super::joining::{Brought, Joining, take_in};
use super::leg::LegId;
use super::participant::{Adding, Whom};
use super::reaching::{Reach, Reaching};
use super::transferring::Transfer;
use super::{State, referral, replacing};
use crate::output::{TransferMode, TransferStatus};

impl Conference {
    /// Somebody is asked to join, or brought.
    pub(super) fn add(
        mut self,
        adding: Adding,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> State {
        let Adding { name, seeker, whom } = adding;
        facts.await_participant(name, seeker.dialled.clone());
        // Each one asked is a hop: calls that ask each other for ever end like any loop (RFC 3261 §16.3).
        let hops = facts.max_forwards.checked_sub(1);
        facts.max_forwards = hops.unwrap_or(0);
        match whom {
            Whom::Called(steps) => {
                let too_often = || Failure::new(483, "Too many were asked to join the call.");
                let steps = if hops.is_some() { steps } else { Err(too_often()) };
                self.awaited = Some(Awaited { reaching: Reaching::new(seeker, steps), place: None });
                self.reach(CallEvent::Start, facts, ctx, actions)
            }
            Whom::Brought(Brought::Ringing(hunt, legs)) => {
                facts.legs.extend(legs);
                let mut hunt = *hunt;
                hunt.seek_for(seeker, facts, actions);
                self.awaited = Some(Awaited { reaching: Reaching::hunting(hunt), place: None });
                self.stay()
            }
            Whom::Brought(Brought::Talking(legs)) => {
                for leg in take_in(legs, facts, actions) {
                    facts.participant_joined(leg);
                    self.admit(leg, ctx, actions);
                }
                self.settle()
            }
        }
    }

    /// One of them hands its place on.
    pub(super) fn hand_on(
        mut self,
        transfer: Transfer,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> State {
        let Transfer { id, mode, transferor, sequence, seeker, steps } = transfer;
        let steps = facts.begin_transfer(id, mode, transferor, &seeker.dialled, steps);
        if let Some(sequence) = sequence {
            referral::subscribe(transferor, sequence, facts, actions);
        }
        self.awaited = Some(Awaited { reaching: Reaching::new(seeker, steps), place: Some(transferor) });
        self.reach(CallEvent::Start, facts, ctx, actions)
    }

    /// One of them hands its place on to whom it has in another call.
    pub(super) fn join(
        mut self,
        joining: Joining,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> State {
        let Joining { id, transferor, sequence, seeker, brought } = joining;
        // There was a hop left, or nothing would have been brought.
        facts.begin_transfer(id, TransferMode::Attended, transferor, &seeker.dialled, Ok(Vec::new())).ok();
        if let Some(sequence) = sequence {
            referral::subscribe(transferor, sequence, facts, actions);
        }
        match brought {
            Brought::Talking(legs) => {
                for leg in take_in(legs, facts, actions) {
                    self.admit(leg, ctx, actions);
                }
                self.part(transferor, facts, actions);
                self.settle()
            }
            Brought::Ringing(hunt, legs) => {
                facts.legs.extend(legs);
                let mut hunt = *hunt;
                hunt.seek_for(seeker, facts, actions);
                self.awaited = Some(Awaited { reaching: Reaching::hunting(hunt), place: Some(transferor) });
                self.stay()
            }
        }
    }

    /// What happens where somebody is asked.
    pub(super) fn reach(
        mut self,
        event: CallEvent,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> State {
        let Some(Awaited { reaching, place }) = &mut self.awaited else { return self.stay() };
        let place = *place;
        let failure = match reaching.on(event, facts, ctx, actions) {
            Reach::Stay => return self.stay(),
            Reach::Reached { target } => {
                Reaching::stop(actions);
                self.awaited = None;
                match place {
                    Some(transferor) => self.part(transferor, facts, actions),
                    None => facts.participant_joined(target),
                }
                self.admit(target, ctx, actions);
                return self.settle();
            }
            Reach::Echo => Failure::new(488, "The echo test joins nobody."),
            Reach::Failed(failure) => failure,
            Reach::Abandoned => Failure::new(487, "Nobody waits any more."),
        };
        if let Some(transferor) = place {
            facts.settle_transfer(TransferStatus::Failed, failure.status_code());
            referral::conclude(transferor, failure.status_code(), facts, actions);
        }
        self.let_go(failure.status, None, facts, actions);
        self.settle()
    }

    /// Whose place was taken does not talk here any more, and is told so. Nor is there a place for whoever was about to take it.
    fn part(&mut self, transferor: LegId, facts: &mut Facts, actions: &mut Actions) {
        if let Some(replacing) = self.replacing.take_if(|replacing| replacing.old == transferor) {
            actions.push(Action::ClearTimer(CallTimer::Place));
            replacing::reject(replacing.new, StatusCode::DECLINE, facts, actions);
        }
        self.members.retain(|member| *member != transferor);
        facts.settle_transfer(TransferStatus::Succeeded, StatusCode::OK);
        facts.close_media(transferor, actions);
        referral::part(transferor, StatusCode::OK, facts, actions);
    }

    /// One more talks.
    fn admit(&mut self, leg: LegId, ctx: &mut Context<'_>, actions: &mut Actions) {
        self.members.push(leg);
        match self.mix {
            Some(mix) => actions.push(Action::Media(Command::Mix { session: leg.media(), mix })),
            None => self.join_all(ctx, actions),
        }
    }
}
