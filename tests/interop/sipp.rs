//! Runs SIPp, a SIP implementation that is not ours, in the place of a carrier.

use std::net::{SocketAddr, UdpSocket};
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::support::within;

/// A port nobody uses at the moment, the next three free as well: SIPp cannot choose its own and say which.
pub(crate) fn free_ports() -> u16 {
    let free = |port: u16| (0..4).all(|offset| UdpSocket::bind(("127.0.0.1", port + offset)).is_ok());
    let any = || UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    std::iter::repeat_with(any).find(|port| *port < 65_000 && free(*port)).unwrap()
}

/// One running SIPp.
pub(crate) struct Sipp {
    child: Child,
    pub(crate) address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Sipp {
    /// Runs one call of a scenario that SIPp brings along.
    pub(crate) fn start(arguments: &[&str]) -> Self {
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
    pub(crate) fn play(scenario: &str, arguments: &[&str]) -> Self {
        let file = format!("{}/tests/interop/scenarios/{scenario}.xml", env!("CARGO_MANIFEST_DIR"));
        Self::start(&[&["-sf", &file], arguments].concat())
    }

    /// SIPp's verdict: it exits with 0 when every message of the scenario was as expected.
    pub(crate) async fn assert_success(mut self) {
        let status = within("the end of SIPp", self.child.wait()).await.unwrap();
        assert!(status.success(), "SIPp: {status}");
    }
}
