//! An administrator changes agents, credentials and trunks while people phone.

use sip::StatusCode;
use testkit::Simulation;

use crate::{PLAN, talk};

#[test]
fn a_disabled_agent_loses_its_registration_and_cannot_register_or_call() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, other) = (simulation.browser(1), simulation.browser(2));
    simulation.register(browser, "100", 600);
    simulation.register(other, "101", 600);
    simulation.change(|directory| directory.agents.get_mut("agt_100").unwrap().enabled = false);
    assert!(simulation.bindings["100"].is_empty());
    assert_eq!(simulation.bindings["101"].len(), 1);
    assert_eq!(simulation.register(browser, "100", 600).status, StatusCode::FORBIDDEN);
    let session = simulation.call(browser, "100", "9196");
    assert_eq!(simulation.refusal(browser, session).unwrap().status, StatusCode::FORBIDDEN);
    let called = simulation.call(other, "101", "100");
    assert_eq!(simulation.refusal(other, called).unwrap().status, StatusCode::TEMPORARILY_UNAVAILABLE);
    simulation.change(|directory| directory.agents.get_mut("agt_100").unwrap().enabled = true);
    assert_eq!(simulation.register(browser, "100", 600).status, StatusCode::OK);
    simulation.assert_all_over();
}

#[test]
fn a_removed_credential_takes_its_registration_along_and_a_new_one_works_at_once() {
    let mut simulation = Simulation::new(PLAN);
    let browser = simulation.browser(1);
    simulation.register(browser, "100", 600);
    let mut removed = None;
    simulation.change(|directory| removed = directory.credentials.remove("100"));
    assert!(simulation.bindings["100"].is_empty());
    assert_eq!(simulation.register(browser, "100", 600).status, StatusCode::UNAUTHORIZED);
    simulation.change(|directory| {
        directory.credentials.insert("100".to_owned(), removed.unwrap());
    });
    assert_eq!(simulation.register(browser, "100", 600).status, StatusCode::OK);
}

#[test]
fn a_browser_stops_ringing_when_its_own_credential_is_removed_or_renewed_and_others_ring_on() {
    for renewed in [true, false] {
        let mut simulation = Simulation::new(PLAN);
        let (lost, kept, caller) = (simulation.browser(1), simulation.browser(2), simulation.browser(3));
        simulation.add_credential("100");
        simulation.register(lost, "100", 600);
        // The same extension with another credential.
        simulation.register_by("100b", kept, "100", "<sip:100@kept.invalid;transport=ws>", 600);
        assert_eq!(simulation.bindings["100"].len(), 2);
        simulation.change(|directory| {
            if renewed {
                let renewed = sip::Ha1::new("100", testkit::REALM, "secret-new");
                directory.credentials.get_mut("100").unwrap().ha1 = renewed;
            } else {
                directory.credentials.remove("100");
            }
        });
        let [binding] = &simulation.bindings["100"][..] else { panic!("one binding is left") };
        assert_eq!(binding.address.uri().to_string(), "sip:100@kept.invalid;transport=ws");
        simulation.call(caller, "101", "100");
        assert_eq!((simulation.invites(lost).len(), simulation.invites(kept).len()), (0, 1));
    }
}

#[test]
fn a_call_goes_on_when_the_credential_it_was_begun_with_is_renewed() {
    let mut talk = talk();
    talk.simulation.change(|directory| {
        directory.credentials.get_mut("100").unwrap().ha1 = sip::Ha1::new("100", testkit::REALM, "secret-new");
    });
    let digit = "Content-Type: application/dtmf-relay\r\n";
    let answer = talk.simulation.request_inside(talk.browser, talk.outgoing, "INFO", 10, digit, "Signal=1\r\n");
    assert_eq!(answer.unwrap().status, StatusCode::OK);
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
}

#[test]
fn a_removed_extension_is_gone_and_its_number_unknown() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, other) = (simulation.browser(1), simulation.browser(2));
    simulation.register(browser, "100", 600);
    simulation.change(|directory| {
        directory.extensions.remove("100");
    });
    assert!(simulation.bindings["100"].is_empty());
    let session = simulation.call(other, "101", "100");
    assert_eq!(simulation.refusal(other, session).unwrap().status, StatusCode::NOT_FOUND);
    simulation.assert_all_over();
}

#[test]
fn a_running_call_outlives_its_trunk_and_its_agent_and_can_still_be_hung_up() {
    for by_trunk in [true, false] {
        let mut talk = talk();
        talk.simulation.change(|directory| {
            directory.trunks.clear();
            directory.agents.clear();
            directory.extensions.clear();
            directory.credentials.clear();
        });
        assert_eq!(talk.simulation.switchboard.call_count(), 1);
        if by_trunk {
            talk.simulation.hang_up(talk.trunk, talk.incoming);
            assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
        } else {
            talk.simulation.hang_up(talk.browser, talk.outgoing);
            assert!(talk.simulation.is_hung_up(talk.trunk, talk.incoming));
        }
        talk.simulation.assert_all_over();
        assert_eq!(talk.simulation.records.len(), 1);
    }
}

#[test]
fn a_removed_trunk_is_a_stranger_once_its_calls_are_over() {
    let mut talk = talk();
    talk.simulation.change(|directory| directory.trunks.clear());
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    talk.simulation.assert_all_over();
    let (trunk, now) = (talk.trunk, talk.simulation.now);
    let strangers = talk.simulation.switchboard.counters().strangers;
    let to = "sip:+493011100@203.0.113.1";
    let session = talk.simulation.peer(trunk).invite(now, "sip:+15550001111@x.example", to, Some("v=0"), None);
    talk.simulation.settle();
    assert!(talk.simulation.events(trunk, session).is_empty());
    assert_eq!(talk.simulation.switchboard.counters().strangers, strangers + 1);
}

#[test]
fn a_new_address_of_a_trunk_is_believed_at_once() {
    let mut simulation = Simulation::new(PLAN);
    let trunk = simulation.gateway(40);
    let to = "sip:+493011100@203.0.113.1";
    for (believed, status) in [(false, None), (true, Some(480))] {
        if believed {
            simulation.change(|directory| {
                let main = directory.trunks.get_mut("trk_main").unwrap();
                main.inbound.networks = vec!["198.51.100.32/28".parse().unwrap()];
            });
        }
        let now = simulation.now;
        let session = simulation.peer(trunk).invite(now, "sip:+15550001111@x.example", to, Some("v=0"), None);
        simulation.settle();
        assert_eq!(simulation.refusal(trunk, session).map(|response| response.status.code()), status);
    }
}
