//! Calls with SIPp, a SIP implementation that is not ours, in the place of the trunk.

use std::net::{SocketAddr, UdpSocket};
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::support::audio::{FRAME, level_db};
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, NUMBER};
use crate::support::phone::Phone;
use crate::support::within;

/// A port nobody uses at the moment, the next three free as well: SIPp cannot choose its own and say which.
fn free_ports() -> u16 {
    let free = |port: u16| (0..4).all(|offset| UdpSocket::bind(("127.0.0.1", port + offset)).is_ok());
    let any = || UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    std::iter::repeat_with(any).find(|port| *port < 65_000 && free(*port)).unwrap()
}

struct Sipp {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Sipp {
    /// Runs one call of a scenario that SIPp brings along.
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (sip, media) = (free_ports(), free_ports());
        let mut command = Command::new("sipp");
        command.current_dir(folder.path()).kill_on_drop(true);
        command.args(["-i", "127.0.0.1", "-p", &sip.to_string(), "-mp", &media.to_string(), "-m", "1", "-nostdin"]);
        command.args(["-timeout", "20s", "-timeout_error"]).args(arguments);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], sip)), _folder: folder }
    }

    /// Runs one call of a scenario of ours.
    fn play(scenario: &str, arguments: &[&str]) -> Self {
        let file = format!("{}/tests/gateway/sipp/{scenario}.xml", env!("CARGO_MANIFEST_DIR"));
        Self::start(&[&["-sf", &file], arguments].concat())
    }

    /// SIPp's verdict: it exits with 0 when every message of the scenario was as expected.
    async fn assert_success(mut self) {
        let status = within("the end of SIPp", self.child.wait()).await.unwrap();
        assert!(status.success(), "SIPp: {status}");
    }
}

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
