//! Attended transfer: an agent speaks with, or rings, whom it will hand its caller on to; then REFER with Replaces makes one call of its
//! two.

use std::net::SocketAddr;

use media::{Command, Hold, MediaSessionId};
use sip::{Method, SessionId, StatusCode};
use switchboard::{
    CallResult, Directory, Operator, OperatorError, SwitchboardConfig, TransferMode, TransferStatus, TransferTarget,
};
use testkit::Simulation;

use crate::{PLAN, Talk, talk_in};

/// An agent who may have several calls, in one.
fn talk() -> Talk {
    talk_in(Simulation::with(PLAN, several))
}

pub(crate) fn several(_: &mut SwitchboardConfig, directory: &mut Directory) {
    directory.agents.values_mut().for_each(|agent| agent.max_concurrent_calls = 0);
}

/// The agent holds its caller and has called 101 besides.
pub(crate) struct Consultation {
    pub(crate) talk: Talk,
    pub(crate) colleague: SocketAddr,
    /// The agent's second call, and what 101 got.
    pub(crate) consulting: SessionId,
    pub(crate) asked: SessionId,
}

pub(crate) fn ringing_in(mut talk: Talk) -> Consultation {
    let colleague = talk.simulation.browser(2);
    talk.simulation.register(colleague, "101", 3600);
    talk.simulation.reinvite(talk.browser, talk.outgoing, Some("v=0 a=sendonly"));
    let consulting = talk.simulation.call(talk.browser, "100", "101");
    let asked = talk.simulation.incoming(colleague);
    talk.simulation.answer(colleague, asked, StatusCode::RINGING, None);
    Consultation { talk, colleague, consulting, asked }
}

pub(crate) fn consulted_in(talk: Talk) -> Consultation {
    let mut both = ringing_in(talk);
    both.pick_up();
    both
}

fn consulted() -> Consultation {
    consulted_in(talk())
}

/// A Refer-To that names the dialog of a peer's session.
pub(crate) fn replacing(simulation: &mut Simulation, peer: SocketAddr, session: SessionId) -> String {
    let dialog = simulation.peer(peer).endpoint.replaces(session).expect("a dialog").to_string();
    format!("<sip:101@x?Replaces={}>", dialog.replace(';', "%3B").replace('=', "%3D"))
}

impl Consultation {
    pub(crate) fn pick_up(&mut self) {
        self.talk.simulation.answer(self.colleague, self.asked, StatusCode::OK, Some("v=0 colleague"));
    }

    /// The agent asks for its first call's caller to be handed on to whom the second one is with.
    pub(crate) fn join(&mut self) -> StatusCode {
        let refer_to = replacing(&mut self.talk.simulation, self.talk.browser, self.consulting);
        self.talk.simulation.refer(self.talk.browser, self.talk.outgoing, &refer_to)
    }

    pub(crate) fn told(&mut self) -> Vec<u16> {
        self.talk.simulation.reports(self.talk.browser).into_iter().map(|(_, _, status)| status).collect()
    }

    fn joined(&self) -> Option<(MediaSessionId, MediaSessionId)> {
        self.talk.simulation.commands.iter().rev().find_map(|command| match command {
            Command::Bridge { a, b } => Some((*a, *b)),
            _ => None,
        })
    }

    /// Trunk and colleague talk; both of the agent's legs are gone, and with the colleague's goes all.
    pub(crate) fn ends_joined(mut self, legs: (usize, usize)) {
        let opened: Vec<MediaSessionId> = self
            .talk
            .simulation
            .commands
            .iter()
            .filter_map(|command| match command {
                Command::Open { session, .. } => Some(*session),
                _ => None,
            })
            .collect();
        assert_eq!(self.joined(), Some((opened[legs.0], opened[legs.1])));
        let Talk { simulation, browser, outgoing, trunk, incoming } = &mut self.talk;
        assert!(simulation.is_hung_up(*browser, *outgoing));
        assert_eq!(simulation.switchboard.call_count(), 1);
        assert!(!simulation.is_hung_up(*trunk, *incoming));
        assert!(!simulation.is_hung_up(self.colleague, self.asked));
        simulation.pass(std::time::Duration::from_secs(50));
        // Each still changes its media, and hears of the other's end.
        simulation.reinvite(*trunk, *incoming, Some("v=0 a=sendonly"));
        assert!(simulation.holds().contains(&Hold::Remote));
        simulation.reinvite(*trunk, *incoming, Some("v=0 a=sendrecv"));
        simulation.hang_up(self.colleague, self.asked);
        assert!(simulation.is_hung_up(*trunk, *incoming));
        simulation.assert_all_over();
        assert_eq!(simulation.records.len(), 2);
    }
}

#[test]
fn two_calls_of_an_agent_become_one() {
    let mut both = consulted();
    assert_eq!(both.join(), StatusCode::ACCEPTED);
    assert_eq!(both.told(), [100, 200]);
    assert!(both.talk.simulation.is_hung_up(both.talk.browser, both.consulting));
    let record = both.talk.simulation.records[0].clone();
    assert_eq!((record.result, record.call.legs.len()), (CallResult::Answered, 2), "the consultation is on record");
    assert!(record.explanation.contains("joined"));
    let shown = both.talk.simulation.views.last().unwrap().transfers.last().unwrap().clone();
    assert_eq!(
        (shown.mode, shown.status, shown.sip_status),
        (TransferMode::Attended, TransferStatus::Succeeded, Some(200))
    );
    both.ends_joined((0, 2));
}

#[test]
fn the_refer_may_come_in_either_call() {
    let mut both = consulted();
    let (browser, outgoing, consulting) = (both.talk.browser, both.talk.outgoing, both.consulting);
    let refer_to = replacing(&mut both.talk.simulation, browser, outgoing);
    assert_eq!(both.talk.simulation.refer(browser, consulting, &refer_to), StatusCode::ACCEPTED);
    assert_eq!(both.told(), [100, 200]);
    both.ends_joined((2, 0));
}

#[test]
fn tags_the_other_way_round_name_the_same_call() {
    let mut both = consulted();
    let refer_to = replacing(&mut both.talk.simulation, both.talk.browser, both.consulting);
    let swapped = refer_to.replace("to-tag", "x").replace("from-tag", "to-tag").replace("%3Bx", "%3Bfrom-tag");
    assert_ne!(refer_to, swapped);
    assert_eq!(both.talk.simulation.refer(both.talk.browser, both.talk.outgoing, &swapped), StatusCode::ACCEPTED);
    both.ends_joined((0, 2));
}

#[test]
fn a_call_still_ringing_goes_on_ringing_for_who_is_handed_on() {
    let mut both = ringing_in(talk());
    assert_eq!(both.join(), StatusCode::ACCEPTED);
    assert_eq!(both.told(), [100, 180]);
    let refused = both.talk.simulation.refusal(both.talk.browser, both.consulting).expect("its own call is over");
    assert_eq!(refused.status, StatusCode::REQUEST_TERMINATED);
    assert!(!both.talk.simulation.is_cancelled(both.colleague, both.asked));
    let ringback = |command: &Command| matches!(command, Command::Ringback { .. });
    assert!(both.talk.simulation.commands.iter().any(ringback));
    both.pick_up();
    assert_eq!(both.told(), [100, 180, 200]);
    both.ends_joined((0, 2));
}

#[test]
fn a_call_still_ringing_that_is_not_taken_leaves_the_agent_its_caller() {
    for answer in [Some(StatusCode::BUSY_HERE), None] {
        let mut both = ringing_in(talk());
        both.join();
        match answer {
            Some(status) => both.talk.simulation.answer(both.colleague, both.asked, status, None),
            None => both.talk.simulation.pass(std::time::Duration::from_secs(61)),
        }
        let last = both.told().pop();
        assert_eq!(last, Some(answer.map_or(480, StatusCode::code)));
        let Talk { simulation, browser, outgoing, trunk, incoming } = &mut both.talk;
        assert_eq!(simulation.holds()[0], Hold::Remote, "held as it was");
        simulation.reinvite(*browser, *outgoing, Some("v=0 a=sendrecv"));
        simulation.hang_up(*browser, *outgoing);
        assert!(simulation.is_hung_up(*trunk, *incoming));
        simulation.assert_all_over();
    }
}

#[test]
fn the_agent_may_hang_up_both_calls_in_the_moment_it_joins_them() {
    for mut both in [consulted(), ringing_in(talk())] {
        let early = !both.talk.simulation.is_answered(both.talk.browser, both.consulting);
        let refer_to = replacing(&mut both.talk.simulation, both.talk.browser, both.consulting);
        let (browser, outgoing, consulting) = (both.talk.browser, both.talk.outgoing, both.consulting);
        both.talk.simulation.refer_later(browser, outgoing, &refer_to);
        let now = both.talk.simulation.now;
        let endpoint = &mut both.talk.simulation.peer(browser).endpoint;
        endpoint.bye(now, outgoing, None);
        if early {
            endpoint.cancel(now, consulting, None);
        } else {
            endpoint.bye(now, consulting, None);
        }
        both.talk.simulation.settle();
        if early {
            both.pick_up();
        }
        assert_eq!(both.talk.simulation.switchboard.call_count(), 1);
        assert!(!both.talk.simulation.is_hung_up(both.talk.trunk, both.talk.incoming));
        both.talk.simulation.hang_up(both.talk.trunk, both.talk.incoming);
        assert!(both.talk.simulation.is_hung_up(both.colleague, both.asked));
        both.talk.simulation.assert_all_over();
    }
}

#[test]
fn whoever_hangs_up_as_the_calls_are_joined_ends_what_is_left() {
    for trunk_first in [true, false] {
        let mut both = consulted();
        let refer_to = replacing(&mut both.talk.simulation, both.talk.browser, both.consulting);
        let now = both.talk.simulation.now;
        both.talk.simulation.refer_later(both.talk.browser, both.talk.outgoing, &refer_to);
        let (peer, session) =
            if trunk_first { (both.talk.trunk, both.talk.incoming) } else { (both.colleague, both.asked) };
        both.talk.simulation.peer(peer).endpoint.bye(now, session, None);
        both.talk.simulation.settle();
        both.talk.simulation.pass(std::time::Duration::from_secs(5));
        if trunk_first {
            // Between a REFER and a BYE whichever comes first decides: nobody is left in a call with nobody.
            both.talk.simulation.hang_up(both.colleague, both.asked);
        } else {
            both.talk.simulation.hang_up(both.talk.trunk, both.talk.incoming);
        }
        both.talk.simulation.assert_all_over();
    }
}

#[test]
fn a_dialog_that_is_not_the_agents_joins_nothing() {
    let mut both = consulted();
    let refer_to = replacing(&mut both.talk.simulation, both.talk.browser, both.consulting);
    let unknown = [
        "<sip:101@x?Replaces=none%3Bto-tag%3Da%3Bfrom-tag%3Db>".to_owned(),
        refer_to.replace("from-tag%3D", "from-tag%3Dx"),
    ];
    for refer_to in unknown {
        assert_eq!(both.talk.simulation.refer(both.talk.browser, both.talk.outgoing, &refer_to), StatusCode::ACCEPTED);
        assert_eq!(both.told().pop(), Some(481), "{refer_to}");
    }
    let shown = both.talk.simulation.views.last().unwrap().transfers.last().unwrap().clone();
    assert_eq!((shown.mode, shown.status), (TransferMode::Attended, TransferStatus::Failed));
    // Its own dialog is no other call.
    let own = replacing(&mut both.talk.simulation, both.talk.browser, both.talk.outgoing);
    both.talk.simulation.refer(both.talk.browser, both.talk.outgoing, &own);
    assert_eq!(both.told().pop(), Some(481));
    // Only early, but answered.
    let early_only = refer_to.replace('>', "%3Bearly-only>");
    both.talk.simulation.refer(both.talk.browser, both.talk.outgoing, &early_only);
    assert_eq!(both.told().pop(), Some(486));
    // Another agent knows the dialog, and it is not that agent's.
    let (stranger, called) = (both.talk.simulation.browser(3), both.talk.simulation.browser(4));
    both.talk.simulation.register(called, "103", 3600);
    let calling = both.talk.simulation.call(stranger, "102", "103");
    let rung = both.talk.simulation.incoming(called);
    both.talk.simulation.answer(called, rung, StatusCode::OK, Some("v=0 called"));
    assert_eq!(both.talk.simulation.refer(stranger, calling, &refer_to), StatusCode::ACCEPTED);
    assert_eq!(both.talk.simulation.reports(stranger).pop().unwrap().2, 481);
    both.talk.simulation.hang_up(stranger, calling);
    assert_eq!(both.talk.simulation.switchboard.call_count(), 2, "everybody talks as before");
    // And half a dialog is none.
    let half = both.talk.simulation.refer(both.talk.browser, both.talk.outgoing, "<sip:101@x?Replaces=a%3Bto-tag%3Db>");
    assert_eq!(half, StatusCode::BAD_REQUEST);
    assert_eq!(both.join(), StatusCode::ACCEPTED);
    let first = both.told().len() - 2;
    assert_eq!(both.told()[first..], [100, 200]);
    assert_eq!(both.talk.simulation.switchboard.call_count(), 1);
    both.talk.simulation.hang_up(both.colleague, both.asked);
    both.talk.simulation.assert_all_over();
}

#[test]
fn with_many_shards_an_agents_calls_are_on_one() {
    // Who calls whom decides the shard of a call, unless the agent is in another already.
    for shards in 2..8 {
        let mut simulation = Simulation::with(PLAN, |config, directory| {
            config.shards = shards;
            several(config, directory);
        });
        let (agent, trunk, colleague) = (simulation.browser(1), simulation.gateway(1), simulation.browser(2));
        let caller = simulation.browser(3);
        simulation.register(agent, "100", 3600);
        simulation.register(colleague, "101", 3600);
        // 102 calls the agent: that call is where 102 belongs.
        let calling = simulation.call(caller, "102", "100");
        let rung = simulation.incoming(agent);
        simulation.answer(agent, rung, StatusCode::OK, Some("v=0 agent"));
        let consulting = simulation.call(agent, "100", "101");
        let asked = simulation.incoming(colleague);
        simulation.answer(colleague, asked, StatusCode::OK, Some("v=0 colleague"));
        let refer_to = replacing(&mut simulation, agent, consulting);
        assert_eq!(simulation.refer(agent, rung, &refer_to), StatusCode::ACCEPTED);
        assert_eq!(simulation.reports(agent).pop().unwrap().2, 200, "{shards} shards");
        simulation.hang_up(caller, calling);
        assert!(simulation.is_hung_up(colleague, asked));
        assert!(simulation.requests_to(trunk, &Method::Invite).is_empty());
        simulation.assert_all_over();
    }
}

#[test]
fn an_operator_joins_two_calls_of_an_agent() {
    let mut both = consulted();
    let now = both.talk.simulation.now;
    let ids: Vec<_> = both.talk.simulation.views.iter().map(|view| view.id.clone()).collect();
    let (first, second) = (ids.first().unwrap().clone(), ids.last().unwrap().clone());
    assert_ne!(first, second);
    let transfer = |call: &switchboard::CallId, to: &switchboard::CallId| Operator::Transfer {
        call: call.clone(),
        mode: TransferMode::Attended,
        leg: None,
        target: TransferTarget::Call(to.clone()),
    };
    let none = switchboard::CallId("call_none".to_owned());
    let switchboard = &mut both.talk.simulation.switchboard;
    assert_eq!(switchboard.handle_operator(now, transfer(&none, &first)), Err(OperatorError::UnknownCall));
    assert_eq!(switchboard.handle_operator(now, transfer(&first, &none)), Err(OperatorError::UnknownTarget));
    assert_eq!(switchboard.handle_operator(now, transfer(&first, &first)), Err(OperatorError::Unjoinable));
    switchboard.handle_operator(now, transfer(&first, &second)).unwrap();
    both.talk.simulation.settle();
    assert!(both.told().is_empty(), "it did not ask");
    both.ends_joined((0, 2));
}

#[test]
fn the_agent_of_a_full_trunk_joins_calls_and_its_channel_is_free_afterwards() {
    let mut both = consulted_in(talk_in(Simulation::with(PLAN, |config, directory| {
        several(config, directory);
        directory.trunks.values_mut().for_each(|trunk| trunk.limits.max_channels = 1);
    })));
    both.join();
    both.ends_joined((0, 2));
}
