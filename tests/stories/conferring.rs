//! Conference: an agent has a third join it and whoever it talks to. They go on talking while it rings; whoever leaves leaves the others
//! talking, and nobody is left alone.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use media::{Command, Hold, MediaSessionId};
use sip::{Method, SessionId, StatusCode};
use switchboard::{
    CallId, CallResult, CallState, Granted, Operator, OperatorError, ParticipantState, ParticipantView,
    SwitchboardConfig, TransferTarget,
};
use testkit::{MediaScript, Simulation};

use crate::{PLAN, Talk, talk, talk_in};

/// Agent 100 and a number outside, who have asked 101 to join; or talk with it.
pub(crate) struct Three {
    pub(crate) talk: Talk,
    pub(crate) colleague: SocketAddr,
    pub(crate) asked: SessionId,
    pub(crate) call: CallId,
    /// The participant's id.
    pub(crate) third: String,
}

fn number(dialled: &str) -> TransferTarget {
    TransferTarget::Number(dialled.to_owned())
}

pub(crate) fn call_of(simulation: &Simulation) -> CallId {
    simulation.views.last().unwrap().id.clone()
}

/// An operator asks somebody to join.
pub(crate) fn add(
    simulation: &mut Simulation,
    call: &CallId,
    leg: Option<&str>,
    target: TransferTarget,
) -> Result<ParticipantView, OperatorError> {
    let operator = Operator::AddParticipant { call: call.clone(), leg: leg.map(str::to_owned), target };
    let granted = simulation.switchboard.handle_operator(simulation.now, operator);
    simulation.settle();
    granted.map(|granted| match granted {
        Granted::Participant(participant) => participant,
        other => panic!("{other:?}"),
    })
}

fn dismiss(simulation: &mut Simulation, call: &CallId, participant: &str) -> Result<Granted, OperatorError> {
    let operator = Operator::RemoveParticipant { call: call.clone(), participant: participant.to_owned() };
    let granted = simulation.switchboard.handle_operator(simulation.now, operator);
    simulation.settle();
    granted
}

pub(crate) fn asking_in(mut talk: Talk) -> Three {
    let colleague = talk.simulation.browser(2);
    talk.simulation.register(colleague, "101", 3600);
    let call = call_of(&talk.simulation);
    let third = add(&mut talk.simulation, &call, None, number("101")).unwrap();
    assert_eq!((third.party.as_str(), third.state), ("101", ParticipantState::Routing));
    let asked = talk.simulation.incoming(colleague);
    talk.simulation.answer(colleague, asked, StatusCode::RINGING, None);
    Three { talk, colleague, asked, call, third: third.id }
}

fn asking() -> Three {
    asking_in(talk())
}

pub(crate) fn three_in(talk: Talk) -> Three {
    let mut three = asking_in(talk);
    three.pick_up();
    three
}

fn three() -> Three {
    three_in(talk())
}

impl Three {
    fn pick_up(&mut self) {
        self.talk.simulation.answer(self.colleague, self.asked, StatusCode::OK, Some("v=0 colleague"));
    }

    /// The trunk's session, the agent's, the colleague's: in the order they were opened.
    fn session(&self, at: usize) -> MediaSessionId {
        let opened = self.talk.simulation.commands.iter().filter_map(|command| match command {
            Command::Open { session, .. } => Some(*session),
            _ => None,
        });
        opened.collect::<Vec<_>>()[at]
    }

    /// Whether these hear each other, and nobody else anything.
    fn assert_talking(&self, talking: &[usize]) {
        assert_talking(&self.talk.simulation, &talking.iter().map(|at| self.session(*at)).collect::<Vec<_>>());
    }

    fn participants(&self) -> Vec<ParticipantView> {
        self.talk.simulation.views.last().unwrap().participants.clone()
    }

    /// Who is in the call or was asked: party, state, why it is not there.
    fn shown(&self) -> Vec<(String, ParticipantState, Option<u16>)> {
        let participants = self.participants().into_iter();
        participants.map(|participant| (participant.party, participant.state, participant.sip_status)).collect()
    }

    /// Agent and trunk talk as if nothing had been.
    fn goes_back(mut self, status: u16) {
        self.assert_talking(&[0, 1]);
        assert_eq!(self.shown().last().unwrap().clone(), ("101".to_owned(), ParticipantState::Ended, Some(status)));
        let bridged = self.talk.simulation.commands.iter().filter(|command| matches!(command, Command::Bridge { .. }));
        assert_eq!(bridged.count(), 1, "and they were never interrupted");
        let Talk { simulation, browser, outgoing, trunk, incoming } = &mut self.talk;
        assert_eq!(simulation.views.last().unwrap().state, CallState::Connected);
        simulation.pass(Duration::from_secs(50));
        assert!(!simulation.is_hung_up(*browser, *outgoing));
        simulation.hang_up(*trunk, *incoming);
        assert!(simulation.is_hung_up(*browser, *outgoing));
        simulation.assert_all_over();
    }
}

/// Whether these sessions hear each other, and nobody else anything.
pub(crate) fn assert_talking(simulation: &Simulation, talking: &[MediaSessionId]) {
    let all: BTreeSet<MediaSessionId> = talking.iter().copied().collect();
    let joined = simulation.joined();
    assert_eq!(joined.keys().copied().collect::<BTreeSet<_>>(), all, "{joined:?}");
    for (session, heard) in joined {
        let others: BTreeSet<_> = all.iter().copied().filter(|other| *other != session).collect();
        assert_eq!(heard, others, "{session:?} hears all others");
    }
}

#[test]
fn a_third_joins_while_the_two_go_on_talking() {
    let mut three = asking();
    three.assert_talking(&[0, 1]);
    let quiet = |command: &Command| !matches!(command, Command::Ringback { .. });
    assert!(three.talk.simulation.commands.iter().all(quiet), "nobody hears it ring");
    let shown = three.shown();
    assert_eq!(shown.last().unwrap().clone(), ("101".to_owned(), ParticipantState::Ringing, None));
    assert_eq!(shown.len(), 3);
    let (_, invite) = three.talk.simulation.invites(three.colleague).pop().unwrap();
    let from = invite.headers.from().unwrap().unwrap();
    assert_eq!((from.uri.user().unwrap().as_ref(), from.display.as_deref()), ("100", Some("Agent 100")));
    assert_eq!(invite.headers.max_forwards().unwrap(), Some(68), "it is one hop more");
    three.pick_up();
    three.assert_talking(&[0, 1, 2]);
    let participants = three.participants();
    assert!(participants.iter().all(|participant| participant.state == ParticipantState::Connected));
    let view = three.talk.simulation.views.last().unwrap().clone();
    let mut legs: Vec<_> = view.legs.iter().map(|leg| leg.id.clone()).collect();
    let mut ids: Vec<_> = participants.into_iter().map(|participant| participant.id).collect();
    assert!(ids.contains(&three.third), "its leg has the id it was asked with");
    legs.sort();
    ids.sort();
    assert_eq!(legs, ids);
    assert_eq!(view.state, CallState::Connected);
    three.talk.simulation.pass(Duration::from_secs(50));
    three.talk.simulation.hang_up(three.colleague, three.asked);
    three.assert_talking(&[0, 1]);
    assert_eq!(three.shown().last().unwrap().2, Some(200));
    three.talk.simulation.hang_up(three.talk.trunk, three.talk.incoming);
    three.talk.simulation.assert_all_over();
    let record = three.talk.simulation.records[0].clone();
    assert_eq!((record.result, record.call.legs.len(), record.statistics.len()), (CallResult::Answered, 3, 3));
    assert!(record.statistics.iter().all(Option::is_some));
    assert_eq!(record.explanation, "Trunk main hung up.");
}

#[test]
fn a_third_outside_sees_the_agents_number() {
    let mut talk = talk_in(Simulation::with(PLAN, |_, directory| {
        let agents = directory.agents.values_mut();
        agents.for_each(|agent| agent.caller_id_number = Some("+493011100".to_owned()));
    }));
    let call = call_of(&talk.simulation);
    add(&mut talk.simulation, &call, None, number("+15557654321")).unwrap();
    let (asked, invite) = talk.simulation.invites(talk.trunk).pop().unwrap();
    assert_eq!(invite.uri.user().unwrap(), "+15557654321");
    assert_eq!(invite.headers.from().unwrap().unwrap().uri.user().unwrap(), "+493011100");
    // What is played before an answer is not heard either.
    talk.simulation.answer(talk.trunk, asked, StatusCode::SESSION_PROGRESS, Some("v=0 early"));
    assert_eq!(talk.simulation.joined().len(), 2);
    // Without a description of its own the 200 stands for the one before.
    talk.simulation.answer(talk.trunk, asked, StatusCode::OK, Some("v=0 early"));
    assert_eq!(talk.simulation.joined().len(), 3);
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    assert!(!talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    assert_eq!(talk.simulation.joined().len(), 2);
    talk.simulation.hang_up(talk.trunk, asked);
    assert!(talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    talk.simulation.assert_all_over();
}

#[test]
fn a_third_that_does_not_come_leaves_the_two_talking() {
    for status in [486, 603, 480, 404, 500, 600] {
        let mut three = asking();
        let (colleague, asked) = (three.colleague, three.asked);
        three.talk.simulation.answer(colleague, asked, StatusCode::new(status).unwrap(), None);
        three.goes_back(status);
    }
}

#[test]
fn a_third_that_never_answers_is_not_waited_for_for_ever() {
    let mut three = asking();
    three.talk.simulation.pass(Duration::from_secs(31));
    assert!(three.talk.simulation.is_cancelled(three.colleague, three.asked));
    three.goes_back(480);
}

#[test]
fn a_third_whose_media_cannot_be_used_leaves_the_two_talking() {
    for (script, status) in [(MediaScript::RejectsAnswers, 488), (MediaScript::Mute, 500)] {
        let mut three = asking();
        three.talk.simulation.script = script;
        three.pick_up();
        three.talk.simulation.pass(Duration::from_secs(6));
        assert!(three.talk.simulation.is_hung_up(three.colleague, three.asked));
        three.talk.simulation.script = MediaScript::Works;
        three.goes_back(status);
    }
}

#[test]
fn who_cannot_be_called_is_told_of_at_once() {
    for (target, status) in [("103", 480), ("777", 404), ("9196", 488)] {
        let mut talk = talk();
        let call = call_of(&talk.simulation);
        let ended = add(&mut talk.simulation, &call, None, number(target)).unwrap();
        assert_eq!((ended.state, ended.sip_status), (ParticipantState::Ended, Some(status)), "{target}");
        assert_eq!(talk.simulation.joined().len(), 2);
        // And another may be asked.
        assert!(add(&mut talk.simulation, &call, None, number(target)).is_ok());
        talk.simulation.hang_up(talk.browser, talk.outgoing);
        talk.simulation.assert_all_over();
    }
}

#[test]
fn whoever_of_three_leaves_the_two_others_talk_on() {
    for (leaves, stay) in [(0, [1, 2]), (1, [0, 2]), (2, [0, 1])] {
        let mut three = three();
        let of = [
            (three.talk.trunk, three.talk.incoming),
            (three.talk.browser, three.talk.outgoing),
            (three.colleague, three.asked),
        ];
        let (peer, session) = of[leaves];
        three.talk.simulation.hang_up(peer, session);
        three.assert_talking(&stay);
        three.talk.simulation.pass(Duration::from_secs(50));
        for at in stay {
            assert!(!three.talk.simulation.is_hung_up(of[at].0, of[at].1));
        }
        // As two of any call: one leaves, and the other is told.
        three.talk.simulation.hang_up(of[stay[0]].0, of[stay[0]].1);
        assert!(three.talk.simulation.is_hung_up(of[stay[1]].0, of[stay[1]].1));
        three.talk.simulation.assert_all_over();
        assert_eq!(three.talk.simulation.records.len(), 1);
    }
}

#[test]
fn whoever_is_not_there_any_more_leaves_the_two_others_talking() {
    // No media; media failed; a session timer or a lost dialog; a connection that does not come back.
    for how in 0..4 {
        let mut three = three();
        let (now, session) = (three.talk.simulation.now, three.session(1));
        let shard = switchboard::ShardIndex(0);
        match how {
            0 => three.talk.simulation.switchboard.handle_media(now, shard, media::Event::Silent { session }),
            1 => {
                let event = media::Event::Failed { session, reason: "DTLS".to_owned() };
                three.talk.simulation.switchboard.handle_media(now, shard, event);
            }
            2 => {
                // It answers our re-INVITE as if it had never known the call.
                let operator = Operator::Hold { call: three.call.clone(), leg: None, hold: true };
                three.talk.simulation.switchboard.handle_operator(now, operator).unwrap();
                three.talk.simulation.settle();
                let status = StatusCode::CALL_DOES_NOT_EXIST;
                three.talk.simulation.answer_inside(three.talk.browser, three.talk.outgoing, status, None);
            }
            _ => {
                three.talk.simulation.disconnect(three.talk.browser);
                three.assert_talking(&[0, 1, 2]);
                three.talk.simulation.pass(Duration::from_secs(31));
            }
        }
        three.talk.simulation.settle();
        three.assert_talking(&[0, 2]);
        if how < 2 {
            assert!(three.talk.simulation.is_hung_up(three.talk.browser, three.talk.outgoing));
        }
        three.talk.simulation.hang_up(three.colleague, three.asked);
        assert!(three.talk.simulation.is_hung_up(three.talk.trunk, three.talk.incoming));
        three.talk.simulation.assert_all_over();
    }
}

#[test]
fn when_only_one_is_left_while_it_rings_the_call_is_over() {
    for trunk_leaves in [true, false] {
        let mut three = asking();
        let (colleague, asked) = (three.colleague, three.asked);
        let Talk { simulation, browser, outgoing, trunk, incoming } = &mut three.talk;
        let (leaves, stays) = ((*trunk, *incoming), (*browser, *outgoing));
        let (leaves, stays) = if trunk_leaves { (leaves, stays) } else { (stays, leaves) };
        simulation.hang_up(leaves.0, leaves.1);
        assert!(simulation.is_hung_up(stays.0, stays.1));
        assert!(simulation.is_cancelled(colleague, asked));
        simulation.assert_all_over();
        let ended = simulation.records[0].call.participants.last().unwrap().clone();
        assert_eq!((ended.state, ended.sip_status), (ParticipantState::Ended, Some(487)));
    }
}

#[test]
fn the_third_answers_in_the_moment_another_hangs_up() {
    for answer_first in [true, false] {
        let mut three = asking();
        three.talk.simulation.script = MediaScript::Slow;
        let now = three.talk.simulation.now;
        let answer = three.talk.simulation.peer(three.colleague).draft(StatusCode::OK, Some("v=0 colleague"));
        three.talk.simulation.peer(three.colleague).endpoint.accept(now, three.asked, answer);
        if answer_first {
            three.talk.simulation.settle();
            three.talk.simulation.shards_catch_up();
        }
        three.talk.simulation.peer(three.talk.trunk).endpoint.bye(now, three.talk.incoming, None);
        three.talk.simulation.settle();
        three.talk.simulation.shards_catch_up();
        if answer_first {
            three.assert_talking(&[1, 2]);
            three.talk.simulation.hang_up(three.talk.browser, three.talk.outgoing);
        }
        assert!(three.talk.simulation.is_hung_up(three.colleague, three.asked));
        assert!(answer_first || three.talk.simulation.is_hung_up(three.talk.browser, three.talk.outgoing));
        three.talk.simulation.assert_all_over();
    }
}

#[test]
fn a_participant_is_let_go_whether_it_rings_or_talks() {
    let mut three = asking();
    assert_eq!(dismiss(&mut three.talk.simulation, &three.call, &three.third), Ok(Granted::Done));
    assert!(three.talk.simulation.is_cancelled(three.colleague, three.asked));
    let again = dismiss(&mut three.talk.simulation, &three.call, &three.third);
    assert_eq!(again, Err(OperatorError::UnknownParticipant));
    three.goes_back(487);

    let mut three = self::three();
    assert_eq!(dismiss(&mut three.talk.simulation, &three.call, &three.third), Ok(Granted::Done));
    assert!(three.talk.simulation.is_hung_up(three.colleague, three.asked));
    three.assert_talking(&[0, 1]);
    // One of two, and the call is over.
    let agent = three.participants()[0].id.clone();
    assert_eq!(dismiss(&mut three.talk.simulation, &three.call, &agent), Ok(Granted::Done));
    assert!(three.talk.simulation.is_hung_up(three.talk.trunk, three.talk.incoming));
    three.talk.simulation.assert_all_over();
    let gone = dismiss(&mut three.talk.simulation, &three.call, &agent);
    assert_eq!(gone, Err(OperatorError::UnknownCall));
}

#[test]
fn a_participant_is_let_go_in_the_moment_it_answers() {
    let mut three = asking();
    let now = three.talk.simulation.now;
    let answer = three.talk.simulation.peer(three.colleague).draft(StatusCode::OK, Some("v=0 colleague"));
    three.talk.simulation.peer(three.colleague).endpoint.accept(now, three.asked, answer);
    // Its 200 and our CANCEL cross: it is hung up on.
    assert_eq!(dismiss(&mut three.talk.simulation, &three.call, &three.third), Ok(Granted::Done));
    assert!(three.talk.simulation.is_hung_up(three.colleague, three.asked));
    three.goes_back(487);
}

#[test]
fn one_is_asked_after_another_and_no_more_than_may_be() {
    let mut three = three_in(talk_in(Simulation::with(PLAN, |config: &mut SwitchboardConfig, _| {
        config.max_participants = 4;
    })));
    let (fourth, fifth) = (three.talk.simulation.browser(3), three.talk.simulation.browser(4));
    three.talk.simulation.register(fourth, "102", 3600);
    three.talk.simulation.register(fifth, "103", 3600);
    let call = three.call.clone();
    add(&mut three.talk.simulation, &call, None, TransferTarget::Extension("102".to_owned())).unwrap();
    let at_once = add(&mut three.talk.simulation, &call, None, number("103"));
    assert_eq!(at_once, Err(OperatorError::Changing), "one at a time");
    let asked = three.talk.simulation.incoming(fourth);
    three.talk.simulation.answer(fourth, asked, StatusCode::OK, Some("v=0 fourth"));
    three.assert_talking(&[0, 1, 2, 3]);
    assert_eq!(add(&mut three.talk.simulation, &call, None, number("103")), Err(OperatorError::Full));
    three.talk.simulation.hang_up(fourth, asked);
    three.assert_talking(&[0, 1, 2]);
    assert!(add(&mut three.talk.simulation, &call, None, number("103")).is_ok());
    // All leave at once.
    let now = three.talk.simulation.now;
    let (browser, outgoing) = (three.talk.browser, three.talk.outgoing);
    for (peer, session) in
        [(three.talk.trunk, three.talk.incoming), (browser, outgoing), (three.colleague, three.asked)]
    {
        three.talk.simulation.peer(peer).endpoint.bye(now, session, None);
    }
    three.talk.simulation.settle();
    let last = three.talk.simulation.incoming(fifth);
    assert!(three.talk.simulation.is_cancelled(fifth, last));
    three.talk.simulation.assert_all_over();
    assert_eq!(three.talk.simulation.records.len(), 1);
}

#[test]
fn who_may_not_ask_is_told_why() {
    let mut talk = talk();
    let call = call_of(&talk.simulation);
    let none = CallId("call_none".to_owned());
    let to = || number("101");
    assert_eq!(add(&mut talk.simulation, &none, None, to()), Err(OperatorError::UnknownCall));
    assert_eq!(add(&mut talk.simulation, &call, Some("leg_none"), to()), Err(OperatorError::UnknownLeg));
    let trunk = talk.simulation.views.last().unwrap().legs[1].id.clone();
    assert_eq!(
        add(&mut talk.simulation, &call, Some(&trunk), to()),
        Err(OperatorError::UnknownLeg),
        "it is no agent's"
    );
    let other = TransferTarget::Call(none);
    assert_eq!(add(&mut talk.simulation, &call, None, other), Err(OperatorError::UnknownTarget));
    assert_eq!(dismiss(&mut talk.simulation, &call, "leg_none"), Err(OperatorError::UnknownParticipant));
    // It is being transferred.
    let colleague = talk.simulation.browser(2);
    talk.simulation.register(colleague, "101", 3600);
    talk.simulation.refer(talk.browser, talk.outgoing, "<sip:101@x>");
    assert_eq!(add(&mut talk.simulation, &call, None, to()), Err(OperatorError::Transferring));
    assert_eq!(dismiss(&mut talk.simulation, &call, &trunk), Err(OperatorError::Transferring));
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    // Before an answer, and in the echo test, nobody can join.
    let ringing = talk.simulation.call(talk.browser, "100", "101");
    let call = call_of(&talk.simulation);
    assert_eq!(add(&mut talk.simulation, &call, None, to()), Err(OperatorError::NotConnected));
    let now = talk.simulation.now;
    talk.simulation.peer(talk.browser).endpoint.cancel(now, ringing, None);
    talk.simulation.settle();
    let echo = talk.simulation.call(talk.browser, "100", "9196");
    let call = call_of(&talk.simulation);
    assert_eq!(add(&mut talk.simulation, &call, None, to()), Err(OperatorError::Alone));
    talk.simulation.hang_up(talk.browser, echo);
    talk.simulation.assert_all_over();
}

#[test]
fn a_call_that_asks_for_ever_ends_asking_like_any_loop() {
    let mut talk = talk();
    let call = call_of(&talk.simulation);
    for _ in 0..69 {
        let ended = add(&mut talk.simulation, &call, None, number("777")).unwrap();
        assert_eq!(ended.sip_status, Some(404));
    }
    assert_eq!(add(&mut talk.simulation, &call, None, number("777")).unwrap().sip_status, Some(483));
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    talk.simulation.assert_all_over();
}

#[test]
fn a_member_holds_and_resumes_while_the_others_go_on() {
    let mut three = three();
    three.talk.simulation.reinvite(three.talk.browser, three.talk.outgoing, Some("v=0 a=sendonly"));
    let held = |three: &Three| three.participants().iter().map(|it| it.media.hold).collect::<Vec<_>>();
    assert_eq!(held(&three), [Hold::Remote, Hold::None, Hold::None]);
    three.assert_talking(&[0, 1, 2]);
    three.talk.simulation.reinvite(three.talk.browser, three.talk.outgoing, Some("v=0 a=sendrecv"));
    assert_eq!(held(&three), [Hold::None, Hold::None, Hold::None]);
    // By REST, of the colleague's leg.
    let operator = |hold| Operator::Hold { call: three.call.clone(), leg: Some(three.third.clone()), hold };
    let now = three.talk.simulation.now;
    let (hold, resume) = (operator(true), operator(false));
    three.talk.simulation.switchboard.handle_operator(now, hold).unwrap();
    three.talk.simulation.settle();
    assert_eq!(held(&three), [Hold::None, Hold::None, Hold::Local]);
    let reinvite = three.talk.simulation.asked(three.colleague, three.asked);
    assert_eq!(reinvite.len(), 1, "its phone is told");
    three.talk.simulation.answer_inside(three.colleague, three.asked, StatusCode::OK, Some("v=0 a=inactive"));
    three.talk.simulation.switchboard.handle_operator(now, resume).unwrap();
    three.talk.simulation.settle();
    assert_eq!(held(&three), [Hold::None, Hold::None, Hold::None]);
    three.talk.simulation.answer_inside(three.colleague, three.asked, StatusCode::OK, Some("v=0 colleague"));
    three.talk.simulation.hang_up(three.talk.browser, three.talk.outgoing);
    three.talk.simulation.hang_up(three.colleague, three.asked);
    three.talk.simulation.assert_all_over();
}

#[test]
fn a_digit_of_one_goes_to_every_other_that_wants_info() {
    let mut three = three_in(talk_in(Simulation::with(PLAN, |_, directory| {
        directory.trunks.values_mut().for_each(|trunk| trunk.media.dtmf = media::Dtmf::Info);
    })));
    let digit = "Content-Type: application/dtmf-relay\r\n";
    let Talk { simulation, browser, outgoing, trunk, .. } = &mut three.talk;
    simulation.request_inside(*browser, *outgoing, "INFO", 10, digit, "Signal=5\r\nDuration=160\r\n");
    assert_eq!(simulation.requests_to(*trunk, &Method::Info).len(), 1);
    // An operator dials to one leg alone.
    let leg = Some(three.third.clone());
    let (digits, duration) = ("1".to_owned(), Duration::from_millis(100));
    let operator = Operator::SendDigits { call: three.call.clone(), leg, digits, duration };
    simulation.switchboard.handle_operator(simulation.now, operator).unwrap();
    simulation.settle();
    let dialled = simulation.commands.iter().rev().find_map(|command| match command {
        Command::SendDigits { session, .. } => Some(*session),
        _ => None,
    });
    assert_eq!(dialled, Some(three.session(2)));
    assert_eq!(three.talk.simulation.requests_to(three.talk.trunk, &Method::Info).len(), 1);
    three.talk.simulation.hang_up(three.talk.trunk, three.talk.incoming);
    three.talk.simulation.hang_up(three.colleague, three.asked);
    three.talk.simulation.assert_all_over();
}
