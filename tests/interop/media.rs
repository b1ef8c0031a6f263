//! Codecs, packet lengths, digits and comfort noise of trunks: SIPp says what a carrier can, the carrier's audio is the test's own, and an
//! agent's is at the other end. baresip has a G.722 that is not ours.

use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::net::UdpSocket;

use crate::sipp::{Sipp, free_ports};
use crate::sounds::{Kind, Listener, Speaker, level_db};
use crate::support::audio::{self, FRAME};
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, NUMBER};
use crate::support::phone::Phone;
use crate::support::within;

/// Says nothing; SIPp has room for a line in its SDP that may not be empty.
const NOTHING: &str = "a=rtcp-fb:* nothing";

/// The audio side of a carrier.
struct Carrier {
    socket: UdpSocket,
    kind: Kind,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    /// Where the gateway's audio comes from.
    peer: Option<SocketAddr>,
}

/// An RTP packet that arrived.
struct Packet {
    payload_type: u8,
    timestamp: u32,
    payload: Vec<u8>,
}

impl Carrier {
    async fn new(kind: Kind, payload_type: u8) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        Self { socket, kind, payload_type, sequence: 1, timestamp: 0, peer: None }
    }

    fn port(&self) -> String {
        self.socket.local_addr().unwrap().port().to_string()
    }

    async fn receive(&mut self) -> Packet {
        let mut bytes = [0; 2048];
        let (length, from) = within("audio at the carrier", self.socket.recv_from(&mut bytes)).await.unwrap();
        self.peer = Some(from);
        Packet {
            payload_type: bytes[1] & 0x7f,
            timestamp: u32::from_be_bytes(bytes[4..8].try_into().unwrap()),
            payload: bytes[12..length].to_vec(),
        }
    }

    /// Hears so much of a tone, in packets of `length` ms without a hole; gives its level.
    async fn hear(&mut self, frequency: f64, millis: u32, length: u32) -> f64 {
        let (mut listener, mut samples) = (Listener::new(self.kind), Vec::new());
        let mut last = None;
        for _ in 0..millis / length {
            let packet = self.receive().await;
            assert_eq!(packet.payload_type, self.payload_type);
            if let Some(last) = last {
                assert_eq!(packet.timestamp.wrapping_sub(last), length * self.kind.clock());
            }
            last = Some(packet.timestamp);
            samples.extend(listener.hear(&packet.payload));
        }
        assert_eq!(samples.len(), (millis / length * length * 16) as usize);
        level_db(&samples[samples.len() / 4..], frequency)
    }

    async fn send(&mut self, payload_type: u8, units: u32, payload: &[u8]) {
        let mut packet = vec![0x80, payload_type];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.timestamp.to_be_bytes());
        packet.extend_from_slice(&77_u32.to_be_bytes());
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(units);
        self.socket.send_to(&packet, self.peer.expect("the gateway spoke first")).await.unwrap();
    }

    /// Says a tone in packets of `length` ms.
    async fn say(&mut self, frequency: f64, millis: u32, length: u32) {
        let mut speaker = Speaker::new(self.kind, frequency);
        for _ in 0..millis / length {
            let payload = speaker.say(length);
            self.send(self.payload_type, length * self.kind.clock(), &payload).await;
        }
    }
}

/// A call of an agent to a carrier.
struct Call {
    gateway: Gateway,
    sipp: Sipp,
    carrier: Carrier,
    agent: Phone,
    browser: Browser,
    session: sip::SessionId,
}

impl Call {
    /// The carrier takes it with these formats and lines in its SDP.
    async fn out(trunk: Value, mut carrier: Carrier, formats: &str, lines: [&str; 2]) -> Self {
        let gateway = Gateway::start().await;
        let port = carrier.port();
        let keys = ["-key", "audio_port", &port, "-key", "formats", formats];
        let lines = ["-key", "first_line", lines[0], "-key", "second_line", lines[1]];
        let sipp = Sipp::play("audio_callee", &[&keys[..], &lines].concat());
        with_trunk(&gateway, sipp.address, trunk).await;
        let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
        let session = agent.call("100", "+4930222333", &browser.offer()).await;
        browser.connect(&agent.answer(session).await.body).await;
        carrier.peer = None;
        Self { gateway, sipp, carrier, agent, browser, session }
    }

    /// A tone each way, in packets of these lengths towards and from the carrier.
    async fn assert_audio(&mut self, heard: u32, said: u32) {
        self.browser.say(600.0, 60).await;
        let level = self.carrier.hear(600.0, 960, heard).await;
        assert!(level.abs() < 3.0, "{level} dB at the carrier");
        self.carrier.say(900.0, 1200, said).await;
        let heard = self.browser.hear(55).await;
        let level = audio::level_db(&heard[20 * FRAME..], 900.0);
        assert!(level.abs() < 3.0, "{level} dB at the agent");
    }

    async fn end(mut self) {
        self.agent.hang_up(self.session).await;
        self.sipp.assert_success().await;
        self.gateway.running.shutdown().await;
    }
}

/// Waits until the gateway has joined both sides: what is said before is nobody's.
async fn connected(gateway: &Gateway) {
    gateway.eventually("/v1/calls", |calls| (calls["data"][0]["state"] == "connected").then_some(())).await;
}

async fn with_trunk(gateway: &Gateway, address: SocketAddr, mut trunk: Value) {
    trunk["gateways"] = json!([{"uri": format!("sip:{address}"), "transport": "udp"}]);
    trunk["inbound"] = json!({"cidrs": ["127.0.0.1/32"]});
    gateway.trunk_with(trunk).await;
}

#[tokio::test]
async fn a_carrier_with_pcma_alone_talks_with_an_agent() {
    let carrier = Carrier::new(Kind::Pcma, 8).await;
    let mut call = Call::out(json!({}), carrier, "8", [NOTHING; 2]).await;
    call.assert_audio(20, 20).await;
    call.end().await;
}

#[tokio::test]
async fn a_carrier_with_g722_alone_talks_with_an_agent() {
    let carrier = Carrier::new(Kind::G722, 9).await;
    let mut call = Call::out(json!({"codecs": ["g722", "pcma"]}), carrier, "9", [NOTHING; 2]).await;
    call.assert_audio(20, 20).await;
    // More than a telephone has.
    call.browser.say(5500.0, 60).await;
    let level = call.carrier.hear(5500.0, 960, 20).await;
    assert!(level.abs() < 4.0, "5.5 kHz at {level} dB");
    call.end().await;
}

#[tokio::test]
async fn a_carrier_with_opus_alone_gets_the_agents_packets_under_its_own_number() {
    let carrier = Carrier::new(Kind::Opus, 97).await;
    let lines = ["a=rtpmap:97 opus/48000/2", "a=fmtp:97 useinbandfec=1"];
    let mut call = Call::out(json!({"codecs": ["opus", "pcmu"]}), carrier, "97", lines).await;
    call.assert_audio(20, 20).await;
    call.end().await;
}

#[tokio::test]
async fn a_carriers_packet_lengths_are_obeyed_and_its_own_taken_as_they_come() {
    for (wanted, said) in [(10, 30), (30, 10), (40, 20)] {
        let carrier = Carrier::new(Kind::Pcmu, 0).await;
        let line = format!("a=ptime:{wanted}");
        let mut call = Call::out(json!({}), carrier, "0", [&line, NOTHING]).await;
        call.assert_audio(wanted, said).await;
        call.end().await;
    }
}

#[tokio::test]
async fn a_carrier_that_names_no_packet_length_gets_the_trunks() {
    let carrier = Carrier::new(Kind::G722, 9).await;
    let mut call = Call::out(json!({"codecs": ["g722"], "ptime_ms": 30}), carrier, "9", [NOTHING; 2]).await;
    call.assert_audio(30, 20).await;
    call.end().await;
}

#[tokio::test]
async fn digits_go_by_the_number_a_carrier_gives_telephone_events() {
    let carrier = Carrier::new(Kind::G722, 9).await;
    let lines = ["a=rtpmap:127 telephone-event/8000", "a=fmtp:127 0-15"];
    let mut call = Call::out(json!({"codecs": ["g722"]}), carrier, "9 127", lines).await;
    call.assert_audio(20, 20).await;
    let calls = call.gateway.get("/v1/calls").await;
    let path = format!("/v1/calls/{}/dtmf", calls["data"][0]["id"].as_str().unwrap());
    call.gateway.post(&path, json!({"digits": "7"})).await;
    let last = loop {
        let packet = call.carrier.receive().await;
        // Audio that was on its way may come before.
        if packet.payload_type == 127 && packet.payload[1] & 0x80 != 0 {
            break packet;
        }
        assert!([9, 127].contains(&packet.payload_type), "{}", packet.payload_type);
    };
    assert_eq!(last.payload[0], 7);
    call.end().await;
}

#[tokio::test]
async fn a_carrier_that_offers_comfort_noise_may_fall_silent_and_the_agent_hears_a_quiet_line() {
    let gateway = Gateway::start().await;
    let mut carrier = Carrier::new(Kind::Pcma, 8).await;
    with_trunk(&gateway, "127.0.0.1:9".parse().unwrap(), json!({})).await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let (port, to) = (carrier.port(), gateway.running.ports().sip_udp.to_string());
    let keys = ["-key", "audio_port", &port, "-key", "formats", "8 13"];
    let lines = ["-key", "first_line", NOTHING, "-key", "second_line", NOTHING, "-s", NUMBER, &to];
    let sipp = Sipp::play("audio_caller", &[&keys[..], &lines].concat());
    let (incoming, invite) = agent.invitation().await;
    agent.accept(incoming, &browser.answer()).await;
    browser.connect(&invite.body).await;
    connected(&gateway).await;
    browser.say(600.0, 60).await;
    let level = carrier.hear(600.0, 960, 20).await;
    assert!(level.abs() < 3.0, "{level} dB at the carrier");
    carrier.say(900.0, 400, 20).await;
    carrier.send(13, 160, &[50, 20]).await;
    // Half a second that the carrier sends nothing of.
    let heard = browser.hear(45).await;
    let voice = audio::level_db(&heard[10 * FRAME..19 * FRAME], 900.0);
    assert!(voice.abs() < 3.0, "{voice} dB of voice");
    let quiet = &heard[25 * FRAME..];
    let loudest = quiet.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    assert!((10..800).contains(&loudest), "{loudest}");
    assert!(audio::level_db(quiet, 900.0) < -40.0);
    agent.hang_up(incoming).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn of_what_a_carrier_offers_the_trunks_order_decides() {
    let gateway = Gateway::start().await;
    let mut carrier = Carrier::new(Kind::G722, 9).await;
    with_trunk(&gateway, "127.0.0.1:9".parse().unwrap(), json!({"codecs": ["g722", "pcmu"]})).await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let (port, to) = (carrier.port(), gateway.running.ports().sip_udp.to_string());
    let keys = ["-key", "audio_port", &port, "-key", "formats", "0 8 9"];
    let lines = ["-key", "first_line", NOTHING, "-key", "second_line", NOTHING, "-s", NUMBER, &to];
    let sipp = Sipp::play("audio_caller", &[&keys[..], &lines].concat());
    let (incoming, invite) = agent.invitation().await;
    let offer = String::from_utf8(invite.body.to_vec()).unwrap();
    assert!(offer.contains("maxplaybackrate=16000"), "{offer}");
    agent.accept(incoming, &browser.answer()).await;
    browser.connect(&invite.body).await;
    connected(&gateway).await;
    browser.say(600.0, 60).await;
    let level = carrier.hear(600.0, 960, 20).await;
    assert!(level.abs() < 3.0, "{level} dB at the carrier");
    agent.hang_up(incoming).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

/// baresip decodes what it hears and says it again, each by its own G.722.
#[tokio::test]
async fn baresip_gives_an_agents_voice_back_in_g722() {
    let gateway = Gateway::start().await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_ports();
    let config = format!(
        "sip_listen 127.0.0.1:{port}\nnet_interface 127.0.0.1\naudio_player aubridge,line\naudio_source aubridge,line\n\
         audio_alert aubridge,nothing\nmodule_path /usr/lib/baresip/modules\nmodule g722.so\nmodule aubridge.so\n\
         module_tmp account.so\nmodule_app menu.so\ncall_local_timeout 120\n"
    );
    std::fs::write(folder.path().join("config"), config).unwrap();
    let account =
        format!("<sip:+4930222333@127.0.0.1:{port}>;regint=0;answermode=auto;audio_codecs=G722/16000/1;ptime=20\n");
    std::fs::write(folder.path().join("accounts"), account).unwrap();
    let mut command = tokio::process::Command::new("baresip");
    command.arg("-f").arg(folder.path()).kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    with_trunk(&gateway, address, json!({"codecs": ["g722"]})).await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    browser.connect(&agent.answer(session).await.body).await;
    let mut samples = Vec::new();
    // In real time, for baresip plays by its own clock.
    let mut beat = tokio::time::interval(std::time::Duration::from_millis(20));
    for _ in 0..150 {
        beat.tick().await;
        browser.say(1000.0, 1).await;
        samples.extend(browser.overhear().await);
    }
    let second = &samples[samples.len() - 60 * FRAME..samples.len() - 10 * FRAME];
    let best = second.chunks(FRAME).map(|part| audio::level_db(part, 1000.0)).fold(-100.0, f64::max);
    assert!(best.abs() < 3.0, "{best} dB through baresip");
    let heard = second.chunks(FRAME).filter(|part| audio::level_db(part, 1000.0) > -6.0).count();
    assert!(heard > 40, "only {heard} of 50 frames were the tone");
    agent.hang_up(session).await;
    child.kill().await.unwrap();
    gateway.running.shutdown().await;
}
