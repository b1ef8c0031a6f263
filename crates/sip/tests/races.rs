//! What overtakes what: CANCEL and 200, BYE and BYE, lost ACKs, forks, closed flows; and the refusals of a UAS core.
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

use sip::{ConnectionId, Event, Message, ResponseDraft, SessionEvent, StatusCode};
use support::{LONG, Side, request, tag_of, udp, websocket};

#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let mut side = Side::new();
    let (session, invite) = side.invite(udp());
    side.endpoint.cancel(side.now, session, Some(sip::Reason::sip(200, "Call completed elsewhere")));
    assert!(side.sent_words().is_empty());
    side.answer(udp(), &invite, StatusCode::TRYING);
    let cancel = side.last_request();
    assert_eq!(cancel.headers.get("Reason"), Some("SIP;cause=200;text=\"Call completed elsewhere\""));
    assert_eq!(cancel.headers.get("Via"), invite.headers.get("Via"));
    assert_eq!(cancel.headers.get("CSeq"), Some("1 CANCEL"));
    side.answer(udp(), &cancel, StatusCode::OK);
    side.answer(udp(), &invite, StatusCode::REQUEST_TERMINATED);
    assert_eq!(side.sent_words(), ["ACK"]);
    assert_eq!(side.event_words(), ["refused 487", "ended"]);
    side.assert_empty();
}

#[test]
fn a_200_that_overtakes_our_cancel_is_acknowledged_and_hung_up() {
    let mut side = Side::new();
    let (session, invite) = side.invite(udp());
    side.answer(udp(), &invite, StatusCode::RINGING);
    side.endpoint.cancel(side.now, session, None);
    side.sent();
    side.answer(udp(), &invite, StatusCode::OK);
    assert_eq!(side.sent_words(), ["ACK", "BYE"]);
    assert_eq!(side.event_words(), ["progress 180", "refused 487 local"]);
    side.assert_empty();
    assert_eq!(side.event_words(), ["ended"]);
}

#[test]
fn a_cancel_that_comes_after_our_200_is_answered_and_changes_nothing() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    let tag = tag_of(&side.accept(session));
    side.receive(udp(), &request("CANCEL", "1", 1, "", ""));
    assert_eq!(side.sent_words(), ["200"]);
    side.receive(udp(), &request("ACK", "2", 1, &tag, ""));
    assert_eq!(side.event_words(), ["confirmed"]);
}

#[test]
fn a_cancelled_invite_gets_487_and_the_cancel_200() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    side.endpoint.progress(side.now, session, ResponseDraft::new(StatusCode::RINGING));
    side.sent();
    side.receive(udp(), &request("CANCEL", "1", 1, "", ""));
    assert_eq!(side.sent_words(), ["200", "487"]);
    assert_eq!(side.event_words(), ["cancelled", "ended"]);
    side.receive(udp(), &request("ACK", "1", 1, "x", ""));
    side.assert_empty();
}

#[test]
fn both_sides_hanging_up_at_once_ends_the_session_once() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    let tag = tag_of(&side.accept(session));
    side.receive(udp(), &request("ACK", "2", 1, &tag, ""));
    side.events();
    side.endpoint.bye(side.now, session, None);
    let bye = side.last_request();
    side.receive(udp(), &request("BYE", "3", 2, &tag, ""));
    assert_eq!(side.sent_words(), ["200"]);
    side.answer(udp(), &bye, StatusCode::CALL_DOES_NOT_EXIST);
    assert_eq!(side.event_words(), ["ended"]);
    side.assert_empty();
}

#[test]
fn a_bye_nobody_answers_ends_the_session_after_its_retransmissions() {
    let mut side = Side::new();
    let (session, invite) = side.invite(udp());
    side.answer(udp(), &invite, StatusCode::OK);
    side.endpoint.bye(side.now, session, None);
    side.sent();
    side.events();
    let byes = side.pass(LONG).into_iter().filter(|(_, word)| word == "BYE").count();
    assert_eq!(byes, 10);
    assert_eq!(side.event_words(), ["ended"]);
    side.assert_empty();
}

#[test]
fn a_second_fork_that_answers_is_acknowledged_and_hung_up() {
    let mut side = Side::new();
    let (_, invite) = side.invite(udp());
    side.answer_as(udp(), &invite, StatusCode::RINGING, "one");
    side.answer_as(udp(), &invite, StatusCode::RINGING, "two");
    side.answer_as(udp(), &invite, StatusCode::OK, "two");
    assert_eq!(side.sent_words(), ["ACK"]);
    side.answer_as(udp(), &invite, StatusCode::OK, "one");
    let sent = side.sent();
    assert_eq!(sent.iter().map(support::word).collect::<Vec<_>>(), ["ACK", "BYE"]);
    for message in &sent {
        assert_eq!(message.headers().to().unwrap().unwrap().tag().unwrap(), "one");
    }
    assert_eq!(side.event_words(), ["progress 180", "progress 180", "answered"]);
}

#[test]
fn a_bye_before_the_answer_ends_the_invite_with_487() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    side.endpoint.progress(side.now, session, ResponseDraft::new(StatusCode::RINGING));
    let Some(Message::Response(ringing)) = side.sent().pop() else { panic!("180") };
    side.receive(udp(), &request("BYE", "2", 2, &tag_of(&ringing), ""));
    assert_eq!(side.sent_words(), ["200", "487"]);
    assert_eq!(side.event_words(), ["bye", "ended"]);
}

#[test]
fn a_flow_that_closes_ends_what_cannot_go_on_and_leaves_what_can() {
    let stream = || sip::Flow { transport: sip::Transport::Tcp, ..websocket() };
    let mut side = Side::new();
    side.invite(stream());
    side.endpoint.handle_flow_closed(side.now, ConnectionId(1));
    assert_eq!(side.event_words(), ["refused 503 local", "ended", "flow closed"]);
    side.assert_empty();

    let mut side = Side::new();
    side.receive(stream(), &request("INVITE", "1", 1, "", ""));
    side.invited();
    side.endpoint.handle_flow_closed(side.now, ConnectionId(1));
    assert_eq!(side.event_words(), ["flow lost", "ended", "flow closed"]);
    side.assert_empty();

    let mut side = Side::new();
    let (session, invite) = side.invite(stream());
    side.answer(stream(), &invite, StatusCode::OK);
    side.events();
    side.endpoint.handle_flow_closed(side.now, ConnectionId(1));
    assert_eq!(side.event_words(), ["flow closed"], "a stream is opened again");
    side.endpoint.bye(side.now, session, None);
    side.assert_empty();
    assert_eq!(side.event_words(), ["ended"]);
}

#[test]
fn a_reinvite_is_told_and_its_refusal_leaves_the_session_as_it_was() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    let tag = tag_of(&side.accept(session));
    side.receive(udp(), &request("ACK", "2", 1, &tag, ""));
    side.events();
    side.receive(udp(), &request("INVITE", "3", 2, &tag, ""));
    let id = side
        .events()
        .into_iter()
        .find_map(|event| match event {
            Event::Session { event: SessionEvent::Request { id, .. }, .. } => Some(id),
            _ => None,
        })
        .expect("told");
    side.receive(udp(), &request("INVITE", "4", 3, &tag, ""));
    assert_eq!(side.sent_words(), ["100", "500"]);
    side.endpoint.respond(side.now, id, ResponseDraft::new(StatusCode::NOT_ACCEPTABLE_HERE));
    assert_eq!(side.sent_words(), ["488"]);
    side.receive(udp(), &request("ACK", "3", 2, &tag, ""));
    side.receive(udp(), &request("BYE", "5", 4, &tag, ""));
    assert_eq!(side.sent_words(), ["200"]);
    assert_eq!(side.event_words(), ["bye", "ended"]);
}

#[test]
fn a_2xx_to_a_reinvite_is_repeated_until_its_ack() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    let tag = tag_of(&side.accept(session));
    side.receive(udp(), &request("ACK", "2", 1, &tag, ""));
    side.events();
    side.receive(udp(), &request("INVITE", "3", 2, &tag, ""));
    let id = side
        .events()
        .into_iter()
        .find_map(|event| match event {
            Event::Session { event: SessionEvent::Request { id, .. }, .. } => Some(id),
            _ => None,
        })
        .expect("told");
    side.endpoint.respond(side.now, id, ResponseDraft::new(StatusCode::OK));
    side.sent();
    assert_eq!(side.pass(Duration::from_millis(1600)).len(), 2);
    side.receive(udp(), &request("ACK", "4", 2, &tag, ""));
    assert!(side.pass(Duration::from_secs(20)).is_empty());
    assert_eq!(side.event_words(), ["acknowledged"], "a re-INVITE is not confirmed as a call");
}

#[test]
fn the_same_request_by_two_ways_is_a_loop() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    side.receive(udp(), &request("INVITE", "other", 1, "", ""));
    assert_eq!(side.sent_words(), ["100", "482"]);
}

#[test]
fn requests_are_refused_with_the_status_of_what_is_wrong() {
    let cases = [
        (request("BYE", "a", 1, "nobody", ""), "481"),
        (request("CANCEL", "b", 1, "", ""), "481"),
        (request("FROB", "c", 1, "", ""), "501"),
        (request("INVITE", "d", 1, "", "Require: precondition\r\n"), "420"),
        (request("INVITE", "e", 1, "", "").replace("Max-Forwards: 70", "Max-Forwards: 0"), "483"),
        (request("OPTIONS", "f", 1, "", "").replace("OPTIONS sip:gateway@192.0.2.1", "OPTIONS http://x"), "416"),
        (request("INVITE", "g", 1, "", "Content-Type: text/plain\r\nContent-Length: 2\r\n") + "hi", "415"),
        (request("OPTIONS", "h", 1, "", "").replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"), "505"),
        (request("OPTIONS", "i", 1, "", "").replace("CSeq: 1 OPTIONS", "CSeq: 1 INFO"), "400"),
    ];
    for (text, status) in cases {
        let mut side = Side::new();
        side.receive(udp(), &text);
        assert_eq!(side.sent_words(), [status], "{text}");
    }
}

#[test]
fn only_who_wants_an_answer_must_take_it_in_sdp() {
    let sdp = "Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0";
    for (method, accept, body, status) in [
        ("INVITE", "text/plain", "", "406"),
        ("INVITE", "text/plain, Application/SDP;level=1", "", "100"),
        ("INVITE", "*/*", "", "100"),
        ("UPDATE", "text/plain", sdp, "406"),
        ("UPDATE", "text/plain", "", "481"),
    ] {
        let mut side = Side::new();
        let tag = if method == "UPDATE" { "nobody" } else { "" };
        let text = request(method, "1", 1, tag, &format!("Accept: {accept}\r\n{body}"));
        side.receive(udp(), &text);
        assert_eq!(side.sent_words(), [status], "{method} {accept}");
    }
}

/// The status and the Reason of the last response.
fn refusal(side: &mut Side) -> (u16, Option<String>) {
    match side.sent().pop() {
        Some(Message::Response(response)) => {
            (response.status.code(), response.headers.get("Reason").map(str::to_owned))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_refused_for_whatever_cause_is_told_why() {
    let invite = |extra: &str| request("INVITE", "1", 1, "", extra);
    let cases = [
        (invite("Require: precondition\r\n"), 420, "Q.850;cause=127;text=\"Bad Extension\""),
        (invite("").replace("Max-Forwards: 70", "Max-Forwards: 0"), 483, "Q.850;cause=25;text=\"Too Many Hops\""),
        (
            invite("").replace("sip:gateway@192.0.2.1 ", "http://x "),
            416,
            "Q.850;cause=127;text=\"Unsupported URI Scheme\"",
        ),
        (
            invite("Content-Type: text/plain\r\nContent-Length: 2\r\n") + "hi",
            415,
            "Q.850;cause=79;text=\"Unsupported Media Type\"",
        ),
    ];
    for (text, status, reason) in cases {
        let mut side = Side::new();
        side.receive(udp(), &text);
        assert_eq!(refusal(&mut side), (status, Some(reason.to_owned())));
    }
    for full in [
        |config: &mut sip::EndpointConfig| config.max_transactions = 0,
        |config: &mut sip::EndpointConfig| config.max_sessions = 0,
    ] {
        let mut side = Side::with(full);
        side.receive(udp(), &invite(""));
        let busy = "Q.850;cause=42;text=\"Service Unavailable\"";
        assert_eq!(refusal(&mut side), (503, Some(busy.to_owned())));
    }
}

#[test]
fn a_reason_of_the_users_own_stands_alone_and_what_refuses_no_call_has_none() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    let own = ResponseDraft::new(StatusCode::BUSY_HERE).with_header("Reason", "Q.850;cause=34");
    side.endpoint.reject(side.now, session, own);
    assert_eq!(refusal(&mut side), (486, Some("Q.850;cause=34".to_owned())));
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    side.endpoint.reject(side.now, session, ResponseDraft::new(StatusCode::PROXY_AUTHENTICATION_REQUIRED));
    assert_eq!(refusal(&mut side), (407, None));
    side.receive(udp(), &request("OPTIONS", "2", 1, "", "Require: precondition\r\n"));
    assert_eq!(refusal(&mut side), (420, None));
    side.receive(udp(), &request("INVITE", "3", 1, "nobody", ""));
    assert_eq!(refusal(&mut side), (481, None));
    side.receive(udp(), &request("INVITE", "4", 2, "", ""));
    side.receive(udp(), &request("CANCEL", "4", 2, "", ""));
    assert_eq!(refusal(&mut side), (487, None));
}

#[test]
fn a_stray_ack_or_response_is_counted_and_nothing_else() {
    let mut side = Side::new();
    side.receive(udp(), &request("ACK", "1", 1, "x", ""));
    let invite = sip::Message::parse(request("INVITE", "q", 1, "", "").as_bytes()).unwrap();
    let Message::Request(invite) = invite else { panic!("request") };
    side.answer(udp(), &invite, StatusCode::OK);
    assert!(side.sent_words().is_empty() && side.event_words().is_empty());
    assert_eq!(side.endpoint.counters().stray, 2);
}

#[test]
fn an_old_cseq_is_out_of_order() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 5, "", ""));
    let session = side.invited();
    let tag = tag_of(&side.accept(session));
    side.receive(udp(), &request("ACK", "2", 5, &tag, ""));
    side.receive(udp(), &request("INFO", "3", 4, &tag, ""));
    assert_eq!(side.sent_words(), ["500"]);
}
