//! The process stops: no new calls, running ones go on until the deadline, then everybody is told.

use std::time::Duration;

use sip::{Method, StatusCode};
use switchboard::{EndedBy, Operator};
use testkit::Simulation;

use crate::{PLAN, talk};

#[test]
fn a_draining_gateway_refuses_calls_from_both_sides_and_lets_running_ones_talk() {
    let mut talk = talk();
    let now = talk.simulation.now;
    talk.simulation.switchboard.handle_operator(now, Operator::Drain).unwrap();
    assert!(talk.simulation.switchboard.is_draining());
    let other = talk.simulation.browser(2);
    let out = talk.simulation.call(other, "101", "+15551234567");
    let to = "sip:+493011100@203.0.113.1";
    let trunk = talk.trunk;
    let inbound = talk.simulation.peer(trunk).invite(now, "sip:+15550001111@x.example", to, Some("v=0"), None);
    talk.simulation.settle();
    for (peer, session) in [(other, out), (trunk, inbound)] {
        let refused = talk.simulation.refusal(peer, session).unwrap();
        assert_eq!((refused.status, refused.headers.get("Retry-After")), (StatusCode::SERVICE_UNAVAILABLE, Some("10")));
        assert_eq!(refused.headers.reasons()[0].cause, Some(42));
    }
    talk.simulation.pass(Duration::from_secs(600));
    assert_eq!(talk.simulation.switchboard.call_count(), 1);
    let info = "Content-Type: application/dtmf-relay\r\n";
    let digit = talk.simulation.request_inside(talk.browser, talk.outgoing, "INFO", 9, info, "Signal=1\r\n").unwrap();
    assert_eq!(digit.status, StatusCode::OK);
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    talk.simulation.assert_all_over();
}

#[test]
fn at_the_deadline_both_sides_of_every_call_are_told() {
    let mut talk = talk();
    let (ringing, phone) = (talk.simulation.browser(2), talk.simulation.browser(3));
    talk.simulation.register(phone, "102", 600);
    let waiting = talk.simulation.call(ringing, "101", "102");
    let rung = talk.simulation.incoming(phone);
    talk.simulation.answer(phone, rung, StatusCode::RINGING, None);
    let now = talk.simulation.now;
    talk.simulation.switchboard.handle_operator(now, Operator::Drain).unwrap();
    talk.simulation.switchboard.handle_operator(now, Operator::HangupAll).unwrap();
    talk.simulation.settle();
    for (peer, session) in [(talk.browser, talk.outgoing), (talk.trunk, talk.incoming)] {
        assert!(talk.simulation.is_hung_up(peer, session));
        assert_eq!(talk.simulation.requests_to(peer, &Method::Bye).len(), 1);
    }
    assert!(talk.simulation.is_cancelled(phone, rung));
    assert_eq!(talk.simulation.refusal(ringing, waiting).unwrap().status, StatusCode::TEMPORARILY_UNAVAILABLE);
    assert_eq!(talk.simulation.switchboard.session_count(), 0, "nothing is left to wait for");
    talk.simulation.assert_all_over();
    assert!(talk.simulation.records.iter().all(|record| record.ended_by == EndedBy::Operator));
    assert_eq!(talk.simulation.records.len(), 2);
}

#[test]
fn an_unknown_call_cannot_be_hung_up_and_a_known_one_ends_by_the_operator() {
    let mut talk = talk();
    let now = talk.simulation.now;
    let unknown = Operator::Hangup { call: switchboard::CallId("call_none".to_owned()) };
    assert!(talk.simulation.switchboard.handle_operator(now, unknown).is_err());
    let call = talk.simulation.views.last().unwrap().id.clone();
    talk.simulation.switchboard.handle_operator(now, Operator::Hangup { call }).unwrap();
    talk.simulation.settle();
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    assert!(talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    talk.simulation.assert_all_over();
    assert_eq!(talk.simulation.records[0].ended_by, EndedBy::Operator);
}

#[test]
fn registrations_are_kept_while_draining() {
    let mut simulation = Simulation::new(PLAN);
    let browser = simulation.browser(1);
    let now = simulation.now;
    simulation.switchboard.handle_operator(now, Operator::Drain).unwrap();
    assert_eq!(simulation.register(browser, "100", 600).status, StatusCode::OK);
    assert_eq!(simulation.bindings["100"].len(), 1);
}
