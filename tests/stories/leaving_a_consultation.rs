//! Who leaves a consultation by REST, when, and in which order with others: whoever is left and wanted each other talks.

use std::time::Duration;

use sip::StatusCode;
use switchboard::{OperatorError, TransferStatus};
use testkit::{MediaScript, Simulation};

use crate::coming_back::DEVICE;
use crate::consulting_by_rest::{AGENT, Asking, Hears, TARGET, TRUNK, called, called_in, consulting, ringing};
use crate::{PLAN, talk_in};

#[test]
fn cancelled_the_target_is_let_go_and_the_agent_has_its_caller_back() {
    for mut asking in [called(), ringing(), consulting()] {
        let shown = asking.cancel().unwrap();
        assert_eq!((shown.status, shown.sip_status), (TransferStatus::Cancelled, Some(487)));
        // One that was called and said nothing is cancelled once it does.
        asking.talk.simulation.answer(asking.colleague, asking.asked, StatusCode::RINGING, None);
        assert!(asking.has_left(TARGET));
        asking.goes_back(TransferStatus::Cancelled, 487);
    }
}

#[test]
fn a_target_that_does_not_answer_gives_the_agent_its_caller_back() {
    for (status, told) in [(486, 486), (603, 603), (480, 480), (404, 404), (500, 500), (302, 480)] {
        let mut asking = ringing();
        asking.talk.simulation.answer(asking.colleague, asking.asked, StatusCode::new(status).unwrap(), None);
        asking.goes_back(TransferStatus::Failed, told);
    }
    let mut asking = ringing();
    asking.talk.simulation.pass(Duration::from_secs(61));
    assert!(asking.has_left(TARGET));
    asking.goes_back(TransferStatus::Failed, 480);
}

#[test]
fn a_target_that_hangs_up_gives_the_agent_its_caller_back() {
    let mut asking = consulting();
    asking.hang_up(TARGET);
    asking.goes_back(TransferStatus::Failed, 480);
}

#[test]
fn when_who_waits_hangs_up_the_agent_talks_on_with_the_target() {
    let mut asking = consulting();
    asking.hang_up(TRUNK);
    asking.ends_between(AGENT, TARGET, TransferStatus::Cancelled);
}

#[test]
fn when_who_waits_hangs_up_while_it_rings_it_is_over() {
    for mut asking in [called(), ringing()] {
        asking.talk.simulation.answer(asking.colleague, asking.asked, StatusCode::RINGING, None);
        asking.hang_up(TRUNK);
        assert_eq!(asking.talk.simulation.records[0].call.transfers[0].status, TransferStatus::Cancelled);
        asking.ends_for(&[AGENT, TARGET]);
    }
}

#[test]
fn an_agent_that_hangs_up_completes_what_it_began() {
    let mut asking = consulting();
    asking.hang_up(AGENT);
    asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
    let mut asking = ringing();
    asking.hang_up(AGENT);
    assert_eq!(asking.hears(TRUNK), Hears::Ringback);
    asking.pick_up();
    asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
}

#[test]
fn the_operator_ends_it_for_all_at_every_stage() {
    for mut asking in [ringing(), consulting()] {
        asking.end_all();
        asking.ends_for(&[TRUNK, AGENT, TARGET]);
    }
}

/// The agent's phone can come back after its connection was lost.
fn of_a_registered_phone(rings: bool, answers: bool) -> Asking {
    let mut simulation = Simulation::with(PLAN, |_, directory| {
        directory.extensions.values_mut().for_each(|extension| extension.ring_timeout = Duration::from_secs(90));
    });
    let (browser, colleague) = (simulation.browser(1), simulation.browser(2));
    simulation.register_as(browser, "100", DEVICE, 600);
    simulation.register(colleague, "101", 3600);
    let mut asking = called_in(talk_in(simulation), colleague);
    if rings {
        asking.talk.simulation.answer(colleague, asking.asked, StatusCode::RINGING, None);
    }
    if answers {
        asking.pick_up();
    }
    asking
}

const STAGES: [(bool, bool); 3] = [(false, false), (true, false), (true, true)];

#[test]
fn an_agent_whose_connection_is_lost_is_waited_for_and_goes_on_where_it_was() {
    for (rings, answers) in STAGES {
        let mut asking = of_a_registered_phone(rings, answers);
        asking.talk.cut();
        asking.talk.simulation.pass(Duration::from_secs(10));
        if !rings {
            asking.talk.simulation.answer(asking.colleague, asking.asked, StatusCode::RINGING, None);
        }
        if !answers {
            asking.pick_up();
        }
        assert_eq!(asking.hears(TRUNK), Hears::Music);
        assert_eq!(asking.hears(AGENT), Hears::Party(TARGET), "its media goes on");
        asking.talk.back();
        asking.talk.simulation.pass(Duration::from_secs(30));
        assert_eq!(asking.status(), TransferStatus::Consulting);
        asking.complete().unwrap();
        assert!(asking.has_left(AGENT), "told over its new connection");
        asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
    }
}

#[test]
fn an_agent_who_does_not_come_back_leaves_its_caller_to_the_target() {
    for (rings, answers) in STAGES {
        let mut asking = of_a_registered_phone(rings, answers);
        asking.talk.cut();
        asking.talk.simulation.pass(Duration::from_secs(31));
        if !rings {
            asking.talk.simulation.answer(asking.colleague, asking.asked, StatusCode::RINGING, None);
        }
        if !answers {
            assert_eq!(asking.hears(TRUNK), Hears::Ringback);
            asking.pick_up();
        }
        asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
    }
}

#[test]
fn a_target_whose_connection_is_lost_is_waited_for_too() {
    for comes_back in [true, false] {
        let mut simulation = Simulation::new(PLAN);
        let (_, colleague) = (simulation.browser(1), simulation.browser(2));
        let device = "<sip:c@c1.invalid;transport=ws>;+sip.instance=\"<urn:uuid:7>\";reg-id=1";
        simulation.register_as(colleague, "101", device, 600);
        let mut asking = called_in(talk_in(simulation), colleague);
        asking.pick_up();
        asking.talk.simulation.disconnect(colleague);
        asking.talk.simulation.pass(Duration::from_secs(15));
        assert_eq!(asking.status(), TransferStatus::Consulting);
        if comes_back {
            asking.talk.simulation.peer(colleague).from_switchboard.connection = Some(crate::coming_back::NEXT);
            asking.talk.simulation.register_as(colleague, "101", device, 600);
            asking.talk.simulation.pass(Duration::from_secs(30));
            asking.complete().unwrap();
            asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
        } else {
            asking.talk.simulation.pass(Duration::from_secs(16));
            asking.ends_between(AGENT, TRUNK, TransferStatus::Failed);
        }
    }
}

#[test]
fn completed_in_the_moment_the_target_hangs_up_one_of_the_two_happens() {
    for target_first in [true, false] {
        let mut asking = consulting();
        let (now, (peer, session)) = (asking.talk.simulation.now, asking.peer(TARGET));
        asking.talk.simulation.peer(peer).endpoint.bye(now, session, None);
        if target_first {
            asking.talk.simulation.settle();
            assert_eq!(asking.complete(), Err(OperatorError::NotConsulting));
            asking.ends_between(AGENT, TRUNK, TransferStatus::Failed);
        } else {
            // The two are joined, then one of them hangs up: over for both.
            assert_eq!(asking.complete().unwrap().status, TransferStatus::Succeeded);
            asking.ends_for(&[TRUNK, AGENT]);
        }
    }
}

#[test]
fn completed_in_the_moment_who_waits_hangs_up_one_of_the_two_happens() {
    for waiting_first in [true, false] {
        let mut asking = consulting();
        let (now, (peer, session)) = (asking.talk.simulation.now, asking.peer(TRUNK));
        asking.talk.simulation.peer(peer).endpoint.bye(now, session, None);
        if waiting_first {
            asking.talk.simulation.settle();
            assert_eq!(asking.complete(), Err(OperatorError::NotConsulting));
            asking.ends_between(AGENT, TARGET, TransferStatus::Cancelled);
        } else {
            asking.complete().unwrap();
            asking.ends_for(&[AGENT, TARGET]);
        }
    }
}

#[test]
fn cancelled_in_the_moment_the_target_answers_the_target_is_let_go_either_way() {
    for answer_first in [true, false] {
        let mut asking = ringing();
        let now = asking.talk.simulation.now;
        let colleague = asking.colleague;
        let answer = asking.talk.simulation.peer(colleague).draft(StatusCode::OK, Some("v=0 colleague"));
        asking.talk.simulation.peer(colleague).endpoint.accept(now, asking.asked, answer);
        if answer_first {
            asking.talk.simulation.settle();
        }
        asking.cancel().unwrap();
        assert!(asking.talk.simulation.is_hung_up(colleague, asking.asked), "a 200 that crosses the CANCEL gets BYE");
        asking.ends_between(AGENT, TRUNK, TransferStatus::Cancelled);
    }
}

#[test]
fn a_shard_that_is_slow_to_agree_keeps_everybody_who_wants_to_stay() {
    let answered = || {
        let mut asking = ringing();
        asking.talk.simulation.script = MediaScript::Slow;
        asking.pick_up();
        assert_eq!(asking.status(), TransferStatus::Trying);
        asking
    };
    let go_on = |asking: &mut Asking| {
        asking.talk.simulation.script = MediaScript::Works;
        asking.talk.simulation.shards_catch_up();
    };
    let mut asking = answered();
    asking.complete().unwrap();
    assert!(!asking.has_left(AGENT), "it may yet come to nothing");
    go_on(&mut asking);
    assert!(asking.has_left(AGENT));
    asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
    let mut asking = answered();
    asking.hang_up(AGENT);
    go_on(&mut asking);
    asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
    let mut asking = answered();
    asking.cancel().unwrap();
    go_on(&mut asking);
    asking.ends_between(AGENT, TRUNK, TransferStatus::Cancelled);
    let mut asking = answered();
    asking.hang_up(TARGET);
    go_on(&mut asking);
    asking.ends_between(AGENT, TRUNK, TransferStatus::Failed);
    let mut asking = answered();
    asking.hang_up(TRUNK);
    go_on(&mut asking);
    asking.ends_for(&[AGENT, TARGET]);
}

#[test]
fn media_that_is_dead_takes_only_its_own_side_away() {
    let tell = |asking: &mut Asking, of: usize, fails: bool| {
        let session = asking.talk.session_of(of);
        let (now, shard) = (asking.talk.simulation.now, switchboard::ShardIndex(0));
        let event = if fails {
            media::Event::Failed { session, reason: "DTLS alert".to_owned() }
        } else {
            media::Event::Silent { session }
        };
        asking.talk.simulation.switchboard.handle_media(now, shard, event);
        asking.talk.simulation.settle();
    };
    for fails in [true, false] {
        let mut asking = consulting();
        tell(&mut asking, AGENT, fails);
        assert!(asking.has_left(AGENT));
        asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
        let mut asking = consulting();
        tell(&mut asking, TRUNK, fails);
        assert!(asking.has_left(TRUNK));
        asking.ends_between(AGENT, TARGET, TransferStatus::Cancelled);
        let mut asking = consulting();
        tell(&mut asking, TARGET, fails);
        assert!(asking.has_left(TARGET));
        asking.ends_between(AGENT, TRUNK, TransferStatus::Failed);
        let mut asking = ringing();
        tell(&mut asking, TRUNK, fails);
        asking.ends_for(&[TRUNK, AGENT, TARGET]);
    }
}
