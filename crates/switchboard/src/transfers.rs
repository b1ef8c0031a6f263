//! Transfers as agents ask for them by REFER (RFC 3515, RFC 5589) and operators by REST: who may, whom, and where the dialplan leads the
//! call. What becomes of it is the call's own matter.

use std::time::Instant;

use bytes::Bytes;
use sip::{
    Host, InsideRequest, Method, NameAddr, OutgoingId, Replaces, Request, RequestId, ResponseDraft, Standing,
    StatusCode, Uri,
};

use crate::call::{
    Actions, Brought, Call, CallEvent, Consult, Consultation, Failure, Joining, LegId, Meanwhile, Party, Report,
    Seeker, Transfer, Transferee, Untransferable, own_contact,
};
use crate::calls::CallKey;
use crate::dialplan::{Decision, Lookup, Origin, Step, Target};
use crate::number::e164;
use crate::operator::OperatorError;
use crate::output::{CallId, TransferMode, TransferTarget, TransferView};
use crate::refer_to::ReferTo;
use crate::switchboard::Switchboard;

/// How long a transfer may take, as its transferor is told; ours end long before.
const EXPIRES: u32 = 600;

/// Where an agent's wish leads.
pub(crate) struct Whereto {
    /// What was dialled.
    pub(crate) dialled: String,
    /// The targets, or why there are none.
    pub(crate) steps: Result<Vec<Step>, Failure>,
    /// The extension that has the number, when it is one of ours.
    pub(crate) assigned: Option<String>,
}

impl Switchboard {
    /// A REFER inside a dialog.
    pub(crate) fn refer(&mut self, now: Instant, key: CallKey, leg: LegId, id: RequestId, request: &Request) {
        let transfer = self.ids.random("trf_");
        match self.referred(key, leg, transfer, request) {
            Ok((mut transfer, other)) => {
                transfer.sequence = request.headers.cseq().ok().flatten().map(|cseq| cseq.number);
                let draft = self.with_contact(ResponseDraft::new(StatusCode::ACCEPTED), key, leg);
                self.endpoint.respond(now, id, draft);
                self.carry_out(now, key, transfer, other);
            }
            Err(status) => self.endpoint.respond(now, id, ResponseDraft::new(status)),
        }
    }

    /// The transfer a REFER asks for, and the agent's leg of another call whose party it is to; or the status to refuse it with.
    fn referred(
        &self,
        key: CallKey,
        leg: LegId,
        id: String,
        request: &Request,
    ) -> Result<(Transfer, Option<(CallKey, LegId)>), StatusCode> {
        let party = self.calls.facts(key).and_then(|facts| facts.leg(leg)).map(|leg| &leg.party);
        match party {
            Some(Party::Extension { .. }) => {}
            // A carrier has its own ways to connect its callers.
            Some(Party::Trunk { .. }) => return Err(StatusCode::FORBIDDEN),
            None => return Err(StatusCode::CALL_DOES_NOT_EXIST),
        }
        let ReferTo { number, replaces } = ReferTo::of(request)?;
        let transfer = self.transfer(id, key, leg, TransferTarget::Number(number)).map_err(|why| match why {
            Untransferable::Busy => StatusCode::REQUEST_PENDING,
            Untransferable::Alone => StatusCode::DECLINE,
            Untransferable::Gone => StatusCode::CALL_DOES_NOT_EXIST,
        })?;
        let Some(replaces) = replaces else { return Ok((transfer, None)) };
        // What comes of it is told as the answer to an INVITE with this Replaces would be.
        Ok(match self.consulted(key, leg, replaces) {
            Ok(other) => (transfer, Some(other)),
            Err(failure) => (Transfer { mode: TransferMode::Attended, steps: Err(failure), ..transfer }, None),
        })
    }

    /// The leg of the same agent in another call, by its dialog.
    fn consulted(&self, key: CallKey, leg: LegId, replaces: Replaces) -> Result<(CallKey, LegId), Failure> {
        let unknown = || Failure::new(481, "The agent has no such other call.");
        let found = self.endpoint.replaced(&replaces);
        // Some clients name the dialog as they know it themselves when the other side called.
        let early_only = replaces.early_only;
        let (session, standing) = found.or_else(|| self.endpoint.replaced(&replaces.reversed())).ok_or_else(unknown)?;
        match standing {
            Standing::Over => return Err(Failure::new(603, "The agent's other call is over.")),
            Standing::Confirmed if early_only => return Err(Failure::new(486, "The agent's other call is answered.")),
            Standing::EarlyOurs | Standing::EarlyTheirs | Standing::Confirmed => {}
        }
        let other = self.calls.of_session(session).ok_or_else(unknown)?;
        self.check_joinable((key, leg), other)?;
        if !self.has_room((key, leg), other) {
            return Err(Failure::new(503, "More would be in the call than may be."));
        }
        Ok(other)
    }

    /// Whether two legs are one agent's, and what they are with can be joined.
    fn check_joinable(&self, one: (CallKey, LegId), other: (CallKey, LegId)) -> Result<(), Failure> {
        let unknown = || Failure::new(481, "The agent has no such other call.");
        let extension = |(key, leg): (CallKey, LegId)| match &self.calls.facts(key)?.leg(leg)?.party {
            Party::Extension { number, .. } => Some(number.as_str()),
            Party::Trunk { .. } => None,
        };
        let is_same = extension(one).is_some_and(|number| extension(other) == Some(number));
        if one.0 == other.0 || !is_same {
            return Err(unknown());
        }
        let call = self.calls.call(other.0).ok_or_else(unknown)?;
        call.yields(other.1).map_err(|why| Failure::new(why.status(), "The agent's other call cannot be joined now."))
    }

    /// Whether those with whom two legs are may all be in one call.
    fn has_room(&self, one: (CallKey, LegId), other: (CallKey, LegId)) -> bool {
        let others = |(key, _): (CallKey, LegId)| self.calls.call(key).map_or(0, Call::others);
        others(one) + others(other).max(1) <= self.config.max_participants
    }

    /// Begins a transfer, for an attended one with what the agent's other call gives up for it.
    fn carry_out(&mut self, now: Instant, key: CallKey, mut transfer: Transfer, other: Option<(CallKey, LegId)>) {
        let has_hops = self.calls.facts(key).is_some_and(|facts| facts.max_forwards > 0);
        let Some((other, agent)) = other.filter(|_| has_hops) else {
            self.call_event(now, key, CallEvent::Transfer(Box::new(transfer)));
            return;
        };
        let Some((brought, farewells)) = self.bring(key, (other, agent)) else {
            transfer.steps = Err(Failure::new(481, "The agent has no such other call."));
            self.call_event(now, key, CallEvent::Transfer(Box::new(transfer)));
            return;
        };
        let Transfer { id, transferor, sequence, seeker, .. } = transfer;
        let joining = Joining { id, transferor, sequence, seeker, brought };
        self.call_event(now, key, CallEvent::Join(Box::new(joining)));
        for action in farewells {
            self.perform(now, other, action);
        }
        self.show(now, other);
    }

    /// What an agent's leg of another call gives up for this one, and what that call wants done once it was taken in.
    pub(crate) fn bring(&mut self, key: CallKey, (other, agent): (CallKey, LegId)) -> Option<(Brought, Actions)> {
        let mut farewells = Actions::new();
        let brought = self.calls.yield_up(other, agent, &mut self.ids, &mut farewells)?;
        let (Brought::Talking(legs) | Brought::Ringing(_, legs)) = &brought;
        let legs: Vec<LegId> = legs.iter().map(|leg| leg.id).collect();
        self.calls.hand_over(&legs, other, key);
        Some((brought, farewells))
    }

    /// An operator transfers on behalf of a leg.
    pub(crate) fn operator_transfers(
        &mut self,
        now: Instant,
        call: &CallId,
        mode: TransferMode,
        leg: Option<&str>,
        target: TransferTarget,
    ) -> Result<TransferView, OperatorError> {
        let key = self.calls.of_id(call).ok_or(OperatorError::UnknownCall)?;
        let leg = self.calls.call(key).ok_or(OperatorError::UnknownCall)?.holder(leg)?.id;
        let other = match &target {
            TransferTarget::Call(other) => Some(self.other_call((key, leg), other)?),
            TransferTarget::Extension(_) | TransferTarget::Number(_) => None,
        };
        if other.is_some_and(|other| !self.has_room((key, leg), other)) {
            return Err(OperatorError::Full);
        }
        let id = self.ids.random("trf_");
        let transfer = self.transfer(id.clone(), key, leg, target).map_err(|why| match why {
            Untransferable::Busy => OperatorError::Transferring,
            Untransferable::Alone | Untransferable::Gone => OperatorError::NobodyToTransfer,
        })?;
        match mode {
            TransferMode::Attended if other.is_none() => {
                let consultation = self.consultation(key, transfer).ok_or(OperatorError::NobodyToTransfer)?;
                self.call_event(now, key, CallEvent::Consult(Consult::Begin(Box::new(consultation))));
            }
            TransferMode::Attended | TransferMode::Blind => self.carry_out(now, key, transfer, other),
        }
        self.transfer_view(key, &id)
    }

    /// An operator completes a consultation, or cancels it.
    pub(crate) fn operator_settles(
        &mut self,
        now: Instant,
        call: &CallId,
        transfer: &str,
        how: Consult,
    ) -> Result<TransferView, OperatorError> {
        let key = self.calls.of_id(call).ok_or(OperatorError::UnknownCall)?;
        self.calls.call(key).ok_or(OperatorError::UnknownCall)?.check_consulting(transfer)?;
        self.call_event(now, key, CallEvent::Consult(how));
        self.transfer_view(key, transfer)
    }

    fn transfer_view(&self, key: CallKey, id: &str) -> Result<TransferView, OperatorError> {
        let transfers = self.calls.facts(key).into_iter().flat_map(|facts| &facts.transfers);
        transfers.rev().find(|transfer| transfer.id == id).cloned().ok_or(OperatorError::UnknownCall)
    }

    /// A transfer whose target the agent wants to talk to first, and is called by the agent therefore.
    fn consultation(&self, key: CallKey, transfer: Transfer) -> Option<Consultation> {
        let Transfer { id, transferor, seeker: waiting, steps, .. } = transfer;
        // Of several who talk to it none waits.
        if waiting.leg == transferor {
            return None;
        }
        let party = &self.calls.facts(key)?.leg(transferor)?.party;
        let (number, display) = (party.shown().to_owned(), self.name_of(party));
        let agent = Seeker { leg: transferor, number, display, ..waiting.clone() };
        Some(Consultation { id, agent, waiting, steps })
    }

    /// The leg that the agent of one has in another call, when the two can be joined.
    pub(crate) fn other_call(&self, one: (CallKey, LegId), other: &CallId) -> Result<(CallKey, LegId), OperatorError> {
        let key = self.calls.of_id(other).ok_or(OperatorError::UnknownTarget)?;
        let legs = self.calls.facts(key).into_iter().flat_map(|facts| &facts.legs).filter(|leg| !leg.is_over());
        let mut legs = legs.map(|leg| (key, leg.id));
        legs.find(|other| self.check_joinable(one, *other).is_ok()).ok_or(OperatorError::Unjoinable)
    }

    /// The transfer by a leg of whomever it talks to. The dialplan decides as if the transferring agent had dialled.
    fn transfer(
        &self,
        id: String,
        key: CallKey,
        leg: LegId,
        target: TransferTarget,
    ) -> Result<Transfer, Untransferable> {
        let call = self.calls.call(key).ok_or(Untransferable::Gone)?;
        let transferee = call.transferee(leg)?;
        let transferor = call.facts.leg(leg).ok_or(Untransferable::Gone)?;
        let Party::Extension { number: extension, agent } = &transferor.party else {
            return Err(Untransferable::Alone);
        };
        let Whereto { dialled, steps, assigned } = self.whereto(extension, target);
        let (waiting, meanwhile, (number, display)) = match transferee {
            Transferee::Other(other) if call.facts.is_caller(other.id) => {
                (other.id, Meanwhile::Ringing, (call.facts.from.clone(), call.facts.from_display.clone()))
            }
            Transferee::Other(other) => {
                (other.id, Meanwhile::Ringing, (other.party.shown().to_owned(), self.name_of(&other.party)))
            }
            Transferee::Place => (leg, Meanwhile::Talk, (extension.clone(), self.name_of(&transferor.party))),
        };
        let seeker = Seeker {
            leg: waiting,
            transferor: Some(leg),
            meanwhile,
            number,
            display,
            agent: agent.clone(),
            dialled,
            assigned,
            referred_by: Host::parse(&self.directory.realm)
                .map(|realm| NameAddr::new(Uri::sip(Some(extension), realm, None)).to_string()),
        };
        Ok(Transfer { id, mode: TransferMode::Blind, transferor: leg, sequence: None, seeker, steps })
    }

    /// Where an agent's wish leads.
    pub(crate) fn whereto(&self, extension: &str, target: TransferTarget) -> Whereto {
        match target {
            TransferTarget::Extension(number) => {
                let step = Step { target: Target::Extension(number.clone()), timeout: None };
                Whereto { dialled: number, steps: Ok(vec![step]), assigned: None }
            }
            TransferTarget::Call(other) => {
                let to = self.calls.of_id(&other).and_then(|key| self.calls.facts(key)).map(|facts| facts.to.clone());
                Whereto { dialled: to.unwrap_or_default(), steps: Ok(Vec::new()), assigned: None }
            }
            TransferTarget::Number(dialled) => {
                let (decision, assigned) = self.route_of_agent(extension, &dialled);
                let nowhere = || Failure::new(404, format!("No rule of the dialplan matches {dialled}."));
                let steps = decision.map(|decision| decision.steps).ok_or_else(nowhere);
                Whereto { dialled, steps, assigned }
            }
        }
    }

    /// Where the dialplan leads an agent who dials, and the extension that has the number, when it is one of ours.
    pub(crate) fn route_of_agent(&self, extension: &str, dialled: &str) -> (Option<Decision>, Option<String>) {
        let is_extension = self.directory.extensions.contains_key(dialled);
        let lookup = Lookup { origin: Origin::Agents, dialled, caller: extension, trunk: None, is_extension };
        let number = self.dialplan.e164(dialled).or_else(|| e164(dialled));
        let number = number.and_then(|number| self.directory.numbers.get(&number));
        (self.dialplan.route(&lookup), number.and_then(|number| number.extension.clone()))
    }

    pub(crate) fn name_of(&self, party: &Party) -> Option<String> {
        let Party::Extension { agent: Some(agent), .. } = party else { return None };
        let agent = self.directory.agents.get(agent)?;
        Some(agent.display_name.clone()).filter(|name| !name.is_empty())
    }

    /// Tells a leg how its transfer goes (RFC 3515 §2.4.4).
    pub(crate) fn notify(&mut self, now: Instant, key: CallKey, leg: LegId, report: &Report) {
        let event = format!("refer;id={}", report.id);
        let state =
            if report.last { "terminated;reason=noresource".to_owned() } else { format!("active;expires={EXPIRES}") };
        let mut headers = vec![("Event".to_owned(), event), ("Subscription-State".to_owned(), state)];
        let transport = self.calls.facts(key).and_then(|facts| facts.leg(leg)).map(|leg| leg.flow.transport);
        if let Some(transport) = transport {
            headers.push(("Contact".to_owned(), format!("<{}>", own_contact(None, transport, &self.config))));
        }
        let line = format!("SIP/2.0 {} {}\r\n", report.status.code(), report.status.reason_phrase());
        let body = Some(("message/sipfrag;version=2.0".to_owned(), Bytes::from(line)));
        let asked = InsideRequest { method: Method::Notify, headers, body };
        let session = self.calls.session_of(leg);
        match session.and_then(|session| self.endpoint.ask(now, session, asked)) {
            Some(id) if report.last => {
                self.reports.insert(id, (key, leg));
            }
            Some(_) => {}
            None if report.last => self.call_event(now, key, CallEvent::Notified { leg }),
            None => {}
        }
    }

    /// Whether an answer is one to a last report; whatever it says, that was all.
    pub(crate) fn is_report(&mut self, now: Instant, id: OutgoingId) -> bool {
        let Some((key, leg)) = self.reports.remove(&id) else { return false };
        self.call_event(now, key, CallEvent::Notified { leg });
        true
    }
}
