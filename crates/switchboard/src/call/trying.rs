//! Whom a hunt tries, one after another: the dialplan's targets step by step, and a trunk's gateways in their order.

use std::collections::VecDeque;
use std::time::Duration;

use media::{Bandwidth, Command};

use super::action::{Action, Actions, CallTimer};
use super::answering::MEDIA_TIMEOUT;
use super::bandwidth;
use super::cause::Failure;
use super::clearing::clear;
use super::context::Context;
use super::facts::Facts;
use super::hunt::{Hunt, Next};
use super::leg::{Leg, LegId, Party, Signal};
use super::target::{Candidate, Resolved, resolve};
use crate::dialplan::{Step, Target};
use crate::directory::MediaEncryption;
use crate::output::EndedBy;
use crate::trace::RoutingStep;

/// What a hunt tries, and has left to try.
#[derive(Debug, Clone, Default)]
pub(crate) struct Route {
    pub(super) steps: VecDeque<Step>,
    pub(super) candidates: VecDeque<Candidate>,
    /// The gateway that is being tried, or was last.
    tried: Option<Candidate>,
    /// The hunt was let through to a trunk already.
    cleared: bool,
}

impl Route {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Self { steps: steps.into(), ..Self::default() }
    }
}

impl Hunt {
    /// The next target of the dialplan's decision, until one can be called.
    pub(super) fn next_step(&mut self, facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> Next {
        self.phones.clear();
        self.rung.clear();
        while let Some(step) = self.route.steps.pop_front() {
            facts.note_routing(RoutingStep::Target, None, None, format!("The target is {}.", step.target));
            if let Target::Trunks { number, .. } = &step.target {
                if let Err(failure) = clear(number, !self.route.cleared, &self.seeker, facts, ctx) {
                    Self::note_failure(RoutingStep::Failed, None, &failure, facts);
                    return Next::Failed(failure, EndedBy::System);
                }
                self.route.cleared = true;
            }
            match resolve(&step.target, &self.seeker, facts, ctx) {
                Resolved::Phones { numbers, legs, patience } => {
                    self.phones = numbers;
                    self.patience(step.timeout.unwrap_or(patience), actions);
                    for leg in legs {
                        self.open(leg, facts, ctx, actions);
                    }
                    return Next::Stay;
                }
                Resolved::Gateways(candidates) => {
                    self.route.candidates = candidates;
                    self.patience(step.timeout.unwrap_or(ctx.config.ring_timeout), actions);
                    if self.next_candidate(facts, ctx, actions) {
                        return Next::Stay;
                    }
                }
                Resolved::Echo => return Next::Echo,
                Resolved::Refused(failure) => {
                    Self::note_failure(RoutingStep::Failed, None, &failure, facts);
                    return Next::Failed(failure, EndedBy::System);
                }
                Resolved::Nobody(failure) => {
                    Self::note_failure(RoutingStep::Skipped, None, &failure, facts);
                    self.remember(failure);
                }
            }
        }
        let failure = self.failure.take().unwrap_or_else(|| Failure::new(404, "The dialplan names no target."));
        let by = match failure.result {
            crate::output::CallResult::Busy => EndedBy::Callee,
            crate::output::CallResult::Answered
            | crate::output::CallResult::NoAnswer
            | crate::output::CallResult::Cancelled
            | crate::output::CallResult::Failed => EndedBy::System,
        };
        Next::Failed(failure, by)
    }

    fn patience(&mut self, patience: Duration, actions: &mut Actions) {
        actions.push(Action::SetTimer(CallTimer::NoAnswer, patience));
    }

    /// The next gateway of the present step; false when there is none left.
    pub(super) fn next_candidate(&mut self, facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> bool {
        while let Some(candidate) = self.route.candidates.pop_front() {
            match candidate.leg(&self.seeker, facts, ctx) {
                Ok(leg) => {
                    self.route.tried = Some(candidate);
                    self.open(leg, facts, ctx, actions);
                    return true;
                }
                Err(failure) => {
                    Self::note_failure(RoutingStep::Skipped, None, &failure, facts);
                    self.remember(failure);
                }
            }
        }
        false
    }

    /// The same gateway once more in the clear, when it refused media that its trunk has encrypted only where that is possible.
    pub(super) fn fallback(
        &mut self,
        refused: LegId,
        failure: &Failure,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> bool {
        let is_about_media = matches!(failure.status, 415 | 488 | 606);
        let Some(Party::Trunk { id, .. }) =
            facts.leg(refused).filter(|leg| !leg.is_fallback && !leg.forks.is_late).map(|leg| &leg.party)
        else {
            return false;
        };
        let encryption = ctx.directory.trunks.get(id).map(|trunk| trunk.media.encryption);
        if !is_about_media || encryption != Some(MediaEncryption::Optional) {
            return false;
        }
        let Some(Ok(leg)) = self.route.tried.take().map(|candidate| candidate.leg(&self.seeker, facts, ctx)) else {
            return false;
        };
        self.open(Leg { is_fallback: true, ..leg }, facts, ctx, actions);
        true
    }

    pub(super) fn note_failure(step: RoutingStep, leg: Option<LegId>, failure: &Failure, facts: &mut Facts) {
        facts.note_routing(step, leg, Some(failure.status), failure.explanation.clone());
    }

    /// Opens a leg's media and asks for the offer its INVITE will carry, unless that is to ask for one.
    pub(super) fn open(&mut self, leg: Leg, facts: &mut Facts, ctx: &Context<'_>, actions: &mut Actions) {
        let (id, is_late) = (leg.id, leg.forks.is_late);
        self.branches.push(id);
        self.rung.extend(leg.contact.clone());
        facts.legs.push(leg);
        facts.open_media(id, ctx, actions);
        if is_late {
            Self::send_invite(id, facts, ctx, actions);
            return;
        }
        let bandwidth = self.bandwidth(facts, ctx);
        actions.push(Action::Media(Command::CreateOffer { session: id.media(), bandwidth }));
        actions.push(Action::SetTimer(CallTimer::Media, MEDIA_TIMEOUT));
    }

    /// What the seeker can use.
    pub(super) fn bandwidth(&self, facts: &Facts, ctx: &Context<'_>) -> Bandwidth {
        match facts.leg(self.seeker.leg).map(|leg| &leg.party) {
            Some(Party::Extension { number, .. }) => ctx
                .directory
                .extensions
                .get(number)
                .and_then(|extension| bandwidth::best(&extension.codecs))
                .unwrap_or(Bandwidth::Full),
            // Which of its codecs the carrier will have is not known yet.
            Some(Party::Trunk { id, .. }) => {
                let trunk = ctx.directory.trunks.get(id);
                trunk.and_then(|trunk| bandwidth::best(&trunk.media.codecs)).unwrap_or(Bandwidth::Narrow)
            }
            None => Bandwidth::Narrow,
        }
    }

    pub(super) fn send_invite(id: LegId, facts: &mut Facts, ctx: &Context<'_>, actions: &mut Actions) {
        let Some(leg) = facts.leg(id).filter(|leg| leg.signal == Signal::Idle) else { return };
        let trunk = matches!(leg.party, Party::Trunk { .. });
        let (to, flow) = (leg.party.described(), leg.flow);
        facts.invite(id, actions);
        let text = format!("{to} is called at {} over {}.", flow.peer, flow.transport);
        facts.note_routing(RoutingStep::Attempt, Some(id), None, text);
        if trunk {
            actions.push(Action::SetTimer(CallTimer::Attempt, ctx.config.attempt_timeout));
        }
        let waiting = facts.legs.iter().skip(1).any(|leg| leg.signal == Signal::Idle);
        if !waiting {
            actions.push(Action::ClearTimer(CallTimer::Media));
        }
    }
}
