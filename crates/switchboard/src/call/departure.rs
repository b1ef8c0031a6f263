//! A leg leaves the people it talks to: by hanging up, or because it is not there any more. Says what that means for the call if nobody
//! is left to talk.

use sip::Reason;

use super::action::{Actions, CallEvent};
use super::ending::Ending;
use super::facts::{Facts, Outcome};
use super::leg::LegId;
use super::{State, cause};
use crate::output::{CallResult, EndedBy};

/// Where to look when no ACK came.
const UNREACHED: &str =
    "it is sent to the address in our Contact, so look at sip.advertised_address, NAT and Record-Route";

/// How a leg left.
pub(super) struct Departure {
    outcome: Outcome,
    /// What the others are told, and the leg itself if it can still be told.
    pub(super) reason: Reason,
}

impl Departure {
    /// What an event says about a leg that has left.
    pub(super) fn of(event: &CallEvent, facts: &Facts) -> Option<(LegId, Self)> {
        match event {
            CallEvent::Bye { leg, reasons } => Some((*leg, Self::hung_up(facts, *leg, reasons))),
            CallEvent::SessionOver { leg } => Some((*leg, Self::hung_up(facts, *leg, &[]))),
            CallEvent::Cancelled { reasons } => {
                Some((facts.caller_id(), Self::hung_up(facts, facts.caller_id(), reasons)))
            }
            CallEvent::NoAck { leg } => {
                let explanation = format!("{} never confirmed our answer: no ACK arrived.", facts.side(*leg));
                let mut departure = Self::failed(explanation);
                departure.outcome.advice = Some(UNREACHED);
                Some((*leg, departure))
            }
            CallEvent::Lost { leg } => {
                let explanation = format!("{} does not answer any more, or has forgotten the call.", facts.side(*leg));
                Some((*leg, Self::dropped(explanation, Reason::q850(41, "Temporary failure"))))
            }
            CallEvent::FlowLost { leg } => Some((*leg, Self::stayed_away(facts, *leg))),
            CallEvent::Start
            | CallEvent::Progress { .. }
            | CallEvent::Answered { .. }
            | CallEvent::Refused { .. }
            | CallEvent::Confirmed { .. }
            | CallEvent::Change { .. }
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
            | CallEvent::Hangup => None,
        }
    }

    /// What media says about a leg that cannot be talked to any more.
    pub(super) fn of_media(leg: LegId, event: &media::Event, facts: &Facts) -> Option<Self> {
        match event {
            media::Event::Silent { .. } => {
                let explanation = format!("{} sent no media any more.", facts.side(leg));
                Some(Self::dropped(explanation, Reason::q850(102, "Media timeout")))
            }
            media::Event::Failed { reason, .. } => {
                Some(Self::failed(format!("Media of {} failed: {reason}.", uncapitalized(&facts.side(leg)))))
            }
            media::Event::Rejected { reason, .. } => {
                Some(Self::failed(format!("The media answer cannot be used: {reason}.")))
            }
            media::Event::LocalDescription { .. }
            | media::Event::Negotiated { .. }
            | media::Event::Connected { .. }
            | media::Event::Milestone { .. }
            | media::Event::Changed { .. }
            | media::Event::Digit { .. }
            | media::Event::Closed { .. } => None,
        }
    }

    /// It hung up.
    pub(super) fn hung_up(facts: &Facts, leg: LegId, reasons: &[String]) -> Self {
        let reason = reasons.iter().find_map(|text| Reason::parse(text));
        let q850 = reason.as_ref().and_then(cause::q850_of).unwrap_or(16);
        let ended_by = if facts.is_caller(leg) { EndedBy::Caller } else { EndedBy::Callee };
        let explanation = format!("{} hung up.", facts.side(leg));
        let reason = reason.unwrap_or_else(|| Reason::q850(16, "Normal call clearing"));
        Self { outcome: Outcome { q850: Some(q850), ..answered(ended_by, &explanation) }, reason }
    }

    /// It lost its connection and did not come back on another in time.
    pub(super) fn stayed_away(facts: &Facts, leg: LegId) -> Self {
        let explanation = format!("{} lost its connection and did not come back in time.", facts.side(leg));
        Self::dropped(explanation, Reason::q850(27, "Connection lost"))
    }

    /// An operator let it go.
    pub(super) fn by_operator() -> Self {
        let outcome = answered(EndedBy::Operator, "An operator ended the call.");
        Self { outcome, reason: Reason::q850(16, "Ended by an operator") }
    }

    /// An answered call broke.
    pub(super) fn failed(explanation: impl Into<String>) -> Self {
        let mut departure = Self::dropped(explanation, Reason::q850(41, "Temporary failure"));
        departure.outcome.result = CallResult::Failed;
        departure
    }

    fn dropped(explanation: impl Into<String>, reason: Reason) -> Self {
        let outcome = Outcome { q850: cause::q850_of(&reason), ..answered(EndedBy::System, &explanation.into()) };
        Self { outcome, reason }
    }

    /// Nobody is left to talk.
    pub(super) fn end(self, facts: &mut Facts, actions: &mut Actions) -> State {
        Ending::finish(facts, self.outcome, Some(&self.reason), actions)
    }
}

/// How an answered call ended.
pub(super) fn answered(ended_by: EndedBy, explanation: &str) -> Outcome {
    let (result, explanation) = (CallResult::Answered, explanation.to_owned());
    Outcome { result, status: 200, q850: Some(16), ended_by, explanation, advice: None }
}

fn uncapitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
