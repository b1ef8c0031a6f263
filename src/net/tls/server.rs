//! What the listener for trunks works with: read again without closing a connection.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::identity::{Identity, TlsError, certificates};

/// The listener's certificate and whom it believes, for each connection as they are then.
#[derive(Debug, Clone)]
pub(crate) struct ServerSettings(Arc<ArcSwap<ServerConfig>>);

impl ServerSettings {
    /// Reads them; until when others believe the certificate. With `client_ca`, clients are asked for a certificate of those authorities:
    /// one that shows none may still be known by its address.
    ///
    /// # Errors
    /// When a file is missing or wrong, or key and certificate do not fit.
    pub(crate) fn read(
        certificate: &Path,
        key: &Path,
        client_ca: Option<&Path>,
    ) -> Result<(Self, SystemTime), TlsError> {
        let (config, expires) = read(certificate, key, client_ca)?;
        Ok((Self(Arc::new(ArcSwap::from_pointee(config))), expires))
    }

    /// Reads them again, for connections from now on.
    ///
    /// # Errors
    /// As [`Self::read`]; then everything stays as it was.
    pub(crate) fn reread(
        &self,
        certificate: &Path,
        key: &Path,
        client_ca: Option<&Path>,
    ) -> Result<SystemTime, TlsError> {
        let (config, expires) = read(certificate, key, client_ca)?;
        self.0.store(Arc::new(config));
        Ok(expires)
    }

    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }
}

fn read(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<(ServerConfig, SystemTime), TlsError> {
    let identity = Identity::read(certificate, key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority).map_err(|error| TlsError::file(path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.allow_unauthenticated().build().map_err(|error| TlsError::file(path, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    Ok((builder.with_single_cert(identity.chain, identity.key)?, identity.expires))
}
