//! Runs baresip, a SIP user agent with an SRTP of its own, in the place of a carrier. It plays a tone and writes down what it hears.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::sipp::free_ports;
use crate::support::audio::tone;
use crate::support::within;

/// Where its modules may be installed.
const MODULES: [&str; 3] = [
    "/usr/lib/baresip/modules",
    "/usr/lib/x86_64-linux-gnu/baresip/modules",
    "/usr/lib/aarch64-linux-gnu/baresip/modules",
];

/// One running baresip, which answers by itself.
pub(crate) struct Baresip {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Baresip {
    /// Starts it with this account parameter for its media (`mediaenc=…`), playing a tone; it dials when told whom.
    pub(crate) async fn start(media: &str, frequency: f64, dials: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let port = free_ports();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        write_wav(
            &folder.path().join("tone.wav"),
            &(0..500).flat_map(|n| tone(frequency, 8000, n)).collect::<Vec<_>>(),
        );
        let account =
            format!("<sip:+4930222333@{address}>;regint=0;answermode=auto;audio_codecs=PCMU/8000/1;ptime=20;{media}\n");
        std::fs::write(path("accounts"), account).unwrap();
        let modules = MODULES.into_iter().find(|path| Path::new(path).exists()).expect("baresip's modules");
        let mut config = format!(
            "sip_listen {address}\nsip_trans_def udp\nnet_interface 127.0.0.1\nmodule_path {modules}\n\
             audio_source aufile,{tone}\naudio_player aufile,{heard}\naudio_alert aufile,/dev/null\nsnd_path {folder}\n\
             ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\nrtp_stats no\nrtp_ports 40000-49999\n",
            tone = path("tone.wav"),
            heard = path("heard.wav"),
            folder = folder.path().display(),
        );
        for module in ["g711", "aufile", "sndfile", "srtp"] {
            writeln!(config, "module {module}.so").unwrap();
        }
        config.push_str("module_app account.so\nmodule_app menu.so\n");
        std::fs::write(path("config"), config).unwrap();
        let log = std::fs::File::create(path("log")).unwrap();
        let mut command = Command::new("baresip");
        command.arg("-f").arg(folder.path()).args(["-t", "30"]).kill_on_drop(true);
        if let Some(to) = dials {
            command.args(["-e", &format!("/dial {to}")]);
        }
        // It ends with its standard input.
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        let baresip = Self { child: command.spawn().unwrap(), address, folder };
        // A look at it by binding could be just when baresip does.
        let listens = format!(":{port:04X} ");
        within("baresip's port", async {
            while !std::fs::read_to_string("/proc/net/udp").unwrap().contains(&listens) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        baresip
    }

    /// What it said so far, for when it does not do as it should.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Ends it, and gives what it heard in its call.
    pub(crate) async fn heard(mut self) -> Vec<i16> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).unwrap())).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        within("the end of baresip", self.child.wait()).await.unwrap();
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let is_heard = |path: &PathBuf| path.to_string_lossy().ends_with("-dec.wav");
        let file = files.into_iter().find(is_heard).unwrap_or_else(|| panic!("nothing was heard: {}", self.log()));
        let bytes = std::fs::read(file).unwrap();
        let data = bytes.windows(4).position(|window| window == b"data").unwrap() + 8;
        bytes[data..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }
}

/// 16 bits at 8 kHz, one channel.
fn write_wav(path: &Path, samples: &[i16]) {
    let length = u32::try_from(samples.len() * 2).unwrap();
    let mut bytes = b"RIFF".to_vec();
    bytes.extend_from_slice(&(36 + length).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}
