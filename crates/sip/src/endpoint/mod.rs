//! The sans-IO endpoint.

mod event;

pub use event::*;
