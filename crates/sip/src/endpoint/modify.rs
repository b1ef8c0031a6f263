//! Changes of an established session by re-INVITE (RFC 3261 §14) and UPDATE (RFC 3311): one offer at a time, whoever makes it. Knows
//! nothing of SDP but that a body is one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;

use super::clients::{ClientTransaction, ClientUser};
use super::requests::remote_tag;
use super::sessions::cancel_of;
use super::{Endpoint, Part, RequestId, ResponseDraft, SessionEvent, SessionId};
use crate::early::Exchange;
use crate::message::{CSeq, Method, Request, Response, StatusCode};
use crate::session::{Established, Modification, Modifying, Session, Stage, State, TransactionId, WantedBy};
use crate::transaction::Timer;

/// How often a change is tried again after 491 before it counts as refused: with these waits, about half a minute.
const MAX_COLLISIONS: u8 = 10;

/// What stands in the way of an offer of the peer.
enum Obstacle {
    /// An offer of ours has no answer yet: 491.
    Ours,
    /// An offer of theirs has no answer yet, or ours no ACK: 500 and a while to wait.
    Theirs,
    /// There is no session any more.
    Over,
}

impl Session {
    fn obstacle(&self, method: &Method, remote_tag: &str) -> Option<Obstacle> {
        match &self.state {
            State::Calling { early, .. } => {
                let early = early.iter().find(|early| early.dialog.remote_tag() == remote_tag);
                match early.map_or((Exchange::Open, None), |early| (early.exchange, early.offered)) {
                    _ if *method == Method::Invite => Some(Obstacle::Ours),
                    (Exchange::Open, _) => Some(Obstacle::Ours),
                    (Exchange::Asked, _) | (Exchange::Agreed, Some(_)) => Some(Obstacle::Theirs),
                    (Exchange::Agreed, None) => None,
                }
            }
            State::Incoming { .. } => {
                let reliably = self.reliably.as_ref();
                match reliably.map_or((Exchange::Open, None), |reliably| (reliably.exchange, reliably.offered)) {
                    _ if *method == Method::Invite => Some(Obstacle::Theirs),
                    (Exchange::Open, _) | (Exchange::Agreed, Some(_)) => Some(Obstacle::Theirs),
                    (Exchange::Asked, _) => Some(Obstacle::Ours),
                    (Exchange::Agreed, None) => None,
                }
            }
            State::Leaving => Some(Obstacle::Over),
            State::Established(Established { offered: Some(_), .. } | Established { unanswered: Some(_), .. }) => {
                Some(Obstacle::Theirs)
            }
            State::Established(Established {
                ours: Some(Modifying { stage: Stage::Sent { .. }, change, .. }), ..
            }) if change.offers() => Some(Obstacle::Ours),
            State::Established(Established { unacknowledged: Some(_), .. }) => {
                // The 2xx may have made an offer, whose answer is in the ACK (RFC 3311 §5.2).
                Some(if *method == Method::Update { Obstacle::Ours } else { Obstacle::Theirs })
            }
            State::Established(Established { unacknowledged: None, offered: None, unanswered: None, .. }) => None,
        }
    }

    fn ours(&mut self) -> Option<&mut Modifying> {
        match &mut self.state {
            State::Established(established) => established.ours.as_mut(),
            State::Calling { .. } | State::Incoming { .. } | State::Leaving => None,
        }
    }

    /// Takes out the change that a client transaction carries; one that waited behind it is due.
    fn take_sent(&mut self, id: TransactionId) -> Option<Modifying> {
        let State::Established(established) = &mut self.state else { return None };
        let sent = established
            .ours
            .take_if(|ours| matches!(ours.stage, Stage::Sent { transaction, .. } if transaction == id))?;
        if let Some(change) = established.waiting.take() {
            let wanted_by = WantedBy::User;
            established.ours = Some(Modifying { change, wanted_by, stage: Stage::Due, collisions: 0 });
        }
        self.timers.stop(Timer::Overdue);
        Some(sent)
    }
}

impl Endpoint {
    /// Changes an established session by a re-INVITE or UPDATE, as soon as no other offer is open; after a 491 it is tried again.
    /// [`SessionEvent::Modified`], [`SessionEvent::ModifyRefused`] or [`SessionEvent::Lost`] follows, or the session ends. A change not
    /// sent yet is replaced by a later one; while one waits for its answer, or without a session, nothing happens and `false` is given.
    pub fn modify(&mut self, now: Instant, session: SessionId, change: Modification) -> bool {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return false };
        let State::Established(established) = &mut usage.state else { return false };
        let (change, wanted_by) = (Box::new(change), WantedBy::User);
        match &mut established.ours {
            Some(Modifying { stage: Stage::Sent { .. }, wanted_by: WantedBy::User, .. }) => return false,
            Some(Modifying { stage: Stage::Sent { .. }, wanted_by: WantedBy::Timer, .. }) => {
                established.waiting = Some(change);
            }
            // A change refreshes the session, too.
            Some(waiting) => (waiting.change, waiting.wanted_by) = (change, wanted_by),
            None => established.ours = Some(Modifying { change, wanted_by, stage: Stage::Due, collisions: 0 }),
        }
        self.send_due_modification(now, session);
        true
    }

    /// Takes back a change that was not sent yet, or is to be sent again after a 491: nothing will be told of it.
    pub fn take_back(&mut self, session: SessionId) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        if let State::Established(established) = &mut usage.state {
            established.waiting = None;
            let unsent =
                |ours: &mut Modifying| ours.wanted_by == WantedBy::User && !matches!(ours.stage, Stage::Sent { .. });
            if established.ours.take_if(unsent).is_some() {
                usage.timers.stop(Timer::Glare);
            }
        }
    }

    /// Sends a change that waited, when nothing stands in its way any more.
    pub(super) fn send_due_modification(&mut self, now: Instant, session: SessionId) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let Some(ours) = usage.ours().filter(|ours| ours.stage == Stage::Due) else { return };
        let (change, takes_over) = (ours.change.clone(), ours.wanted_by == WantedBy::Timer);
        if change.offers() && usage.obstacle(&Method::Invite, "").is_some() {
            return;
        }
        let timer = usage.keeping.timer.request_headers(takes_over);
        let flow = usage.dialog.next_hop(usage.flow);
        let method = change.method;
        let mut request = usage.dialog.request(method.clone(), None);
        request.headers.push("Contact", format!("<{}>", change.contact));
        request.headers.push("Allow", self.allow(flow));
        for (name, value) in timer {
            request.headers.push(&name, value);
        }
        if let Some((content_type, body)) = change.body {
            request = request.with_body(&content_type, body);
        }
        let transaction = self.start_client(now, flow, request, ClientUser::Modify(session));
        if let Some(ours) = self.usages.sessions.get_mut(&session).and_then(|usage| usage.ours()) {
            ours.stage = Stage::Sent { transaction, heard: false, cancelled: false };
        }
        if method == Method::Invite {
            // Timer B ends with the first provisional response: from then on this one watches.
            self.start_session_timer(session, Timer::Overdue, now + self.config.timers.transaction_timeout());
        }
    }

    /// A session is over while a re-INVITE of ours is under way: its 2xx is still acknowledged, but not waited for without end.
    pub(super) fn abandon_modification(&mut self, now: Instant, established: &Established) {
        if let Some(Modifying { stage: Stage::Sent { transaction, .. }, .. }) = &established.ours {
            self.abandon_client(now, *transaction);
        }
    }

    /// Has an INVITE that may proceed for ever end after another 64*T1.
    pub(super) fn abandon_client(&mut self, now: Instant, id: TransactionId) {
        let at = now + self.config.timers.transaction_timeout();
        let is_endless = |client: &&mut Box<ClientTransaction>| {
            client.request.method == Method::Invite && !client.timers.is_running(Timer::B)
        };
        if let Some(client) = self.clients.get_mut(&id).filter(is_endless) {
            client.timers.start(Timer::B, at);
            self.timers.push(at, Part::Client(id), Timer::B);
        }
    }

    /// The time after a 491 is over.
    pub(super) fn collision_is_over(&mut self, now: Instant, session: SessionId) {
        let ours = self.usages.sessions.get_mut(&session).and_then(|usage| usage.ours());
        if let Some(ours) = ours.filter(|ours| ours.stage == Stage::BackingOff) {
            ours.stage = Stage::Due;
            self.send_due_modification(now, session);
        }
    }

    /// A re-INVITE got provisional responses only: it is cancelled, and if even that brings no final one, the peer is gone.
    pub(super) fn modification_is_overdue(&mut self, now: Instant, session: SessionId) {
        let Some(ours) = self.usages.sessions.get_mut(&session).and_then(|usage| usage.ours()) else { return };
        let Stage::Sent { transaction, heard, cancelled } = ours.stage else { return };
        let Some(client) = self.clients.get(&transaction) else { return };
        if cancelled || !heard {
            let response = Response::for_request(&client.request, StatusCode::REQUEST_TIMEOUT);
            self.remove_client(transaction);
            self.modification_refused(now, transaction, session, response, true);
            return;
        }
        ours.stage = Stage::Sent { transaction, heard, cancelled: true };
        let (flow, cancel) = (client.flow, cancel_of(&client.request, None));
        if let Ok(Some(via)) = client.request.headers.top_via() {
            let branch = via.branch().map(std::borrow::Cow::into_owned).unwrap_or_default();
            self.start_client_with_via(now, flow, cancel, ClientUser::Cancel(session), branch, &via);
        }
        self.start_session_timer(session, Timer::Overdue, now + self.config.timers.transaction_timeout());
    }

    pub(super) fn modification_response(
        &mut self,
        now: Instant,
        id: TransactionId,
        session: SessionId,
        response: &Response,
    ) {
        if response.status.is_provisional() {
            let ours = self.usages.sessions.get_mut(&session).and_then(|usage| usage.ours());
            match ours.map(|ours| &mut ours.stage) {
                Some(Stage::Sent { transaction, heard, .. }) if *transaction == id => *heard = true,
                Some(_) | None => self.abandon_client(now, id),
            }
        } else if response.status.is_success() {
            self.modification_success(now, id, session, response);
            self.send_due_modification(now, session);
        } else {
            self.modification_refused(now, id, session, response.clone(), false);
        }
    }

    fn modification_success(&mut self, now: Instant, id: TransactionId, session: SessionId, response: &Response) {
        let Some(transaction) = self.clients.get(&id) else { return };
        if let Some((_, flow, ack)) = transaction.acknowledged.first() {
            let (flow, ack) = (*flow, ack.clone());
            self.transmit(flow, ack);
            return;
        }
        let is_invite = transaction.request.method == Method::Invite;
        let number = transaction.request.headers.cseq().ok().flatten().map_or(1, |cseq| cseq.number);
        let mut ack = (transaction.flow, late_ack(&transaction.request, response, number));
        let mut taken = None;
        if let Some(usage) = self.usages.sessions.get_mut(&session) {
            taken = usage.take_sent(id);
            if let Some(sent) = &taken {
                usage.dialog.refresh_target(contact_of(response));
                usage.keeping.note_said(Some(&sent.change.contact), sent.change.body.as_ref());
            }
            ack = (usage.dialog.next_hop(usage.flow), usage.dialog.request(Method::Ack, Some(number)));
        }
        if is_invite {
            // Also when the session is being hung up: a 2xx is repeated until its ACK.
            let (flow, ack) = ack;
            self.acknowledge(id, String::new(), flow, ack);
        }
        let Some(sent) = taken else { return };
        self.refreshed(now, session, response);
        match sent.wanted_by {
            WantedBy::User => self.tell(session, SessionEvent::Modified { response: response.clone() }),
            WantedBy::Timer if sent.change.offers() => {
                self.tell(session, SessionEvent::Refreshed { response: response.clone() });
            }
            WantedBy::Timer => {}
        }
    }

    /// A change of ours failed: tried again after 491 and 422, the end of the session after 408 and 481, and else nothing but told. A refresh
    /// that got no answer is tried again as long as there is time.
    pub(super) fn modification_refused(
        &mut self,
        now: Instant,
        id: TransactionId,
        session: SessionId,
        response: Response,
        local: bool,
    ) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let Some(sent) = usage.take_sent(id) else { return };
        let State::Established(established) = &mut usage.state else { return };
        let is_refresh = sent.wanted_by == WantedBy::Timer;
        let is_gone = matches!(response.status, StatusCode::REQUEST_TIMEOUT | StatusCode::CALL_DOES_NOT_EXIST);
        let again = Modifying { collisions: sent.collisions + 1, ..sent };
        let may_repeat = again.collisions <= MAX_COLLISIONS;
        if response.status == StatusCode::REQUEST_PENDING && may_repeat {
            established.ours.get_or_insert(again).stage = Stage::BackingOff;
            let wait = self.wait_after_glare(session);
            self.start_session_timer(session, Timer::Glare, now + wait);
            return;
        }
        let too_small = response.status == StatusCode::SESSION_INTERVAL_TOO_SMALL;
        if too_small && may_repeat && usage.keeping.timer.raise(&response.headers) {
            established.ours.get_or_insert(again).stage = Stage::Due;
        } else if is_gone && !(is_refresh && local) {
            self.tell(session, SessionEvent::Lost { response });
            self.leave(now, session, None);
            return;
        } else if is_refresh {
            self.refresh_refused(now, session, &response, local);
        } else {
            self.tell(session, SessionEvent::ModifyRefused { response, local });
        }
        self.send_due_modification(now, session);
    }

    /// In units of 10 ms: 2.1 to 4 s for the owner of the Call-ID, up to 2 s for the other side (§14.1).
    fn wait_after_glare(&mut self, session: SessionId) -> Duration {
        let owns = self.usages.sessions.get(&session).is_some_and(|usage| usage.owns_call_id);
        let units = if owns { self.rng.random_range(210..=400) } else { self.rng.random_range(0..=200) };
        Duration::from_millis(units * 10)
    }

    /// The peer's re-INVITE, or its UPDATE with an offer.
    pub(super) fn handle_offer(&mut self, now: Instant, session: SessionId, id: TransactionId, request: Arc<Request>) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        match usage.obstacle(&request.method, &remote_tag(&request)) {
            Some(Obstacle::Ours) => self.refuse(now, id, ResponseDraft::new(StatusCode::REQUEST_PENDING)),
            Some(Obstacle::Theirs) => {
                let wait = self.rng.random_range(0..=10).to_string();
                let draft = ResponseDraft::new(StatusCode::SERVER_INTERNAL_ERROR).with_header("Retry-After", wait);
                self.refuse(now, id, draft);
            }
            Some(Obstacle::Over) => self.refuse(now, id, ResponseDraft::new(StatusCode::CALL_DOES_NOT_EXIST)),
            None => {
                match &mut usage.state {
                    State::Established(established) => established.offered = Some(id),
                    State::Calling { .. } => {
                        if let Some(early) = usage.early(&remote_tag(&request)) {
                            early.offered = Some(id);
                        }
                    }
                    State::Incoming { .. } => {
                        if let Some(reliably) = &mut usage.reliably {
                            reliably.offered = Some(id);
                        }
                    }
                    State::Leaving => {}
                }
                if request.method == Method::Invite {
                    self.answer(now, id, &Response::for_request(&request, StatusCode::TRYING));
                }
                self.tell(session, SessionEvent::Request { id: RequestId(id.0), request });
            }
        }
    }
}

fn contact_of(response: &Response) -> Option<crate::message::Uri> {
    response.headers.contacts().ok().and_then(|contacts| contacts.first().map(|contact| contact.uri().clone()))
}

/// The ACK for a 2xx that came when the dialog was gone (§13.2.2.4).
fn late_ack(invite: &Request, response: &Response, number: u32) -> Request {
    let mut ack = Request::new(Method::Ack, contact_of(response).unwrap_or_else(|| invite.uri.clone()));
    for route in invite.headers.get_all("Route") {
        ack.headers.push("Route", route);
    }
    ack.headers.push("Max-Forwards", "70");
    for name in ["From", "To", "Call-ID"] {
        ack.headers.push(name, invite.headers.get(name).unwrap_or_default());
    }
    ack.headers.push("CSeq", CSeq { number, method: Method::Ack }.to_string());
    ack
}
