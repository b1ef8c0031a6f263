#![allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]

use std::net::SocketAddr;

use sip::{Headers, StatusCode, Transport};

use super::*;
use crate::directory::{Gateway, Trunk};

fn hop(last: u8) -> Hop {
    Hop::new(Transport::Udp, SocketAddr::from(([192, 0, 2, last], 5060)))
}

fn directory(interval: u64, servers: &[u8]) -> Directory {
    let gateway = Gateway {
        host: "sip.carrier.example".to_owned(),
        transport: None,
        hops: servers.iter().map(|last| hop(*last)).collect(),
        priority: 1,
        weight: 1,
    };
    let trunk = Trunk {
        id: "trk_1".to_owned(),
        enabled: true,
        gateways: vec![gateway],
        options_ping: Duration::from_secs(interval),
        ..Trunk::default()
    };
    Directory { trunks: [(trunk.id.clone(), trunk)].into(), ..Directory::default() }
}

fn key(last: u8) -> ServerKey {
    ServerKey::new("trk_1", hop(last).flow())
}

fn health(interval: u64) -> (Health, Instant) {
    let now = Instant::now();
    let mut health = Health::default();
    health.follow(now, &directory(interval, &[1, 2]), || 0.5);
    (health, now)
}

fn refusal(retry_after: &str) -> Response {
    let mut headers = Headers::new();
    headers.push("Retry-After", retry_after);
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Response { status, reason: String::new(), headers, body: bytes::Bytes::new() }
}

#[test]
fn a_server_is_down_after_two_failures_in_a_row_and_up_after_two_answers() {
    let (mut health, now) = health(30);
    let worth = |health: &Health| health.worth(now, &key(1));
    health.silent(now, &key(1));
    health.heard(now, &key(1));
    health.silent(now, &key(1));
    assert_eq!(worth(&health), Worth::Alive, "not in a row");
    health.silent(now, &key(1));
    assert_eq!(worth(&health), Worth::Down);
    health.heard(now, &key(1));
    health.silent(now, &key(1));
    health.heard(now, &key(1));
    assert_eq!(worth(&health), Worth::Down, "not in a row");
    health.heard(now, &key(1));
    assert_eq!(worth(&health), Worth::Alive);
    assert_eq!(health.worth(now, &key(2)), Worth::Alive, "another server has nothing to do with it");
}

#[test]
fn a_server_that_says_so_is_left_alone_for_a_while_and_not_for_hours() {
    let (mut health, now) = health(30);
    let at = |seconds| now + Duration::from_secs(seconds);
    health.unavailable(now, &key(1), &refusal("20 (maintenance);duration=3600"));
    assert_eq!((health.worth(at(19), &key(1)), health.worth(at(20), &key(1))), (Worth::LeftAlone, Worth::Alive));
    for long in ["86400", "99999999999999999999999"] {
        health.unavailable(now, &key(1), &refusal(long));
        assert_eq!((health.worth(at(119), &key(1)), health.worth(at(120), &key(1))), (Worth::LeftAlone, Worth::Alive));
    }
    for none in ["", "soon", "-5"] {
        health.unavailable(now, &key(2), &refusal(none));
        assert_eq!(health.worth(now, &key(2)), Worth::Alive, "{none:?}");
    }
}

#[test]
fn a_new_directory_keeps_what_is_known_of_the_servers_that_stay() {
    let (mut health, now) = health(30);
    for last in [1, 2] {
        health.silent(now, &key(last));
        health.silent(now, &key(last));
    }
    health.follow(now, &directory(60, &[1, 3]), || 0.5);
    assert_eq!(health.worth(now, &key(1)), Worth::Down);
    health.follow(now, &directory(60, &[1, 2]), || 0.5);
    assert_eq!(health.worth(now, &key(2)), Worth::Alive, "it was away");
    assert_eq!(health.due.len(), 2, "{:?}", health.due);
    health.follow(now, &Directory::default(), || 0.5);
    assert!(health.due.is_empty() && health.servers.is_empty());
}

#[test]
fn servers_nobody_asks_get_another_chance_after_a_minute() {
    let (mut health, now) = health(0);
    assert_eq!(health.next_timeout(), None);
    health.silent(now, &key(1));
    health.silent(now, &key(1));
    let later = health.next_timeout().unwrap();
    assert_eq!(later, now + FORGIVEN);
    assert_eq!(health.worth(later, &key(1)), Worth::Down);
    health.follow(later, &directory(0, &[1, 2]), || 0.5);
    let clock = Clock { instant: now, system: std::time::SystemTime::UNIX_EPOCH };
    health.news(&clock);
    assert!(health.next_to_ask(later, || 0.5).is_none());
    assert_eq!(health.worth(later, &key(1)), Worth::Alive);
    assert_eq!(health.news(&clock)[0].1[0].state, ServerState::Unknown);
    health.silent(later, &key(1));
    assert_eq!(health.worth(later, &key(1)), Worth::Down, "one more failure is enough");
}
