//! Trunks over TCP and inside TLS, and large requests over UDP.

use serde_json::{Value, json};
use sip::StatusCode;

use crate::baresip_inside_tls::Baresip;
use crate::sipp::Sipp;
use crate::support::audio::{FRAME, TrunkAudio, level_db};
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, NUMBER};
use crate::support::phone::Phone;
use crate::support::tls::Authority;
use crate::support::within;

const CALLED: &str = "+4930222333";

async fn assert_talk(browser: &mut Browser, carrier: &mut TrunkAudio, to: &[u8]) {
    carrier.say(to, 1000.0, 100).await;
    let level = level_db(&browser.hear(90).await[20 * FRAME..], 1000.0);
    assert!(level.abs() < 3.0, "the browser hears the carrier at {level} dB");
    browser.say(400.0, 100).await;
    let level = level_db(&carrier.hear(90).await[20 * FRAME..], 400.0);
    assert!(level.abs() < 3.0, "the carrier hears the browser at {level} dB");
}

/// An agent calls SIPp, which listens on TCP only, over a trunk with these fields.
async fn call_out(transport: &str, more: Value) {
    let gateway = Gateway::start().await;
    let mut carrier = TrunkAudio::new().await;
    let media = carrier.port().to_string();
    let sipp = Sipp::play("streaming_callee", &["-t", "t1", "-key", "rtp_port", &media]);
    let mut trunk = more;
    trunk["gateways"] = json!([{"uri": format!("sip:{}", sipp.address), "transport": transport}]);
    gateway.trunk_with(trunk).await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    sipp.listening().await;
    let session = agent.call("100", CALLED, &browser.offer()).await;
    browser.connect(&agent.answer(session).await.body).await;
    let to = sipp.description().await;
    assert_talk(&mut browser, &mut carrier, to.as_bytes()).await;
    agent.hang_up(session).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn an_agent_calls_sipp_over_tcp_and_both_hear_each_other() {
    call_out("tcp", json!({})).await;
}

#[tokio::test]
async fn an_invite_too_large_for_a_datagram_reaches_sipp_over_tcp() {
    let filler = json!({"direction": "outbound", "action": "add", "name": "X-Filler", "value": "x".repeat(200)});
    call_out("udp", json!({"header_rules": vec![filler; 6]})).await;
}

#[tokio::test]
async fn sipp_calls_an_agent_over_tcp_and_both_hear_each_other() {
    let gateway = Gateway::start().await;
    gateway.trunk("127.0.0.1:9".parse().unwrap(), "udp").await;
    let mut carrier = TrunkAudio::new().await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let (media, to) = (carrier.port().to_string(), gateway.running.ports().sip_tcp.to_string());
    let sipp = Sipp::play("streaming_caller", &["-t", "t1", "-s", NUMBER, "-key", "rtp_port", &media, &to]);
    let (incoming, invite) = agent.invitation().await;
    agent.ring(incoming).await;
    agent.accept(incoming, &browser.answer()).await;
    browser.connect(&invite.body).await;
    let to = sipp.description().await;
    assert_talk(&mut browser, &mut carrier, to.as_bytes()).await;
    agent.hang_up(incoming).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

/// A trunk whose gateway is a baresip with a certificate for this name.
async fn baresip(gateway: &Gateway, name: &str, encryption: &str) -> Baresip {
    let authority = Authority::new();
    let media = if encryption == "off" { "" } else { "mediaenc=srtp-mand" };
    let baresip = Baresip::start(CALLED, &authority.issue(&[name]), 1000.0, media).await;
    let gateways = json!([{"uri": format!("sip:localhost:{}", baresip.port), "transport": "tls"}]);
    let tls = json!({"ca_pem": authority.pem});
    gateway.trunk_with(json!({"gateways": gateways, "tls": tls, "media_encryption": encryption})).await;
    let mut directory = gateway.running.store().directory();
    let found = directory.wait_for(|directory| {
        directory.trunks.values().flat_map(|trunk| &trunk.gateways).any(|gateway| !gateway.hops.is_empty())
    });
    within("the address of localhost", found).await.unwrap();
    baresip
}

#[tokio::test]
async fn an_agent_calls_baresip_inside_tls_with_and_without_srtp_and_hears_it() {
    for (policy, encryption) in [("off", "none"), ("required", "sdes")] {
        let gateway = Gateway::start().await;
        let _baresip = baresip(&gateway, "localhost", policy).await;
        let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
        let session = agent.call("100", CALLED, &browser.offer()).await;
        browser.connect(&agent.answer(session).await.body).await;
        let level = level_db(&browser.hear(90).await[40 * FRAME..], 1000.0);
        assert!(level.abs() < 3.0, "{level} dB with encryption {policy}");
        let call = gateway.eventually("/v1/calls", |list| list["data"].get(0).cloned()).await;
        let leg = (&call["legs"][1]["transport"], &call["legs"][1]["encryption"]);
        assert_eq!(leg, (&json!("tls"), &json!(encryption)));
        agent.hang_up(session).await;
        gateway.running.shutdown().await;
    }
}

#[tokio::test]
async fn a_baresip_with_another_name_is_not_called_and_the_record_says_why() {
    let gateway = Gateway::start().await;
    let _baresip = baresip(&gateway, "sbc.other.example", "off").await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", CALLED, &browser.offer()).await;
    assert_eq!(agent.refusal(session).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let first = |page: &Value| page["data"][0]["explanation"].as_str().map(str::to_owned);
    let told = gateway.eventually("/v1/cdrs", first).await;
    assert!(told.contains("is not for localhost but for sbc.other.example"), "{told}");
    gateway.running.shutdown().await;
}
