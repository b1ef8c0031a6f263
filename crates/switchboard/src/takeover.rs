//! INVITE with Replaces (RFC 3891): another device of the same extension, or the same trunk, takes the place of one of its own dialogs:
//! a call that it lost, or one that rings elsewhere.

use std::time::Instant;

use bytes::Bytes;
use sip::{Flow, Replaces, Request, ResponseDraft, SessionId, Standing, StatusCode};

use crate::call::{CallEvent, Leg, LegId, Party, Replacement, Signal};
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
                new.sip_call_id = self.endpoint.call_id(session).map(str::to_owned);
                self.calls.bind_as(session, key, new.id, Some(&new.party));
                self.calls.believed.add(session, flow);
                let offer = Bytes::copy_from_slice(&request.body);
                self.believe(session);
                self.call_event(now, key, CallEvent::Replace(Box::new(Replacement { old, new, offer })));
            }
            Err(refusal) => self.endpoint.reject(now, session, *refusal),
        }
    }

    /// The leg whose place an INVITE takes, and who takes it.
    fn place(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
    ) -> Result<(CallKey, LegId, Party), Box<ResponseDraft>> {
        let agent = if flow.transport.is_websocket() {
            Some(self.authenticate(now, flow, request, Challenge::Proxy)?.extension.number)
        } else {
            None
        };
        self.place_of(flow, request, agent.as_deref()).map_err(|status| {
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
            (Party::Trunk { id, .. }, None) => self.admission.trunks(flow.peer.ip()).any(|known| known == id),
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
        if request.body.is_empty() {
            // What is to be joined with somebody at once has to say how.
            return Err(StatusCode::NOT_ACCEPTABLE_HERE);
        }
        Ok((key, leg, party))
    }
}
