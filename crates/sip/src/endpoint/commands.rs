//! What the endpoint's user can have it do.

use std::time::Instant;

use super::challenges::Clearance;
use super::clients::ClientUser;
use super::requests::remote_tag;
use super::{Endpoint, Invitation, OutgoingId, OutgoingRequest, RequestId, ResponseDraft, SessionId};
use crate::dialog::Dialog;
use crate::digest::Authorizer;
use crate::early::{Exchange, RELIABLY, Reliability, Terms};
use crate::flow::Flow;
use crate::message::{CSeq, Method, Reason, Request, Response, StatusCode};
use crate::session::{Cancel, Established, Keeping, Session, State, TransactionId, Unacknowledged};
use crate::session_timer::SessionTimer;
use crate::transaction::{Timer, TimerTable};

/// The option tag of who is told when an early dialog is over (RFC 6228).
const EARLY_DIALOG_OVER: &str = "199";

impl Endpoint {
    /// Answers a request told by [`super::Event::Request`] or [`super::SessionEvent::Request`]. Later final answers are ignored.
    pub fn respond(&mut self, now: Instant, request: RequestId, mut draft: ResponseDraft) {
        let id = TransactionId(request.0);
        let Some(transaction) = self.servers.get(&id) else { return };
        let (session, flow) = (transaction.session, transaction.reply);
        let Some(request) = &transaction.request else { return };
        // Of a request outside sessions nothing of this is asked.
        let inside = session.map(|_| &request.headers);
        let sequence = inside.and_then(|headers| headers.cseq().ok().flatten()).map_or(0, |cseq| cseq.number);
        let contact = inside.and_then(|headers| headers.contacts().ok()?.first().map(|c| c.uri().clone()));
        let from = session.map(|_| remote_tag(request)).unwrap_or_default();
        let status = draft.status;
        let method = request.method.clone();
        if let Some(session) = session {
            self.accept_refresh(now, session, id, &mut draft);
        }
        let Some(response) = self.response(id, draft) else { return };
        let usage = session.and_then(|session| self.usages.sessions.get_mut(&session).map(|usage| (session, usage)));
        let mut awaited = None;
        if let Some((session, usage)) = usage
            && status.is_final()
        {
            let is_offer = usage.take_offered(id);
            if status.is_success()
                && matches!(method, Method::Invite | Method::Update)
                && let Some(dialog) = usage.dialog_with(&from)
            {
                dialog.refresh_target(contact);
            }
            if status.is_success()
                && is_offer
                && method == Method::Invite
                && let State::Established(established) = &mut usage.state
            {
                let interval = self.config.timers.t1;
                let bytes = response.to_bytes();
                established.unacknowledged = Some(Unacknowledged { sequence, flow, bytes, interval, first: false });
                awaited = Some(session);
            }
        }
        self.answer(now, id, &response);
        if let Some(session) = awaited {
            self.await_ack(now, session);
        }
        if let Some(session) = session {
            self.send_waiting(now, session);
            self.send_due_modification(now, session);
        }
    }

    /// Sends an INVITE and gives the session it may begin.
    pub fn invite(&mut self, now: Instant, invitation: Invitation) -> SessionId {
        let session = SessionId(self.next_id());
        let mut request = Request::new(Method::Invite, invitation.uri);
        let tag = self.token();
        let call_id = self.token();
        request.headers.push("Max-Forwards", invitation.max_forwards.unwrap_or(70).to_string());
        request.headers.push("From", invitation.from.with_tag(&tag).to_string());
        request.headers.push("To", invitation.to.to_string());
        request.headers.push("Call-ID", call_id);
        request.headers.push("CSeq", CSeq { number: 1, method: Method::Invite }.to_string());
        request.headers.push("Contact", format!("<{}>", invitation.contact));
        request.headers.push("Allow", self.allow(invitation.flow));
        request.headers.push("Supported", "replaces");
        let is_browser = invitation.flow.transport.is_websocket();
        let reliability = if is_browser { Reliability::Off } else { invitation.reliability };
        let terms = Terms { reliability, offers: invitation.body.is_some() };
        match reliability {
            Reliability::Off => {}
            Reliability::Supported => request.headers.push("Supported", format!("{RELIABLY}, {EARLY_DIALOG_OVER}")),
            Reliability::Required => {
                request.headers.push("Require", RELIABLY);
                request.headers.push("Supported", EARLY_DIALOG_OVER);
            }
        }
        let timer = SessionTimer::asking(invitation.session_expires);
        for (name, value) in timer.request_headers(false).into_iter().chain(invitation.headers) {
            request.headers.push(&name, value);
        }
        let mut keeping = Keeping { timer, ..Keeping::default() };
        keeping.note_said(Some(&invitation.contact), invitation.body.as_ref());
        if let Some((content_type, body)) = invitation.body {
            request = request.with_body(&content_type, body);
        }
        let Some(dialog) = Dialog::of_invite(&request) else { return session };
        let authorizer = invitation.credentials.map(|known| Box::new(Authorizer::new(known, invitation.flow)));
        let id = self.start_client(now, invitation.flow, request, ClientUser::Invite(session));
        let state = State::Calling { transaction: id, heard: false, cancel: Cancel::Unwanted, early: Vec::new() };
        let timers = TimerTable::default();
        let (flow, owns_call_id, reliably) = (invitation.flow, true, None);
        let usage = Session { flow, dialog, state, timers, owns_call_id, keeping, authorizer, terms, reliably };
        self.begin_session(session, usage);
        session
    }

    /// Sends a provisional response (101-199) to an incoming INVITE; it is repeated each minute. One that shall be sent reliably is, where
    /// the INVITE allows it, and waits for those before it to be acknowledged.
    pub fn progress(&mut self, now: Instant, session: SessionId, draft: ResponseDraft) {
        let Some(id) = self.incoming(session) else { return };
        if draft.is_reliable && self.may_send_reliably(session) {
            self.progress_reliably(now, session, id, draft);
            return;
        }
        if let Some(usage) = self.usages.sessions.get_mut(&session) {
            usage.keeping.note_said(draft.contact.as_ref(), draft.body.as_ref());
        }
        let Some(response) = self.response(id, draft) else { return };
        self.answer(now, id, &response);
        if let Some(usage) = self.usages.sessions.get_mut(&session)
            && let State::Incoming { provisional, .. } = &mut usage.state
        {
            *provisional = Some(response);
        }
        self.repeat_provisional_later(now, session);
    }

    /// Sends a 2xx to an incoming INVITE and repeats it until its ACK (§13.3.1.4). A description sent reliably before is acknowledged first,
    /// and not sent again (RFC 3262 §3, §5).
    pub fn accept(&mut self, now: Instant, session: SessionId, mut draft: ResponseDraft) {
        let Some(id) = self.incoming(session) else { return };
        if let Some(usage) = self.usages.sessions.get_mut(&session) {
            if let Some(reliably) = &mut usage.reliably {
                reliably.waiting.clear();
                if reliably.detains() {
                    reliably.accepting = Some(Box::new(draft));
                    return;
                }
                if reliably.exchange != Exchange::Open {
                    draft.body = None;
                }
            }
            usage.keeping.timer.wishes(draft.session_expires);
        }
        self.accept_refresh(now, session, id, &mut draft);
        let Some(response) = self.response(id, draft) else { return };
        let Some(transaction) = self.servers.get(&id) else { return };
        let request = transaction.request.as_ref();
        let sequence = request.and_then(|request| request.headers.cseq().ok()?).map_or(0, |cseq| cseq.number);
        let (flow, interval) = (transaction.reply, self.config.timers.t1);
        let bytes = response.to_bytes();
        if let Some(usage) = self.usages.sessions.get_mut(&session) {
            for timer in [Timer::Provisional, Timer::Reliable, Timer::NoPrack] {
                usage.timers.stop(timer);
            }
            let unacknowledged = Some(Unacknowledged { sequence, flow, bytes, interval, first: true });
            usage.state = State::Established(Established { unacknowledged, ..Established::default() });
        }
        self.answer(now, id, &response);
        self.await_ack(now, session);
    }

    pub(super) fn await_ack(&mut self, now: Instant, session: SessionId) {
        let timers = self.config.timers;
        self.start_session_timer(session, Timer::Success, now + timers.t1);
        self.start_session_timer(session, Timer::NoAck, now + timers.transaction_timeout());
    }

    /// Sends a final refusal (300-699) to an incoming INVITE, a challenge included. The session ends.
    pub fn reject(&mut self, now: Instant, session: SessionId, draft: ResponseDraft) {
        let Some(id) = self.incoming(session) else { return };
        self.refuse(now, id, draft);
        self.end_session(now, session);
    }

    /// Cancels an INVITE of ours that has no final response yet. `Refused` and `Ended` follow.
    pub fn cancel(&mut self, now: Instant, session: SessionId, reason: Option<Reason>) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let State::Calling { heard, cancel, .. } = &mut usage.state else { return };
        if *cancel != Cancel::Unwanted {
            return;
        }
        if *heard {
            self.send_cancel(now, session, reason);
        } else {
            *cancel = Cancel::Wanted(reason);
        }
    }

    /// Whether an INVITE of ours has got any response, 100 Trying included: a peer that was heard is alive.
    #[must_use]
    pub fn was_heard(&self, session: SessionId) -> bool {
        self.usages.sessions.get(&session).is_some_and(|usage| match &usage.state {
            State::Calling { heard, .. } => *heard,
            State::Incoming { .. } | State::Established(_) | State::Leaving => true,
        })
    }

    /// Hangs up an established session. `Ended` follows when the BYE is answered or timer F fires.
    pub fn bye(&mut self, now: Instant, session: SessionId, reason: Option<&Reason>) {
        let Some(usage) = self.usages.sessions.get(&session) else { return };
        let is_accepted = usage.reliably.as_ref().is_some_and(|reliably| reliably.accepting.is_some());
        match usage.state {
            State::Established(_) => self.leave(now, session, reason),
            // Its 2xx was not sent yet.
            State::Incoming { .. } if is_accepted => {
                self.end(now, session, StatusCode::TEMPORARILY_UNAVAILABLE, reason.cloned());
            }
            State::Incoming { .. } | State::Calling { .. } | State::Leaving => {}
        }
    }

    /// Ends a session in whatever way its state allows: CANCEL, `status` as the refusal, or BYE.
    pub fn end(&mut self, now: Instant, session: SessionId, status: StatusCode, reason: Option<Reason>) {
        let Some(usage) = self.usages.sessions.get(&session) else { return };
        match usage.state {
            State::Calling { .. } => self.cancel(now, session, reason),
            State::Incoming { .. } => {
                let mut draft = ResponseDraft::new(status);
                if let Some(reason) = reason {
                    draft = draft.with_header("Reason", reason.to_string());
                }
                self.reject(now, session, draft);
            }
            State::Established(_) => self.bye(now, session, reason.as_ref()),
            State::Leaving => {}
        }
    }

    /// Sends a request outside any dialog.
    pub fn send_request(&mut self, now: Instant, outgoing: OutgoingRequest) -> OutgoingId {
        let id = OutgoingId(self.next_id());
        let mut request = Request::new(outgoing.method.clone(), outgoing.uri);
        let tag = self.token();
        let (call_id, number) = match outgoing.series {
            Some(series) => series,
            None => (self.token(), 1),
        };
        let from = if outgoing.from.tag().is_some() { outgoing.from } else { outgoing.from.with_tag(&tag) };
        request.headers.push("Max-Forwards", "70");
        request.headers.push("From", from.to_string());
        request.headers.push("To", outgoing.to.to_string());
        request.headers.push("Call-ID", call_id);
        request.headers.push("CSeq", CSeq { number, method: outgoing.method }.to_string());
        for (name, value) in outgoing.headers {
            request.headers.push(&name, value);
        }
        if let Some((content_type, body)) = outgoing.body {
            request = request.with_body(&content_type, body);
        }
        let flow = outgoing.flow;
        let clearance = Clearance::with(outgoing.credentials.map(|known| Authorizer::new(known, flow)));
        self.start_cleared(now, flow, request, ClientUser::Outgoing(id), clearance);
        id
    }

    /// The transaction of an incoming INVITE still to be answered.
    fn incoming(&self, session: SessionId) -> Option<TransactionId> {
        match self.usages.sessions.get(&session)?.state {
            State::Incoming { transaction, .. } => Some(transaction),
            State::Calling { .. } | State::Established(_) | State::Leaving => None,
        }
    }

    /// The Allow header's value on a flow.
    pub(super) fn allow(&self, flow: Flow) -> String {
        let is_browser = flow.transport.is_websocket();
        let allowed = self.config.allow.iter().filter(|method| !is_browser || **method != Method::Prack);
        allowed.map(Method::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Makes the response of a draft for the request of a server transaction.
    pub(super) fn response(&self, id: TransactionId, draft: ResponseDraft) -> Option<Response> {
        let transaction = self.servers.get(&id)?;
        let request = transaction.request.as_ref()?;
        let mut response = Response::for_request(request, draft.status);
        if let Some(reason) = draft.reason {
            response = response.with_reason(reason);
        }
        if draft.status != StatusCode::TRYING {
            response = response.with_to_tag(&transaction.to_tag);
        }
        if let Some(contact) = draft.contact {
            response.headers.push("Contact", format!("<{contact}>"));
        }
        // Who asks for too much is told what there is (§21.4.6); who begins to talk to us may want to know (§13.3.1.4).
        let refuses = matches!(draft.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED);
        let introduces = draft.status.is_success() && matches!(request.method, Method::Invite | Method::Options);
        if refuses || introduces {
            response.headers.push("Allow", self.allow(transaction.flow));
        }
        if introduces {
            response.headers.push("Supported", "replaces");
        }
        response.headers.push("Server", self.config.user_agent.clone());
        let explained = draft.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Reason"));
        if !explained && let Some(reason) = reason_of(request, &response) {
            response.headers.push("Reason", reason.to_string());
        }
        for (name, value) in draft.headers {
            response.headers.push(&name, value);
        }
        if let Some((content_type, body)) = draft.body {
            response = response.with_body(&content_type, body);
        }
        Some(response)
    }
}

/// Why a call is refused, for people on the other side of a telephone exchange (RFC 6432). A challenge refuses nothing yet, and who took
/// an INVITE back knows why.
pub(super) fn reason_of(request: &Request, refusal: &Response) -> Option<Reason> {
    let challenges = matches!(refusal.status, StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    let is_inside = || request.headers.to().ok().flatten().is_some_and(|to| to.tag().is_some());
    let refuses = refusal.status.is_failure() && !challenges && refusal.status != StatusCode::REQUEST_TERMINATED;
    let told = refuses && request.method == Method::Invite && !is_inside();
    told.then(|| Reason::q850(refusal.status.q850(), &refusal.reason))
}
