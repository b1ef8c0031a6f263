//! Routing: targets are being called, none rings yet.

use super::State;
use super::action::{Actions, CallEvent};
use super::facts::{Context, Facts};
use super::hunt::{Hunt, Next};
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
        match self.hunt.on(event, facts, ctx, actions) {
            Next::Stay if facts.ringing.is_some() => State::Ringing(Ringing { hunt: self.hunt }),
            Next::Stay => State::Routing(self),
            Next::Go(state) => *state,
        }
    }
}
