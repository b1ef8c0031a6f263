//! The caller changes its mind, at any moment.

use std::time::Duration;

use sip::{Method, SessionEvent, SessionId, StatusCode};
use switchboard::CallResult;
use testkit::{MediaScript, Simulation};

use crate::{PLAN, talk};

fn cancel(simulation: &mut Simulation, browser: std::net::SocketAddr, session: SessionId) {
    let now = simulation.now;
    simulation.peer(browser).endpoint.cancel(now, session, None);
    simulation.settle();
}

/// The caller got its 487, and the call is recorded as cancelled.
fn assert_cancelled(simulation: &mut Simulation, browser: std::net::SocketAddr, session: SessionId) {
    let refused = simulation.refusal(browser, session).unwrap();
    assert_eq!(refused.status, StatusCode::REQUEST_TERMINATED);
    simulation.assert_all_over();
    let record = &simulation.records[0];
    assert_eq!((simulation.records.len(), record.result, record.sip_status), (1, CallResult::Cancelled, 487));
}

#[test]
fn before_the_shard_has_made_an_offer_nothing_is_sent_to_the_trunk() {
    let mut simulation = Simulation::new(PLAN);
    simulation.script = MediaScript::Mute;
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    let session = simulation.call(browser, "100", "+15551234567");
    cancel(&mut simulation, browser, session);
    assert!(simulation.invites(trunk).is_empty());
    assert_cancelled(&mut simulation, browser, session);
}

#[test]
fn before_the_trunk_was_heard_its_cancel_waits_for_the_first_response() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.loses = Box::new(move |peer, text| peer == trunk && text.starts_with("INVITE "));
    let session = simulation.call(browser, "100", "+15551234567");
    cancel(&mut simulation, browser, session);
    assert!(simulation.requests_to(trunk, &Method::Cancel).is_empty(), "it could overtake the INVITE (RFC 3261 §9.1)");
    simulation.loses = Box::new(|_, _| false);
    simulation.pass(Duration::from_secs(3));
    let incoming = simulation.incoming(trunk);
    assert!(simulation.is_cancelled(trunk, incoming));
    assert_cancelled(&mut simulation, browser, session);
}

#[test]
fn while_the_trunk_rings_or_plays_early_media() {
    for (status, sdp) in [(StatusCode::RINGING, None), (StatusCode::SESSION_PROGRESS, Some("v=0 early"))] {
        let mut simulation = Simulation::new(PLAN);
        let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
        let session = simulation.call(browser, "100", "+15551234567");
        let incoming = simulation.incoming(trunk);
        simulation.answer(trunk, incoming, status, sdp);
        cancel(&mut simulation, browser, session);
        assert!(simulation.is_cancelled(trunk, incoming));
        assert_cancelled(&mut simulation, browser, session);
    }
}

#[test]
fn while_media_is_agreed_on_the_trunk_that_answered_is_hung_up() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    let session = simulation.call(browser, "100", "+15551234567");
    let incoming = simulation.incoming(trunk);
    simulation.script = MediaScript::Mute;
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0 trunk"));
    assert!(!simulation.is_answered(browser, session));
    cancel(&mut simulation, browser, session);
    assert!(simulation.is_hung_up(trunk, incoming));
    assert_cancelled(&mut simulation, browser, session);
}

#[test]
fn between_two_trunks() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, main, spare) = (simulation.browser(1), simulation.gateway(1), simulation.gateway(2));
    let session = simulation.call(browser, "100", "+15551234567");
    let incoming = simulation.incoming(main);
    simulation.answer(main, incoming, StatusCode::SERVICE_UNAVAILABLE, None);
    let incoming = simulation.incoming(spare);
    cancel(&mut simulation, browser, session);
    assert!(simulation.is_cancelled(spare, incoming));
    assert_cancelled(&mut simulation, browser, session);
}

#[test]
fn a_200_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    let session = simulation.call(browser, "100", "+15551234567");
    let incoming = simulation.incoming(trunk);
    simulation.answer(trunk, incoming, StatusCode::RINGING, None);
    simulation.loses = Box::new(move |peer, text| peer == trunk && text.starts_with("CANCEL "));
    cancel(&mut simulation, browser, session);
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0 trunk"));
    assert!(simulation.is_hung_up(trunk, incoming));
    let events = simulation.events(trunk, incoming);
    assert!(events.iter().any(|event| matches!(event, SessionEvent::Confirmed { .. })), "the 200 got its ACK");
    assert!(!simulation.is_answered(browser, session));
    assert_cancelled(&mut simulation, browser, session);
}

#[test]
fn after_the_answer_a_cancel_changes_nothing() {
    let mut talk = talk();
    let invite = talk.simulation.events(talk.browser, talk.outgoing).into_iter().find_map(|event| match event {
        SessionEvent::Answered { response } => Some(response.headers),
        _ => None,
    });
    let invite = invite.unwrap();
    let get = |name: &str| invite.get(name).unwrap_or_default().to_owned();
    let number = invite.cseq().unwrap().unwrap().number;
    let text = format!(
        "CANCEL sip:+15551234567@phone.example.com SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\n\
         To: <sip:+15551234567@phone.example.com>\r\nCall-ID: {}\r\nCSeq: {number} CANCEL\r\nContent-Length: 0\r\n\r\n",
        get("Via"),
        get("From"),
        get("Call-ID")
    );
    let (now, flow) = (talk.simulation.now, talk.simulation.peer(talk.browser).from_switchboard);
    talk.simulation.switchboard.handle_message(now, flow, text.as_bytes());
    talk.simulation.settle();
    let answered = talk.simulation.sent.last().map(|(_, _, message)| match message {
        sip::Message::Response(response) => response.status,
        sip::Message::Request(request) => panic!("{request:?}"),
    });
    assert_eq!(answered, Some(StatusCode::OK), "the INVITE's transaction is still known");
    assert!(!talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    talk.simulation.assert_all_over();
    assert_eq!(talk.simulation.records[0].result, CallResult::Answered);
}
