//! Trunks fail: the next one is tried when that may help, and the caller is told when it cannot.

use std::net::SocketAddr;
use std::time::Duration;

use sip::{Flow, Method, StatusCode, Transport};
use switchboard::{Directory, Gateway, Hop};
use testkit::Simulation;

use crate::PLAN;

/// What the first trunk says, and whether the second is tried or what the caller is told.
#[test]
fn a_trunks_own_trouble_leads_to_the_next_and_the_called_partys_word_to_the_caller() {
    let cases = [
        (500, None),
        (502, None),
        (503, None),
        (504, None),
        (408, None),
        (401, None),
        (407, None),
        (403, Some((403, 21))),
        (404, Some((404, 1))),
        (410, Some((410, 22))),
        (480, Some((480, 18))),
        (484, Some((484, 28))),
        (486, Some((486, 17))),
        (488, Some((488, 88))),
        (600, Some((600, 17))),
        (603, Some((603, 21))),
    ];
    for (status, told) in cases {
        let mut simulation = Simulation::new(PLAN);
        let (browser, main, spare) = (simulation.browser(1), simulation.gateway(1), simulation.gateway(2));
        let session = simulation.call(browser, "100", "+15551234567");
        let incoming = simulation.incoming(main);
        simulation.answer(main, incoming, StatusCode::new(status).unwrap(), None);
        assert_eq!(simulation.invites(spare).len(), usize::from(told.is_none()), "{status}");
        let refused = simulation.refusal(browser, session);
        let heard = refused.map(|r| (r.status.code(), r.headers.reasons()[0].cause.unwrap()));
        assert_eq!(heard, told, "{status}");
        if told.is_none() {
            let incoming = simulation.incoming(spare);
            simulation.answer(spare, incoming, StatusCode::OK, Some("v=0 spare"));
            assert!(simulation.is_answered(browser, session), "{status}");
            simulation.hang_up(browser, session);
        }
        simulation.assert_all_over();
    }
}

#[test]
fn when_every_trunk_fails_the_caller_hears_of_it_with_a_reason() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, main, spare) = (simulation.browser(1), simulation.gateway(1), simulation.gateway(2));
    let session = simulation.call(browser, "100", "+15551234567");
    for trunk in [main, spare] {
        let incoming = simulation.incoming(trunk);
        simulation.answer(trunk, incoming, StatusCode::SERVICE_UNAVAILABLE, None);
    }
    let refused = simulation.refusal(browser, session).unwrap();
    assert_eq!((refused.status.code(), refused.headers.reasons()[0].cause), (503, Some(42)));
    assert_eq!(simulation.invites(main).len() + simulation.invites(spare).len(), 2, "each is tried once");
    simulation.assert_all_over();
}

#[test]
fn a_silent_gateway_is_left_after_the_attempts_time_and_cancelled_if_it_wakes() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, main, spare) = (simulation.browser(1), simulation.gateway(1), simulation.gateway(2));
    simulation.loses = Box::new(move |peer, text| peer == main && text.starts_with("SIP/2.0 "));
    let session = simulation.call(browser, "100", "+15551234567");
    simulation.pass(Duration::from_millis(3999));
    assert!(simulation.invites(spare).is_empty());
    simulation.pass(Duration::from_millis(1));
    let incoming = simulation.incoming(spare);
    simulation.answer(spare, incoming, StatusCode::OK, Some("v=0 spare"));
    simulation.loses = Box::new(|_, _| false);
    simulation.pass(Duration::from_secs(5));
    let woken = simulation.incoming(main);
    assert!(simulation.is_cancelled(main, woken), "its late 100 lets the CANCEL go");
    assert_eq!(simulation.requests_to(main, &Method::Cancel)[0].headers.reasons()[0].cause, Some(102));
    assert!(simulation.is_answered(browser, session));
    simulation.hang_up(browser, session);
    simulation.assert_all_over();
}

#[test]
fn a_gateway_heard_with_100_may_take_its_time() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, main, spare) = (simulation.browser(1), simulation.gateway(1), simulation.gateway(2));
    let session = simulation.call(browser, "100", "+15551234567");
    simulation.pass(Duration::from_secs(15));
    assert!(simulation.invites(spare).is_empty());
    let incoming = simulation.incoming(main);
    simulation.answer(main, incoming, StatusCode::OK, Some("v=0 main"));
    assert!(simulation.is_answered(browser, session));
    simulation.hang_up(browser, session);
    simulation.assert_all_over();
}

#[test]
fn a_gateway_that_cannot_be_reached_leads_to_the_next_at_once() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, main, spare) = (simulation.browser(1), simulation.gateway(1), simulation.gateway(2));
    simulation.loses = Box::new(move |peer, _| peer == main);
    simulation.call(browser, "100", "+15551234567");
    let now = simulation.now;
    let flow = Flow { transport: Transport::Udp, peer: main, connection: None, tls: None };
    simulation.switchboard.handle_flow_failed(now, flow);
    simulation.settle();
    assert_eq!(simulation.invites(spare).len(), 1);
    simulation.assert_all_over();
}

/// Four gateways of one trunk with these priorities and weights; gives the addresses in the order they were called.
fn order(changes: &[(u8, u16, u16)]) -> Vec<u8> {
    let change = |directory: &mut Directory| {
        let gateway = |(last, priority, weight): &(u8, u16, u16)| Gateway {
            host: format!("gw{last}.carrier.example"),
            transport: Some(Transport::Udp),
            hops: vec![Hop::new(Transport::Udp, SocketAddr::from(([198, 51, 100, *last], 5060)))],
            priority: *priority,
            weight: *weight,
        };
        directory.trunks.get_mut("trk_main").unwrap().gateways = changes.iter().map(gateway).collect();
        directory.trunks.get_mut("trk_spare").unwrap().enabled = false;
    };
    let mut simulation = Simulation::with(PLAN, |_, directory| change(directory));
    let browser = simulation.browser(1);
    let gateways: Vec<SocketAddr> = changes.iter().map(|(last, ..)| simulation.gateway(*last)).collect();
    simulation.call(browser, "100", "+15551234567");
    let mut order = Vec::new();
    while let Some(gateway) = gateways.iter().copied().find(|gateway| {
        let mine = simulation.requests_to(*gateway, &Method::Invite).len();
        mine > 0 && !order.contains(gateway)
    }) {
        order.push(gateway);
        let incoming = simulation.incoming(gateway);
        simulation.answer(gateway, incoming, StatusCode::SERVICE_UNAVAILABLE, None);
    }
    simulation.assert_all_over();
    order.iter().map(|gateway| if let SocketAddr::V4(v4) = gateway { v4.ip().octets()[3] } else { 0 }).collect()
}

#[test]
fn gateways_are_tried_by_priority() {
    assert_eq!(order(&[(13, 30, 1), (11, 10, 1), (14, 40, 1), (12, 20, 1)]), [11, 12, 13, 14]);
}

#[test]
fn the_request_uri_names_the_provider_and_not_the_address_it_resolved_to() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, main) = (simulation.browser(1), simulation.gateway(1));
    simulation.call(browser, "100", "+15551234567");
    let invite = &simulation.requests_to(main, &Method::Invite)[0];
    assert_eq!(invite.uri.to_string(), "sip:+15551234567@main.carrier.example");
    assert_eq!(invite.headers.to().unwrap().unwrap().uri.to_string(), "sip:+15551234567@main.carrier.example");
    simulation.assert_all_over();
}
