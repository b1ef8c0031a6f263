//! What becomes of a hunt when its time is up: of a step that nobody answers, a gateway that says nothing, a shard that does not describe.

use sip::{Reason, StatusCode};

use super::action::{Action, Actions, CallTimer};
use super::cause::Failure;
use super::context::Context;
use super::explanation;
use super::facts::Facts;
use super::hunt::{Hunt, Next};
use super::leg::{LegId, Signal};
use super::{modifying, replacing};
use crate::trace::RoutingStep;

impl Hunt {
    /// Who does not answer, or is not ready, in time.
    pub(super) fn on_timer(
        &mut self,
        timer: CallTimer,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> Next {
        match timer {
            CallTimer::NoAnswer => {
                for leg in self.branches.clone() {
                    self.drop_branch(leg, Some(Reason::q850(19, "No answer")), facts, actions);
                }
                self.route.candidates.clear();
                actions.push(Action::ClearTimer(CallTimer::Attempt));
                Self::note_failure(RoutingStep::Failed, None, &Failure::no_answer(), facts);
                self.remember(Failure::no_answer());
                self.next_step(facts, ctx, actions)
            }
            CallTimer::Attempt => {
                let Some(leg) = self.branches.first().copied() else { return Next::Stay };
                let reason = Reason::q850(102, "No response");
                self.drop_branch(leg, Some(reason), facts, actions);
                let failure = Failure::new(503, format!("{} did not respond in time.", facts.described(leg)));
                let party = facts.leg(leg).map(|leg| &leg.party);
                let failure = failure.with_advice(party.and_then(|party| explanation::advice(party, 408, true)));
                self.refused(leg, failure, facts, ctx, actions)
            }
            CallTimer::Media => {
                if let Some(leg) = self.pickup.take() {
                    replacing::reject(leg, StatusCode::SERVER_INTERNAL_ERROR, facts, actions);
                }
                let stuck: Vec<LegId> =
                    facts.legs.iter().skip(1).filter(|l| l.signal == Signal::Idle).map(|l| l.id).collect();
                for leg in stuck {
                    let failure = Failure::new(500, "Media could not be prepared in time.");
                    match self.refused(leg, failure, facts, ctx, actions) {
                        Next::Stay => {}
                        over @ (Next::Answered { .. }
                        | Next::PickedUp(_)
                        | Next::Echo
                        | Next::Failed(..)
                        | Next::Abandoned(_)) => {
                            return over;
                        }
                    }
                }
                Next::Stay
            }
            CallTimer::Change => {
                for leg in self.branches.clone().into_iter().chain([self.seeker.leg]) {
                    modifying::overdue([Some(leg), None], facts, actions);
                }
                Next::Stay
            }
            CallTimer::Place | CallTimer::Reclaim | CallTimer::Farewell | CallTimer::Closing => Next::Stay,
        }
    }
}
