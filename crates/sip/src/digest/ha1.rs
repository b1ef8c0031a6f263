//! What is stored of a secret: the digests of `username:realm:password` (RFC 7616 §3.4.2).

use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256};

/// Both digests of one credential. Debug output does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Ha1 {
    /// For MD5.
    pub md5: [u8; 16],
    /// For SHA-256.
    pub sha256: [u8; 32],
}

impl Ha1 {
    /// The digests of a credential.
    #[must_use]
    pub fn new(username: &str, realm: &str, password: &str) -> Self {
        let text = format!("{username}:{realm}:{password}");
        Self { md5: Md5::digest(&text).into(), sha256: Sha256::digest(&text).into() }
    }
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1(secret)")
    }
}
