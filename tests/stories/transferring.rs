//! Blind transfer: an agent hands on whoever it talks to, by REFER or by an operator's hand, and whatever goes wrong, the people who
//! were talking are not stranded.

use std::net::SocketAddr;
use std::time::Duration;

use media::{Command, Hold, MediaSessionId};
use sip::{Message, Method, SessionId, StatusCode};
use switchboard::{
    CallResult, CallState, Operator, OperatorError, SwitchboardConfig, TransferMode, TransferStatus, TransferTarget,
};
use testkit::Simulation;

use crate::{PLAN, Talk, talk, talk_in};

pub(crate) const TO_COLLEAGUE: &str = "<sip:101@phone.example.com>";

/// What the transferor was told, without the states.
pub(crate) fn told(simulation: &mut Simulation, peer: SocketAddr) -> Vec<u16> {
    simulation.reports(peer).into_iter().map(|(_, _, status)| status).collect()
}

/// Agent 100 talks to a number over a trunk, and 101 is there.
pub(crate) fn with_colleague() -> (Talk, SocketAddr) {
    let mut talk = talk();
    let colleague = talk.simulation.browser(2);
    talk.simulation.register(colleague, "101", 3600);
    (talk, colleague)
}

/// As [`with_colleague`], and 101 is being asked.
pub(crate) fn ringing() -> (Talk, SocketAddr, SessionId) {
    let (mut talk, colleague) = with_colleague();
    let accepted = talk.simulation.refer(talk.browser, talk.outgoing, TO_COLLEAGUE);
    assert_eq!(accepted, StatusCode::ACCEPTED);
    let asked = talk.simulation.incoming(colleague);
    talk.simulation.answer(colleague, asked, StatusCode::RINGING, None);
    (talk, colleague, asked)
}

impl Talk {
    pub(crate) fn pick_up(&mut self, colleague: SocketAddr, asked: SessionId) {
        self.simulation.answer(colleague, asked, StatusCode::OK, Some("v=0 colleague"));
    }

    /// Who hears whom, by the latest command about it.
    pub(crate) fn joined(&self) -> Option<(MediaSessionId, MediaSessionId)> {
        self.simulation.commands.iter().rev().find_map(|command| match command {
            Command::Bridge { a, b } => Some((*a, *b)),
            _ => None,
        })
    }

    pub(crate) fn session_of(&self, at: usize) -> MediaSessionId {
        self.sessions()[at]
    }

    fn sessions(&self) -> Vec<MediaSessionId> {
        let opened = self.simulation.commands.iter().filter_map(|command| match command {
            Command::Open { session, .. } => Some(*session),
            _ => None,
        });
        opened.collect()
    }

    /// The trunk and the colleague talk, the agent is out of it.
    pub(crate) fn ends_handed_on(mut self, colleague: SocketAddr, asked: SessionId) {
        // The trunk's leg was opened first, the agent's second, the colleague's last.
        assert_eq!(self.joined(), Some((self.session_of(0), *self.sessions().last().unwrap())));
        let shown = self.simulation.views.last().unwrap().clone();
        assert_eq!(shown.state, CallState::Connected);
        assert_eq!(shown.transfers.last().unwrap().status, TransferStatus::Succeeded);
        assert!(!self.simulation.is_hung_up(self.trunk, self.incoming));
        assert!(!self.simulation.is_hung_up(colleague, asked));
        self.simulation.pass(Duration::from_secs(50));
        assert!(!self.simulation.is_hung_up(self.trunk, self.incoming), "nor later");
        self.simulation.hang_up(colleague, asked);
        assert!(self.simulation.is_hung_up(self.trunk, self.incoming));
        self.simulation.assert_all_over();
        assert_eq!(self.simulation.records.len(), 1);
        assert_eq!(self.simulation.records[0].result, CallResult::Answered);
    }

    /// Agent and trunk talk as before.
    pub(crate) fn goes_back(mut self) {
        assert_eq!(self.joined(), Some((self.session_of(1), self.session_of(0))));
        assert_eq!(self.simulation.views.last().unwrap().state, CallState::Connected);
        self.simulation.pass(Duration::from_secs(50));
        assert!(!self.simulation.is_hung_up(self.browser, self.outgoing));
        assert!(!self.simulation.is_hung_up(self.trunk, self.incoming));
        self.simulation.hang_up(self.trunk, self.incoming);
        assert!(self.simulation.is_hung_up(self.browser, self.outgoing));
        self.simulation.assert_all_over();
    }
}

#[test]
fn the_agent_hands_its_caller_on_and_is_told_step_by_step() {
    let (mut talk, colleague, asked) = ringing();
    let heard = talk.simulation.commands.iter().any(|command| matches!(command, Command::Ringback { .. }));
    assert!(heard, "who is handed on hears it ring");
    talk.pick_up(colleague, asked);
    let reports = talk.simulation.reports(talk.browser);
    let report = |state: &str, status| ("refer;id=2".to_owned(), state.to_owned(), status);
    assert_eq!(reports, [report("active", 100), report("active", 180), report("terminated", 200)]);
    let last = talk.simulation.requests_to(talk.browser, &Method::Notify).pop().unwrap();
    assert_eq!(last.headers.get("Subscription-State"), Some("terminated;reason=noresource"));
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing), "its part is done");
    let (_, invite) = talk.simulation.invites(colleague).pop().unwrap();
    assert_eq!(invite.headers.get("Referred-By"), Some("<sip:100@phone.example.com>"));
    let shown = invite.headers.from().unwrap().unwrap().uri.clone();
    assert_eq!(shown.user().unwrap(), "+15551234567", "the colleague sees who is handed on");
    talk.ends_handed_on(colleague, asked);
}

#[test]
fn a_caller_from_outside_is_handed_on_by_who_answered() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk, colleague) = (simulation.browser(1), simulation.gateway(1), simulation.browser(2));
    simulation.register(browser, "100", 3600);
    simulation.register(colleague, "101", 3600);
    let now = simulation.now;
    let (from, to) = ("\"Jane\" <sip:+15550001111@x.example>", "sip:+493011100@203.0.113.1");
    let from = from.trim_start_matches("\"Jane\" ").trim_matches(['<', '>']);
    let caller = simulation.peer(trunk).invite(now, from, to, Some("v=0 trunk"), None);
    simulation.settle();
    let agent = simulation.incoming(browser);
    simulation.answer(browser, agent, StatusCode::OK, Some("v=0 agent"));
    assert_eq!(simulation.refer(browser, agent, "<sip:%31%30%31@phone.example.com?X=y>"), StatusCode::ACCEPTED);
    let asked = simulation.incoming(colleague);
    let (_, invite) = simulation.invites(colleague).pop().unwrap();
    assert_eq!(invite.headers.from().unwrap().unwrap().uri.user().unwrap(), "+15550001111");
    simulation.answer(colleague, asked, StatusCode::OK, Some("v=0 colleague"));
    assert!(simulation.is_hung_up(browser, agent));
    simulation.hang_up(trunk, caller);
    assert!(simulation.is_hung_up(colleague, asked));
    simulation.assert_all_over();
    assert_eq!(simulation.records.len(), 1);
}

#[test]
fn to_a_number_outside_its_early_media_is_heard_and_the_agents_number_shown() {
    let mut talk = talk_in(Simulation::with(PLAN, |_, directory| {
        let agents = directory.agents.values_mut();
        agents.for_each(|agent| agent.caller_id_number = Some("+493011100".to_owned()));
    }));
    let refer_to = "<sip:+15557654321@phone.example.com>";
    assert_eq!(talk.simulation.refer(talk.browser, talk.outgoing, refer_to), StatusCode::ACCEPTED);
    let asked = talk.simulation.incoming(talk.trunk);
    let (_, invite) = talk.simulation.invites(talk.trunk).pop().unwrap();
    assert_eq!(invite.uri.user().unwrap(), "+15557654321");
    assert_eq!(invite.headers.from().unwrap().unwrap().uri.user().unwrap(), "+493011100");
    talk.simulation.answer(talk.trunk, asked, StatusCode::SESSION_PROGRESS, Some("v=0 early"));
    assert_eq!(talk.joined(), Some((talk.session_of(0), talk.session_of(2))));
    talk.simulation.answer(talk.trunk, asked, StatusCode::OK, Some("v=0 early"));
    assert_eq!(told(&mut talk.simulation, talk.browser), [100, 183, 200]);
    let trunk = talk.trunk;
    talk.ends_handed_on(trunk, asked);
}

#[test]
fn to_the_echo_test() {
    let mut talk = talk();
    assert_eq!(talk.simulation.refer(talk.browser, talk.outgoing, "<sip:9196@x>"), StatusCode::ACCEPTED);
    assert_eq!(told(&mut talk.simulation, talk.browser), [100, 200]);
    let trunk = talk.session_of(0);
    assert!(
        talk.simulation
            .commands
            .iter()
            .any(|command| matches!(command, Command::Echo { session } if *session == trunk))
    );
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    // Nobody is there to be handed on any further.
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    talk.simulation.assert_all_over();
}

#[test]
fn a_target_that_does_not_take_the_call_gives_it_back() {
    for (status, told_last) in [(486, 486), (603, 603), (480, 480), (404, 404), (500, 500), (600, 600), (302, 480)] {
        let (mut talk, colleague, asked) = ringing();
        talk.simulation.answer(colleague, asked, StatusCode::new(status).unwrap(), None);
        assert_eq!(told(&mut talk.simulation, talk.browser), [100, 180, told_last]);
        let shown = talk.simulation.views.last().unwrap().transfers.last().unwrap().clone();
        assert_eq!((shown.status, shown.sip_status), (TransferStatus::Failed, Some(told_last)));
        talk.goes_back();
    }
}

#[test]
fn a_target_that_is_not_there_gives_it_back_at_once() {
    for (refer_to, status) in [("<sip:103@x>", 480), ("<sip:777@x>", 404)] {
        let mut talk = talk();
        assert_eq!(talk.simulation.refer(talk.browser, talk.outgoing, refer_to), StatusCode::ACCEPTED);
        assert_eq!(told(&mut talk.simulation, talk.browser), [100, status]);
        talk.goes_back();
    }
}

#[test]
fn a_target_that_never_answers_gives_it_back_when_its_time_is_over() {
    let (mut talk, colleague, asked) = ringing();
    talk.simulation.pass(Duration::from_secs(61));
    assert!(talk.simulation.is_cancelled(colleague, asked));
    assert_eq!(told(&mut talk.simulation, talk.browser), [100, 180, 480]);
    talk.goes_back();
}

#[test]
fn a_held_caller_comes_back_held() {
    let (mut talk, colleague) = with_colleague();
    talk.simulation.reinvite(talk.browser, talk.outgoing, Some("v=0 a=sendonly"));
    talk.simulation.refer(talk.browser, talk.outgoing, TO_COLLEAGUE);
    let asked = talk.simulation.incoming(colleague);
    talk.simulation.answer(colleague, asked, StatusCode::RINGING, None);
    talk.simulation.answer(colleague, asked, StatusCode::BUSY_HERE, None);
    assert_eq!(talk.simulation.holds()[0], Hold::Remote);
    talk.simulation.reinvite(talk.browser, talk.outgoing, Some("v=0 a=sendrecv"));
    assert_eq!(talk.simulation.holds()[0], Hold::None);
    talk.goes_back();
}

#[test]
fn either_side_holds_and_resumes_while_the_target_rings() {
    let (mut talk, colleague, asked) = ringing();
    talk.simulation.reinvite(talk.browser, talk.outgoing, Some("v=0 a=sendonly"));
    talk.simulation.reinvite(talk.trunk, talk.incoming, Some("v=0 a=sendonly"));
    assert_eq!(talk.simulation.holds()[..2], [Hold::Remote, Hold::Remote]);
    talk.simulation.reinvite(talk.trunk, talk.incoming, Some("v=0 a=sendrecv"));
    talk.pick_up(colleague, asked);
    assert_eq!(talk.simulation.holds()[1], Hold::None);
    talk.ends_handed_on(colleague, asked);
}

#[test]
fn a_refer_that_asks_for_nothing_we_do_is_refused_and_the_call_goes_on() {
    let mut talk = talk();
    for (refer_to, status) in [
        ("nonsense", 400),
        ("<sip:101@x>, <sip:102@x>", 400),
        ("<sip:only.a.host>", 400),
        ("<mailto:bob@example.com>", 416),
        ("<sip:101@x;method=BYE>", 501),
    ] {
        assert_eq!(talk.simulation.refer(talk.browser, talk.outgoing, refer_to).code(), status, "{refer_to}");
    }
    assert_eq!(talk.simulation.refer(talk.trunk, talk.incoming, TO_COLLEAGUE), StatusCode::FORBIDDEN);
    assert!(talk.simulation.reports(talk.browser).is_empty() && talk.simulation.reports(talk.trunk).is_empty());
    assert!(talk.simulation.views.last().unwrap().transfers.is_empty());
    talk.goes_back();
}

#[test]
fn a_refer_outside_a_call_is_forbidden_and_the_echo_test_has_nobody_to_hand_on() {
    let mut simulation = Simulation::new(PLAN);
    let browser = simulation.browser(1);
    simulation.register(browser, "100", 3600);
    let echo = simulation.call(browser, "100", "9196");
    assert_eq!(simulation.refer(browser, echo, TO_COLLEAGUE), StatusCode::DECLINE);
    simulation.hang_up(browser, echo);
    let now = simulation.now;
    let refer = |authorization: Option<String>| {
        let line = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
        let branch = line.len();
        format!(
            "REFER sip:101@phone.example.com SIP/2.0\r\nVia: SIP/2.0/WSS b.invalid;branch=z9hG4bKr{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:100@phone.example.com>;tag=x\r\nTo: <sip:101@phone.example.com>\r\nCall-ID: r\r\n\
             CSeq: {} REFER\r\nRefer-To: {TO_COLLEAGUE}\r\n{line}Content-Length: 0\r\n\r\n",
            branch + 1
        )
    };
    let flow = simulation.peer(browser).from_switchboard;
    simulation.switchboard.handle_message(now, flow, refer(None).as_bytes());
    simulation.settle();
    let answer = |simulation: &Simulation| {
        let answered = simulation.sent.iter().rev().find_map(|(_, to, message)| match message {
            Message::Response(response) if *to == browser => Some(response.clone()),
            _ => None,
        });
        answered.unwrap()
    };
    let challenge = answer(&simulation);
    assert_eq!(challenge.status, StatusCode::UNAUTHORIZED);
    let uri = sip::Uri::parse("sip:101@phone.example.com").unwrap();
    let peer = simulation.peer(browser);
    let proof = peer.credentials("100", "secret-100", &Method::Refer, &uri, &challenge, "WWW-Authenticate");
    simulation.switchboard.handle_message(now, flow, refer(Some(proof)).as_bytes());
    simulation.settle();
    assert_eq!(answer(&simulation).status, StatusCode::FORBIDDEN);
    simulation.assert_all_over();
}

#[test]
fn a_call_that_is_handed_on_for_ever_ends_like_any_loop() {
    let mut talk = talk_in(Simulation::with(PLAN, |config: &mut SwitchboardConfig, _| {
        config.silence_timeout = Duration::ZERO;
    }));
    let mut tried = 0;
    loop {
        assert_eq!(talk.simulation.refer(talk.browser, talk.outgoing, "<sip:777@x>"), StatusCode::ACCEPTED);
        match told(&mut talk.simulation, talk.browser).pop() {
            Some(404) => tried += 1,
            last => break assert_eq!(last, Some(483)),
        }
        assert!(tried < 100, "for ever");
    }
    assert_eq!(tried, 69);
    talk.goes_back();
}

#[test]
fn an_operator_transfers_and_the_agent_is_hung_up_on() {
    let (mut talk, colleague) = with_colleague();
    let call = talk.simulation.views.last().unwrap().id.clone();
    let transfer = |target: TransferTarget, leg: Option<&str>| Operator::Transfer {
        call: call.clone(),
        mode: TransferMode::Blind,
        leg: leg.map(str::to_owned),
        target,
    };
    let now = talk.simulation.now;
    let to_101 = || TransferTarget::Extension("101".to_owned());
    let nobody = talk.simulation.switchboard.handle_operator(now, transfer(to_101(), Some("leg_none")));
    assert_eq!(nobody, Err(OperatorError::UnknownLeg));
    let trunk = talk.simulation.views.last().unwrap().legs[1].id.clone();
    let not_its_own = talk.simulation.switchboard.handle_operator(now, transfer(to_101(), Some(&trunk)));
    assert_eq!(not_its_own, Err(OperatorError::NobodyToTransfer));
    talk.simulation.switchboard.handle_operator(now, transfer(to_101(), None)).unwrap();
    talk.simulation.settle();
    let again = talk.simulation.switchboard.handle_operator(now, transfer(to_101(), None));
    assert_eq!(again, Err(OperatorError::Transferring));
    let asked = talk.simulation.incoming(colleague);
    talk.simulation.answer(colleague, asked, StatusCode::BUSY_HERE, None);
    let number = TransferTarget::Number("101".to_owned());
    talk.simulation.switchboard.handle_operator(now, transfer(number, None)).unwrap();
    talk.simulation.settle();
    let asked = talk.simulation.incoming(colleague);
    talk.pick_up(colleague, asked);
    assert!(talk.simulation.reports(talk.browser).is_empty(), "it did not ask");
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    let shown = talk.simulation.views.last().unwrap().transfers.clone();
    let of = |at: usize| (shown[at].mode, shown[at].target.as_str(), shown[at].status, shown[at].sip_status);
    assert_eq!(of(0), (TransferMode::Blind, "101", TransferStatus::Failed, Some(486)));
    assert_eq!(of(1), (TransferMode::Blind, "101", TransferStatus::Succeeded, Some(200)));
    // The refused leg was opened before the one that took the call.
    assert_eq!(talk.joined(), Some((talk.session_of(0), talk.session_of(3))));
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    talk.simulation.assert_all_over();
}
