//! Limits as SIPp and agents meet them: calls a second, and where an agent may call.

use serde_json::json;
use sip::StatusCode;

use crate::sipp::Sipp;
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, NUMBER};
use crate::support::phone::Phone;

#[tokio::test]
async fn of_ten_calls_that_sipp_makes_at_once_one_a_second_gets_through() {
    let gateway = Gateway::start().await;
    gateway.trunk_with(json!({"inbound": {"cidrs": ["127.0.0.1/32"]}, "max_cps": 1})).await;
    let to = gateway.running.ports().sip_udp.to_string();
    // Nobody is registered: what gets through is answered with 480 and on record, the rest is told when to try again.
    let sipp = Sipp::play("bursting", &["-m", "10", "-r", "200", "-s", NUMBER, &to]);
    sipp.assert_success().await;
    let through = gateway.eventually("/v1/cdrs", |cdrs| {
        let count = cdrs["data"].as_array()?.len();
        (count > 0).then_some(count)
    });
    let through = through.await;
    assert!((1..=4).contains(&through), "{through} of 10 in a moment");
    let metrics = gateway.fetch("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("patchcord_calls_barred_total{rule=\"trunk_cps\"}"), "{metrics}");
    gateway.running.shutdown().await;
}

/// What agent 100 is told when it calls, and what the record says.
async fn refused(gateway: &Gateway, agent: &mut Phone, to: &str) -> (u16, String, String) {
    let browser = Browser::new().await;
    let session = agent.call("100", to, &browser.offer()).await;
    let refusal = agent.refusal(session).await;
    let reason = refusal.headers.get("Reason").unwrap().to_owned();
    assert!(reason.contains(&refusal.reason), "{reason}");
    let record = gateway.eventually("/v1/cdrs", |cdrs| {
        let of_call = cdrs["data"].as_array()?.iter().find(|cdr| cdr["to"] == to)?;
        Some((of_call["sip_code"].clone(), of_call["explanation"].as_str()?.to_owned()))
    });
    let (code, explanation) = record.await;
    assert_eq!(code, json!(refusal.status.code()));
    (refusal.status.code(), refusal.reason, explanation)
}

#[tokio::test]
async fn an_agent_is_told_in_words_where_it_may_not_call() {
    let gateway = Gateway::start_with(|config| config.fraud = patchcord::config::Fraud::default()).await;
    let sipp = Sipp::play("busy", &[]);
    gateway.trunk(sipp.address, "udp").await;
    let agents = gateway.get("/v1/agents").await;
    let found = agents["data"].as_array().unwrap().iter().find(|agent| agent["display_name"] == "Agent 100").unwrap();
    let path = format!("/v1/agents/{}", found["id"].as_str().unwrap());
    gateway.patch(&path, json!({"dial_policy": {"countries": ["DE"], "blocked_prefixes": ["+49180"]}})).await;
    let mut agent = Phone::registered(&gateway, "100").await;
    for (to, why) in [
        ("+447400123456", "Calls to +44 (GB) are not allowed for this agent"),
        ("+49180555555", "Calls to +49180 are not allowed for this agent"),
        ("+88161234567", "Calls to +881 are refused for their cost: premium rate, satellite or the like"),
    ] {
        let (status, phrase, explanation) = refused(&gateway, &mut agent, to).await;
        assert_eq!((status, phrase.as_str(), explanation.as_str()), (403, why, &*format!("{why}.")), "{to}");
    }
    let browser = Browser::new().await;
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    assert_eq!(agent.refusal(session).await.status, StatusCode::BUSY_HERE, "SIPp's own word");
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}
