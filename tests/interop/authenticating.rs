//! Carriers that ask for credentials, and those that show theirs. SIPp verifies MD5 in Authorization; SHA-256 and Proxy-Authorization are
//! verified by the crate's own tests with fixed digests, and here their form is.

use std::time::Instant;

use serde_json::json;
use sip::{ClientCredentials, Ha1, Invitation, NameAddr, StatusCode, Uri};

use crate::sipp::Sipp;
use crate::support::audio::TrunkAudio;
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, NUMBER};
use crate::support::phone::Phone;

async fn trunk(gateway: &Gateway, sipp: &Sipp) {
    let gateways = json!([{"uri": format!("sip:{}", sipp.address)}]);
    let auth = json!({"username": "user", "password": "secret", "realm": "carrier.test"});
    gateway.trunk_with(json!({"gateways": gateways, "auth": auth})).await;
}

/// An agent's call to a carrier that challenges INVITE and BYE in this way.
async fn challenged(qop: &str) {
    let gateway = Gateway::start().await;
    let sipp = Sipp::play("challenger", &["-key", "qop", qop]);
    trunk(&gateway, &sipp).await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    agent.answer(session).await;
    agent.hang_up(session).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_carrier_that_knows_nothing_of_qop_verifies_every_request() {
    challenged("").await;
}

#[tokio::test]
async fn a_carrier_that_wants_auth_verifies_every_request() {
    challenged(", qop=\"auth,auth-int\", algorithm=MD5").await;
}

#[tokio::test]
async fn a_carrier_that_wants_the_body_protected_verifies_every_request() {
    challenged(", algorithm=MD5, qop=auth-int").await;
}

#[tokio::test]
async fn a_carrier_verifies_the_reinvite_that_puts_it_on_hold() {
    let gateway = Gateway::start().await;
    let to = gateway.running.ports().sip_udp.to_string();
    let sipp = Sipp::play("held", &["-key", "gateway", &to]);
    trunk(&gateway, &sipp).await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    agent.answer(session).await;
    let legs = |calls: &serde_json::Value| {
        let call = calls["data"].get(0)?;
        let leg = call["legs"].as_array()?.iter().find(|leg| leg["party"] == "+4930222333")?;
        (leg["state"] == "connected").then(|| (call["id"].as_str().unwrap().to_owned(), leg["id"].clone()))
    };
    let (call, leg) = gateway.eventually("/v1/calls", legs).await;
    gateway.post(&format!("/v1/calls/{call}/hold"), json!({"leg_id": leg})).await;
    agent.farewell(session).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn of_a_proxys_challenges_the_stronger_is_answered() {
    let gateway = Gateway::start().await;
    let sipp = Sipp::play("proxy", &[]);
    trunk(&gateway, &sipp).await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    agent.answer(session).await;
    agent.hang_up(session).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_challenge_of_another_realm_is_not_answered_and_no_challenge_to_the_agent() {
    let gateway = Gateway::start().await;
    let sipp = Sipp::play("foreign_realm", &[]);
    trunk(&gateway, &sipp).await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    assert_eq!(agent.refusal(session).await.status, StatusCode::SERVICE_UNAVAILABLE);
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_carrier_from_anywhere_calls_in_by_its_digest() {
    let gateway = Gateway::start().await;
    let auth = json!({"username": "carrier", "password": "a long secret"});
    gateway.trunk_with(json!({"inbound": {"auth": auth}})).await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let (mut carrier, voice) = (Phone::trunk(&gateway, "127.0.0.1").await, TrunkAudio::new().await);
    let uri = Uri::parse(&format!("sip:{NUMBER}@{}", gateway.running.ports().sip_udp)).unwrap();
    let realm = testkit::REALM;
    let invitation = |password: &str| Invitation {
        flow: carrier.peer.to_switchboard,
        to: NameAddr::new(uri.clone()),
        uri: uri.clone(),
        contact: Uri::parse(&format!("sip:carrier@{}", carrier.address())).unwrap(),
        from: NameAddr::new(Uri::parse("sip:+4930222333@carrier.test").unwrap()),
        max_forwards: None,
        headers: Vec::new(),
        body: Some(("application/sdp".into(), voice.description().into())),
        session_expires: None,
        reliability: sip::Reliability::Off,
        credentials: Some(ClientCredentials {
            username: "carrier".into(),
            realm: realm.into(),
            ha1: Ha1::new("carrier", realm, password),
        }),
    };
    let (wrong, right) = (invitation("a wrong secret"), invitation("a long secret"));
    let session = carrier.peer.endpoint.invite(Instant::now(), wrong);
    assert_eq!(carrier.refusal(session).await.status, StatusCode::UNAUTHORIZED);
    let session = carrier.peer.endpoint.invite(Instant::now(), right);
    let answers = async {
        let (incoming, _) = agent.invitation().await;
        agent.accept(incoming, &browser.answer()).await;
        incoming
    };
    let (incoming, _) = tokio::join!(answers, carrier.answer(session));
    carrier.hang_up(session).await;
    agent.farewell(incoming).await;
    gateway.running.shutdown().await;
}
