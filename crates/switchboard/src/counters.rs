//! What the switchboard counts, for Prometheus.

use crate::tolls::Barred;

/// What the switchboard has counted since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages over UDP or TCP from addresses of no trunk: dropped.
    pub strangers: u64,
    /// Packets that are not SIP.
    pub malformed: u64,
    /// Challenges sent (401, 407).
    pub challenges: u64,
    /// Credentials that did not verify.
    pub authentication_failures: u64,
    /// REGISTERs answered with 200.
    pub registrations: u64,
    /// Calls begun.
    pub calls: u64,
    /// Calls answered.
    pub answered: u64,
    /// Calls not let through.
    pub barred: Barred,
    /// Times somebody made suddenly many calls outside.
    pub bursts: u64,
}
