//! The call logic, sans-IO: registrar, location, dialplan and the B2BUA.

mod config;
mod dialplan;
mod directory;
mod output;
mod switchboard;

pub use config::{Clock, SwitchboardConfig};
pub use dialplan::*;
pub use directory::*;
pub use output::*;
pub use switchboard::{Counters, Switchboard};
