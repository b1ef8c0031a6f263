//! A carrier calls one of our numbers.

use std::time::Duration;

use sip::{SessionEvent, SessionId, StatusCode};
use switchboard::CallResult;
use testkit::Simulation;

fn call_in(simulation: &mut Simulation, number: &str) -> (std::net::SocketAddr, SessionId) {
    let trunk = simulation.gateway(1);
    let now = simulation.now;
    let to = format!("sip:{number}@203.0.113.1");
    let session = simulation.peer(trunk).invite(now, "sip:+15550001111@198.51.100.1", &to, Some("v=0 trunk"), None);
    simulation.settle();
    (trunk, session)
}

#[test]
fn all_browsers_ring_and_the_first_answer_wins() {
    let mut simulation = Simulation::new(crate::PLAN);
    let (first, second) = (simulation.browser(1), simulation.browser(2));
    simulation.register(first, "100", 600);
    simulation.register(second, "100", 600);
    let (trunk, session) = call_in(&mut simulation, "00493011100");
    let (winner, invite) = simulation.invites(first)[0].clone();
    let (loser, _) = simulation.invites(second)[0].clone();
    assert_eq!(invite.headers.from().unwrap().unwrap().uri.user().unwrap(), "+15550001111");
    let now = simulation.now;
    let peer = simulation.peer(first);
    let ok = peer.draft(StatusCode::OK, Some("v=0 browser"));
    peer.endpoint.accept(now, winner, ok);
    simulation.settle();
    let answered = simulation.events(trunk, session);
    assert!(answered.iter().any(|event| matches!(event, SessionEvent::Answered { .. })));
    let reason = simulation.events(second, loser).into_iter().find_map(|event| match event {
        SessionEvent::Cancelled { request } => request.headers.get("Reason").map(str::to_owned),
        _ => None,
    });
    assert_eq!(reason.as_deref(), Some("SIP;cause=200;text=\"Call completed elsewhere\""));
    simulation.peer(trunk).endpoint.bye(now, session, None);
    simulation.assert_all_over();
    assert_eq!(simulation.records[0].call.agent_id.as_deref(), Some("agt_100"));
}

#[test]
fn a_busy_device_leaves_the_other_ringing_and_a_decline_ends_all() {
    let mut simulation = Simulation::new(crate::PLAN);
    let (first, second) = (simulation.browser(1), simulation.browser(2));
    simulation.register(first, "100", 600);
    simulation.register(second, "100", 600);
    let (trunk, session) = call_in(&mut simulation, "+493011100");
    let now = simulation.now;
    for (browser, status) in [(first, StatusCode::BUSY_HERE), (second, StatusCode::DECLINE)] {
        assert!(simulation.refusal(trunk, session).is_none());
        let (incoming, _) = simulation.invites(browser)[0].clone();
        let peer = simulation.peer(browser);
        let no = peer.draft(status, None);
        peer.endpoint.reject(now, incoming, no);
        simulation.settle();
    }
    assert_eq!(simulation.refusal(trunk, session).unwrap().status, StatusCode::DECLINE);
    simulation.assert_all_over();
    assert_eq!(simulation.records[0].result, CallResult::Busy);
}

#[test]
fn nobody_registered_is_480_and_an_unknown_number_404() {
    for (number, status) in [("+493011100", 480), ("+4930999999", 404)] {
        let mut simulation = Simulation::new(crate::PLAN);
        let (trunk, session) = call_in(&mut simulation, number);
        let refused = simulation.refusal(trunk, session).unwrap();
        assert_eq!(refused.status.code(), status);
        assert!(!refused.headers.reasons().is_empty());
        simulation.assert_all_over();
        let [record] = &simulation.records[..] else { panic!("one call on record") };
        assert_eq!(record.call.to, number, "people can see who was not reached");
    }
}

#[test]
fn the_caller_gives_up_and_every_phone_stops_ringing() {
    let mut simulation = Simulation::new(crate::PLAN);
    let browser = simulation.browser(1);
    simulation.register(browser, "100", 600);
    let (trunk, session) = call_in(&mut simulation, "+493011100");
    let (incoming, _) = simulation.invites(browser)[0].clone();
    let now = simulation.now;
    simulation.peer(trunk).endpoint.cancel(now, session, None);
    simulation.settle();
    let cancelled = simulation.events(browser, incoming);
    assert!(cancelled.iter().any(|event| matches!(event, SessionEvent::Cancelled { .. })));
    simulation.assert_all_over();
    assert_eq!(simulation.records[0].result, CallResult::Cancelled);
}

#[test]
fn a_phone_that_vanishes_while_ringing_ends_the_search() {
    let mut simulation = Simulation::new(crate::PLAN);
    let browser = simulation.browser(1);
    simulation.register(browser, "100", 600);
    let (trunk, session) = call_in(&mut simulation, "+493011100");
    simulation.disconnect(browser);
    assert!(simulation.refusal(trunk, session).is_none(), "it is given a while to come back");
    simulation.pass(Duration::from_secs(30));
    assert_eq!(simulation.refusal(trunk, session).unwrap().status.class(), 4);
    simulation.assert_all_over();
    assert_eq!(simulation.records.len(), 1);
}

#[test]
fn an_offerless_call_whose_ack_brings_no_answer_ends_with_an_explanation() {
    let mut simulation = Simulation::new(crate::PLAN);
    let browser = simulation.browser(1);
    simulation.register(browser, "100", 600);
    let trunk = simulation.gateway(1);
    let now = simulation.now;
    let to = "sip:+493011100@203.0.113.1";
    simulation.peer(trunk).late_answer.clear();
    let session = simulation.peer(trunk).invite(now, "sip:+15550001111@198.51.100.1", to, None, None);
    simulation.settle();
    let (incoming, _) = simulation.invites(browser)[0].clone();
    let peer = simulation.peer(browser);
    let ok = peer.draft(StatusCode::OK, Some("v=0 browser"));
    peer.endpoint.accept(now, incoming, ok);
    simulation.settle();
    let offered = simulation.events(trunk, session).into_iter().any(|event| match event {
        SessionEvent::Answered { response } => !response.body.is_empty(),
        _ => false,
    });
    assert!(offered, "the 200 carries our offer");
    simulation.assert_all_over();
    assert_eq!(simulation.records[0].result, CallResult::Failed);
    assert!(simulation.records[0].explanation.contains("ACK"));
}

#[test]
fn a_number_written_the_national_way_is_ours_too() {
    let numbers = "[numbers]\ncountry_code = \"49\"\ninternational_prefix = \"00\"\nnational_prefix = \"0\"\n";
    let mut simulation = Simulation::new(&format!("{numbers}{}", crate::PLAN));
    let browser = simulation.browser(1);
    simulation.register(browser, "100", 600);
    let (trunk, now) = (simulation.gateway(1), simulation.now);
    let (from, to) = ("sip:0305551234@198.51.100.1", "sip:03011100@203.0.113.1");
    let session = simulation.peer(trunk).invite(now, from, to, Some("v=0 trunk"), None);
    simulation.settle();
    let (_, invite) = simulation.invites(browser)[0].clone();
    assert_eq!(invite.headers.from().unwrap().unwrap().uri.user().unwrap(), "+49305551234");
    assert_eq!(simulation.views.last().unwrap().to, "+493011100");
    simulation.peer(trunk).endpoint.cancel(now, session, None);
    simulation.assert_all_over();
}

#[test]
fn bare_digits_are_a_number_of_ours_and_else_what_the_dialplan_makes_of_them() {
    let american = "[numbers]\ncountry_code = \"1\"\ninternational_prefix = \"011\"\nnational_prefix = \"\"\n";
    for (numbers, dialled, caller, to, from) in [
        // The number of the directory, written without its plus.
        ("", "493011100", "sip:2025550100@x.example", "+493011100", "2025550100"),
        (american, "493011100", "sip:2025550100@x.example", "+493011100", "+12025550100"),
        // A national number is not another country's.
        ("", "2025550199", "sip:+15550001111@x.example", "2025550199", "+15550001111"),
        (american, "2025550199", "sip:+15550001111@x.example", "+12025550199", "+15550001111"),
    ] {
        let mut simulation = Simulation::new(&format!("{numbers}{}", crate::PLAN));
        let browser = simulation.browser(1);
        simulation.register(browser, "100", 600);
        let (trunk, now) = (simulation.gateway(1), simulation.now);
        let uri = format!("sip:{dialled}@203.0.113.1");
        simulation.peer(trunk).invite(now, caller, &uri, Some("v=0 trunk"), None);
        simulation.settle();
        let view = simulation.views.last().unwrap();
        assert_eq!((view.to.as_str(), view.from.as_str()), (to, from));
        assert_eq!(simulation.invites(browser).len(), usize::from(to == "+493011100"));
    }
}

#[test]
fn of_two_trunks_of_one_carrier_the_one_that_owns_the_number_takes_the_call() {
    for by_network in [true, false] {
        let mut simulation = Simulation::with(crate::PLAN, |_, directory| {
            let main = directory.trunks["trk_main"].clone();
            // By name it comes first.
            let twin = switchboard::Trunk { id: "trk_twin".to_owned(), name: "a twin".to_owned(), ..main };
            directory.trunks.insert(twin.id.clone(), twin);
            let own = switchboard::Number {
                id: "num_2".to_owned(),
                e164: "+493011102".to_owned(),
                trunk_id: "trk_twin".to_owned(),
                extension: Some("102".to_owned()),
            };
            directory.numbers.insert(own.e164.clone(), own);
            if by_network {
                for trunk in directory.trunks.values_mut() {
                    trunk.inbound.networks = vec!["198.51.100.0/30".parse().unwrap()];
                    trunk.gateways.clear();
                }
            }
        });
        let (first, second) = (simulation.browser(1), simulation.browser(2));
        simulation.register(first, "100", 600);
        simulation.register(second, "102", 600);
        let gateway = simulation.gateway(1);
        let mut call = |number: &str| {
            let (now, to) = (simulation.now, format!("sip:{number}@203.0.113.1"));
            let peer = simulation.peer(gateway);
            let session = peer.invite(now, "sip:+15550001111@198.51.100.1", &to, Some("v=0 trunk"), None);
            simulation.settle();
            session
        };
        let calls = ["+493011100", "+493011102", "+4930999999"].map(&mut call);
        for (number, browser, trunk) in [("+493011100", first, "trk_main"), ("+493011102", second, "trk_twin")] {
            assert_eq!(simulation.invites(browser).len(), 1, "{trunk}");
            assert!(simulation.views.iter().any(|view| view.to == number && view.trunk_id.as_deref() == Some(trunk)));
        }
        assert_eq!(simulation.refusal(gateway, calls[2]).unwrap().status, StatusCode::NOT_FOUND);
        simulation.assert_all_over();
    }
}
