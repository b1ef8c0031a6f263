//! Connected: the caller got its 200. The call survives the loss of a browser's connection: it ends when a side hangs up, when a
//! browser does not come back in time, or when a leg's media has been silent for the configured time.

use media::{Bandwidth, Command};
use sip::StatusCode;

use super::State;
use super::action::{Action, Actions, CallEvent, CallTimer};
use super::answering::MEDIA_TIMEOUT;
use super::conference::Conference;
use super::consulting::{Consult, Consulting};
use super::context::Context;
use super::departure::Departure;
pub(super) use super::departure::answered;
use super::ending::Ending;
use super::facts::Facts;
use super::joining;
use super::leg::LegId;
use super::modifying::{self, Pair};
use super::replacing::{self, Replacing, Verdict};
use super::transferring::Transferring;

/// People talk.
pub(crate) struct Connected {
    /// One of the two: the caller, or who was transferred.
    pub(crate) near: LegId,
    /// The other; `None` for the echo test.
    pub(crate) far: Option<LegId>,
    /// The caller's INVITE had no offer: its ACK must bring the answer.
    pub(crate) answer_owed: bool,
    /// A leg that is taking the place of one of the two.
    pub(crate) replacing: Option<Replacing>,
}

impl Connected {
    pub(crate) fn on(
        mut self,
        event: CallEvent,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> State {
        if let Some((leg, departure)) = Departure::of(&event, facts).filter(|(leg, _)| self.concerns(*leg)) {
            return match self.replacing {
                // Its place is taken in a moment.
                Some(replacing) if replacing.old == leg => State::Connected(self),
                Some(_) | None => departure.end(facts, actions),
            };
        }
        match event {
            CallEvent::Replace(replacement) => {
                let other = self.other_than(replacement.old).flatten();
                let bandwidth = other.map_or(Bandwidth::Full, |other| facts.bandwidth_of(other));
                self.replacing = Some(replacing::begin(*replacement, bandwidth, facts, ctx, actions));
                actions.push(Action::SetTimer(CallTimer::Place, MEDIA_TIMEOUT));
                State::Connected(self)
            }
            CallEvent::Media { leg, event } if self.replacing.is_some_and(|it| it.new == leg) => {
                self.on_newcomer(event, facts, actions)
            }
            CallEvent::Timer(CallTimer::Place) if self.replacing.is_some() => {
                self.turn_away(StatusCode::SERVER_INTERNAL_ERROR, facts, actions)
            }
            CallEvent::Bye { leg, .. } | CallEvent::SessionOver { leg } | CallEvent::FlowLost { leg }
                if self.replacing.is_some_and(|it| it.new == leg) =>
            {
                self.turn_away(StatusCode::REQUEST_TERMINATED, facts, actions)
            }
            CallEvent::Confirmed { body } if self.answer_owed => {
                self.answer_owed = false;
                if body.is_empty() {
                    return Departure::failed("The caller's ACK brought no answer to our offer.").end(facts, actions);
                }
                let session = facts.caller_id().media();
                actions.push(Action::Media(Command::HandleAnswer { session, sdp: body }));
                modifying::settle(facts.caller_id(), self.pair(), facts, actions);
                State::Connected(self)
            }
            CallEvent::Change { leg, change } => {
                if self.concerns(leg) {
                    modifying::on(leg, change, self.pair(), facts, actions);
                } else {
                    modifying::untimely(leg, &change, actions);
                }
                State::Connected(self)
            }
            CallEvent::Timer(CallTimer::Change) => {
                modifying::overdue(self.pair(), facts, actions);
                State::Connected(self)
            }
            CallEvent::Media { leg, event } => self.on_media(leg, event, facts, actions),
            CallEvent::Digit { leg, digit, duration } => {
                facts.press(leg, digit, duration, actions);
                State::Connected(self)
            }
            CallEvent::Dial { leg, digits, duration } => {
                facts.dial(leg, &digits, duration, actions);
                State::Connected(self)
            }
            CallEvent::Join(joining) => joining::begin(self, *joining, facts, ctx, actions),
            CallEvent::Transfer(transfer) => Transferring::begin(self, *transfer, facts, ctx, actions),
            CallEvent::Add(adding) => Conference::begin(self, *adding, facts, ctx, actions),
            CallEvent::Consult(Consult::Begin(consultation)) => {
                Consulting::begin(self, *consultation, facts, ctx, actions)
            }
            CallEvent::Hangup | CallEvent::Dismiss { .. } => Ending::by_operator(facts, actions),
            CallEvent::Start
            | CallEvent::Progress { .. }
            | CallEvent::Answered { .. }
            | CallEvent::Refused { .. }
            | CallEvent::Cancelled { .. }
            | CallEvent::Confirmed { .. }
            | CallEvent::FlowLost { .. }
            | CallEvent::SessionOver { .. }
            | CallEvent::Lost { .. }
            | CallEvent::Bye { .. }
            | CallEvent::NoAck { .. }
            | CallEvent::Notified { .. }
            | CallEvent::Consult(Consult::Complete | Consult::Cancel)
            | CallEvent::Phones { .. }
            | CallEvent::Timer(_) => State::Connected(self),
        }
    }

    pub(super) fn pair(&self) -> Pair {
        [Some(self.near), self.far]
    }

    /// Whom a leg talks to: `None` when it does not talk here, `Some(None)` when it talks to itself.
    pub(super) fn other_than(&self, leg: LegId) -> Option<Option<LegId>> {
        if leg == self.near { Some(self.far) } else { (self.far == Some(leg)).then_some(Some(self.near)) }
    }

    fn concerns(&self, leg: LegId) -> bool {
        self.pair().contains(&Some(leg))
    }

    /// Media of a leg that takes the place of one of the two.
    fn on_newcomer(mut self, event: media::Event, facts: &mut Facts, actions: &mut Actions) -> State {
        let sdp = match Verdict::of(event) {
            Verdict::Answer(sdp) => sdp,
            Verdict::Refuse(status) => return self.turn_away(status, facts, actions),
            Verdict::Wait => return State::Connected(self),
        };
        let Some(replacing) = self.replacing.take() else { return State::Connected(self) };
        let (new, other) = (replacing.new, self.other_than(replacing.old).flatten());
        actions.push(Action::ClearTimer(CallTimer::Place));
        replacing::accept(new, sdp, facts, actions);
        if self.near == replacing.old {
            self.near = new;
        } else {
            self.far = Some(new);
        }
        actions.push(Action::Media(match other {
            Some(other) => Command::Bridge { a: new.media(), b: other.media() },
            None => Command::Echo { session: new.media() },
        }));
        replacing::take_place(replacing, facts, actions);
        State::Connected(self)
    }

    /// Whoever was to take a place does not. If the one whose place it is has left meanwhile, that was a hang-up.
    fn turn_away(mut self, status: StatusCode, facts: &mut Facts, actions: &mut Actions) -> State {
        let Some(replacing) = self.replacing.take() else { return State::Connected(self) };
        actions.push(Action::ClearTimer(CallTimer::Place));
        replacing::reject(replacing.new, status, facts, actions);
        if facts.leg(replacing.old).is_some_and(super::Leg::is_over) {
            return Departure::hung_up(facts, replacing.old, &[]).end(facts, actions);
        }
        State::Connected(self)
    }

    fn on_media(self, leg: LegId, event: media::Event, facts: &mut Facts, actions: &mut Actions) -> State {
        if !self.concerns(leg) {
            return State::Connected(self);
        }
        let Some(event) = modifying::of_shard(leg, event, self.pair(), facts, actions) else {
            return State::Connected(self);
        };
        if let Some(departure) = Departure::of_media(leg, &event, facts) {
            return departure.end(facts, actions);
        }
        if let media::Event::Digit { digit, duration, .. } = event {
            let far = if leg == self.near { self.far } else { Some(self.near) };
            facts.pass_on(leg, far, digit, duration, actions);
        }
        State::Connected(self)
    }
}

/// A leg lost its connection and did not come back on another in time.
pub(super) fn stayed_away(facts: &mut Facts, leg: LegId, actions: &mut Actions) -> State {
    Departure::stayed_away(facts, leg).end(facts, actions)
}
