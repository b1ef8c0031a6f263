//! What the API shows of a call, made of what the call knows; and its record when it has ended.

use std::time::Instant;

use crate::call::{Call, Leg, Party, explanation_of};
use crate::config::Clock;
use crate::output::{CallRecord, CallResult, CallState, CallView, EndedBy, LegView};

/// A call as it is now.
pub(crate) fn of(call: &Call, clock: &Clock) -> CallView {
    let facts = &call.facts;
    let owned = |text: Option<&str>| text.map(str::to_owned);
    CallView {
        id: facts.id.clone(),
        direction: facts.direction,
        state: call.shown_state(),
        from: facts.from.clone(),
        to: facts.to.clone(),
        started_at: clock.at(facts.started),
        answered_at: facts.answered.map(|at| clock.at(at)),
        agent_id: owned(agent(call)),
        trunk_id: owned(trunk(call)),
        legs: facts
            .legs
            .iter()
            .map(|leg| LegView {
                id: leg.name.clone(),
                party: leg.party.shown().to_owned(),
                extension: owned(extension_of(leg)),
                agent_id: owned(agent_of(leg)),
                trunk_id: owned(trunk_of(leg)),
                sip_call_id: leg.sip_call_id.clone(),
                away: is_away(leg),
                state: leg.state,
                codec: leg.codec,
                media: leg.media,
                transport: leg.flow.transport,
                remote: leg.flow.peer,
            })
            .collect(),
        transfers: facts.transfers.clone(),
        participants: call.participants(),
    }
}

/// Whether a picture is what [`of`] would make of the call now. Asked after every event: most change nothing that is shown, and to make
/// a picture of them costs more than all else that is kept of a call.
pub(crate) fn is_of(view: &CallView, call: &Call, clock: &Clock) -> bool {
    let CallView { id, direction, state, from, to, started_at, answered_at, agent_id, trunk_id, legs, .. } = view;
    let facts = &call.facts;
    (id, direction, from, to) == (&facts.id, &facts.direction, &facts.from, &facts.to)
        && (*state, *started_at) == (call.shown_state(), clock.at(facts.started))
        && *answered_at == facts.answered.map(|at| clock.at(at))
        && (agent_id.as_deref(), trunk_id.as_deref()) == (agent(call), trunk(call))
        && legs.len() == facts.legs.len()
        && legs.iter().zip(&facts.legs).all(|(view, leg)| is_of_leg(view, leg))
        && view.transfers == facts.transfers
        && view.participants == call.participants()
}

fn is_of_leg(view: &LegView, leg: &Leg) -> bool {
    let LegView { id, party, extension, agent_id, trunk_id, sip_call_id, away, state, codec, media, transport, remote } =
        view;
    (id, sip_call_id) == (&leg.name, &leg.sip_call_id)
        && party == leg.party.shown()
        && (extension.as_deref(), agent_id.as_deref()) == (extension_of(leg), agent_of(leg))
        && (trunk_id.as_deref(), *away) == (trunk_of(leg), is_away(leg))
        && (*state, *codec, *media) == (leg.state, leg.codec, leg.media)
        && (*transport, *remote) == (leg.flow.transport, leg.flow.peer)
}

/// A call that is over.
pub(crate) fn record(call: &Call, now: Instant, clock: &Clock) -> CallRecord {
    let facts = &call.facts;
    let outcome = facts.outcome.as_ref();
    CallRecord {
        call: of(call, clock),
        ringing_at: facts.ringing.map(|at| clock.at(at)),
        ended_at: clock.at(now),
        result: outcome.map_or(CallResult::Failed, |outcome| outcome.result),
        sip_status: outcome.map_or(500, |outcome| outcome.status),
        q850: outcome.and_then(|outcome| outcome.q850),
        ended_by: outcome.map_or(EndedBy::System, |outcome| outcome.ended_by),
        explanation: explanation_of(facts, now),
        statistics: facts.legs.iter().map(|leg| leg.statistics).collect(),
    }
}

/// The agent calling; else the one that is known to answer.
fn agent(call: &Call) -> Option<&str> {
    let facts = &call.facts;
    let mut taken = facts.legs.iter().skip(1).filter(|leg| leg.state == CallState::Connected || facts.legs.len() == 2);
    facts.caller().and_then(agent_of).or(facts.callee_agent.as_deref()).or_else(|| taken.find_map(agent_of))
}

fn trunk(call: &Call) -> Option<&str> {
    call.facts.legs.iter().rev().find_map(trunk_of)
}

fn agent_of(leg: &Leg) -> Option<&str> {
    match &leg.party {
        Party::Extension { agent, .. } => agent.as_deref(),
        Party::Trunk { .. } => None,
    }
}

fn extension_of(leg: &Leg) -> Option<&str> {
    match &leg.party {
        Party::Extension { number, .. } => Some(number),
        Party::Trunk { .. } => None,
    }
}

fn trunk_of(leg: &Leg) -> Option<&str> {
    match &leg.party {
        Party::Trunk { id, .. } => Some(id),
        Party::Extension { .. } => None,
    }
}

fn is_away(leg: &Leg) -> bool {
    leg.away && !leg.is_over()
}
