//! A leg that is reclaimed: the phones of its extension are called once more, and the first that answers takes its place as an INVITE
//! with Replaces would (RFC 3891). Until then everything is as it was, whatever state the call is in; nobody else hears of it.

use std::time::Duration;

use bytes::Bytes;
use media::{Bandwidth, Command};
use sip::{Flow, Reason, StatusCode};

use super::action::{Action, Actions, CallEvent, CallTimer};
use super::context::Context;
use super::facts::Facts;
use super::leg::{Leg, LegId, Party, Signal};
use super::reaching::leg_of;
use super::replacing::Replacement;
use super::seeker::Seeker;
use super::{Call, modifying, target};
use crate::operator::OperatorError;
use crate::output::CallState;

/// How long phones may take that are asked to answer by themselves: one that asks its user first has time for that, and who waits at the
/// other end is not kept for a whole ring time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Phones are called to take the place of a leg.
#[derive(Debug, Clone)]
pub(crate) struct Reclaim {
    old: LegId,
    phones: Vec<LegId>,
    /// How the leg was lost meanwhile. It is mourned when nobody takes its place.
    lost: Option<Box<CallEvent>>,
}

/// Whose affair an event is.
pub(super) enum Affair {
    /// The state's.
    Others(CallEvent),
    /// It is dealt with.
    Own,
    /// A phone has answered, and the state shall let it take the place; of a leg that was lost so.
    Answered(Box<Replacement>, Option<Box<CallEvent>>),
}

impl Call {
    /// The leg that is to be reclaimed: the one named; else an agent's that is away; else any agent's.
    ///
    /// # Errors
    /// When nobody talks, or the leg is no agent's that does.
    pub(crate) fn reclaimable(&self, name: Option<&str>) -> Result<&Leg, OperatorError> {
        let talks = |leg: &&Leg| leg.signal == Signal::Up && leg.state == CallState::Connected;
        if !self.facts.legs.iter().any(|leg| talks(&leg)) {
            return Err(OperatorError::NotConnected);
        }
        let is_agents = |leg: &&Leg| matches!(leg.party, Party::Extension { .. });
        let mut legs = self.facts.legs.iter().filter(talks).filter(is_agents);
        let found = match name {
            Some(name) => legs.find(|leg| leg.name == name),
            None => legs.clone().find(|leg| leg.away).or_else(|| legs.next()),
        };
        found.ok_or(OperatorError::UnknownLeg)
    }

    /// Calls the phones of a leg's extension.
    ///
    /// # Errors
    /// When something else is under way, or no phone is there.
    pub(crate) fn reclaim(
        &mut self,
        old: LegId,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> Result<(), OperatorError> {
        if self.facts.reclaim.is_some() {
            return Err(OperatorError::Changing);
        }
        self.check_replaceable(old).map_err(|status| match status {
            StatusCode::DECLINE => OperatorError::UnknownLeg,
            StatusCode::CALL_DOES_NOT_EXIST => OperatorError::NotConnected,
            _ => OperatorError::Changing,
        })?;
        begin(old, &mut self.facts, ctx, actions)
    }

    /// What the state is told once a phone has answered that was called for a leg.
    pub(super) fn replacement(
        &mut self,
        replacement: Box<Replacement>,
        lost: Option<Box<CallEvent>>,
        actions: &mut Actions,
    ) -> Option<CallEvent> {
        if self.check_replaceable(replacement.old).is_ok() {
            if lost.is_some() {
                // Should the place not be taken after all, nobody has it any more.
                let reason = Reason::sip(200, "Call taken over elsewhere");
                self.facts.release(replacement.old, Some(reason), actions);
            }
            return Some(CallEvent::Replace(replacement));
        }
        // The state has moved on: there is no such place now. It has not heard yet that the leg is lost.
        self.facts.release(replacement.new.id, Some(Reason::sip(200, "Call completed elsewhere")), actions);
        lost.map(|lost| *lost)
    }

    /// Who was called for a leg that talks no more rings in vain.
    pub(super) fn settle_reclaim(&mut self, actions: &mut Actions) {
        let Some(reclaim) = &self.facts.reclaim else { return };
        let is_over = self.facts.leg(reclaim.old).is_none_or(Leg::is_over) && reclaim.lost.is_none();
        if is_over || self.shown_state() == CallState::Ending {
            stop(Reason::sip(200, "Call completed elsewhere"), &mut self.facts, actions);
        }
    }
}

fn begin(old: LegId, facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> Result<(), OperatorError> {
    let Some(leg) = facts.leg(old).cloned() else { return Err(OperatorError::UnknownLeg) };
    let Party::Extension { number, .. } = &leg.party else { return Err(OperatorError::UnknownLeg) };
    let (seeker, bandwidth) = (shown_to(&leg, facts, ctx), bandwidth(old, facts));
    let mut legs = target::legs_to(number, &leg.party, &seeker, facts, ctx);
    legs.retain(|phone| !has_it(&leg, phone.flow));
    legs.truncate(ctx.config.max_branches);
    if legs.is_empty() {
        return Err(OperatorError::NotRegistered);
    }
    let phones = legs.iter().map(|phone| phone.id).collect();
    for mut phone in legs {
        let session = phone.id.media();
        if let Some(envelope) = &mut phone.envelope {
            envelope.answers_itself = true;
        }
        let id = phone.id;
        facts.legs.push(phone);
        facts.open_media(id, ctx, actions);
        actions.push(Action::Media(Command::CreateOffer { session, bandwidth }));
    }
    actions.push(Action::SetTimer(CallTimer::Reclaim, PATIENCE));
    facts.reclaim = Some(Reclaim { old, phones, lost: None });
    Ok(())
}

/// Whether the phone behind a flow is the one that has the leg, and knows that it has.
fn has_it(leg: &Leg, flow: Flow) -> bool {
    !leg.away && !leg.returned && leg.flow.connection == flow.connection
}

/// As whose call the phones see it: of whoever the leg talks to.
fn shown_to(leg: &Leg, facts: &Facts, ctx: &Context<'_>) -> Seeker {
    let other = talking(facts).find(|other| other.id != leg.id);
    let seeker = Seeker::caller(facts);
    let (number, display) = match other.map(|other| (other, &other.party)) {
        Some((other, _)) if facts.is_caller(other.id) => (facts.from.clone(), facts.from_display.clone()),
        Some((_, Party::Extension { number, agent })) => {
            let agent = agent.as_ref().and_then(|id| ctx.directory.agents.get(id));
            (number.clone(), agent.map(|agent| agent.display_name.clone()).filter(|name| !name.is_empty()))
        }
        Some((_, Party::Trunk { number, .. })) => (number.clone(), None),
        None => (facts.to.clone(), None),
    };
    Seeker { number, display, referred_by: None, ..seeker }
}

/// What whoever the leg talks to can use.
fn bandwidth(old: LegId, facts: &Facts) -> Bandwidth {
    let mut others = talking(facts).filter(|leg| leg.id != old);
    match (others.next(), others.next()) {
        (Some(other), None) => facts.bandwidth_of(other.id),
        (Some(_), Some(_)) | (None, _) => Bandwidth::Full,
    }
}

fn talking(facts: &Facts) -> impl Iterator<Item = &Leg> {
    facts.legs.iter().filter(|leg| leg.signal == Signal::Up && leg.state == CallState::Connected)
}

/// What happens to the phones that are called, and to the leg while they are.
pub(super) fn on(event: CallEvent, facts: &mut Facts, actions: &mut Actions) -> Affair {
    if matches!(event, CallEvent::Timer(CallTimer::Reclaim)) {
        return give_up(Reason::q850(19, "No answer"), facts, actions);
    }
    let Some(reclaim) = &mut facts.reclaim else { return Affair::Others(event) };
    if is_loss_of(reclaim.old, &event) {
        reclaim.lost.get_or_insert(Box::new(event));
        return Affair::Own;
    }
    let Some(leg) = leg_of(&event).filter(|leg| reclaim.phones.contains(leg)) else { return Affair::Others(event) };
    on_phone(leg, event, facts, actions)
}

/// Whether an event says that a leg cannot be talked to any more. Who hangs up is not lost.
fn is_loss_of(old: LegId, event: &CallEvent) -> bool {
    let is_loss = matches!(
        event,
        CallEvent::FlowLost { .. }
            | CallEvent::Lost { .. }
            | CallEvent::NoAck { .. }
            | CallEvent::SessionOver { .. }
            | CallEvent::Media { event: media::Event::Silent { .. } | media::Event::Failed { .. }, .. }
    );
    is_loss && leg_of(event) == Some(old)
}

fn on_phone(leg: LegId, event: CallEvent, facts: &mut Facts, actions: &mut Actions) -> Affair {
    let is_gone = is_loss_of(leg, &event)
        || matches!(
            event,
            CallEvent::Refused { .. }
                | CallEvent::Bye { .. }
                | CallEvent::Media { event: media::Event::Rejected { .. }, .. }
        );
    if is_gone {
        return drop_phone(leg, facts, actions);
    }
    if let CallEvent::Answered { response, .. } = event {
        if response.body.is_empty() {
            return drop_phone(leg, facts, actions);
        }
        return answered(leg, response.body, facts, actions);
    }
    if let CallEvent::Media { event: media::Event::LocalDescription { .. }, .. } = event {
        facts.invite(leg, actions);
    } else if let CallEvent::Progress { response, .. } = event {
        if response.status != StatusCode::TRYING {
            facts.leg_mut(leg).into_iter().for_each(|leg| leg.state = CallState::Ringing);
        }
    } else if let CallEvent::Change { change, .. } = event {
        modifying::untimely(leg, &change, actions);
    }
    Affair::Own
}

/// The first phone that answers.
fn answered(new: LegId, answer: Bytes, facts: &mut Facts, actions: &mut Actions) -> Affair {
    let Some(Reclaim { old, phones, lost }) = facts.reclaim.take() else { return Affair::Own };
    actions.push(Action::ClearTimer(CallTimer::Reclaim));
    for phone in phones.into_iter().filter(|phone| *phone != new) {
        facts.release(phone, Some(Reason::sip(200, "Call completed elsewhere")), actions);
    }
    let Some(leg) = facts.leg(new).cloned() else { return Affair::Own };
    Affair::Answered(Box::new(Replacement { old, new: leg, offer: Some(answer) }), lost)
}

fn drop_phone(leg: LegId, facts: &mut Facts, actions: &mut Actions) -> Affair {
    facts.release(leg, None, actions);
    let Some(reclaim) = &mut facts.reclaim else { return Affair::Own };
    reclaim.phones.retain(|phone| *phone != leg);
    if reclaim.phones.is_empty() {
        return give_up(Reason::q850(19, "No answer"), facts, actions);
    }
    Affair::Own
}

/// Nobody takes the place: the leg is as it was, or it is told now that it was lost.
fn give_up(reason: Reason, facts: &mut Facts, actions: &mut Actions) -> Affair {
    match stop(reason, facts, actions) {
        Some(lost) => Affair::Others(*lost),
        None => Affair::Own,
    }
}

fn stop(reason: Reason, facts: &mut Facts, actions: &mut Actions) -> Option<Box<CallEvent>> {
    let reclaim = facts.reclaim.take()?;
    actions.push(Action::ClearTimer(CallTimer::Reclaim));
    for phone in reclaim.phones {
        facts.release(phone, Some(reason.clone()), actions);
    }
    reclaim.lost
}
