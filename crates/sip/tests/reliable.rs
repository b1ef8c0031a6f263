//! Reliable provisional responses (RFC 3262) and offers before the answer (RFC 3311, RFC 6337), by hand-written messages.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    clippy::panic
)]

mod support;

use std::time::Duration;

use sip::{
    Event, Flow, Invitation, Message, NameAddr, Reliability, Request, RequestId, Response, ResponseDraft, SessionEvent,
    SessionId, StatusCode, Uri,
};
use support::{LONG, Side, T1, request, tag_of, udp, websocket};

const SDP: &str = "application/sdp";

fn body(text: &'static str) -> (String, bytes::Bytes) {
    (SDP.to_owned(), text.into())
}

fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap()
}

/// An INVITE of ours, with this offer or none.
fn invite(flow: Flow, reliability: Reliability, offer: Option<&'static str>) -> (Side, SessionId, Request) {
    let mut side = Side::new();
    let invitation = Invitation {
        flow,
        uri: uri("sip:bob@198.51.100.7"),
        from: NameAddr::new(uri("sip:alice@192.0.2.1")),
        to: NameAddr::new(uri("sip:bob@198.51.100.7")),
        contact: uri("sip:alice@192.0.2.1:5060"),
        max_forwards: None,
        headers: Vec::new(),
        body: offer.map(body),
        session_expires: None,
        credentials: None,
        reliability,
    };
    let session = side.endpoint.invite(side.now, invitation);
    let invite = side.last_request();
    (side, session, invite)
}

/// A response of the branch with this tag; reliable with an RSeq.
fn respond(side: &mut Side, request: &Request, status: StatusCode, tag: &str, rseq: Option<u32>, sdp: &'static str) {
    let mut response = Response::for_request(request, status).with_to_tag(tag);
    response = response.with_header("Contact", "<sip:bob@198.51.100.7:5060>");
    if let Some(rseq) = rseq {
        response = response.with_header("Require", "100rel").with_header("RSeq", rseq.to_string());
    }
    if !sdp.is_empty() {
        response = response.with_body(SDP, sdp);
    }
    side.endpoint.handle_message(side.now, udp(), &response.to_bytes());
}

/// The requests sent since, each as its method, RAck, CSeq number and body.
fn requests(side: &mut Side) -> Vec<String> {
    let requests = side.sent().into_iter().filter_map(|message| match message {
        Message::Request(request) => Some(request),
        Message::Response(_) => None,
    });
    let words = |request: Request| {
        let number = request.headers.cseq().unwrap().unwrap().number;
        let rack = request.headers.get("RAck").unwrap_or("-").to_owned();
        format!("{} {number} {rack} {}", request.method, String::from_utf8_lossy(&request.body)).trim_end().to_owned()
    };
    requests.map(words).collect()
}

/// The peer asks something in the early dialog of our INVITE.
fn ask(side: &mut Side, invite: &Request, method: &str, cseq: u32, sdp: &str) {
    let header = |name: &str| invite.headers.get(name).unwrap().to_owned();
    let text = format!(
        "{method} sip:alice@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK{method}{cseq}\r\n\
         Max-Forwards: 70\r\nFrom: {};tag=bobtag\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:bob@198.51.100.7:5060>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        header("To"),
        header("From"),
        header("Call-ID"),
        sdp.len(),
    );
    side.receive(udp(), &text);
}

fn asked(side: &mut Side) -> RequestId {
    let found = side.events().into_iter().find_map(|event| match event {
        Event::Session { event: SessionEvent::Request { id, .. }, .. } => Some(id),
        _ => None,
    });
    found.expect("a request was told")
}

/// The peer's INVITE with these header lines and this offer; the side and session it began.
fn invited(lines: &str, offer: &str) -> (Side, SessionId) {
    let mut side = Side::new();
    let length = format!("{lines}Content-Type: application/sdp\r\nContent-Length: {}\r\n", offer.len());
    side.receive(udp(), &format!("{}{offer}", request("INVITE", "invite", 1, "", &length)));
    let session = side.invited();
    assert_eq!(side.sent_words(), ["100"]);
    (side, session)
}

const SUPPORTED: &str = "Supported: 100rel\r\n";

fn draft(status: StatusCode, sdp: &'static str) -> ResponseDraft {
    let draft = ResponseDraft::new(status).with_contact(uri("sip:gateway@192.0.2.1:5060")).reliably(true);
    if sdp.is_empty() { draft } else { draft.with_body(SDP, sdp) }
}

/// What was sent last, which is a response.
fn response(side: &mut Side) -> Response {
    match side.sent().pop() {
        Some(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

/// Sends this reliably and gives the RSeq and our tag.
fn progress(side: &mut Side, session: SessionId, status: StatusCode, sdp: &'static str) -> (u32, String) {
    side.endpoint.progress(side.now, session, draft(status, sdp));
    let response = response(side);
    assert_eq!((response.status, response.headers.require()), (status, vec!["100rel"]));
    (response.headers.rseq().unwrap().unwrap(), tag_of(&response))
}

fn prack(side: &mut Side, cseq: u32, tag: &str, rack: &str, sdp: &str) {
    let lines = format!("RAck: {rack}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n", sdp.len());
    let text = request("PRACK", &format!("prack{cseq}"), cseq, tag, &lines);
    side.receive(udp(), &format!("{text}{sdp}"));
}

#[test]
fn our_invite_says_whether_responses_may_be_reliable_and_never_to_a_browser() {
    let said = |flow, reliability| {
        let (_, _, invite) = invite(flow, reliability, Some("offer"));
        let headers = &invite.headers;
        (
            Reliability::of(headers),
            headers.supported().contains(&"199"),
            headers.get("Allow").unwrap().contains("PRACK"),
        )
    };
    assert_eq!(said(udp(), Reliability::Off), (Reliability::Off, false, true));
    assert_eq!(said(udp(), Reliability::Supported), (Reliability::Supported, true, true));
    assert_eq!(said(udp(), Reliability::Required), (Reliability::Required, true, true));
    assert_eq!(said(websocket(), Reliability::Required), (Reliability::Off, false, false));
}

#[test]
fn each_reliable_response_is_acknowledged_once_and_in_order() {
    let (mut side, _, invite) = invite(udp(), Reliability::Supported, Some("offer"));
    respond(&mut side, &invite, StatusCode::SESSION_PROGRESS, "bobtag", Some(7), "answer");
    assert_eq!(requests(&mut side), ["PRACK 2 7 1 INVITE"]);
    assert_eq!(side.event_words(), ["progress 183"]);
    respond(&mut side, &invite, StatusCode::SESSION_PROGRESS, "bobtag", Some(7), "answer");
    respond(&mut side, &invite, StatusCode::RINGING, "bobtag", Some(9), "");
    assert!(requests(&mut side).is_empty() && side.event_words().is_empty(), "one come again, and one too early");
    respond(&mut side, &invite, StatusCode::RINGING, "bobtag", Some(8), "");
    assert_eq!(requests(&mut side), ["PRACK 3 8 1 INVITE"]);
    respond(&mut side, &invite, StatusCode::RINGING, "bobtag", Some(9), "");
    assert_eq!(requests(&mut side), ["PRACK 4 9 1 INVITE"]);
    respond(&mut side, &invite, StatusCode::RINGING, "carol", Some(100), "");
    assert_eq!(requests(&mut side), ["PRACK 2 100 1 INVITE"], "every branch counts for itself");
    side.events();
    respond(&mut side, &invite, StatusCode::OK, "bobtag", None, "");
    assert_eq!(requests(&mut side), ["ACK 1 -"]);
    assert_eq!(side.event_words(), ["answered"]);
}

#[test]
fn a_branch_that_answers_too_late_is_hung_up_with_a_number_it_has_not_seen() {
    let (mut side, _, invite) = invite(udp(), Reliability::Supported, Some("offer"));
    for (tag, rseq) in [("bobtag", 1), ("carol", 1), ("carol", 2)] {
        respond(&mut side, &invite, StatusCode::RINGING, tag, Some(rseq), "");
    }
    assert_eq!(requests(&mut side).len(), 3);
    respond(&mut side, &invite, StatusCode::OK, "bobtag", None, "answer");
    requests(&mut side);
    respond(&mut side, &invite, StatusCode::OK, "carol", None, "answer");
    assert_eq!(requests(&mut side), ["ACK 1 -", "BYE 4 -"]);
}

#[test]
fn a_peer_that_was_not_asked_for_reliable_responses_gets_no_prack() {
    let (mut side, _, invite) = invite(udp(), Reliability::Off, Some("offer"));
    respond(&mut side, &invite, StatusCode::SESSION_PROGRESS, "bobtag", Some(7), "answer");
    assert!(requests(&mut side).is_empty());
    assert_eq!(side.event_words(), ["progress 183"]);
}

#[test]
fn an_offer_in_a_reliable_response_is_answered_in_its_prack() {
    let (mut side, session, invite) = invite(udp(), Reliability::Supported, None);
    respond(&mut side, &invite, StatusCode::SESSION_PROGRESS, "bobtag", Some(7), "their offer");
    assert_eq!(side.event_words(), ["early offer 183"]);
    assert!(requests(&mut side).is_empty(), "its answer is awaited");
    side.endpoint.answer_offer(side.now, session, "carol", body("astray"));
    side.endpoint.answer_offer(side.now, session, "bobtag", body("our answer"));
    side.endpoint.answer_offer(side.now, session, "bobtag", body("again"));
    assert_eq!(requests(&mut side), ["PRACK 2 7 1 INVITE our answer"]);
    respond(&mut side, &invite, StatusCode::OK, "bobtag", None, "");
    assert_eq!(requests(&mut side), ["ACK 1 -"]);
}

#[test]
fn an_offer_in_the_2xx_is_answered_in_its_ack_which_is_repeated_with_it() {
    let (mut side, session, invite) = invite(udp(), Reliability::Supported, None);
    respond(&mut side, &invite, StatusCode::OK, "bobtag", None, "their offer");
    respond(&mut side, &invite, StatusCode::OK, "bobtag", None, "their offer");
    assert_eq!(side.event_words(), ["answered"]);
    assert!(requests(&mut side).is_empty());
    side.endpoint.answer_offer(side.now, session, "bobtag", body("our answer"));
    assert_eq!(requests(&mut side), ["ACK 1 - our answer"]);
    respond(&mut side, &invite, StatusCode::OK, "bobtag", None, "their offer");
    assert_eq!(requests(&mut side), ["ACK 1 - our answer"]);
}

#[test]
fn who_hangs_up_without_an_answer_to_the_2xx_acknowledges_it_first() {
    let (mut side, session, invite) = invite(udp(), Reliability::Supported, None);
    respond(&mut side, &invite, StatusCode::OK, "bobtag", None, "their offer");
    side.endpoint.bye(side.now, session, None);
    assert_eq!(requests(&mut side), ["ACK 1 -", "BYE 2 -"]);
    side.assert_empty();
}

#[test]
fn a_peer_that_does_not_know_the_dialog_of_a_prack_is_not_waited_for() {
    let (mut side, _, invite) = invite(udp(), Reliability::Supported, Some("offer"));
    respond(&mut side, &invite, StatusCode::SESSION_PROGRESS, "bobtag", Some(7), "answer");
    let prack = side.last_request();
    side.events();
    side.answer(udp(), &prack, StatusCode::CALL_DOES_NOT_EXIST);
    assert_eq!(side.sent_words(), ["CANCEL"]);
    assert_eq!(side.event_words(), ["refused 504 local", "ended"]);
    side.assert_empty();
}

#[test]
fn a_prack_that_is_refused_or_lost_in_one_branch_leaves_the_others() {
    let (mut side, _, invite) = invite(udp(), Reliability::Supported, Some("offer"));
    respond(&mut side, &invite, StatusCode::SESSION_PROGRESS, "bobtag", Some(7), "answer");
    let prack = side.last_request();
    respond(&mut side, &invite, StatusCode::RINGING, "carol", None, "");
    side.events();
    side.answer(udp(), &prack, StatusCode::SERVER_INTERNAL_ERROR);
    assert!(side.event_words().is_empty(), "a server may fail for once");
    respond(&mut side, &invite, StatusCode::RINGING, "bobtag", Some(8), "");
    side.events();
    side.pass(LONG);
    assert_eq!(side.event_words(), ["progress 199"], "that branch is over");
    respond(&mut side, &invite, StatusCode::OK, "carol", None, "answer");
    assert_eq!(side.event_words(), ["answered"]);
}

#[test]
fn an_update_in_an_early_dialog_may_offer_once_the_first_offer_is_answered_reliably() {
    let (mut side, _, invite) = invite(udp(), Reliability::Supported, Some("offer"));
    respond(&mut side, &invite, StatusCode::SESSION_PROGRESS, "bobtag", None, "a promise");
    ask(&mut side, &invite, "UPDATE", 1, "offer");
    assert_eq!(side.sent_words(), ["491"]);
    respond(&mut side, &invite, StatusCode::SESSION_PROGRESS, "bobtag", Some(7), "answer");
    side.sent();
    side.events();
    ask(&mut side, &invite, "UPDATE", 2, "offer");
    let id = asked(&mut side);
    ask(&mut side, &invite, "UPDATE", 3, "another");
    let refusal = response(&mut side);
    assert_eq!((refusal.status.code(), refusal.headers.contains("Retry-After")), (500, true));
    side.endpoint.respond(side.now, id, ResponseDraft::new(StatusCode::OK).with_body(SDP, "our answer"));
    assert_eq!(response(&mut side).body, "our answer");
    ask(&mut side, &invite, "UPDATE", 4, "third");
    asked(&mut side);
    respond(&mut side, &invite, StatusCode::BUSY_HERE, "bobtag", None, "");
    assert_eq!(side.sent_words(), ["ACK", "487"], "what waits for an answer gets one");
    side.assert_empty();
}

#[test]
fn a_response_is_repeated_until_its_prack_and_the_next_one_waits() {
    let (mut side, session) = invited(SUPPORTED, "their offer");
    let (rseq, tag) = progress(&mut side, session, StatusCode::SESSION_PROGRESS, "our answer");
    side.endpoint.progress(side.now, session, draft(StatusCode::RINGING, ""));
    assert!(side.sent_words().is_empty());
    let times: Vec<_> = side.pass(T1 * 20).into_iter().map(|(at, word)| (at.as_millis(), word)).collect();
    let at = |at: u128| (at, "183".to_owned());
    assert_eq!(times, [at(500), at(1500), at(3500), at(7500)]);
    prack(&mut side, 2, &tag, &format!("{rseq} 1 INVITE"), "");
    let sent = side.sent();
    let [Message::Response(ok), Message::Response(ringing)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((ok.status.code(), ringing.status.code()), (200, 180));
    assert_eq!(ringing.headers.rseq(), Ok(Some(rseq + 1)));
    prack(&mut side, 3, &tag, &format!("{} 1 INVITE", rseq + 1), "");
    assert_eq!(side.sent_words(), ["200"]);
    assert!(side.pass(LONG).is_empty());
}

#[test]
fn a_prack_for_nothing_is_481_and_one_without_rack_400() {
    let (mut side, session) = invited(SUPPORTED, "their offer");
    let (rseq, tag) = progress(&mut side, session, StatusCode::RINGING, "");
    let wrong = [format!("{} 1 INVITE", rseq + 1), format!("{rseq} 2 INVITE"), format!("{rseq} 1 UPDATE")];
    for (cseq, rack) in (2..).zip(wrong) {
        prack(&mut side, cseq, &tag, &rack, "");
        assert_eq!(side.sent_words(), ["481"], "{rack}");
    }
    prack(&mut side, 8, &tag, "nonsense", "");
    assert_eq!(side.sent_words(), ["400"]);
    prack(&mut side, 9, &tag, &format!("{rseq} 1 INVITE"), "");
    assert_eq!(side.sent_words(), ["200"]);
    prack(&mut side, 10, &tag, &format!("{rseq} 1 INVITE"), "");
    assert_eq!(side.sent_words(), ["481"], "it was acknowledged");
}

#[test]
fn without_a_prack_the_invite_is_refused_with_504() {
    let (mut side, session) = invited(SUPPORTED, "their offer");
    progress(&mut side, session, StatusCode::SESSION_PROGRESS, "our answer");
    side.endpoint.accept(side.now, session, draft(StatusCode::OK, "our answer"));
    let sent = side.pass(LONG);
    assert_eq!(sent.last().unwrap(), &(LONG, "504".to_owned()));
    assert_eq!(side.event_words(), ["no prack", "ended"]);
    side.assert_empty();
}

#[test]
fn the_2xx_waits_for_the_prack_of_a_description_and_does_not_repeat_it() {
    let (mut side, session) = invited(SUPPORTED, "their offer");
    let (rseq, tag) = progress(&mut side, session, StatusCode::SESSION_PROGRESS, "our answer");
    side.endpoint.accept(side.now, session, draft(StatusCode::OK, "our answer"));
    assert!(side.sent_words().is_empty());
    prack(&mut side, 2, &tag, &format!("{rseq} 1 INVITE"), "");
    let sent = side.sent();
    let [Message::Response(ok), Message::Response(accepted)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(ok.headers.get("CSeq"), Some("2 PRACK"));
    assert_eq!((accepted.headers.get("CSeq"), accepted.body.len()), (Some("1 INVITE"), 0));
    side.receive(udp(), &request("ACK", "ack", 1, &tag, ""));
    assert_eq!(side.event_words(), ["confirmed"]);
}

#[test]
fn the_2xx_does_not_wait_for_the_prack_of_a_ringing_which_may_come_late() {
    let (mut side, session) = invited(SUPPORTED, "their offer");
    let (rseq, tag) = progress(&mut side, session, StatusCode::RINGING, "");
    side.endpoint.accept(side.now, session, draft(StatusCode::OK, "our answer"));
    assert_eq!(response(&mut side).body, "our answer");
    prack(&mut side, 2, &tag, &format!("{rseq} 1 INVITE"), "");
    assert_eq!(side.sent_words(), ["200"]);
    side.receive(udp(), &request("ACK", "ack", 1, &tag, ""));
    assert!(side.pass(LONG).is_empty(), "nothing is repeated any more");
}

#[test]
fn an_accepted_call_that_waits_for_its_prack_can_be_hung_up() {
    let (mut side, session) = invited(SUPPORTED, "their offer");
    progress(&mut side, session, StatusCode::SESSION_PROGRESS, "our answer");
    side.endpoint.accept(side.now, session, draft(StatusCode::OK, "our answer"));
    side.endpoint.bye(side.now, session, None);
    assert_eq!((side.sent_words(), side.event_words()), (vec!["480".to_owned()], vec!["ended".to_owned()]));
    side.assert_empty();
}

#[test]
fn an_offer_of_ours_in_a_reliable_response_is_answered_in_its_prack() {
    let (mut side, session) = invited(SUPPORTED, "");
    let (rseq, tag) = progress(&mut side, session, StatusCode::SESSION_PROGRESS, "our offer");
    let update = request("UPDATE", "early", 2, &tag, "Content-Type: application/sdp\r\nContent-Length: 3\r\n");
    side.receive(udp(), &format!("{update}v=0"));
    assert_eq!(side.sent_words(), ["491"], "our offer is open");
    prack(&mut side, 3, &tag, &format!("{rseq} 1 INVITE"), "their answer");
    let told = side.events().into_iter().find_map(|event| match event {
        Event::Session { event: SessionEvent::EarlyAnswer { body }, .. } => Some(body),
        _ => None,
    });
    assert_eq!(told.unwrap(), b"their answer");
    assert_eq!(side.sent_words(), ["200"]);
    side.endpoint.accept(side.now, session, draft(StatusCode::OK, "our offer"));
    assert!(response(&mut side).body.is_empty());
}

#[test]
fn an_offer_in_a_prack_or_an_early_update_is_told_and_the_2xx_waits_for_its_answer() {
    let (mut side, session) = invited(SUPPORTED, "their offer");
    let (rseq, tag) = progress(&mut side, session, StatusCode::SESSION_PROGRESS, "our answer");
    prack(&mut side, 2, &tag, &format!("{rseq} 1 INVITE"), "another offer");
    let id = asked(&mut side);
    side.endpoint.accept(side.now, session, draft(StatusCode::OK, "our answer"));
    assert!(side.sent_words().is_empty());
    side.endpoint.respond(side.now, id, draft(StatusCode::OK, "another answer"));
    let sent = side.sent();
    let [Message::Response(ok), Message::Response(accepted)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((ok.headers.get("CSeq"), &ok.body[..]), (Some("2 PRACK"), &b"another answer"[..]));
    assert_eq!(accepted.headers.get("CSeq"), Some("1 INVITE"));
    side.assert_empty();
}

#[test]
fn who_did_not_ask_for_reliable_responses_gets_none() {
    for (flow, lines) in [(udp(), ""), (websocket(), SUPPORTED)] {
        let mut side = Side::new();
        side.receive(flow, &request("INVITE", "1", 1, "", lines));
        let session = side.invited();
        side.sent();
        side.endpoint.progress(side.now, session, draft(StatusCode::SESSION_PROGRESS, "our answer"));
        let response = response(&mut side);
        assert!(!response.headers.contains("Require") && !response.headers.contains("RSeq"));
    }
    let mut side = Side::new();
    side.receive(websocket(), &request("INVITE", "1", 1, "", "Require: 100rel\r\n"));
    assert_eq!(side.sent_words(), ["420"]);
}

#[test]
fn a_long_ringing_is_told_again_under_a_number_of_its_own() {
    let (mut side, session) = invited(SUPPORTED, "their offer");
    let (rseq, tag) = progress(&mut side, session, StatusCode::RINGING, "");
    prack(&mut side, 2, &tag, &format!("{rseq} 1 INVITE"), "");
    side.sent();
    side.now += Duration::from_secs(61);
    side.endpoint.handle_timeout(side.now);
    let again = response(&mut side);
    assert_eq!((again.status, again.headers.rseq()), (StatusCode::RINGING, Ok(Some(rseq + 1))));
}
