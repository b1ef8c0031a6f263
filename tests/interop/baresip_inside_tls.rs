//! Runs baresip, a SIP implementation that is not ours and speaks TLS, in the place of a carrier: it answers and plays a tone.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::sipp::free_ports;
use crate::support::audio::tone;
use crate::support::tls::Pair;
use crate::support::within;

/// Where Debian keeps the modules.
const MODULES: [&str; 3] = [
    "/usr/lib/baresip/modules",
    "/usr/lib/x86_64-linux-gnu/baresip/modules",
    "/usr/lib/aarch64-linux-gnu/baresip/modules",
];

/// One running baresip.
pub(crate) struct Baresip {
    _child: Child,
    _folder: tempfile::TempDir,
    /// Where it listens inside TLS.
    pub(crate) port: u16,
}

impl Baresip {
    /// Answers calls of `number` inside TLS as `pair`, and plays a tone. `media` is an account parameter for its media (`mediaenc=…`), or
    /// nothing.
    pub(crate) async fn start(number: &str, pair: &Pair, frequency: f64, media: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let sip = free_ports();
        let format = hound::WavSpec {
            channels: 1,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(at("tone.wav"), format).unwrap();
        for sample in (0..50 * 30).flat_map(|frame| tone(frequency, 8000, frame)) {
            wav.write_sample(sample).unwrap();
        }
        wav.finalize().unwrap();
        std::fs::write(at("both.pem"), format!("{}{}", pair.certificate, pair.key)).unwrap();
        let account = format!(
            "<sip:{number}@127.0.0.1:{sip};transport=tls>;regint=0;answermode=auto;audio_codecs=PCMU/8000/1;{media}\n"
        );
        std::fs::write(at("accounts"), account).unwrap();
        let modules = MODULES.iter().find(|path| std::path::Path::new(path).is_dir()).expect("baresip's modules");
        let folder_name = folder.path().display();
        let config = format!(
            "sip_listen 127.0.0.1:{sip}\nsip_certificate {folder_name}/both.pem\nnet_interface 127.0.0.1\n\
             module_path {modules}\nmodule g711.so\nmodule aufile.so\nmodule srtp.so\nmodule_app account.so\nmodule_app menu.so\n\
             audio_source aufile,{folder_name}/tone.wav\naudio_player aufile,{folder_name}/heard.wav\naudio_alert aufile,/dev/null\n\
             ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\nrtp_ports 40000-49999\n"
        );
        std::fs::write(at("config"), config).unwrap();
        let mut command = Command::new("baresip");
        command.args(["-f", &folder_name.to_string()]).kill_on_drop(true);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        within("baresip to be ready", async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains("ready") {
                    return;
                }
            }
            panic!("baresip ended");
        })
        .await;
        // Its output must go on being read.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        // Inside TLS it listens on the next port.
        Self { _child: child, _folder: folder, port: sip + 1 }
    }
}
