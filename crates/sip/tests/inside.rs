//! Requests of ours inside a session, such as INFO: sent in the dialog, told what became of them, and never the end of it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods
)]

mod support;

use sip::{InsideRequest, Method, OutgoingId, SessionId, StatusCode};
use support::{LONG, Side, request, tag_of, udp};

fn called() -> (Side, SessionId, String) {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    let tag = tag_of(&side.accept(session));
    side.receive(udp(), &request("ACK", "2", 1, &tag, ""));
    side.events();
    (side, session, tag)
}

fn ask(side: &mut Side, session: SessionId) -> Option<OutgoingId> {
    let body = Some(("application/dtmf-relay".to_owned(), "Signal=5\r\n".into()));
    side.endpoint.ask(side.now, session, InsideRequest { method: Method::Info, headers: Vec::new(), body })
}

#[test]
fn an_info_goes_to_the_peers_contact_in_the_dialog_with_its_body() {
    let (mut side, session, tag) = called();
    assert!(ask(&mut side, session).is_some());
    let first = side.last_request();
    assert_eq!((first.method.as_str(), &first.body[..]), ("INFO", &b"Signal=5\r\n"[..]));
    assert_eq!(first.headers.from().unwrap().unwrap().tag().as_deref(), Some(tag.as_str()));
    assert!(first.headers.to().unwrap().unwrap().tag().is_some());
    assert_eq!(first.headers.content_type().as_deref(), Some("application/dtmf-relay"));
    ask(&mut side, session);
    let second = side.last_request();
    let number = |request: &sip::Request| request.headers.cseq().unwrap().unwrap().number;
    assert_eq!(number(&second), number(&first) + 1);
}

#[test]
fn whatever_an_info_is_answered_with_is_told_and_the_session_goes_on() {
    for status in [200, 415, 481, 501, 603] {
        let (mut side, session, tag) = called();
        ask(&mut side, session);
        let info = side.last_request();
        side.answer_as(udp(), &info, StatusCode::new(status).unwrap(), "x");
        assert_eq!(side.event_words(), [format!("response {status}")]);
        assert!(side.pass(LONG).is_empty(), "nobody is hung up on");
        side.receive(udp(), &request("BYE", "3", 2, &tag, ""));
        assert_eq!(side.event_words(), ["bye", "ended"]);
    }
}

#[test]
fn an_info_never_answered_is_told_as_408_and_the_session_goes_on() {
    let (mut side, session, tag) = called();
    ask(&mut side, session);
    side.pass(LONG);
    assert_eq!(side.event_words(), ["response 408"]);
    side.receive(udp(), &request("BYE", "3", 2, &tag, ""));
    assert_eq!(side.event_words(), ["bye", "ended"]);
}

#[test]
fn nothing_is_asked_where_there_is_no_session() {
    let mut side = Side::new();
    let (session, _) = side.invite(udp());
    assert_eq!(ask(&mut side, session), None);
    let (mut side, session, tag) = called();
    side.receive(udp(), &request("BYE", "3", 2, &tag, ""));
    side.sent();
    assert_eq!(ask(&mut side, session), None);
    assert!(side.sent().is_empty());
}
