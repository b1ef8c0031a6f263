//! One call: a back-to-back user agent over its legs, as a consuming state machine (RFC 7092, RFC 3261). Takes events, gives
//! actions; sends nothing itself.
//!
//! Routing -> Ringing -> Answering -> Connected -> Ending -> Over; every state may go to Ending.

mod action;
mod answering;
mod cause;
mod connected;
mod digits;
mod early;
mod ending;
mod facts;
mod hunt;
mod leg;
mod modifying;
mod progress;
mod ringing;
mod routing;
mod target;

pub(crate) use action::{Action, Actions, CallEvent, CallTimer, Change};
pub(crate) use cause::{Failure, reasons};
pub(crate) use facts::{CallerOffer, Context, Facts, Occupation, Usage};
pub(crate) use leg::{Leg, LegId, Party, Signal};
pub(crate) use target::own_contact;

use self::answering::Answering;
use self::connected::Connected;
use self::ending::Ending;
use self::hunt::Hunt;
use self::ringing::Ringing;
use self::routing::Routing;
use crate::dialplan::Step;
use crate::output::{CallState, OperatorError};

/// A running call.
pub(crate) struct Call {
    pub(crate) facts: Facts,
    state: State,
}

/// Where a call stands.
pub(crate) enum State {
    /// A target is being found; nothing rings.
    Routing(Routing),
    /// A target rings.
    Ringing(Ringing),
    /// A target has answered; media is being agreed on.
    Answering(Answering),
    /// The caller was answered.
    Connected(Connected),
    /// Everything was taken down; media sessions are closing.
    Ending(Ending),
    /// Nothing is owed to anybody.
    Over,
}

impl Call {
    /// A call that will try these steps once it gets [`CallEvent::Start`], or be refused.
    pub(crate) fn new(facts: Facts, steps: Result<Vec<Step>, Failure>) -> Self {
        let hunt = steps.map_or_else(Hunt::in_vain, Hunt::new);
        Self { facts, state: State::Routing(Routing { hunt }) }
    }

    /// Takes an event.
    pub(crate) fn on(&mut self, event: CallEvent, ctx: &mut Context<'_>, actions: &mut Actions) {
        self.facts.note(&event);
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = state.on(event, &mut self.facts, ctx, actions);
    }

    /// Whether nothing is owed to anybody any more.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The leg an operator's hold is about: the one named, else the agent's, which is the caller's when agents talk to each other.
    ///
    /// # Errors
    /// When nobody talks, or the leg is none that does.
    pub(crate) fn holder(&self, name: Option<&str>) -> Result<&Leg, OperatorError> {
        let State::Connected(connected) = &self.state else { return Err(OperatorError::NotConnected) };
        let legs = [Some(self.facts.caller_id()), connected.callee].into_iter().flatten();
        let mut legs = legs.filter_map(|leg| self.facts.leg(leg));
        let found = legs.find(|leg| match name {
            Some(name) => leg.name == name,
            None => matches!(leg.party, Party::Extension { .. }),
        });
        found.ok_or(OperatorError::UnknownLeg)
    }

    /// As the API shows it.
    pub(crate) fn shown_state(&self) -> CallState {
        match &self.state {
            State::Routing(_) => CallState::Routing,
            State::Ringing(_) | State::Answering(_) => CallState::Ringing,
            State::Connected(_) => CallState::Connected,
            State::Ending(_) | State::Over => CallState::Ending,
        }
    }
}

impl State {
    fn on(self, event: CallEvent, facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> Self {
        match self {
            Self::Routing(state) => state.on(event, facts, ctx, actions),
            Self::Ringing(state) => state.on(event, facts, ctx, actions),
            Self::Answering(state) => state.on(event, facts, ctx, actions),
            Self::Connected(state) => state.on(event, facts, ctx, actions),
            Self::Ending(state) => state.on(event, facts, actions),
            Self::Over => Self::Over,
        }
    }
}

#[cfg(test)]
mod tests;
