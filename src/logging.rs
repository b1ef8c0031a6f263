//! The log: text for people or JSON for machines, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::{Log, LogFormat};

/// The DTLS library warns of every extension it does not know, which any browser's ClientHello has some of. What comes of a
/// handshake is logged by the gateway itself; the filter of the configuration can turn the library up again.
const QUIET: &str = "rtc_dtls=error";

/// Starts logging. A second start in one process changes nothing.
///
/// # Errors
/// When the filter is none.
pub(crate) fn start(config: &Log) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(format!("{QUIET},{}", config.filter))?;
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started already");
    }
    Ok(())
}
