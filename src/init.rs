//! `patchcord init`: everything a first start needs, each thing only when it is missing. Running it again changes nothing.

use crate::certificate::{self, CertificateError};
use crate::config::Config;
use crate::identifier::new_secret;
use crate::store::{Agent, CodecName, Credential, Document, Extension, MintedKey, OnLimit, Page, Store, StoreError};

/// The demo agent's extension.
const DEMO_NUMBER: &str = "1000";

/// What was made. Whoever gets this prints the secrets: they are known nowhere else.
#[derive(Debug)]
pub struct Made {
    /// A development certificate was made.
    pub certificate: bool,
    /// The administrator's API key.
    pub api_key: Option<MintedKey>,
    /// The demo agent.
    pub demo: Option<DemoAgent>,
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
/// no agent, a demo agent.
///
/// # Errors
/// When a file cannot be written or the database fails.
pub async fn init(config: &Config, demo: bool) -> Result<Made, InitError> {
    let certificate = certificate::make_if_missing(&config.http.certificate, &config.http.key)?;
    let store = Store::open(&config.database, &config.sip.domain).await?;
    let one = Page { after: String::new(), limit: 1 };
    let api_key = match store.api_keys(&one).await?.is_empty() {
        true => Some(store.create_api_key("administrator", &["admin".to_owned()]).await?),
        false => None,
    };
    let demo = match demo && store.agents(&one).await?.is_empty() {
        true => Some(demo_agent(&store).await?),
        false => None,
    };
    store.close().await;
    Ok(Made { certificate, api_key, demo })
}

async fn demo_agent(store: &Store) -> Result<DemoAgent, StoreError> {
    let agent = Agent {
        external_id: None,
        display_name: "Demo agent".into(),
        email: None,
        enabled: true,
        caller_id_number: None,
        max_concurrent_calls: 0,
        metadata: Document::default(),
    };
    let agent = store.create_agent(agent).await?;
    let extension = Extension {
        number: DEMO_NUMBER.into(),
        agent_id: Some(agent.id),
        ring_timeout_s: 30,
        max_contacts: 5,
        on_limit: OnLimit::ReplaceOldest,
        codecs: Document(vec![CodecName::Opus, CodecName::Pcmu, CodecName::Pcma]),
    };
    let extension = store.create_extension(extension).await?;
    let secret = new_secret();
    let credential = Credential { extension_id: extension.id, username: DEMO_NUMBER.into(), tag: Some("demo".into()) };
    store.create_credential(credential, &secret).await?;
    Ok(DemoAgent { address: format!("sip:{DEMO_NUMBER}@{}", store.realm()), secret })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_init_makes_nothing_and_shows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.http.certificate = folder.path().join("certs/patchcord.pem");
        config.http.key = folder.path().join("certs/patchcord-key.pem");
        config.database.url = format!("sqlite://{}/data/patchcord.db", folder.path().display());
        let first = init(&config, true).await.unwrap();
        let (key, demo) = (first.api_key.unwrap(), first.demo.unwrap());
        assert!(first.certificate);
        assert_eq!(demo.address, "sip:1000@localhost");
        let store = Store::open(&config.database, "localhost").await.unwrap();
        assert_eq!(store.authenticate(&key.token).await.unwrap().unwrap().scopes, ["admin"]);
        let wanted = sip::Ha1::new("1000", "localhost", &demo.secret);
        assert_eq!(store.directory().borrow().credentials["1000"].ha1.sha256, wanted.sha256);
        let second = init(&config, true).await.unwrap();
        assert!(!second.certificate && second.api_key.is_none() && second.demo.is_none());
    }
}
