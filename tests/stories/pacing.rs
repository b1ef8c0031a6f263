//! Calls per second: a trunk's, each way, and an agent's. Whoever is too fast is told when to try again.

use std::net::SocketAddr;
use std::time::Duration;

use sip::Response;
use switchboard::Bar;
use testkit::Simulation;

use crate::PLAN;

const OURS: &str = "sip:+493011100@203.0.113.1";

/// Each trunk takes, and may make, two calls a second.
fn paced() -> Simulation {
    Simulation::with(PLAN, |_, directory| {
        directory.trunks.values_mut().for_each(|trunk| trunk.limits.max_cps = 2);
        directory.agents.values_mut().for_each(|agent| agent.max_concurrent_calls = 0);
    })
}

fn barred(simulation: &Simulation, bar: Bar) -> u64 {
    let at = Bar::ALL.iter().position(|known| *known == bar).unwrap();
    simulation.switchboard.counters().barred[at]
}

fn call_in(simulation: &mut Simulation, trunk: SocketAddr) -> Option<Response> {
    let now = simulation.now;
    let session = simulation.peer(trunk).invite(now, "sip:+15550001111@x.example", OURS, Some("v=0"), None);
    simulation.settle();
    simulation.refusal(trunk, session)
}

#[test]
fn a_trunk_that_calls_too_fast_is_refused_at_the_door_for_as_long_as_it_is() {
    let mut simulation = paced();
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register(browser, "100", 600);
    assert!(call_in(&mut simulation, trunk).is_none() && call_in(&mut simulation, trunk).is_none());
    let refusal = call_in(&mut simulation, trunk).expect("one too many within a second");
    assert_eq!((refusal.status.code(), refusal.headers.get("Retry-After")), (503, Some("1")));
    assert!(refusal.headers.get("Reason").unwrap().contains("2 calls a second"));
    assert_eq!((barred(&simulation, Bar::TrunkPace), simulation.records.len()), (1, 0), "no record of it");
    simulation.pass(Duration::from_millis(499));
    assert!(call_in(&mut simulation, trunk).is_some(), "half a second for each");
    simulation.pass(Duration::from_millis(1));
    assert!(call_in(&mut simulation, trunk).is_none());
    assert!(call_in(&mut simulation, trunk).is_some());
    simulation.pass(Duration::from_secs(1));
    assert!(call_in(&mut simulation, trunk).is_none() && call_in(&mut simulation, trunk).is_none());
}

#[test]
fn calls_out_beyond_a_trunks_pace_go_over_the_next_and_then_nowhere() {
    let mut simulation = paced();
    let (main, spare) = (simulation.gateway(1), simulation.gateway(2));
    let browsers: Vec<_> = (1..=4).map(|number| simulation.browser(number)).collect();
    for (browser, extension) in browsers.iter().zip(["100", "101", "102", "103"]) {
        simulation.call(*browser, extension, "+15551234567");
    }
    assert_eq!((simulation.invites(main).len(), simulation.invites(spare).len()), (2, 2));
    let session = simulation.call(browsers[0], "100", "+15551234567");
    let refusal = simulation.refusal(browsers[0], session).expect("both have got what they take");
    assert_eq!((refusal.status.code(), refusal.headers.get("Retry-After")), (503, Some("1")));
    let why = "Trunk spare takes 2 calls a second, and has got them.";
    assert_eq!(simulation.records[0].explanation, why);
    assert!(refusal.headers.get("Reason").unwrap().contains(why));
    // The way in is another than the way out.
    simulation.register(browsers[0], "100", 600);
    assert!(call_in(&mut simulation, main).is_none());
}

#[test]
fn an_agent_that_calls_too_fast_is_refused_and_the_record_says_so() {
    let mut simulation = paced();
    simulation.change(|directory| directory.agents.get_mut("agt_100").unwrap().max_cps = 1);
    let browser = simulation.browser(1);
    let first = simulation.call(browser, "100", "9196");
    assert!(simulation.is_answered(browser, first));
    let second = simulation.call(browser, "100", "9196");
    let refusal = simulation.refusal(browser, second).unwrap();
    assert_eq!((refusal.status.code(), refusal.headers.get("Retry-After")), (503, Some("1")));
    assert_eq!(simulation.records[0].explanation, "The agent may make 1 calls a second, and has made them.");
    assert_eq!(barred(&simulation, Bar::AgentPace), 1);
    simulation.pass(Duration::from_secs(1));
    let third = simulation.call(browser, "100", "9196");
    assert!(simulation.is_answered(browser, third));
}
