//! An agent's page is loaded again, or crashes, while the agent consults by REST: it takes its place back, and with it whatever the agent
//! heard and may still do.

use std::net::SocketAddr;
use std::time::Duration;

use sip::{SessionId, StatusCode};
use switchboard::{OperatorError, TransferStatus};
use testkit::MediaScript;

use crate::consulting_by_rest::{AGENT, Asking, Hears, TARGET, TRUNK, called, consulting, ringing};
use crate::reclaiming::{pick_up, reclaim, reloaded};
use crate::taking_over::{dialog_of, take_over};

/// The media session of the page that came back: the fourth that was opened.
const PAGE: usize = 3;

/// The agent's next page asks for its place, or is called for it.
fn back(asking: &mut Asking, reclaims: bool) -> (SocketAddr, SessionId) {
    let simulation = &mut asking.talk.simulation;
    let page = reloaded(simulation);
    let session = if reclaims {
        reclaim(simulation).unwrap();
        pick_up(simulation, page)
    } else {
        let replaces = dialog_of(simulation, asking.talk.browser, asking.talk.outgoing);
        take_over(simulation, page, "100", &replaces)
    };
    (page, session)
}

/// From here on the agent is at its next page.
fn moves(asking: &mut Asking, (page, session): (SocketAddr, SessionId), is_lost: bool) {
    assert_eq!(asking.has_left(AGENT), !is_lost, "the old page is let go");
    (asking.talk.browser, asking.talk.outgoing) = (page, session);
    let view = asking.talk.simulation.views.last().unwrap();
    let by = view.legs.iter().find(|leg| leg.id == asking.transfer().by).unwrap();
    assert_eq!((by.remote.port(), by.remote.ip()), (page.port(), page.ip()), "who may complete it");
}

#[test]
fn a_page_that_was_loaded_again_hears_what_the_one_before_heard_and_completes_or_cancels() {
    for case in 0..16 {
        let [talks, reclaims, lost, cancels] = [1, 2, 4, 8].map(|bit| case & bit != 0);
        let mut asking = if talks { consulting() } else { ringing() };
        if lost {
            asking.talk.simulation.disconnect(asking.talk.browser);
        }
        let page = back(&mut asking, reclaims);
        moves(&mut asking, page, lost);
        assert_eq!(asking.hears(TRUNK), Hears::Music, "case {case}");
        let heard = if talks { Hears::Party(TARGET) } else { Hears::Ringback };
        assert_eq!(asking.hears(PAGE), heard, "case {case}");
        asking.talk.simulation.pass(Duration::from_secs(if talks { 35 } else { 15 }));
        assert_eq!(asking.hears(PAGE), heard, "case {case}: also when nobody waits for the old page any more");
        if !talks {
            asking.pick_up();
        }
        assert_eq!((asking.hears(PAGE), asking.hears(TARGET)), (Hears::Party(TARGET), Hears::Party(PAGE)));
        assert_eq!(asking.status(), TransferStatus::Consulting, "case {case}");
        if cancels {
            asking.cancel().unwrap();
            assert_eq!((asking.hears(PAGE), asking.hears(TRUNK)), (Hears::Party(TRUNK), Hears::Party(PAGE)));
            assert!(asking.has_left(TARGET) && !asking.has_left(AGENT));
            asking.hang_up(AGENT);
            asking.ends_for(&[TRUNK]);
        } else {
            asking.complete().unwrap();
            assert!(asking.has_left(AGENT), "case {case}");
            asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
        }
    }
}

#[test]
fn when_the_target_refuses_the_page_that_came_back_has_its_caller_back() {
    for completes in [false, true] {
        let mut asking = ringing();
        let page = back(&mut asking, false);
        moves(&mut asking, page, false);
        if completes {
            asking.complete().unwrap();
            assert_eq!(asking.hears(TRUNK), Hears::Ringback);
        }
        asking.talk.simulation.answer(asking.colleague, asking.asked, StatusCode::BUSY_HERE, None);
        assert_eq!((asking.hears(PAGE), asking.hears(TRUNK)), (Hears::Party(TRUNK), Hears::Party(PAGE)));
        assert_eq!(asking.transfer().sip_status, Some(486));
        asking.hang_up(TRUNK);
        asking.ends_for(&[AGENT]);
    }
}

/// A page wants the place, and the shard has not made its answer yet.
fn coming(mut asking: Asking) -> (Asking, (SocketAddr, SessionId)) {
    asking.talk.simulation.script = MediaScript::Slow;
    let page = back(&mut asking, false);
    asking.talk.simulation.script = MediaScript::Works;
    (asking, page)
}

#[test]
fn what_happens_while_the_page_comes_back_strands_nobody() {
    // The old page hangs up in the meantime: its place is taken all the same.
    let (mut asking, page) = coming(consulting());
    assert_eq!(asking.complete(), Err(OperatorError::Changing), "with whom is not known yet");
    asking.hang_up(AGENT);
    asking.talk.simulation.shards_catch_up();
    moves(&mut asking, page, true);
    assert_eq!((asking.hears(PAGE), asking.hears(TARGET)), (Hears::Party(TARGET), Hears::Party(PAGE)));
    asking.complete().unwrap();
    asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
    // The target answers.
    let (mut asking, page) = coming(ringing());
    asking.pick_up();
    asking.talk.simulation.shards_catch_up();
    moves(&mut asking, page, false);
    assert_eq!((asking.hears(PAGE), asking.hears(TARGET)), (Hears::Party(TARGET), Hears::Party(PAGE)));
    asking.complete().unwrap();
    asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
    // The target hangs up: whoever waited talks to the page.
    let (mut asking, page) = coming(consulting());
    asking.hang_up(TARGET);
    asking.talk.simulation.shards_catch_up();
    assert!(asking.has_left(AGENT));
    (asking.talk.browser, asking.talk.outgoing) = page;
    assert_eq!((asking.hears(PAGE), asking.hears(TRUNK)), (Hears::Party(TRUNK), Hears::Party(PAGE)));
    asking.hang_up(TRUNK);
    asking.ends_for(&[AGENT]);
    // Who waits hangs up: the target does.
    let (mut asking, page) = coming(consulting());
    asking.hang_up(TRUNK);
    asking.talk.simulation.shards_catch_up();
    assert!(asking.has_left(AGENT));
    (asking.talk.browser, asking.talk.outgoing) = page;
    assert_eq!((asking.hears(PAGE), asking.hears(TARGET)), (Hears::Party(TARGET), Hears::Party(PAGE)));
    asking.hang_up(TARGET);
    asking.ends_for(&[AGENT]);
}

#[test]
fn a_page_that_cannot_take_the_place_leaves_the_agent_where_it_is_and_one_that_hung_up_has_completed() {
    for hangs_up in [false, true] {
        let mut asking = consulting();
        asking.talk.simulation.script = MediaScript::Mute;
        let (page, session) = back(&mut asking, false);
        asking.talk.simulation.script = MediaScript::Works;
        if hangs_up {
            asking.hang_up(AGENT);
        }
        asking.talk.simulation.pass(Duration::from_secs(6));
        assert_eq!(asking.talk.simulation.refusal(page, session).unwrap().status.code(), 500);
        if !hangs_up {
            assert_eq!(asking.all_hear(), [Hears::Music, Hears::Party(TARGET), Hears::Party(AGENT)]);
            asking.complete().unwrap();
        }
        asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
    }
}

#[test]
fn the_places_of_the_two_others_are_not_taken_meanwhile() {
    let mut asking = called();
    let other = asking.talk.trunk;
    let replaces = dialog_of(&mut asking.talk.simulation, asking.talk.trunk, asking.talk.incoming);
    let headers = vec![("Replaces".to_owned(), replaces)];
    asking.talk.simulation.peer(other).headers = headers;
    let now = asking.talk.simulation.now;
    let (from, to) = ("sip:+15550001111@x.example", "sip:+493011100@203.0.113.1");
    let taking = asking.talk.simulation.peer(other).invite(now, from, to, Some("v=0 trunk"), None);
    asking.talk.simulation.peer(other).headers.clear();
    asking.talk.simulation.settle();
    assert_eq!(asking.talk.simulation.refusal(other, taking).unwrap().status, StatusCode::REQUEST_PENDING);
    asking.end_all();
    asking.ends_for(&[TRUNK, AGENT]);
}
