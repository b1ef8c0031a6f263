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
    let contacts: Vec<_> = simulation.bindings["100"].iter().map(|binding| binding.address.uri().to_string()).collect();
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

const FIRST: &str = "<sip:a@b1.invalid;transport=ws>;+sip.instance=\"<urn:uuid:1>\";reg-id=1";
const AGAIN: &str = "<sip:b@b2.invalid;transport=ws>;+sip.instance=\"<urn:uuid:1>\";reg-id=1";
const OTHER: &str = "<sip:c@b3.invalid;transport=ws>;+sip.instance=\"<urn:uuid:2>\";reg-id=1";

fn contacts(simulation: &Simulation) -> Vec<String> {
    simulation.bindings["100"].iter().map(|binding| binding.address.uri().to_string()).collect()
}

#[test]
fn the_same_device_on_a_new_connection_replaces_its_binding_and_is_called_there() {
    let mut simulation = Simulation::new(crate::PLAN);
    let (old, new, other) = (simulation.browser(1), simulation.browser(2), simulation.browser(3));
    simulation.register_as(old, "100", FIRST, 600);
    let id = simulation.bindings["100"][0].id.clone();
    simulation.register_as(other, "100", OTHER, 600);
    let response = simulation.register_as(new, "100", AGAIN, 600);
    assert_eq!(response.headers.elements("Contact").count(), 2);
    assert_eq!(contacts(&simulation), ["sip:c@b3.invalid;transport=ws", "sip:b@b2.invalid;transport=ws"]);
    assert_eq!(simulation.bindings["100"][1].id, id, "it is the same binding");
    assert_eq!(simulation.bindings["100"][1].address.instance().as_deref(), Some("urn:uuid:1"));
    simulation.disconnect(old);
    assert_eq!(contacts(&simulation).len(), 2, "the old connection has nothing to do with it any more");
    let caller = simulation.browser(4);
    let session = simulation.call(caller, "101", "100");
    assert_eq!(
        (simulation.invites(old).len(), simulation.invites(new).len(), simulation.invites(other).len()),
        (0, 1, 1)
    );
    let now = simulation.now;
    simulation.peer(caller).endpoint.cancel(now, session, None);
    simulation.assert_all_over();
}

#[test]
fn a_device_with_several_flows_rings_over_the_latest_only() {
    let mut simulation = Simulation::new(crate::PLAN);
    let (first, second) = (simulation.browser(1), simulation.browser(2));
    let flow = |id: u8| format!("<sip:a@b{id}.invalid;transport=ws>;+sip.instance=\"<urn:uuid:1>\";reg-id={id}");
    simulation.register_as(first, "100", &flow(1), 600);
    simulation.register_as(second, "100", &flow(2), 600);
    assert_eq!(contacts(&simulation).len(), 2);
    let caller = simulation.browser(3);
    let session = simulation.call(caller, "101", "100");
    assert_eq!((simulation.invites(first).len(), simulation.invites(second).len()), (0, 1));
    let now = simulation.now;
    simulation.peer(caller).endpoint.cancel(now, session, None);
    simulation.register_as(first, "100", &flow(1), 600);
    let session = simulation.call(caller, "101", "100");
    assert_eq!((simulation.invites(first).len(), simulation.invites(second).len()), (1, 1), "refreshed is latest");
    let now = simulation.now;
    simulation.peer(caller).endpoint.cancel(now, session, None);
    simulation.assert_all_over();
}

#[test]
fn outbound_is_required_of_clients_that_support_it_and_asked_for_it() {
    for (contact, supported, required) in [
        (FIRST, "path, outbound", Some("outbound")),
        (FIRST, "path", None),
        ("<sip:a@b1.invalid>", "path, outbound", None),
        ("<sip:a@b1.invalid>;+sip.instance=\"<urn:uuid:1>\"", "outbound", None),
    ] {
        let mut simulation = Simulation::new(crate::PLAN);
        let browser = simulation.browser(1);
        simulation.peer(browser).headers = vec![("Supported".to_owned(), supported.to_owned())];
        let response = simulation.register_as(browser, "100", contact, 600);
        assert_eq!((response.status, response.headers.get("Require")), (StatusCode::OK, required), "{contact}");
        let answered = response.headers.get("Contact").unwrap();
        assert_eq!(answered, format!("{contact};expires=600"), "the client finds its own contact");
    }
}

#[test]
fn a_star_takes_every_contact_away_and_needs_a_zero_expires() {
    let mut simulation = Simulation::new(crate::PLAN);
    let (first, second) = (simulation.browser(1), simulation.browser(2));
    simulation.register_as(first, "100", FIRST, 600);
    simulation.register_as(second, "100", OTHER, 600);
    assert_eq!(simulation.register_as(first, "100", "*", 600).status, StatusCode::BAD_REQUEST);
    assert_eq!(contacts(&simulation).len(), 2);
    let response = simulation.register_as(first, "100", "*", 0);
    assert_eq!((response.status, response.headers.get("Contact")), (StatusCode::OK, None));
    assert!(simulation.bindings["100"].is_empty());
    assert_eq!(simulation.switchboard.binding_count(), 0);
}

#[test]
fn a_register_without_contact_lists_what_is_registered() {
    let mut simulation = Simulation::new(crate::PLAN);
    let (first, second) = (simulation.browser(1), simulation.browser(2));
    simulation.register_as(first, "100", FIRST, 600);
    simulation.pass(std::time::Duration::from_secs(100));
    let response = simulation.register_as(second, "100", "", 600);
    assert_eq!(response.headers.get("Contact"), Some(format!("{FIRST};expires=500").as_str()));
    assert_eq!(contacts(&simulation).len(), 1, "asking registers nothing");
}

#[test]
fn a_refreshed_contact_is_not_the_oldest() {
    let mut simulation = Simulation::new(crate::PLAN);
    let browsers = [1, 2, 3].map(|number| simulation.browser(number));
    for (browser, contact) in browsers.into_iter().zip(["<sip:a@a.invalid>", "<sip:b@b.invalid>"]) {
        simulation.register_as(browser, "100", contact, 600);
        simulation.pass(std::time::Duration::from_secs(1));
    }
    simulation.register_as(browsers[0], "100", "<sip:a@a.invalid>", 600);
    simulation.pass(std::time::Duration::from_secs(1));
    simulation.register_as(browsers[2], "100", "<sip:c@c.invalid>", 600);
    assert_eq!(contacts(&simulation), ["sip:a@a.invalid", "sip:c@c.invalid"]);
}

#[test]
fn with_a_strict_limit_one_contact_too_many_is_refused_and_a_refresh_is_not() {
    let mut simulation = Simulation::with(crate::PLAN, |_, directory| {
        let extension = directory.extensions.get_mut("100").unwrap();
        (extension.on_limit, extension.max_contacts) = (switchboard::OnLimit::Reject, 1);
    });
    let (first, second) = (simulation.browser(1), simulation.browser(2));
    assert_eq!(simulation.register_as(first, "100", FIRST, 600).status, StatusCode::OK);
    assert_eq!(simulation.register_as(second, "100", OTHER, 600).status, StatusCode::FORBIDDEN);
    assert_eq!(simulation.register_as(second, "100", AGAIN, 600).status, StatusCode::OK);
    assert_eq!(contacts(&simulation), ["sip:b@b2.invalid;transport=ws"]);
}

#[test]
fn what_is_asked_for_is_granted_within_limits() {
    for (asked, contact, granted) in
        [(600, "<sip:a@a.invalid>", 600), (86400, "<sip:a@a.invalid>", 3600), (600, "<sip:a@a.invalid>;expires=90", 90)]
    {
        let mut simulation = Simulation::new(crate::PLAN);
        let browser = simulation.browser(1);
        let response = simulation.register_as(browser, "100", contact, asked);
        assert_eq!(response.headers.get("Contact"), Some(format!("<sip:a@a.invalid>;expires={granted}").as_str()));
        simulation.pass(std::time::Duration::from_millis(granted * 1000 - 1));
        assert_eq!(contacts(&simulation).len(), 1);
        simulation.pass(std::time::Duration::from_millis(1));
        assert!(simulation.bindings["100"].is_empty());
    }
}
