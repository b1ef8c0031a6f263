//! The configuration: one TOML file, overridden by `PATCHCORD__SECTION__KEY` variables, validated whole. Knows every setting
//! and its default; reads no secret but the database URL.

mod checks;
mod error;
mod load;
mod sections;

pub use error::{ConfigError, ConfigErrors};
pub use load::{ENVIRONMENT_PREFIX, load, parse};
pub use sections::{Calls, Config, Database, Dialplan, Dns, Fraud, Http, Log, LogFormat, Media, Registration, Sip};

#[cfg(test)]
mod tests;
