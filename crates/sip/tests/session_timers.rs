//! Session timers (RFC 4028): what is agreed on, who refreshes, how and when, and what becomes of a session that nobody refreshes.
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

use sip::{
    Event, Headers, Invitation, Message, Method, Modification, NameAddr, Request, Response, ResponseDraft,
    SessionEvent, SessionId, StatusCode, Uri,
};
use support::{LONG, Side, T1, request, tag_of, udp};

const UPDATES: (&str, &str) = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE");
const SUPPORTED: &str = "Supported: timer\r\n";
const ALLOWED: &str = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n";
const ASKED: Option<Duration> = Some(seconds(1800));

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap()
}

fn sdp(text: &'static str) -> Option<(String, bytes::Bytes)> {
    Some(("application/sdp".to_owned(), text.into()))
}

/// An INVITE of ours that asks for this.
fn invite(side: &mut Side, session_expires: Option<Duration>) -> (SessionId, Request) {
    let invitation = Invitation {
        flow: udp(),
        uri: uri("sip:bob@198.51.100.7"),
        from: NameAddr::new(uri("sip:alice@192.0.2.1")),
        to: NameAddr::new(uri("sip:bob@198.51.100.7")),
        contact: uri("sip:alice@192.0.2.1:5060"),
        max_forwards: None,
        headers: Vec::new(),
        body: sdp("our offer"),
        session_expires,
        credentials: None,
        reliability: sip::Reliability::Off,
    };
    let session = side.endpoint.invite(side.now, invitation);
    (session, side.last_request())
}

fn answer(side: &mut Side, request: &Request, status: StatusCode, headers: &[(&str, &str)]) {
    let mut response = Response::for_request(request, status).with_to_tag("bobtag");
    response = response.with_header("Contact", "<sip:bob@198.51.100.7:5060>");
    for (name, value) in headers {
        response = response.with_header(name, *value);
    }
    side.endpoint.handle_message(side.now, udp(), &response.to_bytes());
}

/// A session that we began, answered so.
fn calling(session_expires: Option<Duration>, headers: &[(&str, &str)]) -> (Side, SessionId) {
    let mut side = Side::new();
    let (session, request) = invite(&mut side, session_expires);
    answer(&mut side, &request, StatusCode::OK, headers);
    assert_eq!(side.sent_words(), ["ACK"]);
    side.events();
    (side, session)
}

/// A session that the peer began with these header lines, what our 200 to it said, and our tag.
fn called(wish: Option<Duration>, lines: &str) -> (Side, SessionId, Headers, String) {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", lines));
    let session = side.invited();
    let draft = ResponseDraft::new(StatusCode::OK).with_contact(uri("sip:gateway@192.0.2.1:5060"));
    let draft = draft.with_body("application/sdp", "our answer").with_session_expires(wish);
    side.endpoint.accept(side.now, session, draft);
    let Some(Message::Response(response)) = side.sent().pop() else { panic!("no response") };
    let tag = tag_of(&response);
    side.receive(udp(), &request("ACK", "2", 1, &tag, ""));
    side.events();
    (side, session, response.headers, tag)
}

fn said(headers: &Headers) -> [Option<&str>; 3] {
    [headers.get("Session-Expires"), headers.get("Require"), headers.get("Min-SE")]
}

/// The next request of ours within this time, and when it comes; timers fire on the way.
fn next_request(side: &mut Side, within: Duration) -> Option<(Duration, Request)> {
    let (start, end) = (side.now, side.now + within);
    while let Some(at) = side.endpoint.poll_timeout().filter(|at| *at <= end) {
        side.now = side.now.max(at);
        side.endpoint.handle_timeout(side.now);
        if let Some(Message::Request(request)) = side.sent().into_iter().next() {
            return Some((side.now - start, request));
        }
    }
    side.now = end;
    None
}

/// The next request of ours and when it comes, in whole seconds.
fn next(side: &mut Side) -> (u64, Request) {
    let (after, request) = next_request(side, seconds(4000)).expect("a request");
    (after.as_secs(), request)
}

/// The peer's UPDATE; gives our answer to it.
fn update(side: &mut Side, cseq: u32, tag: &str, lines: &str) -> Response {
    side.receive(udp(), &request("UPDATE", &format!("u{cseq}"), cseq, tag, lines));
    let told = side.events().into_iter().find_map(|event| match event {
        Event::Session { event: SessionEvent::Request { id, .. }, .. } => Some(id),
        _ => None,
    });
    if let Some(id) = told {
        side.endpoint.respond(side.now, id, ResponseDraft::new(StatusCode::OK));
    }
    match side.sent().pop() {
        Some(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_invite_says_what_it_wishes_and_one_without_a_wish_that_timers_are_known() {
    let (_, request) = invite(&mut Side::new(), ASKED);
    assert_eq!(request.headers.supported(), ["replaces", "timer"]);
    assert_eq!(said(&request.headers), [Some("1800;refresher=uac"), None, None]);
    let (_, request) = invite(&mut Side::new(), None);
    assert_eq!(request.headers.supported(), ["replaces", "timer"]);
    assert_eq!(said(&request.headers), [None; 3]);
    let (_, request) = invite(&mut Side::new(), Some(seconds(5)));
    assert_eq!(request.headers.get("Session-Expires"), Some("90;refresher=uac"), "nobody may ask for less");
}

#[test]
fn we_refresh_after_half_the_interval_by_update_where_the_peer_allows_it() {
    let (mut side, _) = calling(ASKED, &[UPDATES, ("Session-Expires", "600;refresher=uac")]);
    for _ in 0..3 {
        let (after, refresh) = next(&mut side);
        assert_eq!((after, &refresh.method), (300, &Method::Update));
        assert!(refresh.body.is_empty());
        assert_eq!(said(&refresh.headers), [Some("600;refresher=uac"), None, None]);
        assert_eq!(refresh.headers.get("Contact"), Some("<sip:alice@192.0.2.1:5060>"));
        answer(&mut side, &refresh, StatusCode::OK, &[("Session-Expires", "600;refresher=uac")]);
        assert!(side.event_words().is_empty(), "nothing has changed");
    }
}

#[test]
fn a_peer_without_update_is_refreshed_by_reinvite_with_the_description_it_knows() {
    let (mut side, session) = calling(ASKED, &[("Session-Expires", "600;refresher=uac")]);
    let (after, refresh) = next(&mut side);
    assert_eq!((after, &refresh.method), (300, &Method::Invite));
    assert_eq!(refresh.body, "our offer");
    assert_eq!(said(&refresh.headers)[0], Some("600;refresher=uac"));
    answer(&mut side, &refresh, StatusCode::OK, &[("Session-Expires", "600;refresher=uac")]);
    assert_eq!(side.sent_words(), ["ACK"]);
    assert_eq!(side.event_words(), ["refreshed"]);
    // What was agreed on last counts, not what was refused.
    for (body, status) in [("held", StatusCode::OK), ("refused", StatusCode::NOT_ACCEPTABLE_HERE)] {
        let contact = uri("sip:alice@192.0.2.1:5060");
        let change = Modification { method: Method::Invite, contact, body: sdp(body) };
        assert!(side.endpoint.modify(side.now, session, change));
        let change = side.last_request();
        assert_eq!(said(&change.headers)[0], Some("600;refresher=uac"), "a change refreshes, too");
        answer(&mut side, &change, status, &[("Session-Expires", "600;refresher=uac")]);
        side.sent();
    }
    assert_eq!(next(&mut side).1.body, "held");
}

#[test]
fn a_change_of_ours_begins_the_interval_anew() {
    let expires = ("Session-Expires", "600;refresher=uac");
    let (mut side, session) = calling(ASKED, &[UPDATES, expires]);
    assert!(next_request(&mut side, seconds(299)).is_none());
    let contact = uri("sip:alice@192.0.2.1:5060");
    side.endpoint.modify(side.now, session, Modification { method: Method::Invite, contact, body: sdp("held") });
    let change = side.last_request();
    answer(&mut side, &change, StatusCode::OK, &[expires]);
    side.sent();
    assert_eq!(next(&mut side).0, 300);
}

#[test]
fn a_422_to_our_invite_raises_what_we_ask_for_in_the_same_call() {
    let mut side = Side::new();
    let (session, first) = invite(&mut side, ASKED);
    answer(&mut side, &first, StatusCode::SESSION_INTERVAL_TOO_SMALL, &[("Min-SE", "3600")]);
    let sent = side.sent();
    let [Message::Request(ack), Message::Request(second)] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((&ack.method, ack.headers.get("CSeq")), (&Method::Ack, Some("1 ACK")));
    assert_eq!(second.headers.get("CSeq"), Some("2 INVITE"));
    for name in ["Call-ID", "From", "To", "Contact"] {
        assert_eq!(second.headers.get(name), first.headers.get(name), "{name}");
    }
    assert_eq!(second.headers.supported(), first.headers.supported());
    assert_eq!(said(&second.headers), [Some("3600;refresher=uac"), None, Some("3600")]);
    assert_eq!((second.body.clone(), second.headers.get_all("Via").count()), (first.body.clone(), 1));
    assert_ne!(second.headers.get("Via"), first.headers.get("Via"));
    assert!(side.event_words().is_empty(), "nobody needs to know");
    answer(&mut side, second, StatusCode::OK, &[UPDATES, ("Session-Expires", "3600;refresher=uac")]);
    let ack = side.last_request();
    assert_eq!(ack.headers.get("CSeq"), Some("2 ACK"));
    assert_eq!(side.event_words(), ["answered"]);
    let (after, refresh) = next(&mut side);
    assert_eq!((after, refresh.headers.get("CSeq")), (1800, Some("3 UPDATE")));
    assert_eq!(said(&refresh.headers), [Some("3600;refresher=uac"), None, Some("3600")]);
    answer(&mut side, &refresh, StatusCode::OK, &[]);
    side.endpoint.bye(side.now, session, None);
    let bye = side.last_request();
    answer(&mut side, &bye, StatusCode::OK, &[]);
    side.assert_empty();
}

#[test]
fn a_422_that_asks_for_nothing_more_refuses_the_call() {
    for headers in [&[("Min-SE", "1800")][..], &[("Min-SE", "soon")], &[]] {
        let mut side = Side::new();
        let (_, request) = invite(&mut side, ASKED);
        answer(&mut side, &request, StatusCode::SESSION_INTERVAL_TOO_SMALL, headers);
        assert_eq!(side.sent_words(), ["ACK"]);
        assert_eq!(side.event_words(), ["refused 422", "ended"]);
        side.assert_empty();
    }
}

#[test]
fn a_call_taken_back_is_not_tried_again_after_422() {
    let mut side = Side::new();
    let (session, request) = invite(&mut side, ASKED);
    answer(&mut side, &request, StatusCode::RINGING, &[]);
    side.endpoint.cancel(side.now, session, None);
    side.sent();
    side.events();
    answer(&mut side, &request, StatusCode::SESSION_INTERVAL_TOO_SMALL, &[("Min-SE", "3600")]);
    assert_eq!(side.sent_words(), ["ACK"]);
    assert_eq!(side.event_words(), ["refused 422", "ended"]);
}

#[test]
fn a_refresh_that_is_too_brief_is_raised_and_sent_again() {
    let (mut side, _) = calling(ASKED, &[UPDATES, ("Session-Expires", "600;refresher=uac")]);
    let (_, refresh) = next(&mut side);
    answer(&mut side, &refresh, StatusCode::SESSION_INTERVAL_TOO_SMALL, &[("Min-SE", "900")]);
    let again = side.last_request();
    assert_eq!(said(&again.headers), [Some("900;refresher=uac"), None, Some("900")]);
    answer(&mut side, &again, StatusCode::OK, &[("Session-Expires", "900;refresher=uac")]);
    assert_eq!(next(&mut side).0, 450);
}

#[test]
fn a_peer_that_asks_for_less_than_90_s_gets_422_and_one_that_asks_for_90_never() {
    for method in ["INVITE", "UPDATE"] {
        let (mut side, _, _, tag) = called(None, SUPPORTED);
        let brief = format!("{SUPPORTED}x: 89;refresher=uac\r\n");
        side.receive(udp(), &request(method, "3", 2, &tag, &brief));
        let sent = side.sent();
        assert_eq!(support::word(&sent[0]), "422", "{method}");
        assert_eq!(sent[0].headers().get("Min-SE"), Some("90"));
        assert!(side.event_words().is_empty());
    }
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", &format!("{SUPPORTED}Session-Expires: 60\r\n")));
    assert_eq!(side.sent_words(), ["422"]);
    let (_, _, answered, _) = called(ASKED, &format!("{SUPPORTED}Session-Expires: 90\r\n"));
    assert_eq!(said(&answered), [Some("90;refresher=uas"), Some("timer"), None]);
    // Who knows nothing of timers cannot be told: a proxy on the way asked.
    let (_, _, answered, _) = called(None, "Session-Expires: 60\r\n");
    assert_eq!(said(&answered), [Some("90;refresher=uas"), None, None]);
}

#[test]
fn a_caller_that_leaves_it_open_is_refreshed_by_us_and_one_that_wants_to_refreshes_itself() {
    let lines = |expires: &str| format!("{SUPPORTED}{ALLOWED}Session-Expires: {expires}\r\n");
    for (expires, wish, answered) in [
        ("90", None, "90;refresher=uas"),
        ("600;refresher=uas", None, "600;refresher=uas"),
        ("600;refresher=uac", None, "600;refresher=uac"),
        ("7200;refresher=uac", ASKED, "1800;refresher=uac"),
        ("7200;refresher=uac\r\nMin-SE: 3600", ASKED, "3600;refresher=uac"),
        ("7200", None, "7200;refresher=uas"),
    ] {
        let (mut side, _, headers, _) = called(wish, &lines(expires));
        assert_eq!(said(&headers), [Some(answered), Some("timer"), None], "{expires}");
        assert!(headers.supported().contains(&"timer"));
        let (interval, who) = answered.split_once(";refresher=").unwrap();
        let interval: u64 = interval.parse().unwrap();
        let (after, refresh) = next(&mut side);
        assert_eq!(refresh.method, Method::Update);
        let due = if who == "uas" { interval / 2 } else { interval - (interval / 3).min(32) };
        assert_eq!(after, due, "{expires}");
    }
}

#[test]
fn a_caller_that_asks_for_nothing_is_asked_only_when_we_wish() {
    let (mut side, _, headers, _) = called(ASKED, &format!("{SUPPORTED}{ALLOWED}"));
    assert_eq!(said(&headers), [Some("1800;refresher=uas"), Some("timer"), None]);
    assert_eq!(next(&mut side).0, 900);
    let (mut side, _, headers, _) = called(ASKED, "");
    assert_eq!(said(&headers), [Some("1800;refresher=uas"), None, None]);
    let (after, refresh) = next(&mut side);
    assert_eq!((after, refresh.method, refresh.body), (900, Method::Invite, "our answer".into()));
    let (mut side, _, headers, _) = called(None, &format!("{SUPPORTED}{ALLOWED}"));
    assert_eq!(said(&headers), [None; 3]);
    assert!(next_request(&mut side, seconds(20_000)).is_none());
}

#[test]
fn the_peers_refresh_begins_the_interval_anew_and_is_answered_with_what_holds() {
    let expires = "Session-Expires: 90;refresher=uac\r\n";
    let (mut side, session, _, tag) = called(None, &format!("{SUPPORTED}{ALLOWED}{expires}"));
    for cseq in 2..6 {
        assert!(next_request(&mut side, seconds(45)).is_none());
        let response = update(&mut side, cseq, &tag, &format!("{SUPPORTED}{expires}"));
        assert_eq!(said(&response.headers), [Some("90;refresher=uac"), Some("timer"), None]);
    }
    // Mid-dialog, a peer may switch timers off (§7.4).
    let response = update(&mut side, 6, &tag, SUPPORTED);
    assert_eq!(said(&response.headers), [None; 3]);
    assert!(next_request(&mut side, seconds(1000)).is_none());
    side.endpoint.bye(side.now, session, None);
    assert_eq!(side.sent_words(), ["BYE"]);
}

#[test]
fn a_peer_that_misses_its_refresh_is_looked_after_and_hung_up_before_the_session_expires() {
    for (interval, watched) in [(90, 60), (1800, 1768)] {
        let expires = format!("{SUPPORTED}{ALLOWED}Session-Expires: {interval};refresher=uac\r\n");
        let (mut side, session, _, _) = called(None, &expires);
        let (after, refresh) = next(&mut side);
        assert_eq!((after, &refresh.method), (watched, &Method::Update));
        assert_eq!(said(&refresh.headers)[0], Some(format!("{interval};refresher=uac").as_str()), "we take it over");
        let sent = side.pass(seconds(interval - watched));
        let (at, word) = sent.iter().find(|(_, word)| word == "BYE").unwrap();
        assert_eq!((at.as_secs() + watched, word.as_str()), (interval - 2, "BYE"));
        assert_eq!(side.event_words(), ["expired"]);
        side.endpoint.bye(side.now, session, None);
        assert!(side.sent_words().is_empty(), "once");
        side.assert_empty();
        assert_eq!(side.event_words(), ["ended"]);
    }
}

#[test]
fn a_peer_that_missed_its_refresh_but_is_there_keeps_its_session() {
    let (mut side, ..) = called(None, &format!("{SUPPORTED}{ALLOWED}Session-Expires: 90;refresher=uac\r\n"));
    let (_, refresh) = next(&mut side);
    answer(&mut side, &refresh, StatusCode::OK, &[("Session-Expires", "90;refresher=uac")]);
    let (after, refresh) = next(&mut side);
    assert_eq!((after, refresh.method), (45, Method::Update));
    assert!(side.event_words().is_empty());
}

#[test]
fn the_bye_of_an_expired_session_says_why() {
    let (mut side, _) = calling(ASKED, &[UPDATES, ("Session-Expires", "90;refresher=uas")]);
    let mut bye = next(&mut side).1;
    while bye.method != Method::Bye {
        bye = next(&mut side).1;
    }
    let reasons = bye.headers.reasons();
    assert_eq!((reasons[0].protocol.as_str(), reasons[0].cause), ("SIP", Some(408)));
}

#[test]
fn a_refresh_of_ours_without_answer_or_with_5xx_is_sent_again_while_there_is_time() {
    let (mut side, _) = calling(ASKED, &[UPDATES, ("Session-Expires", "1800;refresher=uac")]);
    let (after, first) = next(&mut side);
    assert_eq!(after, 900);
    // Nothing but repetitions of the same for 64*T1.
    assert!(side.pass(LONG).iter().all(|(_, word)| word == "UPDATE"));
    assert!(side.event_words().is_empty(), "one refresh without answer ends nothing");
    let (after, second) = next(&mut side);
    assert_eq!(after, 90);
    assert_ne!(second.headers.get("CSeq"), first.headers.get("CSeq"));
    answer(&mut side, &second, StatusCode::SERVICE_UNAVAILABLE, &[]);
    let (after, third) = next(&mut side);
    assert_eq!((after, &third.method), (90, &Method::Update));
    answer(&mut side, &third, StatusCode::OK, &[("Session-Expires", "1800;refresher=uac")]);
    assert!(side.event_words().is_empty());
    assert_eq!(next(&mut side).0, 900);
}

#[test]
fn a_peer_that_never_answers_refreshes_is_hung_up_before_the_session_expires() {
    for allow in [&[UPDATES][..], &[]] {
        let headers = [&[("Session-Expires", "90;refresher=uac")], allow].concat();
        let (mut side, _) = calling(ASKED, &headers);
        let sent = side.pass(seconds(90));
        assert_eq!(sent.first().unwrap().0, seconds(45));
        let (at, word) = sent.iter().find(|(_, word)| word == "BYE").unwrap();
        assert_eq!((at.as_secs(), word.as_str()), (88, "BYE"));
        assert_eq!(side.event_words(), ["expired"]);
        side.assert_empty();
    }
}

#[test]
fn a_peer_that_does_not_know_the_session_ends_it_at_once() {
    for status in [StatusCode::CALL_DOES_NOT_EXIST, StatusCode::REQUEST_TIMEOUT] {
        for allow in [&[UPDATES][..], &[]] {
            let (mut side, _) = calling(ASKED, &[&[("Session-Expires", "90;refresher=uac")], allow].concat());
            let (_, refresh) = next(&mut side);
            answer(&mut side, &refresh, status, &[]);
            assert_eq!(side.sent_words().last().map(String::as_str), Some("BYE"));
            assert_eq!(side.event_words(), [format!("lost {status}")]);
            side.assert_empty();
        }
    }
}

#[test]
fn a_peer_that_allows_update_and_does_not_know_it_is_refreshed_by_reinvite_at_once() {
    for status in [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED] {
        let (mut side, _) = calling(ASKED, &[UPDATES, ("Session-Expires", "600;refresher=uac")]);
        let (_, refresh) = next(&mut side);
        answer(&mut side, &refresh, status, &[]);
        let refresh = side.last_request();
        assert_eq!((&refresh.method, &refresh.body[..]), (&Method::Invite, &b"our offer"[..]));
        answer(&mut side, &refresh, StatusCode::OK, &[("Session-Expires", "600;refresher=uac")]);
        assert_eq!(side.sent_words(), ["ACK"]);
        let (after, refresh) = next(&mut side);
        assert_eq!((after, refresh.method), (300, Method::Invite));
    }
}

#[test]
fn a_peer_without_timers_is_asked_now_and_then_whether_it_is_there() {
    let (mut side, _) = calling(ASKED, &[]);
    // Any answer shows that it is.
    for status in [StatusCode::OK, StatusCode::NOT_ACCEPTABLE_HERE, StatusCode::BAD_REQUEST] {
        let (after, refresh) = next(&mut side);
        assert_eq!((after, &refresh.method), (900, &Method::Invite));
        answer(&mut side, &refresh, status, &[]);
        assert_eq!(side.sent_words(), ["ACK"]);
    }
    side.events();
    let sent = side.pass(seconds(1800));
    let (at, word) = sent.iter().find(|(_, word)| word == "BYE").unwrap();
    assert_eq!((at.as_secs(), word.as_str()), (1798, "BYE"));
    assert_eq!(side.event_words(), ["expired"]);
    // And who wishes for nothing leaves it alone.
    let (mut side, _) = calling(None, &[]);
    assert!(next_request(&mut side, seconds(20_000)).is_none());
}

#[test]
fn a_callee_that_asks_for_a_timer_gets_one_though_we_did_not_ask() {
    let (mut side, session) = calling(None, &[UPDATES, ("Session-Expires", "90;refresher=uas")]);
    assert!(next_request(&mut side, seconds(59)).is_none(), "the peer refreshes");
    let (after, refresh) = next(&mut side);
    assert_eq!((after, refresh.method), (1, Method::Update));
    side.endpoint.bye(side.now, session, None);
}

#[test]
fn a_change_waits_for_a_refresh_under_way_and_follows_it_whatever_becomes_of_it() {
    for status in [StatusCode::OK, StatusCode::SERVER_INTERNAL_ERROR] {
        let (mut side, session) = calling(ASKED, &[("Session-Expires", "600;refresher=uac")]);
        let (_, refresh) = next(&mut side);
        let contact = uri("sip:alice@192.0.2.1:5060");
        let change = Modification { method: Method::Invite, contact, body: sdp("held") };
        assert!(side.endpoint.modify(side.now, session, change.clone()));
        assert!(side.sent_words().is_empty());
        answer(&mut side, &refresh, status, &[("Session-Expires", "600;refresher=uac")]);
        let sent = side.sent();
        assert_eq!(sent.iter().map(support::word).collect::<Vec<_>>(), ["ACK", "INVITE"], "{status}");
        let Message::Request(held) = &sent[1] else { panic!() };
        assert_eq!(held.body, "held");
        side.events();
        answer(&mut side, held, StatusCode::OK, &[("Session-Expires", "600;refresher=uac")]);
        assert_eq!(side.event_words(), ["modified"]);
    }
    // One that is taken back meanwhile does not.
    let (mut side, session) = calling(ASKED, &[("Session-Expires", "600;refresher=uac")]);
    let (_, refresh) = next(&mut side);
    let change = Modification { method: Method::Invite, contact: uri("sip:alice@192.0.2.1:5060"), body: sdp("held") };
    side.endpoint.modify(side.now, session, change);
    side.endpoint.take_back(session);
    answer(&mut side, &refresh, StatusCode::OK, &[("Session-Expires", "600;refresher=uac")]);
    assert_eq!(side.sent_words(), ["ACK"]);
}

#[test]
fn a_refresh_that_crosses_an_offer_of_the_peer_gives_way_or_is_tried_again() {
    let (mut side, _) = calling(ASKED, &[("Session-Expires", "600;refresher=uac")]);
    let (_, refresh) = next(&mut side);
    let tag = refresh.headers.from().unwrap().unwrap().tag().unwrap().into_owned();
    let call = refresh.headers.call_id().unwrap().to_owned();
    let offer = "Content-Type: application/sdp\r\nContent-Length: 3\r\n";
    let hold = |branch: &str, cseq| request("INVITE", branch, cseq, &tag, offer).replace("call-1", &call) + "v=0";
    side.receive(udp(), &hold("3", 1));
    assert_eq!(side.sent_words(), ["491"]);
    answer(&mut side, &refresh, StatusCode::REQUEST_PENDING, &[]);
    assert_eq!(side.sent_words(), ["ACK"]);
    side.receive(udp(), &hold("4", 2));
    let id = side.events().into_iter().find_map(|event| match event {
        Event::Session { event: SessionEvent::Request { id, .. }, .. } => Some(id),
        _ => None,
    });
    side.endpoint.respond(side.now, id.expect("told"), ResponseDraft::new(StatusCode::OK));
    side.receive(udp(), &request("ACK", "5", 2, &tag, "").replace("call-1", &call));
    side.sent();
    assert!(next_request(&mut side, seconds(899)).is_none(), "the peer's was a refresh, too");
    // And when the peer's does not come again, ours does.
    let (mut side, _) = calling(ASKED, &[("Session-Expires", "600;refresher=uac")]);
    let (_, refresh) = next(&mut side);
    answer(&mut side, &refresh, StatusCode::REQUEST_PENDING, &[]);
    side.sent();
    let (after, again) = next_request(&mut side, seconds(5)).unwrap();
    assert!((seconds(2)..=seconds(4)).contains(&after), "{after:?}: the owner of the Call-ID waits longer");
    assert_eq!((again.method, again.body), (Method::Invite, "our offer".into()));
}

#[test]
fn an_update_without_offer_is_in_nobodys_way() {
    let (mut side, _) = calling(ASKED, &[UPDATES, ("Session-Expires", "600;refresher=uac")]);
    let (_, refresh) = next(&mut side);
    let tag = refresh.headers.from().unwrap().unwrap().tag().unwrap().into_owned();
    let call = refresh.headers.call_id().unwrap().to_owned();
    let offer = "Content-Type: application/sdp\r\nContent-Length: 3\r\n";
    side.receive(udp(), &(request("INVITE", "3", 1, &tag, offer).replace("call-1", &call) + "v=0"));
    assert_eq!(side.sent_words(), ["100"]);
    assert_eq!(side.event_words(), ["request INVITE"]);
}

#[test]
fn a_session_that_ends_leaves_no_timer_behind() {
    let (mut side, session) = calling(ASKED, &[UPDATES, ("Session-Expires", "1800;refresher=uac")]);
    assert!(side.endpoint.poll_timeout().is_some());
    side.endpoint.bye(side.now, session, None);
    let bye = side.last_request();
    answer(&mut side, &bye, StatusCode::OK, &[]);
    side.pass(T1 * 128);
    assert_eq!(side.endpoint.poll_timeout(), None);
    let (mut side, _, _, tag) = called(None, &format!("{SUPPORTED}Session-Expires: 1800\r\n"));
    side.receive(udp(), &request("BYE", "9", 9, &tag, ""));
    side.pass(T1 * 128);
    assert_eq!(side.endpoint.poll_timeout(), None);
}
