//! An operator dials digits into a call: to the trunk unless another side is named, in order, and no more than can wait.

use std::time::Duration;

use media::{Command, Dtmf, MediaSessionId};
use sip::StatusCode;
use switchboard::{Operator, OperatorError};
use testkit::Simulation;

use crate::{PLAN, Talk, talk, talk_in};

const DURATION: Duration = Duration::from_millis(120);

fn dial(simulation: &mut Simulation, leg: Option<&str>, digits: &str) -> Result<(), OperatorError> {
    let (now, call) = (simulation.now, simulation.views.last().unwrap().id.clone());
    let (leg, digits) = (leg.map(str::to_owned), digits.to_owned());
    let operator = Operator::SendDigits { call, leg, digits, duration: DURATION };
    let done = simulation.switchboard.handle_operator(now, operator).map(|_| ());
    simulation.settle();
    done
}

fn dialled(simulation: &Simulation) -> Vec<(MediaSessionId, String, Duration)> {
    let sent = simulation.commands.iter().filter_map(|command| match command {
        Command::SendDigits { session, digits, duration } => Some((*session, digits.clone(), *duration)),
        _ => None,
    });
    sent.collect()
}

fn bridged(simulation: &Simulation) -> (MediaSessionId, MediaSessionId) {
    let bridge = simulation.commands.iter().rev().find_map(|command| match command {
        Command::Bridge { a, b } => Some((*a, *b)),
        _ => None,
    });
    bridge.unwrap()
}

fn legs(simulation: &Simulation) -> Vec<String> {
    simulation.views.last().unwrap().legs.iter().map(|leg| leg.id.clone()).collect()
}

#[test]
fn digits_go_to_the_trunk_unless_another_leg_is_named() {
    let Talk { mut simulation, trunk, incoming, .. } = talk();
    let (agent_side, trunk_side) = bridged(&simulation);
    let legs = legs(&simulation);
    assert_eq!(dial(&mut simulation, None, "12#"), Ok(()));
    assert_eq!(dial(&mut simulation, Some(&legs[0]), "4"), Ok(()));
    assert_eq!(dial(&mut simulation, Some(&legs[1]), "5"), Ok(()));
    let expected = [(trunk_side, "12#"), (agent_side, "4"), (trunk_side, "5")];
    let expected = expected.map(|(session, digits)| (session, digits.to_owned(), DURATION));
    assert_eq!(dialled(&simulation), expected);
    simulation.hang_up(trunk, incoming);
    simulation.assert_all_over();
}

#[test]
fn the_trunk_is_the_default_also_when_it_called() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register(browser, "100", 600);
    let now = simulation.now;
    let to = "sip:+493011100@203.0.113.1";
    let calling = simulation.peer(trunk).invite(now, "sip:+1555000111@x.example", to, Some("v=0"), None);
    simulation.settle();
    let ringing = simulation.incoming(browser);
    simulation.answer(browser, ringing, StatusCode::OK, Some("v=0 browser"));
    assert!(simulation.is_answered(trunk, calling));
    assert_eq!(dial(&mut simulation, None, "7"), Ok(()));
    let (caller_side, _) = bridged(&simulation);
    assert_eq!(dialled(&simulation), [(caller_side, "7".to_owned(), DURATION)]);
    simulation.hang_up(trunk, calling);
    simulation.assert_all_over();
}

#[test]
fn between_agents_the_callee_is_the_far_side() {
    let mut simulation = Simulation::new(PLAN);
    let (caller, callee) = (simulation.browser(1), simulation.browser(2));
    simulation.register(callee, "101", 600);
    let calling = simulation.call(caller, "100", "101");
    let ringing = simulation.incoming(callee);
    simulation.answer(callee, ringing, StatusCode::OK, Some("v=0 callee"));
    assert_eq!(dial(&mut simulation, None, "7"), Ok(()));
    let (_, callee_side) = bridged(&simulation);
    assert_eq!(dialled(&simulation), [(callee_side, "7".to_owned(), DURATION)]);
    simulation.hang_up(caller, calling);
    simulation.assert_all_over();
}

#[test]
fn a_trunk_that_wants_info_gets_dialled_digits_by_info() {
    let talk = talk_in(Simulation::with(PLAN, |_, directory| {
        directory.trunks.values_mut().for_each(|trunk| trunk.media.dtmf = Dtmf::Info);
    }));
    let Talk { mut simulation, trunk, incoming, .. } = talk;
    assert_eq!(dial(&mut simulation, None, "9"), Ok(()));
    let infos = simulation.requests_to(trunk, &sip::Method::Info);
    assert_eq!(infos.len(), 1);
    assert_eq!(&infos[0].body[..], b"Signal=9\r\nDuration=120\r\n");
    assert!(dialled(&simulation).is_empty());
    simulation.hang_up(trunk, incoming);
    simulation.assert_all_over();
}

#[test]
fn no_more_digits_wait_on_a_leg_than_thirty_two() {
    let Talk { mut simulation, trunk, incoming, .. } = talk();
    let legs = legs(&simulation);
    assert_eq!(dial(&mut simulation, None, &"1".repeat(30)), Ok(()));
    assert_eq!(dial(&mut simulation, None, "123"), Err(OperatorError::DigitsWaiting));
    assert_eq!(dial(&mut simulation, None, "12"), Ok(()));
    assert_eq!(dial(&mut simulation, None, "1"), Err(OperatorError::DigitsWaiting));
    assert_eq!(dial(&mut simulation, Some(&legs[0]), "1"), Ok(()), "each leg has a queue of its own");
    simulation.pass(DURATION * 3);
    assert_eq!(dial(&mut simulation, None, "1"), Ok(()), "one has been sent");
    assert_eq!(dialled(&simulation).len(), 4);
    simulation.hang_up(trunk, incoming);
    simulation.assert_all_over();
}

#[test]
fn there_is_nobody_to_dial_to_before_the_answer_and_after_the_end() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    let outgoing = simulation.call(browser, "100", "+15551234567");
    let incoming = simulation.incoming(trunk);
    assert_eq!(dial(&mut simulation, None, "1"), Err(OperatorError::NotConnected));
    let legs = legs(&simulation);
    assert_eq!(dial(&mut simulation, Some(&legs[1]), "1"), Err(OperatorError::NotConnected));
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0 trunk"));
    assert!(simulation.is_answered(browser, outgoing));
    assert_eq!(dial(&mut simulation, Some("leg_nobody"), "1"), Err(OperatorError::UnknownLeg));
    simulation.hang_up(trunk, incoming);
    simulation.settle();
    assert_eq!(dial(&mut simulation, None, "1"), Err(OperatorError::UnknownCall));
    assert!(dialled(&simulation).is_empty());
    simulation.assert_all_over();
}

#[test]
fn a_leg_on_hold_takes_no_digits_and_the_other_side_does() {
    let Talk { mut simulation, browser, outgoing, trunk, incoming } = talk();
    let legs = legs(&simulation);
    simulation.reinvite(browser, outgoing, Some("v=0 a=sendonly"));
    assert_eq!(dial(&mut simulation, Some(&legs[0]), "1"), Err(OperatorError::LegHeld));
    assert_eq!(dial(&mut simulation, None, "2"), Ok(()));
    simulation.reinvite(browser, outgoing, Some("v=0 a=sendrecv"));
    assert_eq!(dial(&mut simulation, Some(&legs[0]), "3"), Ok(()));
    let digits: Vec<String> = dialled(&simulation).into_iter().map(|(_, digits, _)| digits).collect();
    assert_eq!(digits, ["2", "3"]);
    simulation.hang_up(trunk, incoming);
    simulation.assert_all_over();
}
