//! How a trunk's dialogs are set up and kept, as the database holds it and the API shows it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a trunk's dialogs are set up and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct TrunkDialogs {
    /// Reliable provisional responses (100rel, RFC 3262), both ways. Agents' phones never see them.
    pub prack: Prack,
    /// Whether our INVITEs make the offer. If not, the carrier makes it, in a reliable provisional response or its 200.
    pub early_offer: bool,
    /// The session timer the carrier is asked for (RFC 4028).
    pub session_timer: SessionTimer,
}

impl Default for TrunkDialogs {
    fn default() -> Self {
        Self { prack: Prack::default(), early_offer: true, session_timer: SessionTimer::default() }
    }
}

/// Whether provisional responses are reliable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Prack {
    /// Never: an INVITE of the carrier that requires them is refused with 420.
    Off,
    /// As the carrier can.
    #[default]
    Supported,
    /// Always: an INVITE of the carrier that does not know them is refused with 421.
    Required,
}

/// The session timer a carrier is asked for. What it asks for it gets all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct SessionTimer {
    /// Whether it is asked for one.
    pub enabled: bool,
    /// In seconds, 90 to 86400; 0: as the gateway's configuration has it.
    pub expires_s: u32,
}

impl Default for SessionTimer {
    fn default() -> Self {
        Self { enabled: true, expires_s: 0 }
    }
}
