//! What an agent hears from the gateway.

use std::sync::atomic::Ordering;
use std::time::Instant;

use sip::{Event, Method, Request, ResponseDraft, SessionEvent, SessionId, StatusCode};

use super::Agent;
use super::calling::steps;
use crate::cause;
use crate::sdp::{self, Codec, SDP};

impl Agent {
    /// Hears of something.
    pub(super) async fn hear(&mut self, now: Instant, event: Event) {
        match event {
            Event::Response { id, response, .. } => {
                if let Some(registering) = self.registering.remove(&id) {
                    self.registered(now, registering, &response);
                }
            }
            Event::Invite { session, request, .. } => self.answer(now, session, &request),
            Event::Session { session, event } => self.hear_of_call(now, session, event).await,
            Event::Request { id, .. } => self.endpoint.respond(now, id, ResponseDraft::new(StatusCode::OK)),
            Event::Malformed { .. } => {
                self.company.faults.malformed_messages.fetch_add(1, Ordering::Relaxed);
            }
            Event::FlowClosed { .. } => {}
        }
    }

    async fn hear_of_call(&mut self, now: Instant, session: SessionId, event: SessionEvent) {
        let Some(call) = self.calls.get_mut(&session) else { return };
        let key = call.key();
        match event {
            SessionEvent::Progress { .. } => {
                call.outcome.ringing.get_or_insert(now - call.begun);
            }
            SessionEvent::Answered { response } => {
                call.outcome.answered = Some(now - call.begun);
                call.due = steps(now, call.plan);
                match sdp::read(&response.body, Codec::Opus) {
                    Ok(remote) => self.company.media.connect(key, remote, Codec::Opus),
                    Err(reason) => call.outcome.failure = Some(reason.to_owned()),
                }
            }
            SessionEvent::Refused { response, .. } => {
                call.outcome.failure = Some(cause::of(&response));
            }
            SessionEvent::Request { id, request } => {
                let status = self.inside(session, &request);
                self.endpoint.respond(now, id, status);
            }
            SessionEvent::Lost { .. } => call.outcome.fail("lost: the gateway did not answer a request"),
            SessionEvent::NoAck => call.outcome.fail("lost: the gateway sent no ACK"),
            SessionEvent::Expired => call.outcome.fail("lost: the session expired"),
            SessionEvent::FlowLost => call.outcome.fail("lost: the connection"),
            SessionEvent::Modified { .. } => call.outcome.modified += 1,
            SessionEvent::ModifyRefused { .. } => call.outcome.fail("a hold or its end was refused"),
            SessionEvent::Adrift => self.endpoint.abandon(now, session),
            SessionEvent::Ended => {
                if let Some(mut call) = self.calls.remove(&session) {
                    let heard = self.company.media.close(key).await;
                    call.outcome.first_audio = heard.first.map(|first| first.saturating_duration_since(call.begun));
                    call.outcome.heard = heard;
                    call.told.tell(call.outcome);
                }
            }
            SessionEvent::Bye { .. }
            | SessionEvent::Refreshed { .. }
            | SessionEvent::Withdrawn { .. }
            | SessionEvent::Confirmed { .. }
            | SessionEvent::Acknowledged { .. }
            | SessionEvent::Cancelled { .. }
            | SessionEvent::Roamed { .. }
            | SessionEvent::EarlyOffer { .. }
            | SessionEvent::EarlyAnswer { .. }
            | SessionEvent::NoPrack => {}
        }
    }

    /// A request inside a call: reports on transfers, keep-alives, and re-INVITEs, which are answered as the call was.
    fn inside(&mut self, session: SessionId, request: &Request) -> ResponseDraft {
        let contact = self.contact();
        let Some(call) = self.calls.get_mut(&session) else {
            return ResponseDraft::new(StatusCode::CALL_DOES_NOT_EXIST);
        };
        let changes = matches!(request.method, Method::Invite | Method::Update) && !request.body.is_empty();
        if changes {
            let answer = sdp::answering(&call.description, &request.body);
            return ResponseDraft::new(StatusCode::OK).with_contact(contact).with_body(SDP, answer);
        }
        if request.method == Method::Notify {
            // The body of a report on a transfer is a status line (RFC 3515 §2.4.5).
            let body = String::from_utf8_lossy(&request.body);
            let class = body.strip_prefix("SIP/2.0 ").and_then(|rest| rest.chars().next());
            if let Some(class) = class.filter(|class| *class != '1') {
                call.outcome.transferred = Some(class == '2');
            }
        }
        ResponseDraft::new(StatusCode::OK).with_contact(contact)
    }
}
