//! The `a=crypto` attribute (RFC 4568 §9, RFC 7714 §14): keys for SRTP in the SDP itself. Reads what a peer writes and writes our own;
//! what to offer and to take is `sdp`'s. Master key identifiers, key derivation rates and every parameter that takes protection away are
//! refused with the line they are in.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rand::RngCore;
use rtc_srtp::protection_profile::ProtectionProfile;
use thiserror::Error;

use super::srtp::Keys;

/// Some write the `=` at the end of a key, some do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Packets after which an SRTP key must not be used (RFC 3711 §9.2), as a power of two.
const MAX_LIFETIME: u32 = 48;
/// A tag has one to nine digits (RFC 4568 §9.1).
const MAX_TAG_DIGITS: usize = 9;

/// Ciphers and tags of SRTP (RFC 4568 §6.2, RFC 7714 §14.2), in the order our offers list them: what every carrier takes first, the short
/// tag last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80`
    AesCm128HmacSha1Tag80,
    /// `AEAD_AES_256_GCM`
    AeadAes256Gcm,
    /// `AEAD_AES_128_GCM`
    AeadAes128Gcm,
    /// `AES_CM_128_HMAC_SHA1_32`; its SRTCP has the long tag.
    AesCm128HmacSha1Tag32,
}

impl Suite {
    pub(crate) const ALL: [Self; 4] =
        [Self::AesCm128HmacSha1Tag80, Self::AeadAes256Gcm, Self::AeadAes128Gcm, Self::AesCm128HmacSha1Tag32];

    fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1Tag80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1Tag32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    fn profile(self) -> ProtectionProfile {
        match self {
            Self::AesCm128HmacSha1Tag80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Self::AesCm128HmacSha1Tag32 => ProtectionProfile::Aes128CmHmacSha1_32,
            Self::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Self::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }
}

/// A master key with its salt. Whoever sends chooses it; cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SdesKey {
    suite: Suite,
    /// The key, then the salt.
    bytes: Arc<[u8]>,
}

impl fmt::Debug for SdesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdesKey").field("suite", &self.suite).finish_non_exhaustive()
    }
}

impl SdesKey {
    pub(crate) fn generate(suite: Suite, rng: &mut impl RngCore) -> Self {
        let mut bytes = vec![0; suite.profile().key_len() + suite.profile().salt_len()];
        rng.fill_bytes(&mut bytes);
        Self { suite, bytes: bytes.into() }
    }

    fn parse(suite: Suite, text: &str) -> Result<Self, Unusable> {
        let bytes = BASE64.decode(text).map_err(|_| Unusable::Key)?;
        if bytes.len() != suite.profile().key_len() + suite.profile().salt_len() {
            return Err(Unusable::Key);
        }
        Ok(Self { suite, bytes: bytes.into() })
    }

    pub(crate) fn suite(&self) -> Suite {
        self.suite
    }

    pub(super) fn keys(&self) -> Keys {
        let profile = self.suite.profile();
        let (key, salt) = self.bytes.split_at(profile.key_len().min(self.bytes.len()));
        Keys { profile, key: key.to_vec(), salt: salt.to_vec() }
    }
}

/// Why an `a=crypto` line is of no use to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Unusable {
    /// It does not follow the grammar.
    #[error("it is malformed")]
    Malformed,
    /// Its suite is none of ours.
    #[error("its suite is not known")]
    Suite,
    /// Its key is not inline, not base64, or not as long as the suite's.
    #[error("its key does not fit its suite")]
    Key,
    /// It has several keys, or one with a master key identifier.
    #[error("it wants master key identifiers")]
    Mki,
    /// Packets would go unencrypted or unauthenticated.
    #[error("it wants packets without protection")]
    Unprotected,
    /// It has a parameter that we do not know and must not ignore.
    #[error("it has a parameter that is not known")]
    Parameter,
}

/// One `a=crypto` line that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CryptoAttribute {
    /// What an answer names it by.
    pub(crate) tag: u32,
    /// What its writer protects with.
    pub(crate) key: SdesKey,
}

impl fmt::Display for CryptoAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} inline:{}", self.tag, self.key.suite.name(), BASE64.encode(&self.key.bytes))
    }
}

impl CryptoAttribute {
    /// Reads what follows `a=crypto:`.
    pub(crate) fn parse(text: &str) -> Result<Self, Unusable> {
        let mut words = text.split_ascii_whitespace();
        let (Some(tag), Some(suite), Some(keys)) = (words.next(), words.next(), words.next()) else {
            return Err(Unusable::Malformed);
        };
        let is_tag = tag.len() <= MAX_TAG_DIGITS && !tag.starts_with('0') && tag.bytes().all(|b| b.is_ascii_digit());
        let tag = tag.parse().ok().filter(|_| is_tag).ok_or(Unusable::Malformed)?;
        let suite = Suite::of(suite).ok_or(Unusable::Suite)?;
        words.try_for_each(check_parameter)?;
        Ok(Self { tag, key: inline_key(suite, keys)? })
    }
}

/// `inline:<key||salt>["|" lifetime]["|" MKI ":" length]` (RFC 4568 §6.1). Several keys are told apart by MKIs only.
fn inline_key(suite: Suite, text: &str) -> Result<SdesKey, Unusable> {
    if text.contains(';') {
        return Err(Unusable::Mki);
    }
    let (method, info) = text.split_once(':').ok_or(Unusable::Malformed)?;
    if !method.eq_ignore_ascii_case("inline") {
        return Err(Unusable::Key);
    }
    let mut parts = info.split('|');
    let key = SdesKey::parse(suite, parts.next().unwrap_or_default())?;
    for part in parts {
        if part.contains(':') {
            return Err(Unusable::Mki);
        }
        check_lifetime(part)?;
    }
    Ok(key)
}

/// How many packets the writer will protect with its key: it is for the writer to come with another in time.
fn check_lifetime(text: &str) -> Result<(), Unusable> {
    let is_possible = match text.strip_prefix("2^") {
        Some(power) => power.parse::<u32>().is_ok_and(|power| power <= MAX_LIFETIME),
        None => text.parse::<u64>().is_ok_and(|packets| (1..=1 << MAX_LIFETIME).contains(&packets)),
    };
    if is_possible { Ok(()) } else { Err(Unusable::Malformed) }
}

/// A session parameter (RFC 4568 §6.3). The window is the writer's wish for our replay protection, and ours is as wide as any; where there
/// is no FEC its order means nothing. What begins with `-` may be ignored, the rest must not be.
fn check_parameter(text: &str) -> Result<(), Unusable> {
    let name = text.split_once('=').map_or(text, |(name, _)| name).to_ascii_uppercase();
    match name.as_str() {
        "WSH" | "FEC_ORDER" => Ok(()),
        "UNENCRYPTED_SRTP" | "UNENCRYPTED_SRTCP" | "UNAUTHENTICATED_SRTP" => Err(Unusable::Unprotected),
        name if name.starts_with('-') => Ok(()),
        _ => Err(Unusable::Parameter),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha12Rng;

    use super::*;

    /// RFC 4568 §9.2's own.
    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    fn parse(text: &str) -> Result<CryptoAttribute, Unusable> {
        CryptoAttribute::parse(text)
    }

    #[test]
    fn lines_as_peers_write_them_are_read() {
        let gcm = ("5".repeat(37) + "Q==", "5".repeat(58) + "Q=");
        for (text, suite) in [
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), Suite::AesCm128HmacSha1Tag80),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20"), Suite::AesCm128HmacSha1Tag80),
            (format!("999999999  aes_cm_128_hmac_sha1_32  INLINE:{KEY}|1048576"), Suite::AesCm128HmacSha1Tag32),
            (format!("2 AES_CM_128_HMAC_SHA1_80 inline:{KEY} WSH=64 FEC_ORDER=FEC_SRTP -new=1"), Suite::ALL[0]),
            (format!("3 AEAD_AES_128_GCM inline:{}|2^31", gcm.0), Suite::AeadAes128Gcm),
            (format!("3 AEAD_AES_128_GCM inline:{}", gcm.0.trim_end_matches('=')), Suite::AeadAes128Gcm),
            (format!("4 AEAD_AES_256_GCM inline:{}", gcm.1), Suite::AeadAes256Gcm),
        ] {
            assert_eq!(parse(&text).map(|line| line.key.suite()), Ok(suite), "{text}");
        }
    }

    #[test]
    fn lines_that_must_not_be_used_are_refused() {
        for (text, why) in [
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4"), Unusable::Mki),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:4"), Unusable::Mki),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY};inline:{KEY}"), Unusable::Mki),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"), Unusable::Unprotected),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} unencrypted_srtcp"), Unusable::Unprotected),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} WSH=64 UNAUTHENTICATED_SRTP"), Unusable::Unprotected),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=1"), Unusable::Parameter),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} something"), Unusable::Parameter),
            (format!("1 F8_128_HMAC_SHA1_80 inline:{KEY}"), Unusable::Suite),
            (format!("1 AES_CM_128_HMAC_SHA1_80 uri:{KEY}"), Unusable::Key),
            (format!("1 AEAD_AES_128_GCM inline:{KEY}"), Unusable::Key),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", &KEY[4..]), Unusable::Key),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:".to_owned(), Unusable::Key),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", "!".repeat(40)), Unusable::Key),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^49"), Unusable::Malformed),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|0"), Unusable::Malformed),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|"), Unusable::Malformed),
            (format!("01 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), Unusable::Malformed),
            (format!("1000000000 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), Unusable::Malformed),
            (format!("-1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), Unusable::Malformed),
            ("1 AES_CM_128_HMAC_SHA1_80".to_owned(), Unusable::Malformed),
            (String::new(), Unusable::Malformed),
        ] {
            assert_eq!(parse(&text), Err(why), "{text}");
        }
    }

    #[test]
    fn what_we_write_is_read_again_and_no_two_keys_are_the_same() {
        let mut rng = ChaCha12Rng::from_seed([1; 32]);
        let mut seen: Vec<SdesKey> = Vec::new();
        for suite in Suite::ALL {
            let ours = CryptoAttribute { tag: 7, key: SdesKey::generate(suite, &mut rng) };
            assert_eq!(parse(&ours.to_string()), Ok(ours.clone()));
            let keys = ours.key.keys();
            assert_eq!((keys.key.len(), keys.salt.len()), (keys.profile.key_len(), keys.profile.salt_len()));
            assert!(!format!("{ours:?}").contains("bytes"), "keys are in no log");
            assert!(!seen.iter().any(|known| known.bytes[..16] == ours.key.bytes[..16]));
            seen.push(ours.key);
        }
    }
}
