//! A browser's connection is lost in the moments between the states of a call, or while a third party comes into it. Whoever is back in time
//! is told all it missed, and nobody waits for who is not.

use std::net::SocketAddr;
use std::time::Duration;

use sip::{ConnectionId, Method, SessionEvent, SessionId, StatusCode};
use switchboard::{CallResult, CallState, EndedBy};
use testkit::{MediaScript, Simulation};

use crate::coming_back::{DEVICE, NEXT};
use crate::consulting::{consulted_in, several};
use crate::transferring::{TO_COLLEAGUE, ringing, told};
use crate::{PLAN, Talk, talk_in};

/// The browser is on another connection and registers.
fn is_back(simulation: &mut Simulation, browser: SocketAddr, user: &str, connection: ConnectionId) {
    simulation.peer(browser).from_switchboard.connection = Some(connection);
    assert_eq!(simulation.register_as(browser, user, DEVICE, 600).status, StatusCode::OK);
}

/// Agent 100 has called a number; no shard has done its part yet.
fn routing() -> (Simulation, SocketAddr, SocketAddr, SessionId) {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register_as(browser, "100", DEVICE, 600);
    simulation.script = MediaScript::Slow;
    let outgoing = simulation.call(browser, "100", "+15551234567");
    assert!(simulation.invites(trunk).is_empty());
    (simulation, browser, trunk, outgoing)
}

#[test]
fn before_the_trunk_is_asked_the_caller_that_is_back_hears_it_ring_and_answer() {
    let (mut simulation, browser, trunk, outgoing) = routing();
    simulation.disconnect(browser);
    simulation.shards_catch_up();
    let incoming = simulation.incoming(trunk);
    is_back(&mut simulation, browser, "100", NEXT);
    simulation.answer(trunk, incoming, StatusCode::RINGING, None);
    let rings = |event: &SessionEvent| matches!(event, SessionEvent::Progress { response } if response.status == StatusCode::RINGING);
    assert!(simulation.events(browser, outgoing).iter().any(rings));
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0 trunk"));
    simulation.shards_catch_up();
    assert!(simulation.is_answered(browser, outgoing));
    simulation.hang_up(browser, outgoing);
    simulation.shards_catch_up();
    assert!(simulation.is_hung_up(trunk, incoming));
    simulation.assert_all_over();
}

#[test]
fn before_the_trunk_is_asked_and_not_back_in_time_the_trunk_rings_no_longer() {
    let (mut simulation, browser, trunk, _) = routing();
    simulation.disconnect(browser);
    simulation.shards_catch_up();
    let incoming = simulation.incoming(trunk);
    simulation.answer(trunk, incoming, StatusCode::RINGING, None);
    simulation.pass(Duration::from_secs(31));
    simulation.shards_catch_up();
    assert!(simulation.is_cancelled(trunk, incoming));
    simulation.assert_all_over();
    assert_eq!(simulation.records[0].ended_by, EndedBy::System);
}

#[test]
fn while_media_is_agreed_on_the_answer_waits_for_the_caller() {
    let (mut simulation, browser, trunk, outgoing) = routing();
    simulation.shards_catch_up();
    let incoming = simulation.incoming(trunk);
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0 trunk"));
    simulation.disconnect(browser);
    simulation.shards_catch_up();
    assert!(!simulation.is_answered(browser, outgoing));
    is_back(&mut simulation, browser, "100", NEXT);
    assert!(simulation.is_answered(browser, outgoing));
    assert_eq!(simulation.views.last().map(|view| view.state), Some(CallState::Connected));
    simulation.hang_up(trunk, incoming);
    simulation.shards_catch_up();
    assert!(simulation.is_hung_up(browser, outgoing));
    simulation.assert_all_over();
}

#[test]
fn who_hands_on_is_told_over_its_next_connection_and_hung_up_on() {
    let (mut talk, colleague, asked) = ringing();
    talk.simulation.disconnect(talk.browser);
    talk.pick_up(colleague, asked);
    assert_eq!(told(&mut talk.simulation, talk.browser), [100, 180]);
    is_back(&mut talk.simulation, talk.browser, "100", NEXT);
    assert_eq!(told(&mut talk.simulation, talk.browser), [100, 180, 200]);
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    talk.ends_handed_on(colleague, asked);
}

/// Agent 100 talks to 102 and hands it on to 101, which rings.
fn handing_on() -> (Simulation, (SocketAddr, SessionId), (SocketAddr, SessionId)) {
    let mut simulation = Simulation::new(PLAN);
    let [agent, party, colleague] = [1, 2, 3].map(|number| simulation.browser(number));
    simulation.register_as(party, "102", DEVICE, 600);
    simulation.register(colleague, "101", 3600);
    let calling = simulation.call(agent, "100", "102");
    let called = simulation.incoming(party);
    simulation.answer(party, called, StatusCode::OK, Some("v=0 party"));
    assert_eq!(simulation.refer(agent, calling, TO_COLLEAGUE), StatusCode::ACCEPTED);
    let asked = simulation.incoming(colleague);
    simulation.answer(colleague, asked, StatusCode::RINGING, None);
    (simulation, (party, called), (colleague, asked))
}

#[test]
fn who_is_handed_on_is_cut_off_while_the_target_rings_and_is_back_in_the_call_with_it() {
    let (mut simulation, (party, called), (colleague, asked)) = handing_on();
    simulation.disconnect(party);
    simulation.answer(colleague, asked, StatusCode::OK, Some("v=0 colleague"));
    is_back(&mut simulation, party, "102", NEXT);
    simulation.pass(Duration::from_secs(60));
    assert!(!simulation.is_hung_up(colleague, asked), "nobody waits for it any more");
    assert!(!simulation.is_hung_up(party, called));
    simulation.hang_up(colleague, asked);
    assert!(simulation.is_hung_up(party, called));
    simulation.assert_all_over();
}

#[test]
fn who_is_handed_on_and_not_back_in_time_keeps_neither_the_target_nor_who_handed_it_on() {
    for answered in [true, false] {
        let (mut simulation, (party, _), (colleague, asked)) = handing_on();
        simulation.disconnect(party);
        if answered {
            simulation.answer(colleague, asked, StatusCode::OK, Some("v=0 colleague"));
        }
        simulation.pass(Duration::from_secs(31));
        let over =
            if answered { simulation.is_hung_up(colleague, asked) } else { simulation.is_cancelled(colleague, asked) };
        assert!(over, "answered: {answered}");
        simulation.assert_all_over();
        assert_eq!(simulation.records.len(), 1);
        assert_eq!(simulation.records[0].result, CallResult::Answered);
    }
}

#[test]
fn an_agent_cut_off_with_two_calls_is_back_with_both_and_makes_them_one() {
    let mut simulation = Simulation::with(PLAN, several);
    let browser = simulation.browser(1);
    simulation.register_as(browser, "100", DEVICE, 600);
    let Talk { simulation, browser, outgoing, trunk, incoming } = talk_in(simulation);
    let mut both = consulted_in(Talk { simulation, browser, outgoing, trunk, incoming });
    both.talk.simulation.disconnect(browser);
    both.talk.simulation.pass(Duration::from_secs(20));
    is_back(&mut both.talk.simulation, browser, "100", NEXT);
    both.talk.simulation.pass(Duration::from_secs(60));
    assert!(both.talk.simulation.requests_to(browser, &Method::Bye).is_empty(), "both go on");
    assert_eq!(both.join(), StatusCode::ACCEPTED);
    assert_eq!(both.told(), [100, 200]);
    both.ends_joined((0, 2));
}
