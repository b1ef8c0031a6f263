//! What the endpoint tells, and the answers to requests outside calls: authentication, REGISTER, OPTIONS, and what is refused.

use std::sync::Arc;
use std::time::Instant;

use sip::{Event, Flow, Method, Request, RequestId, ResponseDraft, SessionEvent, SessionId, StatusCode, Verdict};

use crate::call::{CallEvent, Change, LegId, Party};
use crate::calls::CallKey;
use crate::output::{BindingView, Output};
use crate::proven::Authenticated;
use crate::registration;
use crate::switchboard::Switchboard;

impl Switchboard {
    /// Deals with everything the endpoint has to tell.
    pub(crate) fn drain(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Request { id, flow, request } => self.outside_request(now, id, flow, &request),
                Event::Invite { session, flow, request } => self.invitation(now, session, flow, &request),
                Event::Session { session, event } => self.session_event(now, session, event),
                Event::Malformed { .. } => self.counters.malformed += 1,
                Event::Response { id, response, local } => {
                    let known = self.is_answer_of_server(now, id, &response, local);
                    if !known && !self.trunk_answered(now, id, &response) {
                        self.asked_and_answered(now, id);
                    }
                }
                // Dealt with when it closed.
                Event::FlowClosed { .. } => {}
            }
        }
        self.tell_of_servers();
    }

    fn outside_request(&mut self, now: Instant, id: RequestId, flow: Flow, request: &Request) {
        let draft =
            if flow.transport.is_websocket() { self.agent_request(now, flow, request) } else { trunk_request(request) };
        self.endpoint.respond(now, id, draft);
    }

    fn agent_request(&mut self, now: Instant, flow: Flow, request: &Request) -> ResponseDraft {
        let agent = match self.authenticate(now, flow, request, Challenge::Registrar) {
            Ok(agent) => agent,
            Err(refusal) => return *refusal,
        };
        match &request.method {
            Method::Register => self.register(now, flow, request, &agent),
            Method::Options => ResponseDraft::new(StatusCode::OK).with_header("Accept", "application/sdp"),
            Method::Subscribe | Method::Publish | Method::Notify => ResponseDraft::new(StatusCode::BAD_EVENT),
            // A transfer is of a call, and asked for inside it.
            Method::Refer => ResponseDraft::new(StatusCode::FORBIDDEN),
            Method::Bye | Method::Update | Method::Info | Method::Prack | Method::Cancel => {
                ResponseDraft::new(StatusCode::CALL_DOES_NOT_EXIST)
            }
            Method::Message => ResponseDraft::new(StatusCode::METHOD_NOT_ALLOWED),
            Method::Invite | Method::Ack | Method::Other(_) => ResponseDraft::new(StatusCode::NOT_IMPLEMENTED),
        }
    }

    fn register(&mut self, now: Instant, flow: Flow, request: &Request, agent: &Authenticated) -> ResponseDraft {
        let extension = &agent.extension;
        if let Err(status) = registration::check_address(request, &self.directory, &extension.number) {
            return ResponseDraft::new(status);
        }
        let bindings = self.registrar.bindings(&extension.number).iter();
        let before: Vec<_> = bindings.map(|binding| (binding.id.clone(), binding.flow.connection)).collect();
        let (draft, changed) =
            registration::register(&mut self.registrar, agent, request, flow, now, &self.config, &mut self.ids);
        if draft.status == StatusCode::OK {
            self.counters.registrations += 1;
        }
        if changed {
            self.show_bindings(&extension.number);
            self.tell_of_phones(now, &extension.number);
            self.welcome_back(now, &extension.number, flow, &before);
        }
        draft
    }

    /// Shows what is registered for an extension.
    pub(crate) fn show_bindings(&mut self, extension: &str) {
        let bindings = self
            .registrar
            .bindings(extension)
            .iter()
            .map(|binding| BindingView {
                id: binding.id.clone(),
                address: Arc::clone(&binding.address),
                user_agent: binding.user_agent.clone(),
                flow: binding.flow,
                registered_at: self.clock.at(binding.registered),
                expires_at: self.clock.at(binding.expires),
            })
            .collect();
        self.outputs.push_back(Output::BindingsChanged { extension: extension.to_owned(), bindings });
    }

    /// The extension a request's credentials are for, with what proves it, or the challenge or refusal to send.
    pub(crate) fn authenticate(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
        challenge: Challenge,
    ) -> Result<Authenticated, Box<ResponseDraft>> {
        let directory = self.directory.clone();
        let lookup = |username: &str| directory.credentials.get(username).map(|credential| credential.ha1.clone());
        let verdict = match self.authenticator.verify(now, request, challenge.credentials(), lookup) {
            // Some clients answer any challenge with the other header.
            Verdict::Missing => self.authenticator.verify(now, request, challenge.other().credentials(), lookup),
            verdict @ (Verdict::Accepted { .. } | Verdict::Stale | Verdict::Replayed | Verdict::Wrong { .. }) => {
                verdict
            }
        };
        let stale = match verdict {
            Verdict::Accepted { username } => {
                let credential = directory.credentials.get(&username);
                let allowed = credential
                    .and_then(|credential| Some((credential, directory.extensions.get(&credential.extension)?)))
                    .filter(|(_, extension)| directory.may_use(&extension.number));
                let Some((credential, extension)) = allowed else {
                    let draft = ResponseDraft::new(StatusCode::FORBIDDEN);
                    return Err(draft.with_reason("The agent is disabled or unknown").into());
                };
                let proof = self.proven.add(flow, credential);
                return Ok(Authenticated { extension: extension.clone(), proof });
            }
            Verdict::Missing => false,
            Verdict::Stale | Verdict::Replayed => true,
            Verdict::Wrong { .. } => {
                self.counters.authentication_failures += 1;
                false
            }
        };
        self.counters.challenges += 1;
        let mut draft = ResponseDraft::new(challenge.status());
        for value in self.authenticator.challenges(now, &directory.realm, stale) {
            draft = draft.with_header(challenge.header(), value);
        }
        Err(draft.into())
    }

    /// Whether an agent's leg may move to the WebSocket that a request of its dialog came on: one that speaks for the same extension, or
    /// with this very request proves that it does.
    fn may_move(
        &mut self,
        now: Instant,
        known: Option<(CallKey, LegId)>,
        flow: Flow,
        request: &Request,
    ) -> Result<(), Box<ResponseDraft>> {
        let leg = known.and_then(|(key, leg)| self.calls.facts(key)?.leg(leg));
        let Some(Party::Extension { number, .. }) = leg.map(|leg| leg.party.clone()) else {
            return Err(ResponseDraft::new(StatusCode::CALL_DOES_NOT_EXIST).into());
        };
        if self.proven.speaks_for(flow, &number, &self.directory) {
            return Ok(());
        }
        let agent = self.authenticate(now, flow, request, Challenge::Proxy)?;
        if agent.extension.number == number { Ok(()) } else { Err(ResponseDraft::new(StatusCode::FORBIDDEN).into()) }
    }

    /// The peers that a call's session may now be spoken with from are believed.
    pub(crate) fn believe(&mut self, session: SessionId) {
        if self.calls.of_session(session).is_some() {
            for flow in self.endpoint.next_hops(session) {
                self.calls.believed.add(session, flow);
            }
        }
    }

    fn is_caller(&self, key: CallKey, leg: LegId) -> bool {
        self.calls.facts(key).is_some_and(|facts| facts.is_caller(leg))
    }

    fn session_event(&mut self, now: Instant, session: SessionId, event: SessionEvent) {
        let known = self.calls.of_session(session);
        self.believe(session);
        if let SessionEvent::Request { id, request } = event {
            if let Some((key, leg)) = known
                && let Some(leg) = self.calls.facts_mut(key).and_then(|facts| facts.leg_mut(leg))
            {
                leg.returned = false;
            }
            self.inside_request(now, known, id, &request);
            self.believe(session);
            return;
        }
        if let SessionEvent::Roamed { id, flow, request } = event {
            match self.may_move(now, known, flow, &request) {
                Ok(()) => {
                    self.moved(now, session, flow, false);
                    self.endpoint.admit(now, id);
                }
                Err(refusal) => self.endpoint.respond(now, id, *refusal),
            }
            return;
        }
        if matches!(event, SessionEvent::Ended) {
            self.calls.unbind(session);
            self.absences.settle(session);
            if let Some((_, leg)) = known {
                self.informing.forget(leg);
            }
            self.calls.believed.end(now, session, self.config.timers.transaction_timeout());
        }
        if matches!(event, SessionEvent::Adrift) {
            self.await_return(now, session);
            return;
        }
        let Some((key, leg)) = known else { return };
        self.experience(now, key, leg, &event);
        let event = match event {
            SessionEvent::Progress { response } | SessionEvent::EarlyOffer { response } => {
                CallEvent::Progress { leg, response }
            }
            SessionEvent::Answered { response } => CallEvent::Answered { leg, response },
            SessionEvent::Refused { response, local } => CallEvent::Refused { leg, response, local },
            // An INVITE that was to take somebody's place.
            SessionEvent::Cancelled { .. } if !self.is_caller(key, leg) => CallEvent::SessionOver { leg },
            SessionEvent::Confirmed { body } if self.is_newcomer(key, leg) => self.newcomer_confirmed(key, leg, body),
            SessionEvent::Confirmed { .. } if !self.is_caller(key, leg) => return,
            SessionEvent::Cancelled { request } => {
                CallEvent::Cancelled { reasons: crate::call::reasons(&request.headers) }
            }
            SessionEvent::EarlyAnswer { .. } if !self.is_caller(key, leg) => return,
            SessionEvent::Confirmed { body } | SessionEvent::EarlyAnswer { body } => CallEvent::Confirmed { body },
            SessionEvent::Acknowledged { body } => CallEvent::Change { leg, change: Change::Acknowledged { body } },
            SessionEvent::Modified { response } => CallEvent::Change { leg, change: Change::Accepted { response } },
            SessionEvent::ModifyRefused { .. } => CallEvent::Change { leg, change: Change::Refused },
            SessionEvent::Withdrawn { id } => CallEvent::Change { leg, change: Change::Withdrawn { request: id } },
            SessionEvent::Refreshed { response } => CallEvent::Change { leg, change: Change::Refreshed { response } },
            SessionEvent::Lost { .. } | SessionEvent::Expired => CallEvent::Lost { leg },
            SessionEvent::NoAck | SessionEvent::NoPrack => CallEvent::NoAck { leg },
            SessionEvent::Bye { request } => CallEvent::Bye { leg, reasons: crate::call::reasons(&request.headers) },
            SessionEvent::FlowLost => CallEvent::FlowLost { leg },
            SessionEvent::Ended => CallEvent::SessionOver { leg },
            SessionEvent::Request { .. } | SessionEvent::Roamed { .. } | SessionEvent::Adrift => return,
        };
        self.call_event(now, key, event);
    }
}

/// Who asks for credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// 401: the registrar, and we as a user agent server.
    Registrar,
    /// 407: a call is asked to be carried on.
    Proxy,
}

impl Challenge {
    fn status(self) -> StatusCode {
        match self {
            Self::Registrar => StatusCode::UNAUTHORIZED,
            Self::Proxy => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        }
    }

    fn header(self) -> &'static str {
        match self {
            Self::Registrar => "WWW-Authenticate",
            Self::Proxy => "Proxy-Authenticate",
        }
    }

    fn credentials(self) -> &'static str {
        match self {
            Self::Registrar => "Authorization",
            Self::Proxy => "Proxy-Authorization",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Registrar => Self::Proxy,
            Self::Proxy => Self::Registrar,
        }
    }
}

/// A trunk is answered its keep-alives, and nothing else outside calls.
fn trunk_request(request: &Request) -> ResponseDraft {
    ResponseDraft::new(match &request.method {
        Method::Options => StatusCode::OK,
        Method::Register | Method::Refer => StatusCode::FORBIDDEN,
        Method::Subscribe | Method::Publish => StatusCode::BAD_EVENT,
        Method::Bye | Method::Update | Method::Info | Method::Prack | Method::Cancel | Method::Notify => {
            StatusCode::CALL_DOES_NOT_EXIST
        }
        Method::Message => StatusCode::METHOD_NOT_ALLOWED,
        Method::Invite | Method::Ack | Method::Other(_) => StatusCode::NOT_IMPLEMENTED,
    })
}
