//! An agent in a call on one media shard is called by another agent, whose media is on a second: when the two calls become one, whoever
//! is left is joined by a link between the shards, by one, and only as long as it takes one.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use media::{Event, Hold, MediaSessionId};
use sip::{SessionId, StatusCode};
use switchboard::{
    CallId, CallResult, Directory, Operator, ShardIndex, SwitchboardConfig, TransferMode, TransferStatus,
    TransferTarget,
};
use testkit::{MediaScript, Simulation};

use crate::PLAN;

/// Agents 100 and 101, each in a call with somebody behind the trunk, on two shards; 101 has called 100 besides, and they talk.
struct Two {
    simulation: Simulation,
    trunk: SocketAddr,
    /// Agent 100: its browser, its call to the trunk, what it got from 101.
    agent: SocketAddr,
    own: SessionId,
    asked: SessionId,
    /// Whom agent 100 has behind the trunk.
    customer: SessionId,
    /// Agent 101: its browser, its call to the trunk, its call to 100.
    colleague: SocketAddr,
    theirs: SessionId,
    asking: SessionId,
    /// The media sessions of the customer and of 101's call to 100.
    media: [MediaSessionId; 2],
}

/// Several calls for each agent, and as many shards as it takes to have the two on different ones.
fn two() -> Two {
    (2..9).map(two_on).find(|two| two.shards()[0] != two.shards()[1]).expect("a number of shards that parts them")
}

fn two_on(shards: usize) -> Two {
    let several = |config: &mut SwitchboardConfig, directory: &mut Directory| {
        config.shards = shards;
        directory.agents.values_mut().for_each(|agent| agent.max_concurrent_calls = 0);
    };
    let mut simulation = Simulation::with(PLAN, several);
    let (trunk, agent, colleague) = (simulation.gateway(1), simulation.browser(1), simulation.browser(2));
    simulation.register(agent, "100", 3600);
    simulation.register(colleague, "101", 3600);
    let own = simulation.call(agent, "100", "+15551234567");
    let customer = simulation.incoming(trunk);
    simulation.answer(trunk, customer, StatusCode::OK, Some("v=0 customer"));
    let theirs = simulation.call(colleague, "101", "+15557654321");
    let other = simulation.incoming(trunk);
    simulation.answer(trunk, other, StatusCode::OK, Some("v=0 other"));
    let asking = simulation.call(colleague, "101", "100");
    let asked = simulation.incoming(agent);
    simulation.answer(agent, asked, StatusCode::OK, Some("v=0 agent"));
    // Of each call the side that is called has its media opened first.
    let media = [simulation.wiring.legs[0], simulation.wiring.legs[5]];
    Two { simulation, trunk, agent, own, asked, customer, colleague, theirs, asking, media }
}

/// A Refer-To that names the dialog of a peer's session.
fn replacing(simulation: &mut Simulation, peer: SocketAddr, session: SessionId) -> String {
    let dialog = simulation.peer(peer).endpoint.replaces(session).expect("a dialog").to_string();
    format!("<sip:101@x?Replaces={}>", dialog.replace(';', "%3B").replace('=', "%3D"))
}

impl Two {
    fn shards(&self) -> [Option<ShardIndex>; 2] {
        self.media.map(|session| self.simulation.wiring.shard(session))
    }

    /// Agent 100 hands its customer on to 101.
    fn join(&mut self) -> StatusCode {
        let refer_to = replacing(&mut self.simulation, self.agent, self.asked);
        self.simulation.refer(self.agent, self.own, &refer_to)
    }

    fn are_joined(&self, a: MediaSessionId, b: MediaSessionId) -> bool {
        let joined = self.simulation.joined();
        joined.get(&a) == Some(&BTreeSet::from([b])) && joined.get(&b) == Some(&BTreeSet::from([a]))
    }

    fn assert_linked(&self) {
        assert_ne!(self.shards()[0], self.shards()[1]);
        assert!(self.are_joined(self.media[0], self.media[1]));
        assert_eq!(self.simulation.wiring.links(), 1);
    }

    /// Customer and colleague talk; they hold and resume, and the end of one is the end of the other.
    fn ends_linked(mut self) {
        self.assert_linked();
        let Self { simulation, trunk, agent, own, asked, customer, colleague, theirs, asking, .. } = &mut self;
        assert!(simulation.is_hung_up(*agent, *own) && simulation.is_hung_up(*agent, *asked));
        assert!(!simulation.is_hung_up(*colleague, *asking) && !simulation.is_hung_up(*trunk, *customer));
        for (peer, session) in [(*trunk, *customer), (*colleague, *asking)] {
            simulation.reinvite(peer, session, Some("v=0 a=sendonly"));
            let held = |simulation: &Simulation| {
                let view =
                    simulation.views.iter().rev().find(|view| view.transfers.len() == 1).expect("the joined call");
                view.legs.iter().filter(|leg| leg.media.hold == Hold::Remote).count()
            };
            assert_eq!(held(simulation), 1);
            simulation.reinvite(peer, session, Some("v=0 a=sendrecv"));
            assert_eq!(held(simulation), 0);
        }
        simulation.pass(std::time::Duration::from_secs(50));
        simulation.hang_up(*trunk, *customer);
        assert!(simulation.is_hung_up(*colleague, *asking));
        assert_eq!(simulation.wiring.links(), 0);
        simulation.hang_up(*colleague, *theirs);
        simulation.assert_all_over();
        assert_eq!(simulation.records.len(), 3);
        assert!(simulation.records.iter().all(|record| record.call.legs.len() <= 3), "a link is no leg");
    }

    /// The running call in which somebody was transferred.
    fn joined_call(&self) -> CallId {
        let mut views = self.simulation.views.iter().rev();
        views.find(|view| !view.transfers.is_empty()).expect("a transfer").id.clone()
    }

    fn ends(mut self) {
        self.simulation.switchboard.handle_operator(self.simulation.now, Operator::HangupAll).unwrap();
        self.simulation.settle();
        assert_eq!(self.simulation.wiring.links(), 0);
        self.simulation.assert_all_over();
    }
}

#[test]
fn two_calls_on_two_shards_become_one() {
    let mut two = two();
    assert_eq!(two.simulation.wiring.linked, 0, "no link before it is needed");
    assert_eq!(two.join(), StatusCode::ACCEPTED);
    let told: Vec<u16> = two.simulation.reports(two.agent).into_iter().map(|(_, _, status)| status).collect();
    assert_eq!(told, [100, 200]);
    two.ends_linked();
}

#[test]
fn the_refer_may_come_in_the_call_on_either_shard() {
    let mut two = two();
    let refer_to = replacing(&mut two.simulation, two.agent, two.own);
    assert_eq!(two.simulation.refer(two.agent, two.asked, &refer_to), StatusCode::ACCEPTED);
    two.ends_linked();
}

#[test]
fn an_operator_joins_calls_on_two_shards() {
    let mut two = two();
    let ids: Vec<CallId> = two.simulation.views.iter().map(|view| view.id.clone()).collect();
    let (call, target) = (ids.first().unwrap().clone(), TransferTarget::Call(ids.last().unwrap().clone()));
    two.simulation
        .switchboard
        .handle_operator(
            two.simulation.now,
            Operator::Transfer { call, leg: None, mode: TransferMode::Attended, target },
        )
        .unwrap();
    two.simulation.settle();
    two.ends_linked();
}

#[test]
fn slow_shards_are_joined_as_well() {
    let mut two = two();
    two.simulation.script = MediaScript::Slow;
    assert_eq!(two.join(), StatusCode::ACCEPTED);
    two.simulation.shards_catch_up();
    two.simulation.script = MediaScript::Works;
    two.ends_linked();
}

#[test]
fn a_call_that_rings_on_another_shard_rings_on_for_who_is_handed_on() {
    let mut two = two();
    let third = two.simulation.browser(3);
    two.simulation.register(third, "102", 3600);
    // Agent 100 asks 102 on its own shard, and gives it 101, which is on the other.
    let consulting = two.simulation.call(two.agent, "100", "102");
    let rung = two.simulation.incoming(third);
    two.simulation.answer(third, rung, StatusCode::RINGING, None);
    let refer_to = replacing(&mut two.simulation, two.agent, consulting);
    assert_eq!(two.simulation.refer(two.agent, two.asked, &refer_to), StatusCode::ACCEPTED);
    assert_eq!(two.simulation.wiring.links(), 0, "ringback is played where it is heard");
    two.simulation.answer(third, rung, StatusCode::OK, Some("v=0 third"));
    let new = two.simulation.wiring.legs[6];
    assert!(two.are_joined(two.media[1], new));
    assert_eq!((two.simulation.wiring.shard(new), two.simulation.wiring.links()), (two.shards()[0], 1));
    two.simulation.hang_up(third, rung);
    assert!(two.simulation.is_hung_up(two.colleague, two.asking));
    assert_eq!(two.simulation.wiring.links(), 0);
    two.ends();
}

#[test]
fn a_call_that_rings_on_another_shard_and_is_not_taken_leaves_the_agent_its_party() {
    let mut two = two();
    let third = two.simulation.browser(3);
    two.simulation.register(third, "102", 3600);
    let consulting = two.simulation.call(two.agent, "100", "102");
    let rung = two.simulation.incoming(third);
    two.simulation.answer(third, rung, StatusCode::RINGING, None);
    let refer_to = replacing(&mut two.simulation, two.agent, consulting);
    two.simulation.refer(two.agent, two.asked, &refer_to);
    two.simulation.answer(third, rung, StatusCode::BUSY_HERE, None);
    assert_eq!(two.simulation.reports(two.agent).pop().unwrap().2, 486);
    assert!(two.are_joined(two.media[1], two.simulation.wiring.legs[4]), "as before, on one shard");
    assert_eq!(two.simulation.wiring.linked, 0);
    two.ends();
}

#[test]
fn a_further_transfer_needs_no_link_any_more_or_one_other_at_most() {
    // By 101, of the customer to somebody who answers, or to the echo test.
    for target in ["102", "9196"] {
        let mut two = two();
        two.join();
        two.assert_linked();
        let third = two.simulation.browser(3);
        two.simulation.register(third, "102", 3600);
        let refer_to = format!("<sip:{target}@{}>", testkit::REALM);
        assert_eq!(two.simulation.refer(two.colleague, two.asking, &refer_to), StatusCode::ACCEPTED);
        if target == "102" {
            let rung = two.simulation.incoming(third);
            two.simulation.answer(third, rung, StatusCode::OK, Some("v=0 third"));
            let new = *two.simulation.wiring.legs.last().unwrap();
            assert!(two.are_joined(two.media[0], new));
            assert_eq!(two.simulation.wiring.shard(new), two.shards()[0], "opened where the customer is");
        }
        assert_eq!(two.simulation.wiring.links(), 0, "{target}");
        assert!(two.simulation.is_hung_up(two.colleague, two.asking));
        two.ends();
    }
}

#[test]
fn a_linked_party_is_handed_on_to_a_third_shard_over_one_link() {
    let mut two = two();
    two.join();
    // 101 joins the customer with whom it has itself: they are on the shards as before, and one link is enough.
    let refer_to = replacing(&mut two.simulation, two.colleague, two.theirs);
    assert_eq!(two.simulation.refer(two.colleague, two.asking, &refer_to), StatusCode::ACCEPTED);
    let other = two.simulation.wiring.legs[2];
    assert!(two.are_joined(two.media[0], other));
    assert_eq!((two.simulation.wiring.links(), two.simulation.wiring.linked), (1, 2));
    assert!(two.simulation.is_hung_up(two.colleague, two.asking));
    two.ends();
}

#[test]
fn a_failed_transfer_of_a_linked_party_gives_it_its_link_back() {
    let mut two = two();
    two.join();
    let third = two.simulation.browser(3);
    two.simulation.register(third, "102", 3600);
    let refer_to = format!("<sip:102@{}>", testkit::REALM);
    two.simulation.refer(two.colleague, two.asking, &refer_to);
    let rung = two.simulation.incoming(third);
    two.simulation.answer(third, rung, StatusCode::RINGING, None);
    assert_eq!(two.simulation.wiring.links(), 0, "the customer hears ringback");
    two.simulation.answer(third, rung, StatusCode::BUSY_HERE, None);
    two.assert_linked();
    two.ends();
}

#[test]
fn another_browser_takes_a_linked_partys_place() {
    let mut two = two();
    two.join();
    let other = two.simulation.browser(5);
    let replaces = two.simulation.peer(two.colleague).endpoint.replaces(two.asking).expect("a dialog").to_string();
    two.simulation.peer(other).headers = vec![("Replaces".to_owned(), replaces)];
    let taken = two.simulation.call(other, "101", "whoever");
    assert!(two.simulation.is_answered(other, taken));
    let new = *two.simulation.wiring.legs.last().unwrap();
    assert!(two.are_joined(two.media[0], new));
    assert_eq!((two.simulation.wiring.shard(new), two.simulation.wiring.links()), (two.shards()[0], 0));
    assert!(two.simulation.is_hung_up(two.colleague, two.asking));
    two.simulation.hang_up(other, taken);
    assert!(two.simulation.is_hung_up(two.trunk, two.customer));
    two.ends();
}

#[test]
fn the_trunk_takes_its_linked_sides_place_and_is_linked_itself() {
    let mut two = two();
    two.join();
    let replaces = two.simulation.peer(two.trunk).endpoint.replaces(two.customer).expect("a dialog").to_string();
    two.simulation.peer(two.trunk).headers = vec![("Replaces".to_owned(), replaces)];
    let now = two.simulation.now;
    let (from, to) = ("sip:+15551234567@x.example", "sip:100@203.0.113.1");
    let taken = two.simulation.peer(two.trunk).invite(now, from, to, Some("v=0 elsewhere"), None);
    two.simulation.settle();
    assert!(two.simulation.is_answered(two.trunk, taken));
    let new = *two.simulation.wiring.legs.last().unwrap();
    assert!(two.are_joined(two.media[1], new));
    assert_eq!((two.simulation.wiring.links(), two.simulation.wiring.linked), (1, 2));
    two.ends();
}

#[test]
fn without_its_link_a_call_ends_and_nobody_talks_to_nobody() {
    let mut two = two();
    two.join();
    let ends: Vec<MediaSessionId> = two
        .simulation
        .commands
        .iter()
        .filter_map(|command| match command {
            media::Command::Open { session, keying: media::Keying::Link { .. }, .. } => Some(*session),
            _ => None,
        })
        .collect();
    let call = two.joined_call();
    for session in ends {
        let event = Event::Failed { session, reason: "the shard is full".to_owned() };
        two.simulation.switchboard.handle_media(two.simulation.now, ShardIndex(0), event);
        two.simulation.settle();
    }
    assert!(two.simulation.is_hung_up(two.trunk, two.customer));
    assert!(two.simulation.is_hung_up(two.colleague, two.asking));
    let record = two.simulation.records.iter().find(|record| record.call.id == call).expect("its record").clone();
    assert_eq!(record.result, CallResult::Failed);
    assert!(record.explanation.contains("the shard is full"), "{}", record.explanation);
    assert_eq!(record.call.transfers[0].status, TransferStatus::Succeeded);
    two.ends();
}

#[test]
fn an_agent_is_called_where_its_own_media_is() {
    let mut two = two();
    two.join();
    // What agent 101 has first is its own call; a new one goes there, though the call it was joined into began elsewhere.
    two.simulation.hang_up(two.colleague, two.theirs);
    two.simulation.call(two.colleague, "101", "9196");
    let new = *two.simulation.wiring.legs.last().unwrap();
    assert_eq!(two.simulation.wiring.shard(new), two.shards()[1]);
    two.ends();
}

#[test]
fn three_on_two_shards_are_mixed_on_one_and_two_who_are_left_are_joined_as_ever() {
    for leaves in ["agent", "customer", "colleague"] {
        let mut two = two();
        let own = two.simulation.wiring.legs[1];
        let ids: Vec<CallId> = two.simulation.views.iter().map(|view| view.id.clone()).collect();
        let (call, target) = (ids.first().unwrap().clone(), TransferTarget::Call(ids.last().unwrap().clone()));
        let add = Operator::AddParticipant { call: call.clone(), leg: None, target };
        two.simulation.switchboard.handle_operator(two.simulation.now, add).unwrap();
        two.simulation.settle();
        let all = BTreeSet::from([two.media[0], two.media[1], own]);
        let joined = two.simulation.joined();
        for session in &all {
            let others = all.iter().copied().filter(|other| other != session).collect();
            assert_eq!(joined.get(session), Some(&others), "{session:?}");
        }
        assert_eq!((two.simulation.wiring.links(), two.simulation.wiring.linked), (1, 1));
        assert!(two.simulation.is_hung_up(two.agent, two.asked));
        let (peer, session, links) = match leaves {
            "agent" => (two.agent, two.own, 1),
            "customer" => (two.trunk, two.customer, 1),
            _ => (two.colleague, two.asking, 0),
        };
        two.simulation.hang_up(peer, session);
        assert_eq!(two.simulation.wiring.links(), links, "{leaves}");
        let (a, b) = match leaves {
            "agent" => (two.media[0], two.media[1]),
            "customer" => (own, two.media[1]),
            _ => (own, two.media[0]),
        };
        assert!(two.are_joined(a, b), "{leaves}: {:?}", two.simulation.joined());
        two.ends();
    }
}
