//! A SIP peer of the switchboard: a browser agent on a WebSocket, or a trunk's gateway on UDP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sip::{
    AuthParams, Endpoint, EndpointConfig, Event, Flow, Ha1, Host, Invitation, Method, NameAddr, OutgoingId,
    OutgoingRequest, Reliability, Request, Response, ResponseDraft, SessionEvent, SessionId, StatusCode, Uri,
};

use crate::directory::REALM;

/// What a peer was told, in order.
#[derive(Debug, Clone)]
pub enum Heard {
    /// An INVITE arrived.
    Invite(SessionId, Request),
    /// Something happened to a session.
    Session(SessionId, SessionEvent),
    /// The final response to a request outside a dialog.
    Response(OutgoingId, Response),
}

/// A SIP peer made of the real endpoint.
pub struct Peer {
    /// Its SIP stack.
    pub endpoint: Endpoint,
    /// The switchboard, as this peer reaches it.
    pub to_switchboard: Flow,
    /// This peer, as the switchboard sees it.
    pub from_switchboard: Flow,
    /// What it was told.
    pub heard: Vec<Heard>,
    /// Headers it adds to every INVITE and REGISTER.
    pub headers: Vec<(String, String)>,
    /// How it answers the question whether it lives; `None` not at all.
    pub lives: Option<StatusCode>,
    /// What it answers reports on its transfers with; nothing when `None`.
    pub confirms: Option<StatusCode>,
    /// Session timer it asks for in its INVITEs.
    pub session_expires: Option<Duration>,
    /// Whether it asks for reliable provisional responses in its INVITEs, and sends them where it is asked.
    pub reliability: Reliability,
    /// What it answers an offer with that comes with the answer to its INVITE, or with a reliable response.
    pub late_answer: String,
    nonce_count: u32,
}

impl Peer {
    /// A peer behind a pair of flows.
    #[must_use]
    pub fn new(to_switchboard: Flow, from_switchboard: Flow, seed: [u8; 32]) -> Self {
        let endpoint = Endpoint::new(EndpointConfig::new(Host::Ip(from_switchboard.peer.ip())), seed);
        Self {
            endpoint,
            to_switchboard,
            from_switchboard,
            heard: Vec::new(),
            headers: Vec::new(),
            confirms: Some(StatusCode::OK),
            lives: Some(StatusCode::OK),
            session_expires: None,
            reliability: Reliability::Off,
            late_answer: "v=0 late answer".to_owned(),
            nonce_count: 0,
        }
    }

    /// Moves what the endpoint tells into `heard`.
    pub fn listen(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Invite { session, request, .. } => {
                    self.heard.push(Heard::Invite(session, Arc::unwrap_or_clone(request)))
                }
                Event::Session { session, event } => {
                    if let (SessionEvent::Request { id, request }, Some(status)) = (&event, self.confirms)
                        && request.method == Method::Notify
                    {
                        self.endpoint.respond(now, *id, ResponseDraft::new(status));
                    }
                    if let SessionEvent::EarlyOffer { response } | SessionEvent::Answered { response } = &event
                        && let Some(tag) =
                            response.headers.to().ok().flatten().and_then(|to| Some(to.tag()?.into_owned()))
                    {
                        // Where our INVITE made no offer; elsewhere nothing is waited for.
                        let answer = ("application/sdp".to_owned(), self.late_answer.clone().into());
                        self.endpoint.answer_offer(now, session, &tag, answer);
                    }
                    self.heard.push(Heard::Session(session, event));
                }
                Event::Response { id, response, .. } => self.heard.push(Heard::Response(id, response)),
                Event::Request { id, request, .. } => {
                    if let Some(status) = self.lives.filter(|_| request.method == Method::Options) {
                        self.endpoint.respond(now, id, ResponseDraft::new(status));
                    }
                }
                Event::Malformed { .. } | Event::FlowClosed { .. } => {}
            }
        }
    }

    /// Sends a REGISTER of `user`, which only asks when `contact` is empty; `answering` is the 401 whose challenge it answers with `secret`.
    pub fn register(
        &mut self,
        now: Instant,
        user: &str,
        contact: &str,
        expires: u32,
        answering: Option<(&Response, &str)>,
    ) -> OutgoingId {
        self.register_with(user, now, user, contact, expires, answering)
    }

    /// As [`Self::register`], with the credential of this username.
    pub fn register_with(
        &mut self,
        username: &str,
        now: Instant,
        user: &str,
        contact: &str,
        expires: u32,
        answering: Option<(&Response, &str)>,
    ) -> OutgoingId {
        let uri = Uri::parse(&format!("sip:{REALM}")).expect("a uri");
        let address = NameAddr::new(Uri::parse(&format!("sip:{user}@{REALM}")).expect("a uri"));
        let mut headers = self.headers.clone();
        if !contact.is_empty() {
            headers.push(("Contact".to_owned(), contact.to_owned()));
        }
        headers.push(("Expires".to_owned(), expires.to_string()));
        if let Some((response, secret)) = answering {
            let value = self.credentials(username, secret, &Method::Register, &uri, response, "WWW-Authenticate");
            headers.push(("Authorization".to_owned(), value));
        }
        let request = OutgoingRequest {
            flow: self.to_switchboard,
            method: Method::Register,
            uri,
            from: address.clone(),
            to: address,
            series: None,
            headers,
            body: None,
            credentials: None,
        };
        self.endpoint.send_request(now, request)
    }

    /// Sends an INVITE; `answering` is the 407 whose challenge it answers with `secret`.
    pub fn invite(
        &mut self,
        now: Instant,
        from: &str,
        to: &str,
        sdp: Option<&str>,
        answering: Option<(&Response, &str)>,
    ) -> SessionId {
        let uri = Uri::parse(to).expect("a uri");
        let from = Uri::parse(from).expect("a uri");
        let mut headers = self.headers.clone();
        if let Some((response, secret)) = answering {
            let user = from.user().unwrap_or_default().into_owned();
            let value = self.credentials(&user, secret, &Method::Invite, &uri, response, "Proxy-Authenticate");
            headers.push(("Proxy-Authorization".to_owned(), value));
        }
        let invitation = Invitation {
            flow: self.to_switchboard,
            to: NameAddr::new(uri.clone()),
            uri,
            contact: self.contact(),
            from: NameAddr::new(from),
            max_forwards: None,
            headers,
            body: sdp.map(|sdp| ("application/sdp".to_owned(), sdp.to_owned().into())),
            session_expires: self.session_expires,
            reliability: self.reliability,
            credentials: None,
        };
        self.endpoint.invite(now, invitation)
    }

    /// A response that may set up a dialog, with SDP when given.
    #[must_use]
    pub fn draft(&self, status: StatusCode, sdp: Option<&str>) -> ResponseDraft {
        let is_reliable = self.reliability != Reliability::Off && status.is_provisional();
        let draft = ResponseDraft::new(status).with_contact(self.contact()).reliably(is_reliable);
        match sdp {
            Some(sdp) => draft.with_body("application/sdp", sdp.to_owned()),
            None => draft,
        }
    }

    pub(crate) fn contact(&self) -> Uri {
        let peer = self.from_switchboard.peer;
        Uri::sip(Some("peer"), Host::Ip(peer.ip()), Some(peer.port()))
    }

    /// Answers the last challenge, as the browser clients do. `Ha1::new(a, b, c)` digests `a:b:c`, whatever the parts are.
    pub fn credentials(
        &mut self,
        user: &str,
        secret: &str,
        method: &Method,
        uri: &Uri,
        response: &Response,
        header: &str,
    ) -> String {
        let challenge = response.headers.auth_params(header).last();
        let nonce = challenge.as_ref().and_then(|c: &AuthParams<'_>| c.get("nonce")).unwrap_or_default().into_owned();
        self.nonce_count += 1;
        let nc = format!("{:08x}", self.nonce_count);
        let md5 = |a: &str, b: &str, c: &str| Ha1::new(a, b, c).md5.map(|byte| format!("{byte:02x}")).concat();
        let text = uri.to_string();
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        let ha2 = md5(&method.to_string(), scheme, rest);
        let digest = md5(&md5(user, REALM, secret), &nonce, &format!("{nc}:c0ffee:auth:{ha2}"));
        format!(
            "Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{text}\", response=\"{digest}\", \
             algorithm=MD5, cnonce=\"c0ffee\", qop=auth, nc={nc}"
        )
    }
}
