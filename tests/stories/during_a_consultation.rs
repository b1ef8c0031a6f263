//! What else may happen to a call during a consultation by REST: holds, digits, other transfers.

use media::{Command, Hold};
use sip::StatusCode;
use switchboard::{Granted, Operator, OperatorError, TransferMode, TransferStatus};
use testkit::Simulation;

use crate::consulting_by_rest::{AGENT, Hears, TARGET, TRUNK, consult, consulting, ringing, to_colleague};
use crate::transferring::{TO_COLLEAGUE, with_colleague};
use crate::{PLAN, Talk};

#[test]
fn while_one_is_asked_nothing_else_is_transferred_and_what_is_over_is_not_completed() {
    let mut asking = consulting();
    assert_eq!(consult(&mut asking.talk, to_colleague()), Err(OperatorError::Transferring));
    let refer = asking.talk.simulation.refer(asking.talk.browser, asking.talk.outgoing, TO_COLLEAGUE);
    assert_eq!(refer, StatusCode::REQUEST_PENDING);
    assert_eq!(
        asking.talk.simulation.refer(asking.colleague, asking.asked, "<sip:100@x>"),
        StatusCode::REQUEST_PENDING
    );
    let known = std::mem::replace(&mut asking.transfer, "trf_none".to_owned());
    assert_eq!(asking.complete(), Err(OperatorError::UnknownTransfer));
    assert_eq!(asking.cancel(), Err(OperatorError::UnknownTransfer));
    asking.transfer = known;
    asking.cancel().unwrap();
    assert_eq!(asking.cancel(), Err(OperatorError::NotConsulting));
    assert_eq!(asking.complete(), Err(OperatorError::NotConsulting));
    asking.goes_back(TransferStatus::Cancelled, 487);
    // A blind transfer is none that can be completed.
    let (mut talk, colleague) = with_colleague();
    let call = talk.simulation.views.last().unwrap().id.clone();
    let operator =
        Operator::Transfer { call: call.clone(), mode: TransferMode::Blind, leg: None, target: to_colleague() };
    let now = talk.simulation.now;
    let Ok(Granted::Transfer(view)) = talk.simulation.switchboard.handle_operator(now, operator) else { panic!() };
    talk.simulation.settle();
    let complete = Operator::CompleteTransfer { call, transfer: view.id };
    assert_eq!(talk.simulation.switchboard.handle_operator(now, complete), Err(OperatorError::NotConsulting));
    let asked = talk.simulation.incoming(colleague);
    talk.simulation.answer(colleague, asked, StatusCode::DECLINE, None);
    talk.goes_back();
}

#[test]
fn a_caller_who_was_not_answered_yet_cannot_be_left_waiting() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    let outgoing = simulation.call(browser, "100", "+15551234567");
    let incoming = simulation.incoming(trunk);
    let mut talk = Talk { simulation, browser, outgoing, trunk, incoming };
    assert_eq!(consult(&mut talk, to_colleague()), Err(OperatorError::NotConnected));
    talk.simulation.answer(trunk, incoming, StatusCode::BUSY_HERE, None);
    talk.simulation.assert_all_over();
}

#[test]
fn each_of_the_three_holds_and_resumes_by_itself() {
    let mut asking = consulting();
    for of in [TRUNK, AGENT, TARGET] {
        let (peer, session) = asking.peer(of);
        asking.talk.simulation.reinvite(peer, session, Some("v=0 a=sendonly"));
        let held = asking.talk.simulation.holds().iter().filter(|hold| **hold == Hold::Remote).count();
        assert_eq!(held, 1, "{of} alone");
        asking.talk.simulation.reinvite(peer, session, Some("v=0 a=sendrecv"));
    }
    // Who holds goes on holding whoever it talks to then.
    asking.talk.simulation.reinvite(asking.talk.browser, asking.talk.outgoing, Some("v=0 a=sendonly"));
    asking.cancel().unwrap();
    assert!(asking.talk.simulation.holds().contains(&Hold::Remote));
    asking.talk.simulation.reinvite(asking.talk.browser, asking.talk.outgoing, Some("v=0 a=sendrecv"));
    asking.goes_back(TransferStatus::Cancelled, 487);
}

#[test]
fn while_it_rings_the_two_hold_and_resume() {
    let mut asking = ringing();
    for of in [TRUNK, AGENT] {
        let (peer, session) = asking.peer(of);
        asking.talk.simulation.reinvite(peer, session, Some("v=0 a=sendonly"));
        assert!(asking.talk.simulation.holds().contains(&Hold::Remote), "{of}");
        asking.talk.simulation.reinvite(peer, session, Some("v=0 a=sendrecv"));
    }
    asking.pick_up();
    asking.complete().unwrap();
    asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
}

#[test]
fn the_agents_keys_go_to_whom_it_talks_to() {
    let mut asking = consulting();
    let info = ("Content-Type: application/dtmf-relay\r\n", "Signal=5\r\nDuration=160\r\n");
    let (browser, outgoing) = (asking.talk.browser, asking.talk.outgoing);
    asking.talk.simulation.request_inside(browser, outgoing, "INFO", 70, info.0, info.1);
    let pressed = asking.talk.simulation.commands.iter().rev().find_map(|command| match command {
        Command::PressDigit { session, digit, .. } => Some((*session, *digit)),
        _ => None,
    });
    // From the agent's session: it goes to whoever that is joined with.
    assert_eq!(pressed, Some((asking.talk.session_of(AGENT), '5')));
    assert_eq!(asking.hears(TARGET), Hears::Party(AGENT));
    asking.end_all();
    asking.ends_for(&[TRUNK, AGENT, TARGET]);
}

#[test]
fn digits_by_rest_go_to_whom_the_agent_talks_to_and_not_to_who_waits() {
    let dial = |asking: &mut crate::consulting_by_rest::Asking, leg: Option<String>| {
        let (call, now) = (asking.talk.simulation.views.last().unwrap().id.clone(), asking.talk.simulation.now);
        let duration = std::time::Duration::from_millis(100);
        let operator = Operator::SendDigits { call, leg, digits: "7".to_owned(), duration };
        let done = asking.talk.simulation.switchboard.handle_operator(now, operator);
        asking.talk.simulation.settle();
        done
    };
    let dialled = |asking: &crate::consulting_by_rest::Asking| {
        let sent = asking.talk.simulation.commands.iter().filter_map(|command| match command {
            Command::SendDigits { session, .. } => Some(*session),
            _ => None,
        });
        sent.collect::<Vec<_>>()
    };
    let mut asking = ringing();
    assert_eq!(dial(&mut asking, None), Err(OperatorError::LegHeld), "it talks to nobody");
    asking.pick_up();
    assert_eq!(dial(&mut asking, None), Ok(Granted::Done));
    let target = asking.talk.simulation.commands.iter().rev().find_map(|command| match command {
        Command::Bridge { b, .. } => Some(*b),
        _ => None,
    });
    assert_eq!(dialled(&asking), [target.unwrap()]);
    let trunk = asking.talk.simulation.views.last().unwrap().legs.iter().find(|leg| leg.extension.is_none()).unwrap();
    let trunk = trunk.id.clone();
    assert_eq!(dial(&mut asking, Some(trunk)), Ok(Granted::Done), "who is named gets them");
    assert_eq!(dialled(&asking)[1], asking.talk.session_of(TRUNK));
    asking.end_all();
    asking.ends_for(&[TRUNK, AGENT, TARGET]);
}
