//! Provisional responses that we send reliably (RFC 3262 §3): one at a time, repeated until its PRACK; and the offers and answers in those
//! (§5).

use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use super::{Endpoint, RequestId, ResponseDraft, SessionEvent, SessionId};
use crate::early::{Exchange, MAX_WAITING, Provisional, RELIABLY};
use crate::message::{RAck, Request, StatusCode};
use crate::session::{State, TransactionId};
use crate::transaction::Timer;

impl Endpoint {
    pub(super) fn may_send_reliably(&self, session: SessionId) -> bool {
        self.usages.sessions.get(&session).is_some_and(|usage| usage.reliably.is_some())
    }

    /// Sends a provisional response reliably, when nothing is before it.
    pub(super) fn progress_reliably(
        &mut self,
        now: Instant,
        session: SessionId,
        id: TransactionId,
        draft: ResponseDraft,
    ) {
        // In the lower half of the numbers: the last one is never reached (§3).
        let first = self.rng.random_range(1..=1 << 30);
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let Some(reliably) = &mut usage.reliably else { return };
        if reliably.is_busy() {
            if reliably.waiting.len() < MAX_WAITING && reliably.accepting.is_none() {
                reliably.waiting.push_back(draft);
            }
            return;
        }
        let number = reliably.last.map_or(first, |last| last + 1);
        reliably.last = Some(number);
        let describes = draft.body.is_some();
        if describes && reliably.exchange == Exchange::Open {
            reliably.exchange = if usage.terms.offers { Exchange::Agreed } else { Exchange::Asked };
        }
        usage.keeping.note_said(draft.contact.as_ref(), draft.body.as_ref());
        reliably.repeated = Some(Box::new(ResponseDraft { body: None, ..draft.clone() }));
        let draft = draft.with_header("Require", RELIABLY).with_header("RSeq", number.to_string());
        let Some(response) = self.response(id, draft) else { return };
        let Ok(Some(cseq)) = response.headers.cseq() else { return };
        let Some(flow) = self.servers.get(&id).map(|transaction| transaction.reply) else { return };
        let (bytes, interval) = (response.to_bytes(), self.config.timers.t1);
        let rack = RAck { response: number, cseq };
        if let Some(reliably) = self.usages.sessions.get_mut(&session).and_then(|usage| usage.reliably.as_mut()) {
            reliably.unacknowledged = Some(Provisional { rack, flow, bytes, interval, describes });
        }
        self.answer(now, id, &response);
        self.start_session_timer(session, Timer::Reliable, now + interval);
        self.start_session_timer(session, Timer::NoPrack, now + self.config.timers.transaction_timeout());
        self.repeat_provisional_later(now, session);
    }

    /// A reliable response had no PRACK yet. Its intervals double without end, and on streams too (§3).
    pub(super) fn repeat_reliable(&mut self, now: Instant, session: SessionId) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let reliably = usage.reliably.as_mut();
        let Some(response) = reliably.and_then(|reliably| reliably.unacknowledged.as_mut()) else { return };
        response.interval *= 2;
        let (flow, bytes, next) = (response.flow, response.bytes.clone(), now + response.interval);
        self.transmit(flow, bytes);
        self.start_session_timer(session, Timer::Reliable, next);
    }

    /// No PRACK came at all: the INVITE is refused (§3).
    pub(super) fn give_up_reliable(&mut self, now: Instant, session: SessionId) {
        let Some(State::Incoming { .. }) = self.usages.sessions.get(&session).map(|usage| &usage.state) else { return };
        self.tell(session, SessionEvent::NoPrack);
        self.reject(now, session, ResponseDraft::new(StatusCode::SERVER_TIME_OUT).with_reason("No PRACK"));
    }

    /// Says once more, each minute, that the INVITE is being dealt with; whether that is done reliably.
    pub(super) fn says_again_reliably(&mut self, now: Instant, session: SessionId) -> bool {
        let Some(usage) = self.usages.sessions.get(&session) else { return false };
        let State::Incoming { transaction, .. } = usage.state else { return false };
        let repeated = usage.reliably.as_ref().and_then(|reliably| reliably.repeated.clone());
        let Some(draft) = repeated else { return false };
        self.progress_reliably(now, session, transaction, *draft);
        self.repeat_provisional_later(now, session);
        true
    }

    /// Sends what waited for a PRACK, or for the answer to an offer of the peer's.
    pub(super) fn send_waiting(&mut self, now: Instant, session: SessionId) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let State::Incoming { transaction, .. } = usage.state else { return };
        let Some(reliably) = usage.reliably.as_mut().filter(|reliably| !reliably.is_busy()) else { return };
        if let Some(draft) = reliably.accepting.take() {
            self.accept(now, session, *draft);
        } else if let Some(draft) = reliably.waiting.pop_front() {
            self.progress_reliably(now, session, transaction, draft);
        }
    }

    /// The peer's PRACK (§3): for the response that waits for it, or for none.
    pub(super) fn handle_prack(&mut self, now: Instant, session: SessionId, id: TransactionId, request: Arc<Request>) {
        let Ok(Some(rack)) = request.headers.rack() else {
            self.refuse(now, id, ResponseDraft::new(StatusCode::BAD_REQUEST).with_reason("No RAck"));
            return;
        };
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let is_incoming = matches!(usage.state, State::Incoming { .. });
        let reliably = usage.reliably.as_mut();
        let known = reliably.filter(|reliably| reliably.unacknowledged.as_ref().is_some_and(|it| it.rack == rack));
        let Some(reliably) = known else {
            self.refuse(now, id, ResponseDraft::new(StatusCode::CALL_DOES_NOT_EXIST));
            return;
        };
        reliably.unacknowledged = None;
        let before = reliably.exchange;
        let offers = is_incoming && before == Exchange::Agreed && !request.body.is_empty();
        if before == Exchange::Asked {
            reliably.exchange = Exchange::Agreed;
        }
        if offers {
            reliably.offered = Some(id);
        }
        usage.timers.stop(Timer::Reliable);
        usage.timers.stop(Timer::NoPrack);
        match before {
            Exchange::Agreed if offers => {
                self.tell(session, SessionEvent::Request { id: RequestId(id.0), request });
                return;
            }
            Exchange::Asked if is_incoming => {
                self.refuse(now, id, ResponseDraft::new(StatusCode::OK));
                self.tell(session, SessionEvent::EarlyAnswer { body: request.body.to_vec() });
            }
            // An offer behind one that has no answer yet.
            Exchange::Open if !request.body.is_empty() => {
                self.refuse(now, id, ResponseDraft::new(StatusCode::NOT_ACCEPTABLE_HERE));
            }
            Exchange::Open | Exchange::Asked | Exchange::Agreed => {
                self.refuse(now, id, ResponseDraft::new(StatusCode::OK));
            }
        }
        self.send_waiting(now, session);
    }
}
