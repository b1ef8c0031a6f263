//! Whatever happens, in whatever order: each call has one record, each opened media session one Close, and nothing is left.

use std::net::SocketAddr;
use std::time::Duration;

use media::{Command, MediaSessionId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sip::{ConnectionId, SessionId, StatusCode};
use switchboard::{Operator, ShardIndex};
use testkit::{MediaScript, Simulation};

const SCRIPTS: [MediaScript; 5] = [
    MediaScript::Works,
    MediaScript::Works,
    MediaScript::RejectsOffers,
    MediaScript::RejectsAnswers,
    MediaScript::Mute,
];
const ANSWERS: [u16; 9] = [180, 183, 200, 404, 480, 486, 500, 503, 603];

/// What a random peer does to a random session of its own.
fn disturb(simulation: &mut Simulation, random: &mut StdRng, peer: SocketAddr, session: SessionId) {
    let now = simulation.now;
    let status = StatusCode::new(ANSWERS[random.random_range(0..ANSWERS.len())]).unwrap();
    let sdp = random.random_bool(0.7).then_some("v=0 random");
    let peer = simulation.peer(peer);
    let draft = peer.draft(status, sdp);
    match random.random_range(0..6) {
        0 => peer.endpoint.cancel(now, session, None),
        1 => peer.endpoint.bye(now, session, None),
        2..=5 if status.is_provisional() => peer.endpoint.progress(now, session, draft),
        _ if status.is_success() => peer.endpoint.accept(now, session, draft),
        _ => peer.endpoint.reject(now, session, draft),
    }
}

fn media_event(random: &mut StdRng, simulation: &Simulation) -> Option<media::Event> {
    let opened: Vec<MediaSessionId> = simulation
        .commands
        .iter()
        .filter_map(|command| match command {
            Command::Open { session, .. } => Some(*session),
            _ => None,
        })
        .collect();
    let session = *opened.get(random.random_range(0..opened.len().max(1)))?;
    Some(if random.random_bool(0.5) {
        media::Event::Silent { session }
    } else {
        media::Event::Failed { session, reason: "chance".to_owned() }
    })
}

fn run(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut simulation = Simulation::new(crate::PLAN);
    let browsers: Vec<SocketAddr> = (1..=4).map(|number| simulation.browser(number)).collect();
    let trunks = [simulation.gateway(1), simulation.gateway(2)];
    let mut sessions: Vec<(SocketAddr, SessionId)> = Vec::new();
    for (browser, user) in browsers.iter().zip(["100", "100", "101", "102"]) {
        simulation.register(*browser, user, 600);
    }
    for _ in 0..40 {
        match random.random_range(0..12) {
            0 => simulation.script = SCRIPTS[random.random_range(0..SCRIPTS.len())],
            1 => {
                let (browser, user) = [(browsers[2], "101"), (browsers[3], "102")][random.random_range(0..2)];
                let to = ["9196", "100", "+15551234567"][random.random_range(0..3)];
                let now = simulation.now;
                let (from, to) = (format!("sip:{user}@{}", testkit::REALM), format!("sip:{to}@{}", testkit::REALM));
                let first = simulation.peer(browser).invite(now, &from, &to, Some("v=0"), None);
                simulation.settle();
                if let Some(challenge) = simulation.refusal(browser, first) {
                    let secret = format!("secret-{user}");
                    let sdp = random.random_bool(0.8).then_some("v=0");
                    let session = simulation.peer(browser).invite(now, &from, &to, sdp, Some((&challenge, &secret)));
                    sessions.push((browser, session));
                }
            }
            2 => {
                let now = simulation.now;
                let sdp = random.random_bool(0.8).then_some("v=0");
                let to = "sip:+493011100@203.0.113.1";
                let session = simulation.peer(trunks[0]).invite(now, "sip:+1555000111@x.example", to, sdp, None);
                sessions.push((trunks[0], session));
            }
            3 => simulation.pass(Duration::from_millis(random.random_range(0..40_000))),
            4 if random.random_bool(0.3) => {
                let now = simulation.now;
                let connection = ConnectionId(random.random_range(1..=4));
                simulation.switchboard.handle_flow_closed(now, connection);
            }
            5 => {
                let now = simulation.now;
                if let Some(event) = media_event(&mut random, &simulation) {
                    simulation.switchboard.handle_media(now, ShardIndex(0), event);
                }
            }
            _ if !sessions.is_empty() => {
                let (peer, session) = sessions[random.random_range(0..sessions.len())];
                disturb(&mut simulation, &mut random, peer, session);
            }
            _ => {}
        }
        simulation.settle();
        for peer in browsers.iter().chain(&trunks) {
            for (session, _) in simulation.invites(*peer) {
                if !sessions.contains(&(*peer, session)) {
                    sessions.push((*peer, session));
                }
            }
        }
    }
    let now = simulation.now;
    simulation.switchboard.handle_operator(now, Operator::HangupAll).unwrap();
    simulation.assert_all_over();
    let mut begun: Vec<_> = simulation.views.iter().map(|view| view.id.clone()).collect();
    begun.sort();
    begun.dedup();
    let mut ended: Vec<_> = simulation.records.iter().map(|record| record.call.id.clone()).collect();
    ended.sort();
    assert_eq!(begun, ended, "each call has one record");
    assert!(simulation.records.iter().all(|record| !record.explanation.is_empty()));
}

#[test]
fn every_call_ends_whatever_happens() {
    for seed in 0..150 {
        println!("seed {seed}");
        run(seed);
    }
}
