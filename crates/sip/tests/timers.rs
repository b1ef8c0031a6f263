//! Timers A to M (RFC 3261 table 4, RFC 6026) and those of 2xx and CANCEL, each on the simulated clock.
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

use sip::{NameAddr, OutgoingRequest, ResponseDraft, StatusCode, Uri};
use support::{LONG, Side, T1, T2, T4, request, tag_of, udp, websocket};

fn seconds(sent: &[(Duration, String)], wanted: &str) -> Vec<f64> {
    sent.iter().filter(|(_, word)| word == wanted).map(|(at, _)| at.as_secs_f64()).collect()
}

fn options(side: &mut Side, flow: sip::Flow) -> sip::Request {
    let address = |text: &str| NameAddr::new(Uri::parse(text).unwrap());
    let outgoing = OutgoingRequest {
        flow,
        method: sip::Method::Options,
        uri: Uri::parse("sip:198.51.100.7").unwrap(),
        from: address("sip:192.0.2.1"),
        to: address("sip:198.51.100.7"),
        series: None,
        headers: Vec::new(),
        body: None,
        credentials: None,
    };
    side.endpoint.send_request(side.now, outgoing);
    side.last_request()
}

#[test]
fn timer_a_retransmits_an_invite_at_doubling_intervals() {
    let mut side = Side::new();
    side.invite(udp());
    let sent = side.pass(LONG);
    assert_eq!(seconds(&sent, "INVITE"), [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]);
}

#[test]
fn timer_a_does_not_run_on_a_reliable_transport() {
    let mut side = Side::new();
    side.invite(websocket());
    assert!(side.pass(LONG).is_empty());
}

#[test]
fn timer_b_gives_up_an_invite_nobody_answers_after_32_seconds() {
    for flow in [udp(), websocket()] {
        let mut side = Side::new();
        side.invite(flow);
        side.pass(T1 * 64 - Duration::from_millis(1));
        assert!(side.event_words().is_empty());
        side.pass(Duration::from_millis(1));
        assert_eq!(side.event_words(), ["refused 408 local", "ended"]);
        side.assert_empty();
    }
}

#[test]
fn timers_a_and_b_stop_at_a_provisional_response() {
    let mut side = Side::new();
    let (_, invite) = side.invite(udp());
    side.answer(udp(), &invite, StatusCode::RINGING);
    assert_eq!(side.event_words(), ["progress 180"]);
    assert!(side.pass(Duration::from_secs(170)).is_empty());
    assert!(side.event_words().is_empty());
}

#[test]
fn timer_d_acknowledges_repeated_failures_for_32_seconds() {
    let mut side = Side::new();
    let (_, invite) = side.invite(udp());
    side.answer(udp(), &invite, StatusCode::BUSY_HERE);
    assert_eq!(side.sent_words(), ["ACK"]);
    assert_eq!(side.event_words(), ["refused 486", "ended"]);
    side.pass(LONG - Duration::from_millis(1));
    side.answer(udp(), &invite, StatusCode::BUSY_HERE);
    assert_eq!(side.sent_words(), ["ACK"]);
    assert!(side.event_words().is_empty());
    side.pass(Duration::from_millis(1));
    side.answer(udp(), &invite, StatusCode::BUSY_HERE);
    assert!(side.sent_words().is_empty());
    side.assert_empty();
}

#[test]
fn timer_d_is_zero_on_a_reliable_transport() {
    let mut side = Side::new();
    let (_, invite) = side.invite(websocket());
    side.answer(websocket(), &invite, StatusCode::BUSY_HERE);
    assert_eq!(side.sent_words(), ["ACK"]);
    assert_eq!(side.endpoint.counters().client_transactions, 0);
}

#[test]
fn timer_e_retransmits_a_request_up_to_every_four_seconds() {
    let mut side = Side::new();
    options(&mut side, udp());
    let sent = side.pass(Duration::from_secs(20));
    assert_eq!(seconds(&sent, "OPTIONS"), [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5]);
}

#[test]
fn timer_e_slows_to_t2_after_a_provisional_response() {
    let mut side = Side::new();
    let sent = options(&mut side, udp());
    side.answer(udp(), &sent, StatusCode::TRYING);
    let sent = side.pass(Duration::from_secs(10));
    assert_eq!(seconds(&sent, "OPTIONS"), [0.5, 0.5 + T2.as_secs_f64(), 0.5 + 2.0 * T2.as_secs_f64()]);
}

#[test]
fn timer_f_gives_up_a_request_nobody_answers_after_32_seconds() {
    for flow in [udp(), websocket()] {
        let mut side = Side::new();
        options(&mut side, flow);
        side.pass(T1 * 64);
        assert_eq!(side.event_words(), ["response 408"]);
        side.assert_empty();
    }
}

#[test]
fn timer_g_retransmits_a_failure_until_its_ack() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    side.endpoint.reject(side.now, session, ResponseDraft::new(StatusCode::BUSY_HERE));
    assert_eq!(side.sent_words(), ["100", "486"]);
    let sent = side.pass(Duration::from_secs(10));
    assert_eq!(seconds(&sent, "486"), [0.5, 1.5, 3.5, 7.5]);
    side.receive(udp(), &request("ACK", "1", 1, "any", ""));
    assert!(side.pass(LONG).is_empty());
    side.assert_empty();
}

#[test]
fn timer_h_gives_up_waiting_for_the_ack_of_a_failure() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    side.endpoint.reject(side.now, session, ResponseDraft::new(StatusCode::BUSY_HERE));
    side.pass(LONG - Duration::from_millis(1));
    assert_eq!(side.endpoint.counters().server_transactions, 1);
    side.pass(Duration::from_millis(1));
    assert_eq!(side.endpoint.counters().server_transactions, 0);
}

#[test]
fn timer_i_absorbs_repeated_acks_for_t4() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    side.endpoint.reject(side.now, session, ResponseDraft::new(StatusCode::BUSY_HERE));
    side.receive(udp(), &request("ACK", "1", 1, "any", ""));
    side.receive(udp(), &request("ACK", "1", 1, "any", ""));
    assert_eq!(side.endpoint.counters().stray, 0);
    side.pass(T4 - Duration::from_millis(1));
    assert_eq!(side.endpoint.counters().server_transactions, 1);
    side.pass(Duration::from_millis(1));
    assert_eq!(side.endpoint.counters().server_transactions, 0);
}

#[test]
fn timer_j_repeats_the_answer_to_a_retransmitted_request_for_32_seconds() {
    let mut side = Side::new();
    side.receive(udp(), &request("OPTIONS", "1", 1, "", ""));
    let id = side
        .events()
        .into_iter()
        .find_map(|event| match event {
            sip::Event::Request { id, .. } => Some(id),
            _ => None,
        })
        .expect("told");
    side.endpoint.respond(side.now, id, ResponseDraft::new(StatusCode::OK));
    side.pass(LONG - Duration::from_millis(1));
    side.sent();
    side.receive(udp(), &request("OPTIONS", "1", 1, "", ""));
    assert_eq!(side.sent_words(), ["200"]);
    assert!(side.event_words().is_empty());
    side.pass(Duration::from_millis(1));
    assert_eq!(side.endpoint.counters().server_transactions, 0);
}

#[test]
fn timer_k_absorbs_repeated_answers_for_t4() {
    let mut side = Side::new();
    let sent = options(&mut side, udp());
    side.answer(udp(), &sent, StatusCode::OK);
    side.answer(udp(), &sent, StatusCode::OK);
    assert_eq!(side.event_words(), ["response 200"]);
    side.pass(T4 - Duration::from_millis(1));
    assert_eq!(side.endpoint.counters().client_transactions, 1);
    side.pass(Duration::from_millis(1));
    assert_eq!(side.endpoint.counters().client_transactions, 0);
}

#[test]
fn timer_l_absorbs_a_retransmitted_invite_after_the_2xx() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    let tag = tag_of(&side.accept(session));
    side.receive(udp(), &request("ACK", "2", 1, &tag, ""));
    assert_eq!(side.event_words(), ["confirmed"]);
    side.pass(LONG - Duration::from_millis(1));
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    assert!(side.sent_words().is_empty() && side.event_words().is_empty());
    side.pass(Duration::from_millis(1));
    assert_eq!(side.endpoint.counters().server_transactions, 0);
}

#[test]
fn timer_m_acknowledges_a_repeated_2xx_for_32_seconds() {
    let mut side = Side::new();
    let (_, invite) = side.invite(udp());
    side.answer(udp(), &invite, StatusCode::OK);
    assert_eq!(side.sent_words(), ["ACK"]);
    side.pass(LONG - Duration::from_millis(1));
    side.answer(udp(), &invite, StatusCode::OK);
    assert_eq!(side.sent_words(), ["ACK"]);
    assert_eq!(side.event_words(), ["answered"]);
    side.pass(Duration::from_millis(1));
    assert_eq!(side.endpoint.counters().client_transactions, 0);
}

#[test]
fn a_2xx_is_repeated_until_its_ack_and_hung_up_without_one() {
    for flow in [udp(), websocket()] {
        let mut side = Side::new();
        side.receive(flow, &request("INVITE", "1", 1, "", ""));
        let session = side.invited();
        side.accept(session);
        let sent = side.pass(LONG);
        assert_eq!(seconds(&sent, "200"), [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]);
        assert_eq!(seconds(&sent, "BYE"), [32.0]);
        assert_eq!(side.event_words(), ["no ack"]);
        side.pass(LONG);
        assert_eq!(side.event_words(), ["ended"]);
        side.assert_empty();
    }
}

#[test]
fn a_provisional_response_is_repeated_each_minute() {
    let mut side = Side::new();
    side.receive(udp(), &request("INVITE", "1", 1, "", ""));
    let session = side.invited();
    side.endpoint.progress(side.now, session, ResponseDraft::new(StatusCode::RINGING));
    side.sent();
    let sent = side.pass(Duration::from_secs(130));
    assert_eq!(seconds(&sent, "180"), [60.0, 120.0]);
}

#[test]
fn a_cancel_without_final_response_counts_as_cancelled_after_32_seconds() {
    let mut side = Side::new();
    let (session, invite) = side.invite(udp());
    side.answer(udp(), &invite, StatusCode::RINGING);
    side.endpoint.cancel(side.now, session, None);
    let cancel = side.last_request();
    side.answer(udp(), &cancel, StatusCode::OK);
    side.events();
    side.pass(LONG);
    assert_eq!(side.event_words(), ["refused 487 local", "ended"]);
    side.assert_empty();
}
