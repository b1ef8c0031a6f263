//! The binary itself: its first start, its signals and its exit codes.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::support::within;

const BINARY: &str = env!("CARGO_BIN_EXE_patchcord");

/// A configuration with every port 0.
fn configure(folder: &Path, domain: &str) {
    let text = format!(
        "[http]\nhttps_listen = \"127.0.0.1:0\"\nhttp_listen = \"127.0.0.1:0\"\n[sip]\nudp_listen = \"127.0.0.1:0\"\n\
         tcp_listen = \"127.0.0.1:0\"\ndomain = \"{domain}\"\n[media]\nshards = 1\nlisten = \"127.0.0.1\"\nbrowser_ports = 0\n\
         rtp_port_min = 0\nrtp_port_max = 0\n[log]\nformat = \"json\"\n"
    );
    std::fs::write(folder.join("patchcord.toml"), text).unwrap();
    std::fs::create_dir(folder.join("dialplan")).unwrap();
    let rule = "[[rule]]\ncontext = \"agents\"\nname = \"echo\"\nnumber = \"9196\"\ntargets = [{ echo = true }]\n";
    std::fs::write(folder.join("dialplan/00.toml"), rule).unwrap();
}

async fn output(folder: &Path, arguments: &[&str]) -> (bool, String) {
    output_with(folder, arguments, &[]).await
}

async fn output_with(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let variables = variables.iter().copied();
    let output = Command::new(BINARY).current_dir(folder).args(arguments).envs(variables).output();
    let output = within("the command", output).await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

struct Serving {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Serving {
    async fn start(folder: &Path) -> Self {
        let mut command = Command::new(BINARY);
        command.current_dir(folder).args(["serve", "--ports-file", "ports.json"]);
        let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut serving = Self { child, log };
        serving.until("ready").await;
        serving
    }

    /// Reads the log up to a line with this message.
    async fn until(&mut self, message: &str) {
        within(message, async {
            while let Some(line) = self.log.next_line().await.unwrap() {
                let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
                if line["message"].as_str().is_some_and(|text| text.contains(message)) {
                    return;
                }
            }
            panic!("the log ended without {message:?}");
        })
        .await;
    }

    async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().await.unwrap().success());
    }

    async fn exit_code(&mut self) -> Option<i32> {
        within("the exit", self.child.wait()).await.unwrap().code()
    }
}

#[tokio::test]
async fn a_first_start_prints_secrets_once_and_serves_until_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path(), "phone.example.com");
    let (prepared, printed) = output(folder.path(), &["init", "--demo"]).await;
    assert!(prepared && printed.contains("pk_") && printed.contains("sip:1000@phone.example.com"), "{printed}");
    let (_, again) = output(folder.path(), &["init", "--demo"]).await;
    assert!(!again.contains("pk_"), "{again}");
    let mut serving = Serving::start(folder.path()).await;
    let ports: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("ports.json")).unwrap()).unwrap();
    let url = format!("http://{}/readyz", ports["http"].as_str().unwrap());
    assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
    let listener = format!("[http]\nhttps_listen = \"{}\"\n", ports["https"].as_str().unwrap());
    std::fs::write(folder.path().join("health.toml"), listener).unwrap();
    assert!(output(folder.path(), &["healthcheck", "-c", "health.toml"]).await.0);
    serving.signal("-HUP").await;
    serving.until("the dialplan is reloaded").await;
    serving.signal("-TERM").await;
    assert_eq!(serving.exit_code().await, Some(0));
    let (alive, said) = output(folder.path(), &["healthcheck", "-c", "health.toml"]).await;
    assert!(!alive && said.contains("does not answer"), "{said}");
}

#[tokio::test]
async fn a_wrong_dialplan_is_named_by_check_and_by_serve() {
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path(), "phone.example.com");
    output(folder.path(), &["init"]).await;
    std::fs::write(folder.path().join("dialplan/01.toml"), "[[rule]]\ncontext = \"nowhere\"\n").unwrap();
    for command in ["check", "serve"] {
        let (right, said) = output(folder.path(), &[command]).await;
        assert!(!right && said.contains("01.toml:"), "{command}: {said}");
    }
}

#[tokio::test]
async fn serving_without_a_certificate_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path(), "phone.example.com");
    let (right, said) = output(folder.path(), &["serve"]).await;
    assert!(!right && said.contains("patchcord init"), "{said}");
}

#[tokio::test]
async fn variables_override_the_file_and_a_wrong_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path(), "phone.test");
    let domain = ("PATCHCORD__SIP__DOMAIN", "other.test");
    let database = ("PATCHCORD__DATABASE__URL", "sqlite://elsewhere/patchcord.db");
    let (done, made) = output_with(folder.path(), &["init", "--demo"], &[domain, database]).await;
    assert!(done && made.contains("sip:1000@other.test"), "{made}");
    assert!(folder.path().join("elsewhere/patchcord.db").exists());
    let wrong = [("PATCHCORD__MEDIA__SHARDS", "many"), ("PATCHCORD__SIP__COLOUR", "red")];
    let (done, told) = output_with(folder.path(), &["check"], &wrong).await;
    assert!(!done, "{told}");
    for expected in ["PATCHCORD__MEDIA__SHARDS", "PATCHCORD__SIP__COLOUR"] {
        assert!(told.contains(expected), "{expected} is missing in: {told}");
    }
}
