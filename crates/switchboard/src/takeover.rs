//! INVITE with Replaces (RFC 3891): another device of the same extension, or the same trunk, takes the place of one of its own dialogs:
//! a call that it lost, or one that rings elsewhere.

use std::time::Instant;

use bytes::Bytes;
use sip::{Flow, Replaces, Request, ResponseDraft, SessionId, Standing, StatusCode};

use crate::call::{CallEvent, Change, Leg, LegId, Party, Replacement, Signal, owes_answer};
use crate::calls::CallKey;
use crate::perform::SDP;
use crate::requests::Challenge;
use crate::switchboard::Switchboard;

impl Switchboard {
    /// An INVITE that wants somebody's place.
    pub(crate) fn take_over(&mut self, now: Instant, session: SessionId, flow: Flow, request: &Request) {
        match self.place(now, flow, request) {
            Ok((key, old, party)) => {
                let mut new = Leg::new(LegId(self.ids.next()), self.ids.random("leg_"), party, flow, Signal::Incoming);
                new.is_newcomer = true;
                new.sip_call_id = self.endpoint.call_id(session).map(str::to_owned);
                self.calls.bind_as(session, key, new.id, Some(&new.party));
                self.calls.believed.add(session, flow);
                let offer = Some(Bytes::copy_from_slice(&request.body)).filter(|offer| !offer.is_empty());
                self.believe(session);
                self.call_event(now, key, CallEvent::Replace(Box::new(Replacement { old, new, offer })));
            }
            Err(refusal) => self.endpoint.reject(now, session, *refusal),
        }
    }

    pub(crate) fn is_newcomer(&self, key: CallKey, leg: LegId) -> bool {
        self.calls.facts(key).and_then(|facts| facts.leg(leg)).is_some_and(|leg| leg.is_newcomer)
    }

    /// What the ACK of an INVITE means by which a leg took a place.
    pub(crate) fn newcomer_confirmed(&self, key: CallKey, leg: LegId, body: Vec<u8>) -> CallEvent {
        let known = self.calls.facts(key).and_then(|facts| facts.leg(leg));
        if body.is_empty() && known.is_some_and(owes_answer) {
            // It can be talked to by nobody.
            let (session, reason) = (leg.media(), "its ACK brought no answer to our offer".to_owned());
            return CallEvent::Media { leg, event: media::Event::Failed { session, reason } };
        }
        CallEvent::Change { leg, change: Change::Confirmed { body } }
    }

    /// The leg whose place an INVITE takes, and who takes it.
    fn place(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
    ) -> Result<(CallKey, LegId, Party), Box<ResponseDraft>> {
        let (agent, trunk) = if flow.transport.is_websocket() {
            (Some(self.authenticate(now, flow, request, Challenge::Proxy)?.extension.number), None)
        } else {
            (None, Some(self.calling_trunk(now, flow, request, None)?))
        };
        self.place_of(flow, request, agent.as_deref(), trunk.as_deref()).map_err(|status| {
            let draft = ResponseDraft::new(status);
            let is_type = status == StatusCode::UNSUPPORTED_MEDIA_TYPE;
            (if is_type { draft.with_header("Accept", SDP) } else { draft }).into()
        })
    }

    fn place_of(
        &self,
        flow: Flow,
        request: &Request,
        agent: Option<&str>,
        trunk: Option<&str>,
    ) -> Result<(CallKey, LegId, Party), StatusCode> {
        let mut named = request.headers.get_all("Replaces");
        let replaces = named.next().and_then(Replaces::parse).filter(|_| named.next().is_none());
        let replaces = replaces.ok_or(StatusCode::BAD_REQUEST)?;
        if !request.body.is_empty() && request.headers.content_type().as_deref() != Some(SDP) {
            return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        let (session, standing) = self.endpoint.replaced(&replaces).ok_or(StatusCode::CALL_DOES_NOT_EXIST)?;
        let (key, leg) = self.calls.of_session(session).ok_or(StatusCode::CALL_DOES_NOT_EXIST)?;
        let facts = self.calls.facts(key).ok_or(StatusCode::DECLINE)?;
        let party = facts.leg(leg).map(|leg| leg.party.clone()).ok_or(StatusCode::DECLINE)?;
        let may = match (&party, agent) {
            (Party::Extension { number, .. }, Some(agent)) => number == agent,
            (Party::Trunk { id, .. }, None) => trunk == Some(id.as_str()) || self.speaks_by_flow(flow, id),
            (Party::Extension { .. }, None) | (Party::Trunk { .. }, Some(_)) => false,
        };
        if !may {
            return Err(StatusCode::FORBIDDEN);
        }
        match standing {
            Standing::Over => return Err(StatusCode::DECLINE),
            Standing::EarlyTheirs => return Err(StatusCode::CALL_DOES_NOT_EXIST),
            Standing::Confirmed if replaces.early_only => return Err(StatusCode::BUSY_HERE),
            Standing::EarlyOurs | Standing::Confirmed => {}
        }
        self.calls.call(key).ok_or(StatusCode::DECLINE)?.check_replaceable(leg)?;
        Ok((key, leg, party))
    }
}
