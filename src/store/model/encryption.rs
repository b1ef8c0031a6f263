//! Whether a trunk's media is encrypted.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether a trunk's media is SRTP with keys in the SDP (RFC 4568, SDES). The keys are as safe as the signalling they stand in: over UDP and
/// TCP whoever sees that can listen, so use TLS gateways with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MediaEncryption {
    /// Plain RTP; a call that offers RTP/SAVP alone is refused with 488.
    #[default]
    Off,
    /// RTP/SAVP is offered, and once more RTP/AVP to a carrier that refuses it with 415, 488 or 606; incoming calls are answered in kind. A call
    /// that is encrypted stays so.
    Optional,
    /// RTP/SAVP or no call: one that offers anything else is refused with 488.
    Required,
}

impl From<MediaEncryption> for switchboard::MediaEncryption {
    fn from(encryption: MediaEncryption) -> Self {
        match encryption {
            MediaEncryption::Off => Self::Off,
            MediaEncryption::Optional => Self::Optional,
            MediaEncryption::Required => Self::Required,
        }
    }
}
