//! Runs SIPp, a SIP implementation that is not ours, in the place of a carrier.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::process::{Child, Command};

use crate::network::Namespace;
use crate::support::within;

/// Ports of this machine that no socket gets by chance: below those that the system gives out (`ip_local_port_range`).
const CHOSEN: std::ops::Range<u16> = 20_004..32_000;

/// How many ports a peer takes, from the one it is told: SIPp its audio's and video's, baresip TCP and TLS.
const TAKEN: u16 = 4;

/// A port nobody uses, the next three free as well, over UDP and TCP: SIPp cannot choose its own and say which. No two tests get the same.
pub(crate) fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let free =
        |port: u16| UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok();
    let places = (CHOSEN.end - CHOSEN.start) / TAKEN;
    // Test binaries that run at the same time begin in other places.
    let first = u16::try_from(std::process::id() % u32::from(places)).unwrap();
    let next = || CHOSEN.start + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % places * TAKEN;
    std::iter::repeat_with(next).take(places.into()).find(|port| (0..TAKEN).all(|offset| free(port + offset))).unwrap()
}

/// One running SIPp.
pub(crate) struct Sipp {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Sipp {
    /// Runs one call of a scenario that SIPp brings along.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::run(Command::new("sipp"), "127.0.0.1", free_ports(), arguments)
    }

    /// Runs one call of a scenario of ours.
    pub(crate) fn play(scenario: &str, arguments: &[&str]) -> Self {
        Self::start(&[&["-sf", &file(scenario)], arguments].concat())
    }

    /// Runs any number of calls of a scenario of ours, until it is killed or dropped.
    pub(crate) fn serve(scenario: &str, arguments: &[&str]) -> Self {
        Self::serve_at(free_ports(), scenario, arguments)
    }

    /// The same at this port.
    pub(crate) fn serve_at(port: u16, scenario: &str, arguments: &[&str]) -> Self {
        let many = ["-sf", &file(scenario), "-m", "100000"];
        Self::run(Command::new("sipp"), "127.0.0.1", port, &[&many, arguments].concat())
    }

    /// Runs one call of a scenario of ours at this address of another network.
    pub(crate) fn play_in(network: &Namespace, address: &str, scenario: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("nsenter");
        command.args(network.entry()).arg("sipp");
        // Nobody else is there.
        Self::run(command, address, 5060, &[&["-sf", &file(scenario)], arguments].concat())
    }

    fn run(mut command: Command, ip: &str, port: u16, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        command.current_dir(folder.path()).kill_on_drop(true);
        command.args(["-i", ip, "-p", &port.to_string(), "-mp", &free_ports().to_string(), "-m", "1", "-nostdin"]);
        command.args(["-trace_msg", "-message_file", MESSAGES, "-trace_err", "-error_file", ERRORS]);
        command.args(["-timeout", "20s", "-timeout_error"]).args(arguments);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, address: SocketAddr::new(ip.parse().unwrap(), port), folder }
    }

    /// Ends it as a power failure would.
    pub(crate) async fn kill(&mut self) {
        within("the end of SIPp", self.child.kill()).await.unwrap();
    }

    /// Waits until it takes TCP connections, without making one, which SIPp would take for its call's.
    pub(crate) async fn listening(&self) {
        let local = format!(":{:04X} 00000000:0000 0A", self.address.port());
        within("SIPp to listen", async {
            while !std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&local) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// The last message with a media description that it was sent, whole.
    pub(crate) async fn description(&self) -> String {
        within("a description for SIPp", async {
            loop {
                if let Some(found) = self.received().into_iter().rfind(|message| message.contains("\nm=audio")) {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// Waits until it has been sent so many messages whose first line begins like this.
    pub(crate) async fn until(&self, start: &str, count: usize) {
        within(&format!("{count} {start} for SIPp"), async {
            while self.heard(start).len() < count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// The first lines that begin like this of the messages it has been sent.
    pub(crate) fn heard(&self, start: &str) -> Vec<String> {
        let received = self.received();
        let lines = received.iter().filter_map(|message| message.lines().nth(3));
        lines.filter(|line| line.starts_with(start)).map(str::to_owned).collect()
    }

    pub(crate) fn received(&self) -> Vec<String> {
        let messages = std::fs::read_to_string(self.folder.path().join(MESSAGES)).unwrap_or_default();
        let entries = messages.split(SEPARATOR).filter(|entry| entry.contains("message received"));
        entries.map(str::to_owned).collect()
    }

    /// SIPp's verdict: it exits with 0 when every message of the scenario was as expected.
    pub(crate) async fn assert_success(mut self) {
        let status = within("the end of SIPp", self.child.wait()).await.unwrap();
        let read = |file| std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default();
        assert!(status.success(), "SIPp: {status}\n{}\nits messages: {}", read(ERRORS), read(MESSAGES));
    }
}

/// Where SIPp writes its messages down.
const MESSAGES: &str = "messages.log";

/// Where SIPp writes down what was not as expected.
const ERRORS: &str = "errors.log";

/// What SIPp writes between them.
const SEPARATOR: &str = "-----------------------------------------------";

fn file(scenario: &str) -> String {
    format!("{}/tests/interop/scenarios/{scenario}.xml", env!("CARGO_MANIFEST_DIR"))
}
