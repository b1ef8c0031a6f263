//! A page that is loaded again, or another device of the extension, reclaims a call by REST: the gateway calls the extension's phones, and
//! the first that answers takes the place of the leg that was lost.

use std::net::SocketAddr;
use std::time::Duration;

use media::{Command, Hold, MediaSessionId};
use sip::{ConnectionId, Method, SessionId, StatusCode};
use switchboard::{CallResult, CallState, Granted, Operator, OperatorError};
use testkit::{MediaScript, Simulation};

use crate::coming_back::{ANOTHER, DEVICE, NEXT};
use crate::{PLAN, Talk, talk_in};

const BUSY: Result<Granted, OperatorError> = Err(OperatorError::Changing);

/// Agent 100, registered, calls a number behind the trunk.
pub(crate) fn calling() -> Talk {
    let mut simulation = Simulation::new(PLAN);
    let browser = simulation.browser(1);
    simulation.register_as(browser, "100", DEVICE, 600);
    talk_in(simulation)
}

/// Agent 100, registered, is called by a customer; `outgoing` is the agent's session, `incoming` the customer's.
pub(crate) fn called() -> Talk {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register_as(browser, "100", DEVICE, 600);
    let now = simulation.now;
    let (from, to) = ("sip:+15550001111@x.example", "sip:+493011100@203.0.113.1");
    let incoming = simulation.peer(trunk).invite(now, from, to, Some("v=0 trunk"), None);
    simulation.settle();
    let outgoing = simulation.incoming(browser);
    simulation.answer(browser, outgoing, StatusCode::OK, Some("v=0 browser"));
    assert!(simulation.is_answered(trunk, incoming));
    Talk { simulation, browser, outgoing, trunk, incoming }
}

pub(crate) fn reclaim(simulation: &mut Simulation) -> Result<Granted, OperatorError> {
    let (call, now) = (simulation.views.last().unwrap().id.clone(), simulation.now);
    let answer = simulation.switchboard.handle_operator(now, Operator::Reclaim { call, leg: None });
    simulation.settle();
    answer
}

/// Another page of the same agent, registered.
pub(crate) fn reloaded(simulation: &mut Simulation) -> SocketAddr {
    let page = simulation.browser(5);
    assert_eq!(simulation.register_as(page, "100", ANOTHER, 600).status, StatusCode::OK);
    page
}

pub(crate) fn pick_up(simulation: &mut Simulation, page: SocketAddr) -> SessionId {
    let session = simulation.incoming(page);
    simulation.answer(page, session, StatusCode::OK, Some("v=0 again"));
    session
}

fn bridged(simulation: &Simulation) -> (MediaSessionId, MediaSessionId) {
    let bridges = simulation.commands.iter().rev().filter_map(|command| match command {
        Command::Bridge { a, b } => Some((*a, *b)),
        _ => None,
    });
    bridges.into_iter().next().expect("a bridge")
}

fn opened(simulation: &Simulation) -> Vec<MediaSessionId> {
    let opened = simulation.commands.iter().filter_map(|command| match command {
        Command::Open { session, .. } => Some(*session),
        _ => None,
    });
    opened.collect()
}

fn state(simulation: &Simulation) -> CallState {
    simulation.views.last().unwrap().state
}

#[test]
fn a_page_that_was_loaded_again_gets_its_call_back_whoever_called_and_held_or_not() {
    for (talk, is_caller) in [(calling as fn() -> Talk, true), (called, false)] {
        for held in [false, true] {
            let Talk { mut simulation, browser, outgoing, trunk, incoming } = talk();
            if held {
                simulation.reinvite(browser, outgoing, Some("v=0 a=sendonly"));
            }
            simulation.disconnect(browser);
            let page = reloaded(&mut simulation);
            let to_trunk = simulation.sent.iter().filter(|(_, to, _)| *to == trunk).count();
            assert_eq!(reclaim(&mut simulation), Ok(Granted::Done));
            let (_, invite) = simulation.invites(page).pop().expect("it is called");
            assert!(invite.headers.get("Call-Info").unwrap().ends_with(">;answer-after=0"));
            assert!(invite.headers.get("Alert-Info").unwrap().ends_with(">;info=alert-autoanswer"));
            let customer = if is_caller { "+15551234567" } else { "+15550001111" };
            assert_eq!(invite.headers.from().unwrap().unwrap().uri.user().unwrap(), customer);
            assert_eq!(invite.headers.to().unwrap().unwrap().uri.user().unwrap(), "100");
            let session = pick_up(&mut simulation, page);
            let customers = opened(&simulation)[usize::from(!is_caller)];
            assert_eq!(bridged(&simulation), (*opened(&simulation).last().unwrap(), customers));
            assert_eq!(
                simulation.sent.iter().filter(|(_, to, _)| *to == trunk).count(),
                to_trunk,
                "who waits hears nothing of it"
            );
            let view = simulation.views.last().unwrap();
            let place = &view.legs[usize::from(!is_caller)];
            assert_eq!((view.state, place.state, place.away), (CallState::Connected, CallState::Connected, false));
            assert_eq!((place.extension.as_deref(), place.media.hold), (Some("100"), Hold::None));
            assert_eq!(place.sip_call_id.as_deref(), invite.headers.call_id());
            simulation.pass(Duration::from_secs(60));
            assert_eq!(state(&simulation), CallState::Connected, "the old leg is waited for no more");
            // It is a call like any other.
            simulation.reinvite(page, session, Some("v=0 a=sendonly"));
            assert_eq!(simulation.changes(page, session), [200]);
            simulation.hang_up(trunk, incoming);
            assert!(simulation.is_hung_up(page, session));
            simulation.assert_all_over();
            assert_eq!((simulation.records.len(), simulation.records[0].result), (1, CallResult::Answered));
        }
    }
}

#[test]
fn a_page_that_registered_as_the_same_device_is_called_too_for_it_may_have_forgotten_the_call() {
    let Talk { mut simulation, browser, trunk, incoming, .. } = called();
    // Its old connection is known to be gone, or not yet.
    for connection in [NEXT, ConnectionId(78)] {
        if connection == NEXT {
            simulation.disconnect(browser);
        }
        simulation.peer(browser).from_switchboard.connection = Some(connection);
        simulation.register_as(browser, "100", DEVICE, 600);
        assert!(!simulation.views.last().unwrap().legs[1].away, "the leg was moved to where the device is");
        let before = simulation.invites(browser).len();
        assert_eq!(reclaim(&mut simulation), Ok(Granted::Done));
        assert_eq!(simulation.invites(browser).len(), before + 1);
        pick_up(&mut simulation, browser);
        assert_eq!(state(&simulation), CallState::Connected);
    }
    simulation.hang_up(trunk, incoming);
    simulation.assert_all_over();
}

#[test]
fn a_call_is_pulled_to_another_device_and_the_one_that_has_it_does_not_ring() {
    let Talk { mut simulation, browser, outgoing, trunk, incoming } = calling();
    let other = reloaded(&mut simulation);
    assert_eq!(reclaim(&mut simulation), Ok(Granted::Done));
    assert!(simulation.invites(browser).is_empty());
    let session = pick_up(&mut simulation, other);
    assert!(simulation.is_hung_up(browser, outgoing), "the old leg is let go");
    simulation.hang_up(other, session);
    assert!(simulation.is_hung_up(trunk, incoming));
    simulation.assert_all_over();
}

#[test]
fn a_device_that_came_back_and_speaks_of_the_call_has_not_forgotten_it() {
    let Talk { mut simulation, browser, outgoing, trunk, incoming } = calling();
    simulation.disconnect(browser);
    simulation.peer(browser).from_switchboard.connection = Some(NEXT);
    simulation.register_as(browser, "100", DEVICE, 600);
    simulation.request_inside(browser, outgoing, "OPTIONS", 10, "", "");
    assert_eq!(reclaim(&mut simulation), Err(OperatorError::NotRegistered));
    simulation.hang_up(trunk, incoming);
    simulation.assert_all_over();
}

#[test]
fn without_another_phone_nothing_happens_and_the_leg_is_waited_for_as_before() {
    let Talk { mut simulation, browser, outgoing, trunk, incoming } = calling();
    assert_eq!(reclaim(&mut simulation), Err(OperatorError::NotRegistered), "the only phone has the call");
    simulation.disconnect(browser);
    assert_eq!(reclaim(&mut simulation), Err(OperatorError::NotRegistered));
    assert!(simulation.views.last().unwrap().legs[0].away);
    simulation.peer(browser).from_switchboard.connection = Some(NEXT);
    simulation.register_as(browser, "100", DEVICE, 600);
    simulation.hang_up(trunk, incoming);
    assert!(simulation.is_hung_up(browser, outgoing));
    simulation.assert_all_over();
}

#[test]
fn when_nobody_answers_the_leg_is_as_it_was() {
    for refuses in [true, false] {
        let Talk { mut simulation, browser, outgoing, trunk, incoming } = calling();
        simulation.disconnect(browser);
        let page = reloaded(&mut simulation);
        reclaim(&mut simulation).unwrap();
        let session = simulation.incoming(page);
        if refuses {
            simulation.answer(page, session, StatusCode::BUSY_HERE, None);
        } else {
            simulation.answer(page, session, StatusCode::RINGING, None);
            simulation.pass(Duration::from_secs(20));
            assert!(simulation.is_cancelled(page, session));
        }
        assert_eq!(state(&simulation), CallState::Connected);
        assert!(simulation.views.last().unwrap().legs[0].away);
        simulation.peer(browser).from_switchboard.connection = Some(NEXT);
        simulation.register_as(browser, "100", DEVICE, 600);
        simulation.hang_up(trunk, incoming);
        assert!(simulation.is_hung_up(browser, outgoing));
        simulation.assert_all_over();
    }
}

#[test]
fn whose_time_runs_out_while_a_phone_is_called_is_given_up_only_when_that_does_not_answer() {
    for answers in [true, false] {
        let Talk { mut simulation, browser, trunk, incoming, .. } = calling();
        simulation.disconnect(browser);
        let page = reloaded(&mut simulation);
        simulation.pass(Duration::from_secs(25));
        reclaim(&mut simulation).unwrap();
        simulation.pass(Duration::from_secs(10));
        assert!(!simulation.is_hung_up(trunk, incoming));
        if answers {
            pick_up(&mut simulation, page);
            simulation.pass(Duration::from_secs(60));
            assert_eq!(state(&simulation), CallState::Connected);
            simulation.hang_up(trunk, incoming);
        } else {
            simulation.pass(Duration::from_secs(10));
            assert!(simulation.is_hung_up(trunk, incoming));
            assert_eq!(simulation.records[0].q850, Some(27));
        }
        simulation.assert_all_over();
    }
}

#[test]
fn of_many_phones_the_first_that_answers_has_the_call_and_the_others_are_told() {
    let Talk { mut simulation, browser, trunk, incoming, .. } = called();
    simulation.disconnect(browser);
    let first = reloaded(&mut simulation);
    let second = simulation.browser(6);
    simulation.register_as(second, "100", "<sip:z@b3.invalid;transport=ws>", 600);
    reclaim(&mut simulation).unwrap();
    let (slow, quick) = (simulation.incoming(first), simulation.incoming(second));
    simulation.answer(first, slow, StatusCode::RINGING, None);
    simulation.answer(second, quick, StatusCode::OK, Some("v=0"));
    assert!(simulation.is_cancelled(first, slow));
    simulation.hang_up(second, quick);
    assert!(simulation.is_hung_up(trunk, incoming));
    simulation.assert_all_over();
}

#[test]
fn two_that_answer_at_once_do_not_both_get_the_call() {
    let Talk { mut simulation, browser, trunk, incoming, .. } = called();
    simulation.disconnect(browser);
    let first = reloaded(&mut simulation);
    let second = simulation.browser(6);
    simulation.register_as(second, "100", "<sip:z@b3.invalid;transport=ws>", 600);
    reclaim(&mut simulation).unwrap();
    let sessions = [(first, simulation.incoming(first)), (second, simulation.incoming(second))];
    let now = simulation.now;
    for (page, session) in sessions {
        let peer = simulation.peer(page);
        let draft = peer.draft(StatusCode::OK, Some("v=0"));
        peer.endpoint.accept(now, session, draft);
    }
    simulation.settle();
    let hung_up = sessions.iter().filter(|(page, session)| simulation.is_hung_up(*page, *session)).count();
    assert_eq!((hung_up, state(&simulation)), (1, CallState::Connected));
    simulation.hang_up(trunk, incoming);
    simulation.assert_all_over();
}

#[test]
fn a_second_reclaim_waits_for_the_first() {
    let Talk { mut simulation, browser, trunk, incoming, .. } = calling();
    simulation.disconnect(browser);
    let page = reloaded(&mut simulation);
    reclaim(&mut simulation).unwrap();
    assert_eq!(reclaim(&mut simulation), BUSY);
    let session = simulation.incoming(page);
    simulation.script = MediaScript::Slow;
    simulation.answer(page, session, StatusCode::OK, Some("v=0"));
    assert_eq!(reclaim(&mut simulation), BUSY, "its place is just being taken");
    simulation.shards_catch_up();
    simulation.script = MediaScript::Works;
    assert_eq!(simulation.invites(page).len(), 1);
    simulation.hang_up(trunk, incoming);
    assert!(simulation.is_hung_up(page, session));
    simulation.assert_all_over();
}

#[test]
fn whoever_leaves_meanwhile_strands_nobody() {
    // The customer hangs up, the agent does on the device that has the call, an operator ends the call.
    for who in 0..3 {
        for answered in [false, true] {
            let Talk { mut simulation, browser, outgoing, trunk, incoming } = calling();
            let page = reloaded(&mut simulation);
            reclaim(&mut simulation).unwrap();
            let session = simulation.incoming(page);
            simulation.script = MediaScript::Slow;
            let status = if answered { StatusCode::OK } else { StatusCode::RINGING };
            simulation.answer(page, session, status, answered.then_some("v=0"));
            match who {
                0 => simulation.hang_up(trunk, incoming),
                1 => simulation.hang_up(browser, outgoing),
                _ => {
                    let (call, now) = (simulation.views.last().unwrap().id.clone(), simulation.now);
                    simulation.switchboard.handle_operator(now, Operator::Hangup { call }).unwrap();
                    simulation.settle();
                }
            }
            simulation.shards_catch_up();
            simulation.script = MediaScript::Works;
            if who == 1 && answered {
                assert_eq!(state(&simulation), CallState::Connected, "its place was taken already");
                simulation.hang_up(page, session);
            }
            assert!(simulation.is_hung_up(trunk, incoming) || who == 0);
            let told =
                if answered { simulation.is_hung_up(page, session) } else { simulation.is_cancelled(page, session) };
            assert!(told || (who == 1 && answered), "who {who}, answered {answered}");
            simulation.assert_all_over();
            assert_eq!(simulation.records.len(), 1);
        }
    }
}

#[test]
fn a_device_that_comes_back_by_itself_meanwhile_has_its_call_until_another_takes_it() {
    for answers in [true, false] {
        let Talk { mut simulation, browser, outgoing, trunk, incoming } = calling();
        simulation.disconnect(browser);
        let page = reloaded(&mut simulation);
        reclaim(&mut simulation).unwrap();
        let session = simulation.incoming(page);
        simulation.peer(browser).from_switchboard.connection = Some(NEXT);
        simulation.register_as(browser, "100", DEVICE, 600);
        let status = if answers { StatusCode::OK } else { StatusCode::BUSY_HERE };
        simulation.answer(page, session, status, answers.then_some("v=0"));
        assert_eq!(state(&simulation), CallState::Connected);
        assert_eq!(simulation.is_hung_up(browser, outgoing), answers);
        simulation.hang_up(trunk, incoming);
        assert_eq!(simulation.is_hung_up(page, session), answers);
        simulation.assert_all_over();
    }
}

#[test]
fn an_invite_with_replaces_is_quicker_and_nobody_rings_any_more() {
    let Talk { mut simulation, browser, outgoing, trunk, incoming } = calling();
    let replaces = simulation.peer(browser).endpoint.replaces(outgoing).unwrap().to_string();
    simulation.disconnect(browser);
    let page = reloaded(&mut simulation);
    reclaim(&mut simulation).unwrap();
    let session = simulation.incoming(page);
    simulation.answer(page, session, StatusCode::RINGING, None);
    simulation.peer(page).headers = vec![("Replaces".to_owned(), replaces)];
    let taken = simulation.call(page, "100", "whoever");
    assert!(simulation.is_answered(page, taken));
    assert!(simulation.is_cancelled(page, session));
    simulation.hang_up(trunk, incoming);
    assert!(simulation.is_hung_up(page, taken));
    simulation.assert_all_over();
}

#[test]
fn an_answer_that_cannot_be_used_leaves_the_call_as_it_was() {
    for answer in [Some("v=0"), None] {
        let Talk { mut simulation, browser, outgoing, trunk, incoming } = calling();
        let page = reloaded(&mut simulation);
        reclaim(&mut simulation).unwrap();
        let session = simulation.incoming(page);
        simulation.script = MediaScript::RejectsAnswers;
        simulation.answer(page, session, StatusCode::OK, answer);
        simulation.script = MediaScript::Works;
        assert!(simulation.is_hung_up(page, session));
        assert!(!simulation.is_hung_up(browser, outgoing) && !simulation.is_hung_up(trunk, incoming));
        simulation.hang_up(browser, outgoing);
        assert!(simulation.is_hung_up(trunk, incoming));
        simulation.assert_all_over();
    }
}

#[test]
fn media_that_is_missed_while_a_phone_is_called_ends_the_call_only_when_that_does_not_answer() {
    for answers in [true, false] {
        let mut talk = calling();
        talk.simulation.disconnect(talk.browser);
        let page = reloaded(&mut talk.simulation);
        reclaim(&mut talk.simulation).unwrap();
        let (lost, now) = (opened(&talk.simulation)[1], talk.simulation.now);
        let silent = media::Event::Silent { session: lost };
        talk.simulation.switchboard.handle_media(now, switchboard::ShardIndex(0), silent);
        talk.simulation.settle();
        assert_eq!(state(&talk.simulation), CallState::Connected);
        let session = talk.simulation.incoming(page);
        let status = if answers { StatusCode::OK } else { StatusCode::BUSY_HERE };
        talk.simulation.answer(page, session, status, answers.then_some("v=0"));
        assert_eq!(talk.simulation.is_hung_up(talk.trunk, talk.incoming), !answers);
        if answers {
            talk.simulation.hang_up(talk.trunk, talk.incoming);
        } else {
            assert_eq!(talk.simulation.records[0].q850, Some(102));
        }
        talk.simulation.assert_all_over();
    }
}

#[test]
fn a_lost_leg_whose_place_is_not_taken_after_all_is_not_left_talking() {
    let Talk { mut simulation, browser, trunk, incoming, .. } = calling();
    simulation.disconnect(browser);
    let page = reloaded(&mut simulation);
    reclaim(&mut simulation).unwrap();
    let (session, now) = (opened(&simulation)[1], simulation.now);
    simulation.switchboard.handle_media(now, switchboard::ShardIndex(0), media::Event::Silent { session });
    simulation.script = MediaScript::RejectsAnswers;
    pick_up(&mut simulation, page);
    simulation.script = MediaScript::Works;
    assert!(simulation.is_hung_up(trunk, incoming));
    simulation.assert_all_over();
}

#[test]
fn only_who_talks_can_be_reclaimed() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register_as(browser, "100", DEVICE, 600);
    let page = reloaded(&mut simulation);
    let outgoing = simulation.call(browser, "100", "+15551234567");
    assert_eq!(reclaim(&mut simulation), Err(OperatorError::NotConnected));
    let incoming = simulation.incoming(trunk);
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0"));
    let view = simulation.views.last().unwrap().clone();
    let customers = Operator::Reclaim { call: view.id.clone(), leg: Some(view.legs[1].id.clone()) };
    let now = simulation.now;
    assert_eq!(simulation.switchboard.handle_operator(now, customers), Err(OperatorError::UnknownLeg));
    assert_eq!(simulation.refer(browser, outgoing, "<sip:101@phone.example.com>").code(), 202);
    simulation.hang_up(browser, outgoing);
    assert!(simulation.invites(page).is_empty());
    simulation.pass(Duration::from_secs(60));
    assert!(simulation.requests_to(page, &Method::Invite).is_empty());
}

#[test]
fn a_leg_that_is_lost_for_good_is_missed_also_when_the_phone_that_answers_for_it_comes_at_a_wrong_moment() {
    let Talk { mut simulation, browser, trunk, incoming, .. } = calling();
    simulation.disconnect(browser);
    let page = reloaded(&mut simulation);
    simulation.pass(Duration::from_secs(15));
    reclaim(&mut simulation).unwrap();
    let called = simulation.incoming(page);
    simulation.answer(page, called, StatusCode::RINGING, None);
    simulation.pass(Duration::from_secs(16));
    assert_eq!(state(&simulation), CallState::Connected, "its place may yet be taken");
    // The trunk is just taking over its own side.
    let replaces = crate::taking_over::dialog_of(&mut simulation, trunk, incoming);
    simulation.script = MediaScript::Slow;
    let now = simulation.now;
    simulation.peer(trunk).headers = vec![("Replaces".to_owned(), replaces)];
    let (from, to) = ("sip:+15551234567@x.example", "sip:100@203.0.113.1");
    let taking = simulation.peer(trunk).invite(now, from, to, Some("v=0 elsewhere"), None);
    simulation.peer(trunk).headers.clear();
    simulation.settle();
    simulation.answer(page, called, StatusCode::OK, Some("v=0 again"));
    assert!(simulation.is_hung_up(page, called), "there is no place for it now");
    assert!(simulation.is_hung_up(trunk, incoming) && simulation.refusal(trunk, taking).is_some(), "nor anybody left");
    simulation.script = MediaScript::Works;
    simulation.shards_catch_up();
    simulation.assert_all_over();
    assert!(simulation.records[0].explanation.contains("lost its connection"), "{}", simulation.records[0].explanation);
}
