//! What becomes of a received request: the checks of a UAS core in the RFC's order (RFC 3261 §8.2), then the dialog it belongs to
//! (§12.2.2) or the endpoint's user.

use std::sync::Arc;
use std::time::Instant;

use super::commands::reason_of;
use super::keys::ServerKey;
use super::{Endpoint, Event, RequestId, ResponseDraft, SessionEvent, SessionId};
use crate::dialog::Dialog;
use crate::early::{RELIABLY, Reliability, Terms};
use crate::flow::Flow;
use crate::message::{Message, Method, Request, Response, StatusCode, Uri};
use crate::session::{Keeping, Session, State, TransactionId};
use crate::session_timer::{MIN_SE, is_too_brief};
use crate::transaction::{Timer, TimerTable};

impl Endpoint {
    pub(super) fn handle_request(&mut self, now: Instant, flow: Flow, mut request: Request) {
        let reply = Self::stamp_via(&mut request.headers, flow);
        let Ok(Some(via)) = request.headers.top_via() else { return };
        let key = ServerKey::of(flow, &request, &via, &request.method);
        if let Some(id) = self.server_keys.get(&key).copied() {
            if request.method != Method::Ack {
                self.server_retransmission(now, id);
                return;
            }
            if self.server_ack(now, id) {
                return;
            }
        }
        if request.method == Method::Ack {
            self.handle_success_ack(now, flow, &request);
            return;
        }
        let crowded =
            flow.transport.is_websocket() && self.paths.servers_on(flow) >= self.config.max_websocket_transactions;
        if crowded || self.servers.len() >= self.config.max_transactions {
            self.counters.overloaded += 1;
            let refusal = Response::for_request(&request, StatusCode::SERVICE_UNAVAILABLE);
            self.refuse_stateless(reply, &request, refusal.with_header("Retry-After", "10"));
            return;
        }
        let invite = (request.method == Method::Cancel)
            .then(|| self.server_keys.get(&ServerKey::of(flow, &request, &via, &Method::Invite)).copied())
            .flatten();
        let (id, merged) = self.start_server(flow, reply, request, key);
        if merged {
            self.refuse(now, id, ResponseDraft::new(StatusCode::LOOP_DETECTED));
        } else if let Some(refusal) = self.objection(id) {
            self.refuse(now, id, refusal);
        } else {
            self.dispatch(now, id, flow, invite);
        }
    }

    /// Refuses a message longer than is taken from its sender with 513, and keeps nothing of it. What is no request is dropped.
    pub fn refuse_message(&mut self, flow: Flow, bytes: &[u8]) {
        self.counters.received += 1;
        self.counters.overloaded += 1;
        if let Ok(Message::Request(mut request)) = Message::parse(bytes)
            && request.method != Method::Ack
        {
            let reply = Self::stamp_via(&mut request.headers, flow);
            let refusal = Response::for_request(&request, StatusCode::MESSAGE_TOO_LARGE);
            self.refuse_stateless(reply, &request, refusal);
        }
    }

    /// Refuses a request without keeping any state or sending anything twice (RFC 3261 §8.2.7): for strangers, whose address may be forged.
    /// What they repeat is refused again, or not, as its user likes.
    pub fn refuse_without_transaction(&mut self, flow: Flow, request: &Request, draft: ResponseDraft) {
        self.counters.received += 1;
        if request.method == Method::Ack {
            return;
        }
        let mut request = request.clone();
        let reply = Self::stamp_via(&mut request.headers, flow);
        let mut refusal = Response::for_request(&request, draft.status);
        for (name, value) in draft.headers {
            refusal.headers.push(&name, value);
        }
        self.refuse_stateless(reply, &request, refusal);
    }

    fn refuse_stateless(&mut self, reply: Flow, request: &Request, mut refusal: Response) {
        if let Some(reason) = reason_of(request, &refusal) {
            refusal.headers.push("Reason", reason.to_string());
        }
        let tag = self.token();
        self.transmit(reply, refusal.with_to_tag(&tag).to_bytes());
    }

    fn dispatch(&mut self, now: Instant, id: TransactionId, flow: Flow, invite: Option<TransactionId>) {
        let Some(request) = self.servers.get(&id).and_then(|transaction| transaction.request.clone()) else { return };
        if request.method == Method::Cancel {
            self.handle_cancel(now, id, &request, invite);
            return;
        }
        let to_tag = request.headers.to().ok().flatten().and_then(|to| to.tag().map(std::borrow::Cow::into_owned));
        match to_tag {
            Some(tag) => match self.session_of(&request, tag) {
                Some(session) => self.find_flow(now, session, id, flow, request),
                None => self.refuse(now, id, ResponseDraft::new(StatusCode::CALL_DOES_NOT_EXIST)),
            },
            None if request.method == Method::Invite => self.handle_invite(now, id, flow, request),
            None if request.method == Method::Bye => {
                self.refuse(now, id, ResponseDraft::new(StatusCode::CALL_DOES_NOT_EXIST));
            }
            None => self.output.events.push_back(Event::Request { id: RequestId(id.0), flow, request }),
        }
    }

    /// Why a request is refused before anyone looks at what it wants.
    fn objection(&self, id: TransactionId) -> Option<ResponseDraft> {
        let transaction = self.servers.get(&id)?;
        let (is_browser, request) = (transaction.flow.transport.is_websocket(), transaction.request.as_ref()?);
        if let Method::Other(_) = request.method {
            return Some(ResponseDraft::new(StatusCode::NOT_IMPLEMENTED));
        }
        if let Uri::Other { .. } = request.uri {
            return Some(ResponseDraft::new(StatusCode::UNSUPPORTED_URI_SCHEME));
        }
        // A proxy's rule (§16.3), but a B2BUA is where loops would go round.
        if request.method == Method::Invite && request.headers.max_forwards() == Ok(Some(0)) {
            return Some(ResponseDraft::new(StatusCode::TOO_MANY_HOPS));
        }
        if request.method != Method::Cancel {
            let supported = |tag: &&str| {
                let is_known = self.config.supported.iter().any(|known| known.eq_ignore_ascii_case(tag));
                is_known && !(is_browser && tag.eq_ignore_ascii_case(RELIABLY))
            };
            let unknown: Vec<&str> = request.headers.require().into_iter().filter(|tag| !supported(tag)).collect();
            if !unknown.is_empty() {
                let draft = ResponseDraft::new(StatusCode::BAD_EXTENSION);
                return Some(draft.with_header("Unsupported", unknown.join(", ")));
            }
        }
        let encoded =
            request.headers.get("Content-Encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
        if encoded {
            let draft = ResponseDraft::new(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            return Some(draft.with_header("Accept-Encoding", "identity"));
        }
        let no_sdp = request.headers.content_type().is_none_or(|kind| !kind.eq_ignore_ascii_case("application/sdp"));
        if matches!(request.method, Method::Invite | Method::Update) && !request.body.is_empty() && no_sdp {
            let draft = ResponseDraft::new(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            return Some(draft.with_header("Accept", "application/sdp"));
        }
        if matches!(request.method, Method::Invite | Method::Update) && is_too_brief(&request.headers) {
            let draft = ResponseDraft::new(StatusCode::SESSION_INTERVAL_TOO_SMALL);
            return Some(draft.with_header("Min-SE", MIN_SE.to_string()));
        }
        let negotiates =
            request.method == Method::Invite || (request.method == Method::Update && !request.body.is_empty());
        if negotiates && !accepts_sdp(request) {
            let warning = format!("399 {} \"No answer can be given but in application/sdp\"", self.config.host);
            return Some(ResponseDraft::new(StatusCode::NOT_ACCEPTABLE).with_header("Warning", warning));
        }
        None
    }

    fn handle_invite(&mut self, now: Instant, id: TransactionId, flow: Flow, request: Arc<Request>) {
        if self.usages.sessions.len() >= self.config.max_sessions {
            self.counters.overloaded += 1;
            let draft = ResponseDraft::new(StatusCode::SERVICE_UNAVAILABLE);
            self.refuse(now, id, draft.with_header("Retry-After", "10"));
            return;
        }
        let Some(transaction) = self.servers.get(&id) else { return };
        let tag = transaction.to_tag.clone();
        let Some(dialog) = Dialog::from_invite(&request, &tag) else {
            self.refuse(now, id, ResponseDraft::new(StatusCode::BAD_REQUEST));
            return;
        };
        self.answer(now, id, &Response::for_request(&request, StatusCode::TRYING));
        let session = SessionId(self.next_id());
        let state = State::Incoming { transaction: id, provisional: None };
        let mut keeping = Keeping::default();
        keeping.note_allowed(&request.headers);
        let timers = TimerTable::default();
        let reliability =
            if flow.transport.is_websocket() { Reliability::Off } else { Reliability::of(&request.headers) };
        let terms = Terms { reliability, offers: !request.body.is_empty() };
        let reliably = (reliability != Reliability::Off).then(Box::default);
        let (owns_call_id, authorizer) = (false, None);
        let usage = Session { flow, dialog, state, timers, owns_call_id, keeping, authorizer, terms, reliably };
        self.begin_session(session, usage);
        if let Some(transaction) = self.servers.get_mut(&id) {
            transaction.session = Some(session);
        }
        self.output.events.push_back(Event::Invite { session, flow, request });
    }

    /// The session whose dialog a request names by Call-ID and both tags (§12.2.2).
    fn session_of(&mut self, request: &Request, local_tag: String) -> Option<SessionId> {
        let call_id = request.headers.call_id()?.to_owned();
        let session = *self.usages.dialogs.get(&(call_id, local_tag))?;
        self.usages.sessions.get_mut(&session)?.dialog_with(&remote_tag(request))?;
        Some(session)
    }

    /// Dialog identifiers are no secret: a request counts only over what its session goes over.
    fn find_flow(&mut self, now: Instant, session: SessionId, id: TransactionId, flow: Flow, request: Arc<Request>) {
        let Some(usage) = self.usages.sessions.get(&session) else { return };
        if flow.may_speak_for(usage.flow) {
            self.handle_in_dialog(now, session, id, flow, request);
        } else if flow.transport.is_websocket() && usage.flow.transport.is_websocket() {
            self.tell(session, SessionEvent::Roamed { id: RequestId(id.0), flow, request });
        } else {
            self.refuse(now, id, ResponseDraft::new(StatusCode::CALL_DOES_NOT_EXIST));
        }
    }

    /// Takes a request told by [`SessionEvent::Roamed`] as the peer's: the session moves to the connection it came on.
    pub fn admit(&mut self, now: Instant, request: RequestId) {
        let id = TransactionId(request.0);
        let Some(transaction) = self.servers.get(&id) else { return };
        let (flow, Some(request)) = (transaction.flow, transaction.request.clone()) else { return };
        let to_tag = request.headers.to().ok().flatten().and_then(|to| to.tag().map(std::borrow::Cow::into_owned));
        match to_tag.and_then(|tag| self.session_of(&request, tag)) {
            Some(session) => self.handle_in_dialog(now, session, id, flow, request),
            None => self.refuse(now, id, ResponseDraft::new(StatusCode::CALL_DOES_NOT_EXIST)),
        }
    }

    fn handle_in_dialog(
        &mut self,
        now: Instant,
        session: SessionId,
        id: TransactionId,
        flow: Flow,
        request: Arc<Request>,
    ) {
        let number = request.headers.cseq().ok().flatten().map_or(0, |cseq| cseq.number);
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let Some(dialog) = usage.dialog_with(&remote_tag(&request)) else { return };
        if dialog.remote_sequence.is_some_and(|last| number <= last) {
            // Out of order (§12.2.2).
            self.refuse(
                now,
                id,
                ResponseDraft::new(StatusCode::SERVER_INTERNAL_ERROR).with_reason("CSeq Out Of Order"),
            );
            return;
        }
        dialog.remote_sequence = Some(number);
        if flow.connection != usage.flow.connection && flow.is_like(usage.flow) {
            // The peer came back on another connection: what we send follows it (RFC 5626 §5.3).
            self.rebind(now, session, flow);
        }
        if let Some(usage) = self.usages.sessions.get_mut(&session) {
            usage.keeping.note_allowed(&request.headers);
        }
        if let Some(transaction) = self.servers.get_mut(&id) {
            transaction.session = Some(session);
        }
        match request.method {
            Method::Bye => self.handle_bye(now, session, id, request),
            Method::Invite => self.handle_offer(now, session, id, request),
            Method::Update if !request.body.is_empty() => self.handle_offer(now, session, id, request),
            Method::Prack if !flow.transport.is_websocket() => self.handle_prack(now, session, id, request),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Options
            | Method::Info
            | Method::Update
            | Method::Refer
            | Method::Notify
            | Method::Subscribe
            | Method::Message
            | Method::Prack
            | Method::Publish
            | Method::Other(_) => self.tell(session, SessionEvent::Request { id: RequestId(id.0), request }),
        }
    }

    fn handle_bye(&mut self, now: Instant, session: SessionId, id: TransactionId, request: Arc<Request>) {
        self.refuse(now, id, ResponseDraft::new(StatusCode::OK));
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        match &usage.state {
            // Nobody who was called may hang up so (§15), but some do: the INVITE still gets its final response.
            State::Calling { .. } => usage.end_early(&remote_tag(&request)),
            // Both hung up at once: our own BYE's answer ends the session.
            State::Leaving => {}
            State::Incoming { transaction, .. } => {
                let invite = *transaction;
                self.refuse(now, invite, ResponseDraft::new(StatusCode::REQUEST_TERMINATED));
                self.tell(session, SessionEvent::Bye { request });
                self.end_session(now, session);
            }
            State::Established(_) => {
                self.tell(session, SessionEvent::Bye { request });
                self.end_session(now, session);
            }
        }
    }

    /// An ACK that is not for a failure: for our 2xx, or for nothing.
    fn handle_success_ack(&mut self, now: Instant, flow: Flow, request: &Request) {
        let tag = request.headers.to().ok().flatten().and_then(|to| to.tag().map(std::borrow::Cow::into_owned));
        let number = request.headers.cseq().ok().flatten().map(|cseq| cseq.number);
        let session = tag.and_then(|tag| self.session_of(request, tag));
        let usage = session.and_then(|session| self.usages.sessions.get_mut(&session).map(|usage| (session, usage)));
        let Some((session, usage)) = usage.filter(|(_, usage)| flow.may_speak_for(usage.flow)) else {
            self.counters.stray += 1;
            return;
        };
        let State::Established(established) = &mut usage.state else { return };
        let success = established.unacknowledged.take_if(|success| Some(success.sequence) == number);
        let Some(success) = success else { return };
        usage.timers.stop(Timer::Success);
        usage.timers.stop(Timer::NoAck);
        let body = request.body.to_vec();
        let event = if success.first { SessionEvent::Confirmed { body } } else { SessionEvent::Acknowledged { body } };
        self.tell(session, event);
        self.send_due_modification(now, session);
    }

    fn handle_cancel(
        &mut self,
        now: Instant,
        id: TransactionId,
        request: &Arc<Request>,
        invite: Option<TransactionId>,
    ) {
        let found = invite.and_then(|invite| self.servers.get(&invite).map(|t| (invite, t.to_tag.clone(), t.session)));
        let Some((invite, to_tag, session)) = found else {
            self.refuse(now, id, ResponseDraft::new(StatusCode::CALL_DOES_NOT_EXIST));
            return;
        };
        // The CANCEL's answer carries the INVITE's tag (§9.2).
        if let Some(transaction) = self.servers.get_mut(&id) {
            transaction.to_tag = to_tag;
        }
        self.refuse(now, id, ResponseDraft::new(StatusCode::OK));
        let Some((session, usage)) = session.and_then(|s| self.usages.sessions.get_mut(&s).map(|usage| (s, usage)))
        else {
            return;
        };
        match &mut usage.state {
            State::Incoming { transaction, .. } if *transaction == invite => {
                self.refuse(now, invite, ResponseDraft::new(StatusCode::REQUEST_TERMINATED));
                self.tell(session, SessionEvent::Cancelled { request: request.clone() });
                self.end_session(now, session);
            }
            State::Established(established) if established.offered == Some(invite) => {
                established.offered = None;
                self.refuse(now, invite, ResponseDraft::new(StatusCode::REQUEST_TERMINATED));
                self.tell(session, SessionEvent::Withdrawn { id: RequestId(invite.0) });
                self.send_due_modification(now, session);
            }
            // Too late: the final response is on its way (§9.2).
            State::Incoming { .. } | State::Established(_) | State::Calling { .. } | State::Leaving => {}
        }
    }

    /// Answers a transaction from inside, whether it is a refusal or a plain 200.
    pub(super) fn refuse(&mut self, now: Instant, id: TransactionId, draft: ResponseDraft) {
        if let Some(response) = self.response(id, draft) {
            self.answer(now, id, &response);
        }
    }
}

/// Whether the answer to an offer may be SDP; so it is where nothing is said (§20.1).
fn accepts_sdp(request: &Request) -> bool {
    let takes = |kind: &str| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        ["application/sdp", "application/*", "*/*"].iter().any(|known| kind.eq_ignore_ascii_case(known))
    };
    request.headers.get("Accept").is_none() || request.headers.elements("Accept").any(takes)
}

/// The sender's tag of a request; empty for the null tag of RFC 2543 (§12.2.2).
pub(super) fn remote_tag(request: &Request) -> String {
    let from = request.headers.from().ok().flatten();
    from.and_then(|from| from.tag().map(std::borrow::Cow::into_owned)).unwrap_or_default()
}
