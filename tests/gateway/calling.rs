//! Calls with their audio: echo, out over a trunk, in from a trunk, agent to agent.

use sip::{SessionEvent, StatusCode};

use crate::support::audio::{FRAME, TrunkAudio, level_db};
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, NUMBER};
use crate::support::phone::Phone;

/// Frames sent; the last may still be held back for reordering, the first are the codec's start.
const SAID: usize = 100;
const HEARD: usize = 90;
const START: usize = 20 * FRAME;

fn assert_tone(samples: &[i16], frequency: f64) {
    let level = level_db(&samples[START..], frequency);
    assert!(level.abs() < 3.0, "{frequency} Hz at {level} dB");
}

#[tokio::test]
async fn the_echo_test_gives_the_browser_its_own_voice_back() {
    let gateway = Gateway::start().await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "9196", &browser.offer()).await;
    browser.connect(&agent.answer(session).await.body).await;
    browser.say(700.0, SAID).await;
    assert_tone(&browser.hear(HEARD).await, 700.0);
    agent.hang_up(session).await;
    let records = gateway.eventually("/v1/cdrs", |list| list["data"].get(0).cloned()).await;
    assert_eq!((records["result"].as_str(), records["ended_by"].as_str()), (Some("answered"), Some("caller")));
    assert_eq!(records["legs"][0]["codec"], "opus");
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_call_over_a_trunk_rings_is_answered_carries_both_voices_and_ends() {
    let gateway = Gateway::start().await;
    let (mut trunk, mut carrier) = (Phone::trunk(&gateway, "127.0.0.1").await, TrunkAudio::new().await);
    gateway.trunk(trunk.address(), "udp").await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    let (incoming, invite) = trunk.invitation().await;
    assert_eq!(invite.uri.user().unwrap(), "+4930222333");
    trunk.ring(incoming).await;
    agent.progress(session, StatusCode::RINGING).await;
    trunk.accept(incoming, &carrier.description()).await;
    browser.connect(&agent.answer(session).await.body).await;

    browser.say(400.0, SAID).await;
    assert_tone(&carrier.hear(HEARD).await, 400.0);
    carrier.say(&invite.body, 1000.0, SAID).await;
    assert_tone(&browser.hear(HEARD).await, 1000.0);

    let call = gateway.eventually("/v1/calls", |list| list["data"].get(0).cloned()).await;
    assert_eq!((call["direction"].as_str(), call["state"].as_str()), (Some("outbound"), Some("connected")));
    trunk.peer.endpoint.bye(std::time::Instant::now(), incoming, None);
    trunk.flush().await;
    agent.farewell(session).await;
    let record = gateway.eventually("/v1/cdrs", |list| list["data"].get(0).cloned()).await;
    assert_eq!((record["ended_by"].as_str(), record["to"].as_str()), (Some("callee"), Some("+4930222333")));
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_call_from_a_trunk_rings_every_browser_and_the_first_answer_wins() {
    let gateway = Gateway::start().await;
    let (mut trunk, mut carrier) = (Phone::trunk(&gateway, "127.0.0.1").await, TrunkAudio::new().await);
    gateway.trunk(trunk.address(), "udp").await;
    let (mut first, mut second) = (Phone::agent(&gateway, true).await, Phone::agent(&gateway, true).await);
    for phone in [&mut first, &mut second] {
        assert_eq!(phone.register("100", crate::support::gateway::SECRET, 600).await.status, StatusCode::OK);
    }
    let mut browser = Browser::new().await;
    let outgoing = trunk.call_from_outside("+4930222333", NUMBER, &carrier.description());
    trunk.flush().await;
    let (ringing, invite) = first.invitation().await;
    let (given_up, _) = second.invitation().await;
    assert_eq!(invite.headers.from().unwrap().unwrap().uri.user().unwrap(), "+4930222333");
    first.ring(ringing).await;
    trunk.progress(outgoing, StatusCode::RINGING).await;
    first.accept(ringing, &browser.answer()).await;
    let answer = trunk.answer(outgoing).await;
    let reason = second
        .session(given_up, "a CANCEL", |event| match event {
            SessionEvent::Cancelled { request } => Some(request.headers.get("Reason").unwrap_or_default().to_owned()),
            _ => None,
        })
        .await;
    assert!(reason.contains("Call completed elsewhere"), "{reason}");
    browser.connect(&invite.body).await;
    browser.say(400.0, SAID).await;
    assert_tone(&carrier.hear(HEARD).await, 400.0);
    carrier.say(&answer.body, 1000.0, SAID).await;
    assert_tone(&browser.hear(HEARD).await, 1000.0);
    trunk.hang_up(outgoing).await;
    first.farewell(ringing).await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn two_agents_hear_each_other_in_opus() {
    let gateway = Gateway::start().await;
    let (mut caller, mut callee) = (Phone::registered(&gateway, "100").await, Phone::registered(&gateway, "101").await);
    let (mut near, mut far) = (Browser::new().await, Browser::new().await);
    let session = caller.call("100", "101", &near.offer()).await;
    let (incoming, invite) = callee.invitation().await;
    callee.ring(incoming).await;
    callee.accept(incoming, &far.answer()).await;
    near.connect(&caller.answer(session).await.body).await;
    far.connect(&invite.body).await;
    near.say(500.0, SAID).await;
    assert_tone(&far.hear(HEARD).await, 500.0);
    far.say(900.0, SAID).await;
    assert_tone(&near.hear(HEARD).await, 900.0);
    caller.hang_up(session).await;
    callee.farewell(incoming).await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_busy_trunk_is_heard_as_busy() {
    let gateway = Gateway::start().await;
    let mut trunk = Phone::trunk(&gateway, "127.0.0.1").await;
    gateway.trunk(trunk.address(), "udp").await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    let (incoming, _) = trunk.invitation().await;
    trunk.reject(incoming, StatusCode::BUSY_HERE).await;
    assert_eq!(agent.refusal(session).await.status, StatusCode::BUSY_HERE);
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn nobody_registered_is_480_for_the_trunk() {
    let gateway = Gateway::start().await;
    let (mut trunk, carrier) = (Phone::trunk(&gateway, "127.0.0.1").await, TrunkAudio::new().await);
    gateway.trunk(trunk.address(), "udp").await;
    let session = trunk.call_from_outside("+4930222333", NUMBER, &carrier.description());
    assert_eq!(trunk.refusal(session).await.status, StatusCode::TEMPORARILY_UNAVAILABLE);
    gateway.running.shutdown().await;
}
