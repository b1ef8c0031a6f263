//! Consulting: one of two who talk, an agent, asks somebody else whether they take over the other one, who hears music meanwhile: an
//! attended transfer for which the gateway calls, and not the agent's phone. Nobody is stranded: whoever leaves, those who are left and
//! wanted each other talk.

use media::Command;
use sip::{Reason, StatusCode};

use super::State;
use super::action::{Action, Actions, CallEvent, CallTimer};
use super::cause::Failure;
use super::connected::Connected;
use super::context::Context;
use super::departure::Departure;
use super::ending::Ending;
use super::facts::Facts;
use super::leg::LegId;
use super::modifying::{self, Pair};
use super::reaching::{Reach, Reaching};
use super::seeker::Seeker;
use super::transferring::{self, Transferring};
use crate::dialplan::Step;
use crate::output::{TransferMode, TransferStatus};

/// What an operator wants of a consultation.
#[derive(Debug, Clone)]
pub(crate) enum Consult {
    /// It shall begin. [`super::Call::transferee`] allows it.
    Begin(Box<Consultation>),
    /// The two others shall talk. [`super::Call::check_consulting`] allows it.
    Complete,
    /// The agent shall talk to whom it talked to before. [`super::Call::check_consulting`] allows it.
    Cancel,
}

/// A consultation that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Consultation {
    /// Of the transfer it may lead to: `trf_…`
    pub(crate) id: String,
    /// The agent, as the target sees it.
    pub(crate) agent: Seeker,
    /// Who waits, as later targets see it once the agent has left before anybody answered.
    pub(crate) waiting: Seeker,
    /// Whom to ask, or why nobody.
    pub(crate) steps: Result<Vec<Step>, Failure>,
}

/// Somebody is being asked.
pub(crate) struct Consulting {
    /// The two as they talked before, and a leg that is taking the agent's place.
    pub(super) before: Connected,
    pub(super) agent: LegId,
    pub(super) waiting: Seeker,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    /// The target is being called; the agent hears it ring.
    Reaching(Reaching),
    /// The agent talks to it, or in the echo test to itself.
    Talking(Option<LegId>),
}

impl Consulting {
    pub(super) fn begin(
        before: Connected,
        consultation: Consultation,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> State {
        let Consultation { id, agent: seeker, waiting, steps } = consultation;
        let (agent, mode) = (seeker.leg, TransferMode::Attended);
        let steps = facts.begin_transfer(id, mode, agent, &seeker.dialled, steps);
        actions.push(Action::Media(Command::Music { session: waiting.leg.media() }));
        let stage = Stage::Reaching(Reaching::new(seeker, steps));
        Self { before, agent, waiting, stage }.reach(CallEvent::Start, facts, ctx, actions)
    }

    /// The extensions that ring, or are waited for.
    pub(super) fn phones(&self) -> &[String] {
        match &self.stage {
            Stage::Reaching(reaching) => reaching.phones(),
            Stage::Talking(_) => &[],
        }
    }

    /// Everybody who is answered: the two, the caller's side first, then the target.
    pub(super) fn present(&self) -> Vec<LegId> {
        self.before.pair().into_iter().flatten().chain(self.target()).collect()
    }

    /// The target that has answered.
    pub(super) fn target(&self) -> Option<LegId> {
        match self.stage {
            Stage::Reaching(_) => None,
            Stage::Talking(target) => target,
        }
    }

    /// Whom a leg hears, or will.
    fn company(&self, leg: LegId) -> Option<LegId> {
        if leg == self.agent { self.target().or(Some(self.waiting.leg)) } else { Some(self.agent) }
    }

    pub(super) fn on(self, event: CallEvent, facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> State {
        let present = self.present();
        if let Some((leg, departure)) = Departure::of(&event, facts).filter(|(leg, _)| present.contains(leg)) {
            // The place of one who is replaced is taken in a moment.
            return if self.is_replaced(leg) { self.stay() } else { self.leave(leg, departure, facts, actions) };
        }
        match event {
            CallEvent::Replace(replacement) => return self.replace(*replacement, facts, ctx, actions),
            CallEvent::Media { leg, event } if self.is_newcomer(leg) => {
                return self.on_newcomer(event, facts, actions);
            }
            CallEvent::Timer(CallTimer::Place) => {
                return self.turn_away(StatusCode::SERVER_INTERNAL_ERROR, facts, actions);
            }
            CallEvent::Bye { leg, .. } | CallEvent::SessionOver { leg } | CallEvent::FlowLost { leg }
                if self.is_newcomer(leg) =>
            {
                return self.turn_away(StatusCode::REQUEST_TERMINATED, facts, actions);
            }
            CallEvent::Consult(Consult::Complete) => return self.complete(facts, actions),
            CallEvent::Consult(Consult::Cancel) => return self.cancel(facts, actions),
            CallEvent::Hangup => {
                facts.settle_transfer(TransferStatus::Cancelled, StatusCode::REQUEST_TERMINATED);
                return Ending::by_operator(facts, actions);
            }
            CallEvent::Media { leg, event } if present.contains(&leg) => {
                return self.on_media(leg, event, facts, actions);
            }
            CallEvent::Change { leg, change } if present.contains(&leg) => {
                modifying::on(leg, change, self.pair(leg), facts, actions);
            }
            CallEvent::Change { leg, change } => modifying::untimely(leg, &change, actions),
            CallEvent::Timer(CallTimer::Change) => modifying::overdue(present.as_slice(), facts, actions),
            CallEvent::Digit { leg, digit, duration } => facts.press(leg, digit, duration, actions),
            CallEvent::Dial { leg, digits, duration } => facts.dial(leg, &digits, duration, actions),
            CallEvent::Cancelled { .. }
            | CallEvent::Confirmed { .. }
            | CallEvent::Transfer(_)
            | CallEvent::Consult(Consult::Begin(_))
            | CallEvent::Join(_)
            | CallEvent::Add(_)
            | CallEvent::Dismiss { .. }
            | CallEvent::Notified { .. } => {}
            CallEvent::Start
            | CallEvent::Progress { .. }
            | CallEvent::Answered { .. }
            | CallEvent::Refused { .. }
            | CallEvent::Bye { .. }
            | CallEvent::SessionOver { .. }
            | CallEvent::NoAck { .. }
            | CallEvent::Lost { .. }
            | CallEvent::FlowLost { .. }
            | CallEvent::Media { .. }
            | CallEvent::Phones { .. }
            | CallEvent::Timer(_) => return self.reach(event, facts, ctx, actions),
        }
        self.stay()
    }

    pub(super) fn stay(self) -> State {
        State::Consulting(Box::new(self))
    }

    fn pair(&self, leg: LegId) -> Pair {
        [Some(leg), self.company(leg)]
    }

    /// What happens to targets.
    fn reach(mut self, event: CallEvent, facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> State {
        let Stage::Reaching(reaching) = &mut self.stage else { return self.stay() };
        match reaching.on(event, facts, ctx, actions) {
            Reach::Stay => self.stay(),
            Reach::Reached { target } => self.talk(Some(target), facts, actions),
            Reach::Echo => self.talk(None, facts, actions),
            Reach::Failed(failure) => self.fail(failure.status_code(), None, facts, actions),
            Reach::Abandoned => self.fail(StatusCode::REQUEST_TERMINATED, None, facts, actions),
        }
    }

    /// The agent talks to the target.
    fn talk(mut self, target: Option<LegId>, facts: &mut Facts, actions: &mut Actions) -> State {
        Reaching::stop(actions);
        let agent = self.agent.media();
        actions.push(Action::Media(match target {
            Some(target) => Command::Bridge { a: agent, b: target.media() },
            None => Command::Echo { session: agent },
        }));
        facts.advance_transfer(TransferStatus::Consulting);
        self.stage = Stage::Talking(target);
        self.stay()
    }

    /// Media of those who are answered.
    fn on_media(self, leg: LegId, event: media::Event, facts: &mut Facts, actions: &mut Actions) -> State {
        let Some(event) = modifying::of_shard(leg, event, self.pair(leg), facts, actions) else {
            return self.stay();
        };
        if let Some(departure) = Departure::of_media(leg, &event, facts) {
            if self.is_replaced(leg) {
                facts.release(leg, Some(departure.reason), actions);
                return self.stay();
            }
            return self.leave(leg, departure, facts, actions);
        }
        if let media::Event::Digit { digit, duration, .. } = event {
            // Who waits is heard by nobody.
            let far = self.company(leg).filter(|_| leg != self.waiting.leg && self.target().is_some());
            facts.pass_on(leg, far, digit, duration, actions);
        }
        self.stay()
    }

    /// Somebody is gone.
    pub(super) fn leave(self, leg: LegId, departure: Departure, facts: &mut Facts, actions: &mut Actions) -> State {
        facts.release(leg, Some(departure.reason.clone()), actions);
        if leg == self.agent {
            // It has done its part.
            return self.complete(facts, actions);
        }
        if leg != self.waiting.leg {
            return self.fail(StatusCode::TEMPORARILY_UNAVAILABLE, None, facts, actions);
        }
        facts.settle_transfer(TransferStatus::Cancelled, StatusCode::REQUEST_TERMINATED);
        match self.stage {
            // Nobody is asked for somebody who is gone.
            Stage::Reaching(_) => departure.end(facts, actions),
            Stage::Talking(far) => {
                let replacing = self.before.replacing;
                State::Connected(Connected { near: self.agent, far, answer_owed: false, replacing })
            }
        }
    }

    /// Who waits is transferred: to the target, or to whoever answers of those who ring.
    fn complete(self, facts: &mut Facts, actions: &mut Actions) -> State {
        let (agent, transferee) = (self.agent, self.waiting.leg);
        match self.stage {
            Stage::Talking(target) => transferring::join(agent, transferee, target, facts, actions),
            Stage::Reaching(mut reaching) => {
                // The agent's leg stays, if it is still there: should nobody answer, it has its caller back.
                reaching.seek_for(self.waiting, facts, actions);
                State::Transferring(Box::new(Transferring::parted(self.before, agent, transferee, reaching)))
            }
        }
    }

    fn cancel(self, facts: &mut Facts, actions: &mut Actions) -> State {
        let reason = Reason::q850(16, "Consultation ended");
        facts.settle_transfer(TransferStatus::Cancelled, StatusCode::REQUEST_TERMINATED);
        self.fail(StatusCode::REQUEST_TERMINATED, Some(&reason), facts, actions)
    }

    /// The target is let go, and the two talk as before.
    fn fail(self, status: StatusCode, reason: Option<&Reason>, facts: &mut Facts, actions: &mut Actions) -> State {
        Reaching::stop(actions);
        match &self.stage {
            Stage::Reaching(reaching) => reaching.release(reason, facts, actions),
            Stage::Talking(target) => {
                target.iter().for_each(|target| facts.release(*target, reason.cloned(), actions));
            }
        }
        facts.settle_transfer(TransferStatus::Failed, status);
        let (a, b) = (self.agent.media(), self.waiting.leg.media());
        actions.push(Action::Media(Command::Bridge { a, b }));
        State::Connected(self.before)
    }
}
