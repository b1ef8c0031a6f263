//! A browser's WebSocket closes under its session: what is under way waits, and goes on over the next one or ends (RFC 5626 §5.3).
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

use sip::{ConnectionId, Flow, Message, Method, Modification, ResponseDraft, SessionId, StatusCode, Uri};
use support::{LONG, Side, T1, request, tag_of, websocket, word};

/// The browser's next connection.
fn next() -> Flow {
    Flow { connection: Some(ConnectionId(2)), ..websocket() }
}

impl Side {
    fn cut(&mut self) {
        self.endpoint.handle_flow_closed(self.now, websocket().connection.unwrap());
        assert_eq!(self.event_words(), ["adrift", "flow closed"]);
    }

    /// What goes out, all of it over the new connection.
    fn back(&mut self, session: SessionId) -> Vec<String> {
        self.endpoint.rebind(self.now, session, next());
        self.sent_next().iter().map(word).collect()
    }

    fn sent_next(&mut self) -> Vec<Message> {
        let transmits: Vec<_> = std::iter::from_fn(|| self.endpoint.poll_transmit()).collect();
        assert!(transmits.iter().all(|transmit| transmit.flow == next()), "{transmits:?}");
        transmits.iter().map(|transmit| Message::parse(&transmit.bytes).unwrap()).collect()
    }

    fn hold(&mut self, session: SessionId) {
        let contact = Uri::parse("sip:alice@192.0.2.1").unwrap();
        let body = Some(("application/sdp".to_owned(), "v=0".into()));
        assert!(self.endpoint.modify(self.now, session, Modification { method: Method::Invite, contact, body }));
    }
}

/// A session with a browser that called and was answered, and our tag in it.
fn talking() -> (Side, SessionId, String) {
    let mut side = Side::new();
    side.receive(websocket(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    let tag = tag_of(&side.accept(session));
    side.receive(websocket(), &request("ACK", "2", 1, &tag, ""));
    side.events();
    (side, session, tag)
}

#[test]
fn a_bye_waits_however_long_and_is_then_sent() {
    let (mut side, session, _) = talking();
    side.cut();
    side.endpoint.bye(side.now, session, None);
    assert!(side.pass(LONG * 5).is_empty() && side.events().is_empty());
    assert_eq!(side.back(session), ["BYE"]);
    let timed_out = side.pass(LONG);
    assert!(timed_out.is_empty());
    assert_eq!(side.event_words(), ["ended"], "from then on it is waited for as ever");
    side.assert_empty();
}

#[test]
fn a_request_that_the_cut_swallowed_is_sent_once_more_in_its_own_transaction() {
    let (mut side, session, _) = talking();
    side.hold(session);
    let first = side.last_request();
    side.cut();
    side.endpoint.rebind(side.now, session, next());
    let Some(Message::Request(again)) = side.sent_next().pop() else { panic!("nothing was sent") };
    assert_eq!(again.to_bytes(), first.to_bytes());
    side.answer_as(websocket(), &again, StatusCode::OK, "bobtag");
    assert!(side.events().is_empty(), "the old connection answers nothing any more");
    side.answer_as(next(), &again, StatusCode::OK, "bobtag");
    assert_eq!((side.event_words(), side.sent_next().len()), (vec!["modified".to_owned()], 1));
    side.endpoint.bye(side.now, session, None);
    side.assert_empty();
}

#[test]
fn a_hold_and_what_is_said_beside_the_call_wait_too() {
    let (mut side, session, _) = talking();
    side.cut();
    side.hold(session);
    let asked = sip::InsideRequest { method: Method::Info, headers: Vec::new(), body: None };
    side.endpoint.ask(side.now, session, asked).unwrap();
    assert!(side.pass(LONG * 2).is_empty() && side.events().is_empty());
    assert_eq!(side.back(session), ["INVITE", "INFO"]);
}

#[test]
fn a_200_without_its_ack_is_repeated_over_the_next_connection_only() {
    let mut side = Side::new();
    side.receive(websocket(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    let tag = tag_of(&side.accept(session));
    side.cut();
    assert!(side.pass(LONG * 2).is_empty() && side.events().is_empty(), "nor is its ACK missed");
    assert_eq!(side.back(session), ["200"]);
    let again: Vec<_> = side.pass(T1 * 3).into_iter().map(|(_, word)| word).collect();
    assert_eq!(again, ["200", "200"]);
    side.receive(next(), &request("ACK", "2", 1, &tag, ""));
    assert_eq!(side.event_words(), ["confirmed"]);
    assert!(side.pass(LONG * 2).is_empty());
}

#[test]
fn a_callers_invite_is_answered_or_cancelled_over_the_next_connection() {
    for answered in [true, false] {
        let mut side = Side::new();
        side.receive(websocket(), &request("INVITE", "1", 1, "", ""));
        let session = side.invited();
        side.sent();
        side.cut();
        side.endpoint.progress(side.now, session, ResponseDraft::new(StatusCode::RINGING));
        assert!(side.sent().is_empty());
        assert_eq!(side.back(session), ["180"]);
        if answered {
            side.accept(session);
        } else {
            side.receive(next(), &request("CANCEL", "1", 1, "", ""));
            assert_eq!(side.sent_words(), ["200", "487"]);
            assert_eq!(side.event_words(), ["cancelled", "ended"]);
            side.assert_empty();
        }
    }
}

#[test]
fn a_ringing_phone_is_rung_again_and_answers_over_the_next_connection() {
    let mut side = Side::new();
    let (session, invite) = side.invite(websocket());
    side.answer(websocket(), &invite, StatusCode::RINGING);
    side.events();
    side.cut();
    assert!(side.pass(LONG * 2).is_empty());
    assert_eq!(side.back(session), ["INVITE"]);
    side.answer(next(), &invite, StatusCode::OK);
    assert_eq!((side.event_words(), side.sent_next().len()), (vec!["answered".to_owned()], 1));
}

#[test]
fn an_ack_that_the_cut_swallowed_is_sent_once_more() {
    let mut side = Side::new();
    let (session, invite) = side.invite(websocket());
    side.answer(websocket(), &invite, StatusCode::OK);
    side.sent();
    side.events();
    side.cut();
    assert_eq!(side.back(session), ["ACK"]);
    side.answer(next(), &invite, StatusCode::OK);
    assert_eq!(side.sent_next().iter().map(word).collect::<Vec<_>>(), ["ACK"]);
}

#[test]
fn an_invite_taken_back_while_its_phone_is_away_does_not_ring_again() {
    let mut side = Side::new();
    let (session, invite) = side.invite(websocket());
    side.answer(websocket(), &invite, StatusCode::RINGING);
    side.events();
    side.cut();
    side.endpoint.cancel(side.now, session, None);
    assert!(side.pass(LONG * 2).is_empty() && side.events().is_empty());
    assert_eq!(side.back(session), ["CANCEL"]);
    side.answer(next(), &invite, StatusCode::REQUEST_TERMINATED);
    assert_eq!(side.event_words(), ["refused 487", "ended"]);
    side.assert_empty();
}

#[test]
fn the_peers_own_change_is_answered_over_the_next_connection() {
    let (mut side, session, tag) = talking();
    side.receive(websocket(), &request("INVITE", "3", 2, &tag, ""));
    let Some(sip::Event::Session { event: sip::SessionEvent::Request { id, .. }, .. }) = side.events().pop() else {
        panic!("no request")
    };
    side.sent();
    side.cut();
    side.endpoint.respond(side.now, id, ResponseDraft::new(StatusCode::OK));
    assert!(side.pass(LONG * 2).is_empty() && side.events().is_empty());
    assert_eq!(side.back(session), ["200"]);
    side.receive(next(), &request("ACK", "4", 2, &tag, ""));
    assert_eq!(side.event_words(), ["acknowledged"]);
}

#[test]
fn who_is_not_waited_for_any_more_leaves_nothing_behind() {
    let ended = |mut side: Side, session, words: &[&str]| {
        side.cut();
        side.endpoint.abandon(side.now, session);
        assert_eq!(side.event_words(), words);
        side.assert_empty();
    };
    let (side, session, _) = talking();
    ended(side, session, &["flow lost", "ended"]);
    let (mut side, session, _) = talking();
    side.hold(session);
    ended(side, session, &["flow lost", "ended"]);
    let (mut side, session, _) = talking();
    side.endpoint.bye(side.now, session, None);
    ended(side, session, &["ended"]);
    let mut side = Side::new();
    side.receive(websocket(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    ended(side, session, &["flow lost", "ended"]);
    for status in [None, Some(StatusCode::RINGING)] {
        let mut side = Side::new();
        let (session, invite) = side.invite(websocket());
        if let Some(status) = status {
            side.answer(websocket(), &invite, status);
            side.events();
        }
        ended(side, session, &["refused 503 local", "ended"]);
    }
}

#[test]
fn a_browser_that_comes_back_before_its_old_connection_is_known_to_be_gone_takes_everything_along() {
    let (mut side, session, _) = talking();
    side.hold(session);
    side.sent();
    assert_eq!(side.back(session), ["INVITE"]);
    side.endpoint.handle_flow_closed(side.now, websocket().connection.unwrap());
    assert_eq!(side.event_words(), ["flow closed"]);
    side.pass(Duration::from_secs(31));
    assert!(side.events().is_empty());
    side.pass(Duration::from_secs(2));
    assert_eq!(side.event_words()[..1], ["lost 408"]);
}
