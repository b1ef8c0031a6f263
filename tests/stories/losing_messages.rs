//! Messages get lost, peers fall silent: calls end all the same, and in time.

use std::time::Duration;

use media::Command;
use sip::{Message, Method, StatusCode};
use switchboard::{CallResult, EndedBy, ShardIndex};
use testkit::Simulation;

use crate::{PLAN, talk};

/// 64*T1 (RFC 3261 §13.3.1.4).
const PATIENCE: Duration = Duration::from_secs(32);

#[test]
fn without_an_ack_the_200_is_repeated_and_then_both_sides_are_hung_up() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    let outgoing = simulation.call(browser, "100", "+15551234567");
    let incoming = simulation.incoming(trunk);
    simulation.loses = Box::new(move |peer, text| peer == browser && text.starts_with("ACK "));
    let answered_at = simulation.now;
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0 trunk"));
    simulation.pass(PATIENCE - Duration::from_millis(1));
    assert!(!simulation.is_hung_up(trunk, incoming));
    simulation.pass(Duration::from_millis(1));
    assert!(simulation.is_hung_up(trunk, incoming) && simulation.is_hung_up(browser, outgoing));
    let repeated = simulation.sent.iter().filter(|(_, to, message)| match message {
        Message::Response(response) => *to == browser && response.status == StatusCode::OK,
        Message::Request(_) => false,
    });
    let times: Vec<u128> = repeated.map(|(at, ..)| (*at - answered_at).as_millis()).collect();
    let expected = [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
    assert_eq!(times, expected, "T1 doubled up to T2");
    let bye = &simulation.requests_to(browser, &Method::Bye)[0];
    assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=408;text=\"No ACK\""));
    simulation.assert_all_over();
    let record = &simulation.records[0];
    assert_eq!((record.result, record.ended_by), (CallResult::Failed, EndedBy::System));
    assert!(record.explanation.contains("ACK"), "{}", record.explanation);
}

#[test]
fn a_lost_ack_is_sent_again_when_the_trunk_repeats_its_200() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    let outgoing = simulation.call(browser, "100", "+15551234567");
    let incoming = simulation.incoming(trunk);
    let mut lost = 0;
    simulation.loses = Box::new(move |peer, text| {
        let hit = peer == trunk && text.starts_with("ACK ") && lost < 2;
        lost += u32::from(hit);
        hit
    });
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0 trunk"));
    simulation.pass(Duration::from_secs(40));
    assert_eq!(simulation.requests_to(trunk, &Method::Ack).len(), 3);
    assert!(simulation.is_answered(browser, outgoing) && simulation.switchboard.call_count() == 1);
    assert!(!simulation.is_hung_up(trunk, incoming), "the trunk got its ACK in the end");
    let answers = simulation.commands.iter().filter(|command| matches!(command, Command::HandleAnswer { .. })).count();
    assert_eq!(answers, 1, "repeated answers are one answer");
    simulation.hang_up(browser, outgoing);
    simulation.assert_all_over();
}

#[test]
fn a_bye_that_is_never_answered_holds_nothing_up() {
    let mut talk = talk();
    let trunk = talk.trunk;
    talk.simulation.loses = Box::new(move |peer, _| peer == trunk);
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    assert_eq!(talk.simulation.records.len(), 1, "the call is over for everybody but the trunk");
    talk.simulation.assert_all_over();
    assert!(talk.simulation.requests_to(trunk, &Method::Bye).len() > 5, "the BYE is repeated");
}

#[test]
fn a_lost_answer_to_a_bye_is_given_again() {
    let mut talk = talk();
    let (trunk, mut lost) = (talk.trunk, 0);
    talk.simulation.loses = Box::new(move |peer, text| {
        let hit = peer == trunk && text.starts_with("SIP/2.0 200") && lost < 3;
        lost += u32::from(hit);
        hit
    });
    talk.simulation.hang_up(trunk, talk.incoming);
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    talk.simulation.assert_all_over();
    let answers = talk.simulation.sent.iter().filter(|(_, to, message)| match message {
        Message::Response(response) => *to == trunk && response.headers.cseq().unwrap().unwrap().method == Method::Bye,
        Message::Request(_) => false,
    });
    assert_eq!(answers.count(), 4);
    assert_eq!(talk.simulation.records.len(), 1);
}

#[test]
fn an_invite_over_udp_is_repeated_until_it_is_heard() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    let mut lost = 0;
    simulation.loses = Box::new(move |peer, text| {
        let hit = peer == trunk && text.starts_with("INVITE ") && lost < 2;
        lost += u32::from(hit);
        hit
    });
    simulation.call(browser, "100", "+15551234567");
    assert!(simulation.invites(trunk).is_empty());
    simulation.pass(Duration::from_secs(2));
    assert_eq!((simulation.invites(trunk).len(), simulation.requests_to(trunk, &Method::Invite).len()), (1, 3));
    simulation.assert_all_over();
}

#[test]
fn dead_media_ends_the_call_on_both_sides_after_the_configured_time() {
    let timeout = Duration::from_secs(17);
    let mut talk = crate::talk_in(Simulation::with(PLAN, |config, _| config.silence_timeout = timeout));
    let opened = talk.simulation.commands.iter().filter_map(|command| match command {
        Command::Open { session, silence_timeout, .. } => Some((*session, *silence_timeout)),
        _ => None,
    });
    let opened: Vec<_> = opened.collect();
    assert_eq!(opened.len(), 2);
    assert!(opened.iter().all(|(_, silence)| *silence == timeout), "each leg's shard watches");
    let event = media::Event::Silent { session: opened[1].0 };
    talk.simulation.switchboard.handle_media(talk.simulation.now, ShardIndex(0), event);
    talk.simulation.settle();
    for (peer, session) in [(talk.browser, talk.outgoing), (talk.trunk, talk.incoming)] {
        assert!(talk.simulation.is_hung_up(peer, session));
        let bye = &talk.simulation.requests_to(peer, &Method::Bye)[0];
        assert_eq!(bye.headers.get("Reason"), Some("Q.850;cause=102;text=\"Media timeout\""));
    }
    talk.simulation.assert_all_over();
    assert_eq!(talk.simulation.records[0].ended_by, EndedBy::System);
}

#[test]
fn a_browser_that_lost_its_connection_may_come_back_and_hang_up() {
    let mut talk = talk();
    talk.simulation.disconnect(talk.browser);
    talk.simulation.disconnect(talk.browser);
    talk.simulation.pass(Duration::from_secs(20));
    assert!(!talk.simulation.is_hung_up(talk.trunk, talk.incoming), "media may still flow");
    talk.simulation.reconnect(talk.browser, sip::ConnectionId(77));
    talk.simulation.register(talk.browser, "100", 600);
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    assert!(talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    talk.simulation.assert_all_over();
    assert_eq!(talk.simulation.records[0].ended_by, EndedBy::Caller);
}
