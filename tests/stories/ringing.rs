//! What rings, for how long, and what the caller hears of it.

use std::time::Duration;

use media::Command;
use sip::{SessionEvent, StatusCode};
use switchboard::CallResult;
use testkit::Simulation;

const PLAN: &str = r#"
[[rule]]
context = "agents"
name = "patient"
number = "300"
targets = [{ extension = "101" }]

[[rule]]
context = "agents"
name = "impatient"
number = "301"
targets = [{ extension = "101", timeout_s = 5 }]

[[rule]]
context = "agents"
name = "group, then colleague"
number = "302"
targets = [{ ring_group = ["101", "102"], timeout_s = 10 }, { extension = "103", timeout_s = 7 }]

[[rule]]
context = "agents"
name = "trunk, then colleague"
number = "303"
targets = [{ trunks = ["main"], number = "+15551234567", timeout_s = 10 }, { extension = "101" }]
"#;

/// The caller 100 on browser 1, and 101, 102 and 103 on browsers 2, 3 and 4.
fn office() -> (Simulation, [std::net::SocketAddr; 4]) {
    let mut simulation = Simulation::new(PLAN);
    let browsers = [1, 2, 3, 4].map(|number| simulation.browser(number));
    for (browser, user) in browsers.iter().zip(["100", "101", "102", "103"]) {
        simulation.register(*browser, user, 600);
    }
    (simulation, browsers)
}

#[test]
fn the_route_or_else_the_extension_says_how_long_it_rings() {
    for (number, seconds) in [("300", 30), ("301", 5)] {
        let (mut simulation, [caller, callee, ..]) = office();
        let session = simulation.call(caller, "100", number);
        let incoming = simulation.incoming(callee);
        simulation.answer(callee, incoming, StatusCode::RINGING, None);
        simulation.pass(Duration::from_secs(seconds) - Duration::from_millis(1));
        assert!(!simulation.is_cancelled(callee, incoming), "{number}");
        simulation.pass(Duration::from_millis(1));
        assert!(simulation.is_cancelled(callee, incoming), "{number}");
        let refused = simulation.refusal(caller, session).unwrap();
        assert_eq!((refused.status.code(), refused.headers.reasons()[0].cause), (480, Some(19)));
        simulation.assert_all_over();
        assert_eq!(simulation.records[0].result, CallResult::NoAnswer);
    }
}

#[test]
fn after_a_group_that_does_not_answer_the_next_target_rings_for_its_own_time() {
    let (mut simulation, [caller, first, second, third]) = office();
    let session = simulation.call(caller, "100", "302");
    let (one, two) = (simulation.incoming(first), simulation.incoming(second));
    simulation.pass(Duration::from_secs(10));
    assert!(simulation.is_cancelled(first, one) && simulation.is_cancelled(second, two));
    let three = simulation.incoming(third);
    simulation.pass(Duration::from_millis(6999));
    assert!(!simulation.is_cancelled(third, three));
    simulation.answer(third, three, StatusCode::OK, Some("v=0"));
    assert!(simulation.is_answered(caller, session));
    simulation.hang_up(caller, session);
    simulation.assert_all_over();
    assert_eq!(simulation.records.len(), 1);
}

#[test]
fn a_group_passes_over_who_is_absent_or_busy() {
    let (mut simulation, [caller, first, second, third]) = office();
    simulation.disconnect(first);
    simulation.pass(Duration::from_secs(10));
    let busy = simulation.call(second, "102", "303");
    assert!(simulation.refusal(second, busy).is_none());
    let session = simulation.call(caller, "100", "302");
    assert!(simulation.invites(first).is_empty() && simulation.invites(second).is_empty());
    assert_eq!(simulation.invites(third).len(), 1, "the group has nobody: the next target rings at once");
    let three = simulation.incoming(third);
    simulation.answer(third, three, StatusCode::DECLINE, None);
    assert_eq!(simulation.refusal(caller, session).unwrap().status, StatusCode::DECLINE);
    simulation.assert_all_over();
}

#[test]
fn who_has_heard_early_media_hears_our_ringback_when_a_phone_rings_next() {
    let (mut simulation, [caller, callee, ..]) = office();
    let trunk = simulation.gateway(1);
    let session = simulation.call(caller, "100", "303");
    let incoming = simulation.incoming(trunk);
    simulation.answer(trunk, incoming, StatusCode::SESSION_PROGRESS, Some("v=0 announcement"));
    let heard = |simulation: &Simulation| {
        let mut commands = simulation.commands.iter().rev();
        commands.find_map(|command| match command {
            Command::Bridge { a, .. } => Some((*a, "bridge")),
            Command::Ringback { session } => Some((*session, "ringback")),
            _ => None,
        })
    };
    let (ear, source) = heard(&simulation).unwrap();
    assert_eq!(source, "bridge");
    simulation.answer(trunk, incoming, StatusCode::TEMPORARILY_UNAVAILABLE, None);
    let phone = simulation.incoming(callee);
    simulation.answer(callee, phone, StatusCode::RINGING, None);
    assert_eq!(heard(&simulation), Some((ear, "ringback")));
    simulation.answer(callee, phone, StatusCode::OK, Some("v=0"));
    assert_eq!(heard(&simulation), Some((ear, "bridge")));
    let answered = simulation.events(caller, session).into_iter().filter_map(|event| match event {
        SessionEvent::Progress { response } | SessionEvent::Answered { response } => {
            Some((response.status.code(), response.body))
        }
        _ => None,
    });
    let answered: Vec<_> = answered.collect();
    assert_eq!(answered.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [183, 180, 200]);
    assert_eq!(answered[0].1, answered[2].1, "the caller's description stays the same");
    simulation.hang_up(caller, session);
    simulation.assert_all_over();
}
