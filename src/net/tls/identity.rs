//! Who this gateway is: a certificate chain and its key as read from disk.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or holds no PEM of its kind.
    #[error("{path}: {message}")]
    File {
        /// Which.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// Key and certificate do not belong together, or are of a kind that is not supported.
    #[error("the certificate cannot be used: {0}")]
    Pair(#[from] rustls::Error),
}

impl TlsError {
    pub(super) fn file(path: &Path, message: impl ToString) -> Self {
        Self::File { path: path.display().to_string(), message: message.to_string() }
    }
}

/// A certificate as read. Whether key and certificate fit is seen when they are put to use.
pub(crate) struct Identity {
    /// The certificate first, then those of its authorities.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// The certificate's key.
    pub(crate) key: PrivateKeyDer<'static>,
    /// Until when others believe it.
    pub(crate) expires: SystemTime,
}

impl Identity {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// When a file is missing or wrong.
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        let first = chain.first().ok_or_else(|| TlsError::file(certificate, "holds no certificate"))?;
        let (_, parsed) = X509Certificate::from_der(first)
            .map_err(|error| TlsError::file(certificate, format!("not X.509: {error}")))?;
        let expires = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
        let expires = UNIX_EPOCH + Duration::from_secs(expires);
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::file(key, error))?;
        Ok(Self { chain, key, expires })
    }
}

/// The certificates of a file.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|error| TlsError::file(path, error))
}
