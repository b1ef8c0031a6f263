//! `patchcord init`: everything a first start needs, each thing only when it is missing. Running it again changes nothing.

use crate::certificate::{self, CertificateError};
use crate::config::Config;
use crate::identifier::new_secret;
use crate::store::{Agent, CodecName, Credential, Document, Extension, MintedKey, OnLimit, Page, Store, StoreError};

/// The demo agent's extension.
const DEMO_NUMBER: &str = "1000";

/// Something that was made. Whoever gets a secret shows it: it is known nowhere else.
#[derive(Debug)]
pub enum Made {
    /// A development certificate.
    Certificate,
    /// The administrator's API key.
    ApiKey(MintedKey),
    /// The demo agent.
    Demo(DemoAgent),
}

/// How the demo agent signs in.
#[derive(Debug)]
pub struct DemoAgent {
    /// `sip:1000@domain`
    pub address: String,
    /// Its secret.
    pub secret: String,
}

/// Why the first start could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// No certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// No database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the certificate, the database, an administrator's key when there is no key, and, when `demo` is asked for and there is
/// no agent, a demo agent. Each is told to `show` as soon as it is made: what fails later hides no secret.
///
/// # Errors
/// When a file cannot be written or the database fails, or somebody else has the demo agent's number.
pub async fn init(config: &Config, demo: bool, mut show: impl FnMut(Made)) -> Result<(), InitError> {
    if certificate::make_if_missing(&config.http.certificate, &config.http.key)? {
        show(Made::Certificate);
    }
    let store = Store::open(&config.database, &config.sip.domain).await?;
    let one = Page { after: String::new(), limit: 1 };
    if store.api_keys(&one).await?.is_empty() {
        show(Made::ApiKey(store.create_api_key("administrator", &["admin".to_owned()]).await?));
    }
    if demo && store.agents(&one).await?.is_empty() {
        show(Made::Demo(demo_agent(&store).await?));
    }
    store.close().await;
    Ok(())
}

async fn demo_agent(store: &Store) -> Result<DemoAgent, StoreError> {
    let agent = Agent { display_name: "Demo agent".into(), enabled: true, ..Agent::default() };
    let agent = store.create_agent(agent).await?;
    let extension = store.create_extension(demo_extension(Some(agent.id))).await?;
    let secret = new_secret();
    let credential = Credential { extension_id: extension.id, username: DEMO_NUMBER.into(), tag: Some("demo".into()) };
    store.create_credential(credential, &secret).await?;
    Ok(DemoAgent { address: format!("sip:{DEMO_NUMBER}@{}", store.realm()), secret })
}

fn demo_extension(agent_id: Option<String>) -> Extension {
    Extension {
        number: DEMO_NUMBER.into(),
        agent_id,
        ring_timeout_s: 30,
        max_contacts: 5,
        on_limit: OnLimit::ReplaceOldest,
        codecs: Document(vec![CodecName::Opus, CodecName::Pcmu, CodecName::Pcma]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &tempfile::TempDir) -> Config {
        let mut config = Config::default();
        config.http.certificate = folder.path().join("certs/patchcord.pem");
        config.http.key = folder.path().join("certs/patchcord-key.pem");
        config.database.url = format!("sqlite://{}/data/patchcord.db", folder.path().display());
        config
    }

    #[tokio::test]
    async fn a_second_init_makes_nothing_and_shows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        let mut made = Vec::new();
        init(&config, true, |thing| made.push(thing)).await.unwrap();
        let [Made::Certificate, Made::ApiKey(key), Made::Demo(demo)] = &made[..] else { panic!("{made:?}") };
        assert_eq!(demo.address, "sip:1000@localhost");
        let store = Store::open(&config.database, "localhost").await.unwrap();
        assert_eq!(store.authenticate(&key.token).await.unwrap().unwrap().scopes, ["admin"]);
        let wanted = sip::Ha1::new("1000", "localhost", &demo.secret);
        assert_eq!(store.directory().borrow().credentials["1000"].ha1.sha256, wanted.sha256);
        init(&config, true, |thing| panic!("{thing:?}")).await.unwrap();
    }

    #[tokio::test]
    async fn the_key_is_shown_even_if_the_demo_agents_number_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        let store = Store::open(&config.database, "localhost").await.unwrap();
        store.create_extension(demo_extension(None)).await.unwrap();
        let mut shown = Vec::new();
        assert!(init(&config, true, |thing| shown.push(thing)).await.is_err());
        assert!(matches!(shown[..], [Made::Certificate, Made::ApiKey(_)]), "{shown:?}");
    }
}
