//! The DTLS certificate of this process, while it is being made. The first key of a process waits for the entropy that libcrypto
//! gathers, some 25 ms: no listener has to wait for it, only the first call of a media thread.

use std::io;
use std::sync::{Arc, LazyLock};

use media::{Certificate, CertificateError};

type Made = Result<Arc<Certificate>, CertificateError>;
type Make = Box<dyn FnOnce() -> Made + Send>;

/// Cheap to clone; all clones have the same certificate.
#[derive(Clone)]
pub(crate) struct Identity(Arc<LazyLock<Made, Make>>);

impl Identity {
    /// Begins to make it, in a thread that ends with it.
    ///
    /// # Errors
    /// When there is no such thread.
    pub(crate) fn begin() -> io::Result<Self> {
        let identity = Self::made_by(|| Certificate::generate().map(Arc::new));
        let making = identity.clone();
        let thread = std::thread::Builder::new().name("certificate".to_owned());
        thread.spawn(move || {
            LazyLock::force(&making.0);
        })?;
        Ok(identity)
    }

    /// One that was made already.
    pub(super) fn of(certificate: Certificate) -> Self {
        Self::made_by(|| Ok(Arc::new(certificate)))
    }

    fn made_by(make: impl FnOnce() -> Made + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(make))))
    }

    /// Waits for it.
    ///
    /// # Errors
    /// When the cryptographic library refused.
    pub(super) fn certificate(&self) -> Result<Arc<Certificate>, &CertificateError> {
        LazyLock::force(&self.0).as_ref().map(Arc::clone)
    }
}
