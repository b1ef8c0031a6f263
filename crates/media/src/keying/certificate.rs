//! The certificate of this process's DTLS endpoint: one ECDSA P-256 key, self-signed, known to peers by its fingerprint in SDP
//! (RFC 8122). Nothing checks its name or chain.

use std::sync::Arc;

use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::crypto_provider::RTCCryptoProvider;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// It costs less than half of the CM profile with its separate MAC.
const GCM: SrtpProtectionProfile = SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm;

/// The cryptographic library refused; this process cannot have browser legs.
#[derive(Debug, Error)]
#[error("DTLS certificate: {0}")]
pub struct CertificateError(String);

/// A DTLS certificate with its key, and the handshake settings made of it.
pub struct Certificate {
    fingerprint: [u8; 32],
    pub(crate) crypto: Arc<dyn RTCCryptoProvider>,
    /// For browsers that know GCM, wherever they list it.
    pub(super) gcm_server: Arc<HandshakeConfig>,
    /// For those that do not.
    pub(super) server: Arc<HandshakeConfig>,
    pub(super) client: Arc<HandshakeConfig>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

impl Certificate {
    /// Makes a new key and certificate. Costs some milliseconds: once per process.
    ///
    /// # Errors
    /// When the cryptographic library refuses.
    pub fn generate() -> Result<Self, CertificateError> {
        Self::offering(&[GCM, SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80])
    }

    /// As [`Self::generate`]; as a DTLS client it offers these profiles, and as a server it takes any of them, GCM rather than others.
    pub(super) fn offering(profiles: &[SrtpProtectionProfile]) -> Result<Self, CertificateError> {
        let crypto = rtc_dtls::crypto_provider::default_provider().map_err(failed)?;
        let names = vec!["patchcord".to_owned()];
        let certificate =
            rtc_dtls::crypto::Certificate::generate_self_signed(names, crypto.crypto()).map_err(failed)?;
        let der = certificate.certificate.first().ok_or_else(|| CertificateError("none was made".to_owned()))?;
        let fingerprint = Sha256::digest(der.as_ref()).into();
        let settings = |profiles: &[SrtpProtectionProfile]| {
            ConfigBuilder::default()
                .with_crypto_provider(crypto.clone())
                .with_certificates(vec![certificate.clone()])
                .with_srtp_protection_profiles(profiles.to_vec())
                .with_extended_master_secret(ExtendedMasterSecretType::Require)
                // The peer is known by its fingerprint, which is compared after the handshake.
                .with_insecure_skip_verify(true)
        };
        let server = |profiles: &[SrtpProtectionProfile]| {
            let settings = settings(profiles).with_client_auth(ClientAuthType::RequireAnyClientCert);
            settings.build(false, None).map(Arc::new).map_err(failed)
        };
        Ok(Self {
            fingerprint,
            gcm_server: server(&[GCM])?,
            server: server(profiles)?,
            client: Arc::new(settings(profiles).build(true, None).map_err(failed)?),
            crypto,
        })
    }

    /// The SHA-256 fingerprint for `a=fingerprint`.
    #[must_use]
    pub fn fingerprint_sha256(&self) -> [u8; 32] {
        self.fingerprint
    }
}

fn failed(error: impl std::fmt::Display) -> CertificateError {
    CertificateError(error.to_string())
}
