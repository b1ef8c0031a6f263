//! Plain calls both ways, and who refreshes them.

use crate::sipp::Sipp;
use crate::support::audio::{FRAME, level_db};
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, NUMBER};
use crate::support::phone::Phone;

#[tokio::test]
async fn sipp_calls_an_agent_and_hangs_up() {
    let gateway = Gateway::start().await;
    gateway.trunk("127.0.0.1:9".parse().unwrap(), "udp").await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let to = gateway.running.ports().sip_udp.to_string();
    let sipp = Sipp::start(&["-sn", "uac", "-s", NUMBER, &to]);
    let (incoming, _) = agent.invitation().await;
    agent.ring(incoming).await;
    agent.accept(incoming, &browser.answer()).await;
    agent.farewell(incoming).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn an_agent_calls_sipp_and_hears_the_echo_of_its_rtp() {
    let gateway = Gateway::start().await;
    let sipp = Sipp::start(&["-sn", "uas", "-rtp_echo"]);
    gateway.trunk(sipp.address, "udp").await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    browser.connect(&agent.answer(session).await.body).await;
    browser.say(600.0, 100).await;
    let heard = browser.hear(90).await;
    let level = level_db(&heard[20 * FRAME..], 600.0);
    assert!(level.abs() < 3.0, "{level} dB");
    agent.hang_up(session).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn sipp_refreshes_its_call_by_update_and_reinvite_once_it_knows_how_brief_a_timer_may_be() {
    let gateway = Gateway::start().await;
    gateway.trunk("127.0.0.1:9".parse().unwrap(), "udp").await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let to = gateway.running.ports().sip_udp.to_string();
    let sipp = Sipp::play("refresher", &["-s", NUMBER, &to]);
    let (incoming, _) = agent.invitation().await;
    agent.accept(incoming, &browser.answer()).await;
    agent.farewell(incoming).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn an_agent_calls_sipp_that_wants_a_longer_session_timer() {
    let gateway = Gateway::start_with(|config| config.calls.session_expires_s = 100).await;
    let sipp = Sipp::play("reluctant", &[]);
    gateway.trunk(sipp.address, "udp").await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    agent.answer(session).await;
    agent.hang_up(session).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}
