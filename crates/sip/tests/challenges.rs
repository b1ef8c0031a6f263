//! Challenges to requests of ours: what is sent again and how, and what the user hears of it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods
)]

mod support;

use sip::{
    Authenticator, ClientCredentials, Event, Flow, Ha1, InsideRequest, Invitation, Message, Method, Modification,
    NameAddr, OutgoingRequest, Request, Response, SessionId, StatusCode, Uri, Verdict,
};
use support::{LONG, Side, udp};

const REALM: &str = "sip.example.net";
const SERVER: (StatusCode, &str, &str) = (StatusCode::UNAUTHORIZED, "WWW-Authenticate", "Authorization");
const PROXY: (StatusCode, &str, &str) =
    (StatusCode::PROXY_AUTHENTICATION_REQUIRED, "Proxy-Authenticate", "Proxy-Authorization");

/// We, and a carrier that asks for credentials.
struct Trunk {
    side: Side,
    carrier: Authenticator,
    flow: Flow,
}

impl Trunk {
    fn new() -> Self {
        Self { side: Side::new(), carrier: Authenticator::new([9; 32]), flow: udp() }
    }

    fn credentials() -> ClientCredentials {
        ClientCredentials { username: "user".into(), realm: REALM.into(), ha1: Ha1::new("user", REALM, "secret") }
    }

    fn invite(&mut self) -> (SessionId, Request) {
        let address = |text: &str| NameAddr::new(Uri::parse(text).unwrap());
        let invitation = Invitation {
            flow: self.flow,
            uri: Uri::parse("sip:bob@sip.example.net").unwrap(),
            from: address("sip:alice@192.0.2.1"),
            to: address("sip:bob@sip.example.net"),
            contact: Uri::parse("sip:alice@192.0.2.1:5060").unwrap(),
            max_forwards: None,
            headers: Vec::new(),
            body: Some(("application/sdp".into(), "v=0".into())),
            session_expires: None,
            credentials: Some(Self::credentials()),
            reliability: sip::Reliability::Off,
        };
        let session = self.side.endpoint.invite(self.side.now, invitation);
        (session, self.side.last_request())
    }

    fn challenge(&mut self, request: &Request, by: (StatusCode, &str, &str), stale: bool) {
        let challenges = self.carrier.challenges(self.side.now, REALM, stale);
        self.challenge_with(request, by, &challenges);
    }

    fn challenge_with(&mut self, request: &Request, by: (StatusCode, &str, &str), challenges: &[String]) {
        let mut response = Response::for_request(request, by.0).with_to_tag("carrier");
        for challenge in challenges {
            response = response.with_header(by.1, challenge);
        }
        self.side.endpoint.handle_message(self.side.now, self.flow, &response.to_bytes());
    }

    fn verdict(&mut self, request: &Request, by: (StatusCode, &str, &str)) -> Verdict {
        let known = |name: &str| (name == "user").then(|| Ha1::new("user", REALM, "secret"));
        self.carrier.verify(self.side.now, request, by.2, known)
    }

    fn assert_right(&mut self, request: &Request, by: (StatusCode, &str, &str)) {
        assert_eq!(self.verdict(request, by), Verdict::Accepted { username: "user".into() }, "{request:?}");
    }

    /// A call whose INVITE was challenged.
    fn calling(by: (StatusCode, &str, &str)) -> (Self, SessionId) {
        let mut trunk = Self::new();
        let (session, invite) = trunk.invite();
        trunk.challenge(&invite, by, false);
        let again = trunk.side.last_request();
        trunk.assert_right(&again, by);
        trunk.side.answer(trunk.flow, &again, StatusCode::OK);
        let ack = trunk.side.last_request();
        assert_eq!(ack.headers.get(by.2), again.headers.get(by.2));
        trunk.side.events();
        (trunk, session)
    }

    /// Has a request of the session, which carries its credentials unasked, challenged with a new nonce: it comes again with the right
    /// answer and the next number.
    fn challenge_again(&mut self, request: &Request) -> Request {
        self.assert_right(request, PROXY);
        self.challenge(request, PROXY, true);
        let again = self.side.last_request();
        assert_eq!(again.method, request.method);
        self.assert_right(&again, PROXY);
        assert_eq!(number(&again), number(request) + 1);
        assert!(self.side.event_words().is_empty());
        again
    }
}

fn number(request: &Request) -> u32 {
    request.headers.cseq().unwrap().unwrap().number
}

#[test]
fn a_challenged_invite_is_sent_again_and_its_user_hears_of_the_answer_only() {
    for by in [SERVER, PROXY] {
        let mut trunk = Trunk::new();
        let (_, invite) = trunk.invite();
        trunk.side.answer(trunk.flow, &invite, StatusCode::TRYING);
        trunk.challenge(&invite, by, false);
        let sent = trunk.side.sent();
        let [Message::Request(ack), Message::Request(again)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((&ack.method, &again.method), (&Method::Ack, &Method::Invite));
        for same in ["From", "To", "Call-ID", "Contact", "Content-Type", "Max-Forwards"] {
            assert_eq!(again.headers.get(same), invite.headers.get(same), "{same}");
        }
        assert_eq!((number(again), &again.body), (number(&invite) + 1, &invite.body));
        assert_ne!(again.headers.top_via().unwrap(), invite.headers.top_via().unwrap());
        assert_eq!((again.headers.vias().unwrap().len(), again.headers.get_all("User-Agent").count()), (1, 1));
        trunk.assert_right(again, by);
        assert!(again.headers.get(by.2).unwrap().contains("SHA-256"));
        trunk.side.answer(trunk.flow, again, StatusCode::OK);
        assert_eq!(trunk.side.event_words(), ["answered"]);
    }
}

#[test]
fn every_request_of_the_session_carries_its_credentials_and_answers_a_stale_nonce() {
    let (mut trunk, session) = Trunk::calling(PROXY);
    let contact = Uri::parse("sip:alice@192.0.2.1:5060").unwrap();
    for method in [Method::Invite, Method::Update] {
        let body = Some(("application/sdp".to_owned(), "v=0".into()));
        let change = Modification { method: method.clone(), contact: contact.clone(), body };
        assert!(trunk.side.endpoint.modify(trunk.side.now, session, change));
        let request = trunk.side.last_request();
        let again = trunk.challenge_again(&request);
        trunk.side.answer(trunk.flow, &again, StatusCode::OK);
        trunk.side.sent();
        assert_eq!(trunk.side.event_words(), ["modified"], "{method}");
    }
    for method in [Method::Info, Method::Refer, Method::Notify] {
        let asked = InsideRequest { method, headers: Vec::new(), body: None };
        trunk.side.endpoint.ask(trunk.side.now, session, asked).unwrap();
        let request = trunk.side.last_request();
        let again = trunk.challenge_again(&request);
        trunk.side.answer(trunk.flow, &again, StatusCode::OK);
        assert_eq!(trunk.side.event_words(), ["response 200"]);
    }
    trunk.side.endpoint.bye(trunk.side.now, session, None);
    let bye = trunk.side.last_request();
    let again = trunk.challenge_again(&bye);
    trunk.side.answer(trunk.flow, &again, StatusCode::OK);
    assert_eq!(trunk.side.event_words(), ["ended"]);
    trunk.side.assert_empty();
}

#[test]
fn a_challenge_of_another_realm_is_a_refusal_told_as_it_is() {
    let mut trunk = Trunk::new();
    let (_, invite) = trunk.invite();
    let foreign = "Digest realm=\"elsewhere.example.net\", nonce=\"a\", qop=\"auth\"".to_owned();
    trunk.challenge_with(&invite, PROXY, &[foreign]);
    assert_eq!(trunk.side.sent_words(), ["ACK"]);
    assert_eq!(trunk.side.event_words(), ["refused 407", "ended"]);
    trunk.side.assert_empty();
}

#[test]
fn a_challenge_that_another_host_sends_is_not_answered() {
    let mut trunk = Trunk::new();
    let (_, invite) = trunk.invite();
    trunk.flow = Flow { peer: "203.0.113.66:5060".parse().unwrap(), ..trunk.flow };
    trunk.challenge(&invite, PROXY, false);
    assert_eq!(trunk.side.sent_words(), ["ACK"]);
    assert_eq!(trunk.side.event_words(), ["refused 407", "ended"]);
}

#[test]
fn credentials_found_wrong_are_not_tried_again() {
    let mut trunk = Trunk::new();
    let (_, invite) = trunk.invite();
    trunk.challenge(&invite, SERVER, false);
    let again = trunk.side.last_request();
    trunk.challenge(&again, SERVER, false);
    assert_eq!(trunk.side.sent_words(), ["ACK"]);
    assert_eq!(trunk.side.event_words(), ["refused 401", "ended"]);
}

#[test]
fn an_endless_series_of_stale_nonces_comes_to_an_end() {
    let mut trunk = Trunk::new();
    let (_, mut invite) = trunk.invite();
    for _ in 0..4 {
        trunk.challenge(&invite, SERVER, true);
        invite = trunk.side.last_request();
    }
    trunk.challenge(&invite, SERVER, true);
    assert_eq!(trunk.side.sent_words(), ["ACK"]);
    assert_eq!(trunk.side.event_words(), ["refused 401", "ended"]);
}

#[test]
fn a_cancel_that_meets_the_challenge_ends_the_call() {
    // Wanted before anything was heard: the challenge is the INVITE's end.
    let mut trunk = Trunk::new();
    let (session, invite) = trunk.invite();
    trunk.side.endpoint.cancel(trunk.side.now, session, None);
    trunk.challenge(&invite, PROXY, false);
    assert_eq!(trunk.side.sent_words(), ["ACK"]);
    assert_eq!(trunk.side.event_words(), ["refused 407", "ended"]);
    // Sent already, and crossed by the challenge.
    let mut trunk = Trunk::new();
    let (session, invite) = trunk.invite();
    trunk.side.answer(trunk.flow, &invite, StatusCode::TRYING);
    trunk.side.endpoint.cancel(trunk.side.now, session, None);
    trunk.side.sent();
    trunk.challenge(&invite, PROXY, false);
    assert_eq!(trunk.side.sent_words(), ["ACK"]);
    assert_eq!(trunk.side.event_words(), ["refused 407", "ended"]);
}

#[test]
fn a_cancel_after_the_challenge_waits_for_a_sign_of_life_and_has_the_credentials_of_its_invite() {
    let mut trunk = Trunk::new();
    let (session, invite) = trunk.invite();
    trunk.side.answer(trunk.flow, &invite, StatusCode::TRYING);
    trunk.challenge(&invite, PROXY, false);
    let again = trunk.side.last_request();
    trunk.side.endpoint.cancel(trunk.side.now, session, None);
    assert!(trunk.side.sent_words().is_empty());
    trunk.side.answer(trunk.flow, &again, StatusCode::TRYING);
    let cancel = trunk.side.last_request();
    assert_eq!((&cancel.method, number(&cancel)), (&Method::Cancel, number(&again)));
    assert_eq!(cancel.headers.get("Proxy-Authorization"), again.headers.get("Proxy-Authorization"));
    trunk.side.answer(trunk.flow, &cancel, StatusCode::OK);
    trunk.side.answer(trunk.flow, &again, StatusCode::REQUEST_TERMINATED);
    let ack = trunk.side.last_request();
    assert_eq!(ack.headers.get("Proxy-Authorization"), again.headers.get("Proxy-Authorization"));
    assert_eq!(trunk.side.event_words(), ["refused 487", "ended"]);
    trunk.side.assert_empty();
}

#[test]
fn an_invite_sent_again_that_nobody_answers_times_out() {
    let mut trunk = Trunk::new();
    let (_, invite) = trunk.invite();
    trunk.challenge(&invite, SERVER, false);
    trunk.side.pass(LONG);
    assert_eq!(trunk.side.event_words(), ["refused 408 local", "ended"]);
    trunk.side.assert_empty();
}

#[test]
fn credentials_do_not_follow_the_dialog_to_another_host() {
    let mut trunk = Trunk::new();
    let (session, invite) = trunk.invite();
    trunk.challenge(&invite, PROXY, false);
    let again = trunk.side.last_request();
    let elsewhere = Response::for_request(&again, StatusCode::OK).with_to_tag("carrier");
    let elsewhere = elsewhere.with_header("Contact", "<sip:bob@203.0.113.66>");
    trunk.side.endpoint.handle_message(trunk.side.now, trunk.flow, &elsewhere.to_bytes());
    let ack = trunk.side.last_request();
    assert!(!ack.headers.contains("Proxy-Authorization"));
    trunk.side.endpoint.bye(trunk.side.now, session, None);
    let bye = trunk.side.last_request();
    assert!(!bye.headers.contains("Proxy-Authorization"));
    trunk.flow = Flow { peer: "203.0.113.66:5060".parse().unwrap(), ..trunk.flow };
    trunk.challenge(&bye, PROXY, false);
    assert!(trunk.side.sent_words().is_empty());
    assert_eq!(trunk.side.event_words().last().unwrap(), "ended");
}

#[test]
fn a_fork_that_answers_too_is_hung_up_on_though_it_challenges_the_bye() {
    let (mut trunk, _) = Trunk::calling(PROXY);
    let (_, invite) = trunk.invite();
    trunk.challenge(&invite, PROXY, false);
    let again = trunk.side.last_request();
    trunk.side.answer_as(trunk.flow, &again, StatusCode::OK, "one");
    trunk.side.answer_as(trunk.flow, &again, StatusCode::OK, "two");
    let bye = trunk.side.last_request();
    trunk.challenge(&bye, PROXY, false);
    let bye = trunk.side.last_request();
    assert_eq!(bye.method, Method::Bye);
    trunk.assert_right(&bye, PROXY);
}

#[test]
fn a_register_is_sent_again_and_its_response_shows_its_number() {
    let mut trunk = Trunk::new();
    let address = NameAddr::new(Uri::parse("sip:user@sip.example.net").unwrap());
    let outgoing = OutgoingRequest {
        flow: trunk.flow,
        method: Method::Register,
        uri: Uri::parse("sip:sip.example.net").unwrap(),
        from: address.clone(),
        to: address,
        series: Some(("series".into(), 7)),
        headers: vec![("Contact".into(), "<sip:user@192.0.2.1>".into())],
        body: None,
        credentials: Some(Trunk::credentials()),
    };
    let id = trunk.side.endpoint.send_request(trunk.side.now, outgoing);
    let register = trunk.side.last_request();
    trunk.challenge(&register, SERVER, false);
    let again = trunk.side.last_request();
    trunk.assert_right(&again, SERVER);
    assert_eq!((again.headers.call_id(), number(&again)), (Some("series"), 8));
    assert!(trunk.side.event_words().is_empty());
    trunk.side.answer(trunk.flow, &again, StatusCode::OK);
    let events = trunk.side.events();
    let [Event::Response { id: answered, response, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((*answered, response.headers.cseq().unwrap().unwrap().number), (id, 8));
    trunk.side.assert_empty();
}
