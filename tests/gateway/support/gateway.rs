//! A gateway on free ports, with two extensions and a trunk, set up through its own REST API.

use std::net::SocketAddr;
use std::path::PathBuf;

use patchcord::config::Config;
use patchcord::serve::{self, Running};
use serde_json::{Value, json};
use testkit::REALM;

use super::within;

/// Everything a story needs: an echo test, colleagues, the trunk for `+…`, numbers of ours.
const DIALPLAN: &str = r#"
[[rule]]
context = "agents"
name = "echo"
number = "9196"
targets = [{ echo = true }]

[[rule]]
context = "agents"
name = "colleagues"
extension_exists = true
targets = [{ extension = "$0" }]

[[rule]]
context = "agents"
name = "outside"
prefix = "+"
targets = [{ trunks = ["*"], number = "$e164" }]

[[rule]]
context = "trunks"
name = "ours"
targets = [{ number_assignment = true }]
"#;

/// The secret of every extension.
pub(crate) const SECRET: &str = "correct horse battery";

/// A number of ours, which rings extension 100.
pub(crate) const NUMBER: &str = "+4930111100";

pub(crate) struct Gateway {
    pub(crate) running: Running,
    pub(crate) folder: tempfile::TempDir,
    key: String,
    http: reqwest::Client,
}

impl Gateway {
    /// With extensions 100 and 101.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| -> PathBuf { folder.path().join(name) };
        std::fs::create_dir(path("dialplan")).unwrap();
        std::fs::write(path("dialplan/10-test.toml"), DIALPLAN).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut config = Config::default();
        config.http.https_listen = any;
        config.http.http_listen = Some(any);
        config.http.certificate = path("certificate.pem");
        config.http.key = path("key.pem");
        config.http.allowed_origins = vec!["https://crm.example.com".to_owned()];
        config.sip.udp_listen = any;
        config.sip.tcp_listen = any;
        config.sip.domain = REALM.to_owned();
        config.media.shards = 1;
        config.media.listen = any.ip();
        config.media.browser_ports = 0;
        config.media.rtp_port_min = 0;
        config.media.rtp_port_max = 0;
        config.database.url = format!("sqlite://{}", path("patchcord.db").display());
        // Tests call more than people do.
        config.fraud.enabled = false;
        config.dialplan.directory = path("dialplan");
        change(&mut config);
        patchcord::certificate::make_if_missing(&config.http.certificate, &config.http.key).unwrap();
        let running = serve::start(&config).await.unwrap();
        let key = running.store().create_api_key("test", &["admin".to_owned()]).await.unwrap().token;
        let gateway = Self { running, folder, key, http: reqwest::Client::new() };
        for number in ["100", "101"] {
            gateway.extension(number).await;
        }
        gateway
    }

    async fn extension(&self, number: &str) -> String {
        let agent = self.post("/v1/agents", json!({"display_name": format!("Agent {number}")})).await;
        let extension = json!({"number": number, "agent_id": agent["id"]});
        let extension = self.post("/v1/extensions", extension).await["id"].as_str().unwrap().to_owned();
        self.post(&format!("/v1/extensions/{extension}/credentials"), json!({"password": SECRET})).await;
        extension
    }

    /// Adds a trunk whose gateway is at `address`; [`NUMBER`] is assigned to extension 100.
    pub(crate) async fn trunk(&self, address: SocketAddr, transport: &str) -> Value {
        let gateways = json!([{"uri": format!("sip:{address}"), "transport": transport}]);
        let inbound = json!({"cidrs": [format!("{}/32", address.ip())]});
        self.trunk_with(json!({"gateways": gateways, "inbound": inbound})).await
    }

    /// Adds the trunk `carrier` with these fields; [`NUMBER`] is assigned to extension 100.
    pub(crate) async fn trunk_with(&self, mut trunk: Value) -> Value {
        trunk["name"] = json!("carrier");
        // Peers here answer what they are made for. Who wants questions asks for them.
        if trunk.get("options_ping_s").is_none() {
            trunk["options_ping_s"] = json!(0);
        }
        let trunk = self.post("/v1/trunks", trunk).await;
        let extensions = self.get("/v1/extensions").await;
        let extension = extensions["data"].as_array().unwrap().iter().find(|row| row["number"] == "100").unwrap();
        let target = json!({"type": "extension", "id": extension["id"]});
        self.post("/v1/numbers", json!({"e164": NUMBER, "trunk_id": trunk["id"], "target": target})).await;
        trunk
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.ports().http.unwrap())
    }

    pub(crate) async fn fetch(&self, path: &str) -> reqwest::Response {
        within(path, self.http.get(self.url(path)).bearer_auth(&self.key).send()).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.fetch(path).await.json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(self.url(path)).bearer_auth(&self.key).json(&body);
        let response = within(path, request.send()).await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.text().await.unwrap());
        response.json().await.unwrap_or(Value::Null)
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Value {
        let request = self.http.patch(self.url(path)).bearer_auth(&self.key).json(&body);
        let response = within(path, request.send()).await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.text().await.unwrap());
        response.json().await.unwrap()
    }

    /// The answer to a POST without a body, whatever it is.
    pub(crate) async fn try_post(&self, path: &str) -> reqwest::Response {
        within(path, self.http.post(self.url(path)).bearer_auth(&self.key).send()).await.unwrap()
    }

    /// Asks again until `look` finds something.
    pub(crate) async fn eventually<T>(&self, path: &str, look: impl Fn(&Value) -> Option<T>) -> T {
        within(path, async {
            loop {
                if let Some(found) = look(&self.get(path).await) {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }
}
