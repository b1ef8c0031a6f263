//! A trunk whose gateway is reached inside TLS.

use sip::{Request, Transport};
use testkit::Simulation;

use crate::PLAN;

/// The INVITE that the first trunk's gateway gets.
fn invited(port: Option<u16>) -> Request {
    let mut simulation = Simulation::with(PLAN, |config, directory| {
        config.advertised_tls_port = port;
        let gateway = &mut directory.trunks.get_mut("trk_main").unwrap().gateways[0];
        gateway.transport = Some(Transport::Tls);
        gateway.hops[0].transport = Transport::Tls;
    });
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.call(browser, "100", "+15551234567");
    simulation.invites(trunk).into_iter().next().expect("an INVITE").1
}

#[test]
fn everything_an_invite_inside_tls_says_of_its_transport_is_tls() {
    let invite = invited(Some(5071));
    let via = invite.headers.get("Via").unwrap();
    assert!(via.starts_with("SIP/2.0/TLS ") && via.contains(":5071;"), "{via}");
    let contact = invite.headers.get("Contact").unwrap();
    assert!(contact.contains(":5071;transport=tls>"), "{contact}");
    assert!(invite.uri.to_string().ends_with("@main.carrier.example;transport=tls"), "{}", invite.uri);
}

#[test]
fn without_a_listener_inside_tls_no_port_of_another_transport_is_told() {
    let invite = invited(None);
    let contact = invite.headers.get("Contact").unwrap();
    assert!(contact.ends_with("@127.0.0.1;transport=tls>"), "{contact}");
    assert!(!invite.headers.get("Via").unwrap().contains(":5060"));
}
