//! Limits: calls of the process, channels of a trunk, calls of an agent. Each refusal says why.

use std::time::Duration;

use sip::{Response, StatusCode};
use switchboard::Operator;
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
        directory.trunks.values_mut().for_each(|trunk| trunk.limits.max_channels = 1);
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
        directory.trunks.values_mut().for_each(|trunk| trunk.limits.max_channels = 1);
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
fn an_agent_who_holds_its_only_call_may_make_one_more_to_ask_about_it() {
    let mut talk = talk_in(Simulation::new(PLAN));
    let (colleague, other) = (talk.simulation.browser(2), talk.simulation.browser(3));
    talk.simulation.register(talk.browser, "100", 600);
    talk.simulation.register(colleague, "101", 600);
    talk.simulation.reinvite(talk.browser, talk.outgoing, Some("v=0 a=sendonly"));
    let asking = talk.simulation.call(talk.browser, "100", "101");
    let asked = talk.simulation.incoming(colleague);
    talk.simulation.answer(colleague, asked, StatusCode::OK, Some("v=0 colleague"));
    assert!(talk.simulation.is_answered(talk.browser, asking));
    // Nobody else reaches it meanwhile, and it makes no third call, not even holding both.
    let calling = talk.simulation.call(other, "102", "100");
    assert_eq!(told(talk.simulation.refusal(other, calling)), (486, Some(17)));
    talk.simulation.reinvite(talk.browser, asking, Some("v=0 a=sendonly"));
    let third = talk.simulation.call(talk.browser, "100", "9196");
    assert_eq!(told(talk.simulation.refusal(talk.browser, third)), (486, Some(17)));
    // What it asked for is what it was let do it for.
    let dialog = talk.simulation.peer(talk.browser).endpoint.replaces(asking).unwrap().to_string();
    let refer_to = format!("<sip:101@x?Replaces={}>", dialog.replace(';', "%3B").replace('=', "%3D"));
    assert_eq!(talk.simulation.refer(talk.browser, talk.outgoing, &refer_to), StatusCode::ACCEPTED);
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    assert_eq!(talk.simulation.switchboard.call_count(), 1);
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    assert!(talk.simulation.is_hung_up(colleague, asked));
    talk.simulation.assert_all_over();
}

#[test]
fn an_agent_whose_call_an_operator_holds_may_ask_too_but_not_one_who_is_held_or_rung() {
    let mut talk = talk_in(Simulation::new(PLAN));
    talk.simulation.register(talk.browser, "100", 600);
    let call = talk.simulation.views.last().unwrap().id.clone();
    // It is held, and holds nobody itself.
    talk.simulation.reinvite(talk.trunk, talk.incoming, Some("v=0 a=sendonly"));
    let second = talk.simulation.call(talk.browser, "100", "9196");
    assert_eq!(told(talk.simulation.refusal(talk.browser, second)), (486, Some(17)));
    let now = talk.simulation.now;
    talk.simulation.switchboard.handle_operator(now, Operator::Hold { call, leg: None, hold: true }).unwrap();
    talk.simulation.settle();
    let second = talk.simulation.call(talk.browser, "100", "9196");
    assert!(talk.simulation.is_answered(talk.browser, second));
    talk.simulation.hang_up(talk.browser, second);
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    // A call that rings at it is none it holds.
    let other = talk.simulation.browser(3);
    let calling = talk.simulation.call(other, "102", "100");
    let rung = talk.simulation.incoming(talk.browser);
    talk.simulation.answer(talk.browser, rung, StatusCode::RINGING, None);
    let third = talk.simulation.call(talk.browser, "100", "9196");
    assert_eq!(told(talk.simulation.refusal(talk.browser, third)), (486, Some(17)));
    let now = talk.simulation.now;
    talk.simulation.peer(other).endpoint.cancel(now, calling, None);
    talk.simulation.assert_all_over();
}

#[test]
fn a_step_that_rings_an_agent_again_does_not_take_the_step_before_for_another_call() {
    let plan = r#"
[[rule]]
context = "agents"
name = "again"
pattern = "1XX"
targets = [{ extension = "$0", timeout_s = 5 }, { ring_group = ["101", "103"], timeout_s = 5 }]
"#;
    let mut simulation = Simulation::new(plan);
    let (caller, callee) = (simulation.browser(1), simulation.browser(2));
    simulation.register(callee, "101", 600);
    let calling = simulation.call(caller, "100", "101");
    let first = simulation.incoming(callee);
    simulation.answer(callee, first, StatusCode::RINGING, None);
    simulation.pass(Duration::from_secs(6));
    assert!(simulation.is_cancelled(callee, first));
    let second = simulation.incoming(callee);
    assert_ne!(first, second, "it rings again");
    simulation.answer(callee, second, StatusCode::OK, Some("v=0 callee"));
    assert!(simulation.is_answered(caller, calling));
    simulation.hang_up(caller, calling);
    simulation.assert_all_over();
}

#[test]
fn a_gateway_that_failed_takes_up_no_channel_of_its_trunk_when_the_next_one_is_tried() {
    let mut simulation = Simulation::with(PLAN, |_, directory| {
        directory.trunks.remove("trk_spare");
        let trunk = directory.trunks.get_mut("trk_main").unwrap();
        trunk.limits.max_channels = 1;
        let mut second = trunk.gateways[0].clone();
        second.hops[0].address = "198.51.100.2:5060".parse().unwrap();
        second.priority = trunk.gateways[0].priority + 1;
        trunk.gateways.push(second);
    });
    let (browser, first, second) = (simulation.browser(1), simulation.gateway(1), simulation.gateway(2));
    let session = simulation.call(browser, "100", "+15551234567");
    let asked = simulation.incoming(first);
    simulation.answer(first, asked, StatusCode::SERVICE_UNAVAILABLE, None);
    let asked = simulation.incoming(second);
    simulation.answer(second, asked, StatusCode::OK, Some("v=0 second"));
    assert!(simulation.is_answered(browser, session));
    simulation.hang_up(browser, session);
    simulation.assert_all_over();
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
