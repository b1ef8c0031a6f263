//! The graceful stop.

use std::time::Duration;

use sip::StatusCode;

use crate::support::audio::TrunkAudio;
use crate::support::browser::Browser;
use crate::support::gateway::Gateway;
use crate::support::phone::Phone;
use crate::support::within;

#[tokio::test]
async fn a_draining_gateway_refuses_new_calls_and_keeps_the_running_ones() {
    let gateway = Gateway::start().await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "9196", &browser.offer()).await;
    browser.connect(&agent.answer(session).await.body).await;
    gateway.running.drain().await;
    let ready = gateway.fetch("/readyz").await;
    assert_eq!(ready.status(), 503);
    assert_eq!(ready.json::<serde_json::Value>().await.unwrap()["draining"], true);
    let mut late = Phone::registered(&gateway, "101").await;
    let refused = late.call("101", "9196", &Browser::new().await.offer()).await;
    let response = late.refusal(refused).await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers.get("Retry-After").is_some());
    browser.say(700.0, 10).await;
    browser.hear(5).await;
    // With its last call the gateway stops, long before the deadline.
    let stop = tokio::spawn(gateway.running.shutdown_within(Duration::from_secs(600)));
    agent.hang_up(session).await;
    within("the stop", stop).await.unwrap();
}

#[tokio::test]
async fn at_the_deadline_both_legs_get_a_bye_and_the_record_is_kept() {
    let gateway = Gateway::start().await;
    let (mut trunk, carrier) = (Phone::trunk(&gateway, "127.0.0.1").await, TrunkAudio::new().await);
    gateway.trunk(trunk.address(), "udp").await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    let (incoming, _) = trunk.invitation().await;
    trunk.accept(incoming, &carrier.description()).await;
    agent.answer(session).await;
    let database = patchcord::config::Database {
        url: format!("sqlite://{}", gateway.folder.path().join("patchcord.db").display()),
        max_connections: 1,
    };
    let Gateway { running, folder, .. } = gateway;
    let stop = tokio::spawn(running.shutdown_within(Duration::ZERO));
    agent.farewell(session).await;
    trunk.farewell(incoming).await;
    agent.until_closed().await;
    within("the stop", stop).await.unwrap();
    let store = patchcord::store::Store::open(&database, testkit::REALM).await.unwrap();
    let records = store.cdrs(&patchcord::store::Page { after: String::new(), limit: 10 }).await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].result.as_str(), records[0].ended_by.as_str()), ("answered", "operator"));
    drop(folder);
}
