//! Attended transfer (RFC 5589 §7): an agent's two calls become one. The call that is asked gains whomever the other one was with, or
//! the hunt for them while they still ring; the other call ends, and both of the agent's legs go.

use sip::{Reason, StatusCode};

use super::action::{Action, Actions, CallTimer};
use super::answering::MEDIA_TIMEOUT;
use super::conference::Conference;
use super::connected::{Connected, answered};
use super::context::Context;
use super::ending::Ending;
use super::facts::{Facts, Outcome};
use super::hunt::Hunt;
use super::leg::{Leg, LegId, Medium, Party, Signal};
use super::ringing::Ringing;
use super::routing::Routing;
use super::seeker::Seeker;
use super::transferring::Transferring;
use super::{Call, State, modifying, referral};
use crate::ids::Ids;
use crate::output::{CallResult, EndedBy, TransferMode, TransferStatus, TransferView};

/// What the ended call gives.
#[derive(Debug, Clone)]
pub(crate) enum Brought {
    /// Whom the agent talked to.
    Talking(Vec<Leg>),
    /// Whom the agent was calling.
    Ringing(Box<Hunt>, Vec<Leg>),
}

/// Two calls that are to be one.
#[derive(Debug, Clone)]
pub(crate) struct Joining {
    /// Of the transfer: `trf_…`
    pub(crate) id: String,
    pub(crate) transferor: LegId,
    /// The CSeq number of the REFER. An operator looks.
    pub(crate) sequence: Option<u32>,
    /// Who is transferred.
    pub(crate) seeker: Seeker,
    pub(crate) brought: Brought,
}

/// What is wrong with a leg that is to give up whom it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unyielding {
    /// Something is under way that will be over in a moment.
    Busy,
    /// It talks to nobody.
    Alone,
    /// It is being rung itself.
    Called,
    /// Its call is over.
    Gone,
}

impl Unyielding {
    /// As whoever is asked to replace its dialog would say it (RFC 3891 §3).
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Busy => StatusCode::REQUEST_PENDING.code(),
            Self::Called => StatusCode::CALL_DOES_NOT_EXIST.code(),
            Self::Alone | Self::Gone => StatusCode::DECLINE.code(),
        }
    }
}

impl Call {
    /// Whether an agent's leg has somebody to give up.
    ///
    /// # Errors
    /// Why it has not.
    pub(crate) fn yields(&self, agent: LegId) -> Result<(), Unyielding> {
        match &self.state {
            State::Connected(connected) => match connected.other_than(agent) {
                Some(_) if connected.answer_owed || connected.replacing.is_some() => Err(Unyielding::Busy),
                Some(Some(_)) => Ok(()),
                Some(None) => Err(Unyielding::Alone),
                None => Err(Unyielding::Gone),
            },
            State::Routing(Routing { hunt }) | State::Ringing(Ringing { hunt }) if self.facts.is_caller(agent) => {
                if hunt.is_picked_up() {
                    Err(Unyielding::Busy)
                } else {
                    Ok(())
                }
            }
            State::Routing(_) | State::Ringing(_) => Err(Unyielding::Called),
            State::Conference(conference) => conference.yields(agent),
            State::Answering(_) | State::Transferring(_) | State::Consulting(_) => Err(Unyielding::Busy),
            State::Ending(_) | State::Over => Err(Unyielding::Gone),
        }
    }

    /// How many talk beside one of them.
    pub(crate) fn others(&self) -> usize {
        self.talking().len().saturating_sub(1)
    }

    /// Gives up whom an agent's leg talks to or calls, and ends. A shadow of each leg that goes stays for the record.
    pub(crate) fn yield_up(&mut self, agent: LegId, ids: &mut Ids, actions: &mut Actions) -> Option<Brought> {
        self.yields(agent).ok()?;
        match std::mem::replace(&mut self.state, State::Over) {
            State::Connected(connected) => {
                let others = connected.other_than(agent)?;
                Some(self.yield_talking(others.as_slice(), ids, actions))
            }
            State::Conference(conference) => {
                let others: Vec<LegId> = conference.members().iter().copied().filter(|leg| *leg != agent).collect();
                Some(self.yield_talking(&others, ids, actions))
            }
            State::Routing(routing) => Some(self.yield_hunt(routing.hunt, ids, actions)),
            State::Ringing(ringing) => Some(self.yield_hunt(ringing.hunt, ids, actions)),
            state @ (State::Answering(_)
            | State::Transferring(_)
            | State::Consulting(_)
            | State::Ending(_)
            | State::Over) => {
                self.state = state;
                None
            }
        }
    }

    fn yield_talking(&mut self, others: &[LegId], ids: &mut Ids, actions: &mut Actions) -> Brought {
        let legs = others.iter().filter_map(|leg| take(*leg, &mut self.facts, ids)).collect();
        let outcome = answered(EndedBy::System, "The call was joined with another of the agent's.");
        let reason = Reason::q850(16, "Call transferred");
        self.state = Ending::finish(&mut self.facts, outcome, Some(&reason), actions);
        Brought::Talking(legs)
    }

    fn yield_hunt(&mut self, hunt: Hunt, ids: &mut Ids, actions: &mut Actions) -> Brought {
        let facts = &mut self.facts;
        let legs = hunt.branches.iter().filter_map(|leg| take(*leg, facts, ids)).collect();
        let caller = facts.caller_id();
        let reason = Reason::sip(200, "Call completed elsewhere");
        if let Some(leg) = facts.leg_mut(caller).filter(|leg| leg.signal == Signal::Incoming) {
            leg.signal = Signal::Over;
            let (status, reasons) = (StatusCode::REQUEST_TERMINATED, vec![reason.to_string()]);
            actions.push(Action::Reject { leg: caller, status, phrase: None, reasons, retry_after: None });
        }
        let outcome = Outcome {
            result: CallResult::Cancelled,
            status: StatusCode::REQUEST_TERMINATED.code(),
            q850: Some(16),
            ended_by: EndedBy::System,
            explanation: "The call was joined with another of the agent's while it rang.".to_owned(),
            advice: None,
        };
        self.state = Ending::finish(facts, outcome, Some(&reason), actions);
        Brought::Ringing(Box::new(hunt), legs)
    }
}

/// Takes a leg out, and leaves a shadow to which nothing is owed.
fn take(leg: LegId, facts: &mut Facts, ids: &mut Ids) -> Option<Leg> {
    let known = facts.leg_mut(leg)?;
    let mut shadow = known.clone();
    shadow.id = LegId(ids.next());
    shadow.signal = Signal::Over;
    shadow.medium = Medium::Closed;
    Some(std::mem::replace(known, shadow))
}

/// Takes in what the other call gave.
pub(super) fn begin(
    before: Connected,
    joining: Joining,
    facts: &mut Facts,
    ctx: &mut Context<'_>,
    actions: &mut Actions,
) -> State {
    let Joining { id, transferor, sequence, seeker, brought } = joining;
    facts.max_forwards = facts.max_forwards.saturating_sub(1);
    facts.transfers.push(TransferView {
        id,
        mode: TransferMode::Attended,
        target: seeker.dialled.clone(),
        by: facts.leg(transferor).map(|leg| leg.name.clone()).unwrap_or_default(),
        status: TransferStatus::Trying,
        sip_status: None,
    });
    if let Some(sequence) = sequence {
        referral::subscribe(transferor, sequence, facts, actions);
    }
    match brought {
        Brought::Talking(legs) => {
            if let Some(Party::Extension { agent: Some(agent), .. }) = legs.first().map(|leg| &leg.party) {
                facts.callee_agent = Some(agent.clone());
            }
            let talking: Vec<LegId> = [seeker.leg].into_iter().chain(take_in(legs, facts, actions)).collect();
            facts.settle_transfer(TransferStatus::Succeeded, StatusCode::OK);
            referral::part(transferor, StatusCode::OK, facts, actions);
            Conference::of(talking, ctx, actions)
        }
        Brought::Ringing(hunt, legs) => {
            facts.legs.extend(legs);
            let mut hunt = *hunt;
            hunt.seek_for(seeker, facts, actions);
            State::Transferring(Box::new(Transferring::hunting(before, transferor, hunt)))
        }
    }
}

/// Legs of another call go on in this one.
pub(super) fn take_in(legs: Vec<Leg>, facts: &mut Facts, actions: &mut Actions) -> Vec<LegId> {
    let ids = legs.iter().map(|leg| leg.id).collect();
    if legs.iter().any(modifying::awaits_shard) {
        actions.push(Action::SetTimer(CallTimer::Change, MEDIA_TIMEOUT));
    }
    facts.legs.extend(legs);
    ids
}
