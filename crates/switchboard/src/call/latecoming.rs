//! Phones that register while their extension rings: they ring too, at once; and those that lost their connection a moment ago, which are
//! waited for as long as the registrar expects them back and the step may ring.

use super::action::Actions;
use super::cause::Failure;
use super::context::Context;
use super::facts::Facts;
use super::hunt::{Hunt, Next};
use super::leg::{LegId, Party};
use super::target::latecomers;

impl Hunt {
    /// A phone has registered, and rings like the others; or one that was expected back does not come.
    pub(super) fn phones_changed(
        &mut self,
        extension: &str,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> Next {
        if !self.phones.iter().any(|number| number == extension) {
            return Next::Stay;
        }
        let rings = |leg: &LegId| {
            let party = facts.leg(*leg).map(|leg| &leg.party);
            matches!(party, Some(Party::Extension { number, .. }) if number == extension)
        };
        let is_called = self.branches.iter().any(rings);
        let room = ctx.config.max_branches.saturating_sub(self.branches.len());
        for leg in latecomers(extension, &self.rung, is_called, &self.seeker, facts, ctx).into_iter().take(room) {
            self.open(leg, facts, ctx, actions);
        }
        if !self.branches.is_empty() || self.expects_phone(ctx) {
            return Next::Stay;
        }
        self.remember(Failure::new(480, format!("No phone of extension {extension} is registered.")));
        self.next_step(facts, ctx, actions)
    }

    /// Whether a phone that lost its connection may come back yet.
    pub(super) fn expects_phone(&self, ctx: &Context<'_>) -> bool {
        self.phones.iter().any(|number| ctx.registrar.expects(number))
    }
}
