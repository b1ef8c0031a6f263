//! Answering: a target took the call; the shards agree on media with it and with the caller, then the caller gets its 200.

use std::time::Duration;

use bytes::Bytes;
use media::{Bandwidth, Command};
use sip::{Reason, Response};

use super::State;
use super::action::{Action, Actions, CallEvent, CallTimer};
use super::cause::Failure;
use super::connected::Connected;
use super::context::Context;
use super::ending::Ending;
use super::facts::{CallerOffer, Facts};
use super::leg::{LegId, Party, Signal};
use super::{forks, modifying};
use crate::output::{CallState, EndedBy};

/// How long a shard may take to describe or negotiate: it computes, it does not wait for a peer.
pub(crate) const MEDIA_TIMEOUT: Duration = Duration::from_secs(5);

/// Who answered. The last of their descriptions counts: what came before the 200 was a promise.
pub(crate) struct Answering {
    /// `None` for the echo test.
    callee: Option<LegId>,
}

impl Answering {
    /// A leg that rang was taken over by another, which is answered already.
    pub(super) fn picked_up(facts: &mut Facts, callee: LegId, ctx: &mut Context<'_>, actions: &mut Actions) -> State {
        Self::choose(facts, callee, actions);
        Self { callee: Some(callee) }.advance(facts, ctx, actions)
    }

    /// A callee answered.
    pub(crate) fn begin(
        facts: &mut Facts,
        callee: LegId,
        response: &Response,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> State {
        Self::choose(facts, callee, actions);
        let bandwidth = facts.bandwidth_of(facts.caller_id());
        // Without SDP in the 200 the answer that came with a provisional response stands (RFC 3261 §13.2.1).
        if !forks::answered(callee, response, bandwidth, facts, actions) {
            let failure = Failure::new(500, format!("{} answered without media.", facts.described(callee)));
            return Ending::refuse(facts, &failure, EndedBy::System, actions);
        }
        Self { callee: Some(callee) }.advance(facts, ctx, actions)
    }

    /// This one has the call; every other branch is told so.
    fn choose(facts: &mut Facts, callee: LegId, actions: &mut Actions) {
        let (caller, legs) = (facts.caller_id(), facts.legs.iter().map(|leg| leg.id).collect::<Vec<_>>());
        for leg in legs.into_iter().filter(|leg| *leg != callee && *leg != caller) {
            facts.release(leg, Some(Reason::sip(200, "Call completed elsewhere")), actions);
        }
        if let Some(leg) = facts.leg_mut(callee) {
            leg.state = CallState::Connected;
            let agent = match &leg.party {
                Party::Extension { agent, .. } => agent.clone(),
                Party::Trunk { .. } => None,
            };
            facts.callee_agent = agent;
        }
        actions.push(Action::ClearTimer(CallTimer::Attempt));
        actions.push(Action::ClearTimer(CallTimer::NoAnswer));
        actions.push(Action::SetTimer(CallTimer::Media, MEDIA_TIMEOUT));
    }

    /// The caller talks to itself.
    pub(crate) fn echo(facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> State {
        actions.push(Action::ClearTimer(CallTimer::NoAnswer));
        actions.push(Action::SetTimer(CallTimer::Media, MEDIA_TIMEOUT));
        Self { callee: None }.advance(facts, ctx, actions)
    }

    pub(crate) fn on(self, event: CallEvent, facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> State {
        let failure = match event {
            CallEvent::Media { leg, event } if self.settles(leg, &event, facts, actions) => {
                return self.advance(facts, ctx, actions);
            }
            CallEvent::Media { leg, event } => match event {
                media::Event::Negotiated { .. } if Some(leg) == self.callee => {
                    return self.advance(facts, ctx, actions);
                }
                media::Event::Rejected { .. } if Some(leg) == self.callee && self.awaits(facts) => {
                    return State::Answering(self);
                }
                media::Event::LocalDescription { .. } => return self.advance(facts, ctx, actions),
                media::Event::Rejected { reason, .. } if self.concerns(leg, facts) => {
                    Failure::new(488, format!("The media description cannot be used: {reason}."))
                }
                media::Event::Failed { reason, .. } if self.concerns(leg, facts) => {
                    Failure::new(500, format!("Media failed: {reason}."))
                }
                media::Event::Negotiated { .. }
                | media::Event::Rejected { .. }
                | media::Event::Failed { .. }
                | media::Event::Connected { .. }
                | media::Event::Milestone { .. }
                | media::Event::Changed { .. }
                | media::Event::Digit { .. }
                | media::Event::Silent { .. }
                | media::Event::Closed { .. } => return State::Answering(self),
            },
            CallEvent::Cancelled { reasons } => return Ending::cancelled(facts, &reasons, actions),
            CallEvent::Bye { leg, .. } | CallEvent::SessionOver { leg } if Some(leg) == self.callee => {
                let failure = Failure::new(480, format!("{} hung up at once.", facts.described(leg)));
                return Ending::refuse(facts, &failure, EndedBy::Callee, actions);
            }
            CallEvent::SessionOver { leg } if facts.is_caller(leg) => {
                return Ending::cancelled(facts, &[], actions);
            }
            CallEvent::FlowLost { leg } if facts.is_caller(leg) => {
                Failure::new(480, "The caller's connection was lost before the call was answered.")
            }
            CallEvent::Digit { leg, digit, duration } => {
                facts.press(leg, digit, duration, actions);
                return State::Answering(self);
            }
            CallEvent::Confirmed { body } if facts.offer == CallerOffer::Wanted && !body.is_empty() => {
                facts.take_answer(body, actions);
                return State::Answering(self);
            }
            CallEvent::NoAck { leg } if facts.is_caller(leg) => {
                Failure::new(504, "The caller confirmed nothing of what it was told: no PRACK arrived.")
            }
            CallEvent::Timer(CallTimer::Change) => {
                modifying::overdue(self.pair(facts), facts, actions);
                return State::Answering(self);
            }
            CallEvent::Timer(CallTimer::Media) => Failure::new(500, "Media was not agreed on in time."),
            CallEvent::Change { leg, change } => {
                modifying::untimely(leg, &change, actions);
                return State::Answering(self);
            }
            CallEvent::Hangup => {
                let failure = Failure::new(480, "An operator ended the call.");
                return Ending::refuse(facts, &failure, EndedBy::Operator, actions);
            }
            CallEvent::Start
            | CallEvent::Progress { .. }
            | CallEvent::Answered { .. }
            | CallEvent::Refused { .. }
            | CallEvent::Confirmed { .. }
            | CallEvent::NoAck { .. }
            | CallEvent::Lost { .. }
            | CallEvent::Bye { .. }
            | CallEvent::FlowLost { .. }
            | CallEvent::SessionOver { .. }
            | CallEvent::Dial { .. }
            | CallEvent::Transfer(_)
            | CallEvent::Consult(_)
            | CallEvent::Join(_)
            | CallEvent::Add(_)
            | CallEvent::Dismiss { .. }
            | CallEvent::Replace(_)
            | CallEvent::Notified { .. }
            | CallEvent::Phones { .. }
            | CallEvent::Timer(_) => return State::Answering(self),
        };
        Ending::refuse(facts, &failure, EndedBy::System, actions)
    }

    fn concerns(&self, leg: LegId, facts: &Facts) -> bool {
        Some(leg) == self.callee || facts.is_caller(leg)
    }

    fn pair(&self, facts: &Facts) -> modifying::Pair {
        [Some(facts.caller_id()), self.callee]
    }

    /// Whether the shard has not decided on a description of the callee's.
    fn awaits(&self, facts: &Facts) -> bool {
        self.callee.and_then(|leg| facts.leg(leg)).is_some_and(|leg| leg.forks.awaits_shard())
    }

    /// Whether the shard's word is on a change that was asked for before the answer, or the answer to the callee's own offer.
    fn settles(&self, leg: LegId, event: &media::Event, facts: &mut Facts, actions: &mut Actions) -> bool {
        let bandwidth = facts.bandwidth_of(facts.caller_id());
        if modifying::of_shard(leg, event.clone(), self.pair(facts), facts, actions).is_none() {
            forks::give_next(leg, bandwidth, facts, actions);
            return true;
        }
        matches!(event, media::Event::LocalDescription { .. }) && forks::described(leg, bandwidth, facts, actions)
    }

    /// Takes the next step that nothing is in the way of.
    fn advance(self, facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> State {
        if self.awaits(facts) {
            return State::Answering(self);
        }
        let Some(sdp) = facts.caller().and_then(|leg| leg.description.clone()) else {
            let bandwidth = self.callee.map_or(Bandwidth::Full, |leg| facts.bandwidth_of(leg));
            facts.describe_caller(bandwidth, ctx, actions);
            return State::Answering(self);
        };
        self.answer(sdp, facts, ctx, actions)
    }

    fn answer(self, sdp: Bytes, facts: &mut Facts, ctx: &Context<'_>, actions: &mut Actions) -> State {
        let (caller, answer_owed) = (facts.caller_id(), facts.offer == CallerOffer::Wanted);
        actions.push(Action::ClearTimer(CallTimer::Media));
        actions.push(Action::Accept { leg: caller, sdp });
        if let Some(leg) = facts.leg_mut(caller) {
            leg.signal = Signal::Up;
            leg.state = CallState::Connected;
            if answer_owed {
                modifying::begin_offered(leg);
            }
        }
        facts.answered = Some(ctx.now);
        match self.callee {
            Some(callee) => {
                actions.push(Action::Media(Command::Bridge { a: caller.media(), b: callee.media() }));
            }
            None => {
                actions.push(Action::Media(Command::Echo { session: caller.media() }));
            }
        }
        State::Connected(Connected { near: caller, far: self.callee, answer_owed, replacing: None })
    }
}
