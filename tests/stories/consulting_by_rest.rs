//! A consultation by REST: the gateway calls whom an agent wants to ask, while its caller hears music; then the two others talk, or the
//! agent has its caller back. Whoever leaves when, nobody is stranded.

use std::net::SocketAddr;
use std::time::Duration;

use media::{Command, Hold, MediaSessionId};
use sip::{Method, SessionId, StatusCode};
use switchboard::{
    CallResult, CallState, Granted, Operator, OperatorError, TransferMode, TransferStatus, TransferTarget, TransferView,
};
use testkit::Simulation;

use crate::transferring::with_colleague;
use crate::{PLAN, Talk, talk_in};

/// Agent 100 talks to a number over the trunk, which hears music while the agent asks 101.
pub(crate) struct Asking {
    pub(crate) talk: Talk,
    pub(crate) colleague: SocketAddr,
    pub(crate) asked: SessionId,
    pub(crate) transfer: String,
}

pub(crate) fn consult(talk: &mut Talk, target: TransferTarget) -> Result<TransferView, OperatorError> {
    let call = talk.simulation.views.last().unwrap().id.clone();
    let operator = Operator::Transfer { call, mode: TransferMode::Attended, leg: None, target };
    let granted = talk.simulation.switchboard.handle_operator(talk.simulation.now, operator)?;
    talk.simulation.settle();
    let Granted::Transfer(view) = granted else { panic!("no transfer") };
    Ok(view)
}

pub(crate) fn to_colleague() -> TransferTarget {
    TransferTarget::Extension("101".to_owned())
}

/// 101's phone is called, and says nothing yet.
pub(crate) fn called_in(mut talk: Talk, colleague: SocketAddr) -> Asking {
    let transfer = consult(&mut talk, to_colleague()).unwrap().id;
    let asked = talk.simulation.incoming(colleague);
    Asking { talk, colleague, asked, transfer }
}

pub(crate) fn called() -> Asking {
    let (talk, colleague) = with_colleague();
    called_in(talk, colleague)
}

/// 101 rings.
pub(crate) fn ringing() -> Asking {
    let mut asking = called();
    asking.talk.simulation.answer(asking.colleague, asking.asked, StatusCode::RINGING, None);
    asking
}

/// 101 has answered, and the agent talks to it.
pub(crate) fn consulting() -> Asking {
    let mut asking = ringing();
    asking.pick_up();
    assert_eq!(asking.status(), TransferStatus::Consulting);
    asking
}

/// Who hears what, by the latest command about each session.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Hears {
    Nothing,
    Party(usize),
    Itself,
    Music,
    Ringback,
}

/// The trunk's media session, the agent's, the target's, in the order they were opened.
pub(crate) const TRUNK: usize = 0;
pub(crate) const AGENT: usize = 1;
pub(crate) const TARGET: usize = 2;

impl Asking {
    pub(crate) fn settle(&mut self, operator: Operator) -> Result<TransferView, OperatorError> {
        let granted = self.talk.simulation.switchboard.handle_operator(self.talk.simulation.now, operator)?;
        self.talk.simulation.settle();
        let Granted::Transfer(view) = granted else { panic!("no transfer") };
        Ok(view)
    }

    pub(crate) fn complete(&mut self) -> Result<TransferView, OperatorError> {
        let (call, transfer) = (self.talk.simulation.views.last().unwrap().id.clone(), self.transfer.clone());
        self.settle(Operator::CompleteTransfer { call, transfer })
    }

    pub(crate) fn cancel(&mut self) -> Result<TransferView, OperatorError> {
        let (call, transfer) = (self.talk.simulation.views.last().unwrap().id.clone(), self.transfer.clone());
        self.settle(Operator::CancelTransfer { call, transfer })
    }

    pub(crate) fn end_all(&mut self) {
        let call = self.talk.simulation.views.last().unwrap().id.clone();
        let now = self.talk.simulation.now;
        self.talk.simulation.switchboard.handle_operator(now, Operator::Hangup { call }).unwrap();
        self.talk.simulation.settle();
    }

    pub(crate) fn pick_up(&mut self) {
        self.talk.simulation.answer(self.colleague, self.asked, StatusCode::OK, Some("v=0 colleague"));
    }

    pub(crate) fn hears(&self, of: usize) -> Hears {
        let commands = &self.talk.simulation.commands;
        let opened: Vec<MediaSessionId> = commands
            .iter()
            .filter_map(|command| match command {
                Command::Open { session, .. } => Some(*session),
                _ => None,
            })
            .collect();
        let me = opened[of];
        let at = |other: MediaSessionId| opened.iter().position(|session| *session == other).unwrap();
        let mut hears = Hears::Nothing;
        for command in commands {
            hears = match command {
                Command::Bridge { a, b } if *a == me => Hears::Party(at(*b)),
                Command::Bridge { a, b } if *b == me => Hears::Party(at(*a)),
                // Whoever was joined with one that is joined anew hears nothing of it.
                Command::Bridge { a, b } if hears == Hears::Party(at(*a)) || hears == Hears::Party(at(*b)) => {
                    Hears::Nothing
                }
                Command::Music { session } | Command::Ringback { session } | Command::Close { session }
                    if hears == Hears::Party(at(*session)) =>
                {
                    Hears::Nothing
                }
                Command::Music { session } if *session == me => Hears::Music,
                Command::Ringback { session } if *session == me => Hears::Ringback,
                Command::Echo { session } if *session == me => Hears::Itself,
                Command::Close { session } if *session == me => Hears::Nothing,
                _ => hears,
            };
        }
        hears
    }

    pub(crate) fn all_hear(&self) -> [Hears; 3] {
        [TRUNK, AGENT, TARGET].map(|of| self.hears(of))
    }

    pub(crate) fn transfer(&self) -> TransferView {
        self.talk.simulation.views.last().unwrap().transfers.last().unwrap().clone()
    }

    pub(crate) fn status(&self) -> TransferStatus {
        self.transfer().status
    }

    pub(crate) fn has_left(&mut self, of: usize) -> bool {
        let Talk { simulation, browser, outgoing, trunk, incoming } = &mut self.talk;
        match of {
            TRUNK => simulation.is_hung_up(*trunk, *incoming),
            AGENT => simulation.is_hung_up(*browser, *outgoing),
            _ => {
                simulation.is_hung_up(self.colleague, self.asked) || simulation.is_cancelled(self.colleague, self.asked)
            }
        }
    }

    pub(crate) fn hang_up(&mut self, of: usize) {
        let (peer, session) = self.peer(of);
        self.talk.simulation.hang_up(peer, session);
    }

    pub(crate) fn peer(&self, of: usize) -> (SocketAddr, SessionId) {
        match of {
            TRUNK => (self.talk.trunk, self.talk.incoming),
            AGENT => (self.talk.browser, self.talk.outgoing),
            _ => (self.colleague, self.asked),
        }
    }

    /// These two talk, the third one is out of it, and when one of the two hangs up, it is over for both.
    pub(crate) fn ends_between(mut self, one: usize, other: usize, status: TransferStatus) {
        assert_eq!((self.hears(one), self.hears(other)), (Hears::Party(other), Hears::Party(one)));
        assert_eq!(self.status(), status);
        assert_eq!(self.talk.simulation.views.last().unwrap().state, CallState::Connected);
        self.talk.simulation.pass(Duration::from_secs(50));
        assert!(!self.has_left(one) && !self.has_left(other), "nor later");
        // Each can still hold and resume.
        for of in [one, other] {
            let (peer, session) = self.peer(of);
            self.talk.simulation.reinvite(peer, session, Some("v=0 a=sendonly"));
            assert!(self.talk.simulation.holds().contains(&Hold::Remote), "{of} holds");
            self.talk.simulation.reinvite(peer, session, Some("v=0 a=sendrecv"));
        }
        self.hang_up(one);
        assert!(self.has_left(other));
        self.talk.simulation.assert_all_over();
        assert_eq!(self.talk.simulation.records.len(), 1);
        assert_eq!(self.talk.simulation.records[0].result, CallResult::Answered);
    }

    /// Agent and trunk talk as before.
    pub(crate) fn goes_back(mut self, status: TransferStatus, sip_status: u16) {
        assert!(self.has_left(TARGET) || self.talk.simulation.refusal(self.colleague, self.asked).is_none());
        assert_eq!(self.transfer().sip_status, Some(sip_status));
        self.ends_between(AGENT, TRUNK, status);
    }

    /// It is over for these.
    pub(crate) fn ends_for(mut self, left: &[usize]) {
        for of in left.iter().copied() {
            assert!(self.has_left(of), "{of}");
        }
        self.talk.simulation.assert_all_over();
        assert_eq!(self.talk.simulation.records.len(), 1);
    }
}

#[test]
fn the_agent_asks_while_its_caller_hears_music_and_then_the_two_others_talk() {
    let (mut talk, colleague) = with_colleague();
    let shown = consult(&mut talk, to_colleague()).unwrap();
    assert!(shown.id.starts_with("trf_"), "{}", shown.id);
    assert_eq!((shown.mode, shown.status, shown.sip_status), (TransferMode::Attended, TransferStatus::Trying, None));
    let asked = talk.simulation.incoming(colleague);
    let mut asking = Asking { talk, colleague, asked, transfer: shown.id };
    assert_eq!(asking.all_hear(), [Hears::Music, Hears::Nothing, Hears::Nothing]);
    let (_, invite) = asking.talk.simulation.invites(colleague).pop().unwrap();
    assert_eq!(invite.headers.from().unwrap().unwrap().uri.user().unwrap(), "100", "it is the agent who calls");
    assert_eq!(invite.headers.get("Referred-By"), Some("<sip:100@phone.example.com>"));
    asking.talk.simulation.answer(colleague, asked, StatusCode::RINGING, None);
    assert_eq!(asking.all_hear(), [Hears::Music, Hears::Ringback, Hears::Nothing]);
    asking.pick_up();
    assert_eq!(asking.all_hear(), [Hears::Music, Hears::Party(TARGET), Hears::Party(AGENT)]);
    assert_eq!(asking.status(), TransferStatus::Consulting);
    asking.talk.simulation.pass(Duration::from_secs(120));
    assert_eq!(asking.status(), TransferStatus::Consulting, "as long as they like");
    let done = asking.complete().unwrap();
    assert_eq!((done.status, done.sip_status), (TransferStatus::Succeeded, Some(200)));
    assert!(asking.has_left(AGENT), "its part is done");
    let bye = asking.talk.simulation.requests_to(asking.talk.browser, &Method::Bye).pop().unwrap();
    assert!(bye.headers.get("Reason").unwrap().contains("Call transferred"));
    assert!(asking.talk.simulation.reports(asking.talk.browser).is_empty(), "its phone did not ask");
    asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
}

#[test]
fn a_number_outside_is_asked_as_the_agent_and_its_early_media_heard_by_the_agent_alone() {
    let mut talk = talk_in(Simulation::with(PLAN, |_, directory| {
        let agents = directory.agents.values_mut();
        agents.for_each(|agent| agent.caller_id_number = Some("+493011100".to_owned()));
    }));
    let transfer = consult(&mut talk, TransferTarget::Number("+15557654321".to_owned())).unwrap().id;
    let trunk = talk.trunk;
    let asked = talk.simulation.incoming(trunk);
    let (_, invite) = talk.simulation.invites(trunk).pop().unwrap();
    assert_eq!(invite.uri.user().unwrap(), "+15557654321");
    assert_eq!(invite.headers.from().unwrap().unwrap().uri.user().unwrap(), "+493011100");
    talk.simulation.answer(trunk, asked, StatusCode::SESSION_PROGRESS, Some("v=0 early"));
    let mut asking = Asking { talk, colleague: trunk, asked, transfer };
    assert_eq!(asking.all_hear(), [Hears::Music, Hears::Party(TARGET), Hears::Party(AGENT)]);
    assert_eq!(asking.status(), TransferStatus::Trying);
    asking.talk.simulation.answer(trunk, asked, StatusCode::OK, Some("v=0 early"));
    assert_eq!(asking.status(), TransferStatus::Consulting);
    asking.complete().unwrap();
    asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
}

#[test]
fn a_caller_from_outside_waits_while_who_answered_asks() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk, colleague) = (simulation.browser(1), simulation.gateway(1), simulation.browser(2));
    simulation.register(browser, "100", 3600);
    simulation.register(colleague, "101", 3600);
    let now = simulation.now;
    let (from, to) = ("sip:+15550001111@x.example", "sip:+493011100@203.0.113.1");
    let incoming = simulation.peer(trunk).invite(now, from, to, Some("v=0 trunk"), None);
    simulation.settle();
    let outgoing = simulation.incoming(browser);
    simulation.answer(browser, outgoing, StatusCode::OK, Some("v=0 agent"));
    let mut asking = called_in(Talk { simulation, browser, outgoing, trunk, incoming }, colleague);
    asking.pick_up();
    asking.complete().unwrap();
    assert!(asking.has_left(AGENT));
    assert_eq!(asking.talk.simulation.views.last().unwrap().agent_id.as_deref(), Some("agt_101"));
    asking.hang_up(TARGET);
    assert!(asking.has_left(TRUNK));
    asking.talk.simulation.assert_all_over();
}

#[test]
fn completed_while_it_rings_it_goes_on_as_a_blind_transfer_and_the_agent_goes_when_the_target_answers() {
    let mut asking = ringing();
    let shown = asking.complete().unwrap();
    assert_eq!(shown.status, TransferStatus::Trying);
    assert_eq!(asking.all_hear(), [Hears::Ringback, Hears::Ringback, Hears::Nothing]);
    assert!(!asking.has_left(AGENT) && !asking.has_left(TARGET));
    assert_eq!(asking.complete(), Err(OperatorError::NotConsulting), "once is enough");
    asking.pick_up();
    assert!(asking.has_left(AGENT), "its part is done");
    asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
}

#[test]
fn completed_before_it_rings_the_caller_hears_music_until_it_does() {
    let mut asking = called();
    asking.complete().unwrap();
    assert_eq!(asking.hears(TRUNK), Hears::Music);
    asking.talk.simulation.answer(asking.colleague, asking.asked, StatusCode::RINGING, None);
    assert_eq!(asking.hears(TRUNK), Hears::Ringback);
    asking.pick_up();
    asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
}

/// What a target may do that does not come, and the status and cause that mean so.
const REFUSALS: [(Option<StatusCode>, u16, &str); 3] = [
    (Some(StatusCode::BUSY_HERE), 486, "cause=17"),
    (Some(StatusCode::DECLINE), 603, "cause=21"),
    (None, 480, "cause=19"),
];

impl Asking {
    fn refuse(&mut self, answer: Option<StatusCode>) {
        match answer {
            Some(status) => self.talk.simulation.answer(self.colleague, self.asked, status, None),
            None => self.talk.simulation.pass(Duration::from_secs(61)),
        }
    }
}

#[test]
fn completed_while_it_rings_and_nobody_answers_the_agent_has_its_caller_back() {
    for (answer, status, _) in REFUSALS {
        for mut asking in [called(), ringing()] {
            asking.complete().unwrap();
            asking.talk.simulation.answer(asking.colleague, asking.asked, StatusCode::RINGING, None);
            asking.refuse(answer);
            asking.goes_back(TransferStatus::Failed, status);
        }
    }
    // Nothing has rung, and who waits has heard music all the time.
    let mut asking = called();
    asking.complete().unwrap();
    asking.refuse(Some(StatusCode::BUSY_HERE));
    asking.goes_back(TransferStatus::Failed, 486);
    // It answers, and media cannot be agreed on.
    let mut asking = ringing();
    asking.complete().unwrap();
    asking.talk.simulation.script = testkit::MediaScript::RejectsAnswers;
    asking.pick_up();
    asking.talk.simulation.script = testkit::MediaScript::Works;
    asking.goes_back(TransferStatus::Failed, 488);
}

#[test]
fn completed_while_it_rings_by_an_agent_who_then_hangs_up_the_call_ends_with_the_cause_when_nobody_answers() {
    for completes in [true, false] {
        for (answer, _, cause) in REFUSALS {
            let mut asking = ringing();
            if completes {
                asking.complete().unwrap();
            }
            asking.hang_up(AGENT);
            assert_eq!(asking.hears(TRUNK), Hears::Ringback);
            asking.refuse(answer);
            assert!(asking.has_left(TRUNK));
            let bye = asking.talk.simulation.requests_to(asking.talk.trunk, &Method::Bye).pop().unwrap();
            assert!(bye.headers.get("Reason").unwrap().contains(cause), "{:?}", bye.headers.get("Reason"));
            asking.talk.simulation.assert_all_over();
            let record = &asking.talk.simulation.records[0];
            assert_eq!(record.call.transfers[0].status, TransferStatus::Failed);
            assert!(record.explanation.contains("transferred to nobody"));
        }
    }
}

#[test]
fn a_target_that_is_not_there_gives_it_back_at_once_and_another_may_be_asked() {
    let (mut talk, colleague) = with_colleague();
    for (number, status) in [("103", 480), ("777", 404)] {
        let shown = consult(&mut talk, TransferTarget::Number(number.to_owned())).unwrap();
        assert_eq!((shown.status, shown.sip_status), (TransferStatus::Failed, Some(status)));
    }
    let mut asking = called_in(talk, colleague);
    asking.pick_up();
    assert_eq!(asking.talk.simulation.views.last().unwrap().transfers.len(), 3);
    asking.complete().unwrap();
    asking.ends_between(TRUNK, TARGET, TransferStatus::Succeeded);
}

#[test]
fn the_echo_test_can_be_asked_too() {
    let (mut talk, colleague) = with_colleague();
    let shown = consult(&mut talk, TransferTarget::Number("9196".to_owned())).unwrap();
    assert_eq!(shown.status, TransferStatus::Consulting);
    let mut asking = Asking { asked: talk.outgoing, talk, colleague, transfer: shown.id };
    assert_eq!((asking.hears(TRUNK), asking.hears(AGENT)), (Hears::Music, Hears::Itself));
    asking.complete().unwrap();
    assert_eq!(asking.hears(TRUNK), Hears::Itself);
    assert!(asking.has_left(AGENT));
    asking.hang_up(TRUNK);
    asking.talk.simulation.assert_all_over();
}
