//! `[calls]`: their limits, and what is kept of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchboard::TraceLimits;

/// `[calls]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// How long a target rings when neither route nor extension says, in seconds.
    pub ring_timeout_s: u64,
    /// How long a call waits for a browser that lost its connection, in seconds; 0 ends the call with the connection.
    pub reconnect_s: u64,
    /// Calls at once; one more is refused with 503.
    pub max_calls: usize,
    /// Participants of one call who talk or are asked to join.
    pub max_participants: usize,
    /// Session timer (RFC 4028) that trunks are asked for, in seconds; 0 asks for none.
    pub session_expires_s: u64,
    /// How long running calls may go on after SIGTERM, in seconds.
    pub shutdown_s: u64,
    /// Numbers, as they are dialled, that no limit holds up.
    pub emergency_numbers: Vec<String>,
    /// Ended calls whose trace is kept; 0 traces nothing.
    pub traces_kept: usize,
    /// Memory that all traces may take, in bytes.
    pub traces_bytes: usize,
}

impl Calls {
    /// How long a target rings when neither route nor extension says.
    #[must_use]
    pub fn ring_timeout(&self) -> Duration {
        Duration::from_secs(self.ring_timeout_s)
    }

    /// How long a call waits for a browser that lost its connection.
    #[must_use]
    pub fn reconnect(&self) -> Duration {
        Duration::from_secs(self.reconnect_s)
    }

    /// Session timer that trunks are asked for; zero asks for none.
    #[must_use]
    pub fn session_expires(&self) -> Duration {
        Duration::from_secs(self.session_expires_s)
    }

    /// How much is kept of what calls did.
    #[must_use]
    pub fn traces(&self) -> TraceLimits {
        TraceLimits { ended: self.traces_kept, bytes: self.traces_bytes }
    }

    /// How long running calls may go on once the process is to stop.
    #[must_use]
    pub fn shutdown(&self) -> Duration {
        Duration::from_secs(self.shutdown_s)
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            ring_timeout_s: 30,
            reconnect_s: 30,
            max_calls: 1000,
            max_participants: 8,
            session_expires_s: 1800,
            shutdown_s: 30,
            emergency_numbers: ["112", "911", "999", "110", "000", "111", "119"].map(str::to_owned).to_vec(),
            traces_kept: 1000,
            traces_bytes: 64 << 20,
        }
    }
}
