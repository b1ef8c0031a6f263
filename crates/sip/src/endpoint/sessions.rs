//! The life of an INVITE session inside the endpoint: cancelling, leaving, its timers, its end.

use std::time::Instant;

use super::clients::ClientUser;
use super::{Endpoint, Part, SessionEvent, SessionId};
use crate::dialog::Dialog;
use crate::digest::copy_credentials;
use crate::early::{Early, Unanswered};
use crate::flow::Flow;
use crate::message::{Method, Reason, Replaces, Request, Response, StatusCode};
use crate::session::{Cancel, Established, Session, State};
use crate::transaction::Timer;

/// How often a provisional response is repeated, so that proxies do not give up (RFC 3261 §13.3.1.1).
const PROVISIONAL_INTERVAL: std::time::Duration = std::time::Duration::from_secs(60);

/// Where a dialog stands that somebody wants replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its INVITE is ours and waits for an answer.
    EarlyOurs,
    /// Its INVITE is the peer's and waits for our answer.
    EarlyTheirs,
    /// It is answered.
    Confirmed,
    /// It is being hung up.
    Over,
}

impl Endpoint {
    pub(super) fn start_session_timer(&mut self, session: SessionId, timer: Timer, at: Instant) {
        let idle = self.flow(session).is_some_and(|flow| self.is_idle(flow, timer));
        if let Some(usage) = self.usages.sessions.get_mut(&session).filter(|_| !idle) {
            usage.timers.start(timer, at);
            self.timers.push(at, Part::Session(session), timer);
        }
    }

    pub(super) fn repeat_provisional_later(&mut self, now: Instant, session: SessionId) {
        self.start_session_timer(session, Timer::Provisional, now + PROVISIONAL_INTERVAL);
    }

    /// Sends CANCEL for a session's INVITE (§9.1): same Request-URI, Via, routes, From, To, Call-ID and number.
    pub(super) fn send_cancel(&mut self, now: Instant, session: SessionId, reason: Option<Reason>) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let State::Calling { transaction, cancel, .. } = &mut usage.state else { return };
        *cancel = Cancel::Sent;
        let invite_id = *transaction;
        let Some(transaction) = self.clients.get(&invite_id) else { return };
        let (flow, invite) = (transaction.flow, &transaction.request);
        let Ok(Some(via)) = invite.headers.top_via() else { return };
        let request = cancel_of(invite, reason);
        let branch = via.branch().map(std::borrow::Cow::into_owned).unwrap_or_default();
        self.start_client_with_via(now, flow, request, ClientUser::Cancel(session), branch, &via);
        let deadline = now + self.config.timers.transaction_timeout();
        self.start_session_timer(session, Timer::Cancelled, deadline);
    }

    /// Sends BYE for an established session.
    pub(super) fn leave(&mut self, now: Instant, session: SessionId, reason: Option<&Reason>) {
        self.leave_as(now, session, reason, ClientUser::Bye(session));
    }

    /// The BYE of a session could not be sent. A stream may have closed long ago, so one more attempt over a new one is made.
    pub(super) fn leave_again(&mut self, now: Instant, session: SessionId, failed: &Request, over: Flow) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        if !over.transport.is_stream() {
            self.end_session(now, session);
            return;
        }
        let target = usage.dialog.target(over);
        self.move_session(session, target);
        let reason = failed.headers.reasons().into_iter().next();
        self.leave_as(now, session, reason.as_ref(), ClientUser::LastBye(session));
    }

    fn leave_as(&mut self, now: Instant, session: SessionId, reason: Option<&Reason>, user: ClientUser) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        usage.timers.stop(Timer::Success);
        usage.timers.stop(Timer::NoAck);
        usage.keeping.timer.stop();
        let established = match std::mem::replace(&mut usage.state, State::Leaving) {
            State::Established(established) => Some(established),
            State::Calling { .. } | State::Incoming { .. } | State::Leaving => None,
        };
        let flow = usage.dialog.next_hop(usage.flow);
        let mut bye = usage.dialog.request(Method::Bye, None);
        if let Some(reason) = reason {
            bye.headers.push("Reason", reason.to_string());
        }
        if let Some(established) = established {
            self.settle_changes(now, &established);
        }
        self.schedule_refresh(session);
        self.start_client(now, flow, bye, user);
    }

    pub(super) fn session_timer(&mut self, now: Instant, session: SessionId, timer: Timer, at: Instant) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        if !usage.timers.fire(timer, at) {
            return;
        }
        match timer {
            Timer::Success => {
                if let State::Established(Established { unacknowledged: Some(success), .. }) = &mut usage.state {
                    success.interval = (success.interval * 2).min(self.config.timers.t2);
                    let (flow, bytes, next) = (success.flow, success.bytes.clone(), now + success.interval);
                    self.transmit(flow, bytes);
                    self.start_session_timer(session, Timer::Success, next);
                }
            }
            Timer::NoAck => {
                self.tell(session, SessionEvent::NoAck);
                self.leave(now, session, Some(&Reason::sip(408, "No ACK")));
            }
            Timer::Reliable => self.repeat_reliable(now, session),
            Timer::NoPrack => self.give_up_reliable(now, session),
            Timer::Provisional => self.repeat_provisional(now, session),
            Timer::Cancelled => self.give_up_cancelled(now, session),
            Timer::Glare => self.collision_is_over(now, session),
            Timer::Overdue => self.modification_is_overdue(now, session),
            Timer::A
            | Timer::B
            | Timer::D
            | Timer::E
            | Timer::F
            | Timer::G
            | Timer::H
            | Timer::I
            | Timer::J
            | Timer::K
            | Timer::L
            | Timer::M => {}
        }
    }

    fn repeat_provisional(&mut self, now: Instant, session: SessionId) {
        if self.says_again_reliably(now, session) {
            return;
        }
        let state = self.usages.sessions.get(&session).map(|usage| &usage.state);
        if let Some(State::Incoming { transaction, provisional: Some(response) }) = state {
            let (id, response) = (*transaction, response.clone());
            self.answer(now, id, &response);
            self.repeat_provisional_later(now, session);
        }
    }

    /// A CANCEL brought no final response within 64*T1: the INVITE counts as cancelled (§9.1).
    fn give_up_cancelled(&mut self, now: Instant, session: SessionId) {
        let Some(usage) = self.usages.sessions.get(&session) else { return };
        let State::Calling { transaction, .. } = &usage.state else { return };
        let id = *transaction;
        let response = self
            .clients
            .get(&id)
            .map(|transaction| Response::for_request(&transaction.request, StatusCode::REQUEST_TERMINATED));
        self.remove_client(id);
        if let Some(response) = response {
            self.refused(now, session, response, true);
        }
    }

    /// The connection under a session closed, a stream that may be opened again.
    pub(super) fn lose_flow(&mut self, now: Instant, session: SessionId) {
        let Some(usage) = self.usages.sessions.get(&session) else { return };
        match usage.state {
            // Our INVITE failed with the connection: `Refused` has been told. An unanswered one of the peer's cannot be answered.
            State::Calling { .. } => {}
            State::Incoming { .. } => {
                self.tell(session, SessionEvent::FlowLost);
                self.end_session(now, session);
            }
            State::Established(_) | State::Leaving => self.reopen(session),
        }
    }

    /// The peer of a session over a stream that closed is reached over a new one, opened for the next message.
    pub(super) fn reopen(&mut self, session: SessionId) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let target = usage.dialog.target(usage.flow);
        if let State::Established(Established { unacknowledged: Some(success), .. }) = &mut usage.state {
            success.flow = target;
        }
        self.move_session(session, target);
    }

    pub(super) fn begin_session(&mut self, session: SessionId, usage: Session) {
        self.usages.dialogs.insert((usage.dialog.call_id.clone(), usage.dialog.local_tag()), session);
        self.paths.enter(usage.flow, Part::Session(session));
        self.usages.sessions.insert(session, Box::new(usage));
    }

    /// Forgets a session and says so.
    pub(super) fn end_session(&mut self, now: Instant, session: SessionId) {
        let Some(usage) = self.usages.sessions.remove(&session) else { return };
        self.paths.leave(usage.flow, Part::Session(session));
        self.usages.dialogs.remove(&(usage.dialog.call_id.clone(), usage.dialog.local_tag()));
        if let Some(at) = usage.keeping.scheduled {
            self.usages.refreshes.remove(&(at, session));
        }
        match &usage.state {
            State::Established(established) => self.settle_changes(now, established),
            State::Calling { .. } | State::Incoming { .. } | State::Leaving => {
                if let State::Calling { transaction, .. } = usage.state {
                    self.keep_counted(transaction, usage.counted());
                }
                for offered in usage.all_offered() {
                    self.refuse(now, offered, super::ResponseDraft::new(StatusCode::REQUEST_TERMINATED));
                }
            }
        }
        self.tell(session, SessionEvent::Ended);
    }

    /// Where the next request of a session would go, by its dialog's routes and Contact; while our INVITE rings, one for each early
    /// dialog. A peer sends from there too.
    pub fn next_hops(&self, session: SessionId) -> impl Iterator<Item = Flow> + use<'_> {
        let usage = self.usages.sessions.get(&session);
        usage.into_iter().flat_map(|usage| {
            let (early, own) = dialogs_of(usage);
            early.iter().map(|early| &early.dialog).chain(own).map(|dialog| dialog.target(usage.flow))
        })
    }

    /// How a session's peer is asked to replace its dialog; while our INVITE rings, the first that answered provisionally.
    #[must_use]
    pub fn replaces(&self, session: SessionId) -> Option<Replaces> {
        let usage = self.usages.sessions.get(&session)?;
        let dialog = match &usage.state {
            State::Calling { early, .. } => &early.first()?.dialog,
            State::Incoming { .. } | State::Established(_) | State::Leaving => &usage.dialog,
        };
        let (call_id, to_tag, from_tag) = (dialog.call_id.clone(), dialog.remote_tag(), dialog.local_tag());
        Some(Replaces { call_id, to_tag, from_tag, early_only: false })
    }

    /// The Call-ID of a session (RFC 3261 §8.1.1.4), the same from its INVITE on.
    #[must_use]
    pub fn call_id(&self, session: SessionId) -> Option<&str> {
        self.usages.sessions.get(&session).map(|usage| usage.dialog.call_id.as_str())
    }

    /// The session whose dialog a Replaces names (RFC 3891 §3), and where it stands.
    #[must_use]
    pub fn replaced(&self, replaces: &Replaces) -> Option<(SessionId, Standing)> {
        let session = *self.usages.dialogs.get(&(replaces.call_id.clone(), replaces.to_tag.clone()))?;
        let usage = self.usages.sessions.get(&session)?;
        let is_named = |dialog: &Dialog| dialog.remote_tag() == replaces.from_tag;
        let standing = match &usage.state {
            State::Calling { .. } => Standing::EarlyOurs,
            State::Incoming { .. } => Standing::EarlyTheirs,
            State::Established(_) => Standing::Confirmed,
            State::Leaving => Standing::Over,
        };
        let (early, own) = dialogs_of(usage);
        early.iter().map(|early| &early.dialog).chain(own).any(is_named).then_some((session, standing))
    }

    /// What becomes of the changes of a session that is over.
    fn settle_changes(&mut self, now: Instant, established: &Established) {
        if let Some(offered) = established.offered {
            self.refuse(now, offered, super::ResponseDraft::new(StatusCode::REQUEST_TERMINATED));
        }
        if let Some(unanswered) = &established.unanswered {
            // Acknowledged all the same (§13.2.2.4), before it is hung up.
            let Unanswered { transaction, remote_tag, flow, ack } = unanswered.as_ref().clone();
            self.acknowledge(transaction, remote_tag, flow, ack);
        }
        self.abandon_modification(now, established);
    }

    /// Moves a session alone to another flow. Nothing is sent.
    pub(super) fn move_session(&mut self, session: SessionId, flow: Flow) {
        if let Some(usage) = self.usages.sessions.get_mut(&session) {
            let before = std::mem::replace(&mut usage.flow, flow);
            self.paths.leave(before, Part::Session(session));
            self.paths.enter(flow, Part::Session(session));
        }
    }
}

/// The dialogs of a session: early ones while our INVITE waits for its answer, else its own.
fn dialogs_of(usage: &Session) -> (&[Early], Option<&Dialog>) {
    match &usage.state {
        State::Calling { early, .. } => (early.as_slice(), None),
        State::Incoming { .. } | State::Established(_) | State::Leaving => (&[], Some(&usage.dialog)),
    }
}

pub(super) fn cancel_of(invite: &Request, reason: Option<Reason>) -> Request {
    let mut cancel = Request::new(Method::Cancel, invite.uri.clone());
    for route in invite.headers.get_all("Route") {
        cancel.headers.push("Route", route);
    }
    cancel.headers.push("Max-Forwards", "70");
    for name in ["From", "To", "Call-ID"] {
        cancel.headers.push(name, invite.headers.get(name).unwrap_or_default());
    }
    let number = invite.headers.cseq().ok().flatten().map_or(1, |cseq| cseq.number);
    cancel.headers.push("CSeq", crate::message::CSeq { number, method: Method::Cancel }.to_string());
    if let Some(reason) = reason {
        cancel.headers.push("Reason", reason.to_string());
    }
    copy_credentials(&invite.headers, &mut cancel.headers);
    cancel
}
