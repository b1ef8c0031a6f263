//! An agent calls: the echo test, a colleague, a number behind a trunk.

use std::time::Duration;

use media::Command;
use sip::{SessionEvent, StatusCode};
use switchboard::{CallResult, EndedBy, Operator};
use testkit::{MediaScript, Simulation};

fn answered(events: &[SessionEvent]) -> bool {
    events.iter().any(|event| matches!(event, SessionEvent::Answered { .. }))
}

fn statuses(events: &[SessionEvent]) -> Vec<u16> {
    let status = |event: &SessionEvent| match event {
        SessionEvent::Progress { response }
        | SessionEvent::Answered { response }
        | SessionEvent::Refused { response, .. } => Some(response.status.code()),
        _ => None,
    };
    events.iter().filter_map(status).collect()
}

#[test]
fn the_echo_test_answers_and_ends_with_the_callers_bye() {
    let mut simulation = Simulation::new(crate::PLAN);
    let browser = simulation.browser(1);
    let session = simulation.call(browser, "100", "9196");
    assert!(answered(&simulation.events(browser, session)));
    assert!(simulation.commands.iter().any(|command| matches!(command, Command::Echo { .. })));
    let now = simulation.now;
    simulation.peer(browser).endpoint.bye(now, session, None);
    simulation.assert_all_over();
    assert_eq!(simulation.records.len(), 1);
    assert_eq!((simulation.records[0].result, simulation.records[0].ended_by), (CallResult::Answered, EndedBy::Caller));
}

#[test]
fn a_trunk_call_rings_is_answered_and_hung_up_by_the_callee() {
    let mut simulation = Simulation::new(crate::PLAN);
    let (browser, gateway) = (simulation.browser(1), simulation.gateway(1));
    let session = simulation.call(browser, "100", "+15551234567");
    let (incoming, invite) = simulation.invites(gateway)[0].clone();
    assert_eq!(invite.uri.to_string(), "sip:+15551234567@main.carrier.example");
    assert_eq!(invite.headers.from().unwrap().unwrap().uri.user().unwrap(), "+493011100");
    let now = simulation.now;
    let peer = simulation.peer(gateway);
    let (ringing, ok) = (peer.draft(StatusCode::RINGING, None), peer.draft(StatusCode::OK, Some("v=0 trunk")));
    peer.endpoint.progress(now, incoming, ringing);
    simulation.settle();
    simulation.peer(gateway).endpoint.accept(now, incoming, ok);
    simulation.settle();
    assert_eq!(statuses(&simulation.events(browser, session)), [180, 200]);
    assert!(simulation.commands.iter().any(|command| matches!(command, Command::Bridge { .. })));
    simulation.peer(gateway).endpoint.bye(now, incoming, None);
    simulation.assert_all_over();
    assert!(simulation.events(browser, session).iter().any(|event| matches!(event, SessionEvent::Bye { .. })));
    assert_eq!((simulation.records.len(), simulation.records[0].ended_by), (1, EndedBy::Callee));
}

#[test]
fn early_media_reaches_the_browser_as_183() {
    let mut simulation = Simulation::new(crate::PLAN);
    let (browser, gateway) = (simulation.browser(1), simulation.gateway(1));
    let session = simulation.call(browser, "100", "+15551234567");
    let (incoming, _) = simulation.invites(gateway)[0].clone();
    let now = simulation.now;
    let peer = simulation.peer(gateway);
    let early = peer.draft(StatusCode::SESSION_PROGRESS, Some("v=0 early"));
    let ok = peer.draft(StatusCode::OK, Some("v=0 trunk"));
    peer.endpoint.progress(now, incoming, early);
    simulation.settle();
    assert!(simulation.commands.iter().any(|command| matches!(command, Command::Bridge { .. })));
    simulation.peer(gateway).endpoint.accept(now, incoming, ok);
    simulation.settle();
    assert_eq!(statuses(&simulation.events(browser, session)), [183, 200]);
    simulation.switchboard.handle_operator(now, Operator::HangupAll).unwrap();
    simulation.assert_all_over();
    assert_eq!(simulation.records[0].ended_by, EndedBy::Operator);
}

#[test]
fn busy_comes_through_and_no_other_trunk_is_tried() {
    let mut simulation = Simulation::new(crate::PLAN);
    let (browser, main, spare) = (simulation.browser(1), simulation.gateway(1), simulation.gateway(2));
    let session = simulation.call(browser, "100", "+15551234567");
    let (incoming, _) = simulation.invites(main)[0].clone();
    let now = simulation.now;
    let peer = simulation.peer(main);
    let busy = peer.draft(StatusCode::BUSY_HERE, None);
    peer.endpoint.reject(now, incoming, busy);
    simulation.assert_all_over();
    let refused = simulation.refusal(browser, session).unwrap();
    assert_eq!(refused.status, StatusCode::BUSY_HERE);
    assert_eq!(refused.headers.reasons()[0].cause, Some(17));
    assert!(simulation.invites(spare).is_empty());
    assert_eq!(simulation.records[0].result, CallResult::Busy);
}

#[test]
fn a_503_or_silence_of_one_trunk_leads_to_the_next() {
    for silent in [false, true] {
        let mut simulation = Simulation::new(crate::PLAN);
        let (browser, spare) = (simulation.browser(1), simulation.gateway(2));
        let main = if silent { None } else { Some(simulation.gateway(1)) };
        let session = simulation.call(browser, "100", "+15551234567");
        let now = simulation.now;
        match main {
            Some(main) => {
                let (incoming, _) = simulation.invites(main)[0].clone();
                let peer = simulation.peer(main);
                let unavailable = peer.draft(StatusCode::SERVICE_UNAVAILABLE, None);
                peer.endpoint.reject(now, incoming, unavailable);
                simulation.settle();
            }
            None => simulation.pass(Duration::from_secs(5)),
        }
        let now = simulation.now;
        let (incoming, _) = simulation.invites(spare)[0].clone();
        let peer = simulation.peer(spare);
        let ok = peer.draft(StatusCode::OK, Some("v=0 trunk"));
        peer.endpoint.accept(now, incoming, ok);
        simulation.settle();
        assert!(answered(&simulation.events(browser, session)), "silent: {silent}");
        simulation.peer(browser).endpoint.bye(now, session, None);
        simulation.assert_all_over();
    }
}

#[test]
fn no_answer_is_cancelled_after_the_steps_time_and_told_as_480() {
    let mut simulation = Simulation::new(crate::PLAN);
    let (browser, main) = (simulation.browser(1), simulation.gateway(1));
    let session = simulation.call(browser, "100", "+15551234567");
    let (incoming, _) = simulation.invites(main)[0].clone();
    simulation.pass(Duration::from_secs(21));
    let cancelled = simulation.events(main, incoming);
    assert!(cancelled.iter().any(|event| matches!(event, SessionEvent::Cancelled { .. })));
    let refused = simulation.refusal(browser, session).unwrap();
    assert_eq!((refused.status.code(), refused.headers.reasons()[0].cause), (480, Some(19)));
    simulation.assert_all_over();
    assert_eq!(simulation.records[0].result, CallResult::NoAnswer);
}

#[test]
fn the_callers_cancel_takes_the_invite_back() {
    let mut simulation = Simulation::new(crate::PLAN);
    let (browser, main) = (simulation.browser(1), simulation.gateway(1));
    let session = simulation.call(browser, "100", "+15551234567");
    let (incoming, _) = simulation.invites(main)[0].clone();
    let now = simulation.now;
    simulation.peer(browser).endpoint.cancel(now, session, None);
    simulation.settle();
    let cancelled = simulation.events(main, incoming);
    assert!(cancelled.iter().any(|event| matches!(event, SessionEvent::Cancelled { .. })));
    simulation.assert_all_over();
    assert_eq!((simulation.records.len(), simulation.records[0].result), (1, CallResult::Cancelled));
}

#[test]
fn media_that_cannot_be_agreed_on_is_488_and_the_trunk_is_hung_up() {
    for script in [MediaScript::RejectsOffers, MediaScript::RejectsAnswers] {
        let mut simulation = Simulation::new(crate::PLAN);
        simulation.script = script;
        let (browser, main) = (simulation.browser(1), simulation.gateway(1));
        let session = simulation.call(browser, "100", "+15551234567");
        let (incoming, _) = simulation.invites(main)[0].clone();
        let now = simulation.now;
        let peer = simulation.peer(main);
        let ok = peer.draft(StatusCode::OK, Some("v=0 trunk"));
        peer.endpoint.accept(now, incoming, ok);
        simulation.settle();
        assert_eq!(simulation.refusal(browser, session).unwrap().status.code(), 488);
        assert!(simulation.events(main, incoming).iter().any(|event| matches!(event, SessionEvent::Bye { .. })));
        simulation.assert_all_over();
    }
}

#[test]
fn a_colleague_is_called_by_the_same_path() {
    let mut simulation = Simulation::new(crate::PLAN);
    let (caller, callee) = (simulation.browser(1), simulation.browser(2));
    simulation.register(callee, "101", 600);
    let session = simulation.call(caller, "100", "101");
    let (incoming, invite) = simulation.invites(callee)[0].clone();
    assert_eq!(invite.headers.from().unwrap().unwrap().display.as_deref(), Some("Agent 100"));
    let now = simulation.now;
    let peer = simulation.peer(callee);
    let ok = peer.draft(StatusCode::OK, Some("v=0 colleague"));
    peer.endpoint.accept(now, incoming, ok);
    simulation.settle();
    assert!(answered(&simulation.events(caller, session)));
    simulation.peer(caller).endpoint.bye(now, session, None);
    simulation.assert_all_over();
}

#[test]
fn while_draining_new_calls_get_503_and_registrations_go_on() {
    let mut simulation = Simulation::new(crate::PLAN);
    let browser = simulation.browser(1);
    let now = simulation.now;
    simulation.switchboard.handle_operator(now, Operator::Drain).unwrap();
    let session = simulation.call(browser, "100", "9196");
    let refused = simulation.refusal(browser, session).unwrap();
    assert_eq!((refused.status.code(), refused.headers.get("Retry-After")), (503, Some("10")));
    assert_eq!(simulation.register(browser, "100", 600).status, StatusCode::OK);
}
