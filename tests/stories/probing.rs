//! Which servers of the trunks live: asked by OPTIONS, and learnt from calls. Those that do not are tried last.

use std::net::SocketAddr;
use std::time::Duration;

use sip::{Method, StatusCode};
use switchboard::{Directory, ServerState};
use testkit::Simulation;

use crate::PLAN;

const NUMBER: &str = "+15551234567";

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Both trunks' servers are asked every 30 s.
fn asking() -> (Simulation, SocketAddr, SocketAddr) {
    asking_every(30)
}

fn asking_every(interval: u64) -> (Simulation, SocketAddr, SocketAddr) {
    let change = |directory: &mut Directory| {
        directory.trunks.values_mut().for_each(|trunk| trunk.options_ping = seconds(interval));
    };
    let mut simulation = Simulation::with(PLAN, |_, directory| change(directory));
    let (main, spare) = (simulation.gateway(1), simulation.gateway(2));
    (simulation, main, spare)
}

fn state(simulation: &Simulation, trunk: &str) -> (ServerState, Option<u16>) {
    let server = &simulation.servers[trunk][0];
    (server.state, server.last_status)
}

/// An agent calls, hangs up at once, and says which of the peers were called.
fn called(simulation: &mut Simulation, peers: [SocketAddr; 2]) -> [usize; 2] {
    let browser = simulation.browser(1);
    let count = |simulation: &mut Simulation| peers.map(|peer| simulation.invites(peer).len());
    let before = count(simulation);
    let session = simulation.call(browser, "100", NUMBER);
    simulation.pass(seconds(5));
    let now = simulation.now;
    simulation.peer(browser).endpoint.end(now, session, StatusCode::REQUEST_TERMINATED, None);
    simulation.settle();
    simulation.pass(seconds(40));
    let after = count(simulation);
    [after[0] - before[0], after[1] - before[1]]
}

#[test]
fn a_server_that_answers_no_question_is_called_last_until_it_does_again() {
    let (mut simulation, main, spare) = asking();
    simulation.peer(main).lives = None;
    simulation.pass(seconds(20));
    assert_eq!(state(&simulation, "trk_main"), (ServerState::Down, None));
    assert_eq!(state(&simulation, "trk_spare"), (ServerState::Up, Some(200)));
    assert_eq!(called(&mut simulation, [main, spare]), [0, 1]);
    simulation.peer(main).lives = Some(StatusCode::OK);
    simulation.pass(seconds(45));
    assert_eq!(state(&simulation, "trk_main"), (ServerState::Up, Some(200)));
    assert_eq!(called(&mut simulation, [main, spare]), [1, 0]);
}

#[test]
fn whatever_says_that_it_makes_nothing_of_options_lives_and_what_cannot_serve_does_not() {
    for (status, expected) in [
        (401, ServerState::Up),
        (403, ServerState::Up),
        (404, ServerState::Up),
        (405, ServerState::Up),
        (483, ServerState::Up),
        (500, ServerState::Up),
        (501, ServerState::Up),
        (408, ServerState::Down),
        (502, ServerState::Down),
        (503, ServerState::Down),
        (504, ServerState::Down),
    ] {
        let (mut simulation, main, _) = asking();
        simulation.peer(main).lives = StatusCode::new(status);
        simulation.pass(seconds(40));
        assert_eq!(state(&simulation, "trk_main"), (expected, Some(status)));
    }
}

#[test]
fn one_lost_question_changes_nothing_and_trunks_are_not_asked_all_at_once() {
    let (mut simulation, main, spare) = asking();
    simulation.pass(seconds(6));
    let asked = |simulation: &Simulation, peer| {
        let to_peer = simulation.sent.iter().filter(|(_, to, _)| *to == peer);
        let at = to_peer.map(|(at, ..)| *at).collect::<Vec<_>>();
        at[0]
    };
    assert_ne!(asked(&simulation, main), asked(&simulation, spare));
    simulation.peer(main).lives = None;
    while simulation.servers["trk_main"][0].last_status.is_some() {
        simulation.pass(seconds(1));
    }
    simulation.peer(main).lives = Some(StatusCode::OK);
    assert_eq!(state(&simulation, "trk_main").0, ServerState::Up);
    simulation.pass(seconds(60));
    assert_eq!(state(&simulation, "trk_main").0, ServerState::Up);
    assert!(simulation.servers["trk_main"][0].rtt.is_some());
}

#[test]
fn a_question_names_the_provider_and_a_trunk_that_wants_none_gets_none() {
    let (mut simulation, main, _) = asking();
    simulation.pass(seconds(10));
    let question = &simulation.requests_to(main, &Method::Options)[0];
    assert_eq!(question.uri.to_string(), "sip:main.carrier.example");
    assert_eq!(question.headers.get("Max-Forwards"), Some("70"));
    let (mut simulation, main, _) = asking_every(0);
    simulation.pass(seconds(120));
    assert!(simulation.requests_to(main, &Method::Options).is_empty());
    assert_eq!(state(&simulation, "trk_main").0, ServerState::Unknown);
}

#[test]
fn servers_that_are_all_down_are_tried_all_the_same() {
    let (mut simulation, main, spare) = asking();
    simulation.peer(main).lives = None;
    simulation.peer(spare).lives = None;
    simulation.pass(seconds(30));
    assert_eq!(state(&simulation, "trk_spare").0, ServerState::Down);
    assert_eq!(called(&mut simulation, [main, spare])[0], 1);
}

#[test]
fn calls_that_hear_nothing_take_a_server_out_too_and_those_that_hear_it_bring_it_back() {
    let (mut simulation, main, spare) = asking_every(0);
    simulation.loses = Box::new(move |peer, _| peer == main);
    assert_eq!(called(&mut simulation, [main, spare]), [0, 1]);
    assert_eq!(state(&simulation, "trk_main").0, ServerState::Unknown);
    assert_eq!(called(&mut simulation, [main, spare]), [0, 1]);
    assert_eq!(state(&simulation, "trk_main").0, ServerState::Down, "after the second");
    simulation.loses = Box::new(|_, _| false);
    assert_eq!(called(&mut simulation, [main, spare]), [0, 1], "nobody knows that it is back");
    simulation.pass(seconds(60));
    assert_eq!(called(&mut simulation, [main, spare]), [1, 0], "it is given another chance");
}

#[test]
fn a_call_its_caller_gives_up_says_nothing_of_a_server_that_was_slow() {
    let (mut simulation, main, _) = asking_every(0);
    simulation.loses = Box::new(move |peer, _| peer == main);
    let browser = simulation.browser(1);
    for _ in 0..3 {
        let session = simulation.call(browser, "100", NUMBER);
        simulation.pass(seconds(2));
        let now = simulation.now;
        simulation.peer(browser).endpoint.end(now, session, StatusCode::REQUEST_TERMINATED, None);
        simulation.pass(seconds(40));
    }
    assert_eq!(state(&simulation, "trk_main").0, ServerState::Unknown);
}

#[test]
fn a_server_that_asks_to_be_left_alone_is_and_a_refusal_without_a_time_is_that_calls_only() {
    let (mut simulation, main, spare) = asking_every(0);
    let browser = simulation.browser(1);
    let refuse = |simulation: &mut Simulation, retry_after: Option<&str>| {
        let session = simulation.call(browser, "100", NUMBER);
        let incoming = simulation.incoming(main);
        let (now, peer) = (simulation.now, simulation.peer(main));
        let mut draft = peer.draft(StatusCode::SERVICE_UNAVAILABLE, None);
        if let Some(value) = retry_after {
            draft = draft.with_header("Retry-After", value);
        }
        peer.endpoint.reject(now, incoming, draft);
        simulation.settle();
        let incoming = simulation.incoming(spare);
        simulation.answer(spare, incoming, StatusCode::OK, Some("v=0 spare"));
        assert!(simulation.is_answered(browser, session));
        simulation.hang_up(browser, session);
        simulation.pass(seconds(1));
    };
    refuse(&mut simulation, None);
    refuse(&mut simulation, Some("90 (too many calls)"));
    assert_eq!(called(&mut simulation, [main, spare]), [0, 1]);
    simulation.pass(seconds(50));
    assert_eq!(called(&mut simulation, [main, spare]), [1, 0]);
}

#[test]
fn when_all_servers_ask_to_be_left_alone_a_call_is_refused_without_asking_them() {
    let (mut simulation, main, spare) = asking_every(0);
    let browser = simulation.browser(1);
    simulation.call(browser, "100", NUMBER);
    for trunk in [main, spare] {
        let incoming = simulation.incoming(trunk);
        let (now, peer) = (simulation.now, simulation.peer(trunk));
        let draft = peer.draft(StatusCode::SERVICE_UNAVAILABLE, None).with_header("Retry-After", "60");
        peer.endpoint.reject(now, incoming, draft);
        simulation.settle();
    }
    let session = simulation.call(browser, "100", NUMBER);
    assert_eq!(simulation.refusal(browser, session).unwrap().status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!([main, spare].map(|trunk| simulation.invites(trunk).len()), [1, 1]);
    simulation.assert_all_over();
}

#[test]
fn servers_of_a_trunk_that_is_gone_are_not_asked_any_more() {
    let (mut simulation, main, _) = asking();
    simulation.pass(seconds(40));
    simulation.change(|directory| drop(directory.trunks.remove("trk_main")));
    assert!(simulation.servers["trk_main"].is_empty());
    let before = simulation.requests_to(main, &Method::Options).len();
    assert!(before > 0);
    simulation.pass(seconds(120));
    assert_eq!(simulation.requests_to(main, &Method::Options).len(), before);
}
