//! Challenges to requests of ours (RFC 3261 §22.2-22.3): whatever the request, it is sent again with its credentials, as a new transaction
//! with the next CSeq number, and its user hears of the answer to that one only. What may be answered is `digest::client`'s to say.

use std::time::Instant;

use super::clients::ClientUser;
use super::{Endpoint, SessionId};
use crate::digest::{Attempts, Authorizer, Challenger};
use crate::flow::Flow;
use crate::message::{CSeq, Request, Response};
use crate::session::{Cancel, Modifying, Stage, State, TransactionId};
use crate::transaction::Timer;

/// With what a client transaction may answer a challenge.
#[derive(Debug, Default)]
pub(super) struct Clearance {
    /// Credentials of its own; those of its session otherwise.
    pub(super) own: Option<Box<Authorizer>>,
    pub(super) attempts: Attempts,
}

impl Clearance {
    /// A first attempt with credentials of its own.
    pub(super) fn with(own: Option<Authorizer>) -> Self {
        Self { own: own.map(Box::new), attempts: Attempts::default() }
    }
}

/// A request as it is sent again, in a transaction of its own: without what was the first one's.
pub(super) fn renewed(request: &Request, number: u32) -> Request {
    let mut request = request.clone();
    for name in ["Via", "User-Agent"] {
        request.headers.remove(name);
    }
    let method = request.method.clone();
    request.headers.set("CSeq", CSeq { number, method }.to_string());
    request
}

impl Endpoint {
    /// Has a request carry credentials, when it has any whose challenge was seen.
    pub(super) fn authorize(&mut self, flow: Flow, request: &mut Request, user: ClientUser, clearance: &mut Clearance) {
        if let Some(own) = &mut clearance.own {
            own.authorize(flow, request);
        } else if let Some(authorizer) = self.authorizer_of(user) {
            authorizer.authorize(flow, request);
        }
    }

    fn authorizer_of(&mut self, user: ClientUser) -> Option<&mut Authorizer> {
        self.usages.sessions.get_mut(&user.session()?)?.authorizer.as_deref_mut()
    }

    /// A response to a request of ours. Whether it is a challenge, and the request was sent again to answer it.
    pub(super) fn answer_challenge(
        &mut self,
        now: Instant,
        id: TransactionId,
        user: ClientUser,
        response: &Response,
    ) -> bool {
        let Some(challenger) = Challenger::of(response.status) else { return false };
        let cnonce = self.token();
        let wanted = self.is_still_wanted(id, user);
        let Some(client) = self.clients.get_mut(&id).filter(|_| wanted) else { return false };
        let (asked, hop, heard_from) = (client.flow, client.hop(), client.heard_from.unwrap_or(client.flow));
        if !heard_from.is_like(asked) || heard_from.peer.ip() != asked.peer.ip() {
            return false;
        }
        let (attempts, headers) = (client.clearance.attempts, &response.headers);
        let mut own = client.clearance.own.take();
        let request = client.request.clone();
        let session = user.session().and_then(|session| self.usages.sessions.get_mut(&session));
        let authorizer = own.as_deref_mut().or(session.and_then(|usage| usage.authorizer.as_deref_mut()));
        let Some(attempts) =
            authorizer.and_then(|known| known.take(heard_from, &request, attempts, challenger, headers, cnonce))
        else {
            return false;
        };
        let again = renewed(&request, self.next_number(&request, user));
        let next = self.start_cleared(now, hop, again, user, Clearance { own, attempts });
        self.carry_on(now, user, id, next);
        true
    }

    /// The CSeq number that follows a request's in its dialog or series.
    fn next_number(&mut self, request: &Request, user: ClientUser) -> u32 {
        let number = request.headers.cseq().ok().flatten().map_or(0, |cseq| cseq.number);
        let to_tag = request.headers.to().ok().flatten().and_then(|to| to.tag().map(std::borrow::Cow::into_owned));
        let usage = user.session().and_then(|session| self.usages.sessions.get_mut(&session));
        let Some(usage) = usage else { return number + 1 };
        let dialog = match to_tag {
            Some(tag) => usage.dialog_with(&tag),
            None => Some(&mut usage.dialog),
        };
        dialog.map_or(number + 1, |dialog| {
            dialog.local_sequence = dialog.local_sequence.max(number) + 1;
            dialog.local_sequence
        })
    }

    /// Whether a request is to be sent again at all: not what was taken back.
    fn is_still_wanted(&self, id: TransactionId, user: ClientUser) -> bool {
        let usage = user.session().and_then(|session| self.usages.sessions.get(&session));
        match user {
            ClientUser::Invite(_) => usage.is_some_and(|usage| {
                matches!(&usage.state, State::Calling { transaction, cancel: Cancel::Unwanted, .. } if *transaction == id)
            }),
            ClientUser::Modify(_) => usage.is_some_and(|usage| match &usage.state {
                State::Established(established) => established.ours.as_ref().is_some_and(
                    |ours| matches!(ours.stage, Stage::Sent { transaction, cancelled: false, .. } if transaction == id),
                ),
                State::Calling { .. } | State::Incoming { .. } | State::Leaving => false,
            }),
            ClientUser::Prack(_) | ClientUser::Bye(_) | ClientUser::LastBye(_) | ClientUser::Inside(_, _) => {
                usage.is_some()
            }
            ClientUser::Outgoing(_) | ClientUser::Nobody => true,
            // Cannot be sent again (§22.1).
            ClientUser::Cancel(_) => false,
        }
    }

    /// Whoever waits for the first transaction waits for the next.
    fn carry_on(&mut self, now: Instant, user: ClientUser, first: TransactionId, next: TransactionId) {
        match user {
            ClientUser::Invite(session) => {
                if let Some(usage) = self.usages.sessions.get_mut(&session) {
                    let cancel = Cancel::Unwanted;
                    usage.state = State::Calling { transaction: next, heard: false, cancel, early: Vec::new() };
                }
            }
            ClientUser::Modify(session) => self.modification_continues(now, session, first, next),
            ClientUser::Prack(_)
            | ClientUser::Bye(_)
            | ClientUser::LastBye(_)
            | ClientUser::Cancel(_)
            | ClientUser::Inside(_, _)
            | ClientUser::Outgoing(_)
            | ClientUser::Nobody => {}
        }
    }

    fn modification_continues(&mut self, now: Instant, session: SessionId, first: TransactionId, next: TransactionId) {
        let Some(usage) = self.usages.sessions.get_mut(&session) else { return };
        let State::Established(established) = &mut usage.state else { return };
        let Some(Modifying { stage, .. }) = &mut established.ours else { return };
        if matches!(stage, Stage::Sent { transaction, .. } if *transaction == first) {
            *stage = Stage::Sent { transaction: next, heard: false, cancelled: false };
            if usage.timers.is_running(Timer::Overdue) {
                self.start_session_timer(session, Timer::Overdue, now + self.config.timers.transaction_timeout());
            }
        }
    }
}
