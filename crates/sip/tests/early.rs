//! Early dialogs (RFC 3261 §12.1.2): what a peer asks between its 18x and its final response finds its session.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods
)]

mod support;

use sip::{Event, Request, RequestId, Response, ResponseDraft, SessionEvent, SessionId, StatusCode};
use support::{Side, udp};

const SDP: &str = "Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0";

/// An INVITE of ours that rings at `bobtag`.
fn ringing() -> (Side, SessionId, Request) {
    let mut side = Side::new();
    let (session, invite) = side.invite(udp());
    side.answer(udp(), &invite, StatusCode::RINGING);
    assert_eq!(side.event_words(), ["progress 180"]);
    (side, session, invite)
}

/// The peer with this tag asks something inside the dialog of `invite`.
fn ask(side: &mut Side, invite: &Request, method: &str, tag: &str, cseq: u32, extra: &str) {
    let header = |name: &str| invite.headers.get(name).unwrap().to_owned();
    let end = if extra.is_empty() { "Content-Length: 0\r\n\r\n" } else { extra };
    let text = format!(
        "{method} sip:alice@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK{method}{tag}{cseq}\r\n\
         Max-Forwards: 70\r\nFrom: {};tag={tag}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:bob@198.51.100.7:5060>\r\n{end}",
        header("To"),
        header("From"),
        header("Call-ID"),
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

#[test]
fn what_is_asked_in_an_early_dialog_is_told_and_answered() {
    let (mut side, _, invite) = ringing();
    for (cseq, method) in (1..).zip(["UPDATE", "INFO", "NOTIFY", "OPTIONS"]) {
        ask(&mut side, &invite, method, "bobtag", cseq, "");
        let id = asked(&mut side);
        side.endpoint.respond(side.now, id, ResponseDraft::new(StatusCode::OK));
        assert_eq!(side.sent_words(), ["200"], "{method}");
    }
    side.answer(udp(), &invite, StatusCode::OK);
    assert_eq!((side.sent_words(), side.event_words()), (vec!["ACK".to_owned()], vec!["answered".to_owned()]));
}

#[test]
fn an_offer_before_the_answer_to_ours_is_491() {
    let (mut side, _, invite) = ringing();
    ask(&mut side, &invite, "UPDATE", "bobtag", 1, SDP);
    assert_eq!(side.sent_words(), ["491"]);
    ask(&mut side, &invite, "INVITE", "bobtag", 2, SDP);
    assert_eq!(side.sent_words(), ["491"]);
    assert!(side.event_words().is_empty());
}

#[test]
fn without_a_dialog_yet_or_with_a_tag_never_heard_nothing_is_found() {
    let mut side = Side::new();
    let (_, invite) = side.invite(udp());
    ask(&mut side, &invite, "UPDATE", "bobtag", 1, "");
    assert_eq!(side.sent_words(), ["481"]);
    side.answer(udp(), &invite, StatusCode::TRYING);
    ask(&mut side, &invite, "UPDATE", "bobtag", 2, "");
    assert_eq!(side.sent_words(), ["481"]);
    side.answer(udp(), &invite, StatusCode::RINGING);
    ask(&mut side, &invite, "UPDATE", "stranger", 1, "");
    assert_eq!(side.sent_words(), ["481"]);
}

#[test]
fn every_branch_counts_its_own_requests_and_goes_on_counting_once_answered() {
    let (mut side, _, invite) = ringing();
    side.answer_as(udp(), &invite, StatusCode::RINGING, "carol");
    ask(&mut side, &invite, "INFO", "bobtag", 7, "");
    ask(&mut side, &invite, "INFO", "carol", 3, "");
    assert_eq!(side.event_words(), ["progress 180", "request INFO", "request INFO"]);
    side.answer_as(udp(), &invite, StatusCode::OK, "carol");
    assert_eq!((side.sent_words(), side.event_words()), (vec!["ACK".to_owned()], vec!["answered".to_owned()]));
    ask(&mut side, &invite, "OPTIONS", "carol", 3, "");
    assert_eq!(side.sent_words(), ["500"], "an older number");
    ask(&mut side, &invite, "OPTIONS", "carol", 4, "");
    assert_eq!(side.event_words(), ["request OPTIONS"]);
    ask(&mut side, &invite, "OPTIONS", "bobtag", 8, "");
    assert_eq!(side.sent_words(), ["481"], "the other branch lost");
}

#[test]
fn bye_in_an_early_dialog_ends_that_dialog_and_no_other() {
    let (mut side, _, invite) = ringing();
    side.answer_as(udp(), &invite, StatusCode::RINGING, "carol");
    side.events();
    ask(&mut side, &invite, "BYE", "bobtag", 1, "");
    assert_eq!(side.sent_words(), ["200"]);
    ask(&mut side, &invite, "INFO", "bobtag", 2, "");
    assert_eq!(side.sent_words(), ["481"]);
    assert!(side.event_words().is_empty(), "the INVITE goes on");
    side.answer_as(udp(), &invite, StatusCode::OK, "carol");
    assert_eq!((side.sent_words(), side.event_words()), (vec!["ACK".to_owned()], vec!["answered".to_owned()]));
}

#[test]
fn the_answer_names_the_target_and_without_a_contact_the_early_dialog_did() {
    let (mut side, session, invite) = ringing();
    let response = Response::for_request(&invite, StatusCode::OK).with_to_tag("bobtag");
    side.endpoint.handle_message(side.now, udp(), &response.to_bytes());
    side.sent();
    side.endpoint.bye(side.now, session, None);
    assert_eq!(side.last_request().uri.to_string(), "sip:bob@198.51.100.7:5060");
}

#[test]
fn a_flood_of_tags_is_kept_within_bounds() {
    let (mut side, _, invite) = ringing();
    for number in 0..100 {
        side.answer_as(udp(), &invite, StatusCode::RINGING, &format!("tag{number}"));
    }
    side.events();
    ask(&mut side, &invite, "INFO", "tag14", 1, "");
    assert_eq!(side.event_words(), ["request INFO"]);
    ask(&mut side, &invite, "INFO", "tag15", 1, "");
    assert_eq!(side.sent_words(), ["481"]);
}
