//! What peers do in the simulation.

use std::net::SocketAddr;

use sip::{Ha1, InsideRequest, Message, Method, Modification, Response, SessionEvent, SessionId, StatusCode};

use switchboard::Credential;

use crate::directory::REALM;
use crate::simulation::Simulation;

impl Simulation {
    /// Registers a browser as `user` with the right secret; gives the final response.
    pub fn register(&mut self, browser: SocketAddr, user: &str, expires: u32) -> Response {
        let contact = format!("<sip:{user}@b{}.invalid;transport=ws>", browser.ip().to_string().replace('.', "-"));
        self.register_as(browser, user, &contact, expires)
    }

    /// As [`Self::register`], with this Contact.
    pub fn register_as(&mut self, browser: SocketAddr, user: &str, contact: &str, expires: u32) -> Response {
        self.register_by(user, browser, user, contact, expires)
    }

    /// Gives an extension a second credential, `<number>b`.
    pub fn add_credential(&mut self, number: &str) {
        self.change(|directory| {
            let username = format!("{number}b");
            let ha1 = Ha1::new(&username, REALM, &format!("secret-{username}"));
            let known = directory.credentials.get(number).cloned().expect("the first credential");
            let credential = Credential { username: username.clone(), ha1, ..known };
            directory.credentials.insert(username, credential);
        });
    }

    /// As [`Self::register_as`], with the credential of this username.
    pub fn register_by(
        &mut self,
        username: &str,
        browser: SocketAddr,
        user: &str,
        contact: &str,
        expires: u32,
    ) -> Response {
        let now = self.now;
        self.peer(browser).register(now, user, contact, expires, None);
        self.settle();
        let challenge = self.last_response(browser);
        assert_eq!(challenge.status, StatusCode::UNAUTHORIZED);
        let answering = Some((&challenge, &*format!("secret-{username}")));
        self.peer(browser).register_with(username, now, user, contact, expires, answering);
        self.settle();
        self.last_response(browser)
    }

    /// Sends an agent's INVITE through its challenge; gives the second session.
    pub fn call(&mut self, browser: SocketAddr, user: &str, to: &str) -> SessionId {
        self.call_with(browser, user, to, Some("v=0 browser"))
    }

    /// As [`Self::call`], with this offer.
    pub fn call_with(&mut self, browser: SocketAddr, user: &str, to: &str, offer: Option<&str>) -> SessionId {
        let now = self.now;
        let (from, to) = (format!("sip:{user}@{REALM}"), format!("sip:{to}@{REALM}"));
        let first = self.peer(browser).invite(now, &from, &to, offer, None);
        self.settle();
        let challenge = self.refusal(browser, first).expect("a challenge");
        assert_eq!(challenge.status, StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        let secret = format!("secret-{user}");
        let session = self.peer(browser).invite(now, &from, &to, offer, Some((&challenge, &secret)));
        self.settle();
        session
    }

    /// A peer answers the INVITE it got with a final or provisional response.
    pub fn answer(&mut self, peer: SocketAddr, session: SessionId, status: StatusCode, sdp: Option<&str>) {
        let now = self.now;
        let peer = self.peer(peer);
        let draft = peer.draft(status, sdp);
        match status.class() {
            1 => peer.endpoint.progress(now, session, draft),
            2 => peer.endpoint.accept(now, session, draft),
            _ => peer.endpoint.reject(now, session, draft),
        }
        self.settle();
    }

    /// The last INVITE a peer got.
    pub fn incoming(&mut self, peer: SocketAddr) -> SessionId {
        self.invites(peer).last().expect("an INVITE").0
    }

    /// A peer offers another description inside its call, or asks for one, by re-INVITE; as soon as its endpoint may.
    ///
    /// # Panics
    /// When there is no answered session, or a change of it is under way.
    pub fn reinvite(&mut self, peer: SocketAddr, session: SessionId, sdp: Option<&str>) {
        self.reinvite_later(peer, session, sdp);
        self.settle();
    }

    /// As [`Self::reinvite`], but nothing is delivered yet.
    ///
    /// # Panics
    /// As [`Self::reinvite`].
    pub fn reinvite_later(&mut self, peer: SocketAddr, session: SessionId, sdp: Option<&str>) {
        self.modify_later(peer, session, Method::Invite, sdp);
    }

    /// As [`Self::reinvite_later`], by re-INVITE or UPDATE.
    ///
    /// # Panics
    /// As [`Self::reinvite`].
    pub fn modify_later(&mut self, peer: SocketAddr, session: SessionId, method: Method, sdp: Option<&str>) {
        let now = self.now;
        let peer = self.peer(peer);
        let change = Modification {
            method,
            contact: peer.contact(),
            body: sdp.map(|sdp| ("application/sdp".to_owned(), sdp.to_owned().into())),
        };
        assert!(peer.endpoint.modify(now, session, change), "the session cannot be changed");
    }

    /// A peer answers the latest request inside its call.
    ///
    /// # Panics
    /// When there was none.
    pub fn answer_inside(&mut self, peer: SocketAddr, session: SessionId, status: StatusCode, sdp: Option<&str>) {
        let (id, _) = self.asked(peer, session).pop().expect("a request inside the call");
        let now = self.now;
        let peer = self.peer(peer);
        let draft = peer.draft(status, sdp);
        peer.endpoint.respond(now, id, draft);
        self.settle();
    }

    /// A peer asks for its call to be transferred; nothing is delivered yet.
    ///
    /// # Panics
    /// When there is no answered session.
    pub fn refer_later(&mut self, peer: SocketAddr, session: SessionId, refer_to: &str) {
        let now = self.now;
        let headers = vec![("Refer-To".to_owned(), refer_to.to_owned())];
        let asked = InsideRequest { method: Method::Refer, headers, body: None };
        self.peer(peer).endpoint.ask(now, session, asked).expect("an answered session");
    }

    /// As [`Self::refer_later`], delivered; gives the answer to it.
    ///
    /// # Panics
    /// As [`Self::refer_later`].
    pub fn refer(&mut self, peer: SocketAddr, session: SessionId, refer_to: &str) -> StatusCode {
        self.refer_later(peer, session, refer_to);
        self.settle();
        self.last_response(peer).status
    }

    /// A peer hangs up.
    pub fn hang_up(&mut self, peer: SocketAddr, session: SessionId) {
        let now = self.now;
        self.peer(peer).endpoint.bye(now, session, None);
        self.settle();
    }

    /// A caller sends a request inside its answered dialog: `headers` are whole lines. Gives the last response that was sent to it.
    pub fn request_inside(
        &mut self,
        peer: SocketAddr,
        session: SessionId,
        method: &str,
        sequence: u32,
        headers: &str,
        body: &str,
    ) -> Option<Response> {
        let answered = self.events(peer, session).into_iter().find_map(|event| {
            if let SessionEvent::Answered { response } = event { Some(response.headers) } else { None }
        });
        let answered = answered.expect("an answered session");
        let get = |name: &str| answered.get(name).unwrap_or_default().to_owned();
        let contact = get("Contact");
        let uri = contact.trim_matches(['<', '>']);
        // A CANCEL is of the INVITE's branch (RFC 3261 §9.1).
        let branch = if method == "CANCEL" { "INVITE" } else { method };
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/WSS peer.invalid;branch=z9hG4bKinside{branch}{sequence}\r\n\
             Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {sequence} {method}\r\n{headers}\
             Content-Length: {}\r\n\r\n{body}",
            get("From"),
            get("To"),
            get("Call-ID"),
            body.len()
        );
        let (now, flow, before) = (self.now, self.peer(peer).from_switchboard, self.sent.len());
        self.switchboard.handle_message(now, flow, text.as_bytes());
        self.settle();
        self.sent.iter().skip(before).rev().find_map(|(_, to, message)| match message {
            Message::Response(response) if *to == peer => Some(response.clone()),
            Message::Response(_) | Message::Request(_) => None,
        })
    }
}
