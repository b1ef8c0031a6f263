//! Reliable provisional responses to our INVITEs, acknowledged by PRACK (RFC 3262 §4), and our answers to offers that the peer makes because
//! our INVITE made none: in a PRACK or in the ACK (RFC 3261 §13.2.1, RFC 3262 §5).

use std::time::Instant;

use bytes::Bytes;

use super::clients::ClientUser;
use super::{Endpoint, SessionEvent, SessionId};
use crate::early::{Exchange, Heard, Unanswered, is_over};
use crate::message::{Method, RAck, Reason, Response, StatusCode};
use crate::session::{State, TransactionId};

impl Endpoint {
    /// A provisional response of a peer whom nobody has let go.
    pub(super) fn heard(&mut self, now: Instant, session: SessionId, kind: Heard, response: Response) {
        match kind {
            Heard::OutOfTurn => {}
            Heard::Offer => self.tell(session, SessionEvent::EarlyOffer { response }),
            Heard::Plain => self.tell(session, SessionEvent::Progress { response }),
            Heard::Next(rack) => {
                self.prack(now, session, &remote_tag(&response), &rack, None);
                self.tell(session, SessionEvent::Progress { response });
            }
        }
    }

    fn prack(
        &mut self,
        now: Instant,
        session: SessionId,
        remote_tag: &str,
        rack: &RAck,
        body: Option<(String, Bytes)>,
    ) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let flow = usage.flow;
        let Some(early) = usage.early(remote_tag) else { return };
        let flow = early.dialog.next_hop(flow);
        let mut request = early.dialog.request(Method::Prack, None);
        request.headers.push("RAck", rack.to_string());
        if let Some((content_type, body)) = body {
            request = request.with_body(&content_type, body);
        }
        self.start_client(now, flow, request, ClientUser::Prack(session));
    }

    /// Answers the offer that came in a reliable provisional response ([`SessionEvent::EarlyOffer`]) or in the 2xx, of the branch with this
    /// tag: by its PRACK or its ACK. Without an offer that waits, nothing happens.
    pub fn answer_offer(&mut self, now: Instant, session: SessionId, remote_tag: &str, answer: (String, Bytes)) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        match &mut usage.state {
            State::Calling { .. } => {
                let Some(early) = usage.early(remote_tag) else { return };
                let Some(rack) = early.owed.take() else { return };
                early.exchange = Exchange::Agreed;
                usage.keeping.note_said(None, Some(&answer));
                self.prack(now, session, remote_tag, &rack, Some(answer));
            }
            State::Established(established) => {
                let Some(unanswered) = established.unanswered.take_if(|it| it.remote_tag == remote_tag) else { return };
                usage.keeping.note_said(None, Some(&answer));
                let Unanswered { transaction, remote_tag, flow, ack } = *unanswered;
                let (content_type, body) = answer;
                self.acknowledge(transaction, remote_tag, flow, ack.with_body(&content_type, body));
                self.send_due_modification(now, session);
            }
            State::Incoming { .. } | State::Leaving => {}
        }
    }

    /// Whether a 2xx is one whose ACK still waits for an answer.
    pub(super) fn is_unanswered(&self, session: SessionId, id: TransactionId, remote_tag: &str) -> bool {
        let Some(State::Established(established)) = self.usages.sessions.get(&session).map(|usage| &usage.state) else {
            return false;
        };
        let is_it = |it: &Unanswered| it.transaction == id && it.remote_tag == remote_tag;
        established.unanswered.as_deref().is_some_and(is_it)
    }

    /// What became of a PRACK. A peer that does not know its dialog, or does not answer in it, has no such dialog any more (RFC 3261
    /// §12.2.1.2); and one that refuses our answer has agreed on nothing. The INVITE goes on as long as another branch does.
    pub(super) fn prack_response(
        &mut self,
        now: Instant,
        id: TransactionId,
        session: SessionId,
        response: &Response,
        local: bool,
    ) {
        let Some(prack) = self.clients.get(&id).map(|transaction| &transaction.request) else { return };
        let is_gone = matches!(response.status, StatusCode::REQUEST_TIMEOUT | StatusCode::CALL_DOES_NOT_EXIST);
        if !response.status.is_failure() || !(local || is_gone || !prack.body.is_empty()) {
            return;
        }
        let tag = prack.headers.to().ok().flatten().and_then(|to| to.tag().map(std::borrow::Cow::into_owned));
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let Some(early) = tag.as_deref().and_then(|tag| usage.early(tag)) else { return };
        early.is_lost = true;
        let State::Calling { transaction, early, .. } = &usage.state else { return };
        let (invite, is_last) = (*transaction, early.iter().all(|early| early.is_lost));
        let Some(request) = self.clients.get(&invite).map(|transaction| transaction.request.clone()) else { return };
        if is_last {
            self.send_cancel(now, session, Some(Reason::sip(response.status.code(), "PRACK failed")));
            self.abandon_client(now, invite);
            let refusal = Response::for_request(&request, StatusCode::SERVER_TIME_OUT);
            self.refused(now, session, refusal, true);
        } else if let Some(tag) = tag {
            self.tell(session, SessionEvent::Progress { response: is_over(&request, &tag) });
        }
    }
}

fn remote_tag(response: &Response) -> String {
    let to = response.headers.to().ok().flatten();
    to.and_then(|to| to.tag().map(std::borrow::Cow::into_owned)).unwrap_or_default()
}
