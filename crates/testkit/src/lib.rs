//! Development only: a simulated clock and network around the switchboard. Real SIP text through the real parser on both sides;
//! media shards are played by canned descriptions.

mod peer;
mod simulation;

pub use peer::{Heard, Peer};
pub use simulation::{MediaScript, REALM, Simulation};
