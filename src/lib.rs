//! Patchcord, the process: sockets, threads, time, SQL and HTTP around the sans-IO crates. A library so that tests can run
//! the parts one by one; the binary in `main.rs` is thin.

pub mod api;
pub mod certificate;
pub mod cli;
pub mod commands;
pub mod config;
pub mod gateway;
pub mod identifier;
pub mod import_freeswitch;
pub mod init;
mod logging;
mod metrics;
mod music;
mod net;
mod page;
pub mod recorder;
pub mod resolver;
pub mod serve;
mod shards;
mod signalling;
pub mod store;
pub mod trunk_test;

#[doc(hidden)]
pub use shards::MediaThread;
