//! A browser registers, refreshes, unregisters and vanishes.

use sip::{ConnectionId, StatusCode};
use testkit::Simulation;

#[test]
fn a_browser_registers_with_digest_and_its_contact_comes_back_unchanged() {
    let mut simulation = Simulation::new(crate::PLAN);
    let browser = simulation.browser(1);
    let response = simulation.register(browser, "100", 600);
    assert_eq!(response.status, StatusCode::OK);
    let contact = response.headers.get("Contact").unwrap();
    assert_eq!(contact, "<sip:100@b192-0-2-1.invalid;transport=ws>;expires=600");
    assert_eq!(simulation.bindings["100"].len(), 1);
}

#[test]
fn a_zero_expires_unregisters_and_too_short_a_time_is_refused() {
    let mut simulation = Simulation::new(crate::PLAN);
    let browser = simulation.browser(1);
    simulation.register(browser, "100", 600);
    let brief = simulation.register(browser, "100", 5);
    assert_eq!(brief.status, StatusCode::INTERVAL_TOO_BRIEF);
    assert_eq!(brief.headers.get("Min-Expires"), Some("60"));
    simulation.register(browser, "100", 0);
    assert!(simulation.bindings["100"].is_empty());
}

#[test]
fn a_third_contact_replaces_the_oldest() {
    let mut simulation = Simulation::new(crate::PLAN);
    for number in 1..=3 {
        let browser = simulation.browser(number);
        assert_eq!(simulation.register(browser, "100", 600).status, StatusCode::OK);
    }
    let contacts: Vec<_> = simulation.bindings["100"].iter().map(|binding| binding.contact.clone()).collect();
    assert_eq!(contacts.len(), 2);
    assert!(contacts.iter().all(|contact| !contact.contains("b192-0-2-1.")));
}

#[test]
fn a_binding_goes_with_its_connection_and_with_its_time() {
    let mut simulation = Simulation::new(crate::PLAN);
    let (first, second) = (simulation.browser(1), simulation.browser(2));
    simulation.register(first, "100", 600);
    simulation.register(second, "101", 60);
    let now = simulation.now;
    simulation.switchboard.handle_flow_closed(now, ConnectionId(1));
    simulation.settle();
    assert!(simulation.bindings["100"].is_empty());
    simulation.pass(std::time::Duration::from_secs(61));
    assert!(simulation.bindings["101"].is_empty());
    assert_eq!(simulation.switchboard.binding_count(), 0);
}

#[test]
fn a_stranger_over_udp_gets_no_answer() {
    let mut simulation = Simulation::new(crate::PLAN);
    let stranger = simulation.gateway(66);
    let now = simulation.now;
    let session = simulation.peer(stranger).invite(now, "sip:1@x", "sip:100@phone.example.com", None, None);
    simulation.settle();
    assert_eq!(simulation.switchboard.counters().strangers, 1);
    assert!(simulation.events(stranger, session).is_empty());
}
