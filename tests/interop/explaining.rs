//! A carrier's refusal is explained by the trace of the call.

use crate::sipp::Sipp;
use crate::support::browser::Browser;
use crate::support::gateway::Gateway;
use crate::support::phone::Phone;

#[tokio::test]
async fn a_carriers_403_says_where_to_look_and_has_the_carriers_own_words() {
    let gateway = Gateway::start().await;
    let sipp = Sipp::play("forbidden", &[]);
    gateway.trunk(sipp.address, "udp").await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    agent.refusal(session).await;
    sipp.assert_success().await;
    let id = gateway.eventually("/v1/cdrs", |list| Some(list["data"].get(0)?["call_id"].as_str()?.to_owned())).await;
    let path = format!("/v1/calls/{id}/trace");
    let trace = gateway.eventually(&path, |trace| (trace["state"] == "ended").then(|| trace.clone())).await;
    let explanation = trace["explanation"].as_str().unwrap();
    let said =
        "Trunk carrier refused the call with 403 Forbidden; carriers do so when the number presented is not one of";
    assert!(explanation.starts_with(said), "{explanation}");
    let refusal = trace["messages"].as_array().unwrap().iter().find(|message| message["summary"] == "403 Forbidden");
    assert!(refusal.unwrap()["text"].as_str().unwrap().contains("Caller ID not verified"));
    gateway.running.shutdown().await;
}
