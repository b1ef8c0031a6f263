//! Development only: a simulated clock and network around the switchboard. Real SIP text through the real parser on both sides;
//! media shards are played by canned descriptions.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    reason = "a simulation that cannot be set up fails its test, and it has to take its first instant somewhere"
)]

mod acts;
mod directory;
mod observed;
mod peer;
mod simulation;
mod wiring;

pub use directory::{REALM, directory};
pub use peer::{Heard, Peer};
pub use simulation::{Loss, MediaScript, Simulation};
pub use wiring::Wiring;
