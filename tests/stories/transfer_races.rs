//! What crosses while a call is handed on: a BYE and the 202, the last report and a BYE, two REFERs, a hang-up and an answer, lost
//! connections. Whoever was talking goes on talking, or is told.

use std::time::Duration;

use sip::{Method, StatusCode};
use testkit::{MediaScript, Simulation};

use crate::PLAN;
use crate::transferring::{TO_COLLEAGUE, ringing, told, with_colleague};

#[test]
fn who_transfers_may_hang_up_280_ms_after_the_202() {
    let (mut talk, colleague) = with_colleague();
    talk.simulation.refer(talk.browser, talk.outgoing, TO_COLLEAGUE);
    talk.simulation.pass(Duration::from_millis(280));
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    let asked = talk.simulation.incoming(colleague);
    talk.simulation.answer(colleague, asked, StatusCode::RINGING, None);
    talk.simulation.pass(Duration::from_secs(10));
    talk.pick_up(colleague, asked);
    assert_eq!(told(&mut talk.simulation, talk.browser), [100]);
    talk.ends_handed_on(colleague, asked);
}

#[test]
fn when_who_transferred_has_left_a_refusal_ends_the_call_with_its_cause() {
    let (mut talk, colleague, asked) = ringing();
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    talk.simulation.answer(colleague, asked, StatusCode::BUSY_HERE, None);
    assert!(talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    let bye = talk.simulation.requests_to(talk.trunk, &Method::Bye).pop().unwrap();
    assert!(bye.headers.get("Reason").unwrap().starts_with("Q.850;cause=17"));
    talk.simulation.assert_all_over();
    assert!(talk.simulation.records[0].explanation.contains("busy"));
}

#[test]
fn a_last_report_and_a_bye_that_cross_do_no_harm() {
    // Both on their way in the same moment; and the client's BYE after its answer, before ours.
    for confirms in [None, Some(StatusCode::OK)] {
        let (mut talk, colleague, asked) = ringing();
        talk.simulation.peer(talk.browser).confirms = confirms;
        let now = talk.simulation.now;
        let answer = talk.simulation.peer(colleague).draft(StatusCode::OK, Some("v=0 colleague"));
        talk.simulation.peer(colleague).endpoint.accept(now, asked, answer);
        talk.simulation.peer(talk.browser).endpoint.bye(now, talk.outgoing, None);
        talk.simulation.settle();
        talk.ends_handed_on(colleague, asked);
    }
}

#[test]
fn a_last_report_and_a_bye_19_us_apart_do_no_harm_whichever_is_first() {
    let apart = Duration::from_micros(19);
    for (bye_is_first, confirms) in [(true, None), (true, Some(200)), (false, None), (false, Some(200))] {
        let (mut talk, colleague, asked) = ringing();
        let browser = talk.browser;
        talk.simulation.peer(browser).confirms = confirms.and_then(StatusCode::new);
        let reports = told(&mut talk.simulation, browser).len();
        if bye_is_first {
            talk.simulation.hang_up(browser, talk.outgoing);
            talk.simulation.pass(apart);
            talk.pick_up(colleague, asked);
        } else {
            // Our BYE, which follows the answer to the report, has not arrived when the client sends its own.
            talk.simulation.loses = Box::new(move |peer, text| peer == browser && text.starts_with("BYE "));
            talk.pick_up(colleague, asked);
            assert_eq!(told(&mut talk.simulation, browser).len(), reports + 1);
            talk.simulation.loses = Box::new(|_, _| false);
            talk.simulation.pass(apart);
            talk.simulation.hang_up(browser, talk.outgoing);
        }
        talk.ends_handed_on(colleague, asked);
    }
}

#[test]
fn a_last_report_that_is_not_answered_or_not_understood_is_followed_by_bye() {
    for (confirms, waits) in [(None, true), (Some(481), false), (Some(400), false), (Some(500), false)] {
        let (mut talk, colleague, asked) = ringing();
        talk.simulation.peer(talk.browser).confirms = confirms.and_then(StatusCode::new);
        talk.pick_up(colleague, asked);
        assert_eq!(!talk.simulation.is_hung_up(talk.browser, talk.outgoing), waits);
        talk.simulation.pass(Duration::from_secs(3));
        assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
        talk.ends_handed_on(colleague, asked);
    }
}

#[test]
fn reports_that_nobody_answers_harm_nothing_even_when_the_call_comes_back() {
    for confirms in [None, StatusCode::new(481)] {
        let (mut talk, colleague) = with_colleague();
        talk.simulation.peer(talk.browser).confirms = confirms;
        talk.simulation.refer(talk.browser, talk.outgoing, TO_COLLEAGUE);
        let asked = talk.simulation.incoming(colleague);
        talk.simulation.answer(colleague, asked, StatusCode::RINGING, None);
        talk.simulation.answer(colleague, asked, StatusCode::BUSY_HERE, None);
        talk.goes_back();
    }
}

#[test]
fn a_second_refer_waits_for_the_first_and_is_told_apart() {
    let (mut talk, colleague, asked) = ringing();
    assert_eq!(talk.simulation.refer(talk.browser, talk.outgoing, "<sip:9196@x>"), StatusCode::REQUEST_PENDING);
    talk.simulation.answer(colleague, asked, StatusCode::BUSY_HERE, None);
    assert_eq!(told(&mut talk.simulation, talk.browser), [100, 180, 486]);
    assert_eq!(talk.simulation.refer(talk.browser, talk.outgoing, TO_COLLEAGUE), StatusCode::ACCEPTED);
    let refers = talk.simulation.reports(talk.browser);
    let (event, state, status) = refers.last().unwrap().clone();
    // INVITE and INVITE with credentials are two calls to the client; this one counts INVITE 1, ACK, REFER 2, 3, 4.
    assert_eq!((event.as_str(), state.as_str(), status), ("refer;id=4", "active", 100));
    let asked = talk.simulation.incoming(colleague);
    talk.pick_up(colleague, asked);
    talk.ends_handed_on(colleague, asked);
}

#[test]
fn both_sides_transfer_at_once_and_one_of_them_does() {
    let mut simulation = Simulation::new(PLAN);
    let (caller, callee) = (simulation.browser(1), simulation.browser(2));
    let (first, second) = (simulation.browser(3), simulation.browser(4));
    for (browser, user) in [(callee, "101"), (first, "102"), (second, "103")] {
        simulation.register(browser, user, 3600);
    }
    let calling = simulation.call(caller, "100", "101");
    let called = simulation.incoming(callee);
    simulation.answer(callee, called, StatusCode::OK, Some("v=0 callee"));
    simulation.refer_later(caller, calling, "<sip:102@x>");
    simulation.refer_later(callee, called, "<sip:103@x>");
    simulation.settle();
    let answers = (simulation.last_response(caller).status, simulation.last_response(callee).status);
    assert_eq!(answers, (StatusCode::ACCEPTED, StatusCode::REQUEST_PENDING));
    assert!(simulation.invites(second).is_empty());
    let asked = simulation.incoming(first);
    let (_, invite) = simulation.invites(first).pop().unwrap();
    assert_eq!(invite.headers.from().unwrap().unwrap().uri.user().unwrap(), "101");
    simulation.answer(first, asked, StatusCode::OK, Some("v=0 first"));
    assert!(simulation.is_hung_up(caller, calling));
    assert!(!simulation.is_hung_up(callee, called));
    // Now it may.
    assert_eq!(simulation.refer(callee, called, "<sip:103@x>"), StatusCode::ACCEPTED);
    let last = simulation.incoming(second);
    simulation.answer(second, last, StatusCode::OK, Some("v=0 second"));
    assert!(simulation.is_hung_up(callee, called));
    simulation.hang_up(first, asked);
    assert!(simulation.is_hung_up(second, last));
    simulation.assert_all_over();
}

#[test]
fn who_is_transferred_hangs_up_while_it_rings() {
    let (mut talk, colleague, asked) = ringing();
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    assert!(talk.simulation.is_cancelled(colleague, asked));
    assert_eq!(told(&mut talk.simulation, talk.browser), [100, 180, 487]);
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    talk.simulation.assert_all_over();
}

#[test]
fn who_is_transferred_hangs_up_as_the_target_answers() {
    for answer_first in [true, false] {
        let (mut talk, colleague, asked) = ringing();
        talk.simulation.script = MediaScript::Slow;
        let now = talk.simulation.now;
        let answer = talk.simulation.peer(colleague).draft(StatusCode::OK, Some("v=0 colleague"));
        talk.simulation.peer(colleague).endpoint.accept(now, asked, answer);
        if answer_first {
            talk.simulation.settle();
        }
        talk.simulation.peer(talk.trunk).endpoint.bye(now, talk.incoming, None);
        talk.simulation.settle();
        talk.simulation.shards_catch_up();
        assert!(talk.simulation.is_hung_up(colleague, asked), "its 200 and our CANCEL may have crossed");
        assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
        talk.simulation.assert_all_over();
    }
}

#[test]
fn who_transfers_loses_its_connection_and_the_transfer_goes_on() {
    let (mut talk, colleague, asked) = ringing();
    talk.simulation.disconnect(talk.browser);
    talk.pick_up(colleague, asked);
    talk.ends_handed_on(colleague, asked);
    // A target that refuses finds the agent's leg still there, connection or not.
    let (mut talk, colleague, asked) = ringing();
    talk.simulation.disconnect(talk.browser);
    talk.simulation.answer(colleague, asked, StatusCode::BUSY_HERE, None);
    assert!(!talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    assert_eq!(talk.joined(), Some((talk.session_of(1), talk.session_of(0))));
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    talk.simulation.assert_all_over();
}

#[test]
fn who_rings_loses_its_connection_and_the_call_comes_back() {
    let (mut talk, colleague, _) = ringing();
    talk.simulation.disconnect(colleague);
    talk.simulation.pass(std::time::Duration::from_secs(30));
    assert_eq!(told(&mut talk.simulation, talk.browser), [100, 180, 480]);
    talk.goes_back();
}
