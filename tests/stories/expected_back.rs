//! Somebody calls a phone that has just lost its connection: the call waits while it is expected back, and rings when it is.

use std::time::Duration;

use sip::StatusCode;
use testkit::Simulation;

use crate::PLAN;
use crate::coming_back::{ANOTHER, DEVICE, NEXT};

/// A customer calls the agent.
fn call_in(simulation: &mut Simulation, trunk: std::net::SocketAddr) -> sip::SessionId {
    let now = simulation.now;
    let (from, to) = ("sip:+15550001111@x.example", "sip:+493011100@203.0.113.1");
    let session = simulation.peer(trunk).invite(now, from, to, Some("v=0 trunk"), None);
    simulation.settle();
    session
}

fn absent(grace: u64) -> (Simulation, std::net::SocketAddr, std::net::SocketAddr) {
    let mut simulation = Simulation::with(PLAN, |config, _| config.grace = Duration::from_secs(grace));
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register_as(browser, "100", DEVICE, 600);
    simulation.disconnect(browser);
    assert!(simulation.bindings["100"].is_empty(), "it cannot be reached, and is not shown");
    simulation.peer(browser).from_switchboard.connection = Some(NEXT);
    (simulation, browser, trunk)
}

#[test]
fn a_call_to_a_phone_that_is_expected_back_waits_and_rings_the_moment_it_registers() {
    // The same device, or the page loaded again.
    for contact in [DEVICE, ANOTHER] {
        let (mut simulation, browser, trunk) = absent(15);
        let session = call_in(&mut simulation, trunk);
        simulation.pass(Duration::from_secs(14));
        assert!(simulation.refusal(trunk, session).is_none());
        simulation.register_as(browser, "100", contact, 600);
        assert_eq!(simulation.invites(browser).len(), 1);
        let asked = simulation.incoming(browser);
        simulation.answer(browser, asked, StatusCode::OK, Some("v=0 browser"));
        assert!(simulation.is_answered(trunk, session));
        simulation.hang_up(trunk, session);
        simulation.assert_all_over();
    }
}

#[test]
fn a_call_waits_no_longer_than_the_phone_is_expected_and_not_at_all_when_it_is_not() {
    let (mut simulation, _, trunk) = absent(15);
    simulation.pass(Duration::from_secs(5));
    let session = call_in(&mut simulation, trunk);
    simulation.pass(Duration::from_millis(9_999));
    assert!(simulation.refusal(trunk, session).is_none());
    simulation.pass(Duration::from_millis(1));
    assert_eq!(simulation.refusal(trunk, session).unwrap().status.code(), 480);
    simulation.assert_all_over();
    assert_eq!(simulation.records[0].explanation, "No phone of extension 100 is registered.");
    let (mut simulation, _, trunk) = absent(0);
    let session = call_in(&mut simulation, trunk);
    assert_eq!(simulation.refusal(trunk, session).unwrap().status.code(), 480);
}

#[test]
fn a_call_waits_no_longer_than_it_may_ring() {
    let (mut simulation, browser, trunk) = absent(120);
    let session = call_in(&mut simulation, trunk);
    simulation.pass(Duration::from_secs(30));
    assert_eq!(simulation.refusal(trunk, session).unwrap().status.code(), 480);
    simulation.register_as(browser, "100", DEVICE, 600);
    assert!(simulation.invites(browser).is_empty());
    simulation.assert_all_over();
}

#[test]
fn who_declined_does_not_ring_again_when_it_refreshes_while_another_phone_is_expected_back() {
    let (mut simulation, _, trunk) = absent(15);
    let other = simulation.browser(2);
    simulation.register_as(other, "100", ANOTHER, 600);
    let session = call_in(&mut simulation, trunk);
    let asked = simulation.incoming(other);
    simulation.answer(other, asked, StatusCode::BUSY_HERE, None);
    simulation.register_as(other, "100", ANOTHER, 600);
    assert_eq!(simulation.invites(other).len(), 1);
    assert!(simulation.refusal(trunk, session).is_none());
    simulation.pass(Duration::from_secs(15));
    assert_eq!(simulation.refusal(trunk, session).unwrap().status, StatusCode::BUSY_HERE);
    simulation.assert_all_over();
}

#[test]
fn who_signed_out_is_not_expected_back() {
    let (mut simulation, browser, trunk) = absent(15);
    simulation.register_as(browser, "100", DEVICE, 0);
    let session = call_in(&mut simulation, trunk);
    assert_eq!(simulation.refusal(trunk, session).unwrap().status.code(), 480);
    simulation.assert_all_over();
}
