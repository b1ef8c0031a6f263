//! Participants of a call beyond the two it began with: who was asked to join those who talk, and what came of it.

use super::facts::Facts;
use super::joining::Brought;
use super::leg::{Leg, LegId};
use super::{Call, Failure, Seeker};
use crate::dialplan::Step;
use crate::output::{CallState, ParticipantState, ParticipantView};

/// Somebody is to join those who talk.
#[derive(Debug, Clone)]
pub(crate) struct Adding {
    /// The participant's id: the leg that takes the call is called so.
    pub(crate) name: String,
    /// On whose behalf, and as whose call they see it.
    pub(crate) seeker: Seeker,
    pub(crate) whom: Whom,
}

/// Who is to join.
#[derive(Debug, Clone)]
pub(crate) enum Whom {
    /// Whoever answers there; or why nobody can be called.
    Called(Result<Vec<Step>, Failure>),
    /// Whom the agent had in another call.
    Brought(Brought),
}

/// Somebody who was asked to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Participant {
    name: String,
    /// What was dialled.
    dialled: String,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Nobody has answered yet.
    Awaited,
    /// This leg joined.
    Joined(LegId),
    /// Nobody did: what the last target said.
    Failed(u16),
}

impl Facts {
    /// Somebody is asked to join.
    pub(super) fn await_participant(&mut self, name: String, dialled: String) {
        self.participants.push(Participant { name, dialled, outcome: Outcome::Awaited });
    }

    /// Whether somebody of this name is asked to join.
    pub(super) fn awaits_participant(&self, name: &str) -> bool {
        self.participants.last().is_some_and(|known| known.name == name && known.outcome == Outcome::Awaited)
    }

    /// This leg is whoever was awaited.
    pub(super) fn participant_joined(&mut self, leg: LegId) {
        let Some(awaited) = self.participants.last_mut().filter(|known| known.outcome == Outcome::Awaited) else {
            return;
        };
        awaited.outcome = Outcome::Joined(leg);
        let name = awaited.name.clone();
        if let Some(leg) = self.leg_mut(leg) {
            leg.name = name;
        }
    }

    /// Whoever was awaited does not come.
    pub(super) fn participant_failed(&mut self, status: u16) {
        if let Some(awaited) = self.participants.last_mut().filter(|known| known.outcome == Outcome::Awaited) {
            awaited.outcome = Outcome::Failed(status);
        }
    }
}

impl Call {
    /// Who talks or is asked to, and who was and is not any more.
    pub(crate) fn participants(&self) -> Vec<ParticipantView> {
        let facts = &self.facts;
        let talking = self.talking().into_iter().filter_map(|leg| facts.leg(leg)).filter(|leg| !leg.is_over());
        let mut all: Vec<ParticipantView> = talking.map(talks).collect();
        let rings = facts.legs.iter().any(|leg| leg.state == CallState::Ringing && !leg.is_over());
        for participant in &facts.participants {
            let view = match participant.outcome {
                Outcome::Awaited => awaited(participant, rings),
                Outcome::Failed(status) => ended(participant, status),
                Outcome::Joined(leg) if facts.leg(leg).is_none_or(Leg::is_over) => ended(participant, 200),
                Outcome::Joined(_) => continue,
            };
            all.push(view);
        }
        all
    }
}

fn talks(leg: &Leg) -> ParticipantView {
    ParticipantView {
        id: leg.name.clone(),
        party: leg.party.shown().to_owned(),
        state: ParticipantState::Connected,
        media: leg.media,
        sip_status: None,
    }
}

fn awaited(participant: &Participant, rings: bool) -> ParticipantView {
    ParticipantView {
        id: participant.name.clone(),
        party: participant.dialled.clone(),
        state: if rings { ParticipantState::Ringing } else { ParticipantState::Routing },
        media: media::MediaState::default(),
        sip_status: None,
    }
}

fn ended(participant: &Participant, status: u16) -> ParticipantView {
    ParticipantView { state: ParticipantState::Ended, sip_status: Some(status), ..awaited(participant, false) }
}
