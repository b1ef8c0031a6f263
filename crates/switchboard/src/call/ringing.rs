//! Ringing: a target has rung; the caller may hear early media.

use super::State;
use super::action::{Actions, CallEvent};
use super::context::Context;
use super::facts::Facts;
use super::hunt::Hunt;

/// Something rings, or rang before the present target.
pub(crate) struct Ringing {
    pub(crate) hunt: Hunt,
}

impl Ringing {
    pub(crate) fn on(
        mut self,
        event: CallEvent,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> State {
        let next = self.hunt.on(event, facts, ctx, actions);
        next.of_caller(facts, ctx, actions).unwrap_or(State::Ringing(self))
    }
}
