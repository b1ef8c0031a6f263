//! Session timers (RFC 4028) on each leg by itself: who is asked for one, who refreshes, and what becomes of a call whose other end is
//! gone without a word.

use std::time::Duration;

use media::{Command, Hold};
use sip::{Message, Method, Request, Response, SessionEvent, StatusCode};
use switchboard::{CallResult, EndedBy, Operator};
use testkit::Simulation;

use crate::carrier::Carrier;
use crate::{PLAN, Talk, talk, talk_in};

const UPDATES: (&str, &str) = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE");
const WITHOUT_UPDATE: (&str, &str) = ("Allow", "INVITE, ACK, BYE, CANCEL");
const HOLD: Option<&str> = Some("v=0 a=sendonly");

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn said(headers: &sip::Headers) -> Option<&str> {
    headers.get("Session-Expires")
}

/// A call whose trunk is asked for a timer of 600 s.
fn asking() -> Simulation {
    Simulation::with(PLAN, |config, _| config.session_expires = seconds(600))
}

/// A call to a carrier that answered with these headers.
fn carried(headers: &[(&str, &str)]) -> Carrier {
    let mut carrier = Carrier::called_in(asking());
    carrier.answer(StatusCode::OK, &[&[("Contact", "<sip:c@198.51.100.1:5060>")], headers].concat());
    assert!(carrier.simulation.is_answered(carrier.browser, carrier.session));
    carrier
}

impl Carrier {
    /// The agent's browser, an honest one, answers what it is asked meanwhile; the carrier stays silent. Gives the requests sent to the
    /// carrier, repetitions left out, and when.
    fn silent_for(&mut self, duration: Duration) -> Vec<(u64, Request)> {
        let (start, before) = (self.simulation.now, self.simulation.sent.len());
        self.simulation.pass(duration);
        let mut requests: Vec<(u64, Request)> = Vec::new();
        for (at, to, message) in self.simulation.sent.iter().skip(before) {
            let Message::Request(request) = message else { continue };
            let known = requests.iter().any(|(_, known)| known.headers.get("CSeq") == request.headers.get("CSeq"));
            if *to != self.browser && !known {
                requests.push(((*at - start).as_secs(), request.clone()));
            }
        }
        requests
    }

    /// Answers with these further headers and the carrier's description.
    fn accept(&mut self, request: &Request, headers: &[(&str, &str)], sdp: &'static str) {
        let mut response = Response::for_request(request, StatusCode::OK);
        for (name, value) in headers {
            response = response.with_header(name, *value);
        }
        if !sdp.is_empty() {
            response = response.with_body("application/sdp", sdp);
        }
        let now = self.simulation.now;
        self.simulation.switchboard.handle_message(now, self.flow, &response.to_bytes());
        self.simulation.settle();
    }

    fn assert_hung_up(mut self, explanation: &str) {
        assert!(self.simulation.is_hung_up(self.browser, self.session));
        self.simulation.assert_all_over();
        let record = &self.simulation.records[0];
        assert_eq!((record.result, record.ended_by), (CallResult::Answered, EndedBy::System));
        assert!(record.explanation.contains(explanation), "{}", record.explanation);
    }
}

fn methods(requests: &[(u64, Request)]) -> Vec<(u64, &str)> {
    requests.iter().map(|(at, request)| (*at, request.method.as_str())).collect()
}

#[test]
fn trunks_are_asked_for_a_timer_and_browsers_are_not() {
    let mut talk = talk();
    let invite = &talk.simulation.requests_to(talk.trunk, &Method::Invite)[0];
    assert_eq!(
        (said(&invite.headers), invite.headers.supported()),
        (Some("1800;refresher=uac"), vec!["replaces", "100rel", "199", "timer"])
    );
    assert!(!invite.headers.require().contains(&"timer"), "asked for, not required");
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    talk.simulation.assert_all_over();

    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register(browser, "100", 600);
    let (now, to) = (simulation.now, "sip:+493011100@203.0.113.1");
    let calling = simulation.peer(trunk).invite(now, "sip:+15550001111@x.example", to, Some("v=0 trunk"), None);
    simulation.settle();
    let ringing = simulation.incoming(browser);
    assert_eq!(said(&simulation.invites(browser)[0].1.headers), None);
    simulation.answer(browser, ringing, StatusCode::OK, Some("v=0 browser"));
    let answer = simulation.events(trunk, calling).into_iter().find_map(|event| match event {
        SessionEvent::Answered { response } => Some(response),
        _ => None,
    });
    assert_eq!(said(&answer.unwrap().headers), Some("1800;refresher=uas"), "a trunk that calls is asked, too");
    simulation.hang_up(browser, ringing);
    simulation.assert_all_over();

    let off = talk_in(Simulation::with(PLAN, |config, _| config.session_expires = Duration::ZERO));
    assert_eq!(said(&off.simulation.requests_to(off.trunk, &Method::Invite)[0].headers), None);
}

#[test]
fn a_trunk_whose_minimum_is_higher_gets_it_and_the_caller_hears_nothing_of_that() {
    let mut carrier = Carrier::called_in(asking());
    let first = carrier.invite.clone();
    carrier.answer(StatusCode::SESSION_INTERVAL_TOO_SMALL, &[("Min-SE", "3600")]);
    let (_, second) = carrier.last_request(&Method::Invite).unwrap();
    assert_eq!(second.headers.call_id(), first.headers.call_id());
    assert_eq!(second.headers.get("CSeq"), Some("2 INVITE"));
    assert_eq!((said(&second.headers), second.headers.get("Min-SE")), (Some("3600;refresher=uac"), Some("3600")));
    assert_eq!(second.body, first.body);
    carrier.invite = second;
    carrier.answer(StatusCode::OK, &[("Contact", "<sip:c@198.51.100.1:5060>")]);
    assert!(carrier.simulation.is_answered(carrier.browser, carrier.session));
    let opened = carrier.simulation.commands.iter().filter(|command| matches!(command, Command::Open { .. })).count();
    assert_eq!(opened, 2, "it is the same leg");
    carrier.simulation.hang_up(carrier.browser, carrier.session);
    carrier.simulation.pass(seconds(40));
    carrier.simulation.assert_all_over();
}

#[test]
fn a_trunk_is_refreshed_by_update_where_it_allows_that() {
    let mut carrier = carried(&[UPDATES, ("Session-Expires", "600;refresher=uac")]);
    for _ in 0..3 {
        let requests = carrier.silent_for(seconds(301));
        assert_eq!(methods(&requests), [(300, "UPDATE")]);
        let refresh = &requests[0].1;
        assert!(refresh.body.is_empty() && refresh.headers.get("Contact").is_some());
        carrier.accept(refresh, &[("Session-Expires", "600;refresher=uac")], "");
    }
    assert_eq!(carrier.simulation.switchboard.call_count(), 1);
}

#[test]
fn a_trunk_without_update_is_refreshed_by_reinvite_and_its_answer_is_taken() {
    let mut carrier = carried(&[WITHOUT_UPDATE, ("Session-Expires", "600;refresher=uac")]);
    let offered = carrier.invite.body.clone();
    let requests = carrier.silent_for(seconds(301));
    assert_eq!(methods(&requests), [(300, "INVITE")]);
    let refresh = &requests[0].1;
    assert_eq!(refresh.body, offered, "the description is the same, and so is its version");
    let before = carrier.simulation.commands.len();
    carrier.accept(refresh, &[("Session-Expires", "600;refresher=uac")], "v=0 carrier moved");
    let (_, ack) = carrier.last_request(&Method::Ack).unwrap();
    assert_eq!(ack.headers.get("CSeq"), Some("2 ACK"));
    let since = &carrier.simulation.commands[before..];
    let taken = |command: &Command| matches!(command, Command::HandleAnswer { sdp, .. } if sdp == b"v=0 carrier moved");
    assert!(since.len() == 1 && taken(&since[0]), "{since:?}");
    // And again, with a hold of the agent in between, which the trunk is not asked for.
    let (browser, session) = (carrier.browser, carrier.session);
    carrier.simulation.reinvite(browser, session, HOLD);
    assert_eq!(methods(&carrier.silent_for(seconds(301))), [(300, "INVITE")]);
}

#[test]
fn a_dead_trunk_on_hold_ends_the_call() {
    for allow in [UPDATES, WITHOUT_UPDATE] {
        let mut carrier = carried(&[allow, ("Session-Expires", "600;refresher=uac")]);
        let (browser, session) = (carrier.browser, carrier.session);
        carrier.simulation.reinvite(browser, session, HOLD);
        let requests = carrier.silent_for(seconds(597));
        assert!(
            requests.len() > 2 && requests.iter().all(|(_, request)| request.method != Method::Bye),
            "{requests:?}"
        );
        assert!(!carrier.simulation.is_hung_up(browser, session), "a missed refresh ends nothing");
        let requests = carrier.silent_for(seconds(2));
        let bye = &requests.iter().find(|(_, request)| request.method == Method::Bye).expect("a BYE").1;
        assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=408;text=\"Session timer expired\""));
        carrier.assert_hung_up("does not answer any more");
    }
}

#[test]
fn a_dead_trunk_that_never_knew_of_timers_ends_the_call_too() {
    let mut carrier = carried(&[]);
    let (browser, session) = (carrier.browser, carrier.session);
    carrier.simulation.reinvite(browser, session, HOLD);
    let requests = carrier.silent_for(seconds(301));
    assert_eq!(methods(&requests), [(300, "INVITE")]);
    carrier.accept(&requests[0].1, &[], "v=0 carrier");
    assert!(carrier.silent_for(seconds(597)).iter().all(|(_, request)| request.method != Method::Bye));
    carrier.silent_for(seconds(40));
    carrier.assert_hung_up("does not answer any more");
}

#[test]
fn a_trunk_that_forgot_the_call_ends_it_at_its_next_refresh() {
    let mut carrier = carried(&[UPDATES, ("Session-Expires", "600;refresher=uac")]);
    let requests = carrier.silent_for(seconds(300));
    carrier.respond(&requests[0].1, StatusCode::CALL_DOES_NOT_EXIST);
    carrier.assert_hung_up("has forgotten the call");
}

#[test]
fn a_trunk_that_promised_to_refresh_and_does_not_is_looked_after_and_then_hung_up() {
    let mut carrier = carried(&[UPDATES, ("Session-Expires", "600;refresher=uas")]);
    let requests = carrier.silent_for(seconds(597));
    assert_eq!(methods(&requests), [(568, "UPDATE")], "32 s before the end");
    assert!(carrier.silent_for(seconds(1)).iter().any(|(_, request)| request.method == Method::Bye));
    carrier.assert_hung_up("does not answer any more");
}

/// An agent whose browser asks for 90 s and leaves it to us who refreshes, as JsSIP does, talking to the trunk.
fn talk_with_timer() -> Talk {
    let mut simulation = Simulation::with(PLAN, |config, _| config.session_expires = Duration::ZERO);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.peer(browser).headers = vec![("Session-Expires".to_owned(), "90".to_owned())];
    let outgoing = simulation.call(browser, "100", "+15551234567");
    let incoming = simulation.incoming(trunk);
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0 trunk"));
    Talk { simulation, browser, outgoing, trunk, incoming }
}

impl Talk {
    fn updates_to_agent(&self) -> usize {
        self.simulation.requests_to(self.browser, &Method::Update).len()
    }

    fn agent_accepts(&mut self) {
        self.simulation.answer_inside(self.browser, self.outgoing, StatusCode::OK, None);
    }
}

#[test]
fn a_browser_that_asks_for_90_s_gets_them_and_is_refreshed_by_us() {
    let mut talk = talk_with_timer();
    let answer = talk.simulation.events(talk.browser, talk.outgoing).into_iter().find_map(|event| match event {
        SessionEvent::Answered { response } => Some(response),
        _ => None,
    });
    assert_eq!(said(&answer.unwrap().headers), Some("90;refresher=uas"));
    for round in 1..6 {
        talk.simulation.pass(seconds(45));
        assert_eq!(talk.updates_to_agent(), round);
        talk.agent_accepts();
    }
    assert!(!talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    talk.simulation.assert_all_over();
}

#[test]
fn a_browser_that_wants_to_refresh_itself_does_and_each_refresh_says_what_holds() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.peer(browser).session_expires = Some(seconds(90));
    let outgoing = simulation.call(browser, "100", "+15551234567");
    let incoming = simulation.incoming(trunk);
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0 trunk"));
    simulation.pass(seconds(45 * 4));
    let accepted = simulation.sent.iter().filter(|(_, to, message)| match message {
        Message::Response(response) => {
            let method = response.headers.cseq().unwrap().unwrap().method;
            *to == browser && method == Method::Update && said(&response.headers) == Some("90;refresher=uac")
        }
        Message::Request(_) => false,
    });
    assert_eq!(accepted.count(), 4);
    assert!(simulation.requests_to(browser, &Method::Update).is_empty());
    // It goes on until its browser is gone, and then not without end.
    simulation.loses = Box::new(move |peer, _| peer == browser);
    simulation.pass(seconds(87));
    assert!(!simulation.is_hung_up(trunk, incoming));
    simulation.pass(seconds(1));
    assert!(simulation.is_hung_up(trunk, incoming));
    simulation.loses = Box::new(|_, _| false);
    simulation.hang_up(browser, outgoing);
    simulation.assert_all_over();
}

#[test]
fn a_refresh_lost_with_the_browsers_connection_is_tried_again_and_the_call_goes_on() {
    let mut talk = talk_with_timer();
    let browser = talk.browser;
    talk.simulation.pass(seconds(40));
    talk.simulation.loses = Box::new(move |peer, _| peer == browser);
    talk.simulation.pass(seconds(38));
    assert_eq!(talk.updates_to_agent(), 1);
    talk.simulation.loses = Box::new(|_, _| false);
    talk.simulation.pass(seconds(5));
    assert_eq!(talk.updates_to_agent(), 2);
    talk.agent_accepts();
    talk.simulation.pass(seconds(44));
    assert!(!talk.simulation.is_hung_up(browser, talk.outgoing));
    assert!(!talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    talk.simulation.hang_up(browser, talk.outgoing);
    talk.simulation.assert_all_over();
}

#[test]
fn an_operators_hold_waits_for_a_refresh_under_way() {
    let mut talk = talk_with_timer();
    talk.simulation.pass(seconds(45));
    let (call, now) = (talk.simulation.views.last().unwrap().id.clone(), talk.simulation.now);
    talk.simulation.switchboard.handle_operator(now, Operator::Hold { call, leg: None, hold: true }).unwrap();
    talk.simulation.settle();
    assert_eq!(talk.simulation.holds(), [Hold::Local, Hold::None], "media does not wait");
    assert!(talk.simulation.requests_to(talk.browser, &Method::Invite).is_empty());
    talk.agent_accepts();
    assert_eq!(talk.simulation.requests_to(talk.browser, &Method::Invite).len(), 1);
    talk.simulation.answer_inside(talk.browser, talk.outgoing, StatusCode::OK, Some("v=0 a=inactive"));
    assert_eq!(talk.simulation.holds(), [Hold::Local, Hold::None]);
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    talk.simulation.assert_all_over();
}

#[test]
fn a_refresh_of_ours_that_crosses_the_trunks_hold_gives_way_to_it() {
    let mut carrier = carried(&[WITHOUT_UPDATE, ("Session-Expires", "600;refresher=uac")]);
    let requests = carrier.silent_for(seconds(300));
    assert_eq!(methods(&requests), [(300, "INVITE")]);
    carrier.ask(Method::Invite, 1);
    assert_eq!(carrier.last_status(), 491);
    carrier.respond(&requests[0].1, StatusCode::REQUEST_PENDING);
    carrier.ask(Method::Ack, 1);
    carrier.ask(Method::Invite, 2);
    assert_eq!(carrier.last_status(), 200);
    carrier.ask(Method::Ack, 2);
    assert!(carrier.silent_for(seconds(299)).is_empty(), "that was a refresh, too");
    assert_eq!(methods(&carrier.silent_for(seconds(2))), [(1, "INVITE")]);
}
