//! The messages of RFC 4475 at the switchboard: over a WebSocket, where agents must authenticate, and from a trunk.

use std::path::Path;
use std::time::Duration;

use sip::{Flow, Message};
use testkit::Simulation;

fn messages() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/sip/tests/torture");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    files.into_iter().map(|path| (name(&path), std::fs::read(path).unwrap())).collect()
}

/// The statuses a message is answered with over a flow.
fn answers(simulation: &mut Simulation, flow: Flow, bytes: &[u8]) -> Vec<u16> {
    simulation.switchboard.handle_message(simulation.now, flow, bytes);
    let mut statuses = Vec::new();
    while let Some(output) = simulation.switchboard.poll_output() {
        if let switchboard::Output::Transmit(transmit) = output {
            let line = String::from_utf8_lossy(&transmit.bytes[..12]).into_owned();
            statuses.push(line["SIP/2.0 ".len()..][..3].parse().unwrap());
        }
    }
    statuses
}

#[test]
fn what_asks_for_something_is_answered_by_its_sender_and_its_credentials() {
    let all = messages();
    assert_eq!(all.len(), 49);
    let of = |name: &str| all.iter().find(|(known, _)| known == name).unwrap().1.clone();
    for (name, agent, trunk) in [
        // An authentication scheme that nobody knows is none.
        ("regaut01", 401, 403),
        ("unksm2", 401, 403),
        ("dblreq", 401, 403),
        ("escnull", 401, 403),
        ("zeromf", 401, 200),
        ("lwsdisp", 401, 200),
        ("mpart01", 401, 405),
        ("esc01", 407, 404),
        ("inv2543", 407, 404),
        ("sdp01", 406, 406),
        ("invut", 415, 415),
        ("unkscm", 416, 416),
        ("bext01", 420, 420),
        ("wsinv", 481, 481),
        ("intmeth", 501, 501),
        ("badvers", 505, 505),
        ("insuf", 400, 400),
    ] {
        let mut simulation = Simulation::new(crate::PLAN);
        let (browser, gateway) = (simulation.browser(1), simulation.gateway(1));
        for (peer, status) in [(browser, agent), (gateway, trunk)] {
            let flow = simulation.peer(peer).from_switchboard;
            assert_eq!(answers(&mut simulation, flow, &of(name)).last(), Some(&status), "{name} from {peer}");
        }
    }
}

#[test]
fn none_of_them_leaves_anything_behind() {
    for (name, bytes) in messages() {
        let mut simulation = Simulation::new(crate::PLAN);
        for peer in [simulation.browser(1), simulation.gateway(1)] {
            let flow = simulation.peer(peer).from_switchboard;
            let answered = answers(&mut simulation, flow, &bytes);
            let silent = ["badinv01", "scalarlg", "bigcode", "bcast", "unreason", "noreason"].contains(&name.as_str());
            assert_eq!(answered.is_empty(), silent, "{name} {answered:?}");
            assert!(Message::parse(&bytes).is_ok() || answered.len() <= 1, "{name}");
        }
        simulation.pass(Duration::from_secs(64));
        let held = simulation.switchboard.endpoint_counters();
        assert_eq!((held.server_transactions, held.sessions, held.flows), (0, 0, 0), "{name}");
        assert_eq!(simulation.switchboard.call_count(), 0, "{name}");
    }
}
