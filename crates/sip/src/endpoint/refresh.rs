//! Sessions kept alive by session timers (RFC 4028): what is asked for and agreed on in INVITE and UPDATE, refreshes of ours when they are
//! due, and the end of a session that nobody refreshes. A refresh is a change that changes nothing, one offer at a time as in `modify`.

use std::time::Instant;

use super::challenges::renewed;
use super::clients::ClientUser;
use super::{Endpoint, ResponseDraft, SessionEvent, SessionId};
use crate::message::{Method, Reason, Response, StatusCode};
use crate::session::{Cancel, Keeping, Modification, Modifying, Stage, State, TransactionId, WantedBy};
use crate::transaction::Timer;

impl Keeping {
    /// What refreshes the session: UPDATE where the peer allows it, else a re-INVITE with the description that is agreed on. `None` when we
    /// never described ourselves: a re-INVITE would then ask for an offer.
    fn refreshment(&self) -> Option<Modification> {
        let contact = self.contact.clone()?;
        if self.by_update {
            return Some(Modification { method: Method::Update, contact, body: None });
        }
        Some(Modification { method: Method::Invite, contact, body: Some(self.description.clone()?) })
    }
}

impl Endpoint {
    /// Brings the endpoint's own book up to date after a session's timer has changed.
    pub(super) fn schedule_refresh(&mut self, session: SessionId) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let (before, after) = (usage.keeping.scheduled, usage.keeping.timer.deadline());
        if before != after {
            usage.keeping.scheduled = after;
            self.usages.refreshes.extend(after.map(|at| (at, session)));
            if let Some(at) = before {
                self.usages.refreshes.remove(&(at, session));
            }
        }
    }

    /// Does what session timers want done by now.
    pub(super) fn keep_alive(&mut self, now: Instant) {
        while let Some((_, session)) = self.usages.refreshes.first().copied().filter(|(at, _)| *at <= now) {
            let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
            if usage.keeping.timer.has_expired(now) {
                self.tell(session, SessionEvent::Expired);
                self.leave(now, session, Some(&Reason::sip(408, "Session timer expired")));
            } else if usage.keeping.timer.take_due(now) {
                self.refresh(now, session);
            }
            self.schedule_refresh(session);
        }
    }

    fn refresh(&mut self, now: Instant, session: SessionId) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let State::Established(established) = &mut usage.state else { return };
        match usage.keeping.refreshment() {
            Some(change) if established.ours.is_none() => {
                let wanted_by = WantedBy::Timer;
                established.ours =
                    Some(Modifying { change: Box::new(change), wanted_by, stage: Stage::Due, collisions: 0 });
                self.send_due_modification(now, session);
            }
            // A change under way refreshes the session itself, if all goes well.
            Some(_) | None => usage.keeping.timer.try_later(now),
        }
    }

    /// Our request of a session was accepted, which refreshes it.
    pub(super) fn refreshed(&mut self, now: Instant, session: SessionId, response: &Response) {
        if let Some(usage) = self.usages.sessions.get_mut(&session) {
            usage.keeping.note_allowed(&response.headers);
            usage.keeping.timer.accepted(now, &response.headers);
            self.schedule_refresh(session);
        }
    }

    /// A refresh of ours was refused, or got no answer. Whatever that is, the session lasts until it expires (§7.3): there may be time for
    /// another way, or another attempt.
    pub(super) fn refresh_refused(&mut self, now: Instant, session: SessionId, response: &Response, local: bool) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let unknown = matches!(response.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED);
        if unknown && usage.keeping.by_update {
            usage.keeping.by_update = false;
            self.refresh(now, session);
        } else {
            let is_alive = !local && response.status.class() != 5;
            usage.keeping.timer.failed(now, is_alive);
        }
        self.schedule_refresh(session);
    }

    /// A request of the peer is about to be answered. A 2xx to its INVITE or UPDATE refreshes the session: what is agreed on goes into it
    /// (§9).
    pub(super) fn accept_refresh(
        &mut self,
        now: Instant,
        session: SessionId,
        id: TransactionId,
        draft: &mut ResponseDraft,
    ) {
        let Some(request) = self.servers.get(&id).and_then(|transaction| transaction.request.as_ref()) else { return };
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let describes = matches!(request.method, Method::Invite | Method::Update | Method::Prack);
        if !describes || !draft.status.is_success() {
            return;
        }
        usage.keeping.note_said(draft.contact.as_ref(), draft.body.as_ref());
        // Before the INVITE's 2xx there is no session to be refreshed.
        let refreshes = match usage.state {
            State::Established(_) => request.method != Method::Prack,
            State::Incoming { .. } => request.method == Method::Invite,
            State::Calling { .. } | State::Leaving => false,
        };
        if !refreshes {
            return;
        }
        draft.headers.extend(usage.keeping.timer.accept(now, &request.headers));
        if let State::Established(established) = &mut usage.state {
            // One of ours that was still to be sent, or sent again, is not needed any more.
            let unsent = |ours: &Modifying| !matches!(ours.stage, Stage::Sent { .. });
            if established.ours.take_if(|ours| ours.wanted_by == WantedBy::Timer && unsent(ours)).is_some() {
                usage.timers.stop(Timer::Glare);
            }
        }
        self.schedule_refresh(session);
    }

    /// The INVITE of a session met a 422: it is sent again with what that asks for (§7.3), the same Call-ID and the next number.
    pub(super) fn invite_with_longer_timer(
        &mut self,
        now: Instant,
        id: TransactionId,
        session: SessionId,
        response: &Response,
    ) -> bool {
        let (Some(usage), Some(client)) = (self.usages.sessions.get_mut(&session), self.clients.get(&id)) else {
            return false;
        };
        let wanted = matches!(&usage.state, State::Calling { cancel: Cancel::Unwanted, .. });
        let too_small = response.status == StatusCode::SESSION_INTERVAL_TOO_SMALL;
        if !(wanted && too_small && usage.keeping.timer.raise(&response.headers)) {
            return false;
        }
        usage.dialog.local_sequence += 1;
        let (mut request, flow) = (renewed(&client.request, usage.dialog.local_sequence), client.hop());
        let known = |(name, _): &(String, String)| name == "Supported";
        for (name, value) in usage.keeping.timer.request_headers(false).into_iter().filter(|header| !known(header)) {
            request.headers.set(&name, value);
        }
        let transaction = self.start_client(now, flow, request, ClientUser::Invite(session));
        if let Some(usage) = self.usages.sessions.get_mut(&session) {
            usage.state = State::Calling { transaction, heard: false, cancel: Cancel::Unwanted, early: Vec::new() };
        }
        true
    }
}
