//! How a trunk's gateways are reached inside TLS: what the API shows, and the client's key, which passes through to where secrets are kept.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

/// Whom a trunk believes inside TLS, and as who it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct TrunkTls {
    /// Whether the gateway's certificate and its name are checked. Without, anybody can be the gateway.
    pub verify: bool,
    /// The name the gateway's certificate must have; its host when left out.
    pub server_name: Option<String>,
    /// The certificate authorities believed for this trunk and no others, PEM; the public ones when left out.
    pub ca_pem: Option<String>,
    /// The certificate shown to a gateway that asks who we are, with its chain, PEM.
    pub client_certificate_pem: Option<String>,
    /// The client certificate's key, PEM; never shown. Left out of a change that leaves the certificate as it is, it stays too.
    #[serde(default, skip_serializing_if = "never_shown")]
    #[schema(value_type = Option<String>, write_only)]
    pub client_key_pem: Option<ClientKey>,
}

impl Default for TrunkTls {
    fn default() -> Self {
        Self { verify: true, server_name: None, ca_pem: None, client_certificate_pem: None, client_key_pem: None }
    }
}

/// What is kept of a client certificate's key; good for this certificate only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptKey {
    /// The certificate it belongs to, PEM.
    pub certificate_pem: String,
    /// The key, PEM.
    pub key_pem: ClientKey,
}

impl TrunkTls {
    /// Takes the key out, or that which was kept for the same certificate; and whether it is missing.
    pub(super) fn seal(&mut self, before: Option<KeptKey>) -> (Option<KeptKey>, bool) {
        let Some(certificate_pem) = self.client_certificate_pem.clone() else { return (None, false) };
        let kept = before.filter(|kept| kept.certificate_pem == certificate_pem);
        let new = self.client_key_pem.take().map(|key_pem| KeptKey { certificate_pem, key_pem });
        let sealed = new.or(kept);
        let missing = sealed.is_none();
        (sealed, missing)
    }
}

/// The key of a client certificate.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ClientKey(pub String);

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey")
    }
}

impl Serialize for ClientKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

fn never_shown(_: &Option<ClientKey>) -> bool {
    true
}
