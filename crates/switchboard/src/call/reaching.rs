//! Reaching somebody for one who talks already: targets are hunted for, and media is agreed on with whoever answers, while everybody
//! else goes on. Whoever is let go meanwhile, and who is joined with whom in the end, is the state's affair that reaches.

use media::Bandwidth;
use sip::{Reason, Response};

use super::action::{Action, Actions, CallEvent, CallTimer};
use super::answering::MEDIA_TIMEOUT;
use super::cause::Failure;
use super::context::Context;
use super::facts::Facts;
use super::forks;
use super::hunt::{Hunt, Next};
use super::leg::LegId;
use super::seeker::Seeker;
use crate::dialplan::Step;
use crate::output::CallState;

/// Somebody is being reached.
pub(super) struct Reaching {
    stage: Stage,
}

enum Stage {
    /// Targets are tried.
    Hunting(Box<Hunt>),
    /// One has answered, and media is being agreed on with it. `heard` is whether the seeker heard it ring.
    Agreeing { target: LegId, heard: bool },
}

/// Where that leads.
pub(super) enum Reach {
    /// On with it.
    Stay,
    /// This target is there, and media is agreed on with it.
    Reached { target: LegId },
    /// The seeker shall hear itself.
    Echo,
    /// Nobody takes the call.
    Failed(Failure),
    /// The seeker waits no more.
    Abandoned,
}

impl Reaching {
    /// A hunt of its own, not begun: [`CallEvent::Start`] begins it.
    pub(super) fn new(seeker: Seeker, steps: Result<Vec<Step>, Failure>) -> Self {
        Self::hunting(match steps {
            Ok(steps) => Hunt::new(seeker, steps),
            Err(failure) => Hunt::in_vain(seeker, failure),
        })
    }

    /// A hunt that is under way.
    pub(super) fn hunting(hunt: Hunt) -> Self {
        Self { stage: Stage::Hunting(Box::new(hunt)) }
    }

    /// The extensions that ring, or are waited for.
    pub(super) fn phones(&self) -> &[String] {
        match &self.stage {
            Stage::Hunting(hunt) => &hunt.phones,
            Stage::Agreeing { .. } => &[],
        }
    }

    /// Whether the seeker does not hear what it heard before any more.
    pub(super) fn is_heard(&self) -> bool {
        match &self.stage {
            Stage::Hunting(hunt) => hunt.is_heard(),
            Stage::Agreeing { heard, .. } => *heard,
        }
    }

    /// Goes on for somebody else, who talks already too.
    pub(super) fn seek_for(&mut self, seeker: Seeker, facts: &mut Facts, actions: &mut Actions) {
        match &mut self.stage {
            Stage::Hunting(hunt) => hunt.seek_for(seeker, facts, actions),
            // They are joined in a moment.
            Stage::Agreeing { .. } => {}
        }
    }

    /// Goes on for the same one at another leg.
    pub(super) fn move_seeker(&mut self, leg: LegId, actions: &mut Actions) {
        match &mut self.stage {
            Stage::Hunting(hunt) => hunt.move_seeker(leg, actions),
            // They are joined in a moment.
            Stage::Agreeing { .. } => {}
        }
    }

    /// What happens to targets. Events about others mean nothing here.
    pub(super) fn on(
        &mut self,
        event: CallEvent,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> Reach {
        if leg_of(&event).is_some_and(|leg| !self.legs().contains(&leg)) {
            return Reach::Stay;
        }
        match &mut self.stage {
            Stage::Hunting(hunt) => match hunt.on(event, facts, ctx, actions) {
                Next::Stay => Reach::Stay,
                Next::PickedUp(target) => {
                    self.choose(target, facts, actions);
                    Reach::Reached { target }
                }
                Next::Echo => Reach::Echo,
                Next::Failed(failure, _) => Reach::Failed(failure),
                Next::Abandoned(_) => Reach::Abandoned,
                Next::Answered { target, response } => self.agree(target, &response, facts, actions),
            },
            Stage::Agreeing { target, .. } => {
                let target = *target;
                Self::on_target(target, event, facts, actions)
            }
        }
    }

    /// Stops the clocks: it is over, one way or another.
    pub(super) fn stop(actions: &mut Actions) {
        for timer in [CallTimer::Attempt, CallTimer::NoAnswer, CallTimer::Media] {
            actions.push(Action::ClearTimer(timer));
        }
    }

    /// Lets everybody go who rings or has answered.
    pub(super) fn release(&self, reason: Option<&Reason>, facts: &mut Facts, actions: &mut Actions) {
        for leg in self.legs() {
            facts.release(leg, reason.cloned(), actions);
        }
    }

    /// Those who ring, or the one who has answered.
    fn legs(&self) -> Vec<LegId> {
        match &self.stage {
            Stage::Hunting(hunt) => hunt.branches.iter().chain(&hunt.pickup).copied().collect(),
            Stage::Agreeing { target, .. } => vec![*target],
        }
    }

    /// This one takes the call; every other branch is told so.
    fn choose(&self, target: LegId, facts: &mut Facts, actions: &mut Actions) {
        let Stage::Hunting(hunt) = &self.stage else { return };
        for leg in hunt.branches.iter().copied().filter(|leg| *leg != target) {
            facts.release(leg, Some(Reason::sip(200, "Call completed elsewhere")), actions);
        }
    }

    /// A target took the call.
    fn agree(&mut self, target: LegId, response: &Response, facts: &mut Facts, actions: &mut Actions) -> Reach {
        self.choose(target, facts, actions);
        let heard = self.is_heard();
        if let Some(leg) = facts.leg_mut(target) {
            leg.state = CallState::Connected;
        }
        for timer in [CallTimer::Attempt, CallTimer::NoAnswer] {
            actions.push(Action::ClearTimer(timer));
        }
        let is_described = forks::answered(target, response, Bandwidth::Full, facts, actions);
        self.stage = Stage::Agreeing { target, heard };
        if !is_described {
            return Reach::Failed(Failure::new(500, format!("{} answered without media.", facts.described(target))));
        }
        if !awaits_shard(target, facts) {
            return Reach::Reached { target };
        }
        actions.push(Action::SetTimer(CallTimer::Media, MEDIA_TIMEOUT));
        Reach::Stay
    }

    /// What happens to the target that answered.
    fn on_target(target: LegId, event: CallEvent, facts: &mut Facts, actions: &mut Actions) -> Reach {
        Reach::Failed(match event {
            CallEvent::Media { leg, event } if leg == target => match event {
                media::Event::Negotiated { .. } | media::Event::Rejected { .. } if awaits_shard(target, facts) => {
                    return Reach::Stay;
                }
                media::Event::Negotiated { .. } => return Reach::Reached { target },
                media::Event::LocalDescription { .. }
                    if forks::described(target, Bandwidth::Full, facts, actions) && !awaits_shard(target, facts) =>
                {
                    return Reach::Reached { target };
                }
                media::Event::Rejected { reason, .. } => {
                    Failure::new(488, format!("The media description cannot be used: {reason}."))
                }
                media::Event::Failed { reason, .. } => Failure::new(500, format!("Media failed: {reason}.")),
                media::Event::LocalDescription { .. }
                | media::Event::Connected { .. }
                | media::Event::Milestone { .. }
                | media::Event::Changed { .. }
                | media::Event::Digit { .. }
                | media::Event::Silent { .. }
                | media::Event::Closed { .. } => return Reach::Stay,
            },
            CallEvent::Bye { leg, .. } | CallEvent::SessionOver { leg } | CallEvent::Lost { leg } if leg == target => {
                Failure::new(480, format!("{} hung up at once.", facts.described(leg)))
            }
            CallEvent::Timer(CallTimer::Media) => Failure::new(500, "Media was not agreed on in time."),
            CallEvent::Start
            | CallEvent::Progress { .. }
            | CallEvent::Answered { .. }
            | CallEvent::Refused { .. }
            | CallEvent::Cancelled { .. }
            | CallEvent::Confirmed { .. }
            | CallEvent::NoAck { .. }
            | CallEvent::Change { .. }
            | CallEvent::Lost { .. }
            | CallEvent::Bye { .. }
            | CallEvent::FlowLost { .. }
            | CallEvent::SessionOver { .. }
            | CallEvent::Media { .. }
            | CallEvent::Digit { .. }
            | CallEvent::Dial { .. }
            | CallEvent::Transfer(_)
            | CallEvent::Consult(_)
            | CallEvent::Join(_)
            | CallEvent::Add(_)
            | CallEvent::Dismiss { .. }
            | CallEvent::Replace(_)
            | CallEvent::Notified { .. }
            | CallEvent::Phones { .. }
            | CallEvent::Timer(_)
            | CallEvent::Hangup => return Reach::Stay,
        })
    }
}

/// Whether the shard has not decided on a description of a target's: the last one counts.
fn awaits_shard(target: LegId, facts: &Facts) -> bool {
    facts.leg(target).is_some_and(|leg| leg.forks.awaits_shard())
}

/// The leg an event is about, when it is about one.
pub(super) fn leg_of(event: &CallEvent) -> Option<LegId> {
    match event {
        CallEvent::Progress { leg, .. }
        | CallEvent::Answered { leg, .. }
        | CallEvent::Refused { leg, .. }
        | CallEvent::NoAck { leg }
        | CallEvent::Change { leg, .. }
        | CallEvent::Lost { leg }
        | CallEvent::Bye { leg, .. }
        | CallEvent::FlowLost { leg }
        | CallEvent::SessionOver { leg }
        | CallEvent::Media { leg, .. }
        | CallEvent::Digit { leg, .. }
        | CallEvent::Dial { leg, .. }
        | CallEvent::Notified { leg } => Some(*leg),
        CallEvent::Start
        | CallEvent::Cancelled { .. }
        | CallEvent::Confirmed { .. }
        | CallEvent::Transfer(_)
        | CallEvent::Consult(_)
        | CallEvent::Join(_)
        | CallEvent::Add(_)
        | CallEvent::Dismiss { .. }
        | CallEvent::Replace(_)
        | CallEvent::Phones { .. }
        | CallEvent::Timer(_)
        | CallEvent::Hangup => None,
    }
}
