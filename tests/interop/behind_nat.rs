//! A carrier behind NAT, and the gateway behind NAT: rport (RFC 3581), symmetric RTP, private addresses in Contact and SDP.

use std::net::UdpSocket;

use serde_json::json;

use crate::network::{self, Hidden, INSIDE, OUTSIDE, ROUTER};
use crate::sipp::Sipp;
use crate::support::audio::{FRAME, TrunkAudio, level_db};
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, NUMBER};
use crate::support::phone::Phone;

/// Both hear the other's tone.
async fn assert_talk(browser: &mut Browser, carrier: &mut TrunkAudio, to: &[u8]) {
    carrier.say(to, 1000.0, 100).await;
    let heard = browser.hear(90).await;
    let level = level_db(&heard[20 * FRAME..], 1000.0);
    assert!(level.abs() < 3.0, "the browser hears the carrier at {level} dB");
    browser.say(400.0, 100).await;
    let heard = carrier.hear(90).await;
    let level = level_db(&heard[20 * FRAME..], 400.0);
    assert!(level.abs() < 3.0, "the carrier hears the browser at {level} dB");
}

#[test]
fn a_carrier_behind_nat_is_answered_heard_and_hung_up_where_it_sends_from() {
    let networks = Hidden::new();
    let socket = networks.inside.make(|| UdpSocket::bind((INSIDE, 0)).unwrap());
    network::block_on(&networks.outside, || async {
        let gateway = Gateway::start_with(|config| {
            config.sip.udp_listen.set_ip(OUTSIDE.parse().unwrap());
            config.media.listen = OUTSIDE.parse().unwrap();
        })
        .await;
        let networks_of = json!([format!("{ROUTER}/32")]);
        gateway.trunk_with(json!({"inbound": {"cidrs": networks_of}, "media_cidrs": networks_of})).await;
        let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
        let mut carrier = TrunkAudio::with(socket);
        let to = gateway.running.ports().sip_udp.to_string();
        let media = carrier.port().to_string();
        let arguments = ["-s", NUMBER, "-key", "rtp_port", &media, &to];
        let sipp = Sipp::play_in(&networks.inside, INSIDE, "hidden_caller", &arguments);
        let (incoming, invite) = agent.invitation().await;
        agent.ring(incoming).await;
        agent.accept(incoming, &browser.answer()).await;
        browser.connect(&invite.body).await;
        let to = sipp.description().await;
        assert_talk(&mut browser, &mut carrier, to.as_bytes()).await;
        agent.hang_up(incoming).await;
        sipp.assert_success().await;
        gateway.running.shutdown().await;
    });
}

#[test]
fn a_gateway_behind_nat_names_its_public_address_and_is_reached_there() {
    let networks = Hidden::with_ports_forwarded();
    let outside = || networks.outside.make(|| UdpSocket::bind((OUTSIDE, 0)).unwrap());
    let (carriers, browsers) = (outside(), outside());
    network::block_on(&networks.inside, || async {
        let gateway = Gateway::start_with(|config| {
            config.sip.udp_listen.set_ip(INSIDE.parse().unwrap());
            config.sip.advertised_address = Some(ROUTER.parse().unwrap());
            config.media.listen = INSIDE.parse().unwrap();
            config.media.advertised_addresses = vec![ROUTER.parse().unwrap()];
        })
        .await;
        let mut carrier = TrunkAudio::with(carriers);
        let media = carrier.port().to_string();
        let arguments = ["-key", "rtp_port", &media];
        let sipp = Sipp::play_in(&networks.outside, OUTSIDE, "outside_callee", &arguments);
        gateway.trunk(sipp.address, "udp").await;
        let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::with(browsers));
        let session = agent.call("100", "+4930222333", &browser.offer()).await;
        let answer = agent.answer(session).await;
        browser.connect(&answer.body).await;
        let to = sipp.description().await;
        assert!(to.contains(ROUTER), "{to}");
        assert_talk(&mut browser, &mut carrier, to.as_bytes()).await;
        agent.hang_up(session).await;
        sipp.assert_success().await;
        gateway.running.shutdown().await;
    });
}
