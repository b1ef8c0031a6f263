//! Transferring (RFC 5589 §6): a target is sought for one of two who talk, on behalf of the other. Whoever transfers may leave at any
//! moment; when nobody answers, the two talk on, if both are still there.

use media::Command;
use sip::{Reason, StatusCode};

use super::State;
use super::action::{Action, Actions, CallEvent, CallTimer};
use super::cause::Failure;
use super::connected::{Connected, answered, stayed_away};
use super::context::Context;
use super::ending::Ending;
use super::facts::{Facts, Outcome};
use super::hunt::Hunt;
use super::leg::{LegId, Party, Signal};
use super::reaching::{Reach, Reaching};
use super::seeker::Seeker;
use super::{modifying, referral};
use crate::dialplan::Step;
use crate::output::{EndedBy, TransferMode, TransferStatus};

/// A transfer that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Transfer {
    /// `trf_…`
    pub(crate) id: String,
    pub(crate) mode: TransferMode,
    pub(crate) transferor: LegId,
    /// The CSeq number of the REFER, which wants to be told how it goes. An operator looks.
    pub(crate) sequence: Option<u32>,
    /// Who is transferred.
    pub(crate) seeker: Seeker,
    /// Whereto, or why nowhere.
    pub(crate) steps: Result<Vec<Step>, Failure>,
}

/// Somebody is transferred.
pub(crate) struct Transferring {
    /// The two as they talked before.
    before: Connected,
    transferor: LegId,
    transferee: LegId,
    reaching: Reaching,
    /// The two did not hear each other before it began: one waited while the other asked.
    parted: bool,
}

impl Transferring {
    pub(super) fn begin(
        before: Connected,
        transfer: Transfer,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> State {
        let Transfer { id, mode, transferor, sequence, seeker, steps } = transfer;
        let steps = facts.begin_transfer(id, mode, transferor, &seeker.dialled, steps);
        if let Some(sequence) = sequence {
            referral::subscribe(transferor, sequence, facts, actions);
        }
        let transferee = seeker.leg;
        let reaching = Reaching::new(seeker, steps);
        Self { before, transferor, transferee, reaching, parted: false }.seek(CallEvent::Start, facts, ctx, actions)
    }

    /// Somebody is transferred to whom is already being called.
    pub(super) fn hunting(before: Connected, transferor: LegId, hunt: Hunt) -> Self {
        let transferee = hunt.seeker.leg;
        Self { before, transferor, transferee, reaching: Reaching::hunting(hunt), parted: false }
    }

    /// Somebody who waited is transferred to whom the other was asking: to whoever answers of them, or has just answered.
    pub(super) fn parted(before: Connected, transferor: LegId, transferee: LegId, reaching: Reaching) -> Self {
        Self { before, transferor, transferee, reaching, parted: true }
    }

    /// The extensions that ring, or are waited for.
    pub(super) fn phones(&self) -> &[String] {
        self.reaching.phones()
    }

    /// The two that talked.
    pub(super) fn pair(&self) -> modifying::Pair {
        self.before.pair()
    }

    /// Those of the two who have not left.
    fn present(&self, facts: &Facts) -> modifying::Pair {
        let is_there = |leg: &LegId| facts.leg(*leg).is_some_and(|leg| !leg.is_over());
        self.pair().map(|leg| leg.filter(is_there))
    }

    pub(super) fn on(self, event: CallEvent, facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> State {
        let pair = self.present(facts);
        match event {
            CallEvent::Bye { leg, reasons } if leg == self.transferee => {
                self.give_up(facts, actions);
                Ending::hung_up(facts, leg, &reasons, actions)
            }
            CallEvent::FlowLost { leg } if leg == self.transferee => {
                self.give_up(facts, actions);
                stayed_away(facts, leg, actions)
            }
            CallEvent::SessionOver { leg } | CallEvent::NoAck { leg } | CallEvent::Lost { leg }
                if leg == self.transferee =>
            {
                self.give_up(facts, actions);
                Ending::hung_up(facts, leg, &[], actions)
            }
            CallEvent::Bye { leg, .. }
            | CallEvent::SessionOver { leg }
            | CallEvent::NoAck { leg }
            | CallEvent::Lost { leg }
            | CallEvent::FlowLost { leg }
                if leg == self.transferor =>
            {
                // It has done its part.
                facts.close_media(leg, actions);
                State::Transferring(Box::new(self))
            }
            CallEvent::Change { leg, change } => {
                if pair.contains(&Some(leg)) {
                    modifying::on(leg, change, pair, facts, actions);
                } else {
                    modifying::untimely(leg, &change, actions);
                }
                State::Transferring(Box::new(self))
            }
            CallEvent::Timer(CallTimer::Change) => {
                modifying::overdue(pair, facts, actions);
                State::Transferring(Box::new(self))
            }
            CallEvent::Media { leg, event } if pair.contains(&Some(leg)) => {
                self.on_media(leg, event, pair, facts, actions)
            }
            // Of one who has left.
            CallEvent::Media { leg, .. } if leg == self.transferor => State::Transferring(Box::new(self)),
            CallEvent::Digit { leg, digit, duration } => {
                facts.press(leg, digit, duration, actions);
                State::Transferring(Box::new(self))
            }
            CallEvent::Dial { leg, digits, duration } => {
                facts.dial(leg, &digits, duration, actions);
                State::Transferring(Box::new(self))
            }
            CallEvent::Hangup => {
                self.give_up(facts, actions);
                Ending::by_operator(facts, actions)
            }
            CallEvent::FlowLost { .. }
            | CallEvent::Cancelled { .. }
            | CallEvent::Confirmed { .. }
            | CallEvent::Transfer(_)
            | CallEvent::Consult(_)
            | CallEvent::Join(_)
            | CallEvent::Add(_)
            | CallEvent::Dismiss { .. }
            | CallEvent::Replace(_)
            | CallEvent::Notified { .. } => State::Transferring(Box::new(self)),
            CallEvent::Start
            | CallEvent::Progress { .. }
            | CallEvent::Answered { .. }
            | CallEvent::Refused { .. }
            | CallEvent::Bye { .. }
            | CallEvent::SessionOver { .. }
            | CallEvent::NoAck { .. }
            | CallEvent::Lost { .. }
            | CallEvent::Media { .. }
            | CallEvent::Phones { .. }
            | CallEvent::Timer(_) => self.seek(event, facts, ctx, actions),
        }
    }

    /// Media of the two.
    fn on_media(
        self,
        leg: LegId,
        event: media::Event,
        pair: modifying::Pair,
        facts: &mut Facts,
        actions: &mut Actions,
    ) -> State {
        let Some(event) = modifying::of_shard(leg, event, pair, facts, actions) else {
            return State::Transferring(Box::new(self));
        };
        let (explanation, cause) = match event {
            media::Event::Silent { .. } => ("sent no media any more".to_owned(), Reason::q850(102, "Media timeout")),
            media::Event::Failed { reason, .. } | media::Event::Rejected { reason, .. } => {
                (format!("lost its media: {reason}"), Reason::q850(41, "Temporary failure"))
            }
            media::Event::LocalDescription { .. }
            | media::Event::Negotiated { .. }
            | media::Event::Connected { .. }
            | media::Event::Milestone { .. }
            | media::Event::Changed { .. }
            | media::Event::Digit { .. }
            | media::Event::Closed { .. } => return State::Transferring(Box::new(self)),
        };
        if leg == self.transferor {
            facts.release(leg, Some(cause), actions);
            return State::Transferring(Box::new(self));
        }
        let explanation = format!("{} {explanation}.", facts.described(leg));
        self.give_up(facts, actions);
        let outcome = Outcome { q850: super::cause::q850_of(&cause), ..answered(EndedBy::System, &explanation) };
        Ending::finish(facts, outcome, Some(&cause), actions)
    }

    /// What happens to targets.
    fn seek(mut self, event: CallEvent, facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> State {
        match self.reaching.on(event, facts, ctx, actions) {
            Reach::Stay => State::Transferring(Box::new(self)),
            Reach::Reached { target } => join(self.transferor, self.transferee, Some(target), facts, actions),
            Reach::Echo => join(self.transferor, self.transferee, None, facts, actions),
            Reach::Failed(failure) => self.fail(&failure, facts, actions),
            Reach::Abandoned => self.fail(&Failure::new(487, "Nobody waits any more."), facts, actions),
        }
    }

    /// Nobody is there to take the call: the two go on where they were, or the one who is left is told why.
    fn fail(self, failure: &Failure, facts: &mut Facts, actions: &mut Actions) -> State {
        Reaching::stop(actions);
        self.reaching.release(None, facts, actions);
        facts.settle_transfer(TransferStatus::Failed, failure.status_code());
        referral::conclude(self.transferor, failure.status_code(), facts, actions);
        if facts.leg(self.transferor).is_some_and(|leg| leg.signal == Signal::Up) {
            if let ([Some(a), Some(b)], true) = (self.pair(), self.parted || self.reaching.is_heard()) {
                actions.push(Action::Media(Command::Bridge { a: a.media(), b: b.media() }));
            }
            return State::Connected(self.before);
        }
        let reason = failure.reasons.iter().find_map(|text| Reason::parse(text));
        let explanation = format!("The call was transferred to nobody: {}", failure.explanation);
        let outcome = Outcome { q850: Some(failure.q850()), ..answered(EndedBy::System, &explanation) };
        Ending::finish(facts, outcome, reason.as_ref(), actions)
    }

    /// There is nobody to transfer any more.
    fn give_up(&self, facts: &mut Facts, actions: &mut Actions) {
        facts.settle_transfer(TransferStatus::Cancelled, StatusCode::REQUEST_TERMINATED);
        referral::part(self.transferor, StatusCode::REQUEST_TERMINATED, facts, actions);
    }
}

/// Who is transferred talks to the target, or to itself; whoever transferred is let go.
pub(super) fn join(
    transferor: LegId,
    transferee: LegId,
    target: Option<LegId>,
    facts: &mut Facts,
    actions: &mut Actions,
) -> State {
    Reaching::stop(actions);
    actions.push(Action::Media(match target {
        Some(target) => Command::Bridge { a: transferee.media(), b: target.media() },
        None => Command::Echo { session: transferee.media() },
    }));
    let agent = target.and_then(|leg| facts.leg(leg)).and_then(|leg| match &leg.party {
        Party::Extension { agent, .. } => agent.clone(),
        Party::Trunk { .. } => None,
    });
    facts.callee_agent = agent.or(facts.callee_agent.take());
    facts.settle_transfer(TransferStatus::Succeeded, StatusCode::OK);
    referral::part(transferor, StatusCode::OK, facts, actions);
    State::Connected(Connected { near: transferee, far: target, answer_owed: false, replacing: None })
}
