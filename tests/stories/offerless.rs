//! An INVITE without an offer: ours goes out with the 200, the answer comes with the ACK (RFC 3261 §13.2.1).

use media::Command;
use sip::{SessionEvent, StatusCode};
use switchboard::CallResult;
use testkit::{MediaScript, Simulation};

use crate::PLAN;

/// An offerless call from the trunk to 100, answered; the trunk's ACK carries `answer`.
fn call(script: MediaScript, answer: &str) -> (Simulation, std::net::SocketAddr, sip::SessionId) {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register(browser, "100", 600);
    let (now, to) = (simulation.now, "sip:+493011100@203.0.113.1");
    let session = simulation.peer(trunk).invite(now, "sip:+15550001111@198.51.100.1", to, None, None);
    simulation.settle();
    // The peer's stack would answer with an empty ACK.
    simulation.loses = Box::new(move |peer, text| peer == trunk && text.starts_with("ACK "));
    let incoming = simulation.incoming(browser);
    simulation.answer(browser, incoming, StatusCode::OK, Some("v=0 browser"));
    simulation.script = script;
    let ack = simulation.request_inside(trunk, session, "ACK", 1, "Content-Type: application/sdp\r\n", answer);
    assert_eq!(ack.map(|response| response.status), None, "nobody answers an ACK");
    (simulation, trunk, session)
}

#[test]
fn the_acks_answer_completes_the_call() {
    let (mut simulation, trunk, session) = call(MediaScript::Works, "v=0 late answer");
    let offered = simulation.events(trunk, session).into_iter().find_map(|event| match event {
        SessionEvent::Answered { response } => Some(response.body),
        _ => None,
    });
    let taken = simulation.commands.iter().rev().find_map(|command| match command {
        Command::HandleAnswer { session, sdp } => Some((session.0, sdp.clone())),
        _ => None,
    });
    let (caller, sdp) = taken.unwrap();
    assert_eq!(sdp, b"v=0 late answer");
    assert_eq!(offered.unwrap(), format!("v=0 session {caller}"), "the answer goes to the session that offered");
    simulation.pass(std::time::Duration::from_secs(60));
    assert_eq!(simulation.switchboard.call_count(), 1);
    simulation.hang_up(trunk, session);
    simulation.assert_all_over();
    assert_eq!(simulation.records[0].result, CallResult::Answered);
}

#[test]
fn an_answer_that_cannot_be_used_ends_the_call() {
    let (mut simulation, trunk, session) = call(MediaScript::RejectsAnswers, "v=0 nonsense");
    assert!(simulation.is_hung_up(trunk, session));
    simulation.assert_all_over();
    assert_eq!(simulation.records[0].result, CallResult::Failed);
}

#[test]
fn an_agent_may_call_without_an_offer_too() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.loses = Box::new(move |peer, text| peer == browser && text.starts_with("ACK "));
    let session = simulation.call_with(browser, "100", "+15551234567", None);
    let incoming = simulation.incoming(trunk);
    simulation.answer(trunk, incoming, StatusCode::SESSION_PROGRESS, Some("v=0 early"));
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0 trunk"));
    let headers = "Content-Type: application/sdp\r\n";
    let number = simulation.events(browser, session).into_iter().find_map(|event| match event {
        SessionEvent::Answered { response } => Some(response.headers.cseq().unwrap().unwrap().number),
        _ => None,
    });
    simulation.request_inside(browser, session, "ACK", number.unwrap(), headers, "v=0 late answer");
    simulation.pass(std::time::Duration::from_secs(60));
    assert_eq!(simulation.switchboard.call_count(), 1, "the ACK counts");
    simulation.hang_up(browser, session);
    simulation.assert_all_over();
    assert_eq!(simulation.records[0].result, CallResult::Answered);
}
