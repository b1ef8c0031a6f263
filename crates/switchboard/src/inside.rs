//! Requests inside a call: digits by INFO (RFC 6086); changes of media by re-INVITE and UPDATE, which the call itself answers. What is not
//! supported gets its status, and the call goes on; never 408 or 481, on which clients would hang up (RFC 3261 §12.2.1.2).

use std::time::{Duration, Instant};

use sip::{Method, Request, RequestId, ResponseDraft, StatusCode};

use crate::call::{CallEvent, Change, LegId};
use crate::calls::CallKey;
use crate::switchboard::Switchboard;

/// How browser clients tell digits.
const DTMF_RELAY: &str = "application/dtmf-relay";

/// What a digit without a Duration lasts.
const USUAL_DIGIT: Duration = Duration::from_millis(160);

/// The shortest digit a trunk's exchange is sure to hear, and the longest taken from an INFO.
const DIGIT: (Duration, Duration) = (Duration::from_millis(40), Duration::from_secs(5));

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
            Method::Invite | Method::Update => {
                let sdp = (!request.body.is_empty()).then(|| request.body.clone());
                self.call_event(now, key, CallEvent::Change { leg, change: Change::Offered { request: id, sdp } });
                return;
            }
            Method::Notify | Method::Subscribe | Method::Publish => ResponseDraft::new(StatusCode::BAD_EVENT),
            Method::Refer | Method::Message | Method::Prack | Method::Register => {
                ResponseDraft::new(StatusCode::METHOD_NOT_ALLOWED)
            }
            Method::Ack | Method::Bye | Method::Cancel | Method::Other(_) => {
                ResponseDraft::new(StatusCode::NOT_IMPLEMENTED)
            }
        };
        self.endpoint.respond(now, id, draft);
    }

    fn info(&mut self, now: Instant, key: CallKey, leg: LegId, request: &Request) -> ResponseDraft {
        if request.headers.get("Info-Package").is_some() {
            // No package is known here, which the empty Recv-Info says (RFC 6086 §4.2.2).
            return ResponseDraft::new(StatusCode::BAD_INFO_PACKAGE).with_header("Recv-Info", "");
        }
        match request.headers.content_type().as_deref() {
            None if request.body.is_empty() => ResponseDraft::new(StatusCode::OK),
            Some(DTMF_RELAY) => match digit(&request.body) {
                Some((digit, duration)) => {
                    self.call_event(now, key, CallEvent::Digit { leg, digit, duration });
                    ResponseDraft::new(StatusCode::OK)
                }
                None => ResponseDraft::new(StatusCode::BAD_REQUEST).with_reason("No digit in Signal"),
            },
            Some(_) | None => ResponseDraft::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).with_header("Accept", DTMF_RELAY),
        }
    }
}

/// `Signal=5` and `Duration=160` (milliseconds), as SIP.js and JsSIP send them.
fn digit(body: &[u8]) -> Option<(char, Duration)> {
    let text = std::str::from_utf8(body).ok()?;
    let field = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(known, _)| known.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    };
    let digit = match field("Signal")? {
        // Some phones write the event's number (RFC 4733 §3.2).
        "10" => '*',
        "11" => '#',
        signal => one(signal)?.to_ascii_uppercase(),
    };
    if !matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D') {
        return None;
    }
    let duration = field("Duration").and_then(|ms| ms.parse().ok()).map_or(USUAL_DIGIT, Duration::from_millis);
    Some((digit, duration.clamp(DIGIT.0, DIGIT.1)))
}

/// The character of a text of one.
fn one(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}
