//! The call logic, sans-IO: registrar, location, dialplan and the B2BUA.

mod absences;
mod admission;
mod away;
mod believed;
mod binding;
mod call;
mod calls;
mod config;
mod dialplan;
mod directory;
mod identity;
mod ids;
mod info;
mod informing;
mod inside;
mod invitation;
mod links;
mod number;
mod output;
mod participants;
mod perform;
mod proven;
mod refer_to;
mod registrar;
mod registration;
mod requests;
mod returning;
mod switchboard;
mod takeover;
mod telling_digits;
mod transfers;

pub use config::{Clock, SwitchboardConfig};
pub use dialplan::*;
pub use directory::*;
pub use output::*;
pub use switchboard::{Counters, Switchboard};
