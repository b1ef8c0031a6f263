//! How a trunk's gateways are reached inside TLS. Carried for the shell, which opens the connections; nothing here is understood.

use std::fmt;

/// Whom a trunk believes, and as who it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsSettings {
    /// Whether the gateway's certificate is checked, its name included (RFC 5922).
    pub verify: bool,
    /// The name its certificate must have; the gateway's host when `None`.
    pub server_name: Option<String>,
    /// The only certificate authorities believed, PEM; the public ones when `None`.
    pub ca_pem: Option<String>,
    /// What the gateway is shown when it asks who we are.
    pub client: Option<TlsClient>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self { verify: true, server_name: None, ca_pem: None, client: None }
    }
}

/// A client certificate with its key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TlsClient {
    /// The chain, PEM.
    pub certificate_pem: String,
    /// The key, PEM.
    pub key_pem: String,
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").finish_non_exhaustive()
    }
}

/// What a connection to one gateway is opened with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsPeer {
    /// The name expected and asked for.
    pub name: String,
    /// The trunk's settings.
    pub settings: TlsSettings,
}
