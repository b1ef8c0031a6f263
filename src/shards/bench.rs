//! One media thread on loopback, as the benchmark in `benches/media_thread` drives it. No part of the interface.

use std::net::Ipv4Addr;

use media::{Certificate, Command, Event, Music};
use tokio_util::sync::CancellationToken;

use super::{Identity, ShardError, Shards, start};
use crate::config;

/// A running media thread, the only one.
#[derive(Debug)]
pub struct MediaThread(Shards);

impl MediaThread {
    /// Starts it on ports of the kernel's choice.
    ///
    /// # Errors
    /// As [`ShardError`] says.
    pub fn start(certificate: Certificate) -> Result<Self, ShardError> {
        let local = Ipv4Addr::LOCALHOST.into();
        let config = config::Media {
            shards: 1,
            listen: local,
            advertised_addresses: vec![local],
            browser_ports: 0,
            rtp_port_min: 0,
            rtp_port_max: 0,
            ..config::Media::default()
        };
        start(&config, &Identity::of(certificate), &Music::default(), &CancellationToken::new()).map(Self)
    }

    /// Leaves a command; gives it back when the queue is full.
    ///
    /// # Errors
    /// The command.
    #[allow(clippy::result_large_err, reason = "given back to be tried again")]
    pub fn command(&self, command: Command) -> Result<(), Command> {
        match self.0.senders.first() {
            Some(sender) => sender.send(command).inspect(|()| sender.wake()),
            None => Err(command),
        }
    }

    /// The next thing told.
    pub fn next_event(&mut self) -> Option<Event> {
        self.0.events.try_recv().ok().map(|told| told.event)
    }

    /// Ends the thread.
    pub fn end(self) {
        let Shards { senders, threads, .. } = self.0;
        drop(senders);
        threads.join();
    }
}
