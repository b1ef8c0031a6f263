//! One call: a back-to-back user agent over its legs, as a consuming state machine (RFC 7092, RFC 3261). Takes events, gives
//! actions; sends nothing itself.
//!
//! Routing -> Ringing -> Answering -> Connected <-> Transferring -> Ending -> Over; every state may go to Ending. Connected <-> Consulting ->
//! Transferring while somebody is asked to take over. Connected <-> Conference while somebody is asked to join, and with whoever does.

mod action;
mod answering;
mod arriving;
mod bandwidth;
mod cause;
mod clearing;
mod conference;
mod connected;
mod consulting;
mod context;
mod departure;
mod digits;
mod early;
mod ending;
mod explanation;
mod facts;
mod forks;
mod hunt;
mod joining;
mod latecoming;
mod leaving;
mod leg;
mod modifying;
mod participant;
mod patience;
mod pickup;
mod preference;
mod presenting;
mod progress;
mod reaching;
mod reclaiming;
mod referral;
mod replacing;
mod returning;
mod ringing;
mod routing;
mod seeker;
mod target;
mod transferring;
mod trying;

pub(crate) use action::{Action, Actions, CallEvent, CallTimer, Change};
pub(crate) use cause::{Failure, reasons};
pub(crate) use clearing::is_emergency;
pub(crate) use consulting::{Consult, Consultation};
pub(crate) use context::{Context, Occupation, Usage};
pub(crate) use explanation::of_ended as explanation_of;
pub(crate) use facts::{CallerOffer, Facts};
pub(crate) use joining::{Brought, Joining};
pub(crate) use leg::{Leg, LegId, Party, Signal};
pub(crate) use modifying::owes_answer;
pub(crate) use participant::{Adding, Whom};
pub(crate) use referral::Report;
pub(crate) use replacing::Replacement;
pub(crate) use seeker::{Meanwhile, Seeker};
pub(crate) use target::{gateway_uri, own_contact};
pub(crate) use transferring::Transfer;

use self::answering::Answering;
use self::conference::Conference;
use self::connected::Connected;
use self::consulting::Consulting;
use self::ending::Ending;
use self::hunt::Hunt;
use self::reclaiming::Affair;
use self::ringing::Ringing;
use self::routing::Routing;
use self::transferring::Transferring;
use sip::StatusCode;

use crate::dialplan::Step;
use crate::operator::OperatorError;
use crate::output::CallState;

/// A running call.
pub(crate) struct Call {
    pub(crate) facts: Facts,
    state: State,
}

/// Whom a leg may transfer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Transferee<'a> {
    /// The one it talks to.
    Other(&'a Leg),
    /// Several talk to it, and go on doing so: the target takes its place.
    Place,
}

/// Why a leg cannot transfer anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Untransferable {
    /// Something else is under way, after which it may.
    Busy,
    /// It talks to nobody.
    Alone,
    /// It has no part in the call any more.
    Gone,
}

/// Where a call stands.
pub(crate) enum State {
    /// A target is being found; nothing rings.
    Routing(Routing),
    /// A target rings.
    Ringing(Ringing),
    /// A target has answered; media is being agreed on.
    Answering(Answering),
    /// The caller was answered.
    Connected(Connected),
    /// One of the two is being transferred.
    Transferring(Box<Transferring>),
    /// Several talk, or two who have asked somebody to join them.
    Conference(Box<Conference>),
    /// One of the two is being asked for, by the other, whether somebody else takes them over.
    Consulting(Box<Consulting>),
    /// Everything was taken down; media sessions are closing.
    Ending(Ending),
    /// Nothing is owed to anybody.
    Over,
}

impl Call {
    /// A call that will try these steps once it gets [`CallEvent::Start`], or be refused.
    pub(crate) fn new(facts: Facts, steps: Result<Vec<Step>, Failure>) -> Self {
        let seeker = Seeker::caller(&facts);
        let hunt = match steps {
            Ok(steps) => Hunt::new(seeker, steps),
            Err(failure) => Hunt::in_vain(seeker, failure),
        };
        Self { facts, state: State::Routing(Routing { hunt }) }
    }

    /// Takes an event.
    pub(crate) fn on(&mut self, event: CallEvent, ctx: &mut Context<'_>, actions: &mut Actions) {
        self.facts.note(&event);
        referral::on(&event, &mut self.facts, actions);
        replacing::on(&event, &mut self.facts, actions);
        let event = match reclaiming::on(event, &mut self.facts, actions) {
            Affair::Own => return,
            Affair::Others(event) => event,
            Affair::Answered(replacement, lost) => match self.replacement(replacement, lost, actions) {
                Some(event) => event,
                None => return,
            },
        };
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = state.on(event, &mut self.facts, ctx, actions);
        self.settle_reclaim(actions);
    }

    /// The extensions it rings at, or waits for a phone of.
    pub(crate) fn phones(&self) -> &[String] {
        match &self.state {
            State::Routing(routing) => &routing.hunt.phones,
            State::Ringing(ringing) => &ringing.hunt.phones,
            State::Transferring(transferring) => transferring.phones(),
            State::Conference(conference) => conference.phones(),
            State::Consulting(consulting) => consulting.phones(),
            State::Answering(_) | State::Connected(_) | State::Ending(_) | State::Over => &[],
        }
    }

    /// Whether nothing is owed to anybody any more.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The leg an operator's hold is about: the one named, else the agent's, which is the caller's when agents talk to each other.
    ///
    /// # Errors
    /// When nobody talks, or the leg is none that does.
    pub(crate) fn holder(&self, name: Option<&str>) -> Result<&Leg, OperatorError> {
        let talking = self.talking();
        if talking.is_empty() {
            return Err(OperatorError::NotConnected);
        }
        let mut legs = talking.into_iter().filter_map(|leg| self.facts.leg(leg)).filter(|leg| !leg.is_over());
        let found = legs.find(|leg| match name {
            Some(name) => leg.name == name,
            None => matches!(leg.party, Party::Extension { .. }),
        });
        found.ok_or(OperatorError::UnknownLeg)
    }

    /// The leg that digits go to when none is named while one waits: whom the agent talks to meanwhile. `None` when nobody waits.
    ///
    /// # Errors
    /// When the agent talks to nobody.
    pub(crate) fn dialled_by_default(&self) -> Result<Option<&str>, OperatorError> {
        let State::Consulting(consulting) = &self.state else { return Ok(None) };
        let target = consulting.target().and_then(|target| self.facts.leg(target)).ok_or(OperatorError::LegHeld)?;
        Ok(Some(&target.name))
    }

    /// Those who talk, or do again when a transfer fails.
    fn talking(&self) -> Vec<LegId> {
        match &self.state {
            State::Connected(connected) => connected.pair().into_iter().flatten().collect(),
            State::Transferring(transferring) => transferring.pair().into_iter().flatten().collect(),
            State::Conference(conference) => conference.members().to_vec(),
            State::Consulting(consulting) => consulting.present(),
            State::Routing(_) | State::Ringing(_) | State::Answering(_) | State::Ending(_) | State::Over => Vec::new(),
        }
    }

    /// Whether so many may join those who talk to a leg.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check_open_to(&self, by: LegId, count: usize, most: usize) -> Result<(), OperatorError> {
        let members = match &self.state {
            State::Connected(connected) if connected.answer_owed || connected.replacing.is_some() => {
                return Err(OperatorError::Changing);
            }
            State::Connected(connected) => match connected.other_than(by) {
                Some(Some(_)) => 2,
                Some(None) => return Err(OperatorError::Alone),
                None => return Err(OperatorError::UnknownLeg),
            },
            State::Conference(conference) if conference.is_changing() => return Err(OperatorError::Changing),
            State::Conference(conference) if !conference.members().contains(&by) => {
                return Err(OperatorError::UnknownLeg);
            }
            State::Conference(conference) => conference.members().len(),
            State::Transferring(_) | State::Consulting(_) => return Err(OperatorError::Transferring),
            State::Routing(_) | State::Ringing(_) | State::Answering(_) | State::Ending(_) | State::Over => {
                return Err(OperatorError::NotConnected);
            }
        };
        if members + count > most { Err(OperatorError::Full) } else { Ok(()) }
    }

    /// Whether somebody of this name can be let go.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check_dismissable(&self, name: &str) -> Result<(), OperatorError> {
        let is_named = |leg: &&LegId| self.facts.leg(**leg).is_some_and(|leg| leg.name == name && !leg.is_over());
        let known = match &self.state {
            State::Connected(_) => self.talking().iter().any(|leg| is_named(&leg)),
            State::Conference(conference) => {
                conference.members().iter().any(|leg| is_named(&leg)) || self.facts.awaits_participant(name)
            }
            State::Transferring(_) | State::Consulting(_) => return Err(OperatorError::Transferring),
            State::Routing(_) | State::Ringing(_) | State::Answering(_) | State::Ending(_) | State::Over => {
                return Err(OperatorError::NotConnected);
            }
        };
        if known { Ok(()) } else { Err(OperatorError::UnknownParticipant) }
    }

    /// Whether a transfer is a consultation under way, which can be completed or cancelled.
    ///
    /// # Errors
    /// When there is no such transfer, it is none, or none any more, or the agent's place is about to be taken.
    pub(crate) fn check_consulting(&self, transfer: &str) -> Result<(), OperatorError> {
        let known = self.facts.transfers.iter().find(|known| known.id == transfer);
        let is_under_way = known.ok_or(OperatorError::UnknownTransfer)?.status.is_under_way();
        match &self.state {
            State::Consulting(consulting) if is_under_way && consulting.is_changing() => Err(OperatorError::Changing),
            State::Consulting(_) if is_under_way => Ok(()),
            State::Routing(_)
            | State::Ringing(_)
            | State::Answering(_)
            | State::Connected(_)
            | State::Transferring(_)
            | State::Conference(_)
            | State::Consulting(_)
            | State::Ending(_)
            | State::Over => Err(OperatorError::NotConsulting),
        }
    }

    /// Whom a leg talks to and may transfer now.
    ///
    /// # Errors
    /// [`Untransferable`] says why there is nobody.
    pub(crate) fn transferee(&self, transferor: LegId) -> Result<Transferee<'_>, Untransferable> {
        let connected = match &self.state {
            State::Connected(connected) => connected,
            State::Routing(_)
            | State::Ringing(_)
            | State::Answering(_)
            | State::Transferring(_)
            | State::Consulting(_) => return Err(Untransferable::Busy),
            State::Conference(conference) if !conference.members().contains(&transferor) => {
                return Err(Untransferable::Gone);
            }
            State::Conference(conference) if conference.is_changing() => return Err(Untransferable::Busy),
            State::Conference(_) => return Ok(Transferee::Place),
            State::Ending(_) | State::Over => return Err(Untransferable::Gone),
        };
        let other = connected.other_than(transferor).ok_or(Untransferable::Gone)?;
        if connected.answer_owed || connected.replacing.is_some() {
            return Err(Untransferable::Busy);
        }
        other.and_then(|leg| self.facts.leg(leg)).map(Transferee::Other).ok_or(Untransferable::Alone)
    }

    /// Whether an INVITE may take a leg's place now.
    ///
    /// # Errors
    /// The status it is refused with (RFC 3891 §3).
    pub(crate) fn check_replaceable(&self, leg: LegId) -> Result<(), StatusCode> {
        match &self.state {
            State::Connected(connected) if connected.other_than(leg).is_none() => Err(StatusCode::DECLINE),
            State::Connected(connected) if connected.answer_owed || connected.replacing.is_some() => {
                Err(StatusCode::REQUEST_PENDING)
            }
            State::Connected(_) => Ok(()),
            State::Conference(conference) => conference.check_replaceable(leg),
            State::Routing(Routing { hunt }) | State::Ringing(Ringing { hunt }) => hunt.check_replaceable(leg),
            State::Consulting(consulting) => consulting.check_replaceable(leg),
            // Whose place the target takes has none to give in a moment, and has it again if the target does not come: 491 has who asks
            // try again, and by then it is known.
            State::Answering(_) | State::Transferring(_) => Err(StatusCode::REQUEST_PENDING),
            State::Ending(_) | State::Over => Err(StatusCode::DECLINE),
        }
    }

    /// As the API shows it.
    pub(crate) fn shown_state(&self) -> CallState {
        match &self.state {
            State::Routing(_) => CallState::Routing,
            State::Ringing(_) | State::Answering(_) => CallState::Ringing,
            State::Connected(_) | State::Transferring(_) | State::Conference(_) | State::Consulting(_) => {
                CallState::Connected
            }
            State::Ending(_) | State::Over => CallState::Ending,
        }
    }
}

impl State {
    fn on(self, event: CallEvent, facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> Self {
        match self {
            Self::Routing(state) => state.on(event, facts, ctx, actions),
            Self::Ringing(state) => state.on(event, facts, ctx, actions),
            Self::Answering(state) => state.on(event, facts, ctx, actions),
            Self::Connected(state) => state.on(event, facts, ctx, actions),
            Self::Transferring(state) => state.on(event, facts, ctx, actions),
            Self::Conference(state) => state.on(event, facts, ctx, actions),
            Self::Consulting(state) => state.on(event, facts, ctx, actions),
            Self::Ending(state) => state.on(event, facts, actions),
            Self::Over => Self::Over,
        }
    }
}

#[cfg(test)]
mod tests;
