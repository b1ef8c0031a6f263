//! The digest algorithms and the response computation (RFC 7616 §3.4.1).

use md5::Md5;
use sha2::digest::Output;
use sha2::{Digest, Sha256};

use super::ha1::Ha1;
use crate::hexadecimal::hexadecimal;

/// An algorithm we challenge with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Sha256,
    Md5,
}

/// What the client mixes in beside the nonce.
#[derive(Debug, Clone, Copy)]
pub(super) enum Protection<'a> {
    /// `qop=auth` with the nonce count and client nonce as sent.
    Auth { nc: &'a str, cnonce: &'a str },
    /// `qop=auth-int`: the body as well.
    AuthInt { nc: &'a str, cnonce: &'a str, body: &'a [u8] },
    /// No `qop`, as RFC 2069 clients do.
    None,
}

impl Algorithm {
    /// The token; `SHA-256`, never `SHA256`.
    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    /// The algorithm of a header value; MD5 when it says none (RFC 7616 §3.3).
    pub(super) fn from_token(token: Option<&str>) -> Option<Self> {
        match token {
            None => Some(Self::Md5),
            Some(token) if token.eq_ignore_ascii_case("MD5") => Some(Self::Md5),
            Some(token) if token.eq_ignore_ascii_case("SHA-256") => Some(Self::Sha256),
            Some(_) => None,
        }
    }

    /// In lower-case hex, of what is written with colons between.
    fn hash<T: AsRef<[u8]>>(self, parts: &[T]) -> String {
        match self {
            Self::Sha256 => hexadecimal(&joined::<Sha256, T>(parts)),
            Self::Md5 => hexadecimal(&joined::<Md5, T>(parts)),
        }
    }

    /// `H(A1)` of the plain algorithm.
    pub(super) fn secret(self, ha1: &Ha1) -> String {
        match self {
            Self::Sha256 => hexadecimal(&ha1.sha256),
            Self::Md5 => hexadecimal(&ha1.md5),
        }
    }

    /// `H(A1)` of the `-sess` variant.
    pub(super) fn session_secret(self, ha1: &Ha1, nonce: &str, cnonce: &str) -> String {
        self.hash(&[&self.secret(ha1), nonce, cnonce])
    }

    /// The response a client that knows the secret, `H(A1)`, would send, in lower-case hex.
    pub(super) fn response(
        self,
        secret: &str,
        nonce: &str,
        method: &str,
        uri: &str,
        protection: Protection<'_>,
    ) -> String {
        let ha2 = match protection {
            Protection::Auth { .. } | Protection::None => self.hash(&[method, uri]),
            Protection::AuthInt { body, .. } => self.hash(&[method, uri, &self.hash(&[body])]),
        };
        match protection {
            Protection::Auth { nc, cnonce } => self.hash(&[secret, nonce, nc, cnonce, "auth", &ha2]),
            Protection::AuthInt { nc, cnonce, .. } => self.hash(&[secret, nonce, nc, cnonce, "auth-int", &ha2]),
            Protection::None => self.hash(&[secret, nonce, &ha2]),
        }
    }
}

fn joined<D: Digest, T: AsRef<[u8]>>(parts: &[T]) -> Output<D> {
    let mut hash = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hash.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    const PROTECTION: Protection<'_> =
        Protection::Auth { nc: "00000001", cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ" };

    #[test]
    fn the_examples_of_rfc_7616_3_9_1_are_met() {
        let ha1 = Ha1::new("Mufasa", "http-auth@example.org", "Circle of Life");
        let response = |algorithm: Algorithm| {
            algorithm.response(&algorithm.secret(&ha1), NONCE, "GET", "/dir/index.html", PROTECTION)
        };
        assert_eq!(response(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(response(Algorithm::Sha256), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    #[test]
    fn the_example_of_rfc_2617_3_5_is_met() {
        let ha1 = Ha1::new("Mufasa", "testrealm@host.com", "Circle Of Life");
        let (secret, nonce) = (Algorithm::Md5.secret(&ha1), "dcd98b7102dd2f0e8b11d0f600bfb0c093");
        let auth = Protection::Auth { nc: "00000001", cnonce: "0a4f113b" };
        assert_eq!(
            Algorithm::Md5.response(&secret, nonce, "GET", "/dir/index.html", auth),
            "6629fae49393a05397450978507c4ef1"
        );
        assert_eq!(
            Algorithm::Md5.response(&secret, nonce, "GET", "/dir/index.html", Protection::None),
            "670fd8c2df070c60b045671b8b24ff02"
        );
    }

    #[test]
    fn session_variants_are_not_taken_for_the_plain_ones() {
        assert_eq!(Algorithm::from_token(Some("MD5-sess")), None);
        assert_eq!(Algorithm::from_token(Some("sha-256")), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::from_token(None), Some(Algorithm::Md5));
    }
}
