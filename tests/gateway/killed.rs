//! A browser is killed in the middle of a call: the customer is hung up on within the configured time, and told why.

use std::time::Duration;

use patchcord::config::Config;
use sip::SessionEvent;

use crate::support::audio::TrunkAudio;
use crate::support::browser::Browser;
use crate::support::gateway::Gateway;
use crate::support::phone::Phone;

/// Kills the browser of a call over a trunk, whose connection closes with it or not; the Reason of the customer's BYE.
async fn reason_of_the_end(change: impl FnOnce(&mut Config), closes: bool) -> String {
    let gateway = Gateway::start_with(change).await;
    let (mut trunk, mut carrier) = (Phone::trunk(&gateway, "127.0.0.1").await, TrunkAudio::new().await);
    gateway.trunk(trunk.address(), "udp").await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    let (incoming, invite) = trunk.invitation().await;
    trunk.accept(incoming, &carrier.description()).await;
    browser.connect(&agent.answer(session).await.body).await;
    browser.say(400.0, 20).await;
    carrier.hear(10).await;
    drop(browser);
    let agent = (!closes).then_some(agent);
    // The customer goes on talking.
    let talk = async {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            carrier.say(&invite.body, 1000.0, 1).await;
        }
    };
    let end = trunk.session(incoming, "a BYE", |event| match event {
        SessionEvent::Bye { request } => Some(request.headers.get("Reason").unwrap_or_default().to_owned()),
        _ => None,
    });
    let reason = tokio::select! {
        reason = end => reason,
        () = talk => String::new(),
    };
    drop(agent);
    gateway.running.shutdown().await;
    reason
}

#[tokio::test]
async fn whose_connection_closes_is_waited_for_as_long_as_is_configured() {
    let reason = reason_of_the_end(|config| config.calls.reconnect_s = 1, true).await;
    assert!(reason.contains("cause=27"), "{reason}");
}

#[tokio::test]
async fn whose_connection_stays_open_is_missed_by_its_media() {
    let reason = reason_of_the_end(|config| config.media.silence_timeout_s = 3, false).await;
    assert!(reason.contains("cause=102"), "{reason}");
}
