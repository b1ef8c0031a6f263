//! Participants as operators ask for them by REST: who may join those who talk, on whose behalf, and who is let go. What becomes of it is
//! the call's own matter.

use std::time::Instant;

use crate::call::{Adding, CallEvent, LegId, Meanwhile, Party, Seeker, Whom};
use crate::calls::CallKey;
use crate::operator::OperatorError;
use crate::output::{CallId, ParticipantView, TransferTarget};
use crate::switchboard::Switchboard;
use crate::transfers::Whereto;

impl Switchboard {
    /// An operator has somebody join, on behalf of a leg.
    pub(crate) fn operator_adds(
        &mut self,
        now: Instant,
        call: &CallId,
        leg: Option<&str>,
        target: TransferTarget,
    ) -> Result<ParticipantView, OperatorError> {
        let key = self.calls.of_id(call).ok_or(OperatorError::UnknownCall)?;
        let by = self.calls.call(key).ok_or(OperatorError::UnknownCall)?.holder(leg)?.id;
        let other = match &target {
            TransferTarget::Call(other) => Some(self.other_call((key, by), other)?),
            TransferTarget::Extension(_) | TransferTarget::Number(_) => None,
        };
        let count = other.and_then(|(other, _)| self.calls.call(other)).map_or(1, |other| other.others().max(1));
        let most = self.config.max_participants;
        self.calls.call(key).ok_or(OperatorError::UnknownCall)?.check_open_to(by, count, most)?;
        let name = self.ids.random("leg_");
        self.add(now, key, by, name.clone(), target, other)?;
        let shown = self.calls.call(key).into_iter().flat_map(crate::call::Call::participants);
        shown.into_iter().find(|participant| participant.id == name).ok_or(OperatorError::UnknownCall)
    }

    /// Has whoever is named join, called as the agent's dialplan would, or brought from the agent's other call.
    fn add(
        &mut self,
        now: Instant,
        key: CallKey,
        by: LegId,
        name: String,
        target: TransferTarget,
        other: Option<(CallKey, LegId)>,
    ) -> Result<(), OperatorError> {
        let party = self.calls.facts(key).and_then(|facts| facts.leg(by)).map(|leg| leg.party.clone());
        let Some(Party::Extension { number, agent }) = party else { return Err(OperatorError::UnknownLeg) };
        let Whereto { dialled, steps, assigned } = self.whereto(&number, target);
        let seeker = Seeker {
            leg: by,
            transferor: Some(by),
            meanwhile: Meanwhile::Talk,
            display: self.name_of(&Party::Extension { number: number.clone(), agent: agent.clone() }),
            number,
            agent,
            dialled,
            assigned,
            referred_by: None,
        };
        let brought = other.and_then(|other| Some((other.0, self.bring(key, other)?)));
        let Some((other, (brought, farewells))) = brought else {
            let adding = Adding { name, seeker, whom: Whom::Called(steps) };
            self.call_event(now, key, CallEvent::Add(Box::new(adding)));
            return Ok(());
        };
        let adding = Adding { name, seeker, whom: Whom::Brought(brought) };
        self.call_event(now, key, CallEvent::Add(Box::new(adding)));
        for action in farewells {
            self.perform(now, other, action);
        }
        self.show(now, other);
        Ok(())
    }

    /// An operator lets somebody go.
    pub(crate) fn operator_dismisses(
        &mut self,
        now: Instant,
        call: &CallId,
        name: String,
    ) -> Result<(), OperatorError> {
        let key = self.calls.of_id(call).ok_or(OperatorError::UnknownCall)?;
        self.calls.call(key).ok_or(OperatorError::UnknownCall)?.check_dismissable(&name)?;
        self.call_event(now, key, CallEvent::Dismiss { name });
        Ok(())
    }
}
