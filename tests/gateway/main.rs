//! The whole gateway in this process, on real sockets of loopback: every port is 0, the database is SQLite in a temporary folder,
//! peers are the sans-IO endpoint on sockets of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs
)]

mod agents;
mod calling;
mod container;
mod inside_tls;
mod killed;
mod loading;
mod process;
mod serving;
mod stopping;
mod streams;
#[allow(dead_code, reason = "shared with tests/interop, which uses more of it")]
mod support;
mod tracing;
mod websocket;
