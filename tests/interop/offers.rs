//! Offers and answers wherever a carrier puts them: in reliable provisional responses and PRACKs, in early UPDATEs, in the 200 and its ACK,
//! and in two branches of one call. What is heard says whose description is in force.

use serde_json::{Value, json};

use crate::sipp::Sipp;
use crate::support::audio::{FRAME, TrunkAudio, level_db};
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, NUMBER};
use crate::support::phone::Phone;

/// The browser hears this tone of a carrier's port.
async fn assert_hears(browser: &mut Browser, carrier: &mut TrunkAudio, to: &[u8], tone: f64) {
    carrier.say(to, tone, 100).await;
    let level = level_db(&browser.hear(90).await[20 * FRAME..], tone);
    assert!(level.abs() < 3.0, "the browser hears {tone} Hz at {level} dB");
}

/// A carrier's port hears the browser.
async fn assert_is_heard(browser: &mut Browser, carrier: &mut TrunkAudio) {
    browser.say(400.0, 100).await;
    let level = level_db(&carrier.hear(90).await[20 * FRAME..], 400.0);
    assert!(level.abs() < 3.0, "the carrier hears the browser at {level} dB");
}

/// A SIPp that is called, with two ports for its media; and the agent that calls it.
struct Called {
    gateway: Gateway,
    sipp: Sipp,
    first: TrunkAudio,
    second: TrunkAudio,
    agent: Phone,
    browser: Browser,
}

impl Called {
    async fn new(scenario: &str, mut trunk: Value) -> Self {
        let gateway = Gateway::start().await;
        let (first, second) = (TrunkAudio::new().await, TrunkAudio::new().await);
        let ports = [first.port().to_string(), second.port().to_string()];
        let sipp = Sipp::play(scenario, &["-key", "first_port", &ports[0], "-key", "second_port", &ports[1]]);
        trunk["gateways"] = json!([{"uri": format!("sip:{}", sipp.address), "transport": "udp"}]);
        trunk["inbound"] = json!({"cidrs": ["127.0.0.1/32"]});
        gateway.trunk_with(trunk).await;
        let (agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
        Self { gateway, sipp, first, second, agent, browser }
    }
}

#[tokio::test]
async fn of_two_branches_the_latest_is_heard_until_the_first_answers_without_a_description() {
    let mut called = Called::new("forked", json!({})).await;
    let session = called.agent.call("100", "+4930222333", &called.browser.offer()).await;
    let progress = called.agent.progress(session, sip::StatusCode::SESSION_PROGRESS).await;
    assert!(!progress.headers.contains("RSeq") && !progress.headers.contains("Require"), "nothing for a browser");
    called.browser.connect(&progress.body).await;
    let to = called.sipp.description().await;
    called.sipp.until("PRACK", 2).await;
    assert_hears(&mut called.browser, &mut called.second, to.as_bytes(), 1300.0).await;
    called.agent.answer(session).await;
    assert_hears(&mut called.browser, &mut called.first, to.as_bytes(), 900.0).await;
    assert_is_heard(&mut called.browser, &mut called.first).await;
    called.agent.hang_up(session).await;
    called.sipp.assert_success().await;
    called.gateway.running.shutdown().await;
}

#[tokio::test]
async fn an_offer_in_a_reliable_response_is_heard_and_an_update_moves_it_before_the_answer() {
    let mut called = Called::new("late_offer", json!({"early_offer": false, "prack": "required"})).await;
    let session = called.agent.call("100", "+4930222333", &called.browser.offer()).await;
    let progress = called.agent.progress(session, sip::StatusCode::SESSION_PROGRESS).await;
    called.browser.connect(&progress.body).await;
    called.sipp.until("PRACK", 1).await;
    let to = called.sipp.description().await;
    assert_hears(&mut called.browser, &mut called.first, to.as_bytes(), 1300.0).await;
    called.agent.answer(session).await;
    assert_hears(&mut called.browser, &mut called.second, to.as_bytes(), 900.0).await;
    assert_is_heard(&mut called.browser, &mut called.second).await;
    called.agent.hang_up(session).await;
    called.sipp.assert_success().await;
    called.gateway.running.shutdown().await;
}

#[tokio::test]
async fn an_offer_in_the_200_is_answered_in_the_ack() {
    let mut called = Called::new("offer_in_200", json!({"early_offer": false, "prack": "off"})).await;
    let session = called.agent.call("100", "+4930222333", &called.browser.offer()).await;
    let answer = called.agent.answer(session).await;
    called.browser.connect(&answer.body).await;
    let to = called.sipp.description().await;
    assert_hears(&mut called.browser, &mut called.first, to.as_bytes(), 1300.0).await;
    assert_is_heard(&mut called.browser, &mut called.first).await;
    called.agent.hang_up(session).await;
    called.sipp.assert_success().await;
    called.gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_caller_that_requires_reliable_responses_answers_in_its_prack_and_moves_by_update() {
    let gateway = Gateway::start().await;
    gateway.trunk("127.0.0.1:9".parse().unwrap(), "udp").await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let (first, mut second) = (TrunkAudio::new().await, TrunkAudio::new().await);
    let (to, ports) =
        (gateway.running.ports().sip_udp.to_string(), [first.port(), second.port()].map(|p| p.to_string()));
    let keys = ["-s", NUMBER, "-key", "first_port", &ports[0], "-key", "second_port", &ports[1], &to];
    let sipp = Sipp::play("reliable_caller", &keys);
    let (incoming, invite) = agent.invitation().await;
    let said = [invite.headers.supported(), invite.headers.require(), invite.headers.tokens("Allow")].concat();
    assert!(!said.contains(&"100rel") && !said.contains(&"PRACK"), "nothing for a browser: {said:?}");
    agent.ring(incoming).await;
    sipp.until("SIP/2.0 200", 2).await;
    agent.accept(incoming, &browser.answer()).await;
    browser.connect(&invite.body).await;
    let to = sipp.description().await;
    assert_hears(&mut browser, &mut second, to.as_bytes(), 900.0).await;
    assert_is_heard(&mut browser, &mut second).await;
    agent.hang_up(incoming).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}
