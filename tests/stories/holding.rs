//! Hold and resume: by the agent, by the trunk, by an operator; each leg on its own, and nobody is stranded.

use std::time::Duration;

use media::{Command, Hold};
use sip::{Method, SessionEvent, StatusCode};
use switchboard::{CallResult, CallState, EndedBy, Operator, OperatorError};
use testkit::{MediaScript, Simulation};

use crate::{PLAN, Talk, talk, talk_in};

const HOLD: Option<&str> = Some("v=0 a=sendonly");
const RESUME: Option<&str> = Some("v=0 a=sendrecv");

impl Talk {
    fn operator_holds(&mut self, hold: bool) -> Result<(), OperatorError> {
        let call = self.simulation.views.last().expect("a call").id.clone();
        let now = self.simulation.now;
        self.simulation.switchboard.handle_operator(now, Operator::Hold { call, leg: None, hold }).map(|_| ())
    }

    /// The agent's client answers the gateway's latest re-INVITE.
    fn agent_answers(&mut self, sdp: &str) {
        self.simulation.answer_inside(self.browser, self.outgoing, StatusCode::OK, Some(sdp));
    }

    fn reinvites_to_agent(&self) -> usize {
        self.simulation.requests_to(self.browser, &Method::Invite).len()
    }

    /// Both sides are still in the call, which the caller then ends.
    fn goes_on(mut self) {
        assert_eq!(self.simulation.views.last().map(|view| view.state), Some(CallState::Connected));
        assert!(!self.simulation.is_hung_up(self.browser, self.outgoing));
        assert!(!self.simulation.is_hung_up(self.trunk, self.incoming));
        self.simulation.hang_up(self.browser, self.outgoing);
        assert!(self.simulation.is_hung_up(self.trunk, self.incoming));
        self.simulation.assert_all_over();
        assert_eq!(self.simulation.records[0].result, CallResult::Answered);
    }
}

#[test]
fn the_agent_holds_and_resumes_and_the_trunk_is_asked_for_nothing() {
    let mut talk = talk();
    for (sdp, hold) in [(HOLD, Hold::Remote), (HOLD, Hold::Remote), (RESUME, Hold::None), (HOLD, Hold::Remote)] {
        talk.simulation.reinvite(talk.browser, talk.outgoing, sdp);
        assert_eq!(talk.simulation.holds(), [hold, Hold::None]);
    }
    assert_eq!(talk.simulation.changes(talk.browser, talk.outgoing), [200; 4]);
    assert_eq!(talk.simulation.requests_to(talk.trunk, &Method::Invite).len(), 1, "but the call's own");
    talk.goes_on();
}

#[test]
fn trunk_and_agent_hold_each_on_its_own() {
    let mut talk = talk();
    talk.simulation.reinvite(talk.trunk, talk.incoming, HOLD);
    assert_eq!(talk.simulation.holds(), [Hold::None, Hold::Remote]);
    talk.simulation.modify_later(talk.browser, talk.outgoing, Method::Update, HOLD);
    talk.simulation.settle();
    assert_eq!(talk.simulation.holds(), [Hold::Remote, Hold::Remote]);
    talk.simulation.reinvite(talk.trunk, talk.incoming, RESUME);
    assert_eq!(talk.simulation.holds(), [Hold::Remote, Hold::None]);
    talk.simulation.reinvite(talk.browser, talk.outgoing, RESUME);
    assert_eq!(talk.simulation.holds(), [Hold::None, Hold::None]);
    assert_eq!(talk.reinvites_to_agent(), 0);
    talk.goes_on();
}

#[test]
fn both_sides_hold_in_the_same_moment() {
    let mut talk = talk();
    talk.simulation.reinvite_later(talk.browser, talk.outgoing, HOLD);
    talk.simulation.reinvite_later(talk.trunk, talk.incoming, HOLD);
    talk.simulation.settle();
    assert_eq!(talk.simulation.holds(), [Hold::Remote, Hold::Remote]);
    talk.goes_on();
}

#[test]
fn an_offerless_reinvite_gets_an_offer_and_its_ack_resumes() {
    let mut talk = talk();
    talk.simulation.reinvite(talk.browser, talk.outgoing, HOLD);
    let contact = "Contact: <sip:peer@192.0.2.1:50000>\r\n";
    let (browser, outgoing) = (talk.browser, talk.outgoing);
    let offer = talk.simulation.request_inside(browser, outgoing, "INVITE", 10, contact, "").unwrap();
    assert_eq!(offer.status, StatusCode::OK);
    assert!(!offer.body.is_empty() && offer.headers.get("Contact").is_some());
    let answer = format!("{contact}Content-Type: application/sdp\r\n");
    talk.simulation.request_inside(browser, outgoing, "ACK", 10, &answer, "v=0 a=sendrecv");
    assert_eq!(talk.simulation.holds(), [Hold::None, Hold::None]);
    // One whose ACK brings nothing changes nothing.
    talk.simulation.request_inside(browser, outgoing, "INVITE", 11, contact, "").unwrap();
    talk.simulation.request_inside(browser, outgoing, "ACK", 11, contact, "");
    talk.simulation.pass(Duration::from_secs(60));
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    talk.simulation.assert_all_over();
}

#[test]
fn an_operators_hold_is_obeyed_at_once_and_the_phone_is_told() {
    let mut talk = talk();
    talk.operator_holds(true).unwrap();
    talk.simulation.settle();
    assert_eq!(talk.simulation.holds(), [Hold::Local, Hold::None], "before the phone has answered");
    assert_eq!(talk.reinvites_to_agent(), 1);
    talk.agent_answers("v=0 a=inactive");
    talk.operator_holds(true).unwrap();
    talk.simulation.settle();
    assert_eq!(talk.reinvites_to_agent(), 1, "held twice is held once");
    talk.operator_holds(false).unwrap();
    talk.simulation.settle();
    assert_eq!(talk.simulation.holds(), [Hold::None, Hold::None]);
    talk.agent_answers("v=0 a=sendrecv");
    assert_eq!(talk.reinvites_to_agent(), 2);
    talk.goes_on();
}

#[test]
fn an_operator_holds_the_agents_leg_or_the_one_it_names() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register(browser, "100", 600);
    let now = simulation.now;
    let (from, to) = ("sip:+15550001111@x.example", "sip:+493011100@203.0.113.1");
    simulation.peer(trunk).invite(now, from, to, Some("v=0 trunk"), None);
    simulation.settle();
    let ringing = simulation.views.last().unwrap().clone();
    let hold = |leg: Option<&str>, hold| Operator::Hold { call: ringing.id.clone(), leg: leg.map(str::to_owned), hold };
    let refused = simulation.switchboard.handle_operator(now, hold(None, true));
    assert_eq!(refused, Err(OperatorError::NotConnected), "while it rings");
    let incoming = simulation.incoming(browser);
    simulation.answer(browser, incoming, StatusCode::OK, Some("v=0 browser"));
    simulation.switchboard.handle_operator(now, hold(None, true)).unwrap();
    simulation.settle();
    assert_eq!(simulation.holds(), [Hold::None, Hold::Local], "the agent's leg is the callee's");
    let caller = simulation.views.last().unwrap().legs[0].id.clone();
    simulation.switchboard.handle_operator(now, hold(Some(&caller), true)).unwrap();
    simulation.settle();
    assert_eq!(simulation.holds(), [Hold::Local, Hold::Local]);
    assert_eq!(simulation.requests_to(trunk, &Method::Invite).len(), 1);
    let unknown = simulation.switchboard.handle_operator(now, hold(Some("leg_none"), true));
    assert_eq!(unknown, Err(OperatorError::UnknownLeg));
    simulation.hang_up(browser, incoming);
    simulation.assert_all_over();
    assert_eq!(simulation.switchboard.handle_operator(now, hold(None, false)), Err(OperatorError::UnknownCall));
}

#[test]
fn what_the_phone_holds_only_the_phone_resumes() {
    let mut talk = talk();
    talk.simulation.reinvite(talk.browser, talk.outgoing, HOLD);
    assert_eq!(talk.operator_holds(false), Err(OperatorError::HeldByPhone));
    talk.operator_holds(true).unwrap();
    talk.simulation.settle();
    assert_eq!(talk.simulation.holds(), [Hold::Both, Hold::None]);
    talk.agent_answers("v=0 a=inactive");
    talk.operator_holds(false).unwrap();
    talk.simulation.settle();
    talk.agent_answers("v=0 a=sendonly");
    assert_eq!(talk.simulation.holds(), [Hold::Remote, Hold::None]);
    talk.goes_on();
}

#[test]
fn holds_that_cross_are_both_tried_again_until_both_are_in_force() {
    let mut talk = talk();
    talk.simulation.reinvite_later(talk.browser, talk.outgoing, HOLD);
    talk.operator_holds(true).unwrap();
    talk.simulation.settle();
    let refused = |talk: &Talk| talk.simulation.sent.iter().filter(|(_, _, m)| is_491(m)).count();
    assert_eq!(refused(&talk), 1, "the agent's offer met ours");
    assert_eq!(talk.simulation.holds(), [Hold::Local, Hold::None]);
    talk.simulation.pass(Duration::from_secs(2));
    assert_eq!(talk.reinvites_to_agent(), 2, "the phone owns the Call-ID and waits longer");
    talk.agent_answers("v=0 a=inactive");
    talk.simulation.pass(Duration::from_secs(4));
    assert_eq!(talk.simulation.changes(talk.browser, talk.outgoing), [200]);
    assert_eq!(talk.simulation.holds(), [Hold::Both, Hold::None]);
    assert_eq!(refused(&talk), 1);
    talk.goes_on();
}

fn is_491(message: &sip::Message) -> bool {
    matches!(message, sip::Message::Response(response) if response.status == StatusCode::REQUEST_PENDING)
}

#[test]
fn a_refresh_and_a_hold_that_cross_leave_both_done() {
    // A refresh by UPDATE without SDP passes whatever is under way.
    let mut refreshing = talk();
    refreshing.operator_holds(true).unwrap();
    refreshing.simulation.settle();
    refreshing.simulation.request_inside(refreshing.browser, refreshing.outgoing, "UPDATE", 10, "", "").unwrap();
    assert!(refreshing.simulation.sent.iter().all(|(_, _, message)| !is_491(message)));
    refreshing.agent_answers("v=0 a=inactive");
    assert_eq!(refreshing.simulation.holds(), [Hold::Local, Hold::None]);
    refreshing.simulation.hang_up(refreshing.trunk, refreshing.incoming);
    refreshing.simulation.assert_all_over();
    // One by re-INVITE meets the hold; both come again.
    let mut crossing = talk();
    crossing.simulation.reinvite_later(crossing.browser, crossing.outgoing, RESUME);
    crossing.operator_holds(true).unwrap();
    crossing.simulation.settle();
    crossing.simulation.pass(Duration::from_secs(2));
    crossing.agent_answers("v=0 a=inactive");
    crossing.simulation.pass(Duration::from_secs(4));
    assert_eq!(crossing.simulation.changes(crossing.browser, crossing.outgoing), [200]);
    assert_eq!(crossing.simulation.holds(), [Hold::Local, Hold::None]);
    crossing.goes_on();
}

#[test]
fn a_held_call_is_hung_up_by_either_side_or_by_an_operator() {
    for by in 0..3 {
        let mut talk = talk();
        talk.simulation.reinvite(talk.browser, talk.outgoing, HOLD);
        talk.operator_holds(true).unwrap();
        talk.simulation.settle();
        let ended_by = match by {
            0 => {
                talk.simulation.hang_up(talk.browser, talk.outgoing);
                EndedBy::Caller
            }
            1 => {
                talk.simulation.hang_up(talk.trunk, talk.incoming);
                EndedBy::Callee
            }
            _ => {
                let (call, now) = (talk.simulation.views.last().unwrap().id.clone(), talk.simulation.now);
                talk.simulation.switchboard.handle_operator(now, Operator::Hangup { call }).unwrap();
                EndedBy::Operator
            }
        };
        talk.simulation.settle();
        assert_eq!(by == 0, !talk.simulation.is_hung_up(talk.browser, talk.outgoing));
        assert_eq!(by == 1, !talk.simulation.is_hung_up(talk.trunk, talk.incoming));
        talk.simulation.assert_all_over();
        let record = &talk.simulation.records[0];
        assert_eq!((record.result, record.ended_by), (CallResult::Answered, ended_by));
    }
}

#[test]
fn a_description_that_cannot_be_used_is_488_and_people_talk_on() {
    let mut talk = talk();
    talk.simulation.script = MediaScript::RejectsOffers;
    let before = talk.simulation.commands.len();
    talk.simulation.reinvite(talk.browser, talk.outgoing, HOLD);
    assert_eq!(talk.simulation.changes(talk.browser, talk.outgoing), [488]);
    let refusal = talk.simulation.events(talk.browser, talk.outgoing).into_iter().find_map(|event| match event {
        SessionEvent::ModifyRefused { response, .. } => response.headers.get("Warning").map(str::to_owned),
        _ => None,
    });
    assert_eq!(refusal.as_deref(), Some("399 patchcord \"no common codec\""));
    let since = &talk.simulation.commands[before..];
    assert!(!since.iter().any(|command| matches!(command, Command::Adopt { .. })), "media is as it was");
    talk.goes_on();
}

#[test]
fn a_phone_that_refuses_the_operators_hold_is_held_all_the_same() {
    for status in [StatusCode::NOT_ACCEPTABLE_HERE, StatusCode::SERVER_INTERNAL_ERROR, StatusCode::NOT_IMPLEMENTED] {
        let mut talk = talk();
        talk.operator_holds(true).unwrap();
        talk.simulation.settle();
        talk.simulation.answer_inside(talk.browser, talk.outgoing, status, None);
        talk.simulation.pass(Duration::from_secs(10));
        assert_eq!(talk.simulation.holds(), [Hold::Local, Hold::None]);
        assert_eq!(talk.reinvites_to_agent(), 1);
        talk.operator_holds(false).unwrap();
        talk.simulation.settle();
        assert_eq!(talk.simulation.holds(), [Hold::None, Hold::None]);
        talk.goes_on();
    }
}

#[test]
fn a_phone_that_forgot_the_call_or_is_gone_ends_it_for_the_other_side() {
    let mut forgot = talk();
    forgot.operator_holds(true).unwrap();
    forgot.simulation.settle();
    let (browser, outgoing) = (forgot.browser, forgot.outgoing);
    forgot.simulation.answer_inside(browser, outgoing, StatusCode::CALL_DOES_NOT_EXIST, None);
    assert!(forgot.simulation.is_hung_up(forgot.trunk, forgot.incoming));
    forgot.simulation.assert_all_over();
    let mut gone = talk();
    let browser = gone.browser;
    gone.simulation.loses = Box::new(move |peer, _| peer == browser);
    gone.operator_holds(true).unwrap();
    gone.simulation.pass(Duration::from_secs(33));
    assert!(gone.simulation.is_hung_up(gone.trunk, gone.incoming), "nothing answers for 64*T1");
    gone.simulation.assert_all_over();
    assert_eq!(gone.simulation.records[0].ended_by, EndedBy::System);
}

#[test]
fn a_shard_that_does_not_answer_in_time_costs_the_change_and_not_the_call() {
    let mut talk = talk();
    talk.simulation.script = MediaScript::Mute;
    talk.simulation.reinvite(talk.trunk, talk.incoming, HOLD);
    talk.simulation.pass(Duration::from_secs(6));
    assert_eq!(talk.simulation.changes(talk.trunk, talk.incoming), [500]);
    talk.simulation.script = MediaScript::Works;
    talk.simulation.reinvite(talk.trunk, talk.incoming, HOLD);
    assert_eq!(talk.simulation.changes(talk.trunk, talk.incoming), [500, 200]);
    talk.goes_on();
}

#[test]
fn hold_survives_a_lossy_link() {
    let mut simulation = Simulation::new(PLAN);
    let mut seen = std::collections::HashSet::new();
    // The first copy of each message inside the call towards the trunk is lost, and of each from it.
    simulation.loses = Box::new(move |peer, text| {
        let inside = text.contains("a=sendonly") || text.contains("CSeq: 2 ") || text.contains("a=sendrecv");
        peer.ip().to_string().starts_with("198.") && inside && seen.insert(text.to_owned())
    });
    let mut talk = talk_in(simulation);
    for (sdp, hold) in [(HOLD, Hold::Remote), (RESUME, Hold::None)] {
        talk.simulation.reinvite(talk.trunk, talk.incoming, sdp);
        talk.simulation.pass(Duration::from_secs(10));
        assert_eq!(talk.simulation.holds(), [Hold::None, hold]);
    }
    assert_eq!(talk.simulation.changes(talk.trunk, talk.incoming), [200, 200]);
    talk.simulation.loses = Box::new(|_, _| false);
    talk.goes_on();
}

#[test]
fn a_browser_that_came_back_on_another_connection_resumes() {
    let mut talk = talk();
    talk.simulation.reinvite(talk.browser, talk.outgoing, HOLD);
    talk.simulation.reconnect(talk.browser, sip::ConnectionId(77));
    talk.simulation.register(talk.browser, "100", 600);
    talk.simulation.reinvite(talk.browser, talk.outgoing, RESUME);
    assert_eq!(talk.simulation.holds(), [Hold::None, Hold::None]);
    talk.operator_holds(true).unwrap();
    talk.simulation.settle();
    talk.agent_answers("v=0 a=inactive");
    assert_eq!(talk.simulation.holds(), [Hold::Local, Hold::None], "and is asked on the new connection");
    talk.goes_on();
}

#[test]
fn an_echo_is_held_and_resumed() {
    let mut simulation = Simulation::new(PLAN);
    let browser = simulation.browser(1);
    let session = simulation.call(browser, "100", "9196");
    for (sdp, hold) in [(HOLD, Hold::Remote), (RESUME, Hold::None)] {
        simulation.reinvite(browser, session, sdp);
        assert_eq!(simulation.holds(), [hold]);
    }
    simulation.hang_up(browser, session);
    simulation.assert_all_over();
}

#[test]
fn a_hold_the_phone_takes_back_in_time_leaves_media_as_it_was() {
    let mut talk = talk();
    talk.simulation.script = MediaScript::Slow;
    let (browser, outgoing) = (talk.browser, talk.outgoing);
    let headers = "Contact: <sip:peer@192.0.2.1:50000>\r\nContent-Type: application/sdp\r\n";
    let before = talk.simulation.commands.len();
    talk.simulation.request_inside(browser, outgoing, "INVITE", 10, headers, "v=0 a=sendonly").unwrap();
    let ended = talk.simulation.request_inside(browser, outgoing, "CANCEL", 10, "", "").unwrap();
    assert_eq!(ended.status, StatusCode::REQUEST_TERMINATED);
    talk.simulation.shards_catch_up();
    let since = &talk.simulation.commands[before..];
    assert!(matches!(since, [Command::HandleOffer { .. }]), "nothing is adopted: {since:?}");
    talk.simulation.script = MediaScript::Works;
    let next = talk.simulation.request_inside(browser, outgoing, "INVITE", 11, headers, "v=0 a=sendonly").unwrap();
    assert_eq!(next.status, StatusCode::OK);
    talk.simulation.request_inside(browser, outgoing, "ACK", 11, "", "");
    assert_eq!(talk.simulation.holds(), [Hold::Remote, Hold::None]);
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    talk.simulation.assert_all_over();
}
