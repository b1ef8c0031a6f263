//! What a connection to one gateway is opened with: made once of its trunk's settings, so that later connections resume the session of
//! earlier ones (RFC 8446 §2.2).

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use switchboard::{TlsPeer, TlsSettings};

use super::verify::{AnyCertificate, GatewayCertificate};

/// The settings of one gateway's connections.
#[derive(Debug)]
pub(crate) struct Client {
    peer: Arc<TlsPeer>,
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Client {
    /// Nothing is read before the first connection is opened.
    pub(crate) fn new(peer: Arc<TlsPeer>) -> Self {
        Self { peer, config: OnceLock::new() }
    }

    /// Whom the connection is opened to.
    pub(crate) fn name(&self) -> &str {
        &self.peer.name
    }

    pub(super) fn is_verified(&self) -> bool {
        self.peer.settings.verify
    }

    /// What to connect with and the name to ask for, or what is wrong with the trunk's settings.
    pub(super) fn settings(&self) -> Result<(Arc<ClientConfig>, ServerName<'static>), String> {
        let name = ServerName::try_from(self.peer.name.clone());
        let name = name.map_err(|_| format!("\"{}\" is no name a certificate can have", self.peer.name))?;
        let config = self.config.get_or_init(|| config(&self.peer.settings).map(Arc::new));
        config.clone().map(|config| (config, name))
    }
}

fn config(settings: &TlsSettings) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let builder = builder.dangerous();
    let builder = if settings.verify {
        let roots = roots(settings.ca_pem.as_deref())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let verifier = verifier.map_err(|error| format!("its trunk's tls.ca_pem cannot be used: {error}"))?;
        builder.with_custom_certificate_verifier(Arc::new(GatewayCertificate::new(verifier)))
    } else {
        builder.with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider)))
    };
    let Some(client) = &settings.client else { return Ok(builder.with_no_client_auth()) };
    let unusable = |error: &dyn std::fmt::Display| format!("its trunk's client certificate cannot be used: {error}");
    let chain = certificates(&client.certificate_pem).map_err(|error| unusable(&error))?;
    let key = PrivateKeyDer::from_pem_slice(client.key_pem.as_bytes()).map_err(|error| unusable(&error))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| unusable(&error))
}

/// The trunk's own authorities, and no other; without any, those of the Web.
fn roots(own: Option<&str>) -> Result<RootCertStore, String> {
    let Some(pem) = own else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let unusable = |error: &dyn std::fmt::Display| format!("its trunk's tls.ca_pem cannot be used: {error}");
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).map_err(|error| unusable(&error))? {
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    Ok(roots)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect()
}

/// Whether a certificate and key can be shown to a server.
///
/// # Errors
/// What is wrong, and whether it is the key.
pub(crate) fn check_pair(certificate_pem: &str, key_pem: &str) -> Result<(), String> {
    let chain = certificates(certificate_pem).map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| error.to_string())?;
    let provider: CryptoProvider = aws_lc_rs::default_provider();
    let pair = rustls::sign::CertifiedKey::from_der(chain, key, &provider);
    pair.map(drop).map_err(|error| error.to_string())
}
