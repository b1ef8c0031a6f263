//! One file per user story, on the simulated network: real SIP text, a simulated clock, canned media shards.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm
)]

mod calling_in;
mod calling_out;
mod every_call_ends;
mod registering;

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
