//! The loop of one media thread: packets, commands and timers into the shard, its packets and events out. Per packet it takes no
//! lock, wakes nobody, and allocates nothing itself; another shard that is linked with it is woken once for each batch. What is to be sent is
//! gathered in between (`outbox.rs`).

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use media::{Shard, SocketId};
use metrics::{Counter, counter};
use mio::{Events, Poll, Token};
use switchboard::ShardIndex;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;

use super::ShardEvent;
use super::links::{Links, WAITING};
use super::outbox::Outbox;
use super::sockets::Sockets;

/// Wakes the loop for commands and for what links bring.
pub(super) const WAKE: Token = Token(usize::MAX);

/// Readiness told at once.
const EVENTS: usize = 1024;

/// Packets read from one socket before the others get their turn: one leg's flood cannot starve the rest.
const BATCH: usize = 64;

/// The largest packet taken; WebRTC and G.711 stay below 1,500, and DTLS fragments itself.
const LARGEST: usize = 4096;

/// How soon is tried again what found the queue of signalling, or of another shard, full.
const RETRY: Duration = Duration::from_millis(5);

/// One shard with its sockets and channels.
pub(super) struct Reader {
    index: ShardIndex,
    shard: Shard,
    poll: Poll,
    sockets: Sockets,
    outbox: Outbox,
    links: Links,
    commands: Receiver<media::Command>,
    events: mpsc::Sender<ShardEvent>,
    /// Events that found the queue full, in order. Bounded by what the shard's sessions have to tell.
    put_off: VecDeque<ShardEvent>,
    /// Sockets that may hold more packets.
    readable: VecDeque<SocketId>,
    figures: Figures,
}

/// Made once: a counter taken from here costs one atomic addition.
struct Figures {
    received: Counter,
    sent: Counter,
    unsent: Counter,
}

/// The commands' senders are gone: the process is stopping.
struct Disconnected;

impl Reader {
    pub(super) fn new(
        index: ShardIndex,
        shard: Shard,
        poll: Poll,
        sockets: Sockets,
        links: Links,
        (commands, events): (Receiver<media::Command>, mpsc::Sender<ShardEvent>),
    ) -> Self {
        let figure = |name: &'static str| counter!(name, "shard" => index.0.to_string());
        let figures = Figures {
            received: figure("patchcord_media_packets_received_total"),
            sent: figure("patchcord_media_packets_sent_total"),
            unsent: figure("patchcord_media_packets_unsent_total"),
        };
        let (outbox, put_off, readable) = (Outbox::default(), VecDeque::new(), VecDeque::new());
        Self { index, shard, poll, sockets, outbox, links, commands, events, put_off, readable, figures }
    }

    fn turn(&mut self, ready: &mut Events, buffer: &mut [u8]) -> io::Result<Result<(), Disconnected>> {
        match self.poll.poll(ready, self.patience()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        let mut woken = false;
        let left_over = self.readable.len();
        for event in ready.iter() {
            match event.token() {
                WAKE => woken = true,
                Token(number) => {
                    let id = SocketId(u32::try_from(number).unwrap_or(u32::MAX));
                    if !self.readable.iter().take(left_over).any(|other| *other == id) {
                        self.readable.push_back(id);
                    }
                }
            }
        }
        if woken {
            if self.take_commands().is_err() {
                return Ok(Err(Disconnected));
            }
            self.take_linked();
            self.links.wake();
        }
        for _ in 0..self.readable.len() {
            let Some(id) = self.readable.pop_front() else { break };
            if self.read(id, buffer) {
                self.readable.push_back(id);
            }
            self.links.wake();
        }
        let now = Instant::now();
        if self.shard.poll_timeout().is_some_and(|due| due <= now) {
            self.shard.handle_timeout(now);
            self.drain(now);
        }
        self.flush();
        self.links.wake();
        self.tell();
        Ok(Ok(()))
    }

    /// How long the poll may wait.
    fn patience(&self) -> Option<Duration> {
        if !self.readable.is_empty() {
            return Some(Duration::ZERO);
        }
        let due = self.shard.poll_timeout().map(|due| due.saturating_duration_since(Instant::now()));
        let retry = (!self.put_off.is_empty() || self.links.has_put_off()).then_some(RETRY);
        [due, retry].into_iter().flatten().min()
    }

    fn take_commands(&mut self) -> Result<(), Disconnected> {
        loop {
            match self.commands.try_recv() {
                Ok(command) => {
                    let now = Instant::now();
                    self.shard.handle_command(now, command);
                    self.drain(now);
                }
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Disconnected),
            }
        }
    }

    fn take_linked(&mut self) {
        // For what comes meanwhile it is woken again.
        for _ in 0..WAITING {
            let Some((session, content)) = self.links.receive() else { return };
            let now = Instant::now();
            self.shard.handle_link(now, session, content);
            self.drain(now);
        }
    }

    /// Reads one batch from a socket; whether it may hold more.
    fn read(&mut self, id: SocketId, buffer: &mut [u8]) -> bool {
        for _ in 0..BATCH {
            // Closed meanwhile by what an earlier packet led to.
            let Some(received) = self.sockets.receive(id, buffer) else { return false };
            match received {
                Ok((length, from)) => {
                    self.figures.received.increment(1);
                    let now = Instant::now();
                    self.shard.handle_packet(now, id, from, buffer.get(..length).unwrap_or_default());
                    self.drain(now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP error of an earlier packet: the silence timer sees to a peer that is gone.
                Err(error) => tracing::trace!(%error, "a media packet could not be read"),
            }
        }
        true
    }

    /// Carries out everything the shard wants.
    fn drain(&mut self, now: Instant) {
        loop {
            self.send(now);
            while let Some(transmit) = self.shard.poll_link() {
                if let Some(buffer) = self.links.send(transmit) {
                    self.shard.recycle(buffer);
                }
            }
            while let Some(port) = self.shard.poll_port_release() {
                // A farewell may still wait for its socket.
                self.flush();
                self.sockets.release(port);
            }
            let Some(request) = self.shard.poll_port_request() else { break };
            let port = self.sockets.bind_pair();
            if let Err(error) = &port {
                tracing::error!(%error, "no port for a trunk leg");
            }
            self.shard.handle_port(now, request.session, port.ok());
        }
        while let Some(event) = self.shard.poll_event() {
            self.put_off.push_back(ShardEvent { shard: self.index, event });
        }
    }

    fn send(&mut self, now: Instant) {
        while let Some(transmit) = self.shard.poll_transmit() {
            if self.outbox.push(now, transmit) {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let sent = self.outbox.flush(&self.sockets, |buffer| self.shard.recycle(buffer));
        if sent.taken > 0 {
            self.figures.sent.increment(sent.taken as u64);
        }
        if sent.dropped > 0 {
            self.figures.unsent.increment(sent.dropped as u64);
        }
    }

    fn tell(&mut self) {
        while let Some(event) = self.put_off.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    crate::metrics::queue_full("media_events");
                    self.put_off.push_front(event);
                    return;
                }
                // Signalling has ended; nobody is left to be told.
                Err(TrySendError::Closed(_)) => {}
            }
        }
    }
}

/// Runs until the commands' senders are gone. `failed` is cancelled when it ends in any other way.
pub(super) fn run(mut reader: Reader, failed: CancellationToken) {
    // Dropped by a panic as well.
    let alarm = failed.drop_guard();
    let mut ready = Events::with_capacity(EVENTS);
    let mut buffer = vec![0; LARGEST];
    loop {
        match reader.turn(&mut ready, &mut buffer) {
            Ok(Ok(())) => {}
            Ok(Err(Disconnected)) => break,
            Err(error) => {
                tracing::error!(%error, "a media thread cannot wait for its sockets");
                return;
            }
        }
    }
    alarm.disarm();
}
