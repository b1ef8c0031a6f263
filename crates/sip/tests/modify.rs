//! Changes of an established session: re-INVITE and UPDATE in both directions, glare, what is lost on the way.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods
)]

mod support;

use std::time::Duration;

use sip::{Event, Message, Method, Modification, RequestId, ResponseDraft, SessionEvent, SessionId, StatusCode, Uri};
use support::{LONG, Side, T1, request, tag_of, udp};

const SDP: &str = "Content-Type: application/sdp\r\nContent-Length: 3\r\n";

/// A session the peer began, and our tag in it.
fn called() -> (Side, SessionId, String) {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    let tag = tag_of(&side.accept(session));
    side.receive(udp(), &request("ACK", "2", 1, &tag, ""));
    side.events();
    (side, session, tag)
}

/// A session we began.
fn calling() -> (Side, SessionId) {
    let mut side = Side::new();
    let (session, invite) = side.invite(udp());
    side.answer(udp(), &invite, StatusCode::OK);
    side.sent();
    side.events();
    (side, session)
}

fn change(method: Method) -> Modification {
    let contact = Uri::parse("sip:gateway@192.0.2.1:5060").unwrap();
    Modification { method, contact, body: Some(("application/sdp".to_owned(), "v=0".into())) }
}

fn modify(side: &mut Side, session: SessionId, method: Method) -> bool {
    side.endpoint.modify(side.now, session, change(method))
}

fn asked(side: &mut Side) -> RequestId {
    let events = side.events();
    let found = events.into_iter().find_map(|event| match event {
        Event::Session { event: SessionEvent::Request { id, .. }, .. } => Some(id),
        _ => None,
    });
    found.expect("a request was told")
}

fn respond(side: &mut Side, id: RequestId, status: StatusCode) {
    side.endpoint.respond(side.now, id, ResponseDraft::new(status));
}

/// When the next message of ours goes out, and which.
fn next_sent(side: &mut Side) -> (Duration, String) {
    side.pass(Duration::from_secs(10)).first().cloned().expect("something is sent")
}

#[test]
fn a_reinvite_of_ours_is_acknowledged_and_its_answer_told() {
    let (mut side, session) = calling();
    assert!(modify(&mut side, session, Method::Invite));
    let reinvite = side.last_request();
    assert_eq!(reinvite.headers.get("CSeq"), Some("2 INVITE"));
    assert_eq!(reinvite.headers.get("Contact"), Some("<sip:gateway@192.0.2.1:5060>"));
    assert_eq!(reinvite.body, "v=0");
    assert_eq!(reinvite.headers.to().unwrap().unwrap().tag().unwrap(), "bobtag");
    side.answer(udp(), &reinvite, StatusCode::OK);
    let ack = side.last_request();
    assert_eq!((ack.method.clone(), ack.headers.get("CSeq")), (Method::Ack, Some("2 ACK")));
    assert_eq!(side.event_words(), ["modified"]);
    side.answer(udp(), &reinvite, StatusCode::OK);
    assert_eq!(side.sent_words(), ["ACK"], "a repeated 200 wants its ACK again");
    assert!(side.event_words().is_empty());
    assert!(side.pass(LONG * 2).is_empty());
    side.endpoint.bye(side.now, session, None);
    let bye = side.last_request();
    assert_eq!(bye.headers.get("CSeq"), Some("3 BYE"));
    side.answer(udp(), &bye, StatusCode::OK);
    side.assert_empty();
}

#[test]
fn an_update_of_ours_has_no_ack() {
    let (mut side, session) = calling();
    assert!(modify(&mut side, session, Method::Update));
    let update = side.last_request();
    assert_eq!(update.headers.get("CSeq"), Some("2 UPDATE"));
    side.answer(udp(), &update, StatusCode::OK);
    assert!(side.sent_words().is_empty());
    assert_eq!(side.event_words(), ["modified"]);
}

#[test]
fn a_refused_change_leaves_the_session_as_it_was() {
    let (mut side, session) = calling();
    modify(&mut side, session, Method::Invite);
    let reinvite = side.last_request();
    side.answer(udp(), &reinvite, StatusCode::NOT_ACCEPTABLE_HERE);
    assert_eq!(side.sent_words(), ["ACK"]);
    assert_eq!(side.event_words(), ["modify refused 488"]);
    assert!(side.pass(LONG * 2).is_empty());
    assert!(modify(&mut side, session, Method::Invite), "another change may follow");
    assert_eq!(side.sent_words(), ["INVITE"]);
}

#[test]
fn after_a_491_the_owner_of_the_call_id_waits_longer() {
    for _ in 0..20 {
        let (mut side, session) = calling();
        modify(&mut side, session, Method::Invite);
        let reinvite = side.last_request();
        side.answer(udp(), &reinvite, StatusCode::REQUEST_PENDING);
        assert_eq!(side.sent_words(), ["ACK"]);
        let (wait, word) = next_sent(&mut side);
        assert_eq!(word, "INVITE");
        assert!((Duration::from_millis(2100)..=Duration::from_millis(4000)).contains(&wait), "{wait:?}");
        let (mut side, session, _) = called();
        modify(&mut side, session, Method::Invite);
        let reinvite = side.last_request();
        side.answer(udp(), &reinvite, StatusCode::REQUEST_PENDING);
        side.sent();
        let (wait, word) = next_sent(&mut side);
        assert_eq!(word, "INVITE");
        assert!(wait <= Duration::from_millis(2000), "{wait:?}");
    }
}

#[test]
fn a_change_that_always_collides_is_refused_in_the_end() {
    let (mut side, session, _) = called();
    modify(&mut side, session, Method::Update);
    let (mut tried, mut next) = (0, side.sent().pop());
    while let Some(Message::Request(update)) = next {
        tried += 1;
        side.answer(udp(), &update, StatusCode::REQUEST_PENDING);
        next = side.next_sent();
    }
    assert_eq!(tried, 11);
    assert_eq!(side.event_words(), ["modify refused 491"]);
}

#[test]
fn offers_that_cross_are_both_refused_and_the_session_goes_on() {
    let (mut side, session, tag) = called();
    modify(&mut side, session, Method::Invite);
    let reinvite = side.last_request();
    for (method, branch, cseq) in [("INVITE", "3", 2), ("UPDATE", "4", 3)] {
        side.receive(udp(), &(request(method, branch, cseq, &tag, SDP) + "v=0"));
        assert_eq!(side.sent_words(), ["491"], "{method}");
    }
    side.receive(udp(), &request("ACK", "3", 2, &tag, ""));
    side.answer(udp(), &reinvite, StatusCode::REQUEST_PENDING);
    assert_eq!(side.sent_words(), ["ACK"]);
    assert!(side.event_words().is_empty());
    // The peer tries first; ours waits until that is settled.
    side.receive(udp(), &(request("INVITE", "5", 4, &tag, SDP) + "v=0"));
    let id = asked(&mut side);
    side.sent();
    assert!(side.pass(Duration::from_secs(3)).is_empty());
    respond(&mut side, id, StatusCode::OK);
    assert_eq!(side.sent_words(), ["200"]);
    side.receive(udp(), &request("ACK", "6", 4, &tag, ""));
    assert_eq!(side.sent_words(), ["INVITE"]);
    assert_eq!(side.event_words(), ["acknowledged"]);
}

#[test]
fn a_second_offer_before_the_first_is_answered_gets_500_and_a_while_to_wait() {
    let (mut side, _, tag) = called();
    side.receive(udp(), &(request("UPDATE", "3", 2, &tag, SDP) + "v=0"));
    let id = asked(&mut side);
    assert!(side.sent_words().is_empty(), "an UPDATE is not answered 100");
    for (method, branch, cseq) in [("INVITE", "4", 3), ("UPDATE", "5", 4)] {
        side.receive(udp(), &(request(method, branch, cseq, &tag, SDP) + "v=0"));
        let sent = side.sent();
        assert_eq!(support::word(&sent[0]), "500", "{method}");
        let wait: u32 = sent[0].headers().get("Retry-After").unwrap().parse().unwrap();
        assert!(wait <= 10);
    }
    respond(&mut side, id, StatusCode::OK);
    assert_eq!(side.sent_words(), ["200"]);
    side.receive(udp(), &(request("UPDATE", "6", 5, &tag, SDP) + "v=0"));
    asked(&mut side);
}

#[test]
fn an_update_without_offer_is_told_whatever_is_open() {
    let (mut side, session, tag) = called();
    modify(&mut side, session, Method::Invite);
    side.sent();
    side.receive(udp(), &request("UPDATE", "3", 2, &tag, ""));
    let id = asked(&mut side);
    respond(&mut side, id, StatusCode::OK);
    assert_eq!(side.sent_words(), ["200"]);
}

#[test]
fn an_accepted_update_moves_the_peers_contact() {
    let (mut side, session, tag) = called();
    let moved = request("UPDATE", "3", 2, &tag, "")
        .replace("Contact: <sip:bob@198.51.100.7:5060>", "Contact: <sip:bob@198.51.100.7:5099>");
    side.receive(udp(), &moved);
    let id = asked(&mut side);
    respond(&mut side, id, StatusCode::OK);
    side.sent();
    side.endpoint.bye(side.now, session, None);
    assert_eq!(side.last_request().uri.to_string(), "sip:bob@198.51.100.7:5099");
}

#[test]
fn the_answer_to_an_offerless_reinvite_comes_with_its_ack() {
    let (mut side, _, tag) = called();
    side.receive(udp(), &request("INVITE", "3", 2, &tag, ""));
    let id = asked(&mut side);
    let draft = ResponseDraft::new(StatusCode::OK).with_body("application/sdp", "v=0");
    side.endpoint.respond(side.now, id, draft);
    side.sent();
    side.receive(udp(), &(request("UPDATE", "4", 3, &tag, SDP) + "v=0"));
    assert_eq!(side.sent_words(), ["491"], "our offer is open");
    side.receive(udp(), &(request("ACK", "5", 2, &tag, SDP) + "v=1"));
    let bodies = side.events().into_iter().filter_map(|event| match event {
        Event::Session { event: SessionEvent::Acknowledged { body }, .. } => Some(body),
        _ => None,
    });
    assert_eq!(bodies.collect::<Vec<_>>(), [b"v=1"]);
}

#[test]
fn a_reinvite_whose_200_is_never_acknowledged_ends_the_session() {
    let (mut side, _, tag) = called();
    side.receive(udp(), &request("INVITE", "3", 2, &tag, ""));
    let id = asked(&mut side);
    respond(&mut side, id, StatusCode::OK);
    side.sent();
    let sent = side.pass(LONG);
    assert_eq!(sent.iter().filter(|(_, word)| word == "200").count(), 10);
    assert_eq!(sent.last().map(|(at, word)| (*at, word.as_str())), Some((T1 * 64, "BYE")));
    assert_eq!(side.event_words(), ["no ack"]);
    side.assert_empty();
}

#[test]
fn a_peer_that_forgot_the_session_or_answers_nothing_loses_it() {
    let (mut side, session) = calling();
    modify(&mut side, session, Method::Invite);
    let reinvite = side.last_request();
    side.answer(udp(), &reinvite, StatusCode::CALL_DOES_NOT_EXIST);
    assert_eq!(side.sent_words(), ["ACK", "BYE"]);
    assert_eq!(side.event_words(), ["lost 481"]);
    side.assert_empty();
    for method in [Method::Invite, Method::Update] {
        let (mut side, session) = calling();
        modify(&mut side, session, method);
        side.sent();
        side.pass(LONG);
        assert_eq!(side.event_words(), ["lost 408"]);
        side.assert_empty();
        assert_eq!(side.event_words(), ["ended"]);
    }
}

#[test]
fn a_reinvite_that_rings_is_cancelled_and_the_session_goes_on() {
    let (mut side, session) = calling();
    modify(&mut side, session, Method::Invite);
    let reinvite = side.last_request();
    side.answer(udp(), &reinvite, StatusCode::RINGING);
    let sent = side.pass(T1 * 64);
    assert_eq!(sent.first().map(|(at, word)| (*at, word.as_str())), Some((T1 * 64, "CANCEL")));
    side.answer(udp(), &reinvite, StatusCode::REQUEST_TERMINATED);
    assert_eq!(side.sent_words(), ["ACK"]);
    assert_eq!(side.event_words(), ["modify refused 487"]);
    assert!(modify(&mut side, session, Method::Invite));
    let reinvite = side.last_request();
    side.answer(udp(), &reinvite, StatusCode::RINGING);
    side.pass(T1 * 128);
    assert_eq!(side.event_words(), ["lost 408"]);
    side.assert_empty();
}

#[test]
fn a_200_to_our_reinvite_is_acknowledged_even_when_the_call_is_over() {
    let (mut side, session) = calling();
    modify(&mut side, session, Method::Invite);
    let reinvite = side.last_request();
    side.endpoint.bye(side.now, session, None);
    let bye = side.last_request();
    side.answer(udp(), &reinvite, StatusCode::OK);
    assert_eq!(side.sent_words(), ["ACK"]);
    side.answer(udp(), &bye, StatusCode::OK);
    assert_eq!(side.event_words(), ["ended"]);
    side.answer(udp(), &reinvite, StatusCode::OK);
    assert_eq!(side.sent_words(), ["ACK"]);
    side.assert_empty();
    let (mut side, session, tag) = called();
    modify(&mut side, session, Method::Invite);
    let reinvite = side.last_request();
    side.receive(udp(), &request("BYE", "3", 2, &tag, ""));
    assert_eq!(side.sent_words(), ["200"]);
    side.answer(udp(), &reinvite, StatusCode::OK);
    let ack = side.last_request();
    assert_eq!((ack.method.clone(), ack.headers.get("CSeq")), (Method::Ack, Some("1 ACK")));
    assert_eq!(side.event_words(), ["bye", "ended"]);
    side.assert_empty();
}

#[test]
fn a_change_waits_for_the_ack_of_the_call_and_gives_way_to_a_later_one() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    assert!(!modify(&mut side, session, Method::Invite), "there is no session to change yet");
    let tag = tag_of(&side.accept(session));
    assert!(modify(&mut side, session, Method::Invite));
    let contact = Uri::parse("sip:gateway@192.0.2.1:5060").unwrap();
    let later =
        Modification { method: Method::Invite, contact, body: Some(("application/sdp".to_owned(), "v=1".into())) };
    assert!(side.endpoint.modify(side.now, session, later));
    assert!(side.sent_words().is_empty());
    side.receive(udp(), &request("ACK", "2", 1, &tag, ""));
    assert_eq!(side.last_request().body, "v=1");
    assert!(!modify(&mut side, session, Method::Invite), "one at a time");
}

#[test]
fn a_reinvite_the_peer_takes_back_gets_487_and_no_answer_after_it() {
    let (mut side, session, tag) = called();
    side.receive(udp(), &(request("INVITE", "3", 2, &tag, SDP) + "v=0"));
    let id = asked(&mut side);
    side.sent();
    side.receive(udp(), &request("CANCEL", "3", 2, &tag, ""));
    assert_eq!(side.sent_words(), ["200", "487"]);
    assert_eq!(side.event_words(), ["withdrawn"]);
    side.receive(udp(), &request("ACK", "3", 2, &tag, ""));
    respond(&mut side, id, StatusCode::OK);
    assert!(side.sent_words().is_empty(), "one final response only");
    assert!(side.pass(LONG * 2).is_empty(), "nothing waits for an ACK");
    assert!(modify(&mut side, session, Method::Invite), "the way is free");
    assert_eq!(side.sent_words(), ["INVITE"]);
}

#[test]
fn a_bye_while_a_reinvite_waits_ends_both() {
    let (mut side, session, tag) = called();
    side.receive(udp(), &(request("INVITE", "3", 2, &tag, SDP) + "v=0"));
    let id = asked(&mut side);
    side.sent();
    side.receive(udp(), &request("BYE", "4", 3, &tag, ""));
    assert_eq!(side.sent_words(), ["200", "487"]);
    assert_eq!(side.event_words(), ["bye", "ended"]);
    respond(&mut side, id, StatusCode::OK);
    assert!(side.sent_words().is_empty());
    assert!(!modify(&mut side, session, Method::Invite));
    side.receive(udp(), &request("ACK", "3", 2, &tag, ""));
    side.assert_empty();
}

#[test]
fn a_change_taken_back_while_it_waits_is_not_sent_and_one_under_way_goes_on() {
    let (mut side, session, tag) = called();
    modify(&mut side, session, Method::Invite);
    let reinvite = side.last_request();
    side.endpoint.take_back(session);
    side.answer(udp(), &reinvite, StatusCode::REQUEST_PENDING);
    side.sent();
    side.receive(udp(), &(request("UPDATE", "3", 2, &tag, SDP) + "v=0"));
    let id = asked(&mut side);
    side.endpoint.take_back(session);
    respond(&mut side, id, StatusCode::OK);
    assert_eq!(side.sent_words(), ["200"]);
    assert!(side.pass(Duration::from_secs(10)).is_empty());
    assert!(side.event_words().is_empty());
    assert!(modify(&mut side, session, Method::Invite));
    assert_eq!(side.sent_words(), ["INVITE"]);
}

#[test]
fn a_reinvite_that_proceeds_when_the_session_ends_is_not_waited_for_without_end() {
    for hears_first in [true, false] {
        let (mut side, session, tag) = called();
        modify(&mut side, session, Method::Invite);
        let reinvite = side.last_request();
        if hears_first {
            side.answer(udp(), &reinvite, StatusCode::RINGING);
        }
        side.receive(udp(), &request("BYE", "3", 2, &tag, ""));
        side.answer(udp(), &reinvite, StatusCode::RINGING);
        side.pass(Duration::from_secs(20));
        side.answer(udp(), &reinvite, StatusCode::RINGING);
        side.assert_empty();
    }
}
