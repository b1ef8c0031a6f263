//! The development certificate: self-signed, for this host's names, made when none is there. Not for production, where the
//! configured files come from a certificate authority.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use rcgen::{CertificateParams, DnType, KeyPair};

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Only one of the two files is there: overwriting the other could destroy a real key.
    #[error("{present} exists but {missing} does not; restore the missing file, or remove the other to get a new pair")]
    HalfAPair {
        /// The file that is there.
        present: String,
        /// The file that is not.
        missing: String,
    },
    /// A file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
}

/// Makes a certificate and key unless both files exist. Returns whether it made them.
///
/// # Errors
/// When only one of the files exists, or one cannot be written.
pub fn make_if_missing(certificate: &Path, key: &Path) -> Result<bool, CertificateError> {
    match (certificate.exists(), key.exists()) {
        (true, true) => return Ok(false),
        (true, false) => return Err(half(certificate, key)),
        (false, true) => return Err(half(key, certificate)),
        (false, false) => {}
    }
    let host = hostname();
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(host.filter(|name| name != "localhost"));
    let pair = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Patchcord development");
    // Browsers refuse certificates that last longer than 825 days even when they are trusted by hand.
    params.not_before = time::OffsetDateTime::now_utc() - time::Duration::days(1);
    params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(365);
    let signed = params.self_signed(&pair)?;
    write(key, pair.serialize_pem().as_bytes(), 0o600)?;
    write(certificate, signed.pem().as_bytes(), 0o644)?;
    Ok(true)
}

fn half(present: &Path, missing: &Path) -> CertificateError {
    CertificateError::HalfAPair { present: present.display().to_string(), missing: missing.display().to_string() }
}

fn hostname() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    let fits = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
    fits.then(|| name.to_owned())
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CertificateError> {
    use std::os::unix::fs::OpenOptionsExt;
    let attempt = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // The mode is given at creation: the key is at no time readable by others.
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(bytes)
    };
    attempt().map_err(|source| CertificateError::Write { path: path.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_missing_pair_is_made_once_and_the_key_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("certs/a.pem"), folder.path().join("certs/a-key.pem"));
        assert!(make_if_missing(&certificate, &key).unwrap());
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(&certificate).unwrap().contains("BEGIN CERTIFICATE"));
        let before = fs::read(&key).unwrap();
        assert!(!make_if_missing(&certificate, &key).unwrap());
        assert_eq!(fs::read(&key).unwrap(), before);
    }

    #[test]
    fn half_a_pair_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("a.pem"), folder.path().join("a-key.pem"));
        fs::write(&key, "precious").unwrap();
        assert!(matches!(make_if_missing(&certificate, &key), Err(CertificateError::HalfAPair { .. })));
        assert_eq!(fs::read_to_string(&key).unwrap(), "precious");
    }
}
