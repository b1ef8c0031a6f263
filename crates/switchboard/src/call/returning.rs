//! Who comes back to a consultation: a page that was loaded again, or a phone that was called for it, takes the agent's place and hears
//! what the agent heard. The places of the two others are taken by nobody meanwhile: who waits may be joined with the target at any
//! moment, and the target's is not sure yet. They are refused for now, and ask again.

use media::{Bandwidth, Command};
use sip::StatusCode;

use super::State;
use super::action::{Action, Actions, CallTimer};
use super::answering::MEDIA_TIMEOUT;
use super::consulting::{Consulting, Stage};
use super::context::Context;
use super::departure::Departure;
use super::facts::Facts;
use super::leg::{Leg, LegId};
use super::replacing::{self, Replacement, Verdict};

impl Consulting {
    /// Whether a leg's place can be taken now.
    pub(super) fn check_replaceable(&self, leg: LegId) -> Result<(), StatusCode> {
        let is_free = leg == self.agent && self.before.replacing.is_none();
        if is_free { Ok(()) } else { Err(StatusCode::REQUEST_PENDING) }
    }

    /// Whether the agent's place is about to be taken.
    pub(super) fn is_changing(&self) -> bool {
        self.before.replacing.is_some()
    }

    pub(super) fn is_replaced(&self, leg: LegId) -> bool {
        self.before.replacing.is_some_and(|replacing| replacing.old == leg)
    }

    pub(super) fn is_newcomer(&self, leg: LegId) -> bool {
        self.before.replacing.is_some_and(|replacing| replacing.new == leg)
    }

    /// A leg comes to take the agent's place.
    pub(super) fn replace(
        mut self,
        replacement: Replacement,
        facts: &mut Facts,
        ctx: &Context<'_>,
        actions: &mut Actions,
    ) -> State {
        // Whoever it will talk to in the end takes what each of them can be sent.
        self.before.replacing = Some(replacing::begin(replacement, Bandwidth::Full, facts, ctx, actions));
        actions.push(Action::SetTimer(CallTimer::Place, MEDIA_TIMEOUT));
        self.stay()
    }

    /// Media of the leg that takes the agent's place.
    pub(super) fn on_newcomer(mut self, event: media::Event, facts: &mut Facts, actions: &mut Actions) -> State {
        let sdp = match Verdict::of(event) {
            Verdict::Answer(sdp) => sdp,
            Verdict::Refuse(status) => return self.turn_away(status, facts, actions),
            Verdict::Wait => return self.stay(),
        };
        let Some(replacing) = self.before.replacing.take() else { return self.stay() };
        let new = replacing.new;
        actions.push(Action::ClearTimer(CallTimer::Place));
        replacing::accept(new, sdp, facts, actions);
        if self.before.near == replacing.old {
            self.before.near = new;
        } else {
            self.before.far = Some(new);
        }
        self.agent = new;
        self.waiting.transferor = Some(new);
        let session = new.media();
        match &mut self.stage {
            Stage::Reaching(reaching) => reaching.move_seeker(new, actions),
            Stage::Talking(Some(target)) => {
                actions.push(Action::Media(Command::Bridge { a: session, b: target.media() }));
            }
            Stage::Talking(None) => actions.push(Action::Media(Command::Echo { session })),
        }
        replacing::take_place(replacing, facts, actions);
        self.stay()
    }

    /// Whoever was to take the agent's place does not. If the agent has left meanwhile, it has.
    pub(super) fn turn_away(mut self, status: StatusCode, facts: &mut Facts, actions: &mut Actions) -> State {
        let Some(replacing) = self.before.replacing.take() else { return self.stay() };
        actions.push(Action::ClearTimer(CallTimer::Place));
        replacing::reject(replacing.new, status, facts, actions);
        if facts.leg(replacing.old).is_some_and(Leg::is_over) {
            let departure = Departure::hung_up(facts, replacing.old, &[]);
            return self.leave(replacing.old, departure, facts, actions);
        }
        self.stay()
    }
}
