//! What an endpoint keeps of what anybody may send it: little, and for every peer a bounded amount.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods
)]

mod support;

use sip::{ConnectionId, Flow, ResponseDraft, StatusCode};
use support::{Side, request, udp, websocket};

/// A text that fills whatever keeps it.
fn padding() -> String {
    "padding".repeat(1000)
}

/// An INVITE with padding everywhere a sender can put it: branch, tags, Call-ID, headers, body.
fn padded(branch: &str) -> String {
    let padding = padding();
    let text = request("INVITE", &format!("{branch}{padding}"), 1, "", &format!("Subject: {padding}\r\n"));
    text.replace("call-1", &format!("{branch}{padding}")).replace("tag=bobtag", &format!("tag={padding}"))
}

fn keeps_padding(side: &Side) -> bool {
    format!("{:?}", side.endpoint).contains("padding")
}

#[test]
fn nothing_is_kept_of_a_refused_invite_but_what_its_ack_is_known_by() {
    let mut side = Side::new();
    side.receive(websocket(), &padded("1"));
    let session = side.invited();
    assert!(keeps_padding(&side));
    side.endpoint.reject(side.now, session, ResponseDraft::new(StatusCode::PROXY_AUTHENTICATION_REQUIRED));
    assert_eq!(side.sent_words(), ["100", "407"]);
    side.events();
    assert!(!keeps_padding(&side));
    assert_eq!(side.endpoint.counters().server_transactions, 1);
    let ack = padded("1").replace("INVITE sip", "ACK sip").replace("1 INVITE", "1 ACK");
    side.receive(websocket(), &ack);
    assert_eq!(side.endpoint.counters().server_transactions, 0, "the ACK finds it");
    assert_eq!(side.endpoint.counters().stray, 0);
}

#[test]
fn over_datagrams_the_refusal_is_kept_to_be_repeated_and_the_request_is_not() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", &format!("Subject: {}\r\n", padding())));
    let session = side.invited();
    side.endpoint.reject(side.now, session, ResponseDraft::new(StatusCode::BUSY_HERE));
    assert!(!keeps_padding(&side));
    side.sent();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    assert_eq!(side.sent_words(), ["486"]);
}

#[test]
fn a_websocket_has_a_bounded_number_of_transactions_and_others_are_not_concerned() {
    let mut side = Side::new();
    for number in 0..200 {
        let text = request("INVITE", &number.to_string(), 1, "", "").replace("call-1", &number.to_string());
        side.receive(websocket(), &text);
    }
    assert_eq!(side.endpoint.counters().server_transactions, 128);
    assert_eq!(side.sent_words().iter().filter(|word| *word == "503").count(), 72);
    let other = Flow { connection: Some(ConnectionId(2)), ..websocket() };
    for flow in [other, udp()] {
        side.receive(flow, &request("INVITE", "x", 1, "", ""));
        assert_eq!(side.sent_words(), ["100"]);
    }
}
