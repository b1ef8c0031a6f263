//! Who calls: what SIPp is shown, byte for byte, and what agents are shown of SIPp.

use serde_json::json;
use sip::StatusCode;

use crate::sipp::Sipp;
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, NUMBER};
use crate::support::phone::Phone;

/// A gateway whose agents all have a number, at a carrier that wants it in P-Asserted-Identity.
async fn presenting(sipp: &Sipp) -> Gateway {
    let gateway = Gateway::start().await;
    gateway
        .trunk_with(json!({
            "gateways": [{"uri": format!("sip:{}", sipp.address)}],
            "caller_id": {"header": "pai", "user": "pbx-7", "domain": "sip.carrier.example", "fallback": "+4930222000"},
            "trusted": true,
            "header_rules": [{"direction": "outbound", "action": "set", "name": "X-Account", "value": "4711"}],
        }))
        .await;
    gateway
}

#[tokio::test]
async fn sipp_reads_the_number_where_it_wants_it_and_a_header_of_its_own() {
    let sipp = Sipp::play("reads_asserted", &[]);
    let gateway = presenting(&sipp).await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    assert_eq!(agent.refusal(session).await.status, StatusCode::BUSY_HERE);
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn sipp_is_told_who_hides_and_that_nobody_else_shall_be() {
    let sipp = Sipp::play("reads_anonymous", &[]);
    let gateway = presenting(&sipp).await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    agent.peer.headers = vec![("Privacy".to_owned(), "id".to_owned())];
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    assert_eq!(agent.refusal(session).await.status, StatusCode::BUSY_HERE);
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

/// What the agent is shown when SIPp presents one number and asserts another: its number, its name, and the header that phones get.
async fn shown(trusted: bool) -> (String, String, Option<String>) {
    let gateway = Gateway::start().await;
    let inbound = json!({"cidrs": ["127.0.0.1/32"]});
    gateway.trunk_with(json!({"inbound": inbound, "trusted": trusted, "pass_headers": ["X-Campaign"]})).await;
    let mut agent = Phone::registered(&gateway, "100").await;
    let sipp = Sipp::play("asserting", &["-s", NUMBER, &gateway.running.ports().sip_udp.to_string()]);
    let (incoming, invite) = agent.invitation().await;
    agent.reject(incoming, StatusCode::BUSY_HERE).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
    let from = invite.headers.from().unwrap().unwrap();
    assert!(invite.headers.get("P-Asserted-Identity").is_none());
    let passed = invite.headers.get("X-Campaign").map(str::to_owned);
    (from.uri.user().unwrap().into_owned(), from.display.clone().unwrap(), passed)
}

#[tokio::test]
async fn what_sipp_asserts_is_shown_to_the_agent_if_it_is_trusted() {
    let campaign = Some("spring".to_owned());
    assert_eq!(shown(true).await, ("+4930555123".to_owned(), "Jane Doe".to_owned(), campaign.clone()));
    assert_eq!(shown(false).await, ("+4930777000".to_owned(), "+4930777000".to_owned(), campaign));
}

/// Our number is led on to another trunk.
const FORWARDING: &str = r#"
[[rule]]
context = "trunks"
name = "on to the mobile"
number = "+4930111100"
targets = [{ trunks = ["mobile"], number = "+4917012345" }]
"#;

#[tokio::test]
async fn a_call_from_sipp_to_sipp_says_whom_it_was_for_and_keeps_its_signature() {
    let called = Sipp::play("reads_forwarded", &[]);
    let gateway = Gateway::start_with(|config| {
        std::fs::write(config.dialplan.directory.join("05-forwarding.toml"), FORWARDING).unwrap();
    })
    .await;
    gateway.trunk_with(json!({"inbound": {"cidrs": ["127.0.0.1/32"]}})).await;
    let mobile = json!({"name": "mobile", "gateways": [{"uri": format!("sip:{}", called.address)}],
        "caller_id": {"fallback": "+4930999000"}});
    gateway.post("/v1/trunks", mobile).await;
    let caller = Sipp::play("signed", &["-s", NUMBER, &gateway.running.ports().sip_udp.to_string()]);
    caller.assert_success().await;
    called.assert_success().await;
    gateway.running.shutdown().await;
}
