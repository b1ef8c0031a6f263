//! The whole gateway in this process against SIP implementations that are not ours, in the place of a carrier: SIPp with the scenarios in
//! `scenarios/`. Media is the test's own sockets, so that what arrives can be asserted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs
)]

mod authenticating;
mod baresip;
mod baresip_inside_tls;
mod behind_nat;
mod calling;
mod encrypting;
mod explaining;
mod identifying;
mod limiting;
mod loading;
mod locating;
mod media;
mod network;
mod offers;
mod registering;
mod session_border_controller;
mod sipp;
#[allow(dead_code, reason = "shared with the tests of codecs")]
#[path = "../../crates/media/tests/support/sounds.rs"]
mod sounds;
#[allow(dead_code, reason = "shared with the gateway's own tests, which use more of it")]
#[path = "../gateway/support/mod.rs"]
mod support;
mod testing_trunks;
mod transports;
