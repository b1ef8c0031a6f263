//! INFO to trunks that want digits so: sends those whose turn has come.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::{InsideRequest, Method, OutgoingId};

use crate::call::LegId;
use crate::info::{DTMF_RELAY, relay};
use crate::switchboard::Switchboard;

impl Switchboard {
    /// Has a leg told of a digit by INFO.
    pub(crate) fn inform(&mut self, now: Instant, leg: LegId, digit: char, duration: Duration) {
        self.informing.push(leg, digit, duration);
        self.send_due_digits(now);
    }

    /// A request inside a session was answered, or will not be.
    pub(crate) fn asked_and_answered(&mut self, now: Instant, id: OutgoingId) {
        if self.is_report(now, id) {
            return;
        }
        self.informing.answered(id);
        self.send_due_digits(now);
    }

    pub(crate) fn send_due_digits(&mut self, now: Instant) {
        while let Some((leg, digit, duration)) = self.informing.due(now) {
            let body = Some((DTMF_RELAY.to_owned(), Bytes::from(relay(digit, duration))));
            let asked = InsideRequest { method: Method::Info, headers: Vec::new(), body };
            let session = self.calls.session_of(leg);
            match session.and_then(|session| self.endpoint.ask(now, session, asked)) {
                Some(id) => self.informing.sent(leg, id),
                None => self.informing.forget(leg),
            }
        }
    }
}
