//! Conference out of two calls: whom an agent has in the one joins the other, whether it talks or is still being called; and whose place
//! others take in a conference.

use media::{Command, MediaSessionId};
use sip::{Method, StatusCode};
use switchboard::{CallId, OperatorError, ParticipantState, TransferTarget};
use testkit::{MediaScript, Simulation};

use crate::conferring::{add, asking_in, assert_talking, call_of, three_in};
use crate::consulting::{Consultation, consulted_in, ringing_in, several};
use crate::taking_over::{dialog_of, take_over};
use crate::{PLAN, Talk, reclaiming, talk, talk_in};

fn several_calls() -> Talk {
    talk_in(Simulation::with(PLAN, several))
}

fn opened(simulation: &Simulation) -> Vec<MediaSessionId> {
    let opened = simulation.commands.iter().filter_map(|command| match command {
        Command::Open { session, .. } => Some(*session),
        _ => None,
    });
    opened.collect()
}

/// The agent's first call and its second.
fn both_calls(simulation: &Simulation) -> (CallId, CallId) {
    let of = |at: usize| simulation.views[at].id.clone();
    (of(0), of(simulation.views.len() - 1))
}

/// All three are in what was the first call; the agent's other leg is gone.
fn ends_as_three(mut both: Consultation) {
    let Talk { simulation, browser, outgoing, trunk, incoming } = &mut both.talk;
    let sessions = opened(simulation);
    // The trunk's, the agent's in its first call, the colleague's, the agent's in its second.
    assert_talking(simulation, &sessions[..3]);
    assert_eq!(simulation.switchboard.call_count(), 1);
    assert!(!simulation.is_hung_up(*browser, *outgoing));
    let first = simulation.views[0].id.clone();
    let joined = simulation.views.iter().rfind(|view| view.id == first).unwrap().participants.clone();
    assert!(joined.iter().all(|participant| participant.state == ParticipantState::Connected));
    assert_eq!(joined.len(), 3);
    simulation.pass(std::time::Duration::from_secs(50));
    // Each still changes its media, and the agent may leave the two others.
    simulation.reinvite(both.colleague, both.asked, Some("v=0 a=sendonly"));
    simulation.reinvite(both.colleague, both.asked, Some("v=0 a=sendrecv"));
    simulation.hang_up(*browser, *outgoing);
    assert_talking(simulation, &[sessions[0], sessions[2]]);
    simulation.hang_up(both.colleague, both.asked);
    assert!(simulation.is_hung_up(*trunk, *incoming));
    simulation.assert_all_over();
    assert_eq!(simulation.records.len(), 2);
}

#[test]
fn whom_the_agent_talks_to_in_another_call_joins() {
    let mut both = consulted_in(several_calls());
    let (first, second) = both_calls(&both.talk.simulation);
    let joined = add(&mut both.talk.simulation, &first, None, TransferTarget::Call(second)).unwrap();
    assert_eq!((joined.party.as_str(), joined.state), ("101", ParticipantState::Connected));
    assert!(both.talk.simulation.is_hung_up(both.talk.browser, both.consulting), "the agent needs one leg");
    let record = both.talk.simulation.records[0].clone();
    assert!(record.explanation.contains("joined"), "the other call is on record");
    assert_eq!(record.call.legs.len(), 2);
    ends_as_three(both);
}

#[test]
fn whom_the_agent_is_calling_joins_once_it_answers() {
    let mut both = ringing_in(several_calls());
    let (first, second) = both_calls(&both.talk.simulation);
    let asked = add(&mut both.talk.simulation, &first, None, TransferTarget::Call(second)).unwrap();
    assert_eq!((asked.party.as_str(), asked.state), ("101", ParticipantState::Ringing));
    let refusal = both.talk.simulation.refusal(both.talk.browser, both.consulting).unwrap();
    assert_eq!(refusal.status, StatusCode::REQUEST_TERMINATED);
    let sessions = opened(&both.talk.simulation);
    assert_talking(&both.talk.simulation, &sessions[..2]);
    both.pick_up();
    ends_as_three(both);
}

#[test]
fn whom_the_agent_was_calling_does_not_answer_and_nothing_has_changed() {
    let mut both = ringing_in(several_calls());
    let (first, second) = both_calls(&both.talk.simulation);
    add(&mut both.talk.simulation, &first, None, TransferTarget::Call(second)).unwrap();
    both.talk.simulation.pass(std::time::Duration::from_secs(31));
    assert!(both.talk.simulation.is_cancelled(both.colleague, both.asked), "its time goes on, and ends");
    let Talk { simulation, browser, outgoing, .. } = &mut both.talk;
    let sessions = opened(simulation);
    assert_talking(simulation, &sessions[..2]);
    simulation.hang_up(*browser, *outgoing);
    simulation.assert_all_over();
}

#[test]
fn what_is_not_the_agents_other_call_is_not_joined() {
    let mut both = consulted_in(several_calls());
    let (first, second) = both_calls(&both.talk.simulation);
    let simulation = &mut both.talk.simulation;
    let own = add(simulation, &first, None, TransferTarget::Call(first.clone()));
    assert_eq!(own, Err(OperatorError::Unjoinable));
    let (stranger, called) = (simulation.browser(3), simulation.browser(4));
    simulation.register(called, "103", 3600);
    simulation.call(stranger, "102", "103");
    let rung = simulation.incoming(called);
    simulation.answer(called, rung, StatusCode::OK, Some("v=0 called"));
    let strange = call_of(simulation);
    assert_eq!(add(simulation, &first, None, TransferTarget::Call(strange)), Err(OperatorError::Unjoinable));
    simulation.hang_up(called, rung);
    // One who asks somebody to join is not taken away meanwhile.
    simulation.call(stranger, "102", "103");
    let other = simulation.browser(4);
    assert_eq!(other, called);
    add(simulation, &second, None, TransferTarget::Number("103".to_owned())).unwrap();
    let ringing = add(simulation, &first, None, TransferTarget::Call(second));
    assert_eq!(ringing, Err(OperatorError::Unjoinable));
    assert_eq!(simulation.switchboard.call_count(), 3);
    simulation.hang_up(both.colleague, both.asked);
    simulation.hang_up(both.talk.trunk, both.talk.incoming);
    simulation.assert_all_over();
}

#[test]
fn a_conference_joins_a_call_as_a_whole_if_there_is_room() {
    for most in [5, 4] {
        let mut both = consulted_in(talk_in(Simulation::with(PLAN, |config, directory| {
            several(config, directory);
            config.max_participants = most;
        })));
        let (first, second) = both_calls(&both.talk.simulation);
        let simulation = &mut both.talk.simulation;
        let (third, fourth) = (simulation.browser(3), simulation.browser(4));
        for (browser, user) in [(third, "102"), (fourth, "103")] {
            simulation.register(browser, user, 3600);
            let call = if user == "102" { &first } else { &second };
            add(simulation, call, None, TransferTarget::Number(user.to_owned())).unwrap();
            let asked = simulation.incoming(browser);
            simulation.answer(browser, asked, StatusCode::OK, Some("v=0 joins"));
        }
        let joined = add(simulation, &first, None, TransferTarget::Call(second));
        let sessions = opened(simulation);
        if most == 4 {
            assert_eq!(joined, Err(OperatorError::Full));
            assert_eq!(simulation.switchboard.call_count(), 2);
        } else {
            // The trunk's, the agent's, the colleague's, the one of each participant; not the agent's in its second call.
            assert_talking(simulation, &[sessions[0], sessions[1], sessions[2], sessions[4], sessions[5]]);
            assert_eq!(simulation.switchboard.call_count(), 1);
            assert!(simulation.is_hung_up(both.talk.browser, both.consulting));
        }
        simulation.hang_up(both.talk.trunk, both.talk.incoming);
        simulation.hang_up(both.colleague, both.asked);
        simulation.hang_up(both.talk.browser, both.talk.outgoing);
        let left = simulation.incoming(third);
        simulation.hang_up(third, left);
        if most == 4 {
            simulation.hang_up(both.talk.browser, both.consulting);
        }
        simulation.assert_all_over();
    }
}

#[test]
fn the_agents_reloaded_page_takes_its_place_in_a_conference() {
    for lost in [false, true] {
        let mut three = three_in(talk());
        let simulation = &mut three.talk.simulation;
        let other = simulation.browser(5);
        let replaces = dialog_of(simulation, three.talk.browser, three.talk.outgoing);
        if lost {
            simulation.disconnect(three.talk.browser);
        }
        let taken = take_over(simulation, other, "100", &replaces);
        assert!(simulation.is_answered(other, taken));
        assert_eq!(simulation.is_hung_up(three.talk.browser, three.talk.outgoing), !lost);
        let sessions = opened(simulation);
        assert_talking(simulation, &[sessions[0], sessions[2], sessions[3]]);
        assert!(simulation.requests_to(three.talk.trunk, &Method::Bye).is_empty());
        simulation.pass(std::time::Duration::from_secs(50));
        simulation.hang_up(three.colleague, three.asked);
        assert_talking(simulation, &[sessions[0], sessions[3]]);
        simulation.hang_up(other, taken);
        assert!(simulation.is_hung_up(three.talk.trunk, three.talk.incoming));
        simulation.assert_all_over();
        assert_eq!(simulation.records.len(), 1);
    }
}

#[test]
fn an_agents_lost_place_in_a_conference_is_reclaimed_by_rest() {
    let mut three = three_in(reclaiming::calling());
    let simulation = &mut three.talk.simulation;
    simulation.disconnect(three.talk.browser);
    let page = reclaiming::reloaded(simulation);
    reclaiming::reclaim(simulation).unwrap();
    let sessions = opened(simulation);
    assert_talking(simulation, &sessions[..3]);
    let session = reclaiming::pick_up(simulation, page);
    assert_talking(simulation, &[sessions[0], sessions[2], sessions[3]]);
    simulation.pass(std::time::Duration::from_secs(50));
    assert_talking(simulation, &[sessions[0], sessions[2], sessions[3]]);
    simulation.hang_up(three.colleague, three.asked);
    simulation.hang_up(page, session);
    assert!(simulation.is_hung_up(three.talk.trunk, three.talk.incoming));
    simulation.assert_all_over();
    assert_eq!(simulation.records.len(), 1);
}

#[test]
fn the_agents_place_is_taken_while_it_rings_and_the_third_joins() {
    // Whichever the shard does first: the newcomer's answer or the third's.
    for taken_first in [true, false] {
        let mut three = asking_in(talk());
        let (colleague, asked) = (three.colleague, three.asked);
        let simulation = &mut three.talk.simulation;
        let other = simulation.browser(5);
        let replaces = dialog_of(simulation, three.talk.browser, three.talk.outgoing);
        simulation.script = MediaScript::Slow;
        let answer = |simulation: &mut Simulation| {
            simulation.answer(colleague, asked, StatusCode::OK, Some("v=0 colleague"));
        };
        if !taken_first {
            answer(simulation);
        }
        let taken = take_over(simulation, other, "100", &replaces);
        if taken_first {
            answer(simulation);
        }
        simulation.shards_catch_up();
        simulation.script = MediaScript::Works;
        assert!(simulation.is_answered(other, taken));
        let sessions = opened(simulation);
        assert_talking(simulation, &[sessions[0], sessions[2], sessions[3]]);
        assert!(simulation.is_hung_up(three.talk.browser, three.talk.outgoing));
        simulation.hang_up(other, taken);
        simulation.hang_up(colleague, asked);
        simulation.assert_all_over();
    }
}

#[test]
fn a_place_that_is_not_taken_stays_whose_it_is_or_is_given_up() {
    for leaves in [false, true] {
        let mut three = three_in(talk());
        let simulation = &mut three.talk.simulation;
        let other = simulation.browser(5);
        let replaces = dialog_of(simulation, three.talk.browser, three.talk.outgoing);
        simulation.script = MediaScript::Mute;
        let taken = take_over(simulation, other, "100", &replaces);
        if leaves {
            simulation.hang_up(three.talk.browser, three.talk.outgoing);
        }
        simulation.pass(std::time::Duration::from_secs(6));
        assert_eq!(simulation.refusal(other, taken).unwrap().status, StatusCode::SERVER_INTERNAL_ERROR);
        simulation.script = MediaScript::Works;
        let sessions = opened(simulation);
        if leaves {
            assert_talking(simulation, &[sessions[0], sessions[2]]);
        } else {
            assert_talking(simulation, &sessions[..3]);
            simulation.hang_up(three.talk.browser, three.talk.outgoing);
        }
        simulation.hang_up(three.colleague, three.asked);
        simulation.assert_all_over();
    }
}
