//! The load generator `patchcord-load`: plays browser agents and a carrier, and tells what came of it. A library so that tests can run it
//! in their own process; the binary in `main.rs` is thin.

mod agent;
mod carrier;
mod cause;
mod cli;
mod link;
mod media;
mod process;
mod report;
mod run;
mod sdp;
mod tls;
mod users;

pub use cli::Cli;
pub use report::Report;
pub use run::{Run, play};
