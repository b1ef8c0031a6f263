//! A browser's connection is lost in every state of a call, and the browser comes back on another and registers, or does not: the call
//! goes on in both directions, or ends for everybody with the reason on record.

use std::time::Duration;

use sip::{ConnectionId, Method, StatusCode};
use switchboard::{CallResult, CallState, EndedBy, Operator, SwitchboardConfig};
use testkit::Simulation;

use crate::{PLAN, Talk, talk, talk_in};

pub(crate) const DEVICE: &str = "<sip:x@b1.invalid;transport=ws>;+sip.instance=\"<urn:uuid:1>\";reg-id=1";
pub(crate) const ANOTHER: &str = "<sip:y@b2.invalid;transport=ws>;+sip.instance=\"<urn:uuid:2>\";reg-id=1";
pub(crate) const NEXT: ConnectionId = ConnectionId(77);
const HOLD: Option<&str> = Some("v=0 a=sendonly");

/// As [`talk`], of a phone that registered.
fn registered_talk() -> Talk {
    registered_talk_with(|_| {})
}

fn registered_talk_with(change: impl FnOnce(&mut SwitchboardConfig)) -> Talk {
    let mut simulation = Simulation::with(PLAN, |config, _| change(config));
    let browser = simulation.browser(1);
    simulation.register_as(browser, "100", DEVICE, 600);
    talk_in(simulation)
}

impl Talk {
    pub(crate) fn cut(&mut self) {
        self.simulation.disconnect(self.browser);
    }

    pub(crate) fn back(&mut self) {
        self.simulation.peer(self.browser).from_switchboard.connection = Some(NEXT);
        assert_eq!(self.simulation.register_as(self.browser, "100", DEVICE, 600).status, StatusCode::OK);
    }

    fn pass(&mut self, seconds: u64) {
        self.simulation.pass(Duration::from_secs(seconds));
    }

    /// Its one record.
    fn ends(&mut self) -> switchboard::CallRecord {
        self.simulation.assert_all_over();
        assert_eq!(self.simulation.records.len(), 1);
        self.simulation.records[0].clone()
    }
}

#[test]
fn connected_the_call_goes_on_and_the_customers_bye_reaches_the_agent_over_the_new_connection() {
    let mut talk = registered_talk();
    talk.cut();
    talk.pass(20);
    assert_eq!(talk.simulation.views.last().map(|view| view.state), Some(CallState::Connected));
    talk.back();
    talk.pass(60);
    assert!(!talk.simulation.is_hung_up(talk.trunk, talk.incoming), "nobody waits for it any more");
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    let record = talk.ends();
    assert_eq!((record.result, record.ended_by), (CallResult::Answered, EndedBy::Callee));
    assert_eq!(record.call.legs.len(), 2);
}

#[test]
fn connected_reinvites_go_both_ways_over_the_new_connection() {
    let mut talk = registered_talk();
    talk.cut();
    talk.back();
    talk.simulation.reinvite(talk.browser, talk.outgoing, HOLD);
    assert_eq!(talk.simulation.changes(talk.browser, talk.outgoing), [200]);
    let (call, now) = (talk.simulation.views.last().unwrap().id.clone(), talk.simulation.now);
    talk.simulation.switchboard.handle_operator(now, Operator::Hold { call, leg: None, hold: true }).unwrap();
    talk.simulation.settle();
    talk.simulation.answer_inside(talk.browser, talk.outgoing, StatusCode::OK, Some("v=0 a=inactive"));
    assert_eq!(talk.simulation.requests_to(talk.browser, &Method::Ack).len(), 1);
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    assert!(talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    assert_eq!(talk.ends().ended_by, EndedBy::Caller);
}

#[test]
fn connected_and_not_back_in_time_the_customer_is_hung_up_on_and_the_record_says_why() {
    let mut talk = registered_talk();
    talk.cut();
    talk.pass(29);
    assert!(!talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    talk.pass(1);
    assert!(talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    let bye = &talk.simulation.requests_to(talk.trunk, &Method::Bye)[0];
    assert_eq!(bye.headers.get("Reason"), Some("Q.850;cause=27;text=\"Connection lost\""));
    let record = talk.ends();
    assert_eq!((record.result, record.ended_by, record.q850), (CallResult::Answered, EndedBy::System, Some(27)));
    assert_eq!(record.explanation, "The caller lost its connection and did not come back in time.");
}

#[test]
fn how_long_is_a_setting_and_zero_ends_the_call_with_its_connection() {
    let mut talk = registered_talk_with(|config| config.reconnect = Duration::from_secs(90));
    talk.cut();
    talk.pass(89);
    talk.back();
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    let mut talk = registered_talk_with(|config| config.reconnect = Duration::ZERO);
    talk.cut();
    assert!(talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    assert_eq!(talk.ends().q850, Some(27));
}

#[test]
fn held_the_call_is_resumed_and_an_operators_hold_meanwhile_is_told_to_the_phone_when_it_is_back() {
    let mut talk = registered_talk();
    talk.cut();
    let (call, now) = (talk.simulation.views.last().unwrap().id.clone(), talk.simulation.now);
    talk.simulation.switchboard.handle_operator(now, Operator::Hold { call, leg: None, hold: true }).unwrap();
    talk.pass(20);
    assert!(talk.simulation.requests_to(talk.browser, &Method::Invite).is_empty());
    talk.back();
    assert_eq!(talk.simulation.requests_to(talk.browser, &Method::Invite).len(), 1);
    talk.simulation.answer_inside(talk.browser, talk.outgoing, StatusCode::OK, Some("v=0 a=inactive"));
    talk.pass(60);
    talk.simulation.reinvite(talk.browser, talk.outgoing, HOLD);
    assert_eq!(talk.simulation.changes(talk.browser, talk.outgoing), [200]);
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    talk.ends();
}

#[test]
fn a_hold_that_the_cut_swallowed_is_sent_once_more() {
    let mut talk = registered_talk();
    let (call, now) = (talk.simulation.views.last().unwrap().id.clone(), talk.simulation.now);
    talk.simulation.loses = Box::new(|_, text| text.starts_with("INVITE") || text.contains("CSeq: 1 INVITE"));
    talk.simulation.switchboard.handle_operator(now, Operator::Hold { call, leg: None, hold: true }).unwrap();
    talk.simulation.settle();
    talk.simulation.loses = Box::new(|_, _| false);
    talk.pass(10);
    talk.cut();
    talk.pass(25);
    talk.back();
    talk.simulation.answer_inside(talk.browser, talk.outgoing, StatusCode::OK, Some("v=0 a=inactive"));
    talk.pass(60);
    assert!(!talk.simulation.is_hung_up(talk.trunk, talk.incoming), "it was not missed while it could not be answered");
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    talk.ends();
}

#[test]
fn ending_a_customer_who_hangs_up_meanwhile_is_told_to_the_agent_when_it_is_back() {
    for comes_back in [true, false] {
        let mut talk = registered_talk();
        talk.cut();
        talk.pass(5);
        talk.simulation.hang_up(talk.trunk, talk.incoming);
        assert_eq!(talk.simulation.records.len(), 1, "the call is over, and on record");
        talk.pass(20);
        assert!(!talk.simulation.is_hung_up(talk.browser, talk.outgoing));
        if comes_back {
            talk.back();
            assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
        } else {
            talk.pass(5);
            assert_eq!(talk.simulation.switchboard.session_count(), 0, "nothing is kept longer than that");
        }
        assert_eq!(talk.ends().ended_by, EndedBy::Callee);
    }
}

#[test]
fn answered_without_its_ack_the_200_is_sent_again_over_the_new_connection() {
    for comes_back in [true, false] {
        let mut simulation = Simulation::new(PLAN);
        let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
        simulation.register_as(browser, "100", DEVICE, 600);
        simulation.loses = Box::new(|_, text| text.starts_with("ACK") && text.contains("phone.example.com"));
        let outgoing = simulation.call(browser, "100", "+15551234567");
        let incoming = simulation.incoming(trunk);
        simulation.loses = Box::new(|to, text| to.port() == 50_000 && text.starts_with("SIP/2.0 200"));
        simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0 trunk"));
        assert!(!simulation.is_answered(browser, outgoing));
        simulation.loses = Box::new(|_, _| false);
        let mut talk = Talk { simulation, browser, outgoing, trunk, incoming };
        talk.cut();
        talk.pass(25);
        if comes_back {
            talk.back();
            assert!(talk.simulation.is_answered(talk.browser, talk.outgoing));
            talk.pass(60);
            talk.simulation.hang_up(talk.trunk, talk.incoming);
            assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
            assert_eq!(talk.ends().ended_by, EndedBy::Callee);
        } else {
            talk.pass(5);
            assert!(talk.simulation.is_hung_up(talk.trunk, talk.incoming));
            assert_eq!(talk.ends().q850, Some(27));
        }
    }
}

/// An agent's call that rings at the trunk.
fn calling() -> Talk {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register_as(browser, "100", DEVICE, 600);
    let outgoing = simulation.call(browser, "100", "+15551234567");
    let incoming = simulation.incoming(trunk);
    Talk { simulation, browser, outgoing, trunk, incoming }
}

#[test]
fn calling_the_answer_reaches_the_caller_over_the_new_connection_also_when_it_came_meanwhile() {
    for meanwhile in [true, false] {
        let mut talk = calling();
        talk.cut();
        if meanwhile {
            talk.simulation.answer(talk.trunk, talk.incoming, StatusCode::OK, Some("v=0 trunk"));
            talk.pass(10);
        }
        talk.back();
        if !meanwhile {
            talk.simulation.answer(talk.trunk, talk.incoming, StatusCode::OK, Some("v=0 trunk"));
        }
        assert!(talk.simulation.is_answered(talk.browser, talk.outgoing));
        talk.simulation.hang_up(talk.trunk, talk.incoming);
        assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
        assert_eq!(talk.ends().result, CallResult::Answered);
    }
}

#[test]
fn calling_the_caller_is_back_and_gives_up_or_is_refused() {
    let mut talk = calling();
    talk.cut();
    talk.back();
    let now = talk.simulation.now;
    talk.simulation.answer(talk.trunk, talk.incoming, StatusCode::RINGING, None);
    talk.simulation.peer(talk.browser).endpoint.cancel(now, talk.outgoing, None);
    talk.simulation.settle();
    assert!(talk.simulation.is_cancelled(talk.trunk, talk.incoming));
    assert_eq!(talk.simulation.refusal(talk.browser, talk.outgoing).unwrap().status, StatusCode::REQUEST_TERMINATED);
    assert_eq!(talk.ends().result, CallResult::Cancelled);
    let mut talk = calling();
    talk.cut();
    talk.back();
    talk.simulation.answer(talk.trunk, talk.incoming, StatusCode::BUSY_HERE, None);
    assert_eq!(talk.simulation.refusal(talk.browser, talk.outgoing).unwrap().status, StatusCode::BUSY_HERE);
    assert_eq!(talk.ends().result, CallResult::Busy);
}

#[test]
fn calling_and_not_back_in_time_the_customers_phone_stops_ringing() {
    let mut simulation = Simulation::with(PLAN, |config, _| config.reconnect = Duration::from_secs(10));
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    let outgoing = simulation.call(browser, "100", "+15551234567");
    let incoming = simulation.incoming(trunk);
    simulation.answer(trunk, incoming, StatusCode::RINGING, None);
    let mut talk = Talk { simulation, browser, outgoing, trunk, incoming };
    talk.cut();
    talk.pass(9);
    assert!(!talk.simulation.is_cancelled(talk.trunk, talk.incoming));
    talk.pass(1);
    assert!(talk.simulation.is_cancelled(talk.trunk, talk.incoming));
    let record = talk.ends();
    assert_eq!((record.sip_status, record.ended_by), (480, EndedBy::System));
}

/// A customer's call that rings at the agent; its sessions are the other way round.
fn ringing() -> Talk {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register_as(browser, "100", DEVICE, 600);
    let now = simulation.now;
    let (from, to) = ("sip:+15550001111@x.example", "sip:+493011100@203.0.113.1");
    let incoming = simulation.peer(trunk).invite(now, from, to, Some("v=0 trunk"), None);
    simulation.settle();
    let outgoing = simulation.incoming(browser);
    simulation.answer(browser, outgoing, StatusCode::RINGING, None);
    Talk { simulation, browser, outgoing, trunk, incoming }
}

#[test]
fn ringing_the_agent_comes_back_and_picks_up() {
    let mut talk = ringing();
    talk.cut();
    talk.pass(20);
    assert!(talk.simulation.refusal(talk.trunk, talk.incoming).is_none());
    talk.back();
    assert_eq!(talk.simulation.invites(talk.browser).len(), 1, "its client knows the INVITE");
    talk.simulation.answer(talk.browser, talk.outgoing, StatusCode::OK, Some("v=0 browser"));
    assert!(talk.simulation.is_answered(talk.trunk, talk.incoming));
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    assert_eq!(talk.ends().ended_by, EndedBy::Caller);
}

#[test]
fn a_ringing_page_that_is_loaded_again_rings_again_and_the_agents_only_call_is_still_this_one() {
    let mut talk = ringing();
    talk.simulation.change(|directory| {
        directory.agents.values_mut().for_each(|agent| agent.max_concurrent_calls = 1);
    });
    talk.cut();
    talk.simulation.peer(talk.browser).from_switchboard.connection = Some(NEXT);
    for contact in [ANOTHER, "<sip:z@b2.invalid;transport=ws>;+sip.instance=\"<urn:uuid:1>\";reg-id=1"] {
        let before = talk.simulation.invites(talk.browser).len();
        talk.simulation.register_as(talk.browser, "100", contact, 600);
        assert_eq!(talk.simulation.invites(talk.browser).len(), before + 1, "{contact}");
        let sent = talk.simulation.requests_to(talk.browser, &Method::Invite).len();
        assert_eq!(sent, before + 1, "{contact}: nothing goes to a page that is gone");
    }
    let asked = talk.simulation.incoming(talk.browser);
    talk.simulation.answer(talk.browser, asked, StatusCode::OK, Some("v=0 browser"));
    assert!(talk.simulation.is_answered(talk.trunk, talk.incoming));
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    assert_eq!(talk.ends().result, CallResult::Answered);
}

#[test]
fn ringing_who_gives_up_meanwhile_rings_no_longer_at_the_agent_who_comes_back() {
    let mut talk = ringing();
    talk.cut();
    let now = talk.simulation.now;
    talk.simulation.peer(talk.trunk).endpoint.cancel(now, talk.incoming, None);
    talk.simulation.settle();
    assert_eq!(talk.simulation.records.len(), 1);
    talk.pass(20);
    talk.back();
    assert!(talk.simulation.is_cancelled(talk.browser, talk.outgoing));
    assert_eq!(talk.ends().result, CallResult::Cancelled);
}

#[test]
fn an_ack_to_the_agents_200_that_the_cut_swallowed_is_sent_again() {
    let mut talk = ringing();
    talk.simulation.loses = Box::new(|to, text| to.port() == 50_000 && text.starts_with("ACK"));
    talk.simulation.answer(talk.browser, talk.outgoing, StatusCode::OK, Some("v=0 browser"));
    talk.cut();
    talk.simulation.loses = Box::new(|_, _| false);
    talk.pass(10);
    let confirmed = |talk: &mut Talk| {
        let events = talk.simulation.events(talk.browser, talk.outgoing);
        events.iter().any(|event| matches!(event, sip::SessionEvent::Confirmed { .. }))
    };
    assert!(!confirmed(&mut talk));
    talk.back();
    assert!(confirmed(&mut talk));
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    talk.ends();
}

#[test]
fn a_browser_that_is_back_before_its_old_connection_is_missed_takes_its_call_along() {
    let mut talk = registered_talk();
    let old = talk.simulation.peer(talk.browser).from_switchboard.connection.unwrap();
    talk.back();
    let now = talk.simulation.now;
    talk.simulation.switchboard.handle_flow_closed(now, old);
    talk.pass(60);
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    talk.ends();
}

#[test]
fn another_device_of_the_extension_takes_no_call_of_a_device_that_is_away() {
    let mut talk = registered_talk();
    talk.cut();
    let other = talk.simulation.browser(2);
    talk.simulation.register_as(other, "100", ANOTHER, 600);
    let agent = talk.simulation.browser(3);
    talk.simulation.register_as(agent, "101", DEVICE, 600);
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    assert!(talk.simulation.requests_to(other, &Method::Bye).is_empty());
    assert!(talk.simulation.requests_to(agent, &Method::Bye).is_empty(), "nor does another agent's of the same name");
    talk.back();
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    talk.ends();
}

#[test]
fn who_gave_no_name_comes_back_as_the_only_phone_of_its_extension() {
    for alone in [true, false] {
        // It called without having registered.
        let mut talk = talk();
        if !alone {
            let other = talk.simulation.browser(2);
            talk.simulation.register_as(other, "100", ANOTHER, 600);
        }
        talk.cut();
        talk.back();
        talk.simulation.hang_up(talk.trunk, talk.incoming);
        assert_eq!(talk.simulation.is_hung_up(talk.browser, talk.outgoing), alone);
        talk.simulation.assert_all_over();
    }
}

#[test]
fn who_gave_no_name_does_not_come_back_with_another_credential() {
    for username in ["100", "100b"] {
        let mut talk = talk();
        talk.simulation.add_credential("100");
        talk.cut();
        let other = talk.simulation.browser(2);
        talk.simulation.register_by(username, other, "100", ANOTHER, 600);
        talk.simulation.hang_up(talk.trunk, talk.incoming);
        assert_eq!(talk.simulation.requests_to(other, &Method::Bye).len(), usize::from(username == "100"));
    }
}

#[test]
fn a_phone_that_was_there_all_the_time_takes_no_call_of_one_that_gave_no_name() {
    let mut talk = talk();
    let other = talk.simulation.browser(2);
    talk.simulation.register_as(other, "100", ANOTHER, 600);
    talk.cut();
    // A refresh, after which it is the only phone of the extension still.
    talk.simulation.register_as(other, "100", ANOTHER, 600);
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    assert!(talk.simulation.requests_to(other, &Method::Bye).is_empty());
    talk.simulation.assert_all_over();
}

#[test]
fn a_call_whose_media_is_dead_too_ends_no_later_than_without_the_wait() {
    let mut talk = registered_talk();
    talk.cut();
    talk.pass(2);
    let (session, now) = (talk.session_of(0), talk.simulation.now);
    talk.simulation.switchboard.handle_media(now, switchboard::ShardIndex(0), media::Event::Silent { session });
    talk.simulation.settle();
    assert!(talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    assert_eq!(talk.simulation.records[0].q850, Some(102));
    talk.ends();
}

#[test]
fn when_the_gateway_stops_nobody_who_is_away_is_waited_for() {
    let mut talk = registered_talk();
    talk.cut();
    let now = talk.simulation.now;
    talk.simulation.switchboard.handle_operator(now, Operator::HangupAll).unwrap();
    talk.simulation.settle();
    assert!(talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    assert_eq!((talk.simulation.switchboard.call_count(), talk.simulation.switchboard.session_count()), (0, 0));
    talk.ends();
}
