//! What counts over which flow: nothing that a WebSocket brings touches what goes on over another connection or transport.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods
)]

mod support;

use sip::{ConnectionId, Event, Flow, RequestId, ResponseDraft, SessionEvent, SessionId, StatusCode};
use support::{Side, request, tag_of, udp, websocket};

/// Somebody else's WebSocket.
fn foreign() -> Flow {
    Flow { connection: Some(ConnectionId(2)), ..websocket() }
}

/// A session that came over this flow, and our tag in it. Its ACK is still to come.
fn called(flow: Flow) -> (Side, SessionId, String) {
    let mut side = Side::new();
    side.receive(flow, &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    let tag = tag_of(&side.accept(session));
    (side, session, tag)
}

fn roamed(side: &mut Side) -> RequestId {
    let found = side.events().into_iter().find_map(|event| match event {
        Event::Session { event: SessionEvent::Roamed { id, .. }, .. } => Some(id),
        _ => None,
    });
    found.expect("a request roamed")
}

#[test]
fn a_response_counts_only_over_what_its_request_went_over() {
    let mut side = Side::new();
    let (_, invite) = side.invite(udp());
    side.answer(foreign(), &invite, StatusCode::OK);
    assert!(side.event_words().is_empty() && side.sent_words().is_empty());
    side.answer(udp(), &invite, StatusCode::OK);
    assert_eq!(side.event_words(), ["answered"]);
    let (_, invite) = side.invite(websocket());
    for flow in [foreign(), udp()] {
        side.answer(flow, &invite, StatusCode::OK);
        assert!(side.event_words().is_empty());
    }
    side.answer(websocket(), &invite, StatusCode::OK);
    assert_eq!(side.event_words(), ["answered"]);
}

#[test]
fn over_datagrams_and_streams_a_peer_may_use_several_ports_and_connections() {
    let (mut side, _, tag) = called(udp());
    let stream = Flow { transport: sip::Transport::Tcp, connection: Some(ConnectionId(9)), ..udp() };
    side.receive(stream, &request("ACK", "2", 1, &tag, ""));
    side.receive(stream, &request("BYE", "3", 2, &tag, ""));
    assert_eq!(side.event_words(), ["confirmed", "bye", "ended"]);
}

#[test]
fn a_trunks_dialog_does_not_exist_on_a_websocket_nor_a_browsers_on_a_datagram() {
    for (own, other) in [(udp(), foreign()), (websocket(), udp())] {
        let (mut side, _, tag) = called(own);
        side.receive(other, &request("ACK", "2", 1, &tag, ""));
        side.receive(other, &request("BYE", "3", 2, &tag, ""));
        assert_eq!(side.sent_words(), ["481"]);
        assert!(side.event_words().is_empty());
        side.receive(own, &request("ACK", "2", 1, &tag, ""));
        assert_eq!(side.event_words(), ["confirmed"]);
    }
}

#[test]
fn an_ack_over_another_websocket_confirms_nothing() {
    let (mut side, _, tag) = called(websocket());
    side.receive(foreign(), &request("ACK", "2", 1, &tag, ""));
    assert!(side.event_words().is_empty());
}

#[test]
fn a_cancel_or_a_repetition_over_another_websocket_finds_no_transaction() {
    let mut side = Side::new();
    side.receive(websocket(), &request("INVITE", "1", 1, "", ""));
    assert_eq!(side.event_words(), ["invite"]);
    side.sent();
    side.receive(foreign(), &request("CANCEL", "1", 1, "", ""));
    assert_eq!(side.sent_words(), ["481"]);
    side.receive(foreign(), &request("INVITE", "1", 1, "", ""));
    assert_eq!(side.event_words(), ["invite"], "another call of somebody else");
}

#[test]
fn a_request_over_another_websocket_waits_for_leave_and_then_moves_the_session() {
    let (mut side, session, tag) = called(websocket());
    side.receive(websocket(), &request("ACK", "2", 1, &tag, ""));
    side.events();
    side.receive(foreign(), &request("INFO", "3", 2, &tag, ""));
    let id = roamed(&mut side);
    side.endpoint.respond(side.now, id, ResponseDraft::new(StatusCode::FORBIDDEN));
    assert_eq!((side.sent_words(), side.event_words()), (vec!["403".to_owned()], Vec::new()));
    side.receive(foreign(), &request("INFO", "4", 2, &tag, ""));
    let id = roamed(&mut side);
    side.endpoint.admit(side.now, id);
    assert_eq!(side.event_words(), ["request INFO"], "a refused one was not counted");
    side.endpoint.bye(side.now, session, None);
    let flows: Vec<_> = std::iter::from_fn(|| side.endpoint.poll_transmit()).map(|transmit| transmit.flow).collect();
    assert_eq!(flows, [foreign()]);
}

fn stream(connection: Option<u64>, peer: &str) -> Flow {
    Flow {
        transport: sip::Transport::Tcp,
        peer: peer.parse().unwrap(),
        connection: connection.map(ConnectionId),
        tls: None,
    }
}

fn sent_to(side: &mut Side) -> Vec<(String, Flow)> {
    let transmits = std::iter::from_fn(|| side.endpoint.poll_transmit());
    transmits.map(|t| (support::word(&sip::Message::parse(&t.bytes).unwrap()), t.flow)).collect()
}

#[test]
fn when_a_trunks_connection_has_closed_its_bye_goes_over_a_new_one_to_the_contact() {
    let accepted = stream(Some(5), "198.51.100.7:40000");
    let (mut side, session, tag) = called(accepted);
    side.receive(accepted, &request("ACK", "2", 1, &tag, ""));
    side.endpoint.handle_flow_closed(side.now, ConnectionId(5));
    assert_eq!(side.event_words(), ["confirmed", "flow closed"], "the session is not lost with its connection");
    side.endpoint.bye(side.now, session, None);
    assert_eq!(sent_to(&mut side), [("BYE".to_owned(), stream(None, "198.51.100.7:5060"))]);
}

#[test]
fn a_bye_lost_with_its_connection_is_sent_once_more_and_no_oftener() {
    let accepted = stream(Some(5), "198.51.100.7:40000");
    let (mut side, session, tag) = called(accepted);
    side.receive(accepted, &request("ACK", "2", 1, &tag, ""));
    side.endpoint.bye(side.now, session, Some(&sip::Reason::q850(16, "bye")));
    assert_eq!(sent_to(&mut side), [("BYE".to_owned(), accepted)]);
    side.endpoint.handle_flow_closed(side.now, ConnectionId(5));
    let bye = side.last_request();
    assert_eq!((bye.headers.get("CSeq"), bye.headers.reasons().len()), (Some("2 BYE"), 1));
    side.events();
    side.endpoint.handle_flow_failed(side.now, stream(None, "198.51.100.7:5060"));
    assert!(side.sent_words().is_empty());
    assert_eq!(side.event_words(), ["ended"]);
    side.assert_empty();
}

#[test]
fn a_connection_we_opened_and_lost_is_opened_again_to_where_the_contact_leads() {
    let mut side = Side::new();
    let gateway = stream(None, "198.51.100.9:5080");
    let (session, invite) = side.invite(gateway);
    side.answer(gateway, &invite, StatusCode::OK);
    assert_eq!(sent_to(&mut side), [("ACK".to_owned(), gateway)], "the connection is kept while it lives");
    side.endpoint.handle_flow_failed(side.now, gateway);
    side.endpoint.bye(side.now, session, None);
    assert_eq!(sent_to(&mut side), [("BYE".to_owned(), stream(None, "198.51.100.7:5060"))]);
}

#[test]
fn a_repeated_200_follows_the_peer_to_a_new_connection() {
    let accepted = stream(Some(5), "198.51.100.7:40000");
    let (mut side, _, _) = called(accepted);
    side.endpoint.handle_flow_closed(side.now, ConnectionId(5));
    side.now += support::T1;
    side.endpoint.handle_timeout(side.now);
    assert_eq!(sent_to(&mut side), [("200".to_owned(), stream(None, "198.51.100.7:5060"))]);
}

#[test]
fn a_request_over_a_stream_does_not_pull_a_datagrams_session_along() {
    let (mut side, session, tag) = called(udp());
    side.receive(udp(), &request("ACK", "2", 1, &tag, ""));
    side.receive(stream(Some(5), "198.51.100.7:40000"), &request("INFO", "3", 2, &tag, ""));
    side.endpoint.bye(side.now, session, None);
    assert_eq!(sent_to(&mut side), [("BYE".to_owned(), udp())]);
}

/// Where the first response to a datagram from port 40000 goes, with this end of its Via.
fn answered_at(via: &str, message: &str) -> String {
    let mut side = Side::new();
    let source = Flow { peer: "198.51.100.7:40000".parse().unwrap(), ..udp() };
    side.receive(source, &message.replace("198.51.100.7:5060;branch", &format!("{via};branch")));
    let sent = sent_to(&mut side);
    assert!(sent.iter().all(|(_, flow)| flow.peer == sent[0].1.peer));
    sent[0].1.peer.to_string()
}

#[test]
fn a_response_goes_to_the_port_its_via_names_unless_that_asks_for_the_source_port() {
    let broken = request("INVITE", "1", 1, "", "").replace("CSeq: 1 INVITE", "CSeq: 1 BYE");
    for message in [request("INVITE", "1", 1, "", ""), request("BYE", "1", 1, "x", ""), broken] {
        assert_eq!(answered_at("198.51.100.7:5070", &message), "198.51.100.7:5070");
        assert_eq!(answered_at("198.51.100.7", &message), "198.51.100.7:5060");
        assert_eq!(answered_at("10.0.0.9:5070", &message), "198.51.100.7:5070", "the address it came from");
        assert_eq!(answered_at("198.51.100.7:5070;rport", &message), "198.51.100.7:40000");
    }
}

#[test]
fn a_repeated_200_goes_where_the_first_went_and_over_a_stream_back() {
    for (flow, reply) in [
        (Flow { peer: "198.51.100.7:40000".parse().unwrap(), ..udp() }, udp()),
        (stream(Some(5), "198.51.100.7:40000"), stream(Some(5), "198.51.100.7:40000")),
    ] {
        let mut side = Side::new();
        side.receive(flow, &request("INVITE", "1", 1, "", ""));
        let session = side.invited();
        side.accept(session);
        side.now += support::T1;
        side.endpoint.handle_timeout(side.now);
        assert_eq!(sent_to(&mut side), [("200".to_owned(), reply)]);
    }
}

#[test]
fn ten_thousand_connections_close_without_each_looking_at_all_others() {
    const CONNECTIONS: u64 = 10_000;
    let mut side = Side::new();
    let on = |number| Flow { connection: Some(ConnectionId(number)), ..websocket() };
    for number in 0..CONNECTIONS {
        side.receive(on(number), &request("INVITE", "1", 1, "", "").replace("call-1", &format!("call-{number}")));
    }
    side.sent();
    let sessions: Vec<SessionId> = side
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Invite { session, .. } => Some(session),
            _ => None,
        })
        .collect();
    assert_eq!(sessions.len() as u64, CONNECTIONS);
    for (number, session) in (0..).zip(sessions) {
        side.endpoint.handle_flow_closed(side.now, ConnectionId(number));
        assert_eq!(side.event_words(), ["adrift", "flow closed"]);
        side.endpoint.abandon(side.now, session);
        assert_eq!(side.event_words(), ["flow lost", "ended"]);
        assert_eq!(side.endpoint.counters().flows as u64, CONNECTIONS - number - 1);
    }
    side.assert_empty();
}

#[test]
fn a_session_that_moved_is_lost_with_its_new_connection_only() {
    let (mut side, session, tag) = called(websocket());
    side.receive(websocket(), &request("ACK", "2", 1, &tag, ""));
    side.endpoint.rebind(side.now, session, foreign());
    side.events();
    side.endpoint.handle_flow_closed(side.now, websocket().connection.unwrap());
    assert_eq!(side.event_words(), ["flow closed"]);
    side.endpoint.handle_flow_closed(side.now, foreign().connection.unwrap());
    assert_eq!(side.event_words(), ["adrift", "flow closed"]);
}
