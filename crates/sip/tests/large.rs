//! Requests too large for a datagram (RFC 3261 §18.1.1).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods
)]

mod support;

use sip::{Flow, Message, Method, NameAddr, OutgoingRequest, Request, StatusCode, Transport, Uri};
use support::{Side, udp};

fn tcp() -> Flow {
    Flow { transport: Transport::Tcp, ..udp() }
}

/// Asks with OPTIONS and a body of this size.
fn ask(side: &mut Side, size: usize) {
    let address = |text: &str| NameAddr::new(Uri::parse(text).unwrap());
    let outgoing = OutgoingRequest {
        flow: udp(),
        method: Method::Options,
        uri: Uri::parse("sip:198.51.100.7").unwrap(),
        from: address("sip:alice@192.0.2.1"),
        to: address("sip:198.51.100.7"),
        series: None,
        headers: Vec::new(),
        body: (size > 0).then(|| ("text/plain".to_owned(), vec![b'x'; size].into())),
        credentials: None,
    };
    side.endpoint.send_request(side.now, outgoing);
}

/// The flow and size of everything sent, with the request.
fn sent(side: &mut Side) -> Vec<(Flow, usize, Request)> {
    let transmits = std::iter::from_fn(|| side.endpoint.poll_transmit());
    let read = transmits.map(|transmit| match Message::parse(&transmit.bytes).unwrap() {
        Message::Request(request) => (transmit.flow, transmit.bytes.len(), request),
        Message::Response(response) => panic!("{response:?}"),
    });
    read.collect()
}

fn via(request: &Request) -> String {
    request.headers.get("Via").unwrap().to_owned()
}

/// The body with which the request has exactly 1300 bytes.
fn most() -> usize {
    let mut side = Side::new();
    ask(&mut side, 900);
    let (_, size, _) = sent(&mut side).remove(0);
    900 + 1300 - size
}

#[test]
fn a_request_of_1300_bytes_is_a_datagram_and_one_of_1301_goes_over_tcp_to_the_same_hop() {
    let mut side = Side::with(|config| config.tcp_port = Some(5070));
    ask(&mut side, most());
    let (flow, size, request) = sent(&mut side).remove(0);
    assert_eq!((flow, size), (udp(), 1300));
    assert!(via(&request).starts_with("SIP/2.0/UDP 192.0.2.1;"), "{}", via(&request));
    ask(&mut side, most() + 1);
    let (flow, _, request) = sent(&mut side).remove(0);
    assert_eq!(flow, tcp());
    assert!(via(&request).starts_with("SIP/2.0/TCP 192.0.2.1:5070;"), "{}", via(&request));
    assert!(side.pass(support::T1 * 3).iter().all(|(_, word)| word == "OPTIONS"));
    side.answer(tcp(), &request, StatusCode::OK);
    assert!(side.event_words().contains(&"response 200".to_owned()));
}

#[test]
fn over_tcp_a_large_request_is_not_repeated() {
    let mut side = Side::new();
    ask(&mut side, 2000);
    assert_eq!(sent(&mut side).len(), 1);
    assert!(side.pass(support::LONG / 2).is_empty());
}

#[test]
fn a_large_request_whose_connection_is_refused_goes_out_as_a_datagram_once_and_its_transaction_begins_anew() {
    let mut side = Side::new();
    ask(&mut side, 2000);
    let (_, _, first) = sent(&mut side).remove(0);
    side.now += support::T1;
    side.endpoint.handle_flow_refused(side.now, tcp(), "it refuses the TCP connection");
    let (flow, _, again) = sent(&mut side).remove(0);
    assert_eq!(flow, udp());
    assert!(via(&again).starts_with("SIP/2.0/UDP "));
    assert_ne!(via(&again).split("branch=").nth(1), via(&first).split("branch=").nth(1));
    assert_eq!(again.headers.get("CSeq"), first.headers.get("CSeq"));
    assert_eq!(again.body, first.body);
    let repeated = side.pass(support::T1);
    assert_eq!(repeated, [(support::T1, "OPTIONS".to_owned())], "a datagram may get lost");
    side.answer(udp(), &again, StatusCode::OK);
    assert_eq!(side.event_words(), ["response 200"]);
    side.assert_empty();
}

#[test]
fn a_peer_that_took_no_connection_is_spared_the_next_ones_for_a_while() {
    let mut side = Side::new();
    ask(&mut side, 2000);
    side.endpoint.handle_flow_refused(side.now, tcp(), "it refuses the TCP connection");
    sent(&mut side);
    ask(&mut side, 2000);
    assert_eq!(sent(&mut side).remove(0).0, udp());
    side.now += std::time::Duration::from_secs(601);
    ask(&mut side, 2000);
    assert_eq!(sent(&mut side).remove(0).0, tcp());
}

#[test]
fn a_large_request_that_was_heard_is_not_sent_again_when_its_connection_is_lost() {
    let mut side = Side::new();
    let session = invite(&mut side);
    let (_, _, request) = sent(&mut side).remove(0);
    side.answer(tcp(), &request, StatusCode::TRYING);
    side.endpoint.handle_flow_failed(side.now, tcp());
    assert!(sent(&mut side).is_empty());
    assert_eq!(side.event_words(), ["refused 503 local", "ended"]);
    assert!(side.endpoint.call_id(session).is_none());
}

fn invite(side: &mut Side) -> sip::SessionId {
    let address = |text: &str| NameAddr::new(Uri::parse(text).unwrap());
    let invitation = sip::Invitation {
        flow: udp(),
        uri: Uri::parse("sip:bob@198.51.100.7").unwrap(),
        from: address("sip:alice@192.0.2.1"),
        to: address("sip:bob@198.51.100.7"),
        contact: Uri::parse("sip:alice@192.0.2.1:5060").unwrap(),
        max_forwards: None,
        headers: Vec::new(),
        body: Some(("application/sdp".to_owned(), vec![b'x'; 1400].into())),
        session_expires: None,
        credentials: None,
        reliability: sip::Reliability::Off,
    };
    side.endpoint.invite(side.now, invitation)
}

#[test]
fn the_cancel_of_a_large_invite_goes_where_it_went_and_the_dialogs_next_requests_are_datagrams() {
    let mut side = Side::new();
    let session = invite(&mut side);
    let (_, _, request) = sent(&mut side).remove(0);
    side.answer(tcp(), &request, StatusCode::RINGING);
    side.endpoint.cancel(side.now, session, None);
    let (flow, _, cancel) = sent(&mut side).remove(0);
    assert_eq!((flow, &cancel.method, via(&cancel)), (tcp(), &Method::Cancel, via(&request)));

    let session = invite(&mut side);
    let (_, _, request) = sent(&mut side).remove(0);
    side.answer(tcp(), &request, StatusCode::OK);
    side.endpoint.bye(side.now, session, None);
    let rest: Vec<_> = sent(&mut side).into_iter().map(|(flow, _, request)| (flow, request.method)).collect();
    assert_eq!(rest, [(udp(), Method::Ack), (udp(), Method::Bye)]);
}

#[test]
fn a_peer_whose_contact_asks_for_tcp_keeps_the_dialog_there() {
    let mut side = Side::new();
    let session = invite(&mut side);
    let (_, _, request) = sent(&mut side).remove(0);
    let response = sip::Response::for_request(&request, StatusCode::OK).with_to_tag("bobtag");
    let response = response.with_header("Contact", "<sip:bob@198.51.100.7:5060;transport=tcp>");
    side.endpoint.handle_message(side.now, tcp(), &response.to_bytes());
    side.endpoint.bye(side.now, session, None);
    let rest: Vec<_> = sent(&mut side).into_iter().map(|(flow, _, request)| (flow, request.method)).collect();
    assert_eq!(rest, [(tcp(), Method::Ack), (tcp(), Method::Bye)]);
}

#[test]
fn a_large_invite_that_fell_back_is_cancelled_as_a_datagram() {
    let mut side = Side::new();
    let session = invite(&mut side);
    sent(&mut side);
    side.endpoint.handle_flow_refused(side.now, tcp(), "it does not answer the TCP connection");
    let (_, _, request) = sent(&mut side).remove(0);
    side.answer(udp(), &request, StatusCode::RINGING);
    side.endpoint.cancel(side.now, session, None);
    let (flow, _, cancel) = sent(&mut side).remove(0);
    assert_eq!((flow, &cancel.method, via(&cancel)), (udp(), &Method::Cancel, via(&request)));
}

#[test]
fn a_small_request_over_tcp_has_no_datagram_to_go_back_to() {
    let mut side = Side::new();
    let (_, _) = side.invite(tcp());
    side.endpoint.handle_flow_refused(side.now, tcp(), "it refuses the TCP connection");
    assert_eq!(side.event_words(), ["refused 503 local", "ended"]);
    assert!(sent(&mut side).is_empty());
}
