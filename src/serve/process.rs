//! `patchcord serve`: one gateway for the life of the process, told by signals. SIGTERM and SIGINT stop it gracefully, a second
//! one at once; SIGHUP reloads.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Running, StartError, start};
use crate::config::{self, ConfigErrors};
use crate::logging;

/// The exit code of a process that ended because a part of it broke: the supervisor shall start it again.
const BROKEN: u8 = 70;

/// The exit code of a process that a second signal ended: 128 and SIGTERM, as a shell shows it.
const IMPATIENT: u8 = 143;

/// Why the process could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The log filter is none.
    #[error("log.filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The gateway could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Signals cannot be received, or the ports' file cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Serves until a signal ends it.
///
/// # Errors
/// When it could not be started.
pub async fn run(config: &Path, ports_file: Option<&Path>) -> Result<ExitCode, ServeError> {
    let config = config::load(config)?;
    logging::start(&config.log)?;
    // Caught from here on: a signal during the start is not lost.
    let mut signals = Signals::new()?;
    raise_descriptor_limit();
    let running = start(&config).await?;
    if let Some(path) = ports_file {
        running.ports().write(path)?;
    }
    tracing::info!("ready");
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hangup.recv() => {
                running.reload();
            }
            () = running.broken() => {
                tracing::error!("a part of the gateway ended: stopping");
                return Ok(end(running, &mut signals, BROKEN).await);
            }
        }
    }
    Ok(end(running, &mut signals, 0).await)
}

/// Takes all the descriptors this process may have: a call with a trunk needs two for its media, and each agent a connection.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        Ok(()) => tracing::info!(descriptors = limit.maximum, "limit of open files"),
        Err(error) => tracing::warn!(%error, descriptors = limit.current, "the limit of open files stays low"),
    }
}

async fn end(running: Running, signals: &mut Signals, code: u8) -> ExitCode {
    tokio::select! {
        () = running.shutdown() => ExitCode::from(code),
        () = signals.stop() => {
            tracing::warn!("a second signal: ending at once");
            // Tasks and threads are not waited for.
            std::process::exit(IMPATIENT.into());
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
