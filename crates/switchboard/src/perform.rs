//! What calls want done, done: by the endpoint, by shards, by the clock.

use std::time::{Duration, Instant};

use bytes::Bytes;
use media::MediaSessionId;
use sip::{ClientCredentials, Invitation, Method, Modification, Reliability, ResponseDraft, SessionId, StatusCode};

use crate::call::{Action, CallEvent, Change, LegId, Party, own_contact};
use crate::calls::CallKey;
use crate::directory::{SessionTimer, Trunk};
use crate::output::Output;
use crate::switchboard::Switchboard;

/// SDP's media type.
pub(crate) const SDP: &str = "application/sdp";

/// A time to wait, as headers tell it: whole seconds, and not none.
pub(crate) fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl Switchboard {
    pub(crate) fn perform(&mut self, now: Instant, key: CallKey, action: Action) {
        match action {
            Action::Invite { leg, flow, envelope, offer } => {
                let unasked = if envelope.answers_itself { self.answer_after_nothing() } else { Vec::new() };
                let session_expires = self.session_expires(key, leg);
                let credentials = self.credentials(key, leg);
                let reliability = self.trunk_of_leg(key, leg).map_or(Reliability::Off, |trunk| trunk.dialogs.prack);
                let session = self.endpoint.invite(
                    now,
                    Invitation {
                        flow,
                        uri: envelope.uri,
                        from: envelope.from,
                        to: envelope.to,
                        contact: envelope.contact,
                        max_forwards: Some(envelope.max_forwards),
                        headers: envelope.headers.into_iter().chain(unasked).collect(),
                        body: offer.map(|offer| (SDP.to_owned(), offer)),
                        session_expires,
                        credentials,
                        reliability,
                    },
                );
                self.calls.bind(session, key, leg);
                if let Some(leg) = self.calls.facts_mut(key).and_then(|facts| facts.leg_mut(leg)) {
                    leg.sip_call_id = self.endpoint.call_id(session).map(str::to_owned);
                }
                self.calls.believed.add(session, flow);
            }
            Action::AnswerOffer { leg, tag, sdp } => {
                let answer = (SDP.to_owned(), sdp);
                self.with_session(leg, |endpoint, session| endpoint.answer_offer(now, session, &tag, answer));
            }
            Action::Media(command) => {
                let home = self.home_of(key);
                let ids = &mut self.ids;
                let orders = self.links.resolve(home, command, || MediaSessionId(ids.next()));
                self.outputs.extend(orders.into_iter().map(|(shard, command)| Output::Media { shard, command }));
            }
            Action::Notify { leg, report } => self.notify(now, key, leg, &report),
            Action::Inform { leg, digit, duration } => self.inform(now, leg, digit, duration),
            Action::SetTimer(timer, after) => self.calls.set_timer(key, timer, now + after),
            Action::ClearTimer(timer) => self.calls.clear_timer(key, timer),
            Action::Progress { leg, status, sdp } => {
                let wanted = self.calls.facts(key).and_then(|facts| facts.leg(leg)).map(|leg| leg.reliability);
                let is_reliable = match wanted.unwrap_or_default() {
                    Reliability::Off => false,
                    Reliability::Supported => sdp.is_some(),
                    Reliability::Required => true,
                };
                let draft = self.with_contact(ResponseDraft::new(status), key, leg).reliably(is_reliable);
                let draft = match sdp {
                    Some(sdp) => draft.with_body(SDP, sdp),
                    None => draft,
                };
                self.with_session(leg, |endpoint, session| endpoint.progress(now, session, draft));
            }
            Action::Accept { leg, sdp } => {
                let draft = self.with_contact(ResponseDraft::new(StatusCode::OK), key, leg).with_body(SDP, sdp);
                let draft = draft.with_session_expires(self.session_expires(key, leg));
                self.with_session(leg, |endpoint, session| endpoint.accept(now, session, draft));
            }
            Action::Reject { leg, status, phrase, reasons, retry_after } => {
                let mut draft = ResponseDraft::new(status);
                draft.reason = phrase;
                for reason in reasons {
                    draft = draft.with_header("Reason", reason);
                }
                if let Some(wait) = retry_after {
                    draft = draft.with_header("Retry-After", seconds(wait).to_string());
                }
                self.with_session(leg, |endpoint, session| endpoint.reject(now, session, draft));
            }
            Action::Respond { leg, request, status, sdp, warning } => {
                let mut draft = self.with_contact(ResponseDraft::new(status), key, leg);
                if let Some(sdp) = sdp {
                    draft = draft.with_body(SDP, sdp);
                }
                if let Some(text) = warning {
                    draft =
                        draft.with_header("Warning", format!("399 patchcord \"{}\"", text.replace(['"', '\\'], "'")));
                }
                self.endpoint.respond(now, request, draft);
                if let Some(session) = self.calls.session_of(leg) {
                    self.believe(session);
                }
            }
            Action::Modify { leg, sdp } => self.modify(now, key, leg, sdp),
            Action::TakeBack { leg } => self.with_session(leg, |endpoint, session| endpoint.take_back(session)),
            Action::Cancel { leg, reason } => {
                self.with_session(leg, |endpoint, session| endpoint.cancel(now, session, reason));
            }
            Action::Bye { leg, reason } => {
                self.with_session(leg, |endpoint, session| endpoint.bye(now, session, reason.as_ref()));
            }
        }
    }

    /// What has phones answer by themselves: there is no one header that all of them know.
    fn answer_after_nothing(&self) -> Vec<(String, String)> {
        let ours = format!("<sip:{}>", self.config.advertised_host);
        let header = |name: &str, parameter: &str| (name.to_owned(), format!("{ours};{parameter}"));
        vec![header("Call-Info", "answer-after=0"), header("Alert-Info", "info=alert-autoanswer")]
    }

    /// A re-INVITE: not every client knows UPDATE.
    fn modify(&mut self, now: Instant, key: CallKey, leg: LegId, sdp: Bytes) {
        let transport = self.calls.facts(key).and_then(|facts| facts.leg(leg)).map(|leg| leg.flow.transport);
        let (Some(transport), body) = (transport, Some((SDP.to_owned(), sdp))) else { return };
        let contact = own_contact(None, transport, &self.config);
        let change = Modification { method: Method::Invite, contact, body };
        let mut sent = false;
        self.with_session(leg, |endpoint, session| sent = endpoint.modify(now, session, change));
        if !sent {
            // The session is over, which will be told, or ended meanwhile.
            self.call_event(now, key, CallEvent::Change { leg, change: Change::Refused });
        }
    }

    /// What a leg is asked for: a trunk that has died while on hold sends nothing that could be missed. Browsers' media is watched.
    fn session_expires(&self, key: CallKey, leg: LegId) -> Option<Duration> {
        let interval = match self.trunk_of_leg(key, leg)?.dialogs.session_timer {
            SessionTimer::Configured => self.config.session_expires,
            SessionTimer::Off => Duration::ZERO,
            SessionTimer::Every(interval) => interval,
        };
        Some(interval).filter(|interval| !interval.is_zero())
    }

    /// The trunk of a leg.
    fn trunk_of_leg(&self, key: CallKey, leg: LegId) -> Option<&Trunk> {
        match &self.calls.facts(key)?.leg(leg)?.party {
            Party::Trunk { id, .. } => self.directory.trunks.get(id),
            Party::Extension { .. } => None,
        }
    }

    /// With what a trunk's challenges are answered.
    fn credentials(&self, key: CallKey, leg: LegId) -> Option<ClientCredentials> {
        let Party::Trunk { id, .. } = &self.calls.facts(key)?.leg(leg)?.party else { return None };
        self.directory.trunks.get(id)?.authentication.outbound.clone()
    }

    fn with_session(&mut self, leg: LegId, act: impl FnOnce(&mut sip::Endpoint, SessionId)) {
        if let Some(session) = self.calls.session_of(leg) {
            act(&mut self.endpoint, session);
            self.believe(session);
        }
    }

    pub(crate) fn with_contact(&self, draft: ResponseDraft, key: CallKey, leg: LegId) -> ResponseDraft {
        match self.calls.facts(key).and_then(|facts| facts.leg(leg)) {
            Some(leg) => draft.with_contact(own_contact(None, leg.flow.transport, &self.config)),
            None => draft,
        }
    }
}
