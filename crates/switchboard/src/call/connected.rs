//! Connected: the caller got its 200. The call survives the loss of a browser's connection: it ends when a side hangs up, when a
//! browser does not come back in time, or when a leg's media has been silent for the configured time.

use media::{Bandwidth, Command};
use sip::{Reason, StatusCode};

use super::State;
use super::action::{Action, Actions, CallEvent, CallTimer};
use super::answering::MEDIA_TIMEOUT;
use super::ending::Ending;
use super::facts::{Context, Facts, Outcome};
use super::joining;
use super::leg::LegId;
use super::modifying::{self, Pair};
use super::replacing::{self, Replacing, Verdict};
use super::transferring::Transferring;
use crate::output::{CallResult, EndedBy};

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
            // Its place is taken in a moment.
            CallEvent::Bye { leg, .. }
            | CallEvent::SessionOver { leg }
            | CallEvent::FlowLost { leg }
            | CallEvent::Lost { leg }
            | CallEvent::NoAck { leg }
                if self.replacing.is_some_and(|it| it.old == leg) =>
            {
                State::Connected(self)
            }
            CallEvent::Bye { leg, reasons } if self.concerns(leg) => Ending::hung_up(facts, leg, &reasons, actions),
            CallEvent::SessionOver { leg } if self.concerns(leg) => Ending::hung_up(facts, leg, &[], actions),
            CallEvent::Cancelled { reasons } => Ending::hung_up(facts, facts.caller_id(), &reasons, actions),
            CallEvent::Confirmed { body } if self.answer_owed => {
                self.answer_owed = false;
                if body.is_empty() {
                    return failed(facts, "The caller's ACK brought no answer to our offer.", actions);
                }
                let session = facts.caller_id().media();
                actions.push(Action::Media(Command::HandleAnswer { session, sdp: body }));
                modifying::settle(facts.caller_id(), self.pair(), facts, actions);
                State::Connected(self)
            }
            CallEvent::NoAck { leg } if self.concerns(leg) => {
                failed(facts, &format!("{} never confirmed our answer: no ACK arrived.", side(facts, leg)), actions)
            }
            CallEvent::Lost { leg } if self.concerns(leg) => {
                let explanation = format!("{} does not answer any more, or has forgotten the call.", side(facts, leg));
                let outcome = Outcome { q850: Some(41), ..answered(EndedBy::System, &explanation) };
                Ending::finish(facts, outcome, Some(&Reason::q850(41, "Temporary failure")), actions)
            }
            CallEvent::FlowLost { leg } if self.concerns(leg) => stayed_away(facts, leg, actions),
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
            CallEvent::Join(joining) => joining::begin(self, *joining, facts, actions),
            CallEvent::Transfer(transfer) => Transferring::begin(self, *transfer, facts, ctx, actions),
            CallEvent::Hangup => Ending::by_operator(facts, actions),
            CallEvent::Start
            | CallEvent::Progress { .. }
            | CallEvent::Answered { .. }
            | CallEvent::Refused { .. }
            | CallEvent::Confirmed { .. }
            | CallEvent::FlowLost { .. }
            | CallEvent::SessionOver { .. }
            | CallEvent::Lost { .. }
            | CallEvent::Bye { .. }
            | CallEvent::NoAck { .. }
            | CallEvent::Notified { .. }
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
            return Ending::hung_up(facts, replacing.old, &[], actions);
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
        match event {
            media::Event::Digit { digit, duration, .. } => {
                let far = if leg == self.near { self.far } else { Some(self.near) };
                facts.pass_on(leg, far, digit, duration, actions);
                State::Connected(self)
            }
            media::Event::Silent { .. } => {
                let outcome = Outcome {
                    q850: Some(102),
                    ..answered(EndedBy::System, &format!("{} sent no media any more.", side(facts, leg)))
                };
                Ending::finish(facts, outcome, Some(&Reason::q850(102, "Media timeout")), actions)
            }
            media::Event::Failed { reason, .. } => {
                failed(facts, &format!("Media of {} failed: {reason}.", side(facts, leg).to_lowercase()), actions)
            }
            media::Event::Rejected { reason, .. } => {
                failed(facts, &format!("The media answer cannot be used: {reason}."), actions)
            }
            media::Event::LocalDescription { .. }
            | media::Event::Negotiated { .. }
            | media::Event::Connected { .. }
            | media::Event::Changed { .. }
            | media::Event::Closed { .. } => State::Connected(self),
        }
    }
}

fn side(facts: &Facts, leg: LegId) -> &'static str {
    if facts.is_caller(leg) { "The caller" } else { "The callee" }
}

/// A leg lost its connection and did not come back on another in time.
pub(super) fn stayed_away(facts: &mut Facts, leg: LegId, actions: &mut Actions) -> State {
    let explanation = format!("{} lost its connection and did not come back in time.", side(facts, leg));
    let outcome = Outcome { q850: Some(27), ..answered(EndedBy::System, &explanation) };
    Ending::finish(facts, outcome, Some(&Reason::q850(27, "Connection lost")), actions)
}

/// How an answered call ended.
pub(super) fn answered(ended_by: EndedBy, explanation: &str) -> Outcome {
    Outcome { result: CallResult::Answered, status: 200, q850: Some(16), ended_by, explanation: explanation.to_owned() }
}

fn failed(facts: &mut Facts, explanation: &str, actions: &mut Actions) -> State {
    let outcome = Outcome { result: CallResult::Failed, q850: Some(41), ..answered(EndedBy::System, explanation) };
    Ending::finish(facts, outcome, Some(&Reason::q850(41, "Temporary failure")), actions)
}
