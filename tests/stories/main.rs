//! One file per user story, on the simulated network: real SIP text, a simulated clock, canned media shards.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm
)]

mod across_shards;
mod authenticating;
mod believing;
mod caller_identity;
mod calling_in;
mod calling_out;
mod cancelling;
mod carrier;
mod changing_the_directory;
mod coming_back;
mod coming_back_to_a_consultation;
mod conferring;
mod conferring_and_handing_on;
mod conferring_by_joining;
mod consulting;
mod consulting_by_rest;
mod cut_off;
mod dial_policy;
mod dialling_digits;
mod during_a_consultation;
mod encrypting;
mod every_call_ends;
mod expected_back;
mod failing_over;
mod forwarding;
mod header_rules;
mod hijacking;
mod holding;
mod inside_a_call;
mod keeping_alive;
mod leaving_a_consultation;
mod limits;
mod losing_messages;
mod offerless;
mod offers;
mod over_tls;
mod pacing;
mod presenting;
mod pressing_digits;
mod probing;
mod reclaiming;
mod registering;
mod registering_trunks;
mod ringing;
mod shown_legs;
mod stopping;
mod taking_over;
mod taking_over_offerless;
mod torture;
mod tracing_calls;
mod transfer_races;
mod transferring;
mod vouching;

use std::net::SocketAddr;

use sip::{SessionId, StatusCode};
use testkit::Simulation;

/// Extensions, the echo test, trunks for `+…`, our numbers.
pub(crate) const PLAN: &str = r#"
[[rule]]
context = "agents"
name = "echo"
pattern = "9196"
targets = [{ echo = true }]

[[rule]]
context = "agents"
name = "colleague"
pattern = "1XX"
targets = [{ extension = "$0" }]

[[rule]]
context = "agents"
name = "out"
prefix = "+"
targets = [{ trunks = ["main", "spare"], timeout_s = 20 }]
"#;

/// Agent 100 in its browser and a number behind the trunk `main`, talking.
pub(crate) struct Talk {
    pub(crate) simulation: Simulation,
    pub(crate) browser: SocketAddr,
    pub(crate) outgoing: SessionId,
    pub(crate) trunk: SocketAddr,
    pub(crate) incoming: SessionId,
}

pub(crate) fn talk() -> Talk {
    talk_in(Simulation::new(PLAN))
}

pub(crate) fn talk_in(mut simulation: Simulation) -> Talk {
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    let outgoing = simulation.call(browser, "100", "+15551234567");
    let incoming = simulation.incoming(trunk);
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0 trunk"));
    assert!(simulation.is_answered(browser, outgoing));
    Talk { simulation, browser, outgoing, trunk, incoming }
}
