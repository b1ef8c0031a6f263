//! Who a trunk and we say we are: usernames as the API shows them, and the digests (HA1, RFC 7616 §3.4.2) kept of their passwords.
//! Passwords themselves pass through.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use sip::Ha1;
use utoipa::ToSchema;

use super::Trunk;
use super::trunk_tls::KeptKey;

/// As whom we call and register at the carrier.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct TrunkAuth {
    /// The digest username; also the user part of the address that is registered.
    pub username: String,
    /// The one realm whose challenges are answered; the first gateway's host when left out.
    pub realm: String,
    /// A password is kept for it; always true, read-only.
    pub has_password: bool,
    /// The password; never shown. Left out of a change, it stays as it is.
    #[serde(default, skip_serializing_if = "never_shown")]
    #[schema(value_type = Option<String>, write_only)]
    pub password: Option<Password>,
}

/// As whom the carrier calls in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct InboundAuth {
    /// The digest username; unique among trunks.
    pub username: String,
    /// A password is kept for it; always true, read-only.
    pub has_password: bool,
    /// The password; never shown. Left out of a change, it stays as it is.
    #[serde(default, skip_serializing_if = "never_shown")]
    #[schema(value_type = Option<String>, write_only)]
    pub password: Option<Password>,
}

/// Whether and how we register at the carrier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Register {
    /// Registers at the trunk's gateways, the first that takes it.
    pub enabled: bool,
    /// How long a registration is asked for, in seconds; the carrier may grant less.
    pub expires_s: i64,
}

impl Default for Register {
    fn default() -> Self {
        Self { enabled: false, expires_s: 600 }
    }
}

/// A password on its way to its digests.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

fn never_shown(_: &Option<Password>) -> bool {
    true
}

/// What is kept of a trunk's passwords.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrunkSecrets {
    /// Of [`TrunkAuth`].
    pub auth: Option<Secret>,
    /// Of [`InboundAuth`].
    pub inbound: Option<Secret>,
    /// Of [`TrunkTls`](super::TrunkTls).
    pub tls: Option<KeptKey>,
}

/// The digests of a password; good for this username and realm only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Secret {
    /// The digest username.
    pub username: String,
    /// The digest realm.
    pub realm: String,
    /// The digests.
    #[serde(with = "hexadecimal")]
    pub ha1: Ha1,
}

impl Secret {
    fn new(username: &str, realm: &str, Password(password): &Password) -> Self {
        let ha1 = Ha1::new(username, realm, password);
        Self { username: username.to_owned(), realm: realm.to_owned(), ha1 }
    }
}

impl Trunk {
    /// Turns passwords into digests, `realm` being ours, and keeps the digests of those left out as they were `before`. Gives the pointers
    /// of the passwords that are missing.
    pub fn seal(&mut self, before: Option<&TrunkSecrets>, realm: &str) -> Vec<&'static str> {
        let (mut sealed, mut missing) = (TrunkSecrets::default(), Vec::new());
        if let Some(auth) = &mut self.settings.0.auth {
            let kept = before.and_then(|before| before.auth.clone());
            let kept = kept.filter(|kept| kept.username == auth.username && kept.realm == auth.realm);
            let new = auth.password.take().map(|password| Secret::new(&auth.username, &auth.realm, &password));
            sealed.auth = new.or(kept);
            missing.extend(sealed.auth.is_none().then_some("/auth/password"));
        }
        if let Some(auth) = &mut self.inbound.0.auth {
            let kept = before.and_then(|before| before.inbound.clone());
            let kept = kept.filter(|kept| kept.username == auth.username);
            let new = auth.password.take().map(|password| Secret::new(&auth.username, realm, &password));
            sealed.inbound = new.or(kept);
            missing.extend(sealed.inbound.is_none().then_some("/inbound/auth/password"));
        }
        let (key, is_missing) = self.settings.0.tls.seal(before.and_then(|before| before.tls.clone()));
        sealed.tls = key;
        missing.extend(is_missing.then_some("/tls/client_key_pem"));
        self.secrets.0 = sealed;
        missing
    }

    /// The name its carrier calls in with.
    pub(in crate::store) fn inbound_username(&self) -> Option<&str> {
        self.inbound.0.auth.as_ref().map(|auth| auth.username.as_str())
    }
}

/// Digests as text.
mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use sip::Ha1;

    #[derive(Serialize, Deserialize)]
    struct Text {
        md5: String,
        sha256: String,
    }

    pub(super) fn serialize<S: Serializer>(ha1: &Ha1, serializer: S) -> Result<S::Ok, S::Error> {
        Text { md5: hex::encode(ha1.md5), sha256: hex::encode(ha1.sha256) }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ha1, D::Error> {
        fn digest<const N: usize, E: serde::de::Error>(text: &str) -> Result<[u8; N], E> {
            let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
            bytes.ok_or_else(|| E::custom("no digest"))
        }
        let text = Text::deserialize(deserializer)?;
        Ok(Ha1 { md5: digest(&text.md5)?, sha256: digest(&text.sha256)? })
    }
}
