//! The media shards: plain OS threads, each a poll loop around one sans-IO [`media::Shard`]. Starts and stops them and carries
//! commands, events and what links bring from one to another; knows nothing of what is in a packet.

mod bench;
mod identity;
mod links;
mod outbox;
mod sockets;
#[cfg(test)]
mod tests;
mod thread;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime};

use media::{Music, Shard, ShardConfig};
use mio::{Poll, Waker};
use switchboard::ShardIndex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::net::address;
pub use bench::MediaThread;
pub(crate) use identity::Identity;
use links::Links;
use sockets::{PortRange, Sockets};
use thread::{Reader, WAKE};

/// Commands waiting for one shard. A call needs about ten in its life, and a shard looks after every batch of packets: full means
/// that it hangs. Signalling keeps what does not fit and tries again (`patchcord_queue_full_total{queue="shard"}`).
const COMMANDS_WAITING: usize = 1024;

/// Events of all shards waiting for signalling. A shard that finds it full keeps its events and tries again, it never waits
/// (`patchcord_queue_full_total{queue="media_events"}`).
const EVENTS_WAITING: usize = 4096;

/// Sessions of one shard: far beyond what a core can transcode; a bound on memory.
const SESSIONS: usize = 10_000;

/// Something a shard told.
#[derive(Debug)]
pub(crate) struct ShardEvent {
    /// Which shard.
    pub(crate) shard: ShardIndex,
    /// What.
    pub(crate) event: media::Event,
}

/// The way to one shard.
#[derive(Debug)]
pub(crate) struct CommandSender {
    commands: SyncSender<media::Command>,
    waker: Arc<Waker>,
}

impl CommandSender {
    /// Leaves a command for when the shard is woken next; never waits.
    ///
    /// # Errors
    /// The command back, when the queue is full.
    pub(crate) fn send(&self, command: media::Command) -> Result<(), media::Command> {
        match self.commands.try_send(command) {
            Err(TrySendError::Full(command)) => Err(command),
            // Its thread is gone, and the process about to go with it.
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }

    /// Has the shard look after its commands: once after as many as there are, since waking a thread costs more than most commands.
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "a media shard cannot be woken");
        }
    }
}

/// The running shards.
#[derive(Debug)]
pub(crate) struct Shards {
    /// The way to each.
    pub(crate) senders: Vec<CommandSender>,
    /// What they tell.
    pub(crate) events: mpsc::Receiver<ShardEvent>,
    /// Where each receives its browsers' media.
    pub(crate) browser_addresses: Vec<SocketAddr>,
    /// Their threads.
    pub(crate) threads: Threads,
}

/// The threads of the shards.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    wakers: Vec<Arc<Waker>>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Waits for the end of every thread. Call it when every [`CommandSender`] is dropped.
    pub(crate) fn join(self) {
        for waker in &self.wakers {
            if let Err(error) = waker.wake() {
                tracing::error!(%error, "a media shard cannot be woken");
            }
        }
        for handle in self.handles {
            if handle.join().is_err() {
                tracing::error!("a media thread ended by a panic");
            }
        }
    }
}

/// Why the shards could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// A browser port is taken.
    #[error("media port {address}/udp cannot be used: {source}")]
    Port {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No thread, or no way to wait for its sockets.
    #[error("a media thread cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// How many shards a configuration asks for.
pub(crate) fn count(config: &config::Media) -> usize {
    if config.shards > 0 {
        return config.shards;
    }
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Binds every shard's port, then starts the threads, all with this identity and music on hold. `failed` is cancelled when a thread ends
/// by a panic, or the identity cannot be had.
///
/// # Errors
/// When a port is taken or a thread cannot be started.
pub(crate) fn start(
    config: &config::Media,
    identity: &Identity,
    music: &Music,
    failed: &CancellationToken,
) -> Result<Shards, ShardError> {
    let shards = count(config);
    let addresses = advertised(config);
    let (event_sender, events) = mpsc::channel(EVENTS_WAITING);
    let mut running =
        Shards { senders: Vec::new(), events, browser_addresses: Vec::new(), threads: Threads::default() };
    let polls = (0..shards).map(|_| Poll::new()).collect::<io::Result<Vec<Poll>>>()?;
    let waker = |poll: &Poll| Ok(Arc::new(Waker::new(poll.registry(), WAKE)?));
    let wakers = polls.iter().map(waker).collect::<io::Result<Vec<Arc<Waker>>>>()?;
    let links = Links::mesh(&wakers);
    for (index, ((poll, waker), links)) in polls.into_iter().zip(wakers).zip(links).enumerate() {
        let port = if config.browser_ports == 0 { 0 } else { browser_port(config.browser_ports, index)? };
        let wanted = SocketAddr::new(config.listen, port);
        let range = PortRange::share(config.rtp_port_min, config.rtp_port_max, index, shards);
        let sockets = Sockets::new(poll.registry().try_clone()?, wanted, trunk_address(config, &addresses), range)
            .map_err(|source| ShardError::Port { address: wanted, source })?;
        let bound = sockets.browsers();
        let candidates = addresses.iter().map(|address| SocketAddr::new(*address, bound.port())).collect();
        let (commands, receiver) = sync_channel(COMMANDS_WAITING);
        let channels = (receiver, event_sender.clone());
        let (identity, music, failed) = (identity.clone(), music.clone(), failed.clone());
        let started = (Instant::now(), SystemTime::now());
        let body = move || match identity.certificate() {
            Ok(certificate) => {
                let config = ShardConfig { certificate, candidates, started, max_sessions: SESSIONS, music };
                let shard = Shard::new(config, rand::random());
                thread::run(Reader::new(ShardIndex(index), shard, poll, sockets, links, channels), failed);
            }
            Err(error) => {
                tracing::error!(%error, "the DTLS certificate cannot be made");
                failed.cancel();
            }
        };
        running.threads.wakers.push(Arc::clone(&waker));
        running.threads.handles.push(std::thread::Builder::new().name(format!("media-{index}")).spawn(body)?);
        running.senders.push(CommandSender { commands, waker });
        running.browser_addresses.push(bound);
    }
    Ok(running)
}

fn browser_port(first: u16, index: usize) -> Result<u16, ShardError> {
    let port = u16::try_from(index).ok().and_then(|index| first.checked_add(index));
    port.ok_or_else(|| io::Error::other("media.browser_ports leaves too few ports for so many threads").into())
}

/// The addresses peers are told, best first.
fn advertised(config: &config::Media) -> Vec<IpAddr> {
    if config.advertised_addresses.is_empty() {
        return vec![address::advertised(config.listen, None)];
    }
    config.advertised_addresses.clone()
}

/// The address trunks are told: the first of the family the sockets are bound to.
fn trunk_address(config: &config::Media, addresses: &[IpAddr]) -> IpAddr {
    let same_family = addresses.iter().find(|address| address.is_ipv4() == config.listen.is_ipv4());
    same_family.copied().unwrap_or_else(|| address::advertised(config.listen, None))
}
