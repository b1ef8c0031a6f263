//! INVITE with Replaces and without an offer: ours goes out with the 200, and the ACK brings the answer.

use std::net::SocketAddr;
use std::time::Duration;

use media::{Command, Hold, MediaSessionId};
use sip::{SessionEvent, SessionId, StatusCode};
use switchboard::{CallState, Operator};
use testkit::{MediaScript, Simulation};

use crate::taking_over::dialog_of;
use crate::{PLAN, Talk, talk};

/// An offerless INVITE of 100's other browser; its stack's own ACK, which would be empty, does not arrive.
fn ask(simulation: &mut Simulation, other: SocketAddr, replaces: &str) -> SessionId {
    simulation.loses = Box::new(move |peer, text| peer == other && text.starts_with("ACK "));
    simulation.peer(other).headers = vec![("Replaces".to_owned(), replaces.to_owned())];
    let session = simulation.call_with(other, "100", "whoever", None);
    simulation.peer(other).headers.clear();
    session
}

fn confirm(simulation: &mut Simulation, other: SocketAddr, session: SessionId, answer: &str) {
    let number = simulation.events(other, session).into_iter().find_map(|event| match event {
        SessionEvent::Answered { response } => Some(response.headers.cseq().unwrap().unwrap().number),
        _ => None,
    });
    let number = number.expect("it was answered");
    simulation.request_inside(other, session, "ACK", number, "Content-Type: application/sdp\r\n", answer);
}

fn taken(simulation: &Simulation) -> Option<(MediaSessionId, Vec<u8>)> {
    simulation.commands.iter().rev().find_map(|command| match command {
        Command::HandleAnswer { session, sdp } => Some((*session, sdp.clone())),
        _ => None,
    })
}

fn newest(simulation: &Simulation) -> MediaSessionId {
    let opened = simulation.commands.iter().rev().find_map(|command| match command {
        Command::Open { session, .. } => Some(*session),
        _ => None,
    });
    opened.unwrap()
}

#[test]
fn an_answered_call_is_taken_over_and_the_answer_counts() {
    for takes_caller in [true, false] {
        let Talk { mut simulation, browser, outgoing, trunk, incoming } = talk();
        let (old, session, other) =
            if takes_caller { (browser, outgoing, simulation.browser(5)) } else { (trunk, incoming, trunk) };
        let replaces = dialog_of(&mut simulation, old, session);
        let taken_over = if takes_caller {
            ask(&mut simulation, other, &replaces)
        } else {
            let now = simulation.now;
            simulation.loses = Box::new(move |peer, text| peer == trunk && text.starts_with("ACK "));
            simulation.peer(trunk).headers = vec![("Replaces".to_owned(), replaces)];
            let (from, to) = ("sip:+15551234567@x.example", "sip:100@203.0.113.1");
            let session = simulation.peer(trunk).invite(now, from, to, None, None);
            simulation.settle();
            simulation.peer(trunk).headers.clear();
            session
        };
        assert!(simulation.is_hung_up(old, session), "the old one is let go");
        confirm(&mut simulation, other, taken_over, "v=0 late answer");
        assert_eq!(taken(&simulation), Some((newest(&simulation), b"v=0 late answer".to_vec())));
        simulation.loses = Box::new(|_, _| false);
        simulation.pass(Duration::from_secs(60));
        assert_eq!(simulation.views.last().unwrap().state, CallState::Connected);
        // As with any other leg: an operator holds it, which its phone is told.
        let call = simulation.views.last().unwrap().id.clone();
        let now = simulation.now;
        simulation.switchboard.handle_operator(now, Operator::Hold { call, leg: None, hold: true }).unwrap();
        simulation.settle();
        assert!(simulation.holds().contains(&Hold::Local));
        simulation.hang_up(other, taken_over);
        simulation.assert_all_over();
        assert_eq!(simulation.records.len(), 1);
    }
}

#[test]
fn a_call_that_rings_is_picked_up_whenever_the_answer_comes() {
    for script in [MediaScript::Works, MediaScript::Slow] {
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
        simulation.script = script;
        let picked_up = ask(&mut simulation, other, &replaces);
        if script == MediaScript::Slow {
            // The newcomer has our offer; the caller's answer is still being made when its answer comes.
            simulation.shards_catch_up();
        }
        assert!(simulation.is_cancelled(browser, rung));
        confirm(&mut simulation, other, picked_up, "v=0 late answer");
        simulation.shards_catch_up();
        simulation.shards_catch_up();
        assert!(simulation.is_answered(trunk, calling));
        assert_eq!(taken(&simulation).unwrap().1, b"v=0 late answer");
        simulation.loses = Box::new(|_, _| false);
        simulation.script = MediaScript::Works;
        simulation.pass(Duration::from_secs(60));
        simulation.hang_up(trunk, calling);
        assert!(simulation.is_hung_up(other, picked_up));
        simulation.assert_all_over();
    }
}

#[test]
fn without_a_usable_answer_nobody_is_left_in_silence() {
    for (answer, script) in [("", MediaScript::Works), ("v=0 nonsense", MediaScript::RejectsAnswers)] {
        let Talk { mut simulation, browser, outgoing, trunk, incoming } = talk();
        let other = simulation.browser(5);
        let replaces = dialog_of(&mut simulation, browser, outgoing);
        let taken_over = ask(&mut simulation, other, &replaces);
        simulation.script = script;
        confirm(&mut simulation, other, taken_over, answer);
        simulation.script = MediaScript::Works;
        assert!(simulation.is_hung_up(other, taken_over));
        assert!(simulation.is_hung_up(trunk, incoming));
        simulation.loses = Box::new(|_, _| false);
        simulation.assert_all_over();
        assert!(simulation.records[0].explanation.contains("answer"), "{}", simulation.records[0].explanation);
    }
}

#[test]
fn an_ack_that_never_comes_ends_the_call() {
    let Talk { mut simulation, browser, outgoing, trunk, incoming } = talk();
    let other = simulation.browser(5);
    let replaces = dialog_of(&mut simulation, browser, outgoing);
    ask(&mut simulation, other, &replaces);
    simulation.pass(Duration::from_secs(40));
    assert!(simulation.is_hung_up(trunk, incoming));
    simulation.loses = Box::new(|_, _| false);
    simulation.assert_all_over();
}
