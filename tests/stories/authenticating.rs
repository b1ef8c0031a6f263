//! Who may speak: agents with the right secret, once per count; trunks by address; scanners get silence.

use std::net::SocketAddr;
use std::time::Duration;

use sip::{ConnectionId, Flow, Response, StatusCode, Transport};
use testkit::{REALM, Simulation};

use crate::PLAN;

const CONTACT: &str = "<sip:100@b.invalid;transport=ws>";

fn register(simulation: &mut Simulation, browser: SocketAddr, answering: Option<(&Response, &str)>) -> Response {
    let now = simulation.now;
    simulation.peer(browser).register(now, "100", CONTACT, 600, answering);
    simulation.settle();
    simulation.last_response(browser)
}

/// Whether every challenge of a response says `stale=true`.
fn is_stale(response: &Response) -> bool {
    let mut challenges = response.headers.auth_params("WWW-Authenticate");
    challenges.all(|challenge| challenge.get("stale").is_some_and(|stale| stale == "true"))
}

#[test]
fn both_algorithms_are_offered_md5_last() {
    let mut simulation = Simulation::new(PLAN);
    let browser = simulation.browser(1);
    let challenge = register(&mut simulation, browser, None);
    assert_eq!(challenge.status, StatusCode::UNAUTHORIZED);
    let challenges: Vec<_> = challenge.headers.auth_params("WWW-Authenticate").collect();
    let algorithms: Vec<_> = challenges.iter().map(|c| c.get("algorithm").unwrap().into_owned()).collect();
    assert_eq!(algorithms, ["SHA-256", "MD5"]);
    assert!(challenges.iter().all(|c| c.get("realm").unwrap() == REALM && c.get("stale").is_none()));
}

#[test]
fn a_nonce_serves_again_until_it_is_too_old_then_a_stale_challenge_comes() {
    let mut simulation = Simulation::new(PLAN);
    let browser = simulation.browser(1);
    let challenge = register(&mut simulation, browser, None);
    for _ in 0..3 {
        let accepted = register(&mut simulation, browser, Some((&challenge, "secret-100")));
        assert_eq!(accepted.status, StatusCode::OK, "the count goes up by itself");
    }
    simulation.pass(Duration::from_secs(301));
    let old = register(&mut simulation, browser, Some((&challenge, "secret-100")));
    assert!(old.status == StatusCode::UNAUTHORIZED && is_stale(&old));
    assert_eq!(register(&mut simulation, browser, Some((&old, "secret-100"))).status, StatusCode::OK);
    assert_eq!(simulation.switchboard.counters().authentication_failures, 0, "nobody guessed");
}

#[test]
fn a_copied_register_is_challenged_and_changes_nothing() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, thief) = (simulation.browser(1), simulation.browser(2));
    let challenge = register(&mut simulation, browser, None);
    let copied = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
    let wiretap = copied.clone();
    simulation.loses = Box::new(move |peer, text| {
        if peer == browser && text.starts_with("REGISTER ") {
            wiretap.replace(text.to_owned());
        }
        false
    });
    assert_eq!(register(&mut simulation, browser, Some((&challenge, "secret-100"))).status, StatusCode::OK);
    let replay = copied.borrow().replace("z9hG4bK", "z9hG4bKreplay").replace("b.invalid", "thief.invalid");
    let (now, flow) = (simulation.now, simulation.peer(thief).from_switchboard);
    simulation.switchboard.handle_message(now, flow, replay.as_bytes());
    simulation.settle();
    let answered = simulation.sent.iter().rev().find_map(|(_, to, message)| match message {
        sip::Message::Response(response) if *to == thief => Some(response.clone()),
        _ => None,
    });
    let answered = answered.unwrap();
    assert!(answered.status == StatusCode::UNAUTHORIZED && is_stale(&answered));
    let contacts: Vec<_> = simulation.bindings["100"].iter().map(|binding| binding.address.uri().to_string()).collect();
    assert_eq!(contacts, ["sip:100@b.invalid;transport=ws"]);
}

#[test]
fn a_wrong_secret_is_challenged_without_stale_and_counted() {
    let mut simulation = Simulation::new(PLAN);
    let browser = simulation.browser(1);
    let challenge = register(&mut simulation, browser, None);
    let wrong = register(&mut simulation, browser, Some((&challenge, "secret-101")));
    assert!(wrong.status == StatusCode::UNAUTHORIZED && !is_stale(&wrong));
    assert_eq!(simulation.switchboard.counters().authentication_failures, 1);
    assert!(!simulation.bindings.contains_key("100"));
}

#[test]
fn an_agent_registers_no_address_but_its_own() {
    let mut simulation = Simulation::new(PLAN);
    let browser = simulation.browser(1);
    simulation.change(|directory| directory.credentials.get_mut("100").unwrap().extension = "101".to_owned());
    assert_eq!(simulation.register(browser, "100", 600).status, StatusCode::FORBIDDEN);
    assert!(!simulation.bindings.contains_key("100") && !simulation.bindings.contains_key("101"));
}

#[test]
fn every_method_outside_a_call_needs_credentials() {
    let mut simulation = Simulation::new(PLAN);
    let browser = simulation.browser(1);
    for method in ["OPTIONS", "MESSAGE", "SUBSCRIBE", "PUBLISH", "REFER", "NOTIFY", "INFO", "UPDATE"] {
        let text = format!(
            "{method} sip:{REALM} SIP/2.0\r\nVia: SIP/2.0/WSS b.invalid;branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
             From: <sip:100@{REALM}>;tag=a\r\nTo: <sip:101@{REALM}>\r\nCall-ID: {method}\r\nCSeq: 1 {method}\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let (now, flow) = (simulation.now, simulation.peer(browser).from_switchboard);
        simulation.switchboard.handle_message(now, flow, text.as_bytes());
        simulation.settle();
        let status = simulation.sent.last().and_then(|(_, _, message)| match message {
            sip::Message::Response(response) => Some(response.status),
            sip::Message::Request(_) => None,
        });
        assert_eq!(status, Some(StatusCode::UNAUTHORIZED), "{method}");
    }
}

#[test]
fn scanners_hear_nothing_over_udp_and_are_cut_off_over_tcp() {
    let mut simulation = Simulation::new(PLAN);
    let peer: SocketAddr = ([203, 0, 113, 99], 5060).into();
    for (method, transport) in [("OPTIONS", Transport::Udp), ("REGISTER", Transport::Udp), ("INVITE", Transport::Tcp)] {
        let connection = (transport == Transport::Tcp).then_some(ConnectionId(500));
        let text = format!(
            "{method} sip:100@203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.99;branch=z9hG4bK{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:scan@scan>;tag=a\r\nTo: <sip:100@203.0.113.1>\r\nCall-ID: {method}\r\n\
             CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
        );
        let now = simulation.now;
        simulation.switchboard.handle_message(now, Flow { transport, peer, connection, tls: None }, text.as_bytes());
        simulation.settle();
    }
    assert!(simulation.sent.is_empty(), "not a word");
    assert_eq!(simulation.closed, [ConnectionId(500)]);
    assert_eq!(simulation.switchboard.counters().strangers, 3);
    assert_eq!(simulation.switchboard.endpoint_counters().server_transactions, 0);
}

#[test]
fn a_trunk_may_ask_for_options_and_nothing_else_outside_calls() {
    let mut simulation = Simulation::new(PLAN);
    let trunk = simulation.gateway(1);
    for (method, expected) in [("OPTIONS", 200), ("REGISTER", 403), ("MESSAGE", 405), ("SUBSCRIBE", 489), ("BYE", 481)]
    {
        let text = format!(
            "{method} sip:203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:t@t>;tag=a\r\nTo: <sip:203.0.113.1>\r\nCall-ID: {method}\r\n\
             CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
        );
        let (now, flow) = (simulation.now, simulation.peer(trunk).from_switchboard);
        simulation.switchboard.handle_message(now, flow, text.as_bytes());
        simulation.settle();
        let status = simulation.sent.last().and_then(|(_, _, message)| match message {
            sip::Message::Response(response) => Some(response.status.code()),
            sip::Message::Request(_) => None,
        });
        assert_eq!(status, Some(expected), "{method}");
    }
}
