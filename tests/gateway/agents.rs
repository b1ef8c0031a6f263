//! Agents at the REST API with their SIP credentials, over HTTP as it is: they see their call, hold it, and have it called to another phone.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::REALM;

use crate::support::audio::{FRAME, level_db};
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, SECRET};
use crate::support::phone::Phone;
use crate::support::within;

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Asks, is challenged, and asks again with the answer to the SHA-256 challenge (RFC 7616).
async fn ask(gateway: &Gateway, user: &str, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let http = reqwest::Client::new();
    let request = || http.request(method.clone(), gateway.url(path)).json(body);
    let challenged = within(path, request().send()).await.unwrap();
    assert_eq!(challenged.status(), StatusCode::UNAUTHORIZED);
    let values = challenged.headers().get_all("www-authenticate").iter().map(|value| value.to_str().unwrap());
    let challenge = values.into_iter().find(|value| value.contains("algorithm=SHA-256")).expect("a challenge");
    let nonce = sip::AuthParams::parse(challenge).unwrap().get("nonce").unwrap().into_owned();
    let (a1, a2) = (sha256(&format!("{user}:{REALM}:{SECRET}")), sha256(&format!("{method}:{path}")));
    let response = sha256(&format!("{a1}:{nonce}:00000001:c0ffee:auth:{a2}"));
    let value = format!(
        "Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{path}\", response=\"{response}\", \
         algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c0ffee\""
    );
    let answer = within(path, request().header("authorization", value).send()).await.unwrap();
    (answer.status(), answer.json().await.unwrap_or(Value::Null))
}

async fn look(gateway: &Gateway, user: &str, path: &str) -> Value {
    let (status, body) = ask(gateway, user, Method::GET, path, &Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

#[tokio::test]
async fn an_agent_finds_its_call_and_has_it_called_to_another_phone_where_it_is_heard_again() {
    let gateway = Gateway::start().await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "9196", &browser.offer()).await;
    browser.connect(&agent.answer(session).await.body).await;

    let call = look(&gateway, "100", "/v1/calls?limit=5").await["data"][0].clone();
    let call_id = agent.peer.endpoint.call_id(session).unwrap();
    assert_eq!(call["legs"][0]["sip_call_id"], call_id);
    let directory = look(&gateway, "101", "/v1/directory").await;
    assert_eq!(directory["data"][0], json!({"number": "100", "name": "Agent 100", "presence": "busy"}));
    assert_eq!(directory["data"][1]["presence"], "offline");
    assert_eq!(look(&gateway, "101", "/v1/calls").await["data"], json!([]), "it is not the other's call");

    let path = format!("/v1/calls/{}/reclaim", call["id"].as_str().unwrap());
    let refused = ask(&gateway, "101", Method::POST, &path, &json!({})).await;
    assert_eq!(refused.0, StatusCode::NOT_FOUND);
    let mut other = Phone::agent(&gateway, true).await;
    assert_eq!(other.register("100", SECRET, 600).await.status, sip::StatusCode::OK);
    let mut again = Browser::new().await;
    let (status, body) = ask(&gateway, "100", Method::POST, &path, &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    let (incoming, invite) = other.invitation().await;
    assert!(invite.headers.get("Call-Info").unwrap().ends_with(";answer-after=0"));
    other.accept(incoming, &again.answer()).await;
    agent.farewell(session).await;
    again.connect(&invite.body).await;
    again.say(600.0, 100).await;
    let level = level_db(&again.hear(90).await[20 * FRAME..], 600.0);
    assert!(level.abs() < 3.0, "{level} dB");
    other.hang_up(incoming).await;
    let record = gateway.eventually("/v1/cdrs", |list| list["data"].get(0).cloned()).await;
    assert_eq!((record["result"].as_str(), record["agent_id"].is_string()), (Some("answered"), true));
    gateway.running.shutdown().await;
}
