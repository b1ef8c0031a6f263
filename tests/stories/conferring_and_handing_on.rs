//! An agent in a conference hands its place on, by REFER or by an operator's hand: the others go on talking all the time, and whoever takes
//! the place talks with them.

use media::{Command, MediaSessionId};
use sip::{Method, StatusCode};
use switchboard::{CallState, Operator, OperatorError, TransferMode, TransferStatus, TransferTarget, TransferView};
use testkit::{MediaScript, Simulation};

use crate::conferring::{Three, add, assert_talking, call_of, three_in};
use crate::consulting::{replacing, several};
use crate::taking_over::{dialog_of, take_over};
use crate::transferring::told;
use crate::{PLAN, talk, talk_in};

const TO_FOURTH: &str = "<sip:102@phone.example.com>";

/// Trunk, agent and colleague talk; 102 is there, and more are.
fn three() -> Three {
    let mut three = three_in(talk_in(Simulation::with(PLAN, several)));
    for (number, user) in [(3, "102"), (4, "103")] {
        let browser = three.talk.simulation.browser(number);
        three.talk.simulation.register(browser, user, 3600);
    }
    three
}

fn fourth(simulation: &mut Simulation) -> (std::net::SocketAddr, sip::SessionId) {
    let fourth = std::net::SocketAddr::from(([192, 0, 2, 3], 50_000));
    (fourth, simulation.incoming(fourth))
}

fn opened(simulation: &Simulation, at: &[usize]) -> Vec<MediaSessionId> {
    let opened = simulation.commands.iter().filter_map(|command| match command {
        Command::Open { session, .. } => Some(*session),
        _ => None,
    });
    let opened: Vec<_> = opened.collect();
    at.iter().map(|at| opened[*at]).collect()
}

fn talk_of(simulation: &Simulation, at: &[usize]) {
    assert_talking(simulation, &opened(simulation, at));
}

fn transfer_of(simulation: &Simulation) -> TransferView {
    simulation.views.last().unwrap().transfers.last().unwrap().clone()
}

#[test]
fn the_target_takes_the_agents_place() {
    for leaves_early in [false, true] {
        let mut three = three();
        let simulation = &mut three.talk.simulation;
        let accepted = simulation.refer(three.talk.browser, three.talk.outgoing, TO_FOURTH);
        assert_eq!(accepted, StatusCode::ACCEPTED);
        let (fourth, asked) = fourth(simulation);
        let (_, invite) = simulation.invites(fourth).pop().unwrap();
        assert_eq!(invite.headers.from().unwrap().unwrap().uri.user().unwrap(), "100", "whose place it is");
        assert_eq!(invite.headers.get("Referred-By"), Some("<sip:100@phone.example.com>"));
        simulation.answer(fourth, asked, StatusCode::RINGING, None);
        talk_of(simulation, &[0, 1, 2]);
        if leaves_early {
            simulation.hang_up(three.talk.browser, three.talk.outgoing);
            talk_of(simulation, &[0, 2]);
        }
        simulation.answer(fourth, asked, StatusCode::OK, Some("v=0 fourth"));
        talk_of(simulation, &[0, 2, 3]);
        assert_eq!(simulation.is_hung_up(three.talk.browser, three.talk.outgoing), !leaves_early);
        let reports = told(simulation, three.talk.browser);
        assert_eq!(reports, if leaves_early { vec![100, 180] } else { vec![100, 180, 200] });
        let shown = transfer_of(simulation);
        assert_eq!((shown.status, shown.sip_status), (TransferStatus::Succeeded, Some(200)));
        simulation.pass(std::time::Duration::from_secs(50));
        simulation.hang_up(fourth, asked);
        talk_of(simulation, &[0, 2]);
        simulation.hang_up(three.colleague, three.asked);
        assert!(simulation.is_hung_up(three.talk.trunk, three.talk.incoming));
        simulation.assert_all_over();
        assert_eq!(simulation.records.len(), 1);
    }
}

#[test]
fn a_target_that_does_not_come_leaves_the_agent_where_it_is() {
    for (refer_to, status) in [(TO_FOURTH, 486), ("<sip:777@x>", 404), ("<sip:9196@x>", 488)] {
        let mut three = three();
        let simulation = &mut three.talk.simulation;
        assert_eq!(simulation.refer(three.talk.browser, three.talk.outgoing, refer_to), StatusCode::ACCEPTED);
        if status == 486 {
            let (fourth, asked) = fourth(simulation);
            simulation.answer(fourth, asked, StatusCode::BUSY_HERE, None);
        }
        assert_eq!(told(simulation, three.talk.browser).pop(), Some(status));
        let shown = transfer_of(simulation);
        assert_eq!((shown.status, shown.sip_status), (TransferStatus::Failed, Some(status)));
        talk_of(simulation, &[0, 1, 2]);
        // And it may be tried again.
        assert_eq!(simulation.refer(three.talk.browser, three.talk.outgoing, "<sip:777@x>"), StatusCode::ACCEPTED);
        simulation.hang_up(three.talk.browser, three.talk.outgoing);
        simulation.hang_up(three.colleague, three.asked);
        simulation.assert_all_over();
    }
}

#[test]
fn one_is_on_its_way_at_a_time() {
    let mut three = three();
    let call = three.call.clone();
    let simulation = &mut three.talk.simulation;
    simulation.refer(three.talk.browser, three.talk.outgoing, TO_FOURTH);
    let number = || TransferTarget::Number("103".to_owned());
    assert_eq!(add(simulation, &call, None, number()), Err(OperatorError::Changing));
    let again = simulation.refer(three.talk.browser, three.talk.outgoing, "<sip:103@x>");
    assert_eq!(again, StatusCode::REQUEST_PENDING);
    let colleagues = simulation.refer(three.colleague, three.asked, "<sip:103@x>");
    assert_eq!(colleagues, StatusCode::REQUEST_PENDING);
    let (fourth, asked) = fourth(simulation);
    simulation.answer(fourth, asked, StatusCode::BUSY_HERE, None);
    add(simulation, &call, None, number()).unwrap();
    let meanwhile = simulation.refer(three.talk.browser, three.talk.outgoing, TO_FOURTH);
    assert_eq!(meanwhile, StatusCode::REQUEST_PENDING);
    simulation.hang_up(three.talk.trunk, three.talk.incoming);
    simulation.hang_up(three.talk.browser, three.talk.outgoing);
    assert!(simulation.is_hung_up(three.colleague, three.asked));
    simulation.assert_all_over();
}

#[test]
fn when_only_one_is_left_it_is_not_kept_waiting() {
    // The agent itself, or another.
    for agent_stays in [true, false] {
        let mut three = three();
        let simulation = &mut three.talk.simulation;
        simulation.refer(three.talk.browser, three.talk.outgoing, TO_FOURTH);
        let (fourth, asked) = fourth(simulation);
        simulation.answer(fourth, asked, StatusCode::RINGING, None);
        simulation.hang_up(three.colleague, three.asked);
        talk_of(simulation, &[0, 1]);
        if agent_stays {
            simulation.hang_up(three.talk.trunk, three.talk.incoming);
            assert_eq!(told(simulation, three.talk.browser).pop(), Some(487));
            assert!(simulation.is_hung_up(three.talk.browser, three.talk.outgoing));
        } else {
            simulation.hang_up(three.talk.browser, three.talk.outgoing);
            assert!(simulation.is_hung_up(three.talk.trunk, three.talk.incoming));
        }
        assert!(simulation.is_cancelled(fourth, asked));
        simulation.assert_all_over();
        assert_eq!(simulation.records[0].call.transfers[0].status, TransferStatus::Cancelled);
    }
}

#[test]
fn of_two_left_the_target_talks_to_the_one_who_stays() {
    let mut three = three();
    let simulation = &mut three.talk.simulation;
    simulation.refer(three.talk.browser, three.talk.outgoing, TO_FOURTH);
    let (fourth, asked) = fourth(simulation);
    simulation.hang_up(three.colleague, three.asked);
    simulation.answer(fourth, asked, StatusCode::OK, Some("v=0 fourth"));
    talk_of(simulation, &[0, 3]);
    assert!(simulation.is_hung_up(three.talk.browser, three.talk.outgoing));
    simulation.hang_up(three.talk.trunk, three.talk.incoming);
    assert!(simulation.is_hung_up(fourth, asked));
    simulation.assert_all_over();
}

#[test]
fn a_page_reloaded_while_its_place_is_handed_on_is_let_go_like_the_one_before() {
    let mut three = three();
    let simulation = &mut three.talk.simulation;
    simulation.refer(three.talk.browser, three.talk.outgoing, TO_FOURTH);
    let (fourth, asked) = fourth(simulation);
    let other = simulation.browser(5);
    let replaces = dialog_of(simulation, three.talk.browser, three.talk.outgoing);
    let taken = take_over(simulation, other, "100", &replaces);
    talk_of(simulation, &[0, 2, 4]);
    simulation.answer(fourth, asked, StatusCode::OK, Some("v=0 fourth"));
    talk_of(simulation, &[0, 2, 3]);
    assert!(simulation.is_hung_up(other, taken));
    simulation.hang_up(fourth, asked);
    simulation.hang_up(three.colleague, three.asked);
    simulation.assert_all_over();
}

/// The agent has called 102 besides; gives what 102 got, and the agent's second session.
fn asking_fourth(three: &mut Three, answers: bool) -> (std::net::SocketAddr, sip::SessionId, sip::SessionId) {
    let simulation = &mut three.talk.simulation;
    let consulting = simulation.call(three.talk.browser, "100", "102");
    let (fourth, asked) = fourth(simulation);
    simulation.answer(fourth, asked, StatusCode::RINGING, None);
    if answers {
        simulation.answer(fourth, asked, StatusCode::OK, Some("v=0 fourth"));
    }
    (fourth, asked, consulting)
}

#[test]
fn whom_the_agent_asked_first_takes_its_place() {
    // Told in the conference, of the other call; or the other way round.
    for in_conference in [true, false] {
        let mut three = three();
        let (fourth, asked, consulting) = asking_fourth(&mut three, true);
        let simulation = &mut three.talk.simulation;
        let (at, of) =
            if in_conference { (three.talk.outgoing, consulting) } else { (consulting, three.talk.outgoing) };
        let refer_to = replacing(simulation, three.talk.browser, of);
        assert_eq!(simulation.refer(three.talk.browser, at, &refer_to), StatusCode::ACCEPTED);
        assert_eq!(told(simulation, three.talk.browser), [100, 200]);
        // The trunk's, the colleague's, and 102's, which was opened before the agent's second.
        talk_of(simulation, &[0, 2, 3]);
        for session in [three.talk.outgoing, consulting] {
            assert!(simulation.is_hung_up(three.talk.browser, session));
        }
        assert_eq!(simulation.switchboard.call_count(), 1);
        simulation.pass(std::time::Duration::from_secs(50));
        simulation.reinvite(fourth, asked, Some("v=0 a=sendonly"));
        simulation.reinvite(fourth, asked, Some("v=0 a=sendrecv"));
        simulation.hang_up(fourth, asked);
        talk_of(simulation, &[0, 2]);
        simulation.hang_up(three.colleague, three.asked);
        assert!(simulation.is_hung_up(three.talk.trunk, three.talk.incoming));
        simulation.assert_all_over();
        assert_eq!(simulation.records.len(), 2);
    }
}

#[test]
fn whom_the_agent_is_still_calling_takes_its_place_once_it_answers() {
    let mut three = three();
    let (fourth, asked, consulting) = asking_fourth(&mut three, false);
    let simulation = &mut three.talk.simulation;
    let refer_to = replacing(simulation, three.talk.browser, consulting);
    assert_eq!(simulation.refer(three.talk.browser, three.talk.outgoing, &refer_to), StatusCode::ACCEPTED);
    talk_of(simulation, &[0, 1, 2]);
    simulation.answer(fourth, asked, StatusCode::OK, Some("v=0 fourth"));
    talk_of(simulation, &[0, 2, 3]);
    assert_eq!(told(simulation, three.talk.browser).pop(), Some(200));
    assert!(simulation.is_hung_up(three.talk.browser, three.talk.outgoing));
    assert_eq!(transfer_of(simulation).mode, TransferMode::Attended);
    simulation.hang_up(three.colleague, three.asked);
    simulation.hang_up(fourth, asked);
    simulation.assert_all_over();
}

#[test]
fn an_operator_hands_an_agents_place_on() {
    let mut three = three();
    let call = three.call.clone();
    let simulation = &mut three.talk.simulation;
    let now = simulation.now;
    let transfer = |mode, leg: Option<String>| Operator::Transfer {
        call: call.clone(),
        mode,
        leg,
        target: TransferTarget::Extension("102".to_owned()),
    };
    let asking = simulation.switchboard.handle_operator(now, transfer(TransferMode::Attended, None));
    assert_eq!(asking, Err(OperatorError::NobodyToTransfer), "of several none waits");
    let colleague = Some(three.third.clone());
    simulation.switchboard.handle_operator(now, transfer(TransferMode::Blind, colleague)).unwrap();
    simulation.settle();
    let (fourth, asked) = fourth(simulation);
    simulation.answer(fourth, asked, StatusCode::OK, Some("v=0 fourth"));
    talk_of(simulation, &[0, 1, 3]);
    assert!(simulation.is_hung_up(three.colleague, three.asked));
    simulation.hang_up(fourth, asked);
    simulation.hang_up(three.talk.trunk, three.talk.incoming);
    simulation.assert_all_over();
}

#[test]
fn who_has_no_place_there_hands_none_on() {
    let mut three = three();
    let simulation = &mut three.talk.simulation;
    let trunks = simulation.refer(three.talk.trunk, three.talk.incoming, TO_FOURTH);
    assert_eq!(trunks, StatusCode::FORBIDDEN);
    simulation.hang_up(three.talk.trunk, three.talk.incoming);
    simulation.hang_up(three.colleague, three.asked);
    simulation.assert_all_over();
    // Two who wait for a third do not hand anybody on meanwhile.
    let mut talk = talk();
    let colleague = talk.simulation.browser(2);
    talk.simulation.register(colleague, "101", 3600);
    let call = call_of(&talk.simulation);
    add(&mut talk.simulation, &call, None, TransferTarget::Number("101".to_owned())).unwrap();
    talk.simulation.script = MediaScript::Works;
    let refused = talk.simulation.refer(talk.browser, talk.outgoing, TO_FOURTH);
    assert_eq!(refused, StatusCode::REQUEST_PENDING);
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    assert_eq!(talk.simulation.requests_to(colleague, &Method::Cancel).len(), 1);
    talk.simulation.assert_all_over();
}

/// The agent's page is loaded again and wants its place back, or a phone of it is called for it, while media is being agreed on with the
/// target that has just answered. Gives where, and the session there.
fn back_too_late(three: &mut Three, reclaims: bool) -> (std::net::SocketAddr, sip::SessionId) {
    let call = three.call.clone();
    let simulation = &mut three.talk.simulation;
    let (fourth, asked) = fourth(simulation);
    let other = simulation.browser(5);
    if !reclaims {
        let replaces = dialog_of(simulation, three.talk.browser, three.talk.outgoing);
        simulation.script = MediaScript::Slow;
        simulation.answer(fourth, asked, StatusCode::OK, Some("v=0 fourth"));
        return (other, take_over(simulation, other, "100", &replaces));
    }
    simulation.register(other, "100", 3600);
    simulation.disconnect(three.talk.browser);
    let now = simulation.now;
    simulation.switchboard.handle_operator(now, Operator::Reclaim { call, leg: None }).unwrap();
    simulation.settle();
    let called = simulation.incoming(other);
    simulation.script = MediaScript::Slow;
    simulation.answer(fourth, asked, StatusCode::OK, Some("v=0 fourth"));
    simulation.answer(other, called, StatusCode::OK, Some("v=0 page"));
    (other, called)
}

#[test]
fn whoever_wants_back_a_place_that_is_just_handed_on_comes_too_late() {
    // Two are left beside the target, or one; the page asks for its place by itself, or is called for it.
    for case in 0..4 {
        let [two, reclaims] = [1, 2].map(|bit| case & bit != 0);
        let mut three = three();
        let accepted = three.talk.simulation.refer(three.talk.browser, three.talk.outgoing, TO_FOURTH);
        assert_eq!(accepted, StatusCode::ACCEPTED);
        let asked = fourth(&mut three.talk.simulation);
        if !two {
            three.talk.simulation.hang_up(three.colleague, three.asked);
        }
        let (other, late) = back_too_late(&mut three, reclaims);
        let simulation = &mut three.talk.simulation;
        simulation.shards_catch_up();
        if reclaims {
            assert!(simulation.is_hung_up(other, late), "case {case}");
        } else {
            let refusal = simulation.refusal(other, late).expect("a refusal");
            assert_eq!(refusal.status, StatusCode::DECLINE, "case {case}");
        }
        talk_of(simulation, if two { &[0, 2, 3] } else { &[0, 3] });
        assert_eq!(transfer_of(simulation).status, TransferStatus::Succeeded);
        simulation.script = MediaScript::Works;
        simulation.pass(std::time::Duration::from_secs(50));
        assert!(!simulation.is_hung_up(asked.0, asked.1), "case {case}: nor does it end later");
        // The agent has been told by now.
        let shown = simulation.views.last().unwrap().clone();
        let talking = shown.legs.iter().filter(|leg| leg.state == CallState::Connected).count();
        assert_eq!(talking, if two { 3 } else { 2 }, "case {case}: {:?}", shown.legs);
        simulation.hang_up(three.talk.trunk, three.talk.incoming);
        if two {
            simulation.hang_up(three.colleague, three.asked);
        }
        assert!(simulation.is_hung_up(asked.0, asked.1), "case {case}");
        simulation.assert_all_over();
        assert_eq!(simulation.records.len(), 1);
    }
}
