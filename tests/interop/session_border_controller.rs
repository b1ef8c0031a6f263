//! Kamailio as the SBC in front of the gateway: Record-Route on two transports, loose routing both ways, Path.

use std::net::SocketAddr;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::process::{Child, Command};

use crate::sipp::{Sipp, free_ports};
use crate::support::audio::{FRAME, TrunkAudio, level_db};
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, NUMBER};
use crate::support::phone::Phone;
use crate::support::within;

const CONFIGURATION: &str = include_str!("kamailio/sbc.cfg");

/// A running Kamailio.
pub(crate) struct Kamailio {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Kamailio {
    /// Starts it between a gateway and a carrier, and waits until it listens.
    async fn between(gateway: SocketAddr, carrier: SocketAddr) -> Self {
        let port = free_ports();
        let ports = [("SBC_PORT", port), ("GATEWAY_PORT", gateway.port()), ("CARRIER_PORT", carrier.port())];
        Self::start(CONFIGURATION, port, &ports).await
    }

    /// Starts it with these ports in its configuration, and waits until it listens on the first.
    pub(crate) async fn start(configuration: &str, port: u16, ports: &[(&str, u16)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = ports.iter().copied().chain([("PROXY_PORT", port)]);
        let text = ports.fold(configuration.to_owned(), |text, (name, port)| text.replace(name, &port.to_string()));
        let path = folder.path().join("kamailio.cfg");
        std::fs::write(&path, text).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("kamailio");
        command.arg("-f").arg(&path).args(["-DD", "-E", "-m", "16", "-M", "4", "-w"]).arg(folder.path());
        command.arg("-Y").arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        let child = command.spawn().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let kamailio = Self { child, address, _folder: folder };
        within("Kamailio's listener", async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        kamailio
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its processes end with the first one, which has to be asked.
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).unwrap()));
        pid.into_iter().for_each(|pid| kill_process(pid, Signal::TERM).unwrap());
    }
}

async fn assert_talk(browser: &mut Browser, carrier: &mut TrunkAudio, to: &[u8]) {
    carrier.say(to, 1000.0, 100).await;
    let level = level_db(&browser.hear(90).await[20 * FRAME..], 1000.0);
    assert!(level.abs() < 3.0, "the browser hears the carrier at {level} dB");
    browser.say(400.0, 100).await;
    let level = level_db(&carrier.hear(90).await[20 * FRAME..], 400.0);
    assert!(level.abs() < 3.0, "the carrier hears the browser at {level} dB");
}

/// A gateway whose one trunk is the SBC.
async fn behind(carrier: SocketAddr) -> (Gateway, Kamailio) {
    let gateway = Gateway::start().await;
    let kamailio = Kamailio::between(gateway.running.ports().sip_udp, carrier).await;
    gateway.trunk(kamailio.address, "udp").await;
    (gateway, kamailio)
}

#[tokio::test]
async fn a_call_out_through_an_sbc_keeps_to_its_route_until_the_agent_hangs_up() {
    let mut carrier = TrunkAudio::new().await;
    let media = carrier.port().to_string();
    let sipp = Sipp::play("behind_sbc_callee", &["-t", "t1", "-key", "rtp_port", &media]);
    let (gateway, _kamailio) = behind(sipp.address).await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    browser.connect(&agent.answer(session).await.body).await;
    let to = sipp.description().await;
    assert_talk(&mut browser, &mut carrier, to.as_bytes()).await;
    // A hold of ours and its end: re-INVITEs along the route.
    let call = gateway.eventually("/v1/calls", |list| list["data"][0]["id"].as_str().map(str::to_owned)).await;
    let legs = gateway.get(&format!("/v1/calls/{call}")).await["legs"].clone();
    let leg = json!({"leg_id": legs[1]["id"]});
    gateway.post(&format!("/v1/calls/{call}/hold"), leg.clone()).await;
    gateway.post(&format!("/v1/calls/{call}/resume"), leg).await;
    sipp.until("ACK ", 3).await;
    agent.hang_up(session).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_call_in_through_an_sbc_keeps_to_its_route_until_the_carrier_hangs_up() {
    let gateway = Gateway::start().await;
    let udp = gateway.running.ports().sip_udp;
    let kamailio = Kamailio::between(udp, SocketAddr::from(([127, 0, 0, 1], 9))).await;
    gateway.trunk(kamailio.address, "udp").await;
    let (agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let carrier = TrunkAudio::new().await;
    let (media, to) = (carrier.port().to_string(), kamailio.address.to_string());
    let target = format!("sip:{NUMBER}@{to}");
    let keys = ["-key", "target", &target, "-key", "extra", "Supported: replaces", "-key", "rtp_port", &media];
    let sipp = Sipp::play("behind_sbc_caller", &[&["-t", "t1", "-s", NUMBER][..], &keys, &[&to]].concat());
    assert_call_in(sipp, agent, browser, carrier).await;
    gateway.running.shutdown().await;
}

/// SIPp's call reaches the agent, is talked in, and hung up by SIPp.
async fn assert_call_in(sipp: Sipp, mut agent: Phone, mut browser: Browser, mut carrier: TrunkAudio) {
    let (incoming, invite) = agent.invitation().await;
    agent.ring(incoming).await;
    agent.accept(incoming, &browser.answer()).await;
    browser.connect(&invite.body).await;
    let to = sipp.description().await;
    assert_talk(&mut browser, &mut carrier, to.as_bytes()).await;
    agent.farewell(incoming).await;
    sipp.assert_success().await;
}

#[tokio::test]
async fn a_registration_through_an_sbc_is_reached_by_its_path() {
    let registrar = Sipp::play("path_registrar", &["-t", "t1"]);
    let gateway = Gateway::start().await;
    let kamailio = Kamailio::between(gateway.running.ports().sip_udp, registrar.address).await;
    let trunk = json!({
        "gateways": [{"uri": format!("sip:{}", kamailio.address)}],
        "auth": {"username": "user", "password": "secret", "realm": "carrier.test"},
        "register": {"enabled": true, "expires_s": 600},
    });
    let trunk = gateway.trunk_with(trunk).await;
    let status = format!("/v1/trunks/{}/status", trunk["id"].as_str().unwrap());
    let (agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let carrier = TrunkAudio::new().await;
    // What the registrar keeps: where the gateway is, and the way there.
    let registered = |status: &serde_json::Value| (status["registration"]["state"] == "registered").then_some(());
    gateway.eventually(&status, registered).await;
    let registration = registrar.received().pop().unwrap();
    let value = |name: &str| registration.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let contact = value("Contact:");
    let target = contact.split(['<', '>']).nth(1).unwrap();
    let (route, media) = (format!("Route: {}", value("Path:")), carrier.port().to_string());
    let to = kamailio.address.to_string();
    let keys = ["-key", "target", target, "-key", "extra", &route, "-key", "rtp_port", &media];
    let caller = Sipp::play("behind_sbc_caller", &[&["-t", "t1", "-s", NUMBER][..], &keys, &[&to]].concat());
    assert_call_in(caller, agent, browser, carrier).await;
    gateway.running.shutdown().await;
    registrar.assert_success().await;
}
