//! Requests inside a call: digits by INFO (RFC 6086); changes of media by re-INVITE, UPDATE and PRACK, which the call itself answers. What is not
//! supported gets its status, and the call goes on; never 408 or 481, on which clients would hang up (RFC 3261 §12.2.1.2).

use std::time::{Duration, Instant};

use sip::{Method, Request, RequestId, ResponseDraft, StatusCode};

use crate::call::{CallEvent, Change, LegId, Signal};
use crate::calls::CallKey;
use crate::info::{self, ACCEPTED, DTMF, DTMF_RELAY};
use crate::switchboard::Switchboard;

impl Switchboard {
    /// Deals with a request inside a dialog, which belongs to a call unless that is over.
    pub(crate) fn inside_request(
        &mut self,
        now: Instant,
        known: Option<(CallKey, LegId)>,
        id: RequestId,
        request: &Request,
    ) {
        let Some((key, leg)) = known else {
            self.endpoint.respond(now, id, ResponseDraft::new(StatusCode::CALL_DOES_NOT_EXIST));
            return;
        };
        let draft = match &request.method {
            Method::Info => self.info(now, key, leg, request),
            Method::Options => ResponseDraft::new(StatusCode::OK).with_header("Accept", "application/sdp"),
            // A refresh without an offer, or a new Contact (RFC 3311 §5.2).
            Method::Update if request.body.is_empty() => {
                self.with_contact(ResponseDraft::new(StatusCode::OK), key, leg)
            }
            Method::Prack if request.body.is_empty() => ResponseDraft::new(StatusCode::METHOD_NOT_ALLOWED),
            Method::Invite | Method::Update | Method::Prack => {
                let sdp = (!request.body.is_empty()).then(|| request.body.clone());
                self.branch_moves(key, leg, request);
                self.call_event(now, key, CallEvent::Change { leg, change: Change::Offered { request: id, sdp } });
                return;
            }
            Method::Notify | Method::Subscribe | Method::Publish => ResponseDraft::new(StatusCode::BAD_EVENT),
            Method::Refer => {
                self.refer(now, key, leg, id, request);
                return;
            }
            Method::Message | Method::Register => ResponseDraft::new(StatusCode::METHOD_NOT_ALLOWED),
            Method::Ack | Method::Bye | Method::Cancel | Method::Other(_) => {
                ResponseDraft::new(StatusCode::NOT_IMPLEMENTED)
            }
        };
        self.endpoint.respond(now, id, draft);
    }

    /// A branch of an INVITE of ours offers anew before it answers: that is what it has said of media.
    fn branch_moves(&mut self, key: CallKey, leg: LegId, request: &Request) {
        let tag = request.headers.from().ok().flatten().and_then(|from| from.tag().map(std::borrow::Cow::into_owned));
        let leg = self.calls.facts_mut(key).and_then(|facts| facts.leg_mut(leg));
        if let (Some(leg), Some(tag)) = (leg.filter(|leg| leg.signal == Signal::Calling), tag) {
            leg.forks.moved(&tag, request.body.clone());
        }
    }

    fn info(&mut self, now: Instant, key: CallKey, leg: LegId, request: &Request) -> ResponseDraft {
        if request.headers.get("Info-Package").is_some() {
            // No package is known here, which the empty Recv-Info says (RFC 6086 §4.2.2).
            return ResponseDraft::new(StatusCode::BAD_INFO_PACKAGE).with_header("Recv-Info", "");
        }
        match request.headers.content_type().as_deref() {
            None if request.body.is_empty() => ResponseDraft::new(StatusCode::OK),
            Some(DTMF_RELAY) => self.digit(now, key, leg, info::of_relay(&request.body)),
            Some(DTMF) => self.digit(now, key, leg, info::of_dtmf(&request.body)),
            Some(_) | None => ResponseDraft::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).with_header("Accept", ACCEPTED),
        }
    }

    fn digit(&mut self, now: Instant, key: CallKey, leg: LegId, digit: Option<(char, Duration)>) -> ResponseDraft {
        let Some((digit, duration)) = digit else {
            return ResponseDraft::new(StatusCode::BAD_REQUEST).with_reason("No digit in the body");
        };
        self.call_event(now, key, CallEvent::Digit { leg, digit, duration });
        ResponseDraft::new(StatusCode::OK)
    }
}
