//! What a support person reads of calls that went wrong, over the real API.

use std::time::Instant;

use reqwest::StatusCode as HttpStatus;
use serde_json::{Value, json};
use sip::{Request, ResponseDraft, StatusCode};

use crate::support::audio::TrunkAudio;
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, SECRET};
use crate::support::phone::Phone;

/// The trace of the call that ended first.
async fn ended(gateway: &Gateway) -> Value {
    let id = gateway
        .eventually("/v1/cdrs", |list| {
            list["data"].get(0).and_then(|record| Some(record["call_id"].as_str()?.to_owned()))
        })
        .await;
    let path = format!("/v1/calls/{id}/trace");
    // A record is stored and a trace written down by tasks of their own.
    gateway.eventually(&path, |trace| (trace["state"] == "ended").then(|| trace.clone())).await
}

fn summaries(trace: &Value) -> Vec<String> {
    let messages = trace["messages"].as_array().unwrap().iter();
    messages
        .map(|message| format!("{} {}", message["direction"].as_str().unwrap(), message["summary"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_call_to_a_trunk_where_nobody_listens_says_so() {
    let gateway = Gateway::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    gateway.trunk(dead, "tcp").await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    agent.refusal(session).await;
    let trace = ended(&gateway).await;
    let explanation = trace["explanation"].as_str().unwrap();
    let told = "Trunk carrier could not be reached: it refuses the TCP connection; nothing listens there";
    assert!(explanation.starts_with(told), "{explanation}");
    let cdrs = gateway.get("/v1/cdrs").await;
    assert_eq!(cdrs["data"][0]["explanation"], trace["explanation"]);
    assert_eq!(summaries(&trace)[0], "in INVITE sip:+4930222333@phone.example.com");
    let attempt = trace["routing"].as_array().unwrap().iter().find(|step| step["step"] == "attempt").unwrap();
    assert!(attempt["text"].as_str().unwrap().contains(&format!("{dead} over TCP")), "{attempt}");
    let id = trace["call_id"].as_str().unwrap();
    assert_eq!(gateway.fetch(&format!("/v1/calls/{id}0/trace")).await.status(), HttpStatus::NOT_FOUND);
    gateway.running.shutdown().await;
}

/// A parameter of the credentials or challenge in a message's header.
fn param(request: &Request, header: &str, name: &str) -> String {
    let text = request.headers.get(header).unwrap();
    let (_, rest) = text.split_once(&format!("{name}=\"")).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_wrong_password_at_the_carrier_is_explained_and_no_secret_is_in_the_trace() {
    let gateway = Gateway::start().await;
    let mut trunk = Phone::trunk(&gateway, "127.0.0.1").await;
    let address = trunk.address();
    let auth = json!({"username": "we", "password": "wrong-password", "realm": "carrier.test"});
    let gateways = json!([{"uri": format!("sip:{address}"), "transport": "udp"}]);
    gateway.trunk_with(json!({"gateways": gateways, "inbound": {"cidrs": ["127.0.0.1/32"]}, "auth": auth})).await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let offer = browser.offer();
    let session = agent.call("100", "+4930222333", &offer).await;
    let challenge = "Digest realm=\"carrier.test\", nonce=\"the-carriers-nonce\", opaque=\"the-opaque\", qop=\"auth\", algorithm=MD5";
    let challenged =
        || ResponseDraft::new(StatusCode::PROXY_AUTHENTICATION_REQUIRED).with_header("Proxy-Authenticate", challenge);
    let (first, _) = trunk.invitation().await;
    trunk.peer.endpoint.reject(Instant::now(), first, challenged());
    trunk.flush().await;
    let (second, proven) = trunk
        .until("a second INVITE", |heard| match heard {
            testkit::Heard::Invite(session, request) if *session != first => Some((*session, request.clone())),
            _ => None,
        })
        .await;
    trunk.peer.endpoint.reject(Instant::now(), second, challenged());
    trunk.flush().await;
    agent.refusal(session).await;

    let trace = ended(&gateway).await;
    let explanation = trace["explanation"].as_str().unwrap();
    assert!(explanation.contains("look at the user name, password and realm of the trunk"), "{explanation}");
    let seen = summaries(&trace);
    assert_eq!(seen.iter().filter(|line| line.starts_with("out INVITE ")).count(), 2, "{seen:?}");
    assert_eq!(seen.iter().filter(|line| line.starts_with("in 407 ")).count(), 2, "{seen:?}");
    let whole = trace.to_string();
    let pwd = offer.lines().find_map(|line| line.strip_prefix("a=ice-pwd:")).unwrap().trim().to_owned();
    let header = "Proxy-Authorization";
    let secrets = [
        "wrong-password".to_owned(),
        SECRET.to_owned(),
        "the-carriers-nonce".to_owned(),
        "the-opaque".to_owned(),
        pwd,
        param(&proven, header, "response"),
        param(&proven, header, "cnonce"),
    ];
    for secret in secrets {
        assert!(!secret.is_empty() && !whole.contains(&secret), "{secret} in {whole}");
    }
    assert!(whole.contains("username=\\\"we\\\"") && whole.contains("response=\\\"(removed)\\\""), "{whole}");
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_browser_whose_media_never_comes_is_told_of_while_the_call_goes_on() {
    let gateway = Gateway::start().await;
    let (mut trunk, carrier) = (Phone::trunk(&gateway, "127.0.0.1").await, TrunkAudio::new().await);
    gateway.trunk(trunk.address(), "udp").await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    let (incoming, _) = trunk.invitation().await;
    trunk.accept(incoming, &carrier.description()).await;
    agent.answer(session).await;
    let call = gateway.eventually("/v1/calls", |list| list["data"].get(0).cloned()).await;
    let path = format!("/v1/calls/{}/trace", call["id"].as_str().unwrap());
    let said = "The call is answered; no ICE check of extension 100 ever arrived";
    let trace = gateway
        .eventually(&path, |trace| trace["explanation"].as_str()?.starts_with(said).then(|| trace.clone()))
        .await;
    let leg = &call["legs"][0]["id"];
    let of_browser: Vec<&Value> =
        trace["media"].as_array().unwrap().iter().filter(|note| note["leg_id"] == *leg).collect();
    assert_eq!(of_browser.iter().map(|note| note["event"].as_str().unwrap()).collect::<Vec<_>>(), ["agreed"]);
    agent.hang_up(session).await;
    gateway.running.shutdown().await;
}
