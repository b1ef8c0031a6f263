//! What the listener for trunks works with: read again without closing a connection.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
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
    let mut config = builder.with_single_cert(identity.chain, identity.key)?;
    if client_ca.is_some() {
        // A session that is resumed shows no certificate: one that has expired since would be believed. Trunks connect seldom.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok((config, identity.expires))
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
    use rustls::{ClientConfig, HandshakeKind};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::super::verify::AnyCertificate;
    use super::*;

    #[tokio::test]
    async fn a_client_certificate_is_asked_for_and_checked_on_every_connection() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (certificate, key, authority) = (path("cert.pem"), path("key.pem"), path("ca.pem"));
        crate::certificate::make_if_missing(&certificate, &key).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(&authority, issuer.pem()).unwrap();
        let pair = KeyPair::generate().unwrap();
        let shown = CertificateParams::new(vec!["carrier.test".to_owned()]).unwrap().signed_by(&pair, &issuer).unwrap();

        let (settings, _) = ServerSettings::read(&certificate, &key, Some(&authority)).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
            let client = ClientConfig::builder_with_provider(Arc::clone(&provider));
            let client = client.with_protocol_versions(versions).unwrap().dangerous();
            let client = client.with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider.clone())));
            let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der()));
            let client = Arc::new(client.with_client_auth_cert(vec![shown.der().clone()], private).unwrap());
            for connection in 0..3 {
                let (ours, theirs) = tokio::io::duplex(64 * 1024);
                let serve = async {
                    let mut stream = TlsAcceptor::from(settings.current()).accept(ours).await.unwrap();
                    stream.write_all(b"!").await.unwrap();
                    stream.flush().await.unwrap();
                    let session = stream.get_ref().1;
                    (session.handshake_kind(), session.peer_certificates().map(<[_]>::len))
                };
                let ask = async {
                    let name = ServerName::try_from("gateway.test").unwrap();
                    let mut stream = TlsConnector::from(Arc::clone(&client)).connect(name, theirs).await.unwrap();
                    stream.read_exact(&mut [0]).await.unwrap();
                };
                let agreed = tokio::join!(serve, ask).0;
                assert_eq!(agreed, (Some(HandshakeKind::Full), Some(1)), "connection {connection}");
            }
        }
    }
}
