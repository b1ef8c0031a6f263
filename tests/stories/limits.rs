//! Limits: calls of the process, channels of a trunk, calls of an agent. Each refusal says why.

use sip::{Response, StatusCode};
use testkit::Simulation;

use crate::{PLAN, talk_in};

/// The status and the Q.850 cause.
fn told(response: Option<Response>) -> (u16, Option<u16>) {
    let response = response.expect("a refusal");
    let reason = response.headers.reasons().into_iter().find(|reason| reason.protocol == "Q.850");
    (response.status.code(), reason.and_then(|reason| reason.cause))
}

#[test]
fn one_call_too_many_for_the_process_is_503_with_reason_and_retry_after() {
    let mut talk = talk_in(Simulation::with(PLAN, |config, _| config.max_calls = 1));
    let other = talk.simulation.browser(2);
    let session = talk.simulation.call(other, "101", "9196");
    let refused = talk.simulation.refusal(other, session);
    assert_eq!(refused.as_ref().unwrap().headers.get("Retry-After"), Some("10"));
    assert_eq!(told(refused), (503, Some(42)));
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    let session = talk.simulation.call(other, "101", "9196");
    assert!(talk.simulation.is_answered(other, session), "the place is free again");
    talk.simulation.hang_up(other, session);
    talk.simulation.assert_all_over();
    assert_eq!(talk.simulation.records.len(), 2, "a call refused at the door is no call");
}

#[test]
fn a_full_trunk_leads_to_the_next_and_only_full_trunks_to_503() {
    let mut talk = talk_in(Simulation::with(PLAN, |_, directory| {
        directory.trunks.values_mut().for_each(|trunk| trunk.max_channels = 1);
    }));
    let (second, third, spare) = (talk.simulation.browser(2), talk.simulation.browser(3), talk.simulation.gateway(2));
    let on_spare = talk.simulation.call(second, "101", "+15551234567");
    assert_eq!(talk.simulation.invites(spare).len(), 1);
    let session = talk.simulation.call(third, "102", "+15551234567");
    assert_eq!(told(talk.simulation.refusal(third, session)), (503, Some(42)));
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    let session = talk.simulation.call(third, "102", "+15551234567");
    assert_eq!(talk.simulation.invites(talk.trunk).len(), 2, "the channel is free again");
    let now = talk.simulation.now;
    talk.simulation.peer(third).endpoint.cancel(now, session, None);
    talk.simulation.peer(second).endpoint.cancel(now, on_spare, None);
    talk.simulation.assert_all_over();
}

#[test]
fn a_full_trunks_own_calls_are_503_too() {
    let mut talk = talk_in(Simulation::with(PLAN, |_, directory| {
        directory.trunks.values_mut().for_each(|trunk| trunk.max_channels = 1);
    }));
    let (trunk, now, to) = (talk.trunk, talk.simulation.now, "sip:+493011100@203.0.113.1");
    let session = talk.simulation.peer(trunk).invite(now, "sip:+15550001111@x.example", to, Some("v=0"), None);
    talk.simulation.settle();
    assert_eq!(told(talk.simulation.refusal(trunk, session)), (503, Some(42)));
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    talk.simulation.assert_all_over();
    assert_eq!(talk.simulation.records.len(), 2, "a carrier's call that found no room is on record");
}

#[test]
fn an_agent_in_its_only_call_is_busy_and_can_make_no_other() {
    let mut talk = talk_in(Simulation::new(PLAN));
    let other = talk.simulation.browser(2);
    talk.simulation.register(talk.browser, "100", 600);
    let session = talk.simulation.call(other, "101", "100");
    assert_eq!(told(talk.simulation.refusal(other, session)), (486, Some(17)));
    let second = talk.simulation.call(talk.browser, "100", "9196");
    assert_eq!(told(talk.simulation.refusal(talk.browser, second)), (486, Some(17)));
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    let session = talk.simulation.call(other, "101", "100");
    let incoming = talk.simulation.incoming(talk.browser);
    talk.simulation.answer(talk.browser, incoming, StatusCode::OK, Some("v=0"));
    assert!(talk.simulation.is_answered(other, session));
    talk.simulation.hang_up(other, session);
    talk.simulation.assert_all_over();
}

#[test]
fn an_agent_who_calls_itself_is_busy() {
    let mut simulation = Simulation::new(PLAN);
    let browser = simulation.browser(1);
    simulation.register(browser, "100", 600);
    let session = simulation.call(browser, "100", "100");
    assert_eq!(told(simulation.refusal(browser, session)), (486, Some(17)));
    simulation.assert_all_over();
}

#[test]
fn with_room_for_two_calls_an_agent_gets_the_second() {
    let mut talk = talk_in(Simulation::with(PLAN, |_, directory| {
        directory.agents.get_mut("agt_100").unwrap().max_concurrent_calls = 2;
    }));
    let other = talk.simulation.browser(2);
    talk.simulation.register(talk.browser, "100", 600);
    let session = talk.simulation.call(other, "101", "100");
    assert_eq!(talk.simulation.invites(talk.browser).len(), 1);
    let third = talk.simulation.call(talk.browser, "100", "9196");
    assert_eq!(told(talk.simulation.refusal(talk.browser, third)), (486, Some(17)), "the ringing one counts");
    let now = talk.simulation.now;
    talk.simulation.peer(other).endpoint.cancel(now, session, None);
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    talk.simulation.assert_all_over();
}

#[test]
fn a_websocket_on_which_nobody_authenticated_is_heard_up_to_16_kilobytes() {
    let mut simulation = Simulation::new(PLAN);
    let browser = simulation.browser(1);
    let long = format!("v=0 {}", "a".repeat(17_000));
    let ask = |simulation: &mut Simulation| {
        let now = simulation.now;
        let (from, to) = ("sip:100@phone.example.com", "sip:9196@phone.example.com");
        let session = simulation.peer(browser).invite(now, from, to, Some(&long), None);
        simulation.settle();
        simulation.refusal(browser, session).unwrap().status
    };
    assert_eq!(ask(&mut simulation), StatusCode::MESSAGE_TOO_LARGE);
    simulation.register(browser, "100", 600);
    assert_eq!(ask(&mut simulation), StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    simulation.reconnect(browser, sip::ConnectionId(77));
    assert_eq!(ask(&mut simulation), StatusCode::MESSAGE_TOO_LARGE, "what was proven went with the connection");
}
