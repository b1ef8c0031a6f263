//! INVITE with Replaces: another browser of the extension, or the trunk, takes the place of one of its own dialogs, answered or ringing.

use std::net::SocketAddr;
use std::time::Duration;

use media::{Command, MediaSessionId};
use sip::{Method, SessionId, StatusCode};
use switchboard::{CallResult, CallState, Operator};
use testkit::{MediaScript, Simulation};

use crate::coming_back::{ANOTHER, DEVICE, NEXT};
use crate::reclaiming::{called, calling};
use crate::{PLAN, Talk, talk};

/// How the switchboard is asked to replace a peer's dialog.
pub(crate) fn dialog_of(simulation: &mut Simulation, peer: SocketAddr, session: SessionId) -> String {
    simulation.peer(peer).endpoint.replaces(session).expect("a dialog").to_string()
}

/// Calls as `user` with a Replaces.
pub(crate) fn take_over(simulation: &mut Simulation, browser: SocketAddr, user: &str, replaces: &str) -> SessionId {
    let headers = vec![("Replaces".to_owned(), replaces.to_owned()), ("Require".to_owned(), "replaces".to_owned())];
    simulation.peer(browser).headers = headers;
    let session = simulation.call(browser, user, "whoever");
    simulation.peer(browser).headers.clear();
    session
}

fn refused(simulation: &mut Simulation, browser: SocketAddr, user: &str, replaces: &str) -> u16 {
    let session = take_over(simulation, browser, user, replaces);
    simulation.refusal(browser, session).expect("a refusal").status.code()
}

fn joined(simulation: &Simulation) -> Option<(MediaSessionId, MediaSessionId)> {
    simulation.commands.iter().rev().find_map(|command| match command {
        Command::Bridge { a, b } => Some((*a, *b)),
        _ => None,
    })
}

fn opened(simulation: &Simulation) -> Vec<MediaSessionId> {
    let opened = simulation.commands.iter().filter_map(|command| match command {
        Command::Open { session, .. } => Some(*session),
        _ => None,
    });
    opened.collect()
}

#[test]
fn another_browser_of_the_extension_takes_over_an_answered_call() {
    for lost in [false, true] {
        let Talk { mut simulation, browser, outgoing, trunk, incoming } = talk();
        let other = simulation.browser(5);
        let replaces = dialog_of(&mut simulation, browser, outgoing);
        if lost {
            simulation.disconnect(browser);
        }
        let taken = take_over(&mut simulation, other, "100", &replaces);
        assert!(simulation.is_answered(other, taken));
        assert_eq!(simulation.is_hung_up(browser, outgoing), !lost, "the old one is let go");
        let sessions = opened(&simulation);
        assert_eq!(joined(&simulation), Some((sessions[2], sessions[0])));
        assert_eq!(simulation.switchboard.call_count(), 1, "it is the same call");
        assert!(simulation.requests_to(trunk, &Method::Bye).is_empty());
        // And it can be done with it what can be done with any.
        simulation.reinvite(other, taken, Some("v=0 a=sendonly"));
        simulation.pass(Duration::from_secs(50));
        simulation.hang_up(other, taken);
        assert!(simulation.is_hung_up(trunk, incoming));
        simulation.assert_all_over();
        assert_eq!((simulation.records.len(), simulation.records[0].result), (1, CallResult::Answered));
    }
}

#[test]
fn a_page_that_was_loaded_again_and_has_registered_takes_over_its_call() {
    // Called or calling, held or not, its old connection missed or not yet, as the same device or another.
    for case in 0..16 {
        let [is_caller, held, missed, same] = [1, 2, 4, 8].map(|bit| case & bit != 0);
        let Talk { mut simulation, browser, outgoing, trunk, incoming } = if is_caller { calling() } else { called() };
        if held {
            simulation.reinvite(browser, outgoing, Some("v=0 a=sendonly"));
        }
        let replaces = dialog_of(&mut simulation, browser, outgoing);
        if missed {
            simulation.disconnect(browser);
        }
        let page = if same { browser } else { simulation.browser(5) };
        if same {
            simulation.peer(page).from_switchboard.connection = Some(NEXT);
        }
        simulation.register_as(page, "100", if same { DEVICE } else { ANOTHER }, 600);
        let taken = take_over(&mut simulation, page, "100", &replaces);
        assert!(simulation.is_answered(page, taken), "case {case}");
        assert_eq!(simulation.is_hung_up(browser, outgoing), same || !missed, "case {case}: the old one is let go");
        let view = simulation.views.last().unwrap();
        let place = &view.legs[usize::from(!is_caller)];
        assert_eq!((place.away, place.media.hold), (false, media::Hold::None), "case {case}");
        simulation.pass(Duration::from_secs(60));
        simulation.reinvite(page, taken, Some("v=0 a=sendonly"));
        simulation.hang_up(trunk, incoming);
        assert!(simulation.is_hung_up(page, taken), "case {case}");
        simulation.assert_all_over();
        assert_eq!((simulation.records.len(), simulation.records[0].result), (1, CallResult::Answered));
    }
}

#[test]
fn the_trunk_takes_over_its_own_side() {
    let Talk { mut simulation, browser, outgoing, trunk, incoming } = talk();
    let replaces = dialog_of(&mut simulation, trunk, incoming);
    let now = simulation.now;
    simulation.peer(trunk).headers = vec![("Replaces".to_owned(), replaces.clone())];
    let (from, to) = ("sip:+15551234567@x.example", "sip:100@203.0.113.1");
    let taken = simulation.peer(trunk).invite(now, from, to, Some("v=0 elsewhere"), None);
    simulation.settle();
    assert!(simulation.is_answered(trunk, taken));
    assert!(simulation.is_hung_up(trunk, incoming));
    let sessions = opened(&simulation);
    assert_eq!(joined(&simulation), Some((sessions[2], sessions[1])));
    // Another trunk has no business there.
    let spare = simulation.gateway(2);
    simulation.peer(spare).headers = vec![("Replaces".to_owned(), replaces)];
    let session = simulation.peer(spare).invite(now, from, to, Some("v=0"), None);
    simulation.settle();
    assert!(simulation.refusal(spare, session).is_some());
    simulation.hang_up(browser, outgoing);
    assert!(simulation.is_hung_up(trunk, taken));
    simulation.assert_all_over();
}

#[test]
fn a_call_that_rings_elsewhere_is_picked_up() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, other, trunk) = (simulation.browser(1), simulation.browser(5), simulation.gateway(1));
    simulation.register(browser, "100", 3600);
    let now = simulation.now;
    let (from, to) = ("sip:+15550001111@x.example", "sip:+493011100@203.0.113.1");
    let calling = simulation.peer(trunk).invite(now, from, to, Some("v=0 trunk"), None);
    simulation.settle();
    let rung = simulation.incoming(browser);
    simulation.answer(browser, rung, StatusCode::RINGING, None);
    let replaces = dialog_of(&mut simulation, browser, rung);
    let stranger = simulation.browser(6);
    assert_eq!(refused(&mut simulation, stranger, "102", &replaces), 403);
    let taken = take_over(&mut simulation, other, "100", &format!("{replaces};early-only"));
    assert!(simulation.is_answered(other, taken));
    assert!(simulation.is_answered(trunk, calling));
    assert!(simulation.is_cancelled(browser, rung));
    simulation.hang_up(trunk, calling);
    assert!(simulation.is_hung_up(other, taken));
    simulation.assert_all_over();
    assert_eq!(simulation.records.len(), 1);
}

#[test]
fn what_cannot_be_taken_over_is_refused_and_the_call_goes_on() {
    let Talk { mut simulation, browser, outgoing, trunk, incoming } = talk();
    let (other, stranger) = (simulation.browser(5), simulation.browser(6));
    let replaces = dialog_of(&mut simulation, browser, outgoing);
    assert_eq!(refused(&mut simulation, other, "100", "none;to-tag=a;from-tag=b"), 481);
    assert_eq!(refused(&mut simulation, other, "100", &replaces.replace("from-tag=", "from-tag=x")), 481);
    assert_eq!(refused(&mut simulation, other, "100", &format!("{replaces};early-only")), 486);
    assert_eq!(refused(&mut simulation, other, "100", "nonsense"), 400);
    assert_eq!(refused(&mut simulation, stranger, "101", &replaces), 403, "it is not its extension");
    // Its own INVITE that still rings is nobody's to replace.
    let second = simulation.gateway(2);
    simulation.change(|directory| directory.agents.values_mut().for_each(|agent| agent.max_concurrent_calls = 0));
    let dialling = simulation.call(browser, "100", "+15557654321");
    let asked = simulation.incoming(trunk);
    simulation.answer(trunk, asked, StatusCode::RINGING, None);
    let early = dialog_of(&mut simulation, browser, dialling);
    assert_eq!(refused(&mut simulation, other, "100", &early), 481);
    assert!(simulation.requests_to(second, &Method::Invite).is_empty());
    assert!(!simulation.is_hung_up(browser, outgoing) && !simulation.is_hung_up(trunk, incoming));
    simulation.hang_up(browser, outgoing);
    simulation.assert_all_over();
}

#[test]
fn media_that_cannot_be_agreed_on_leaves_the_call_as_it_was() {
    for script in [MediaScript::RejectsOffers, MediaScript::Mute] {
        let Talk { mut simulation, browser, outgoing, trunk, incoming } = talk();
        let other = simulation.browser(5);
        let replaces = dialog_of(&mut simulation, browser, outgoing);
        simulation.script = script;
        let session = take_over(&mut simulation, other, "100", &replaces);
        simulation.pass(Duration::from_secs(6));
        let status = simulation.refusal(other, session).unwrap().status.code();
        assert_eq!(status, if script == MediaScript::Mute { 500 } else { 488 });
        simulation.script = MediaScript::Works;
        assert!(!simulation.is_hung_up(browser, outgoing) && !simulation.is_hung_up(trunk, incoming));
        simulation.hang_up(trunk, incoming);
        simulation.assert_all_over();
    }
}

#[test]
fn whoever_leaves_while_a_place_is_taken_strands_nobody() {
    // The old one hangs up first; the other side does; the new one gives up; an operator ends the call.
    for who in 0..4 {
        let Talk { mut simulation, browser, outgoing, trunk, incoming } = talk();
        let other = simulation.browser(5);
        let replaces = dialog_of(&mut simulation, browser, outgoing);
        simulation.script = MediaScript::Slow;
        let taken = take_over(&mut simulation, other, "100", &replaces);
        let call = simulation.views.last().unwrap().id.clone();
        match who {
            0 => simulation.hang_up(browser, outgoing),
            1 => simulation.hang_up(trunk, incoming),
            2 => {
                let now = simulation.now;
                simulation.peer(other).endpoint.cancel(now, taken, None);
                simulation.settle();
            }
            _ => {
                let now = simulation.now;
                simulation.switchboard.handle_operator(now, Operator::Hangup { call }).unwrap();
                simulation.settle();
            }
        }
        simulation.shards_catch_up();
        simulation.script = MediaScript::Works;
        match who {
            0 => {
                assert!(simulation.is_answered(other, taken), "its place was taken all the same");
                simulation.hang_up(other, taken);
                assert!(simulation.is_hung_up(trunk, incoming));
            }
            2 => {
                assert_eq!(simulation.views.last().unwrap().state, CallState::Connected);
                simulation.hang_up(browser, outgoing);
            }
            _ => assert!(simulation.refusal(other, taken).is_some()),
        }
        simulation.assert_all_over();
    }
}

#[test]
fn the_echo_test_is_taken_over_too() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, other) = (simulation.browser(1), simulation.browser(5));
    let echo = simulation.call(browser, "100", "9196");
    let replaces = dialog_of(&mut simulation, browser, echo);
    let taken = take_over(&mut simulation, other, "100", &replaces);
    let new = *opened(&simulation).last().unwrap();
    assert!(simulation.commands.iter().any(|command| matches!(command, Command::Echo { session } if *session == new)));
    assert!(simulation.is_hung_up(browser, echo));
    simulation.hang_up(other, taken);
    simulation.assert_all_over();
}
