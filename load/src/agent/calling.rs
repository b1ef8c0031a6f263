//! An agent's calls: how they begin, what happens in them, and how they end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sip::{
    InsideRequest, Invitation, Method, Modification, NameAddr, Request, ResponseDraft, SessionId, StatusCode, Uri,
};
use tokio::sync::{mpsc, oneshot};

use super::{Agent, Outcome, Plan};
use crate::carrier::TRANSFERRED;
use crate::media::{Key, Side, Wire};
use crate::sdp::{self, Codec, SDP};

/// How long an agent is on hold.
const HOLD: Duration = Duration::from_secs(1);
/// How much longer than planned an agent waits for the carrier to hang up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A call under way.
pub(super) struct Call {
    pub(super) plan: Plan,
    pub(super) begun: Instant,
    pub(super) outcome: Outcome,
    pub(super) told: Told,
    /// What is due, the earliest first.
    pub(super) due: Vec<(Instant, Step)>,
    /// Our description.
    pub(super) description: String,
}

impl Call {
    pub(super) fn key(&self) -> Key {
        (self.plan.call, Side::Agent)
    }
}

/// Who is told what came of a call.
pub(super) enum Told {
    Once(oneshot::Sender<Outcome>),
    Each(mpsc::UnboundedSender<Outcome>),
}

/// Something an agent does in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Hold,
    Resume,
    Transfer,
    HangUp,
}

impl Agent {
    /// A media socket with its side of the call, and what we say of it.
    fn open_media(&self, call: u64, active: bool, payload_type: u8) -> anyhow::Result<String> {
        let (key, company) = ((call, Side::Agent), &self.company);
        let open =
            |wire| -> Result<SocketAddr, _> { company.media.open(key, company.media_address, wire, Codec::Opus) };
        if company.encrypts {
            let ufrag = format!("{:08x}", rand::random::<u32>());
            open(Wire::browser(&company.certificate, &ufrag))?;
            Ok(sdp::browser(&company.certificate, &ufrag, active, payload_type))
        } else {
            Ok(sdp::plain(open(Wire::Plain)?, Codec::Opus, payload_type))
        }
    }

    /// Calls the carrier.
    pub(super) fn call(&mut self, now: Instant, plan: Plan, answer: oneshot::Sender<Outcome>) {
        let number = format!("{}{:07}", self.company.prefix, plan.call);
        let mut outcome = Outcome { call: plan.call, ..Outcome::default() };
        let addresses = Uri::parse(&format!("sip:{number}@{}", self.company.domain)).ok().zip(self.address());
        let (uri, from, description) = match (addresses, self.open_media(plan.call, false, sdp::OPUS)) {
            (Some((uri, from)), Ok(description)) => (uri, from, description),
            (None, _) => {
                outcome.failure = Some("no SIP address".to_owned());
                return drop(answer.send(outcome));
            }
            (_, Err(error)) => {
                outcome.failure = Some(error.to_string());
                return drop(answer.send(outcome));
            }
        };
        let session = self.endpoint.invite(
            now,
            Invitation {
                flow: self.flow(),
                to: NameAddr::new(uri.clone()),
                uri,
                from,
                contact: self.contact(),
                max_forwards: None,
                headers: Vec::new(),
                body: Some((SDP.to_owned(), description.clone().into())),
                session_expires: None,
                reliability: sip::Reliability::Off,
                credentials: Some(self.user.credentials.clone()),
            },
        );
        let told = Told::Once(answer);
        self.calls.insert(session, Call { plan, begun: now, outcome, told, due: Vec::new(), description });
    }

    /// Answers a call of the carrier's.
    pub(super) fn answer(&mut self, now: Instant, session: SessionId, request: &Request) {
        let Some((plan, told)) = self.expected.clone() else {
            self.endpoint.reject(now, session, ResponseDraft::new(StatusCode::BUSY_HERE));
            return;
        };
        let from = request.headers.from().ok().flatten();
        let number = from.and_then(|from| from.uri.user().map(std::borrow::Cow::into_owned)).unwrap_or_default();
        let call = sdp::call_of(&number).unwrap_or_default();
        let opened = sdp::read(&request.body, Codec::Opus).map_err(str::to_owned).and_then(|remote| {
            let answer = self.open_media(call, true, remote.payload_type).map_err(|error| error.to_string())?;
            Ok((remote, answer))
        });
        // The carrier hangs up.
        let plan = Plan { call, talk: plan.talk + PATIENCE, ..plan };
        let mut outcome = Outcome { call, answered: Some(Duration::ZERO), ..Outcome::default() };
        let (remote, description) = match opened {
            Ok(opened) => opened,
            Err(reason) => {
                outcome.failure = Some(reason);
                self.endpoint.reject(now, session, ResponseDraft::new(StatusCode::NOT_ACCEPTABLE_HERE));
                return Told::Each(told).tell(outcome);
            }
        };
        let contact = self.contact();
        let ringing = ResponseDraft::new(StatusCode::RINGING).with_contact(contact.clone());
        self.endpoint.progress(now, session, ringing);
        let answer = ResponseDraft::new(StatusCode::OK).with_contact(contact).with_body(SDP, description.clone());
        self.endpoint.accept(now, session, answer);
        let call = Call { plan, begun: now, outcome, told: Told::Each(told), due: steps(now, plan), description };
        self.company.media.connect(call.key(), remote, Codec::Opus);
        self.calls.insert(session, call);
    }

    /// Does what is due in a call.
    pub(super) fn step(&mut self, now: Instant, session: SessionId, step: Step) {
        match step {
            Step::Hold => self.modify(now, session, "a=sendonly"),
            Step::Resume => self.modify(now, session, "a=sendrecv"),
            Step::Transfer => self.transfer(now, session),
            Step::HangUp => self.endpoint.bye(now, session, None),
        }
    }

    /// A re-INVITE with another direction.
    fn modify(&mut self, now: Instant, session: SessionId, direction: &str) {
        let contact = self.contact();
        let Some(call) = self.calls.get_mut(&session) else { return };
        // A description that changes has a higher version (RFC 3264 §8).
        call.description = sdp::directed(&call.description, direction);
        let body = Some((SDP.to_owned(), call.description.clone().into()));
        self.endpoint.modify(now, session, Modification { method: Method::Invite, contact, body });
        let (number, _) = call.key();
        self.company.media.interrupt((number, Side::Agent));
        self.company.media.interrupt((number, Side::Carrier));
    }

    fn transfer(&mut self, now: Instant, session: SessionId) {
        let Some(call) = self.calls.get(&session) else { return };
        let number = format!("{}{:07}", self.company.prefix, call.plan.call + TRANSFERRED);
        let refer_to = ("Refer-To".to_owned(), format!("<sip:{number}@{}>", self.company.domain));
        let referred_by = ("Referred-By".to_owned(), format!("<sip:{}@{}>", self.user.name, self.company.domain));
        let asked = InsideRequest { method: Method::Refer, headers: vec![refer_to, referred_by], body: None };
        self.endpoint.ask(now, session, asked);
    }

    /// Ends all calls, whether they are answered or not.
    pub(super) fn hang_up(&mut self, now: Instant) {
        for (session, call) in &mut self.calls {
            call.due.clear();
            if call.outcome.answered.is_some() {
                self.endpoint.bye(now, *session, None);
            } else {
                self.endpoint.cancel(now, *session, None);
            }
        }
    }
}

impl Told {
    /// A scenario that is over needs no outcome any more.
    pub(super) fn tell(self, outcome: Outcome) {
        match self {
            Self::Once(told) => drop(told.send(outcome)),
            Self::Each(told) => drop(told.send(outcome)),
        }
    }
}

/// What happens in a call and when.
pub(super) fn steps(now: Instant, plan: Plan) -> Vec<(Instant, Step)> {
    let mut steps = Vec::new();
    if plan.holds {
        let at = now + plan.talk / 3;
        steps.extend([(at, Step::Hold), (at + HOLD.min(plan.talk / 6), Step::Resume)]);
    }
    if plan.transfers {
        steps.push((now + plan.talk * 2 / 3, Step::Transfer));
    }
    steps.push((now + plan.talk, Step::HangUp));
    steps
}
