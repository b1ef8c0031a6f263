//! The carrier's calls.

use std::time::{Duration, Instant};

use sip::{
    Flow, Host, Invitation, Method, NameAddr, Request, ResponseDraft, SessionEvent, SessionId, StatusCode, Transport,
    Uri,
};
use tokio::sync::oneshot;

use super::{Called, Carrier, CarrierOutcome, TRANSFERRED};
use crate::cause;
use crate::media::{Heard, Side, Wire};
use crate::sdp::{self, Codec, Remote, SDP};

/// How long whom a call was handed on to stays.
const HANDED_ON: Duration = Duration::from_secs(1);

/// Something the carrier does in a call.
pub(super) enum Act {
    Answer(Box<ResponseDraft>),
    HangUp,
}

/// A call of the carrier's.
pub(super) struct Leg {
    call: u64,
    begun: Instant,
    talk: Duration,
    codec: Codec,
    outcome: CarrierOutcome,
    told: Option<oneshot::Sender<CarrierOutcome>>,
    description: String,
}

impl Carrier {
    fn open_media(&self, call: u64, codec: Codec, payload_type: u8) -> anyhow::Result<String> {
        let key = (call, Side::Carrier);
        let address = self.config.media.open(key, self.listens.ip(), Wire::Plain, codec)?;
        Ok(sdp::plain(address, codec, payload_type))
    }

    /// Calls an agent.
    pub(super) fn call(&mut self, called: Called, told: oneshot::Sender<CarrierOutcome>) {
        let now = Instant::now();
        let fail = |told: oneshot::Sender<CarrierOutcome>, reason: &str| {
            drop(told.send(CarrierOutcome { failure: Some(reason.to_owned()), ..CarrierOutcome::default() }));
        };
        let Some(peer) = self.config.gateway else { return fail(told, "no --trunk to call") };
        let description = match self.open_media(called.call, Codec::Pcmu, 0) {
            Ok(description) => description,
            Err(error) => return fail(told, &error.to_string()),
        };
        let uri = Uri::sip(Some(&called.number), Host::Ip(peer.ip()), Some(peer.port()));
        let number = format!("{}{:07}", self.config.prefix, called.call);
        let from = NameAddr::new(Uri::sip(Some(&number), Host::Ip(self.listens.ip()), Some(self.listens.port())));
        let session = self.endpoint.invite(
            now,
            Invitation {
                flow: Flow { transport: Transport::Udp, peer, connection: None, tls: None },
                to: NameAddr::new(uri.clone()),
                uri,
                from,
                contact: self.contact(),
                max_forwards: None,
                headers: Vec::new(),
                body: Some((SDP.to_owned(), description.clone().into())),
                session_expires: None,
                reliability: sip::Reliability::Off,
                credentials: None,
            },
        );
        let leg = Leg {
            call: called.call,
            begun: now,
            talk: called.talk,
            codec: Codec::Pcmu,
            outcome: CarrierOutcome::default(),
            told: Some(told),
            description,
        };
        self.legs.insert(session, leg);
    }

    /// Answers a call to one of its numbers: in PCMU, or in Opus when that is all there is.
    pub(super) fn answer(&mut self, now: Instant, session: SessionId, request: &Request) {
        let number = request.uri.user().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let read = |codec| sdp::read(&request.body, codec).map(|remote| (remote, codec));
        let opened = || -> Option<(u64, Remote, Codec, String)> {
            let call = sdp::call_of(&number)?;
            let (remote, codec) = read(Codec::Pcmu).or_else(|_| read(Codec::Opus)).ok()?;
            let description = self.open_media(call, codec, remote.payload_type).ok()?;
            Some((call, remote, codec, description))
        };
        let Some((call, remote, codec, description)) = opened() else {
            self.endpoint.reject(now, session, ResponseDraft::new(StatusCode::NOT_ACCEPTABLE_HERE));
            return;
        };
        self.config.media.connect((call, Side::Carrier), remote, codec);
        let contact = self.contact();
        let ringing = ResponseDraft::new(StatusCode::RINGING).with_contact(contact.clone());
        self.endpoint.progress(now, session, ringing);
        let draft = ResponseDraft::new(StatusCode::OK).with_contact(contact).with_body(SDP, description.clone());
        let (talk, outcome) = (Duration::ZERO, CarrierOutcome::default());
        self.legs.insert(session, Leg { call, begun: now, talk, codec, outcome, told: None, description });
        if call >= TRANSFERRED {
            // Whom a call was handed on to hangs up: nobody else is left who would.
            self.plan(now + self.config.ring + HANDED_ON, session, Act::HangUp);
        }
        if self.config.ring.is_zero() {
            self.endpoint.accept(now, session, draft);
        } else {
            self.plan(now + self.config.ring, session, Act::Answer(Box::new(draft)));
        }
    }

    /// Ends all calls of its own making, whether they are answered or not.
    pub(super) fn hang_up(&mut self, now: Instant) {
        for (session, leg) in self.legs.iter().filter(|(_, leg)| leg.told.is_some()) {
            if leg.outcome.answered.is_some() {
                self.endpoint.bye(now, *session, None);
            } else {
                self.endpoint.cancel(now, *session, None);
            }
        }
    }

    /// Hears of something in a call.
    pub(super) fn hear_of_call(&mut self, now: Instant, session: SessionId, event: SessionEvent) {
        let Some(leg) = self.legs.get_mut(&session) else { return };
        let key = (leg.call, Side::Carrier);
        match event {
            SessionEvent::Progress { .. } => {
                leg.outcome.ringing.get_or_insert(now - leg.begun);
            }
            SessionEvent::Answered { response } => {
                leg.outcome.answered = Some(now - leg.begun);
                match sdp::read(&response.body, leg.codec) {
                    Ok(remote) => self.config.media.connect(key, remote, leg.codec),
                    Err(reason) => leg.outcome.fail(reason),
                }
                let at = now + leg.talk;
                self.plan(at, session, Act::HangUp);
            }
            SessionEvent::Refused { response, .. } => {
                leg.outcome.fail(&cause::of(&response));
            }
            SessionEvent::Request { id, request } => {
                let mut draft = ResponseDraft::new(StatusCode::OK).with_contact(self.contact());
                if !request.body.is_empty() && matches!(request.method, Method::Invite | Method::Update) {
                    let leg = self.legs.get_mut(&session);
                    let answer = leg.map(|leg| sdp::answering(&leg.description, &request.body));
                    draft = draft.with_body(SDP, answer.unwrap_or_default());
                }
                self.endpoint.respond(now, id, draft);
            }
            SessionEvent::Lost { .. } => leg.outcome.fail("lost: the gateway did not answer a request"),
            SessionEvent::NoAck => leg.outcome.fail("lost: the gateway sent no ACK"),
            SessionEvent::Expired => leg.outcome.fail("lost: the session expired"),
            SessionEvent::FlowLost => leg.outcome.fail("lost: the connection"),
            SessionEvent::Ended => self.ended(session),
            SessionEvent::Bye { .. }
            | SessionEvent::Modified { .. }
            | SessionEvent::ModifyRefused { .. }
            | SessionEvent::Refreshed { .. }
            | SessionEvent::Withdrawn { .. }
            | SessionEvent::Confirmed { .. }
            | SessionEvent::Acknowledged { .. }
            | SessionEvent::Cancelled { .. }
            | SessionEvent::Roamed { .. }
            | SessionEvent::Adrift
            | SessionEvent::EarlyOffer { .. }
            | SessionEvent::EarlyAnswer { .. }
            | SessionEvent::NoPrack => {}
        }
    }

    /// What was heard is told by the media thread when it comes round to it; nobody waits here for that.
    fn ended(&mut self, session: SessionId) {
        let Some(leg) = self.legs.remove(&session) else { return };
        let closing = self.config.media.closing((leg.call, Side::Carrier));
        match (leg.told, self.waiting.remove(&leg.call)) {
            (Some(told), _) => drop(tokio::spawn(async move {
                let heard = closing.await.unwrap_or_default();
                let first_audio = heard.first.map(|first| first.saturating_duration_since(leg.begun));
                drop(told.send(CarrierOutcome { heard, first_audio, ..leg.outcome }));
            })),
            (None, Some(waiting)) => pass_on(closing, waiting),
            (None, None) => drop(self.over.insert(leg.call, closing)),
        }
    }
}

/// Tells what was heard, once it is known.
pub(super) fn pass_on(closing: oneshot::Receiver<Heard>, told: oneshot::Sender<Heard>) {
    tokio::spawn(async move { drop(told.send(closing.await.unwrap_or_default())) });
}

impl CarrierOutcome {
    fn fail(&mut self, reason: &str) {
        self.failure.get_or_insert_with(|| reason.to_owned());
    }
}
