//! Routing: targets are being called, none rings yet.

use super::State;
use super::action::{Actions, CallEvent};
use super::context::Context;
use super::facts::Facts;
use super::hunt::Hunt;
use super::ringing::Ringing;

/// Nothing rings.
pub(crate) struct Routing {
    pub(crate) hunt: Hunt,
}

impl Routing {
    pub(crate) fn on(
        mut self,
        event: CallEvent,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> State {
        match self.hunt.on(event, facts, ctx, actions).of_caller(facts, ctx, actions) {
            Some(state) => state,
            None if facts.ringing.is_some() => State::Ringing(Ringing { hunt: self.hunt }),
            None => State::Routing(self),
        }
    }
}
