//! Development only: what every benchmark of the workspace measures with. Sides that are compared take turns in one run; each is
//! measured in processor time of its thread and in memory asked for, or, under valgrind, in instructions. `scripts/bench` runs them
//! all and writes down what came of it.
//!
//! Arguments of a benchmark: `--bench` (cargo gives it; without, everything runs once and only has to work), words that the names of
//! rows must contain, `--report FILE` to append what was measured to, `--count` when it is run under callgrind.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a benchmark that cannot run tells its developer so")]

mod allocations;
mod counted;
pub mod descriptions;
mod group;
mod meter;
mod options;
mod report;

pub use allocations::Counting;
pub use group::{Bench, Group};
pub use meter::{Cost, Meter};
pub use options::Mode;
