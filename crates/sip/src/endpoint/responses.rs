//! What becomes of a received response, and of a request that never got one: the UAC's side (RFC 3261 §8.1.3, §13.2.2).

use std::time::Instant;

use super::challenges::Clearance;
use super::clients::ClientUser;
use super::{Endpoint, Event, ResponseDraft, SessionEvent, SessionId};
use crate::digest::{Authorizer, copy_credentials};
use crate::early::{Early, Exchange, Heard, Unanswered};
use crate::flow::Flow;
use crate::message::{Method, Reason, Response, StatusCode};
use crate::session::{Cancel, Established, State, TransactionId};
use crate::transaction::Timer;

impl Endpoint {
    pub(super) fn handle_response(&mut self, now: Instant, flow: Flow, response: Response) {
        let asked = |id: &TransactionId| self.clients.get(id).is_some_and(|asked| flow.may_speak_for(asked.flow));
        // One that has further to go came here astray (§8.1.3.3).
        let ours_alone = response.headers.elements("Via").nth(1).is_none();
        match self.client_of(&response).filter(|id| ours_alone && asked(id)) {
            Some(id) => {
                if let Some(client) = self.clients.get_mut(&id) {
                    client.heard_from = Some(flow);
                }
                self.client_response(now, id, &response);
            }
            None => self.counters.stray += 1,
        }
    }

    pub(super) fn client_delivers(&mut self, now: Instant, id: TransactionId, user: ClientUser, response: &Response) {
        if self.answer_challenge(now, id, user, response) {
            return;
        }
        match user {
            ClientUser::Invite(session) => self.invite_response(now, id, session, response),
            ClientUser::Modify(session) => self.modification_response(now, id, session, response),
            ClientUser::Prack(session) => self.prack_response(now, id, session, response, false),
            ClientUser::Bye(session) | ClientUser::LastBye(session) => {
                // 401, 408, 481 and the rest end the session as 200 does: there is nothing left to hang up (§15.1.1).
                if response.status.is_final() {
                    self.end_session(now, session);
                }
            }
            ClientUser::Inside(_, id) | ClientUser::Outgoing(id) => {
                if response.status.is_final() {
                    self.output.events.push_back(Event::Response { id, response: response.clone(), local: false });
                }
            }
            ClientUser::Cancel(_) | ClientUser::Nobody => {}
        }
    }

    /// No final response will come: timer B or F, or the transport failed.
    pub(super) fn client_fails(
        &mut self,
        now: Instant,
        id: TransactionId,
        user: ClientUser,
        status: StatusCode,
        why: Option<&str>,
    ) {
        let Some(transaction) = self.clients.get(&id) else { return };
        let response = Response::for_request(&transaction.request, status);
        let response = match why {
            Some(why) => response.with_reason(why),
            None => response,
        };
        match user {
            ClientUser::Invite(session) => self.refused(now, session, response, true),
            ClientUser::Modify(session) => self.modification_refused(now, id, session, response, true),
            ClientUser::Prack(session) => self.prack_response(now, id, session, &response, true),
            ClientUser::Bye(session) if status == StatusCode::SERVICE_UNAVAILABLE => {
                let (request, flow) = (transaction.request.clone(), transaction.flow);
                self.leave_again(now, session, &request, flow);
            }
            ClientUser::Bye(session) | ClientUser::LastBye(session) => self.end_session(now, session),
            ClientUser::Inside(_, id) | ClientUser::Outgoing(id) => {
                self.output.events.push_back(Event::Response { id, response, local: true })
            }
            ClientUser::Cancel(_) | ClientUser::Nobody => {}
        }
    }

    fn invite_response(&mut self, now: Instant, id: TransactionId, session: SessionId, response: &Response) {
        if response.status.is_provisional() {
            self.invite_progress(now, session, response);
        } else if response.status.is_success() {
            self.invite_success(now, id, session, response);
        } else if !self.invite_with_longer_timer(now, id, session, response) {
            self.refused(now, session, response.clone(), false);
        }
    }

    fn invite_progress(&mut self, now: Instant, session: SessionId, response: &Response) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let is_trying = response.status == StatusCode::TRYING;
        let kind = if is_trying { Heard::Plain } else { usage.note_early(response) };
        let State::Calling { heard, cancel, .. } = &mut usage.state else { return };
        *heard = true;
        match cancel {
            Cancel::Wanted(reason) => {
                let reason = reason.take();
                self.send_cancel(now, session, reason);
            }
            Cancel::Unwanted if !is_trying => self.heard(now, session, kind, response.clone()),
            Cancel::Unwanted | Cancel::Sent => {}
        }
    }

    fn invite_success(&mut self, now: Instant, id: TransactionId, session: SessionId, response: &Response) {
        let to_tag = response.headers.to().ok().flatten().and_then(|to| to.tag().map(std::borrow::Cow::into_owned));
        let to_tag = to_tag.unwrap_or_default();
        let Some(transaction) = self.clients.get(&id) else { return };
        if let Some((_, flow, ack)) = transaction.acknowledged.iter().find(|(tag, _, _)| *tag == to_tag) {
            // The ACK was lost, or overtaken (§13.2.2.4).
            let (flow, ack) = (*flow, ack.clone());
            self.transmit(flow, ack);
            return;
        }
        let sequence = transaction.request.headers.cseq().ok().flatten().map_or(1, |cseq| cseq.number);
        let invite_flow = transaction.hop_after(response);
        let usage = self.usages.sessions.get_mut(&session);
        let calling = usage.filter(|usage| matches!(usage.state, State::Calling { .. }));
        let Some(usage) = calling else {
            if !self.is_unanswered(session, id, &to_tag) {
                self.dismiss_fork(now, id, session, response, sequence);
            }
            return;
        };
        let abandoned = matches!(&usage.state, State::Calling { cancel, .. } if *cancel != Cancel::Unwanted);
        usage.timers.stop(Timer::Cancelled);
        let (mut others, counted) = (usage.all_offered(), usage.counted());
        let early = usage.early(&to_tag);
        let exchange = early.as_ref().map_or(Exchange::Open, |early| early.exchange);
        let offered = early.as_ref().and_then(|early| early.offered);
        if let Some(Early { dialog, .. }) = early {
            // What the peer has counted in the early dialog goes on.
            usage.dialog = dialog.clone();
        }
        others.retain(|other| Some(*other) != offered);
        usage.dialog.establish(response);
        let (flow, usage_flow) = (usage.dialog.next_hop(invite_flow), usage.flow);
        let ack = usage.dialog.request(Method::Ack, Some(sequence));
        let asks = match exchange {
            Exchange::Open => !usage.terms.offers && !response.body.is_empty(),
            Exchange::Asked => true,
            Exchange::Agreed => false,
        };
        let remote_tag = to_tag.clone();
        let unanswered = asks.then(|| Box::new(Unanswered { transaction: id, remote_tag, flow, ack: ack.clone() }));
        usage.state = State::Established(Established { offered, unanswered, ..Established::default() });
        usage.keeping.note_allowed(&response.headers);
        usage.keeping.timer.accepted(now, &response.headers);
        self.schedule_refresh(session);
        self.keep_counted(id, counted);
        for other in others {
            self.refuse(now, other, ResponseDraft::new(StatusCode::REQUEST_TERMINATED));
        }
        if invite_flow.transport != usage_flow.transport {
            // A large INVITE found a peer that wants to be reached over TCP.
            self.move_session(session, invite_flow);
        }
        if !asks {
            self.acknowledge(id, to_tag, flow, ack);
        }
        if abandoned {
            // The 2xx overtook our CANCEL (§9.1): the call is hung up before anyone hears of it.
            let request = self.clients.get(&id).map(|transaction| &transaction.request);
            if let Some(request) = request {
                let response = Response::for_request(request, StatusCode::REQUEST_TERMINATED);
                self.tell(session, SessionEvent::Refused { response, local: true });
            }
            self.leave(now, session, None);
        } else {
            self.tell(session, SessionEvent::Answered { response: response.clone() });
        }
    }

    /// Another fork answered too, or the session is over: the dialog is acknowledged and hung up at once (§13.2.2.4).
    fn dismiss_fork(
        &mut self,
        now: Instant,
        id: TransactionId,
        session: SessionId,
        response: &Response,
        sequence: u32,
    ) {
        let Some(transaction) = self.clients.get(&id) else { return };
        let (invite_flow, counted) = (transaction.hop_after(response), transaction.counted);
        let Some(mut dialog) = crate::dialog::Dialog::of_invite(&transaction.request) else { return };
        dialog.establish(response);
        dialog.local_sequence = dialog.local_sequence.max(counted);
        let flow = dialog.next_hop(invite_flow);
        let ack = dialog.request(Method::Ack, Some(sequence));
        let tag = dialog.remote_tag();
        self.acknowledge(id, tag, flow, ack);
        let mut bye = dialog.request(Method::Bye, None);
        bye.headers.push("Reason", Reason::sip(200, "Call completed elsewhere").to_string());
        let authorizer = self.usages.sessions.get(&session).and_then(|usage| usage.authorizer.as_deref());
        let clearance = Clearance::with(authorizer.map(Authorizer::fresh));
        self.start_cleared(now, flow, bye, ClientUser::Nobody, clearance);
    }

    /// Takes down how far was counted in the dialogs of an INVITE, for those of them that are answered too late.
    pub(super) fn keep_counted(&mut self, id: TransactionId, counted: u32) {
        if let Some(transaction) = self.clients.get_mut(&id) {
            transaction.counted = counted;
        }
    }

    /// Sends the ACK for a 2xx, in no transaction, and keeps it for the 2xx's repetitions.
    pub(super) fn acknowledge(
        &mut self,
        id: TransactionId,
        to_tag: String,
        flow: Flow,
        mut ack: crate::message::Request,
    ) {
        let (_, via) = self.via(flow);
        ack.headers.push_front("Via", via.to_string());
        if let Some(transaction) = self.clients.get(&id).filter(|invite| invite.flow.peer.ip() == flow.peer.ip()) {
            copy_credentials(&transaction.request.headers, &mut ack.headers);
        }
        let bytes = ack.to_bytes();
        if let Some(transaction) = self.clients.get_mut(&id) {
            transaction.acknowledged.push((to_tag, flow, bytes.clone()));
        }
        self.transmit(flow, bytes);
    }

    /// The INVITE of a session failed.
    pub(super) fn refused(&mut self, now: Instant, session: SessionId, response: Response, local: bool) {
        let usage = self.usages.sessions.get(&session);
        if usage.is_some_and(|usage| matches!(usage.state, State::Calling { .. })) {
            self.tell(session, SessionEvent::Refused { response, local });
            self.end_session(now, session);
        }
    }
}
