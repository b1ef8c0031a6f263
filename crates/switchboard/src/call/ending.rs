//! Ending: every leg has been released; only media sessions' last figures are awaited.

use std::time::Duration;

use sip::Reason;

use super::State;
use super::action::{Action, Actions, CallEvent, CallTimer};
use super::cause::Failure;
use super::departure::Departure;
use super::facts::{Facts, Outcome};
use super::leg::{LegId, Medium, Signal};
use super::{modifying, referral};
use crate::output::{CallResult, CallState, EndedBy};

/// How long a shard may take to close before the record is written without its figures.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(2);

/// Waits for `Closed` of every media session.
pub(crate) struct Ending {}

impl Ending {
    pub(crate) fn on(self, event: CallEvent, facts: &mut Facts, actions: &mut Actions) -> State {
        if let CallEvent::Change { leg, change } = &event {
            modifying::untimely(*leg, change, actions);
        }
        if matches!(event, CallEvent::Timer(CallTimer::Closing)) {
            if !referral::release_all(facts, actions) {
                return State::Over;
            }
            actions.push(Action::SetTimer(CallTimer::Closing, CLOSING_TIMEOUT));
        }
        Self::settle(facts, actions)
    }

    /// The caller is refused with what the last target said.
    pub(crate) fn refuse(facts: &mut Facts, failure: &Failure, ended_by: EndedBy, actions: &mut Actions) -> State {
        let caller = facts.caller_id();
        if let Some(leg) = facts.leg_mut(caller).filter(|leg| leg.signal == Signal::Incoming) {
            leg.signal = Signal::Over;
            actions.push(Action::Reject {
                leg: caller,
                status: failure.status_code(),
                phrase: failure.phrase.clone(),
                reasons: failure.reasons.clone(),
                retry_after: failure.retry_after,
            });
        }
        let reason = failure.reasons.iter().find_map(|text| Reason::parse(text));
        let outcome = Outcome {
            result: failure.result,
            status: failure.status,
            q850: Some(failure.q850()),
            ended_by,
            explanation: failure.explanation.clone(),
            advice: failure.advice,
        };
        Self::finish(facts, outcome, reason.as_ref(), actions)
    }

    /// The caller gave up before anybody answered.
    pub(crate) fn cancelled(facts: &mut Facts, reasons: &[String], actions: &mut Actions) -> State {
        let reason = reasons
            .iter()
            .find_map(|text| Reason::parse(text))
            .unwrap_or_else(|| Reason::sip(487, "The caller gave up"));
        let outcome = Outcome {
            result: CallResult::Cancelled,
            status: 487,
            q850: Some(16),
            ended_by: EndedBy::Caller,
            explanation: "The caller gave up before anybody answered.".to_owned(),
            advice: None,
        };
        Self::finish(facts, outcome, Some(&reason), actions)
    }

    /// One side hung up an answered call.
    pub(crate) fn hung_up(facts: &mut Facts, by: LegId, reasons: &[String], actions: &mut Actions) -> State {
        Departure::hung_up(facts, by, reasons).end(facts, actions)
    }

    /// An operator hung up an answered call.
    pub(crate) fn by_operator(facts: &mut Facts, actions: &mut Actions) -> State {
        Departure::by_operator().end(facts, actions)
    }

    /// Releases everything and writes down why. A leg that departs goes when it has heard so.
    pub(crate) fn finish(facts: &mut Facts, outcome: Outcome, reason: Option<&Reason>, actions: &mut Actions) -> State {
        facts.outcome.get_or_insert(outcome);
        use CallTimer::{Attempt, Change, Media, NoAnswer, Place};
        for timer in [Attempt, NoAnswer, Media, Change, Place] {
            actions.push(Action::ClearTimer(timer));
        }
        let legs = facts.legs.iter().filter(|leg| !leg.referring.is_departing());
        let legs: Vec<LegId> = legs.map(|leg| leg.id).collect();
        for leg in legs {
            facts.release(leg, reason.cloned(), actions);
            if let Some(leg) = facts.leg_mut(leg) {
                leg.state = CallState::Ending;
            }
        }
        actions.push(Action::SetTimer(CallTimer::Closing, CLOSING_TIMEOUT));
        Self::settle(facts, actions)
    }

    fn settle(facts: &Facts, actions: &mut Actions) -> State {
        if facts.legs.iter().any(|leg| leg.medium == Medium::Closing || leg.referring.is_departing()) {
            return State::Ending(Self {});
        }
        actions.push(Action::ClearTimer(CallTimer::Closing));
        State::Over
    }
}
